// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/skip_policy.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;

constexpr RunningTime at(Duration time) { return RunningTime(time); }

SkipSettings two_rungs() {
  SkipSettings settings;
  settings.levels = {Level{}};
  return settings;
}

FrameOutlook outlook(Duration now, Duration slack) {
  FrameOutlook frame;
  frame.now = at(now);
  frame.slack = slack;
  frame.fresh_slack = 66ms;
  return frame;
}

TEST(SkipPolicy, AFrameWithoutADueTimeGetsTheFullStage) {
  SkipPolicy sut(two_rungs());
  sut.on_measured(0, 500ms, at(0ms));
  FrameOutlook frame = outlook(500ms, 66ms);
  frame.slack.reset();
  const LevelVerdict verdict = sut.decide(frame);
  EXPECT_EQ(verdict.level, 0U);
  EXPECT_EQ(verdict.reason, SkipReason::kNoDueTime);
}

TEST(SkipPolicy, WhatNothingIsKnownOfIsTried) {
  SkipPolicy sut(two_rungs());
  const LevelVerdict verdict = sut.decide(outlook(0ms, 66ms));
  EXPECT_EQ(verdict.level, 0U);
  EXPECT_EQ(verdict.reason, SkipReason::kWarmUp);
}

TEST(SkipPolicy, AFrameThatFitsGetsTheFullStage) {
  SkipPolicy sut(two_rungs());
  sut.on_measured(0, 20ms, at(20ms));
  const LevelVerdict verdict = sut.decide(outlook(33ms, 66ms));
  EXPECT_EQ(verdict.level, 0U);
  EXPECT_EQ(verdict.reason, SkipReason::kFits);
  EXPECT_EQ(verdict.predicted, 20ms);
}

TEST(SkipPolicy, AFrameThatDoesNotFitGetsNoStage) {
  SkipPolicy sut(two_rungs());
  sut.on_measured(0, 100ms, at(100ms));
  const LevelVerdict verdict = sut.decide(outlook(133ms, 20ms));
  EXPECT_FALSE(verdict.level);
  EXPECT_EQ(verdict.reason, SkipReason::kTooLate);
}

}  // namespace
}  // namespace dispatch::core
