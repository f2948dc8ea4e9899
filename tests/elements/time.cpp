// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Due times, late policies and latency of an element, on a clock that moves
// only when the test says so.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include <gst/video/video.h>

#include "element_harness.h"
#include "stage/due_time_meta.h"

namespace dispatch::test {
namespace {

constexpr GstClockTime kUpstream = 5 * GST_MSECOND;
constexpr GstClockTime kBudget = 30 * GST_MSECOND;
constexpr GstClockTime kAhead = GST_MSECOND;  // of the release

// When frame `number` leaves at the latest.
constexpr GstClockTime release_of(std::uint64_t number) {
  return number * kFrameDuration + kUpstream + kBudget - kAhead;
}

// A frame so far ahead that there is time for it whatever the ones before it
// took.
constexpr std::uint64_t kInGoodTime = 20;

// Live, 5 ms late already, with a budget of 30 ms and two workers.
class Live : public Harness {
 public:
  explicit Live(Gate& gate, const std::string& properties = "",
                const char* caps = kAnyCaps, const std::string& stage = "gate")
      : Harness(
            "max-workers=2 spare-workers=0 latency-budget=30000000 "
            "stage=\"" +
                stage + "\" " + properties,
            {.gate = &gate,
             .is_live = true,
             .upstream_latency = kUpstream,
             .has_test_clock = true,
             .caps = caps}) {}
};

unsigned pending_waits(Harness& sut) {
  return gst_test_clock_peek_id_count(sut.clock());
}

// ---- At the due time -------------------------------------------------------

TEST(Time, ABlockedFrameLeavesBypassedAMillisecondBeforeItIsDue) {
  Gate gate;
  gate.hold(0);
  Live sut(gate);
  BufferPtr original = sut.frame(0);
  const GstMemory* memory = memory_of(original.get());
  sut.push(std::move(original));
  gate.wait_until_held(0);
  EXPECT_EQ(sut.next_wait(), release_of(0));
  EXPECT_FALSE(sut.has_output());
  sut.crank();
  const BufferPtr out = sut.pull();
  EXPECT_EQ(memory_of(out.get()), memory);
  EXPECT_TRUE(has_own_bytes(out.get()));
  sut.wait_for_stat("bypassed", 1);
  const Stats stats = sut.stats();
  EXPECT_EQ(stats["causes.overdue-running"], 1U);
  EXPECT_EQ(stats["late"], 0U);
  EXPECT_TRUE(stats.reconciles());
}

TEST(Time, AFrameThatIsDoneLeavesAtOnce) {
  Gate gate;
  Live sut(gate);
  sut.push_range(0, 3);
  EXPECT_EQ(sut.pull_numbers(3), (std::vector<std::uint64_t>{0, 1, 2}));
  sut.wait_for_stat("applied", 3);
}

TEST(Time, AllOverdueHeadsLeaveInOnePass) {
  Gate gate;
  gate.hold_all();
  Live sut(gate);
  sut.push_range(0, 6);
  gate.wait_until_holding(2);
  ASSERT_EQ(sut.next_wait(), release_of(0));
  sut.pass_time_to(release_of(5));  // one wait ends, six frames leave
  EXPECT_EQ(sut.pull_numbers(6),
            (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5}));
  sut.wait_for_stat("bypassed", 6);
  const Stats stats = sut.stats();
  EXPECT_EQ(stats["causes.overdue-running"], 2U);
  EXPECT_EQ(stats["causes.overdue-waiting"], 4U);
  EXPECT_EQ(stats["late"], 5U) << "all but the last, which is on time";
  EXPECT_TRUE(stats.reconciles());
}

TEST(Time, WhatIsDoneBehindAnOverdueFrameFollowsIt) {
  Gate gate;
  gate.hold(0);
  Live sut(gate);
  sut.push_range(0, 3);
  gate.wait_until_seen(3);
  sut.crank();
  EXPECT_EQ(sut.pull_numbers(3), (std::vector<std::uint64_t>{0, 1, 2}));
  sut.wait_for_stat("applied", 2);
  EXPECT_EQ(sut.stats()["bypassed"], 1U);
}

TEST(Time, AResultThatComesLateIsDiscardedAndCounted) {
  Gate gate;
  gate.hold(0);
  Live sut(gate);
  sut.push(0);
  gate.wait_until_held(0);
  sut.crank();
  EXPECT_EQ(sut.pull_number(), 0U);
  EXPECT_EQ(sut.stats()["late-results"], 0U);
  gate.open();
  sut.wait_for_stat("late-results", 1);
  sut.push_range(kInGoodTime, kInGoodTime + 2);
  EXPECT_EQ(sut.pull_numbers(2),
            (std::vector<std::uint64_t>{kInGoodTime, kInGoodTime + 1}));
  sut.wait_for_stat("applied", 2);
  EXPECT_TRUE(sut.stats().reconciles());
}

TEST(Time, AnAbandonedFrameEndsAtTheNextElementOfTheStage) {
  Gate gate;
  gate.hold(0);
  Live sut(gate, "", kAnyCaps, "gate ! gate");
  sut.push(0);
  gate.wait_until_held(0);  // in the first of the two
  sut.crank();
  sut.pull();
  gate.open();
  sut.wait_for_stat("late-results", 1);
  EXPECT_EQ(gate.seen(), (std::vector<std::uint64_t>{0}));
}

TEST(Time, AStuckWorkerDoesNotHoldUpTheOther) {
  Gate gate;
  gate.hold(0);
  Live sut(gate);
  sut.push(0);
  gate.wait_until_held(0);
  sut.crank();
  sut.pull();
  for (std::uint64_t i = kInGoodTime; i < kInGoodTime + 19; ++i) {
    sut.push(i);
    EXPECT_EQ(sut.pull_number(), i);
  }
  sut.wait_for_stat("applied", 19);
}

TEST(Time, AFrameThatComesTooLateDoesNotWait) {
  Gate gate;
  gate.hold(1);
  Live sut(gate);
  sut.push(0);
  sut.pull();
  sut.set_time(GST_SECOND);
  sut.push(1);
  EXPECT_EQ(sut.pull_number(), 1U);
  sut.wait_for_stat("bypassed", 1);
  EXPECT_EQ(sut.stats()["causes.arrived-late"], 1U);
  EXPECT_EQ(sut.stats()["late"], 1U);
}

// ---- Late policies ---------------------------------------------------------

TEST(Time, RepeatShowsTheLastResultWithTheTimesOfTheFrame) {
  Gate gate;
  gate.hold(1);
  Live sut(gate, "late-policy=repeat");
  sut.push(sut.frame(0));
  const BufferPtr first = sut.pull();
  sut.wait_for_stat("applied", 1);
  sut.push(sut.frame(1));
  gate.wait_until_held(1);
  EXPECT_EQ(sut.next_wait(), release_of(1));
  sut.crank();
  const BufferPtr again = sut.pull();
  EXPECT_EQ(memory_of(again.get()), memory_of(first.get()));
  EXPECT_EQ(number_of(again.get()), 1U);
  EXPECT_EQ(GST_BUFFER_PTS(again.get()), kFrameDuration);
  EXPECT_EQ(GST_BUFFER_DURATION(again.get()), kFrameDuration);
  sut.wait_for_stat("repeated", 1);
  EXPECT_EQ(sut.stats()["copies"], 0U);
}

TEST(Time, RepeatWithoutALastResultDrops) {
  Gate gate;
  gate.hold(0);
  Live sut(gate, "late-policy=repeat");
  sut.push(0);
  gate.wait_until_held(0);
  sut.crank();
  sut.wait_for_stat("dropped", 1);
  EXPECT_FALSE(sut.has_output());
}

TEST(Time, DropLeavesAGapAndMarksTheNextFrame) {
  Gate gate;
  gate.hold(1);
  Live sut(gate, "late-policy=drop", kVideoCaps);
  sut.push(0);
  const BufferPtr before = sut.pull();
  EXPECT_FALSE(GST_BUFFER_FLAG_IS_SET(before.get(), GST_BUFFER_FLAG_DISCONT));
  sut.push_range(1, 4);
  gate.wait_until_seen(4);
  sut.crank();
  const BufferPtr after = sut.pull();
  EXPECT_EQ(number_of(after.get()), 2U);
  EXPECT_TRUE(GST_BUFFER_FLAG_IS_SET(after.get(), GST_BUFFER_FLAG_DISCONT));
  EXPECT_FALSE(
      GST_BUFFER_FLAG_IS_SET(sut.pull().get(), GST_BUFFER_FLAG_DISCONT));
  EXPECT_EQ(sut.out().lines(),
            (std::vector<std::string>{"stream-start", "caps", "segment", "0",
                                      "gap", "2", "3"}));
  const EventPtr gap = sut.pull_event(GST_EVENT_GAP);
  GstClockTime timestamp = 0;
  GstClockTime duration = 0;
  gst_event_parse_gap(gap.get(), &timestamp, &duration);
  EXPECT_EQ(timestamp, kFrameDuration);
  EXPECT_EQ(duration, kFrameDuration);
  EXPECT_EQ(sut.stats()["dropped"], 1U);
}

TEST(Time, DropOfCodedMediaLeavesNoGap) {
  Gate gate;
  gate.hold(1);
  Live sut(gate, "late-policy=drop");  // of a media type that is not raw
  sut.push(0);
  sut.pull();
  sut.push_range(1, 3);
  gate.wait_until_seen(3);
  sut.crank();
  EXPECT_TRUE(
      GST_BUFFER_FLAG_IS_SET(sut.pull().get(), GST_BUFFER_FLAG_DISCONT));
  EXPECT_EQ(sut.out().lines(), (std::vector<std::string>{"stream-start", "caps",
                                                         "segment", "0", "2"}));
}

TEST(Time, WaitWaitsAndCountsTheDelay) {
  Gate gate;
  gate.hold(0);
  Live sut(gate, "late-policy=wait");
  sut.push_range(0, 2);
  gate.wait_until_seen(2);
  sut.set_time(GST_SECOND);
  EXPECT_EQ(pending_waits(sut), 0U);
  EXPECT_FALSE(sut.has_output());
  gate.open();
  EXPECT_EQ(sut.pull_numbers(2), (std::vector<std::uint64_t>{0, 1}));
  sut.wait_for_stat("applied", 2);
  EXPECT_EQ(sut.stats()["late"], 2U);
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_QOS), 0U);
}

TEST(Time, AnotherPolicyHoldsAtOnce) {
  Gate gate;
  gate.hold(0);
  Live sut(gate, "late-policy=wait");
  sut.push(0);
  gate.wait_until_held(0);
  gst_util_set_object_arg(G_OBJECT(sut.element()), "late-policy", "bypass");
  EXPECT_EQ(sut.next_wait(), release_of(0));
  sut.crank();
  sut.wait_for_stat("dropped", 1);  // its original was given away already
}

TEST(Time, BypassFallsBackWhereTheStageChangesTheCaps) {
  Gate gate;
  gate.hold(0);
  gate.hold(kInGoodTime + 1);
  gate.hold(kInGoodTime + 2);
  Live sut(gate, "max-workers=4", kVideoCaps,
           "videoconvert ! video/x-raw,format=RGBA ! gate");
  sut.push(0);
  gate.wait_until_held(0);
  sut.crank();
  sut.wait_for_stat("dropped", 1);  // nothing to repeat yet
  sut.push(kInGoodTime);
  EXPECT_EQ(sut.pull_number(), kInGoodTime);
  sut.push_range(kInGoodTime + 1, kInGoodTime + 3);
  gate.wait_until_held(kInGoodTime + 2);
  ASSERT_EQ(sut.next_wait(), release_of(kInGoodTime + 1));
  sut.pass_time_to(release_of(kInGoodTime + 2));
  for (std::uint64_t i = kInGoodTime + 1; i < kInGoodTime + 3; ++i) {
    const BufferPtr again = sut.pull();
    EXPECT_EQ(number_of(again.get()), i);
    EXPECT_EQ(gst_buffer_get_size(again.get()), 8U * 8 * 4);
  }
  sut.wait_for_stat("repeated", 2);
  EXPECT_EQ(sut.stats()["bypassed"], 0U);
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_WARNING), 1U);
}

TEST(Time, AFrameThatIsDueBeforeTheCapsAreChosenSaysNothing) {
  Gate caps;
  caps.hold(0);
  Harness sut(
      "stage=\"gate at=caps ! videoconvert ! video/x-raw,format=RGBA\" "
      "max-workers=1 latency-budget=30000000",
      {.gate = &caps,
       .is_live = true,
       .has_test_clock = true,
       .caps = kVideoCaps});
  sut.push(0);
  caps.wait_until_held(0);
  sut.crank();
  sut.wait_for_stat("dropped", 1);
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_WARNING), 0U);
  caps.open();
  sut.wait_for_stat("late-results", 1);
}

TEST(Time, TheCapsInADiscardedResultAreNotLost) {
  Gate gate;
  gate.hold(0);
  Live sut(gate, "max-workers=1 late-policy=drop", kVideoCaps);
  sut.push(0);
  gate.wait_until_held(0);
  sut.crank();
  sut.wait_for_stat("dropped", 1);
  gate.open();
  sut.wait_for_stat("late-results", 1);
  sut.push(kInGoodTime);
  EXPECT_EQ(sut.pull_number(), kInGoodTime);
  EXPECT_EQ(sut.out().lines(),
            (std::vector<std::string>{"stream-start", "caps", "segment",
                                      std::to_string(kInGoodTime)}));
}

// ---- When due times apply --------------------------------------------------

TEST(Time, DeadlinesNeverAreStrictAlsoWhenLive) {
  Gate gate;
  gate.hold(0);
  Live sut(gate, "deadlines=never");
  EXPECT_EQ(sut.stats()["deadlines-active"], 0U);
  auto pusher = sut.push_in_background(0, 2);
  gate.wait_until_held(0);
  sut.set_time(GST_SECOND);
  EXPECT_EQ(pending_waits(sut), 0U);
  gate.open();
  EXPECT_EQ(sut.pull_numbers(2), (std::vector<std::uint64_t>{0, 1}));
  sut.wait_for_stat("applied", 2);
  EXPECT_EQ(sut.stats()["late"], 0U) << "without a due time nothing is late";
}

TEST(Time, WithoutALiveSourceNothingIsEverSkipped) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=2 latency-budget=30000000",
              {.gate = &gate, .has_test_clock = true});
  EXPECT_EQ(sut.stats()["deadlines-active"], 0U);
  auto pusher = sut.push_in_background(0, 2);
  gate.wait_until_held(0);
  sut.set_time(GST_SECOND);
  EXPECT_EQ(pending_waits(sut), 0U);
  gate.open();
  EXPECT_EQ(sut.pull_numbers(2), (std::vector<std::uint64_t>{0, 1}));
  sut.wait_for_stat("applied", 2);
}

TEST(Time, DeadlinesAlwaysHoldForFilesOnceTheLatencyIsKnown) {
  Gate gate;
  gate.hold(0);
  Harness sut(
      "stage=gate max-workers=2 latency-budget=30000000 deadlines=always",
      {.gate = &gate, .has_test_clock = true});
  EXPECT_EQ(sut.stats()["deadlines-active"], 0U);
  gst_harness_push_upstream_event(sut.get(),
                                  gst_event_new_latency(50 * GST_MSECOND));
  EXPECT_EQ(sut.stats()["deadlines-active"], 1U);
  sut.push(0);
  gate.wait_until_held(0);
  EXPECT_EQ(sut.next_wait(), 49 * GST_MSECOND);
}

TEST(Time, DeadlinesMayChangeWhilePlaying) {
  NOT_WITH_LEVELS("a frame that had no due time is in the streaming thread");
  Gate gate;
  gate.hold(0);
  Live sut(gate, "deadlines=never");
  sut.push(0);
  gate.wait_until_held(0);
  gst_util_set_object_arg(G_OBJECT(sut.element()), "deadlines", "auto");
  EXPECT_EQ(sut.next_wait(), release_of(0));
}

TEST(Time, ASmallerLatencyOfThePipelineShortensTheWait) {
  Gate gate;
  gate.hold(0);
  Live sut(gate);
  sut.push(0);
  gate.wait_until_held(0);
  ASSERT_EQ(sut.next_wait(), release_of(0));
  gst_harness_push_upstream_event(sut.get(),
                                  gst_event_new_latency(20 * GST_MSECOND));
  sut.wait_for_next_wait(19 * GST_MSECOND);
  gst_harness_push_upstream_event(sut.get(),
                                  gst_event_new_latency(90 * GST_MSECOND));
  sut.wait_for_next_wait(release_of(0));  // a larger one is not used up
  gst_harness_push_upstream_event(sut.get(), gst_event_new_latency(0));
  sut.wait_for_next_wait(release_of(0));  // 0 says nothing
}

TEST(Time, AnotherBudgetMovesTheDueTime) {
  Gate gate;
  gate.hold(0);
  Live sut(gate);
  sut.push(0);
  gate.wait_until_held(0);
  ASSERT_EQ(sut.next_wait(), release_of(0));
  g_object_set(sut.element(), "latency-budget", guint64{60 * GST_MSECOND},
               nullptr);
  sut.wait_for_next_wait(release_of(0) + 30 * GST_MSECOND);
}

TEST(Time, OutsidePlayingNothingIsDue) {
  Gate gate;
  gate.hold(0);
  Live sut(gate);
  sut.push(0);
  gate.wait_until_held(0);
  ASSERT_EQ(sut.next_wait(), release_of(0));
  sut.set_state(GST_STATE_PAUSED);
  sut.wait_for_no_wait();
  sut.set_time(GST_SECOND);
  EXPECT_FALSE(sut.has_output());
  // As a pipeline does: the pause does not count as running time.
  gst_element_set_base_time(sut.element(), GST_SECOND);
  sut.set_state(GST_STATE_PLAYING);
  EXPECT_EQ(sut.next_wait(), GST_SECOND + release_of(0));
  sut.crank();
  EXPECT_EQ(sut.pull_number(), 0U);
}

TEST(Time, AFrameFromBeforePlayingIsNotLate) {
  Gate gate;
  gate.hold(0);
  Live sut(gate);
  sut.set_state(GST_STATE_PAUSED);
  sut.push(0);
  gate.wait_until_held(0);
  sut.set_time(GST_SECOND);
  sut.set_state(GST_STATE_PLAYING);
  EXPECT_EQ(sut.pull_number(), 0U);
  sut.wait_for_stat("bypassed", 1);
  EXPECT_EQ(sut.stats()["causes.arrived-late"], 0U);
  EXPECT_EQ(sut.stats()["causes.overdue-running"], 1U);
}

TEST(Time, AFrameWithoutTimestampIsWaitedFor) {
  Gate gate;
  gate.hold(0);
  Live sut(gate);
  BufferPtr frame = numbered_buffer(0);
  GST_BUFFER_PTS(frame.get()) = GST_CLOCK_TIME_NONE;
  sut.push(std::move(frame));
  gate.wait_until_held(0);
  sut.set_time(GST_SECOND);
  EXPECT_EQ(pending_waits(sut), 0U);
  gate.open();
  EXPECT_EQ(sut.pull_number(), 0U);
  sut.wait_for_stat("applied", 1);
}

TEST(Time, TheDecodingTimestampCounts) {
  Gate gate;
  gate.hold(4);
  Live sut(gate);
  BufferPtr frame = numbered_buffer(4);
  GST_BUFFER_DTS(frame.get()) = 2 * kFrameDuration;
  sut.push(std::move(frame));
  gate.wait_until_held(4);
  EXPECT_EQ(sut.next_wait(), release_of(2));
}

TEST(Time, RunningTimeFollowsTheSegment) {
  Gate gate;
  gate.hold(100);
  Live sut(gate);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.start = segment.time = 99 * kFrameDuration;
  sut.push_event(gst_event_new_segment(&segment));
  sut.push(100);
  gate.wait_until_held(100);
  EXPECT_EQ(sut.next_wait(), release_of(1));
}

TEST(Time, AFlushEndsTheWaitForADueTime) {
  Gate gate;
  gate.hold(0);
  Live sut(gate);
  sut.push(0);
  gate.wait_until_held(0);
  sut.next_wait();
  sut.flush();
  EXPECT_EQ(sut.stats()["causes.flush"], 1U);
  sut.push(1);
  EXPECT_EQ(sut.pull_number(), 1U);
}

TEST(Time, StoppingEndsTheWaitForADueTime) {
  Gate gate;
  gate.hold(0);
  Live sut(gate);
  sut.push(0);
  gate.wait_until_held(0);
  sut.next_wait();
  sut.set_state(GST_STATE_NULL);
  EXPECT_EQ(pending_waits(sut), 0U);
}

// ---- What it tells ---------------------------------------------------------

TEST(Time, EachSubstituteIsToldByAQosMessage) {
  Gate gate;
  gate.hold(1);
  gate.hold(2);
  Live sut(gate);
  sut.push(0);
  sut.pull();
  sut.wait_for_stat("applied", 1);
  sut.push_range(1, 3);
  gate.wait_until_holding(2);
  ASSERT_EQ(sut.next_wait(), release_of(1));
  sut.pass_time_to(release_of(2));
  sut.pull_numbers(2);
  for (std::uint64_t i = 1; i < 3; ++i) {
    const MessagePtr message = sut.messages().wait(GST_MESSAGE_QOS);
    gboolean is_live = FALSE;
    guint64 running = 0;
    guint64 stream = 0;
    guint64 timestamp = 0;
    guint64 duration = 0;
    gst_message_parse_qos(message.get(), &is_live, &running, &stream,
                          &timestamp, &duration);
    EXPECT_TRUE(is_live);
    EXPECT_EQ(running, i * kFrameDuration);
    EXPECT_EQ(stream, i * kFrameDuration);
    EXPECT_EQ(timestamp, i * kFrameDuration);
    EXPECT_EQ(duration, kFrameDuration);
    GstFormat format = GST_FORMAT_UNDEFINED;
    guint64 processed = 0;
    guint64 dropped = 0;
    gst_message_parse_qos_stats(message.get(), &format, &processed, &dropped);
    EXPECT_EQ(format, GST_FORMAT_BUFFERS);
    EXPECT_EQ(processed, 1U);
    EXPECT_EQ(dropped, i);
  }
}

TEST(Time, TheStageSeesTheDueTimeAndNobodyElseDoes) {
  Gate gate;
  gate.hold(1);
  Live sut(gate, "", kAnyCaps, "spy ! gate");
  const auto now = [] {
    return std::chrono::steady_clock::now().time_since_epoch() /
           std::chrono::nanoseconds(1);
  };
  const std::int64_t before = now();
  sut.push(0);
  const std::int64_t after = now();
  const BufferPtr applied = sut.pull();
  const Spied seen = spied_until(sut.messages(), "0").back();
  constexpr auto kSlack = static_cast<std::int64_t>(kUpstream + kBudget);
  EXPECT_GE(seen.due_ns, before + kSlack);
  EXPECT_LE(seen.due_ns, after + kSlack);
  EXPECT_EQ(stage::due_time_of(applied.get()), nullptr);
  sut.push(1);
  gate.wait_until_held(1);
  sut.crank();
  EXPECT_EQ(stage::due_time_of(sut.pull().get()), nullptr) << "bypassed";
}

TEST(Time, AStageSeesNoDueTimeWhereThereIsNone) {
  Harness sut("stage=spy max-workers=2");
  sut.push_range(0, 4);
  sut.pull_numbers(4);
  for (int frames = 0; frames < 4;) {
    const Spied seen = next_spied(sut.messages());
    if (!seen.is_frame) continue;
    EXPECT_EQ(seen.due_ns, -1);
    ++frames;
  }
}

// ---- Copies of originals ---------------------------------------------------

// Pushes and pulls `count` frames one by one; whether all had their own bytes.
bool pass_one_by_one(Harness& sut, std::uint64_t count) {
  bool is_own = true;
  for (std::uint64_t i = 0; i < count; ++i) {
    sut.push(sut.frame(i));
    is_own = has_own_bytes(sut.pull().get()) && is_own;
    sut.wait_for_stat("applied", i + 1);
  }
  return is_own;
}

TEST(Time, OriginalsAreCopiedForAStageThatWritesInPlace) {
  Gate gate;
  Live sut(gate, "", kVideoCaps, "teststage writes=true");
  EXPECT_FALSE(pass_one_by_one(sut, 10)) << "the stage inverts them";
  // A thread looks what the stage does with the first one; a process cannot
  // write to any.
  const std::uint64_t copies = has_threads() ? 9 : 10;
  EXPECT_EQ(sut.stats()["copies"], copies);
  EXPECT_EQ(sut.stats()["copied-bytes"], copies * kFrameBytes);
}

// Decoders pad their pictures; a copy without its strides is garbage.
TEST(Time, ACopyOfAnOriginalIsLaidOutLikeIt) {
  Gate gate;
  Live sut(gate, "", kVideoCaps, "teststage writes=true");
  gsize offsets[GST_VIDEO_MAX_PLANES] = {4};
  gint strides[GST_VIDEO_MAX_PLANES] = {12};
  for (std::uint64_t i = 0; i < 3; ++i) {
    BufferPtr frame = sut.frame(i);
    gst_buffer_add_video_meta_full(frame.get(), GST_VIDEO_FRAME_FLAG_NONE,
                                   GST_VIDEO_FORMAT_GRAY8, 4, 4, 1, offsets,
                                   strides);
    sut.push(std::move(frame));
    const BufferPtr result = sut.pull();
    const GstVideoMeta* meta = gst_buffer_get_video_meta(result.get());
    ASSERT_NE(meta, nullptr) << "frame " << i;
    EXPECT_EQ(meta->offset[0], offsets[0]);
    EXPECT_EQ(meta->stride[0], strides[0]);
  }
}

TEST(Time, AStageThatWritesInPlaceDoesNotTouchTheOriginal) {
  Gate gate;
  Live sut(gate, "", kVideoCaps, "teststage writes=true ! gate");
  pass_one_by_one(sut, 4);
  gate.hold(4);
  sut.push(4);
  gate.wait_until_held(4);
  sut.crank();
  EXPECT_TRUE(has_own_bytes(sut.pull().get()));
}

TEST(Time, AStageThatMakesNewBuffersIsTriedOnce) {
  Gate gate;
  Live sut(gate, "", kVideoCaps, "videoflip method=rotate-180");
  pass_one_by_one(sut, 20);
  EXPECT_LE(sut.stats()["copies"], 1U) << "to see that it does not write";
}

TEST(Time, AStageThatOnlyReadsCostsNoCopy) {
  Gate gate;
  Live sut(gate, "", kVideoCaps);
  EXPECT_TRUE(pass_one_by_one(sut, 10));
  EXPECT_EQ(sut.stats()["copies"], 0U);
}

TEST(Time, NoOtherPolicyThanBypassCopies) {
  ONLY_THREADS("a process never writes to the frame, but to a copy");
  for (const char* policy : {"repeat", "drop", "wait"}) {
    Gate gate;
    Live sut(gate, std::string("late-policy=") + policy, kVideoCaps,
             "teststage writes=true");
    pass_one_by_one(sut, 10);
    EXPECT_EQ(sut.stats()["copies"], 0U) << policy;
  }
}

TEST(Time, WithoutDueTimesNothingIsCopied) {
  ONLY_THREADS("a process never writes to the frame, but to a copy");
  Harness sut("stage=\"teststage writes=true\" max-workers=2",
              {.caps = kVideoCaps});
  pass_one_by_one(sut, 10);
  EXPECT_EQ(sut.stats()["copies"], 0U);
}

// ---- Latency ---------------------------------------------------------------

struct Latency {
  bool is_live = false;
  GstClockTime min = 0;
  GstClockTime max = 0;
};

Latency latency_of(GstPad* pad) {
  const QueryPtr query(gst_query_new_latency());
  gboolean is_live = FALSE;
  Latency latency;
  EXPECT_TRUE(gst_pad_peer_query(pad, query.get()));
  gst_query_parse_latency(query.get(), &is_live, &latency.min, &latency.max);
  latency.is_live = is_live != FALSE;
  return latency;
}

// Upstream answers 5 ms at least, and at most `max`.
void answer_latency(Harness& sut, GstClockTime max) {
  gst_pad_add_probe(
      sut.get()->srcpad,
      static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_QUERY_UPSTREAM |
                                   GST_PAD_PROBE_TYPE_PUSH),
      [](GstPad*, GstPadProbeInfo* info, gpointer its_max) {
        GstQuery* query = GST_PAD_PROBE_INFO_QUERY(info);
        if (GST_QUERY_TYPE(query) != GST_QUERY_LATENCY) return GST_PAD_PROBE_OK;
        gst_query_set_latency(query, TRUE, kUpstream,
                              *static_cast<GstClockTime*>(its_max));
        return GST_PAD_PROBE_HANDLED;
      },
      new GstClockTime(max),
      [](gpointer its_max) { delete static_cast<GstClockTime*>(its_max); });
}

TEST(Time, TheBudgetIsAddedToTheLatencyAndConstantUnderLoad) {
  Gate gate;
  gate.hold_all();
  Live sut(gate);
  GstPad* pad = sut.get()->sinkpad;
  EXPECT_EQ(latency_of(pad).min, kUpstream + kBudget);
  sut.push_range(0, 6);
  gate.wait_until_holding(2);
  EXPECT_EQ(latency_of(pad).min, kUpstream + kBudget);
  sut.next_wait();
  sut.pass_time_to(release_of(5));
  sut.pull_numbers(6);
  EXPECT_EQ(latency_of(pad).min, kUpstream + kBudget);
  EXPECT_TRUE(latency_of(pad).is_live);
}

TEST(Time, AnUnlimitedMaximumStaysUnlimited) {
  Gate gate;
  Live sut(gate);
  EXPECT_EQ(latency_of(sut.get()->sinkpad).max, GST_CLOCK_TIME_NONE);
}

TEST(Time, TheMaximumGrowsByTheWindow) {
  Gate gate;
  Live sut(gate, "max-buffers=7");
  answer_latency(sut, 8 * GST_MSECOND);
  EXPECT_EQ(latency_of(sut.get()->sinkpad).max,
            8 * GST_MSECOND + 7 * kFrameDuration);
}

TEST(Time, TheMaximumGrowsByTheBudgetAtLeast) {
  Gate gate;
  Live sut(gate, "max-buffers=1");
  answer_latency(sut, 8 * GST_MSECOND);
  EXPECT_EQ(latency_of(sut.get()->sinkpad).max, 8 * GST_MSECOND + kBudget);
}

TEST(Time, TheAutomaticWindowCoversTheBudget) {
  Gate gate;
  Live sut(gate, "latency-budget=500000000");
  sut.push(0);
  sut.pull();
  // 50 frame durations, and one frame for each worker.
  EXPECT_EQ(sut.stats()["max-buffers"], 52U);
}

TEST(Time, AnAutomaticBudgetIsThreeFramesAndIsToldWhenItChanges) {
  Harness sut("stage=identity max-workers=2", {.is_live = true});
  EXPECT_EQ(sut.stats()["latency-budget"], 3 * kFrameDuration);
  EXPECT_EQ(latency_of(sut.get()->sinkpad).min, 3 * kFrameDuration);
  sut.messages().count(GST_MESSAGE_LATENCY);
  gst_harness_set_src_caps_str(sut.get(), "application/x-test,framerate=50/1");
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_LATENCY), 1U);
  EXPECT_EQ(latency_of(sut.get()->sinkpad).min, 6 * kFrameDuration);
  gst_harness_set_src_caps_str(
      sut.get(), "application/x-test,framerate=50/1,something=else");
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_LATENCY), 0U);
}

TEST(Time, AnAutomaticBudgetWithoutAFrameRateIsATenthOfASecond) {
  Harness sut("stage=identity max-workers=2",
              {.is_live = true, .caps = "application/x-test"});
  EXPECT_EQ(sut.stats()["latency-budget"], 100 * GST_MSECOND);
}

TEST(Time, ANewBudgetIsTold) {
  Gate gate;
  Live sut(gate);
  sut.messages().count(GST_MESSAGE_LATENCY);
  g_object_set(sut.element(), "latency-budget", guint64{50 * GST_MSECOND},
               nullptr);
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_LATENCY), 1U);
  EXPECT_EQ(latency_of(sut.get()->sinkpad).min, kUpstream + 50 * GST_MSECOND);
  g_object_set(sut.element(), "latency-budget", guint64{50 * GST_MSECOND},
               nullptr);
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_LATENCY), 0U) << "no news";
}

// ---- One budget for a path -------------------------------------------------

// What the elements between source and sink add to the latency of a live
// pipeline of 30 frames per second.
GstClockTime added_by(const std::string& elements) {
  const auto latency = [](const std::string& between) {
    Pipeline pipeline(
        "videotestsrc is-live=true ! "
        "video/x-raw,format=GRAY8,width=8,height=8,framerate=30/1 ! " +
        between + " ! fakesink name=sink sync=true");
    Gate sink;
    sink.attach_to_pad(pipeline.pad("sink", "sink").get());
    pipeline.set_state(GST_STATE_PLAYING);
    sink.wait_until_seen(1);
    const QueryPtr query(gst_query_new_latency());
    EXPECT_TRUE(gst_element_query(pipeline.get(), query.get()));
    GstClockTime min = 0;
    gst_query_parse_latency(query.get(), nullptr, &min, nullptr);
    return min;
  };
  return latency(elements) - latency("identity");
}

constexpr GstClockTime kThreeFrames = 3 * (GST_SECOND / 30);

TEST(Time, TwoElementsOnAPathShareOneAutomaticBudget) {
  const std::string one = under_test("stage=identity max-workers=1");
  EXPECT_EQ(added_by(one), kThreeFrames);
  const GstClockTime two = added_by(one + " ! " + one);
  EXPECT_LE(two, kThreeFrames);
  EXPECT_GE(two, kThreeFrames - 2) << "a part is rounded down";
}

TEST(Time, ThreeElementsApartShareOneAutomaticBudget) {
  const std::string one = under_test("stage=identity max-workers=1");
  const GstClockTime three =
      added_by(one + " ! queue ! " + one + " ! identity ! " + one);
  EXPECT_LE(three, kThreeFrames);
  EXPECT_GE(three, kThreeFrames - 3);
}

TEST(Time, AnElementWithABudgetOfItsOwnSharesNothing) {
  const std::string one = under_test("stage=identity max-workers=1");
  EXPECT_EQ(added_by(one + " ! " + one + " latency-budget=7000000"),
            kThreeFrames + 7 * GST_MSECOND);
}

}  // namespace
}  // namespace dispatch::test
