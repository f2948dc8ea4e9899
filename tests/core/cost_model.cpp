// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/cost_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;

constexpr Duration kFrame = 33ms;

// Frames one after the other, each begun when it comes.
class Course {
 public:
  explicit Course(
      const std::vector<std::optional<Duration>>& seeds = {std::nullopt},
      std::shared_ptr<SharedSlowdown> shared = nullptr)
      : sut(seeds, std::move(shared)) {}

  void measure(unsigned level, Duration cost, int frames = 1) {
    for (int i = 0; i < frames; ++i) {
      sut.on_measured(level, cost, now + cost);
      now += std::max(kFrame, cost);
    }
  }
  Duration expected(unsigned level = 0) const {
    return sut.forecast(level, now).median;
  }
  CostModel::Forecast forecast(unsigned level = 0) const {
    return sut.forecast(level, now);
  }

  CostModel sut;
  RunningTime now{};
};

void expect_near(Duration value, Duration wanted, double share = 0.05) {
  EXPECT_NEAR(static_cast<double>(value.count()),
              static_cast<double>(wanted.count()),
              share * static_cast<double>(wanted.count()));
}

TEST(CostModel, KnowsNothingAtFirst) {
  const Course course;
  EXPECT_FALSE(course.sut.is_known(0));
  EXPECT_FALSE(course.sut.measured_at(0));
  EXPECT_EQ(course.expected(), 0ms);
}

TEST(CostModel, ASeedIsBelievedUntilSomethingIsMeasured) {
  Course course({20ms});
  EXPECT_TRUE(course.sut.is_known(0));
  expect_near(course.expected(), 20ms, 0.01);
  course.measure(0, 90ms);  // gets ready: not counted
  expect_near(course.expected(), 20ms, 0.01);
  course.measure(0, 40ms);
  expect_near(course.expected(), 40ms, 0.01);
}

TEST(CostModel, TheFirstCostCountsUntilThereIsASecond) {
  Course course;
  course.measure(0, 90ms);
  expect_near(course.expected(), 90ms, 0.01);
  course.measure(0, 20ms);
  expect_near(course.expected(), 20ms, 0.01);
}

TEST(CostModel, AJobThatIsOverdueIsBetterThanNothing) {
  Course course;
  course.sut.on_overrun(0, 66ms, course.now + 66ms);
  EXPECT_TRUE(course.sut.is_known(0));
  expect_near(course.expected(), 66ms, 0.01);
}

TEST(CostModel, OneSpikeDoesNotMoveTheExpectation) {
  Course course;
  course.measure(0, 20ms, 30);
  course.measure(0, 120ms);
  expect_near(course.expected(), 20ms, 0.1);
}

TEST(CostModel, AShiftIsFollowedWithinTwoFrames) {
  Course course;
  course.measure(0, 20ms, 30);
  course.measure(0, 40ms, 2);
  EXPECT_GT(course.expected(), 28ms);
  course.measure(0, 40ms, 4);
  expect_near(course.expected(), 40ms, 0.12);
}

TEST(CostModel, AShiftBackIsFollowedWithinTwoFrames) {
  Course course;
  course.measure(0, 20ms, 30);
  course.measure(0, 60ms, 30);
  course.measure(0, 20ms);
  EXPECT_TRUE(course.sut.may_be_cheaper());
  course.measure(0, 20ms);
  EXPECT_LT(course.expected(), 35ms);
}

TEST(CostModel, WhereSpikesAreFrequentTwoOfThemAreNoShift) {
  Course course;
  for (int i = 0; i < 15; ++i) {
    course.measure(0, 20ms, 9);
    course.measure(0, 120ms);
  }
  course.measure(0, 120ms);
  EXPECT_LT(course.expected(), 30ms);
}

TEST(CostModel, SpikesAreInTheDistribution) {
  Course course;
  for (int i = 0; i < 10; ++i) {
    course.measure(0, 20ms, 8);
    course.measure(0, 120ms);
  }
  course.measure(0, 20ms);
  const double in_time = course.forecast().in_time(60ms);
  EXPECT_GE(in_time, 0.8);
  EXPECT_LT(in_time, 1.0);
  EXPECT_GT(course.forecast().quantile(0.95), 60ms);
}

TEST(CostModel, LearnsHowLongADeviationLasts) {
  std::mt19937 chance(1);
  std::normal_distribution<> noise;
  Course lasting;
  Course chancy;
  double x = 0;
  for (int i = 0; i < 400; ++i) {
    x = 0.95 * x + 0.1 * noise(chance);
    const auto cost = [](double log) {
      return std::chrono::duration_cast<Duration>(20ms * std::exp(log));
    };
    lasting.measure(0, cost(x));
    chancy.measure(0, cost(0.32 * noise(chance)));
  }
  // The same spread, but the next frame is like the last one.
  EXPECT_LT(lasting.sut.error(), 0.6 * chancy.sut.error());
}

TEST(CostModel, WhatIsExpectedCoversWhatComes) {
  std::mt19937 chance(1);
  std::normal_distribution<> noise;
  Course course;
  for (int i = 0; i < 300; ++i)
    course.measure(0, std::chrono::duration_cast<Duration>(
                          20ms * std::exp(0.2 * noise(chance))));
  EXPECT_GT(course.sut.coverage(), 0.88);
  EXPECT_LE(course.sut.coverage(), 1.0);
}

TEST(CostModel, ASlowdownIsSharedByAllLevels) {
  Course course({std::nullopt, std::nullopt});
  course.measure(0, 20ms, 8);
  course.measure(1, 8ms, 8);
  course.measure(0, 20ms, 8);
  course.measure(1, 16ms, 6);
  EXPECT_GT(course.expected(0), 32ms);
  EXPECT_GT(course.sut.slowdown(), 1.5);
}

TEST(CostModel, ALevelThatCostNothingAndDoesNowIsNoSlowdown) {
  for (const Duration nothing : {Duration(0), Duration(5us), Duration(50us)})
    for (const int frames : {1, 3, 100}) {
      Course course({std::nullopt, 1ms});
      course.measure(0, nothing, frames);
      for (int i = 0; i < 10; ++i) {
        course.measure(0, 100ms);
        EXPECT_LT(course.forecast(1).quantile(1), 2ms) << frames << " " << i;
      }
      expect_near(course.expected(0), 100ms);
      EXPECT_NEAR(course.sut.slowdown(), 1, 0.05);
    }
}

TEST(CostModel, LessThanACostIsAllTheSame) {
  Course course;
  course.measure(0, 40us, 30);
  course.measure(0, 1us, 5);
  expect_near(course.expected(), 50us, 0.01);
  EXPECT_FALSE(course.sut.may_be_cheaper());
}

TEST(CostModel, OneSpikeOfAStageThatCostsNothingIsForgotten) {
  Course course;
  course.measure(0, 10us, 30);
  course.measure(0, 20ms);
  course.measure(0, 10us, 4);
  EXPECT_LT(course.expected(), 100us);
}

TEST(CostModel, ALevelThatIsNotKnownCostsHalfOfTheOneAbove) {
  Course course({std::nullopt, std::nullopt, std::nullopt});
  course.measure(0, 20ms, 8);
  EXPECT_FALSE(course.sut.is_known(1));
  expect_near(course.expected(1), 10ms);
  expect_near(course.expected(2), 5ms);
}

TEST(CostModel, ALevelThatWasSlowToGetReadyIsTriedAgain) {
  Course course({std::nullopt, std::nullopt});
  course.measure(0, 20ms, 8);
  course.measure(1, 90ms);
  expect_near(course.expected(1), 10ms);
}

TEST(CostModel, ALevelCostsLessThanTheOneAbove) {
  Course course({std::nullopt, std::nullopt});
  course.measure(0, 20ms, 8);
  // Dearer than the full stage was: everything has become slower.
  course.measure(1, 40ms, 3);
  EXPECT_GT(course.expected(0), 30ms);
}

TEST(CostModel, ALevelThatTurnsOutCheaperIsBelievedToBe) {
  Course course({std::nullopt, std::nullopt});
  course.measure(0, 60ms, 8);
  course.measure(1, 8ms, 20);
  for (int i = 0; i < 6; ++i) {
    course.measure(0, 20ms);
    course.measure(1, 8ms, 4);
  }
  EXPECT_LT(course.expected(0), 35ms);
  expect_near(course.expected(1), 8ms, 0.2);
}

TEST(CostModel, JobsThatAreOverdueCountAtOnce) {
  Course course;
  course.measure(0, 20ms, 30);
  const Duration before = course.expected();
  const RunningTime begun = course.now;
  course.sut.on_overrun(0, 66ms, begun + 66ms);
  course.now = begun + 70ms;
  expect_near(course.expected(), before, 0.1);  // one is a spike
  course.sut.on_overrun(0, 60ms, begun + 80ms);
  course.now = begun + 90ms;
  EXPECT_GT(course.expected(), 28ms);  // two are a shift
}

TEST(CostModel, WhatWasOverdueIsForgottenOnceItIsDone) {
  Course course;
  course.measure(0, 20ms, 30);
  const RunningTime begun = course.now;
  course.sut.on_overrun(0, 66ms, begun + 66ms);
  course.sut.on_measured(0, 70ms, begun + 70ms);
  course.now = begun + 75ms;
  // Twice the same one would be a shift.
  expect_near(course.expected(), 20ms, 0.1);
}

TEST(CostModel, AJobThatIsGivenUpCountsOnceAndGrowsNoMore) {
  Course course;
  course.measure(0, 20ms, 30);
  const RunningTime begun = course.now;
  course.sut.on_overrun(0, 30ms, begun + 30ms);
  course.sut.on_overrun(0, 36ms, begun + 36ms);
  course.now = begun + 36ms;
  const Duration expected = course.expected();
  expect_near(expected, 20ms, 0.1);
  course.now += 400ms;
  EXPECT_EQ(course.expected(), expected);
}

TEST(CostModel, AGuessGrowsWithTheJobsThatTookLonger) {
  Course course;
  course.sut.on_overrun(0, 66ms, course.now + 66ms);
  course.sut.on_overrun(0, 120ms, course.now + 120ms);
  expect_near(course.expected(), 120ms, 0.01);
  course.sut.on_overrun(0, 66ms, course.now + 200ms);
  expect_near(course.expected(), 120ms, 0.01);
}

TEST(CostModel, AHangDoesNotCountOnceALaterJobIsDone) {
  Course course;
  course.measure(0, 20ms, 30);
  course.sut.on_overrun(0, 66ms, course.now);
  course.sut.on_overrun(0, 60ms, course.now);
  course.now += 100ms;
  course.measure(0, 20ms, 3);
  course.now += 10ms;
  expect_near(course.expected(), 20ms, 0.1);
}

TEST(CostModel, ExpectationsFallWhileNothingIsMeasured) {
  Course course;
  course.measure(0, 90ms, 20);
  course.now += 400ms;
  expect_near(course.expected(), 90ms);
  course.now += 1s;
  EXPECT_LT(course.expected(), 60ms);
}

// What had not been measured for an hour is not thought to cost nothing, nor is
// what it costs then a surprise without end.
TEST(CostModel, ALongSilenceIsNoEndOfWhatWasKnown) {
  Course course;
  course.measure(0, 45ms, 100);
  course.now += std::chrono::hours(1);
  EXPECT_GT(course.expected(), 4ms);
  course.measure(0, 45ms, 5);
  for (int frame = 0; frame < 100; ++frame) {
    course.measure(0, 45ms);
    expect_near(course.expected(), 45ms, 0.1);
  }
}

TEST(CostModel, AfterASilenceOfAnyLengthACalmStageIsKnownAtOnce) {
  for (const Duration silence : {10s, 60s, 600s}) {
    Course course;
    course.measure(0, 20ms, 100);
    course.now += silence;
    EXPECT_LE(course.forecast().quantile(1), 20ms);
    EXPECT_GT(course.expected(), 0ms);
    course.measure(0, 20ms);
    for (int i = 0; i < 100; ++i) {
      expect_near(course.expected(), 20ms);
      expect_near(course.forecast().quantile(1), 20ms);
      course.measure(0, 20ms);
    }
  }
}

TEST(CostModel, TheFirstCostAfterASilenceSaysHowFarExpectationsFell) {
  for (const Duration silence : {10s, 60s, 600s}) {
    Course course;
    course.measure(0, 20ms, 30);
    course.measure(0, 100ms, 30);
    course.now += silence;
    course.measure(0, 20ms);
    expect_near(course.expected(), 20ms);
    EXPECT_FALSE(course.sut.may_be_cheaper());
  }
}

TEST(CostModel, ASpikeAfterASilenceIsOneBesideWhatWasLearned) {
  Course course;
  course.measure(0, 20ms, 30);
  course.now += 60s;
  course.measure(0, 120ms);
  expect_near(course.expected(), 20ms, 0.1);
}

TEST(CostModel, WhatFadedAndIsConfirmedIsToldToTheOthers) {
  const auto shared = std::make_shared<SharedSlowdown>();
  Course course({std::nullopt}, shared);
  Course other({std::nullopt}, shared);
  course.measure(0, 20ms, 20);
  other.measure(0, 10ms, 20);
  course.measure(0, 60ms, 20);
  other.measure(0, 30ms, 20);
  course.now += 60s;
  course.measure(0, 20ms);
  EXPECT_LT(other.expected(), 15ms);
}

TEST(CostModel, NewCapsReplaceWhatWasKnown) {
  Course course;
  course.measure(0, 20ms, 30);
  course.sut.on_caps();
  expect_near(course.expected(), 20ms);
  EXPECT_FALSE(course.sut.measured_at(0));
  course.measure(0, 200ms);  // gets ready
  expect_near(course.expected(), 20ms);
  course.measure(0, 50ms);
  expect_near(course.expected(), 50ms);
}

TEST(CostModel, SaysWhenALevelWasMeasured) {
  Course course;
  course.measure(0, 20ms);
  EXPECT_EQ(course.sut.measured_at(0), RunningTime(20ms));
}

TEST(CostModel, WhileItMeasuresNothingItFollowsTheOthers) {
  const auto shared = std::make_shared<SharedSlowdown>();
  Course course({std::nullopt}, shared);
  Course other({std::nullopt}, shared);
  course.measure(0, 20ms, 20);
  other.measure(0, 10ms, 20);
  other.measure(0, 20ms, 10);
  EXPECT_GT(course.expected(), 30ms);
  // Its own costs tell it more.
  course.measure(0, 20ms, 3);
  EXPECT_LT(course.expected(), 24ms);
}

TEST(SharedSlowdown, IsTheMeanOfTheOthers) {
  SharedSlowdown sut;
  sut.join();
  EXPECT_EQ(sut.of_others(0), 0);
  sut.join();
  sut.join();
  sut.add(0.3);
  sut.add(0.1);
  EXPECT_DOUBLE_EQ(sut.of_others(0), 0.2);
  EXPECT_DOUBLE_EQ(sut.of_others(0.3), 0.05);
}

TEST(SharedSlowdown, WhoLeavesTakesItsPartAlong) {
  SharedSlowdown sut;
  sut.join();
  sut.join();
  sut.add(0.3);
  sut.leave(0.3);
  EXPECT_DOUBLE_EQ(sut.of_others(0), 0);
}

}  // namespace
}  // namespace dispatch::core
