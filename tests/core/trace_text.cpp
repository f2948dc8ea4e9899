// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/trace_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;

constexpr TraceTrack kTrack{7, 8};

constexpr MonotonicTime at(Duration time) { return MonotonicTime(time); }

TraceElement pool() { return {.name = "pool", .number = 2, .process = 7}; }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos;
       end = text.find('\n', begin)) {
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  EXPECT_EQ(begin, text.size()) << "the last line is whole";
  return lines;
}

// The lines with all of `parts` in them.
int count(const std::vector<std::string>& lines,
          const std::vector<std::string>& parts) {
  int found = 0;
  for (const std::string& line : lines) {
    bool has_all = true;
    for (const std::string& part : parts)
      has_all = has_all && line.find(part) != std::string::npos;
    found += has_all ? 1 : 0;
  }
  return found;
}

// Came at 100 ms, 2 ms in the queue, 1 on the way, 5 in the stage, 11 behind
// older frames.
FrameRecord applied_record() {
  FrameRecord record;
  record.sequence = 0x19c;
  record.arrival = at(100ms);
  record.taken = at(102ms);
  record.start = at(103ms);
  record.end = at(108ms);
  record.departure = at(119ms);
  record.worker = 3;
  record.action = Action::kApplied;
  record.push = 4ms;
  return record;
}

std::vector<std::string> frame_lines(const TracedFrame& frame) {
  std::string out;
  append_frame(out, pool(), frame);
  return lines_of(out);
}

std::vector<std::string> job_lines(const TracedJob& job) {
  std::string out;
  append_job(out, pool(), job);
  return lines_of(out);
}

TEST(TraceEvent, IsALineOfTheFormat) {
  std::string out;
  TraceEvent(out, 'i', "decision", "bypassed", kTrack, at(1234567890ns))
      .arg("sequence", std::uint64_t{412})
      .arg("cause", "spared");
  EXPECT_EQ(out,
            R"({"ph":"i","cat":"decision","name":"bypassed","pid":7,"tid":8,)"
            R"("ts":1234567.890,"s":"t","args":{"sequence":412,)"
            R"("cause":"spared"}},)"
            "\n");
}

TEST(TraceEvent, NeedsNoArguments) {
  std::string out;
  TraceEvent(out, 'b', "frame", "frame", kTrack, at(5000ns)).id(0xabc);
  EXPECT_EQ(out,
            R"({"ph":"b","cat":"frame","name":"frame","pid":7,"tid":8,"ts":5,)"
            R"("id":"0xabc"},)"
            "\n");
}

TEST(TraceEvent, KeepsNanoseconds) {
  std::string out;
  TraceEvent(out, 'X', "job", "x", kTrack, at(1007ns)).duration(1ns);
  EXPECT_NE(out.find(R"("ts":1.007,"dur":0.001})"), std::string::npos) << out;
}

TEST(TraceEvent, EscapesWhatANameMayHold) {
  std::string out;
  TraceEvent(out, 'i', "decision", "a\"b\\c\nd\x01", kTrack, {})
      .arg("is", true);
  EXPECT_NE(out.find(R"("name":"a\"b\\c\u000ad\u0001")"), std::string::npos)
      << out;
}

TEST(TraceEvent, WritesEachTypeOfValue) {
  std::string out;
  TraceEvent(out, 'i', "c", "n", kTrack, {})
      .arg("t", true)
      .arg("f", false)
      .arg("d", 0.25)
      .arg("n", std::int64_t{-3})
      .arg("u", std::numeric_limits<std::uint64_t>::max())
      .arg("time", 2ms)
      .arg("nan", std::nan(""));
  EXPECT_NE(out.find(R"({"t":true,"f":false,"d":0.25,"n":-3,)"
                     R"("u":18446744073709551615,"time":2000000,"nan":null})"),
            std::string::npos)
      << out;
}

TEST(TraceEvent, WritesTheLongestNumber) {
  std::string out;
  TraceEvent(out, 'i', "c", "n", kTrack, {})
      .arg("d", -std::numeric_limits<double>::min());
  EXPECT_NE(out.find("-2.2250738585072014e-308"), std::string::npos) << out;
}

TEST(TraceEvent, HasObjectsAmongItsArguments) {
  std::string out;
  TraceEvent(out, 'i', "c", "n", kTrack, {})
      .arg("a", true)
      .open("causes")
      .arg("flush", std::uint64_t{1})
      .arg("stop", std::uint64_t{2})
      .close()
      .arg("z", true);
  EXPECT_NE(out.find(R"({"a":true,"causes":{"flush":1,"stop":2},"z":true})"),
            std::string::npos)
      << out;
}

TEST(TraceElement, TracksOfElementsAndWorkersDiffer) {
  const TraceElement other{.name = "other", .number = 3, .process = 7};
  EXPECT_NE(pool().output().thread, pool().worker(0).thread);
  EXPECT_NE(pool().worker(0).thread, pool().worker(1).thread);
  EXPECT_NE(pool().output().thread, other.output().thread);
  EXPECT_LT(pool().worker(512).thread, other.output().thread);
}

TEST(TraceElement, AStageIsOnItsWorkersTrackOrInItsProcess) {
  EXPECT_EQ(pool().stage(1, {}).thread, pool().worker(1).thread);
  EXPECT_EQ(pool().stage(1, {}).process, 7);
  EXPECT_EQ(pool().stage(1, 4711).process, 4711);
}

TEST(TraceElement, IdsDifferByProcessElementAndFrame) {
  TraceElement other{.name = "other", .number = 3, .process = 7};
  const TraceElement far{.name = "pool", .number = 2, .process = 8};
  EXPECT_NE(pool().id(1), pool().id(2));
  EXPECT_NE(pool().id(1), other.id(1));
  EXPECT_NE(pool().id(1), far.id(1));
  // Of a program that has made many.
  other.number = pool().number + 256;
  EXPECT_NE(pool().id(1), other.id(1));
  EXPECT_NE(pool().id(Sequence{1} << 24U), pool().id(0));
}

TEST(TraceFrame, PartsFillItsStay) {
  const auto lines = frame_lines({.record = applied_record()});
  const std::string frame = R"("name":"frame")";
  EXPECT_EQ(count(lines, {R"("ph":"b")", frame, R"("ts":100000,)"}), 1);
  EXPECT_EQ(count(lines, {R"("ph":"e")", frame, R"("ts":119000,)"}), 1);
  const auto part = [&](const char* name, const char* begin, const char* end) {
    EXPECT_EQ(count(lines, {R"("ph":"b")", name, begin}), 1) << name;
    EXPECT_EQ(count(lines, {R"("ph":"e")", name, end}), 1) << name;
  };
  part("queue-time", R"("ts":100000,)", R"("ts":102000,)");
  part("hand-over-time", R"("ts":102000,)", R"("ts":103000,)");
  part("service-time", R"("ts":103000,)", R"("ts":108000,)");
  part("reorder-time", R"("ts":108000,)", R"("ts":119000,)");
  const std::string id = R"("id":"0x1c000800019c")";
  EXPECT_EQ(count(lines, {R"("cat":"frame")", id}), 10);
}

TEST(TraceFrame, SaysWhatLeftAndWhy) {
  FrameRecord record = applied_record();
  record.running_time = RunningTime(70ms);
  record.due_monotonic = at(110ms);
  record.slack = 10ms;
  record.level = 1;
  record.late = true;
  record.blocked = 3ms;
  record.cause = Cause::kPredictedLate;
  const auto lines =
      frame_lines({.record = record, .reason = "fits", .predicted = 6ms});
  EXPECT_EQ(
      count(lines, {R"("args":{"element":"pool","sequence":412,)"
                    R"("running-time":70000000,"due":110000000,)"
                    R"("slack":10000000,"action":"applied",)"
                    R"("cause":"predicted-late","late":true,"worker":3,)"
                    R"("level":1,"reason":"fits","predicted-cost":6000000,)"
                    R"("blocked":3000000}})"}),
      1)
      << lines.front();
}

TEST(TraceFrame, OneThatNoWorkerGotWasInTheQueueAllTheTime) {
  FrameRecord record;
  record.sequence = 5;
  record.arrival = at(100ms);
  record.departure = at(130ms);
  record.action = Action::kBypassed;
  record.cause = Cause::kOverdueWaiting;
  const auto lines = frame_lines({.record = record});
  EXPECT_EQ(count(lines, {"queue-time"}), 2);
  EXPECT_EQ(count(lines, {"hand-over-time"}), 0);
  EXPECT_EQ(count(lines, {"service-time"}), 0);
  EXPECT_EQ(count(lines, {"reorder-time"}), 0);
  EXPECT_EQ(count(lines, {"to-output"}), 0);
  EXPECT_EQ(count(lines, {R"("ph":"i","cat":"decision","name":"bypassed")",
                          R"("sequence":5,"cause":"overdue-waiting")"}),
            1);
  EXPECT_EQ(count(lines, {R"("name":"push")"}), 1);
}

TEST(TraceFrame, OneThatWasRescuedWasInTheStageUntilItLeft) {
  FrameRecord record = applied_record();
  record.action = Action::kBypassed;
  record.cause = Cause::kOverdueRunning;
  record.end = {};
  const auto lines = frame_lines({.record = record});
  EXPECT_EQ(count(lines, {R"("ph":"e")", "service-time", R"("ts":119000,)"}),
            1);
  EXPECT_EQ(count(lines, {"reorder-time"}), 0);
  EXPECT_EQ(count(lines, {"to-output"}), 0) << "its result did not leave";
}

TEST(TraceFrame, OfOneThatWasDroppedNothingWasPushed) {
  FrameRecord record = applied_record();
  record.action = Action::kDropped;
  record.cause = Cause::kFlush;
  const auto lines = frame_lines({.record = record});
  EXPECT_EQ(count(lines, {R"("name":"push")"}), 0);
}

TEST(TraceFrame, TimesThatContradictEachOtherAreStillInOrder) {
  FrameRecord record = applied_record();
  record.start = at(90ms);
  record.end = at(500ms);
  const auto lines = frame_lines({.record = record});
  EXPECT_EQ(count(lines, {R"("ts":90000,)"}), 0);
  EXPECT_EQ(count(lines, {R"("ts":500000,)"}), 0);
}

TEST(TraceFrame, ItsArrowGoesFromTheStageToThePush) {
  FrameRecord record = applied_record();
  record.process = 4711;
  const auto lines = frame_lines({.record = record});
  EXPECT_EQ(count(lines, {R"("ph":"s","cat":"to-output")",
                          R"("pid":4711,"tid":4711,"ts":107999.999)"}),
            1);
  EXPECT_EQ(count(lines, {R"("ph":"f","cat":"to-output")", R"("pid":7,)",
                          R"("ts":119000,)", R"("bp":"e")"}),
            1);
  EXPECT_EQ(count(lines, {R"("ph":"X","cat":"push")", R"("ts":119000,)",
                          R"("dur":4000,)"}),
            1);
}

TracedJob job() {
  return {.sequence = 412,
          .level = 1,
          .worker = 3,
          .taken = at(102ms),
          .start = at(103ms),
          .end = at(108ms)};
}

TEST(TraceJob, IsHandedOverThenDone) {
  const auto lines = job_lines(job());
  EXPECT_EQ(count(lines, {R"("ph":"X")", "hand-over-time",
                          R"("tid":2013,"ts":102000,"dur":1000,)"}),
            1);
  EXPECT_EQ(count(lines, {R"("ph":"X")", "service-time",
                          R"("tid":2013,"ts":103000,"dur":5000,)",
                          R"("args":{"sequence":412,"level":1})"}),
            1);
  EXPECT_EQ(count(lines, {R"("ph":"s","cat":"to-worker")", R"("ts":102000,)"}),
            1);
  EXPECT_EQ(count(lines, {R"("ph":"f","cat":"to-worker")", R"("ts":103000,)",
                          R"("bp":"e")"}),
            1);
  EXPECT_EQ(count(lines, {"late"}), 0);
}

TEST(TraceJob, OfAWorkerProcessIsDoneThere) {
  TracedJob sut = job();
  sut.process = 4711;
  const auto lines = job_lines(sut);
  EXPECT_EQ(count(lines, {"hand-over-time", R"("pid":7,)"}), 1);
  EXPECT_EQ(count(lines, {"service-time", R"("pid":4711,)"}), 1);
}

TEST(TraceJob, WhoseFrameHasLeftIsLate) {
  TracedJob sut = job();
  sut.is_late = true;
  EXPECT_EQ(count(job_lines(sut), {"service-time", R"("late":true)"}), 1);
}

TEST(TraceJob, OfAWorkerThatDiedWasNeverDone) {
  TracedJob sut = job();
  sut.is_lost = true;
  sut.start = {};
  const auto lines = job_lines(sut);
  EXPECT_EQ(
      count(lines, {"hand-over-time", R"("dur":6000,)", R"("lost":true)"}), 1);
  EXPECT_EQ(lines.size(), 1U);
}

TEST(TraceJob, SlicesHaveALengthThatAnArrowCanMeet) {
  TracedJob sut = job();
  sut.start = sut.end = sut.taken;
  EXPECT_EQ(count(job_lines(sut), {R"("dur":0.001,)"}), 2);
}

TEST(TraceName, IsOfATrackOrAProcess) {
  std::string out;
  append_name(out, "thread_name", kTrack, "pool worker3");
  EXPECT_EQ(out,
            R"({"ph":"M","cat":"setup","name":"thread_name","pid":7,"tid":8,)"
            R"("ts":0,"args":{"name":"pool worker3"}},)"
            "\n");
}

}  // namespace
}  // namespace dispatch::core
