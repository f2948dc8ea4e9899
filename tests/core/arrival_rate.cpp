// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/arrival_rate.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;

constexpr MonotonicTime at(Duration time) { return MonotonicTime(time); }

// The time of the last of `frames`, the first of which comes at `from`.
Duration feed(ArrivalRate& sut, int frames, Duration from, Duration interval) {
  for (int i = 0; i < frames; ++i) sut.on_arrival(at(from + i * interval));
  return from + (frames - 1) * interval;
}

TEST(ArrivalRate, OneFrameHasNone) {
  ArrivalRate sut;
  EXPECT_FALSE(sut.last());
  EXPECT_EQ(sut.per_second(at(0s)), 0);
  sut.on_arrival(at(1s));
  EXPECT_EQ(sut.per_second(at(1s)), 0);
  EXPECT_EQ(sut.last(), at(1s));
}

TEST(ArrivalRate, IsThatOfTheFrames) {
  ArrivalRate sut;
  const Duration now = feed(sut, 100, 0s, 20ms);
  EXPECT_DOUBLE_EQ(sut.per_second(at(now)), 50);
}

TEST(ArrivalRate, FollowsAChangeWithinEightFrames) {
  ArrivalRate sut;
  const Duration then = feed(sut, 100, 0s, 20ms);
  const Duration now = feed(sut, 8, then + 40ms, 40ms);
  EXPECT_DOUBLE_EQ(sut.per_second(at(now)), 25);
}

TEST(ArrivalRate, FallsWhileNothingComes) {
  ArrivalRate sut;
  const Duration now = feed(sut, 100, 0s, 20ms);
  EXPECT_DOUBLE_EQ(sut.per_second(at(now + 20ms)), 50);
  EXPECT_DOUBLE_EQ(sut.per_second(at(now + 200ms)), 25);
  EXPECT_LT(sut.per_second(at(now + 10s)), 1);
}

TEST(ArrivalRate, BeginsAnewAfterAGap) {
  ArrivalRate sut;
  feed(sut, 100, 0s, 20ms);
  const Duration now = feed(sut, 6, 60s, 20ms);
  EXPECT_DOUBLE_EQ(sut.per_second(at(now)), 50);
}

TEST(ArrivalRate, FramesThatComeAtOnceAreNoHighRate) {
  ArrivalRate sut;
  const Duration now = feed(sut, 9, 0s, 100us);
  EXPECT_DOUBLE_EQ(sut.per_second(at(now)), 80);
}

TEST(ArrivalRate, HighRateIsSeenThatLasts) {
  ArrivalRate sut;
  const Duration now = feed(sut, 128, 0s, 100us);
  EXPECT_DOUBLE_EQ(sut.per_second(at(now)), 10000);
}

}  // namespace
}  // namespace dispatch::core
