// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/due_time.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;

constexpr RunningTime at(Duration time) { return RunningTime(time); }

// U = 10 ms, B = 66 ms: together 76 ms.
DueTimeInputs live_inputs() {
  DueTimeInputs inputs;
  inputs.is_live = true;
  inputs.upstream_latency = 10ms;
  inputs.budget = 66ms;
  return inputs;
}

DueTimeInputs playback_inputs() {
  DueTimeInputs inputs;
  inputs.deadlines = Deadlines::kAlways;
  inputs.budget = 66ms;
  inputs.total = 50ms;
  return inputs;
}

TEST(DueTime, LiveFrameIsDueAfterUpstreamLatencyAndBudget) {
  EXPECT_EQ(decide_due_time(at(100ms), live_inputs()), at(176ms));
}

TEST(DueTime, LiveFrameWithoutBudgetIsDueAfterUpstreamLatency) {
  DueTimeInputs inputs = live_inputs();
  inputs.budget = 0ms;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), at(110ms));
}

TEST(DueTime, NegativeRunningTimeGivesAnEarlierDueTime) {
  EXPECT_EQ(decide_due_time(at(-100ms), live_inputs()), at(-24ms));
}

TEST(DueTime, LatencyOfThePipelineBringsTheDueTimeForward) {
  DueTimeInputs inputs = live_inputs();
  inputs.total = 76ms - 1ns;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), at(176ms - 1ns));
}

TEST(DueTime, LatencyOfThePipelineNeverPutsTheDueTimeOff) {
  DueTimeInputs inputs = live_inputs();
  inputs.total = 76ms + 1ns;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), at(176ms));
}

TEST(DueTime, TransitDownstreamIsTakenFromTheLatencyOfThePipeline) {
  DueTimeInputs inputs = live_inputs();
  inputs.total = 80ms;
  inputs.downstream_transit = 5ms;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), at(175ms));
}

TEST(DueTime, TransitDownstreamAloneChangesNothing) {
  DueTimeInputs inputs = live_inputs();
  inputs.downstream_transit = 5ms;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), at(176ms));
}

TEST(DueTime, LatencyOfZeroCountsAsUnknown) {
  DueTimeInputs inputs = live_inputs();
  inputs.total = 0ns;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), at(176ms));
}

TEST(DueTime, LatencyOfOneNanosecondCountsAsKnown) {
  DueTimeInputs inputs = live_inputs();
  inputs.total = 1ns;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), at(100ms + 1ns));
}

TEST(DueTime, FrameThatIsNotLiveHasNone) {
  DueTimeInputs inputs = live_inputs();
  inputs.is_live = false;
  inputs.total = 50ms;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), std::nullopt);
}

TEST(DueTime, NeverHasNoneThoughUpstreamIsLive) {
  DueTimeInputs inputs = live_inputs();
  inputs.deadlines = Deadlines::kNever;
  inputs.total = 50ms;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), std::nullopt);
}

TEST(DueTime, AlwaysInPlaybackIsDueAfterTheLatencyOfThePipeline) {
  EXPECT_EQ(decide_due_time(at(100ms), playback_inputs()), at(150ms));
}

TEST(DueTime, AlwaysInPlaybackTakesOffTheTransitDownstream) {
  DueTimeInputs inputs = playback_inputs();
  inputs.downstream_transit = 20ms;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), at(130ms));
}

TEST(DueTime, AlwaysInPlaybackDoesNotUseTheBudget) {
  DueTimeInputs inputs = playback_inputs();
  inputs.budget = 1ms;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), at(150ms));
}

TEST(DueTime, AlwaysInPlaybackHasNoneWhileTheLatencyIsUnknown) {
  DueTimeInputs inputs = playback_inputs();
  inputs.total.reset();
  EXPECT_EQ(decide_due_time(at(100ms), inputs), std::nullopt);
}

TEST(DueTime, AlwaysInPlaybackHasNoneWithALatencyOfZero) {
  DueTimeInputs inputs = playback_inputs();
  inputs.total = 0ns;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), std::nullopt);
}

TEST(DueTime, AlwaysInALivePipelineIsAsLive) {
  DueTimeInputs inputs = live_inputs();
  inputs.deadlines = Deadlines::kAlways;
  EXPECT_EQ(decide_due_time(at(100ms), inputs), at(176ms));
}

TEST(DueTime, DueTimesApplyExactlyWhereAFrameHasOne) {
  for (const Deadlines deadlines :
       {Deadlines::kAuto, Deadlines::kAlways, Deadlines::kNever})
    for (const bool is_live : {false, true})
      for (const std::optional<Duration>& total :
           {std::optional<Duration>(), std::optional<Duration>(0ns),
            std::optional<Duration>(50ms)}) {
        DueTimeInputs inputs = live_inputs();
        inputs.deadlines = deadlines;
        inputs.is_live = is_live;
        inputs.total = total;
        EXPECT_EQ(due_times_apply(inputs),
                  decide_due_time(at(0ms), inputs).has_value())
            << "deadlines " << static_cast<int>(deadlines) << ", live "
            << is_live << ", latency " << (total ? total->count() : -1);
      }
}

TEST(DueTime, DueTimesApplyToLiveFrames) {
  EXPECT_TRUE(due_times_apply(live_inputs()));
}

TEST(DueTime, DueTimesDoNotApplyToFiles) {
  EXPECT_FALSE(due_times_apply(DueTimeInputs()));
}

}  // namespace
}  // namespace dispatch::core
