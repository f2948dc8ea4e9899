// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/restart_policy.h"

#include <gtest/gtest.h>

#include <vector>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;
using std::chrono_literals::operator""s;

constexpr MonotonicTime at(Duration time) { return MonotonicTime(time); }

RestartPolicy limited_to(unsigned limit) {
  RestartPolicy sut;
  sut.set_limit(limit);
  return sut;
}

// A worker that has done nothing dies.
RestartPolicy::Verdict die(RestartPolicy& sut, MonotonicTime now) {
  return sut.on_death(now, /*was_useful=*/false);
}

// The delays of workers that die the moment they have been started.
std::vector<Duration> delays_of_a_loop(RestartPolicy& sut, int deaths) {
  std::vector<Duration> delays;
  MonotonicTime now = at(1s);
  for (int i = 0; i < deaths; ++i) {
    const MonotonicTime start = die(sut, now).not_before;
    delays.push_back(start - now);
    now = start;
  }
  return delays;
}

TEST(RestartPolicy, FirstDeathIsReplacedAtOnce) {
  RestartPolicy sut;
  const RestartPolicy::Verdict verdict = die(sut, at(7s));
  EXPECT_TRUE(verdict.may_restart);
  EXPECT_EQ(verdict.not_before, at(7s));
}

TEST(RestartPolicy, DeathSoonAfterAnotherWaits) {
  RestartPolicy sut;
  die(sut, at(7s));
  EXPECT_EQ(die(sut, at(7500ms)).not_before, at(7550ms));
}

TEST(RestartPolicy, DeathLongAfterAnotherIsReplacedAtOnce) {
  RestartPolicy sut;
  die(sut, at(7s));
  EXPECT_EQ(die(sut, at(7500ms + 1ns)).not_before, at(7500ms + 1ns));
}

TEST(RestartPolicy, DelayDoublesUpToFiveSecondsInALoop) {
  RestartPolicy sut = limited_to(100);
  const std::vector<Duration> expected = {
      0ms, 50ms, 100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5s, 5000ms, 5s};
  EXPECT_EQ(delays_of_a_loop(sut, 11), expected);
}

TEST(RestartPolicy, LifeIsCountedFromTheReplacementNotFromTheDeath) {
  RestartPolicy sut = limited_to(100);
  delays_of_a_loop(sut, 6);  // the last delay was 800 ms, until 2550 ms
  EXPECT_EQ(die(sut, at(2550ms + 500ms)).not_before, at(3050ms + 1600ms));
}

TEST(RestartPolicy, DeathAfterALongLifeEndsTheDelays) {
  RestartPolicy sut = limited_to(100);
  delays_of_a_loop(sut, 6);
  EXPECT_EQ(die(sut, at(3051ms)).not_before, at(3051ms));
  EXPECT_EQ(die(sut, at(3052ms)).not_before, at(3102ms));
}

TEST(RestartPolicy, WorkersThatDieTogetherComeBackOneAfterTheOther) {
  RestartPolicy sut;
  EXPECT_EQ(die(sut, at(1s)).not_before, at(1s));
  EXPECT_EQ(die(sut, at(1s)).not_before, at(1050ms));
  EXPECT_EQ(die(sut, at(1s)).not_before, at(1100ms));
}

TEST(RestartPolicy, AsManyDeathsAsTheLimitAreReplaced) {
  RestartPolicy sut = limited_to(2);
  EXPECT_TRUE(die(sut, at(1s)).may_restart);
  EXPECT_TRUE(die(sut, at(10s)).may_restart);
  EXPECT_FALSE(sut.is_exhausted());
  EXPECT_FALSE(die(sut, at(20s)).may_restart);
  EXPECT_TRUE(sut.is_exhausted());
}

TEST(RestartPolicy, LimitOfZeroMakesTheFirstDeathTheEnd) {
  RestartPolicy sut = limited_to(0);
  EXPECT_FALSE(sut.is_exhausted());
  EXPECT_FALSE(die(sut, at(1s)).may_restart);
  EXPECT_TRUE(sut.is_exhausted());
}

TEST(RestartPolicy, ResultBetweenDeathsStartsTheCountAnew) {
  RestartPolicy sut = limited_to(1);
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(die(sut, at(i * 1s)).may_restart) << i;
    sut.on_result();
  }
  EXPECT_FALSE(sut.is_exhausted());
}

TEST(RestartPolicy, ResultDoesNotShortenTheDelay) {
  RestartPolicy sut;
  die(sut, at(1s));
  sut.on_result();
  EXPECT_EQ(die(sut, at(1010ms)).not_before, at(1060ms));
}

TEST(RestartPolicy, ResultAfterTheEndChangesNothing) {
  RestartPolicy sut = limited_to(0);
  die(sut, at(1s));
  sut.on_result();
  EXPECT_TRUE(sut.is_exhausted());
  EXPECT_FALSE(die(sut, at(9s)).may_restart);
}

TEST(RestartPolicy, ResetForgetsTheDeathsAndKeepsTheLimit) {
  RestartPolicy sut = limited_to(1);
  die(sut, at(1s));
  die(sut, at(1s));
  sut.reset();
  EXPECT_FALSE(sut.is_exhausted());
  EXPECT_EQ(die(sut, at(1s)).not_before, at(1s));
  EXPECT_FALSE(die(sut, at(1s)).may_restart);
}

TEST(RestartPolicy, OneThatWasUsefulIsReplacedAtOnceHoweverSoon) {
  RestartPolicy sut;
  die(sut, at(1s));
  EXPECT_EQ(sut.on_death(at(1001ms), /*was_useful=*/true).not_before,
            at(1001ms));
}

TEST(RestartPolicy, OneThatWasUsefulWaitsForTheDelayOfOthersAndNoLonger) {
  RestartPolicy sut;
  die(sut, at(1s));
  die(sut, at(1s));
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(sut.on_death(at(1010ms), /*was_useful=*/true).not_before,
              at(1050ms));
  EXPECT_EQ(die(sut, at(1060ms)).not_before, at(1160ms));
}

}  // namespace
}  // namespace dispatch::core
