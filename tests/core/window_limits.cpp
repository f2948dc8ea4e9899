// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/window_limits.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;

WindowInputs inputs_of(unsigned workers, Duration budget,
                       std::optional<Duration> frame_duration) {
  WindowInputs inputs;
  inputs.workers = workers;
  inputs.budget = budget;
  inputs.frame_duration = frame_duration;
  return inputs;
}

TEST(WindowLimits, AutomaticFramesAreFourForEachWorker) {
  EXPECT_EQ(decide_window(inputs_of(1, 0ms, 40ms)).frames, 4U);
  EXPECT_EQ(decide_window(inputs_of(3, 0ms, 40ms)).frames, 12U);
}

TEST(WindowLimits, AutomaticFramesCoverTheBudgetAndOneForEachWorker) {
  EXPECT_EQ(decide_window(inputs_of(2, 400ms, 40ms)).frames, 12U);
}

TEST(WindowLimits, FrameThatIsPartlyWithinTheBudgetCountsAsWhole) {
  EXPECT_EQ(decide_window(inputs_of(2, 400ms + 1ns, 40ms)).frames, 13U);
}

TEST(WindowLimits, AutomaticFramesNeverFallBelowFourForEachWorker) {
  EXPECT_EQ(decide_window(inputs_of(2, 240ms, 40ms)).frames, 8U);
  EXPECT_EQ(decide_window(inputs_of(2, 200ms, 40ms)).frames, 8U);
}

TEST(WindowLimits, AutomaticFramesWithoutAFrameRateAreFourForEachWorker) {
  EXPECT_EQ(decide_window(inputs_of(2, 4000ms, {})).frames, 8U);
}

TEST(WindowLimits, FrameDurationOfZeroIsNoFrameRate) {
  EXPECT_EQ(decide_window(inputs_of(2, 4000ms, 0ns)).frames, 8U);
}

TEST(WindowLimits, LargestAutomaticWindowIsReached) {
  EXPECT_EQ(decide_window(inputs_of(2, 254ms, 1ms)).frames, 256U);
}

TEST(WindowLimits, AutomaticFramesForABudgetAreBounded) {
  EXPECT_EQ(decide_window(inputs_of(2, 255ms, 1ms)).frames, 256U);
  EXPECT_EQ(decide_window(inputs_of(2, 3600000ms, 1ns)).frames, 256U);
}

TEST(WindowLimits, NamedFramesAreTakenAsTheyAre) {
  WindowInputs inputs = inputs_of(4, 400ms, 40ms);
  inputs.max_frames = 1;
  EXPECT_EQ(decide_window(inputs).frames, 1U);
  inputs.max_frames = 5000;
  EXPECT_EQ(decide_window(inputs).frames, 5000U);
}

TEST(WindowLimits, AutomaticBytesAre256MiB) {
  EXPECT_EQ(decide_window(inputs_of(1, 0ms, 40ms)).bytes, 268435456U);
}

TEST(WindowLimits, NamedBytesAreTakenAsTheyAre) {
  WindowInputs inputs = inputs_of(1, 0ms, 40ms);
  inputs.max_bytes = 1;
  EXPECT_EQ(decide_window(inputs).bytes, 1U);
}

TEST(WindowLimits, NamedBytesLeaveTheFramesAutomatic) {
  WindowInputs inputs = inputs_of(2, 0ms, 40ms);
  inputs.max_bytes = 1;
  EXPECT_EQ(decide_window(inputs).frames, 8U);
}

constexpr WindowLimits kEightFrames{.frames = 8, .bytes = 1000};

TEST(WindowLimits, FrameWithRoomIsAdmitted) {
  EXPECT_TRUE(may_admit(kEightFrames, 7, 700, 100, 1));
}

TEST(WindowLimits, FrameBeyondTheFramesWaits) {
  EXPECT_FALSE(may_admit(kEightFrames, 8, 700, 100, 1));
}

TEST(WindowLimits, FrameThatFillsTheBytesIsAdmitted) {
  EXPECT_TRUE(may_admit(kEightFrames, 2, 900, 100, 1));
}

TEST(WindowLimits, FrameBeyondTheBytesWaits) {
  EXPECT_FALSE(may_admit(kEightFrames, 2, 900, 101, 1));
}

TEST(WindowLimits, OneFrameMayAlwaysEnterHoweverLarge) {
  EXPECT_TRUE(may_admit(kEightFrames, 0, 0, 5000, 1));
}

TEST(WindowLimits, SecondFrameThatIsTooLargeWaits) {
  EXPECT_FALSE(may_admit(kEightFrames, 1, 5000, 5000, 1));
}

TEST(WindowLimits, SeveralFramesThatAlwaysMayEnterHoweverLarge) {
  EXPECT_TRUE(may_admit(kEightFrames, 2, 10000, 5000, 3));
}

TEST(WindowLimits, OneMoreThanThoseThatAlwaysMayWaits) {
  EXPECT_FALSE(may_admit(kEightFrames, 3, 15000, 5000, 3));
}

TEST(WindowLimits, FramesThatAlwaysMayEnterAreBoundedByTheFrames) {
  const WindowLimits limits{.frames = 2, .bytes = 1000};
  EXPECT_FALSE(may_admit(limits, 2, 10000, 5000, 3));
}

TEST(WindowLimits, FrameWithoutBytesIsBoundedByTheFramesAlone) {
  EXPECT_TRUE(may_admit(kEightFrames, 7, 1000, 0, 1));
  EXPECT_FALSE(may_admit(kEightFrames, 8, 1000, 0, 1));
}

}  // namespace
}  // namespace dispatch::core
