// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/stall_policy.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

void finish(StallPolicy& sut, int frames, Duration service) {
  for (int i = 0; i < frames; ++i) sut.on_finished(service);
}

TEST(StallPolicy, NamedTimeIsTakenAsItIs) {
  StallPolicy sut;
  EXPECT_EQ(sut.timeout(5ms, true), 5ms);
  EXPECT_EQ(sut.timeout(5ms, false), 5ms);
  finish(sut, 10, 900ms);
  EXPECT_EQ(sut.timeout(5ms, true), 5ms);
}

TEST(StallPolicy, WithoutDueTimesNothingIsStuck) {
  StallPolicy sut;
  EXPECT_EQ(sut.timeout({}, false), std::nullopt);
  finish(sut, 10, 15ms);
  EXPECT_EQ(sut.timeout({}, false), std::nullopt);
}

TEST(StallPolicy, FirstFrameHasTenSeconds) {
  EXPECT_EQ(StallPolicy().timeout({}, true), 10s);
}

TEST(StallPolicy, CheapStageHasTwoSeconds) {
  StallPolicy sut;
  finish(sut, 1, 200ms);
  EXPECT_EQ(sut.timeout({}, true), 2s);
}

TEST(StallPolicy, DearStageHasTenTimesWhatItTakes) {
  StallPolicy sut;
  finish(sut, 1, 201ms);
  EXPECT_EQ(sut.timeout({}, true), 2010ms);
}

TEST(StallPolicy, SlowestOfFewFramesIsOrdinary) {
  StallPolicy sut;
  finish(sut, 98, 300ms);
  finish(sut, 1, 900ms);
  EXPECT_EQ(sut.timeout({}, true), 9s);
}

TEST(StallPolicy, SlowestOfAHundredFramesIsNot) {
  StallPolicy sut;
  finish(sut, 99, 300ms);
  finish(sut, 1, 900ms);
  EXPECT_EQ(sut.timeout({}, true), 3s);
}

TEST(StallPolicy, TwoSlowFramesOfAHundredAreOrdinary) {
  StallPolicy sut;
  finish(sut, 1, 900ms);
  finish(sut, 97, 300ms);
  finish(sut, 1, 800ms);
  finish(sut, 1, 300ms);
  EXPECT_EQ(sut.timeout({}, true), 8s);
}

TEST(StallPolicy, OldFramesAreForgotten) {
  StallPolicy sut;
  finish(sut, 128, 900ms);
  finish(sut, 126, 300ms);
  EXPECT_EQ(sut.timeout({}, true), 9s);
  finish(sut, 1, 300ms);
  EXPECT_EQ(sut.timeout({}, true), 3s);
}

TEST(StallPolicy, MeanIsThatOfTheFramesThatAreRemembered) {
  StallPolicy sut;
  EXPECT_EQ(sut.mean_service(), std::nullopt);
  finish(sut, 1, 10ms);
  finish(sut, 1, 30ms);
  EXPECT_EQ(sut.mean_service(), 20ms);
  finish(sut, 128, 40ms);
  EXPECT_EQ(sut.mean_service(), 40ms);
}

TEST(StallPolicy, ResetForgetsAllFrames) {
  StallPolicy sut;
  finish(sut, 10, 900ms);
  sut.reset();
  EXPECT_EQ(sut.timeout({}, true), 10s);
}

}  // namespace
}  // namespace dispatch::core
