// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/service_cost.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""us;

void finish(ServiceCost& sut, int frames, Duration service) {
  for (int i = 0; i < frames; ++i) sut.on_finished(service);
}

TEST(ServiceCost, IsUnknownAtFirst) {
  EXPECT_FALSE(ServiceCost().per_frame());
  EXPECT_FALSE(ServiceCost().is_known_well());
}

TEST(ServiceCost, IsTheMeanOfFramesThatDifferALittle) {
  ServiceCost sut;
  finish(sut, 8, 10ms);
  finish(sut, 4, 20ms);
  finish(sut, 4, 10ms);
  EXPECT_EQ(sut.per_frame(), 12500us);
}

TEST(ServiceCost, FrameThatStallsCountsAsThreeOrdinaryOnes) {
  ServiceCost sut;
  finish(sut, 8, 10ms);
  finish(sut, 1, 1400ms);
  finish(sut, 7, 10ms);
  EXPECT_EQ(sut.per_frame(), 11250us);
}

TEST(ServiceCost, RisesWithTheThirdDearFrame) {
  ServiceCost sut;
  finish(sut, 16, 10ms);
  finish(sut, 2, 80ms);
  EXPECT_LT(sut.per_frame(), 15ms);
  finish(sut, 1, 80ms);
  EXPECT_EQ(sut.per_frame(), 80ms);
}

TEST(ServiceCost, FallsWithinSixteenFrames) {
  ServiceCost sut;
  finish(sut, 16, 80ms);
  finish(sut, 4, 10ms);
  EXPECT_GT(sut.per_frame(), 60ms);
  finish(sut, 12, 10ms);
  EXPECT_EQ(sut.per_frame(), 10ms);
}

TEST(ServiceCost, IsSteadyUnlessTheLastFramesDiffer) {
  ServiceCost sut;
  finish(sut, 7, 10ms);
  EXPECT_FALSE(sut.is_steady());
  finish(sut, 1, 10ms);
  EXPECT_TRUE(sut.is_steady());
  finish(sut, 4, 14ms);
  EXPECT_TRUE(sut.is_steady());
  finish(sut, 4, 30ms);
  EXPECT_FALSE(sut.is_steady());
  finish(sut, 16, 30ms);
  EXPECT_TRUE(sut.is_steady());
  finish(sut, 4, 10ms);
  EXPECT_FALSE(sut.is_steady());
}

}  // namespace
}  // namespace dispatch::core
