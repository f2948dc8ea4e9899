// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/latency_budget.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;

TEST(LatencyBudget, OneElementGetsThreeFrameDurations) {
  EXPECT_EQ(decide_automatic_budget(40ms, 1), 120ms);
}

TEST(LatencyBudget, OneElementWithoutAFrameRateGetsAHundredMilliseconds) {
  EXPECT_EQ(decide_automatic_budget({}, 1), 100ms);
}

TEST(LatencyBudget, ElementsOnThePathShareIt) {
  EXPECT_EQ(decide_automatic_budget(40ms, 3), 40ms);
}

TEST(LatencyBudget, ElementsOnThePathShareItWithoutAFrameRate) {
  EXPECT_EQ(decide_automatic_budget({}, 4), 25ms);
}

TEST(LatencyBudget, PartsAreRoundedDown) {
  EXPECT_EQ(decide_automatic_budget(33333333ns, 2), 49999999ns);
}

TEST(LatencyBudget, PartsNeverAddUpToMoreThanTheWhole) {
  for (unsigned elements = 1; elements <= 20; ++elements)
    EXPECT_LE(decide_automatic_budget(33366666ns, elements) * elements,
              100099998ns)
        << elements;
}

TEST(LatencyBudget, NoElementOnThePathCountsAsOne) {
  EXPECT_EQ(decide_automatic_budget(40ms, 0), 120ms);
}

TEST(LatencyBudget, MinimumGrowsByTheBudget) {
  const Latency own = add_own_latency({10ms, 20ms}, 66ms, 8, 40ms);
  EXPECT_EQ(own.min, 76ms);
}

TEST(LatencyBudget, MinimumGrowsByTheBudgetWhateverTheWindow) {
  const Latency own = add_own_latency({10ms, {}}, 66ms, 0, {});
  EXPECT_EQ(own.min, 76ms);
}

TEST(LatencyBudget, MaximumGrowsByTheFramesOfTheWindow) {
  const Latency own = add_own_latency({10ms, 20ms}, 66ms, 8, 40ms);
  EXPECT_EQ(own.max, 340ms);
}

TEST(LatencyBudget, UnlimitedMaximumStaysUnlimited) {
  const Latency own = add_own_latency({10ms, {}}, 66ms, 8, 40ms);
  EXPECT_EQ(own.max, std::nullopt);
}

TEST(LatencyBudget, MaximumWithoutAFrameRateGrowsByTheBudget) {
  const Latency own = add_own_latency({10ms, 20ms}, 66ms, 8, {});
  EXPECT_EQ(own.max, 86ms);
}

TEST(LatencyBudget, MaximumGrowsByTheBudgetWhereTheWindowIsShorter) {
  const Latency own = add_own_latency({10ms, 20ms}, 66ms, 1, 40ms);
  EXPECT_EQ(own.max, 86ms);
}

TEST(LatencyBudget, MaximumNeverFallsBelowTheMinimum) {
  for (unsigned window = 0; window < 5; ++window) {
    const Latency own = add_own_latency({10ms, 10ms}, 66ms, window, 40ms);
    EXPECT_GE(own.max, own.min) << window;
  }
}

TEST(LatencyBudget, NoBudgetLeavesTheMinimum) {
  const Latency own = add_own_latency({10ms, 20ms}, 0ms, 1, 40ms);
  EXPECT_EQ(own.min, 10ms);
  EXPECT_EQ(own.max, 60ms);
}

}  // namespace
}  // namespace dispatch::core
