// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/frame_record.h"

#include <gtest/gtest.h>

#include <random>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;

constexpr MonotonicTime at(Duration time) { return MonotonicTime(time); }

FrameRecord record_of(Action action, Cause cause) {
  FrameRecord record;
  record.action = action;
  record.cause = cause;
  return record;
}

// 2 ms in the queue, 1 ms on the way, 5 ms in the stage, 11 ms behind older
// frames.
FrameRecord applied_record() {
  FrameRecord record = record_of(Action::kApplied, Cause::kNone);
  record.arrival = at(100ms);
  record.taken = at(102ms);
  record.start = at(103ms);
  record.end = at(108ms);
  record.departure = at(119ms);
  return record;
}

TEST(FrameRecord, ActionsAreNamedAsInTheStatistics) {
  EXPECT_STREQ(to_string(Action::kApplied), "applied");
  EXPECT_STREQ(to_string(Action::kBypassed), "bypassed");
  EXPECT_STREQ(to_string(Action::kRepeated), "repeated");
  EXPECT_STREQ(to_string(Action::kDropped), "dropped");
}

TEST(FrameRecord, CausesAreNamedAsInTheStatistics) {
  EXPECT_STREQ(to_string(Cause::kNone), "none");
  EXPECT_STREQ(to_string(Cause::kOverdueWaiting), "overdue-waiting");
  EXPECT_STREQ(to_string(Cause::kOverdueRunning), "overdue-running");
  EXPECT_STREQ(to_string(Cause::kArrivedLate), "arrived-late");
  EXPECT_STREQ(to_string(Cause::kFlush), "flush");
  EXPECT_STREQ(to_string(Cause::kStop), "stop");
  EXPECT_STREQ(to_string(Cause::kDownstream), "downstream");
  EXPECT_STREQ(to_string(Cause::kStageError), "stage-error");
  EXPECT_STREQ(to_string(Cause::kStalled), "stalled");
  EXPECT_STREQ(to_string(Cause::kWorkerLost), "worker-lost");
  EXPECT_STREQ(to_string(Cause::kNoWorkers), "no-workers");
}

TEST(FrameRecord, EveryActionAndCauseHasAName) {
  for (std::size_t i = 0; i < kActionCount; ++i)
    EXPECT_STRNE(to_string(static_cast<Action>(i)), "?") << i;
  for (std::size_t i = 0; i < kCauseCount; ++i)
    EXPECT_STRNE(to_string(static_cast<Cause>(i)), "?") << i;
}

TEST(FrameRecord, CountsHoldEveryActionAndCause) {
  EXPECT_STREQ(to_string(static_cast<Action>(kActionCount)), "?");
  EXPECT_STREQ(to_string(static_cast<Cause>(kCauseCount)), "?");
}

TEST(FrameRecord, LateIsMoreThanTwoMilliseconds) { EXPECT_EQ(kLateAfter, 2ms); }

TEST(FrameRecord, FramesAreReleasedOneMillisecondAhead) {
  EXPECT_EQ(kReleaseAhead, 1ms);
}

TEST(FrameSums, BeginAtZero) {
  const FrameSums sut;
  EXPECT_EQ(sut.frames_in(), 0U);
  EXPECT_EQ(sut.in_flight(), 0U);
  EXPECT_EQ(sut.late(), 0U);
  EXPECT_EQ(sut.late_results(), 0U);
  EXPECT_EQ(sut.copies(), 0U);
  EXPECT_EQ(sut.copied_bytes(), 0U);
  EXPECT_EQ(sut.queue_time(), 0ns);
  EXPECT_EQ(sut.hand_over_time(), 0ns);
  EXPECT_EQ(sut.service_time(), 0ns);
  EXPECT_EQ(sut.reorder_time(), 0ns);
}

TEST(FrameSums, FrameThatHasArrivedIsInFlight) {
  FrameSums sut;
  sut.on_arrival();
  EXPECT_EQ(sut.frames_in(), 1U);
  EXPECT_EQ(sut.in_flight(), 1U);
}

TEST(FrameSums, FrameThatHasLeftIsNotInFlight) {
  FrameSums sut;
  sut.on_arrival();
  sut.on_arrival();
  sut.on_departure(applied_record());
  EXPECT_EQ(sut.frames_in(), 2U);
  EXPECT_EQ(sut.in_flight(), 1U);
}

TEST(FrameSums, FrameCountsUnderItsActionAndNoOther) {
  FrameSums sut;
  sut.on_arrival();
  sut.on_departure(record_of(Action::kRepeated, Cause::kOverdueRunning));
  EXPECT_EQ(sut.count(Action::kRepeated), 1U);
  EXPECT_EQ(sut.count(Action::kApplied), 0U);
  EXPECT_EQ(sut.count(Action::kBypassed), 0U);
  EXPECT_EQ(sut.count(Action::kDropped), 0U);
}

TEST(FrameSums, FrameCountsUnderItsCauseAndNoOther) {
  FrameSums sut;
  sut.on_arrival();
  sut.on_departure(record_of(Action::kRepeated, Cause::kOverdueRunning));
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    const auto cause = static_cast<Cause>(i);
    EXPECT_EQ(sut.count(cause), cause == Cause::kOverdueRunning ? 1U : 0U)
        << to_string(cause);
  }
}

TEST(FrameSums, AppliedFrameAddsItsTimes) {
  FrameSums sut;
  for (int i = 0; i < 2; ++i) {
    sut.on_arrival();
    sut.on_departure(applied_record());
  }
  EXPECT_EQ(sut.queue_time(), 4ms);
  EXPECT_EQ(sut.hand_over_time(), 2ms);
  EXPECT_EQ(sut.service_time(), 10ms);
  EXPECT_EQ(sut.reorder_time(), 22ms);
}

TEST(FrameSums, FrameWithoutTheStageAddsNoTimes) {
  FrameSums sut;
  sut.on_arrival();
  FrameRecord record = applied_record();
  record.action = Action::kBypassed;
  record.cause = Cause::kOverdueRunning;
  sut.on_departure(record);
  EXPECT_EQ(sut.queue_time(), 0ns);
  EXPECT_EQ(sut.hand_over_time(), 0ns);
  EXPECT_EQ(sut.service_time(), 0ns);
  EXPECT_EQ(sut.reorder_time(), 0ns);
}

TEST(FrameSums, LateFrameIsCountedBesideItsAction) {
  FrameSums sut;
  sut.on_arrival();
  FrameRecord record = applied_record();
  record.late = true;
  sut.on_departure(record);
  EXPECT_EQ(sut.late(), 1U);
  EXPECT_EQ(sut.count(Action::kApplied), 1U);
}

TEST(FrameSums, FrameInTimeIsNotLate) {
  FrameSums sut;
  sut.on_arrival();
  sut.on_departure(applied_record());
  EXPECT_EQ(sut.late(), 0U);
}

TEST(FrameSums, LateResultIsNotAFrame) {
  FrameSums sut;
  sut.on_arrival();
  sut.on_departure(record_of(Action::kBypassed, Cause::kOverdueRunning));
  sut.on_late_result();
  EXPECT_EQ(sut.late_results(), 1U);
  EXPECT_EQ(sut.late(), 0U);
  EXPECT_EQ(sut.frames_in(), 1U);
  EXPECT_EQ(sut.in_flight(), 0U);
}

TEST(FrameSums, CopiesAddTheirBytes) {
  FrameSums sut;
  sut.on_copies(1, 3110400);
  sut.on_copies(1, 1);
  EXPECT_EQ(sut.copies(), 2U);
  EXPECT_EQ(sut.copied_bytes(), 3110401U);
}

TEST(FrameSums, CopyOfNothingIsACopy) {
  FrameSums sut;
  sut.on_copies(1, 0);
  EXPECT_EQ(sut.copies(), 1U);
  EXPECT_EQ(sut.copied_bytes(), 0U);
}

FrameRecord random_record(std::mt19937& random) {
  const auto below = [&](unsigned end) { return random() % end; };
  FrameRecord record =
      record_of(static_cast<Action>(below(kActionCount)), Cause::kNone);
  if (record.action != Action::kApplied)
    record.cause = static_cast<Cause>(1 + below(kCauseCount - 1));
  record.arrival = at(Duration(below(1000000)));
  record.taken = record.arrival + Duration(below(1000000));
  record.start = record.taken + Duration(below(1000000));
  record.end = record.start + Duration(below(1000000));
  record.departure = record.end + Duration(below(1000000));
  record.late = below(2) == 1;
  return record;
}

std::uint64_t sum_of_actions(const FrameSums& sums) {
  return sums.count(Action::kApplied) + sums.count(Action::kBypassed) +
         sums.count(Action::kRepeated) + sums.count(Action::kDropped);
}

std::uint64_t sum_of_causes(const FrameSums& sums) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kCauseCount; ++i)
    sum += sums.count(static_cast<Cause>(i));
  return sum;
}

TEST(FrameSums, ReconcileAfterEveryRandomStep) {
  std::mt19937 random(20240607);
  FrameSums sut;
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  for (int step = 0; step < 20000; ++step) {
    if (in == out || random() % 2 == 0) {
      sut.on_arrival();
      ++in;
    } else {
      sut.on_departure(random_record(random));
      ++out;
    }
    ASSERT_EQ(sut.frames_in(), in);
    ASSERT_EQ(sut.in_flight(), in - out);
    ASSERT_EQ(sut.frames_in(), sum_of_actions(sut) + sut.in_flight());
    ASSERT_EQ(sum_of_causes(sut), out);
    ASSERT_EQ(sut.count(Cause::kNone), sut.count(Action::kApplied));
  }
}

TEST(FrameSums, TimesOfAppliedFramesAddUpToTheirStay) {
  std::mt19937 random(7);
  FrameSums sut;
  Duration stay{};
  for (int i = 0; i < 1000; ++i) {
    const FrameRecord record = random_record(random);
    sut.on_arrival();
    sut.on_departure(record);
    if (record.action == Action::kApplied)
      stay += record.departure - record.arrival;
  }
  EXPECT_GT(stay, 0ns);
  EXPECT_EQ(sut.queue_time() + sut.hand_over_time() + sut.service_time() +
                sut.reorder_time(),
            stay);
}

}  // namespace
}  // namespace dispatch::core
