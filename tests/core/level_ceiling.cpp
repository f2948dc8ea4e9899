// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/level_ceiling.h"

#include <gtest/gtest.h>

#include <string>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using State = LevelCeiling::State;
using Why = LevelCeiling::Why;
using Culprit = LevelCeiling::Culprit;

constexpr Duration kFrame = 33ms;

// A loop on its own clock, with a frame every 33 ms.
class Course {
 public:
  explicit Course(unsigned levels = 2) : sut(levels, 0.01) {
    outlook.has_due_time = outlook.is_known = outlook.fits = true;
    outlook.interval = kFrame;
  }

  void run(Duration time) {
    for (const RunningTime end = now + time; now < end; now += kFrame) look();
  }
  void look() {
    outlook.now = now;
    sut.on_outlook(outlook);
    SkipDeparture left = departure;
    left.now = now;
    if (leaves) sut.on_left(left);
  }
  // Into kDegraded, with ceiling 1.
  void degrade() {
    outlook.fits = false;
    run(1100ms);
  }

  LevelCeiling sut;
  LevelCeiling::Outlook outlook;
  SkipDeparture departure{{}, 0, false, false, false, {}};
  bool leaves = true;
  RunningTime now{};
};

TEST(LevelCeiling, BeginsWithTheFullStage) {
  Course course;
  EXPECT_EQ(course.sut.state(), State::kWarmUp);
  EXPECT_EQ(course.sut.why(), Why::kBeginning);
  EXPECT_EQ(course.sut.ceiling(), 0U);
  EXPECT_EQ(course.sut.culprit(), Culprit::kNobody);
}

TEST(LevelCeiling, EverythingHasAName) {
  for (unsigned i = 0; i <= static_cast<unsigned>(State::kStalled); ++i)
    EXPECT_NE(to_string(static_cast<State>(i)), std::string("?"));
  for (unsigned i = 0; i <= static_cast<unsigned>(Why::kStuck); ++i)
    EXPECT_NE(to_string(static_cast<Why>(i)), std::string("?"));
  for (unsigned i = 0; i <= static_cast<unsigned>(Culprit::kUpstream); ++i)
    EXPECT_NE(to_string(static_cast<Culprit>(i)), std::string("?"));
}

TEST(LevelCeiling, WarmsUpUntilTheCostIsKnown) {
  Course course;
  course.outlook.is_known = false;
  course.run(1s);
  EXPECT_EQ(course.sut.state(), State::kWarmUp);
  course.outlook.is_known = true;
  course.look();
  EXPECT_EQ(course.sut.state(), State::kNormal);
  EXPECT_EQ(course.sut.why(), Why::kKnown);
  course.sut.on_caps();
  EXPECT_EQ(course.sut.state(), State::kWarmUp);
}

TEST(LevelCeiling, ABurstIsNoPressure) {
  Course course;
  course.outlook.fits = false;
  course.run(200ms);
  EXPECT_EQ(course.sut.state(), State::kNormal);
}

TEST(LevelCeiling, AStandingOverloadIsPressure) {
  Course course;
  course.outlook.fits = false;
  course.run(400ms);
  EXPECT_EQ(course.sut.state(), State::kPressure);
  EXPECT_EQ(course.sut.why(), Why::kStanding);
  EXPECT_EQ(course.sut.ceiling(), 0U);
  course.outlook.fits = true;
  course.look();
  EXPECT_EQ(course.sut.state(), State::kNormal);
  EXPECT_EQ(course.sut.why(), Why::kCalm);
}

TEST(LevelCeiling, LateFramesArePressure) {
  Course course;
  for (int i = 0; i < 40; ++i) {
    course.departure.is_late = i % 10 == 0;
    course.run(kFrame);
  }
  EXPECT_EQ(course.sut.state(), State::kPressure);
  EXPECT_EQ(course.sut.why(), Why::kMisses);
  EXPECT_EQ(course.sut.culprit(), Culprit::kStage);
  course.departure.is_late = false;
  course.run(2s);
  EXPECT_EQ(course.sut.state(), State::kNormal);
  EXPECT_EQ(course.sut.culprit(), Culprit::kNobody);
}

TEST(LevelCeiling, ALevelThatHasNotFittedForASecondIsClosed) {
  Course course;
  course.degrade();
  EXPECT_EQ(course.sut.state(), State::kDegraded);
  EXPECT_EQ(course.sut.why(), Why::kStanding);
  EXPECT_EQ(course.sut.ceiling(), 1U);
}

TEST(LevelCeiling, TheLastLevelIsNeverClosed) {
  Course one(1);
  one.outlook.fits = false;
  one.run(60s);
  EXPECT_EQ(one.sut.ceiling(), 0U);
  EXPECT_EQ(one.sut.state(), State::kPressure);
  Course three(3);
  three.outlook.fits = false;
  three.run(60s);
  EXPECT_EQ(three.sut.ceiling(), 2U);
}

TEST(LevelCeiling, OneLevelASecond) {
  Course course(3);
  course.outlook.fits = false;
  course.run(1900ms);
  EXPECT_EQ(course.sut.ceiling(), 1U);
  course.run(300ms);
  EXPECT_EQ(course.sut.ceiling(), 2U);
  EXPECT_EQ(course.sut.ceiling_changes(), 2U);
}

TEST(LevelCeiling, ALevelIsOpenedAsSoonAsItIsExpectedToFit) {
  Course course;
  course.degrade();
  course.outlook.fits = course.outlook.fits_above = true;
  course.look();
  EXPECT_EQ(course.sut.state(), State::kProbe);
  EXPECT_EQ(course.sut.why(), Why::kExpected);
  EXPECT_EQ(course.sut.ceiling(), 0U);
  course.outlook.fits_above = false;
  course.run(2100ms);
  EXPECT_EQ(course.sut.state(), State::kNormal);
  EXPECT_EQ(course.sut.why(), Why::kHeld);
}

TEST(LevelCeiling, ALevelOfSeveralThatHoldsIsStillDegraded) {
  Course course(3);
  course.outlook.fits = false;
  course.run(3s);
  course.outlook.fits = course.outlook.fits_above = true;
  course.look();
  course.outlook.fits_above = false;
  course.run(2100ms);
  EXPECT_EQ(course.sut.ceiling(), 1U);
  EXPECT_EQ(course.sut.state(), State::kDegraded);
  EXPECT_EQ(course.sut.why(), Why::kHeld);
}

// Expected to fit whenever it is closed, and does not when it is open.
unsigned changes_while_it_deceives(Course& course, Duration time) {
  const unsigned before = course.sut.ceiling_changes();
  for (const RunningTime end = course.now + time; course.now < end;) {
    course.outlook.fits = course.outlook.fits_above = course.sut.ceiling() > 0;
    course.run(kFrame);
  }
  return course.sut.ceiling_changes() - before;
}

TEST(LevelCeiling, ALevelThatDoesNotHoldIsOpenedLessAndLess) {
  Course course;
  course.degrade();
  const unsigned first = changes_while_it_deceives(course, 10s);
  changes_while_it_deceives(course, 60s);
  const unsigned later = changes_while_it_deceives(course, 30s);
  EXPECT_LE(first, 10U);
  EXPECT_GE(later, 1U);
  EXPECT_LE(later, 4U);
}

TEST(LevelCeiling, WhatDidNotHoldIsForgottenInTime) {
  Course course;
  course.degrade();
  changes_while_it_deceives(course, 30s);
  // Calm for long enough, and open.
  course.outlook.fits = course.outlook.fits_above = true;
  course.run(70s);
  EXPECT_EQ(course.sut.ceiling(), 0U);
  course.degrade();
  course.outlook.fits = course.outlook.fits_above = true;
  course.look();
  EXPECT_EQ(course.sut.ceiling(), 0U);
}

TEST(LevelCeiling, ASteadyOverloadChangesTheCeilingAtMostOnceASecond) {
  Course course(3);
  for (int i = 0; i < 1800; ++i) {
    course.outlook.fits = i % 3 == 0;
    course.outlook.fits_above = i % 7 == 0;
    course.run(kFrame);
  }
  EXPECT_LE(course.sut.ceiling_changes(), 60U);
}

TEST(LevelCeiling, WithoutDueTimesItLeavesEverythingAsItIs) {
  Course course;
  course.degrade();
  course.outlook.has_due_time = false;
  course.look();
  EXPECT_EQ(course.sut.state(), State::kOpaque);
  EXPECT_EQ(course.sut.why(), Why::kNoDueTime);
  course.outlook.has_due_time = true;
  course.look();
  EXPECT_EQ(course.sut.state(), State::kDegraded);
}

TEST(LevelCeiling, StalledUntilAWorkerIsThereAgain) {
  Course course;
  course.look();
  course.sut.on_stuck();
  EXPECT_EQ(course.sut.state(), State::kStalled);
  EXPECT_EQ(course.sut.why(), Why::kStuck);
  course.look();
  EXPECT_EQ(course.sut.state(), State::kNormal);
}

// Everything is late although nothing gets the full stage.
void shed_in_vain(Course& course, Duration blocked) {
  course.departure.level.reset();
  course.departure.is_late = true;
  course.departure.blocked = blocked;
  course.run(31 * kFrame);
}

TEST(LevelCeiling, WhenSheddingDoesNotHelpItIsUndone) {
  Course course;
  course.degrade();
  shed_in_vain(course, 50ms);
  EXPECT_EQ(course.sut.state(), State::kIneffective);
  EXPECT_EQ(course.sut.why(), Why::kNoUse);
  EXPECT_EQ(course.sut.ceiling(), 0U);
  EXPECT_EQ(course.sut.culprit(), Culprit::kDownstream);
}

TEST(LevelCeiling, WithoutBlockingTheStageIsToBlame) {
  Course course;
  shed_in_vain(course, 0ms);
  EXPECT_EQ(course.sut.state(), State::kIneffective);
  EXPECT_EQ(course.sut.culprit(), Culprit::kStage);
}

TEST(LevelCeiling, ABacklogThatLeavesAtOnceSaysNothing) {
  Course course;
  course.look();
  for (int i = 0; i < 60; ++i)
    course.sut.on_left({course.now, {}, true, false, false, {}});
  course.look();
  EXPECT_EQ(course.sut.state(), State::kNormal);
}

TEST(LevelCeiling, WhatHelpsIsNotUndone) {
  Course course;
  course.departure.is_late = true;
  course.run(15 * kFrame);  // all late
  course.departure.level.reset();
  for (int i = 0; i < 60; ++i) {
    course.departure.is_late = i % 2 == 0;  // half of them
    course.run(kFrame);
  }
  EXPECT_NE(course.sut.state(), State::kIneffective);
}

TEST(LevelCeiling, SheddingIsTriedAgainLaterEachTime) {
  Course course;
  shed_in_vain(course, 50ms);
  ASSERT_EQ(course.sut.state(), State::kIneffective);
  course.departure.level = 0;
  course.run(900ms);
  EXPECT_EQ(course.sut.state(), State::kIneffective);
  course.run(200ms);
  EXPECT_NE(course.sut.state(), State::kIneffective);
  course.departure.level.reset();
  course.run(45 * kFrame);
  ASSERT_EQ(course.sut.state(), State::kIneffective);
  course.departure.level = 0;
  course.run(1100ms);
  EXPECT_EQ(course.sut.state(), State::kIneffective);
}

TEST(LevelCeiling, IneffectiveEndsWhenNobodyIsLateAnyMore) {
  Course course;
  shed_in_vain(course, 50ms);
  course.departure = {{}, 0, false, false, false, {}};
  course.run(30 * kFrame);
  EXPECT_EQ(course.sut.state(), State::kNormal);
  EXPECT_EQ(course.sut.why(), Why::kCalm);
}

TEST(LevelCeiling, WhatCameLateIsNotOurFault) {
  Course course;
  course.departure.level.reset();
  course.departure.is_late = course.departure.arrived_late = true;
  course.run(5s);
  EXPECT_EQ(course.sut.state(), State::kNormal);
  EXPECT_EQ(course.sut.culprit(), Culprit::kUpstream);
  EXPECT_EQ(course.sut.miss_price(), LevelCeiling::kLowestPrice);
}

TEST(LevelCeiling, ThePriceOfALateFrameStaysWithinItsLimits) {
  Course course;
  EXPECT_EQ(course.sut.miss_price(), 1);
  course.departure.is_late = true;
  course.run(20 * kFrame);
  EXPECT_EQ(course.sut.miss_price(), LevelCeiling::kHighestPrice);
  course.departure.is_late = false;
  course.run(600 * kFrame);
  EXPECT_EQ(course.sut.miss_price(), LevelCeiling::kLowestPrice);
}

}  // namespace
}  // namespace dispatch::core
