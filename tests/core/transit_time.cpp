// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/transit_time.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

using std::chrono::milliseconds;

constexpr Duration kTotal = milliseconds(100);
constexpr Duration kBudget = milliseconds(60);

RunningTime at(int ms) { return RunningTime(milliseconds(ms)); }

// A frame each 33 ms that leaves `slack` before it is to be shown and takes
// `transit`.
void pass(TransitTime& time, int frames, Duration slack, Duration transit) {
  for (int i = 0; i < frames; ++i) {
    const RunningTime r = at(33 * i);
    time.on_departure(r, r + kTotal - slack);
    time.on_qos(r, transit - slack, kTotal);
  }
}

TEST(TransitTime, IsNothingWithoutQos) {
  TransitTime time;
  time.on_departure(at(0), at(50));
  EXPECT_EQ(time.reserve(kBudget), Duration::zero());
}

TEST(TransitTime, IsWhatLateFramesTook) {
  TransitTime time;
  pass(time, 40, milliseconds(5), milliseconds(12));
  EXPECT_EQ(time.reserve(kBudget), milliseconds(12));
}

TEST(TransitTime, IsNotRaisedByFramesThatWaitForTheirTime) {
  TransitTime time;
  pass(time, 40, milliseconds(30), milliseconds(28));
  EXPECT_EQ(time.reserve(kBudget), Duration::zero());
}

TEST(TransitTime, FallsWhenTheWayGetsShorter) {
  TransitTime time;
  pass(time, 64, milliseconds(5), milliseconds(12));
  pass(time, 64, milliseconds(12), milliseconds(4));
  EXPECT_EQ(time.reserve(kBudget), milliseconds(4));
}

TEST(TransitTime, AFewLongOnesAreNotTheRule) {
  TransitTime time;
  pass(time, 61, milliseconds(5), milliseconds(6));
  pass(time, 3, milliseconds(5), milliseconds(50));
  EXPECT_EQ(time.reserve(kBudget), milliseconds(6));
}

TEST(TransitTime, NeverTakesMoreThanHalfOfTheBudget) {
  TransitTime time;
  pass(time, 40, milliseconds(5), milliseconds(80));
  EXPECT_EQ(time.reserve(kBudget), kBudget / 2);
}

TEST(TransitTime, LeavesOutWhatIsNotPlausible) {
  TransitTime time;
  time.on_departure(at(0), at(95));
  time.on_qos(at(0), milliseconds(-72'000'000), kTotal);  // before it left
  time.on_qos(at(0), milliseconds(500), kTotal);  // longer than the latency
  time.on_qos(at(7), milliseconds(10), kTotal);   // of no frame of ours
  EXPECT_EQ(time.reserve(kBudget), Duration::zero());
}

// An overflow is what the sanitizers find.
TEST(TransitTime, LeavesOutAJitterThatNoTimeCanBe) {
  TransitTime time;
  for (const Duration left : {milliseconds(95), milliseconds(300)}) {
    time.on_departure(at(0), RunningTime(left));
    time.on_qos(at(0), Duration::max(), kTotal);
    time.on_qos(at(0), Duration::min(), kTotal);
  }
  EXPECT_EQ(time.reserve(kBudget), Duration::zero());
}

TEST(TransitTime, IsAlsoWhatFramesTookThatLeftTooLate) {
  TransitTime time;
  pass(time, 40, milliseconds(-200), milliseconds(12));
  EXPECT_EQ(time.reserve(kBudget), milliseconds(12));
}

TEST(TransitTime, IsForgottenByAReset) {
  TransitTime time;
  pass(time, 40, milliseconds(5), milliseconds(12));
  time.reset();
  EXPECT_EQ(time.reserve(kBudget), Duration::zero());
}

}  // namespace
}  // namespace dispatch::core
