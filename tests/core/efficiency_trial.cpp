// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/efficiency_trial.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using Verdict = EfficiencyTrial::Verdict;

void finish(EfficiencyTrial& sut, int frames, Duration service) {
  for (int i = 0; i < frames; ++i) sut.on_finished(service);
}

// Three workers, compared with two of whom a frame took 20 ms; the frames that
// these had begun have ended.
EfficiencyTrial third_worker() {
  EfficiencyTrial sut;
  sut.on_size(2, /*is_comparable=*/false);
  finish(sut, 12, 20ms);
  sut.on_size(3, /*is_comparable=*/true);
  finish(sut, 3, 20ms);
  return sut;
}

TEST(EfficiencyTrial, IsOpenUntilTheCostIsKnown) {
  EfficiencyTrial sut;
  sut.on_size(2, /*is_comparable=*/false);
  finish(sut, 5, 20ms);
  EXPECT_EQ(sut.verdict(), Verdict::kOpen);
  finish(sut, 1, 20ms);
  EXPECT_EQ(sut.verdict(), Verdict::kHelps);
}

TEST(EfficiencyTrial, WorkerThatLeavesTheCostAsItWasHelps) {
  EfficiencyTrial sut = third_worker();
  finish(sut, 3, 20ms);
  EXPECT_EQ(sut.verdict(), Verdict::kOpen);
  finish(sut, 1, 20ms);
  EXPECT_EQ(sut.verdict(), Verdict::kHelps);
}

TEST(EfficiencyTrial, WorkerThatMakesAllSlowerDoesNotHelp) {
  EfficiencyTrial sut = third_worker();
  finish(sut, 10, 30ms);
  EXPECT_EQ(sut.verdict(), Verdict::kOpen);
  finish(sut, 1, 30ms);
  EXPECT_EQ(sut.verdict(), Verdict::kDoesNotHelp);
}

TEST(EfficiencyTrial, ThirdOfAWorkerIsWorthHaving) {
  EfficiencyTrial helps = third_worker();
  finish(helps, 11, 26ms);  // 3 * 20 / 26 - 2 = 0.31
  EXPECT_EQ(helps.verdict(), Verdict::kHelps);
  EfficiencyTrial does_not = third_worker();
  finish(does_not, 11, 27ms);  // 0.22
  EXPECT_EQ(does_not.verdict(), Verdict::kDoesNotHelp);
}

TEST(EfficiencyTrial, FramesThatDifferTakeLongerToJudge) {
  EfficiencyTrial sut = third_worker();
  for (int i = 0; i < 8; ++i) {
    finish(sut, 1, 14ms);
    finish(sut, 1, 40ms);
  }
  EXPECT_EQ(sut.verdict(), Verdict::kOpen);
  for (int i = 0; i < 26; ++i) {
    finish(sut, 1, 14ms);
    finish(sut, 1, 40ms);
  }
  EXPECT_EQ(sut.verdict(), Verdict::kDoesNotHelp);
}

TEST(EfficiencyTrial, StepThatAnswersAChangeIsNotJudged) {
  EfficiencyTrial sut;
  finish(sut, 12, 10ms);
  sut.on_size(2, /*is_comparable=*/false);
  finish(sut, 200, 80ms);
  EXPECT_EQ(sut.verdict(), Verdict::kHelps);
}

TEST(EfficiencyTrial, VerdictIsWithdrawnWhereFramesStayDear) {
  EfficiencyTrial sut = third_worker();
  finish(sut, 11, 30ms);
  sut.on_step_back(2);
  finish(sut, 2 + 7, 30ms);
  EXPECT_FALSE(sut.was_wrong());
  finish(sut, 1, 30ms);
  EXPECT_TRUE(sut.was_wrong());
}

TEST(EfficiencyTrial, VerdictStandsWhereFramesBecomeCheapAgain) {
  EfficiencyTrial sut = third_worker();
  finish(sut, 11, 30ms);
  sut.on_step_back(2);
  finish(sut, 100, 20ms);
  EXPECT_FALSE(sut.was_wrong());
}

}  // namespace
}  // namespace dispatch::core
