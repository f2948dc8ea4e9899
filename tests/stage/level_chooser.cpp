// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/level_chooser.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace dispatch::test {
namespace {

using core::Duration;
using core::RunningTime;
using stage::find_costs;
using stage::LevelChooser;
using stage::SharedCosts;
using namespace std::chrono_literals;
using Ending = LevelChooser::Ending;

constexpr Duration kFrame = 33ms;

// Is only told apart from others.
class SomeWorker final : public stage::Worker {
 public:
  unsigned number() const override { return 0; }
  void submit(stage::Job) override { FAIL(); }
  void abandon(core::Sequence) override { FAIL(); }
  void flush() override { FAIL(); }
};

std::shared_ptr<SharedCosts> new_costs() {
  return std::make_shared<SharedCosts>(std::make_shared<core::CostModel>(
      std::vector<std::optional<Duration>>{std::nullopt}));
}

// One element with one level, and a helper.
struct Chooser {
  explicit Chooser(std::shared_ptr<SharedCosts> costs = new_costs())
      : sut({.skip = {.levels = {{}}},
             .bypass_utility = 0.2,
             .repeat_utility = 0.4},
            std::move(costs)) {
    sut.on_caps("some");
  }

  // A frame with so much slack comes; the stage takes `cost` if it gets it.
  // Whether it does.
  bool pass(Duration slack, Duration cost) {
    now += kFrame;
    sut.on_arrival(now, now, slack);
    const core::LevelVerdict verdict = choose(slack);
    if (!verdict.level) return false;
    sut.on_begun(worker, 0, now);
    sut.on_finished(worker, Ending::kDone, cost, now + cost);
    return true;
  }
  core::LevelVerdict choose(Duration slack) {
    return sut.choose(slack, /*workers=*/1, /*may_skip=*/true, now);
  }

  LevelChooser sut;
  SomeWorker worker;
  RunningTime now{};
};

TEST(LevelChooser, MeasuresFromTheBeginToTheEndOfAJob) {
  Chooser chooser;
  for (int i = 0; i < 20; ++i) chooser.pass(60ms, 20ms);
  EXPECT_NEAR(chooser.sut.facts().expected.at(0) / 1ms, 20, 1);
}

TEST(LevelChooser, MeasuresNothingWhileTimeStandsStill) {
  Chooser chooser;
  for (int i = 0; i < 20; ++i) chooser.pass(60ms, 20ms);
  chooser.sut.on_begun(chooser.worker, 0, std::nullopt);
  chooser.sut.on_finished(chooser.worker, Ending::kDone, 5s, chooser.now + 5s);
  chooser.sut.on_begun(chooser.worker, 0, chooser.now);
  chooser.sut.on_finished(chooser.worker, Ending::kDone, 5s, std::nullopt);
  chooser.choose(60ms);
  EXPECT_NEAR(chooser.sut.facts().expected.at(0) / 1ms, 20, 1);
}

TEST(LevelChooser, AnInterruptedJobIsNoCost) {
  Chooser chooser;
  for (int i = 0; i < 20; ++i) chooser.pass(60ms, 20ms);
  for (int i = 0; i < 5; ++i) {
    chooser.now += kFrame;
    chooser.sut.on_begun(chooser.worker, 0, chooser.now);
    chooser.sut.on_finished(chooser.worker, Ending::kInterrupted, 0ms,
                            chooser.now + 300ms);
  }
  chooser.choose(60ms);
  EXPECT_NEAR(chooser.sut.facts().expected.at(0) / 1ms, 20, 1);
}

TEST(LevelChooser, AJobOfEarlierCapsIsNoCostOfTheNewOnes) {
  Chooser chooser;
  for (int i = 0; i < 20; ++i) chooser.pass(60ms, 20ms);
  chooser.sut.on_begun(chooser.worker, 0, chooser.now);
  chooser.sut.on_caps("others");
  chooser.sut.on_finished(chooser.worker, Ending::kDone, 2s, chooser.now + 2s);
  chooser.choose(60ms);
  EXPECT_LT(chooser.sut.facts().expected.at(0), 100ms);
}

TEST(LevelChooser, SaysWhereFramesWentPastALevel) {
  Chooser chooser;
  chooser.choose(60ms);
  EXPECT_FALSE(chooser.sut.on_begun(chooser.worker, 0, chooser.now));
  chooser.sut.on_left({.sequence = 1}, std::nullopt, std::nullopt, chooser.now);
  chooser.choose(60ms);
  EXPECT_TRUE(chooser.sut.on_begun(chooser.worker, 0, chooser.now));
  chooser.choose(60ms);
  EXPECT_FALSE(chooser.sut.on_begun(chooser.worker, 0, chooser.now));
}

TEST(LevelChooser, GivesTheCheapestLevelWhereNoneMayBeSkipped) {
  Chooser chooser;
  for (int i = 0; i < 20; ++i) chooser.pass(60ms, 20ms);
  EXPECT_EQ(chooser.choose(-10ms).level, std::nullopt);
  EXPECT_EQ(chooser.sut.choose(-10ms, 1, /*may_skip=*/false, chooser.now).level,
            0U);
}

TEST(LevelChooser, TellsOfAnotherLevelOnce) {
  Chooser chooser;
  core::FrameRecord record{.sequence = 1, .action = core::Action::kBypassed};
  record.cause = core::Cause::kPredictedLate;
  const core::LevelVerdict verdict{.level = std::nullopt,
                                   .reason = core::SkipReason::kTooLate};
  for (int i = 0; i < 3; ++i)
    chooser.sut.on_left(record, verdict, 5ms, chooser.now);
  const auto news = chooser.sut.take_news();
  ASSERT_TRUE(news);
  EXPECT_EQ(news->from, 0U);
  EXPECT_EQ(news->to, 1U);
  EXPECT_EQ(news->reason, std::string("too-late"));
  EXPECT_EQ(news->slack, Duration(5ms));
  EXPECT_DOUBLE_EQ(news->utility, 0.2);
  EXPECT_FALSE(chooser.sut.take_news());
}

TEST(SharedCosts, AreTheSameForTheSameNameAsLongAsTheyAreUsed) {
  const auto costs = find_costs("a ladder", {std::nullopt});
  EXPECT_EQ(find_costs("a ladder", {std::nullopt}), costs);
  EXPECT_NE(find_costs("another", {std::nullopt}), costs);
  const std::weak_ptr<SharedCosts> gone = find_costs("third", {std::nullopt});
  EXPECT_TRUE(gone.expired());
}

TEST(SharedCosts, WhatOneElementLearnsTheOtherKnows) {
  const auto costs = new_costs();
  Chooser first(costs);
  for (int i = 0; i < 20; ++i) first.pass(200ms, 90ms);
  Chooser second(costs);  // brings the caps again
  second.now = first.now;
  second.sut.on_arrival(second.now, second.now, 60ms);
  EXPECT_EQ(second.choose(60ms).level, std::nullopt);
  EXPECT_NEAR(second.sut.facts().expected.at(0) / 1ms, 90, 5);
}

}  // namespace
}  // namespace dispatch::test
