// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/slack_value.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

SlackValue::Option always(double cost, double utility = 1) {
  SlackValue::Option option;
  option.utility = utility;
  option.costs.fill(cost);
  return option;
}

// One in four takes `dear`.
SlackValue::Option mostly(double cost, double dear) {
  SlackValue::Option option = always(cost);
  for (std::size_t i = SlackValue::kPoints * 3 / 4; i < SlackValue::kPoints;
       ++i)
    option.costs.at(i) = dear;
  return option;
}

SlackValue settled(const std::vector<SlackValue::Option>& options,
                   const SlackValue::Terms& terms) {
  SlackValue sut;
  for (int i = 0; i < 200; ++i) sut.improve(options, terms);
  return sut;
}

// Of frames worth so much each, for ever.
double all(double worth) { return worth / (1 - 0.9); }

TEST(SlackValue, WhatFitsAlwaysIsWorthItsUtilityForEver) {
  const auto option = always(0.5);
  const SlackValue sut = settled({option}, {});
  EXPECT_NEAR(sut.of_level(option, 2), all(1), 0.01);
}

TEST(SlackValue, WhatNeverFitsIsWorthNoMoreThanSkipping) {
  const auto option = always(5);
  const SlackValue sut = settled({option}, {});
  EXPECT_NEAR(sut.of_skip(2), all(0.2), 0.01);
  EXPECT_LE(sut.of_level(option, 2), sut.of_skip(2) + 0.01);
}

TEST(SlackValue, ALevelThatFitsIsTakenInAnOverloadToo) {
  const auto option = always(1.12);
  const SlackValue sut = settled({option}, {});
  EXPECT_GT(sut.of_level(option, 2), sut.of_skip(2));
  EXPECT_GT(sut.of_level(option, 1.2), sut.of_skip(1.2));
}

// A frame that comes with less slack than there is between two frames.
TEST(SlackValue, FramesFarApartAreWorthWhatTheyAre) {
  for (const double fresh : {0.05, 0.1, 0.5}) {
    SlackValue::Terms terms;
    terms.fresh = fresh;
    const auto option = always(fresh / 2);
    const SlackValue sut = settled({option}, terms);
    EXPECT_NEAR(sut.of_level(option, fresh), all(1), 0.5) << fresh;
  }
}

TEST(SlackValue, WhatCannotBeDoneInTimeIsSkipped) {
  const auto option = always(1.12);
  const SlackValue sut = settled({option}, {});
  EXPECT_GT(sut.of_skip(1.0), sut.of_level(option, 1.0) + 0.1);
}

TEST(SlackValue, AFrameWithAPoorChanceIsSparedForTheNextOnes) {
  // Fits in one of four cases, and costs the next frame its chance.
  SlackValue::Option option = always(1.4);
  for (std::size_t i = 0; i < SlackValue::kPoints / 4; ++i)
    option.costs.at(i) = 1.0;
  const SlackValue sut = settled({option}, {});
  EXPECT_GT(sut.of_skip(1.2), sut.of_level(option, 1.2));
  EXPECT_GT(sut.of_level(option, 2), sut.of_skip(2));
}

TEST(SlackValue, MoreSlackIsNeverWorthLess) {
  const auto option = mostly(0.7, 3);
  const SlackValue sut = settled({option}, {});
  double last = 0;
  for (double slack = 0; slack <= 2; slack += 0.05) {
    EXPECT_GE(sut.of_skip(slack), last - 1e-6) << slack;
    last = sut.of_skip(slack);
  }
}

TEST(SlackValue, ACheapLevelSparesTimeForTheNextFrames) {
  const auto full = always(1.6);
  const auto lite = always(0.4, 0.6);
  const SlackValue sut = settled({full, lite}, {});
  // Both fit. After the full one the next frame fits the lite one only.
  EXPECT_GT(sut.of_level(full, 2), sut.of_level(lite, 2));
  EXPECT_GT(sut.of_level(lite, 1.5), sut.of_level(full, 1.5));
  EXPECT_GT(sut.of_level(lite, 1.5), sut.of_skip(1.5));
}

TEST(SlackValue, MoreWorkersAreFreeSooner) {
  const auto option = always(1.6);
  SlackValue::Terms terms;
  const SlackValue one = settled({option}, terms);
  terms.workers = 2;
  const SlackValue two = settled({option}, terms);
  EXPECT_GT(two.of_level(option, 2), one.of_level(option, 2) + 1);
  EXPECT_NEAR(two.of_level(option, 2), all(1), 0.01);
}

TEST(SlackValue, WithoutRescueALateFrameHasAPrice) {
  const auto option = mostly(0.7, 2.5);
  SlackValue::Terms terms;
  const SlackValue with = settled({option}, terms);
  terms.can_rescue = false;
  const SlackValue cheap = settled({option}, terms);
  terms.miss_price = 3;
  const SlackValue dear = settled({option}, terms);
  EXPECT_GT(with.of_level(option, 2), cheap.of_level(option, 2));
  EXPECT_GT(cheap.of_level(option, 2), dear.of_level(option, 2));
  EXPECT_GT(dear.of_skip(2), dear.of_level(option, 2));
}

TEST(SlackValue, FollowsNewCostsWithinAFewSweeps) {
  const auto cheap = always(0.5);
  const auto dear = always(5);
  SlackValue sut = settled({cheap}, {});
  for (int i = 0; i < 60; ++i) sut.improve({dear}, {});
  EXPECT_NEAR(sut.of_skip(2), all(0.2), 0.1);
}

TEST(SlackValue, AnyBudgetIsPossible) {
  for (const double fresh : {0.0, 0.3, 1.2, 30.0, 1000.0}) {
    SlackValue::Terms terms;
    terms.fresh = fresh;
    const SlackValue sut = settled({always(0.2)}, terms);
    EXPECT_GE(sut.of_skip(fresh), 0.2) << fresh;
    EXPECT_LE(sut.of_skip(fresh), all(1) + 0.01) << fresh;
    EXPECT_GE(sut.of_skip(-1000), 0.2) << fresh;
  }
}

}  // namespace
}  // namespace dispatch::core
