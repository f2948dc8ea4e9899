// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/skip_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "skip_optimum.h"
#include "skip_simulation.h"
#include "skip_workloads.h"

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;
using std::chrono_literals::operator""s;
using State = SkipPolicy::State;

constexpr Duration kFrame = 33333333ns;
constexpr Duration kBudget = 2 * kFrame;

constexpr RunningTime at(Duration time) { return RunningTime(time); }

SkipSettings ladder(unsigned stages) {
  SkipSettings settings;
  settings.levels.push_back(Level{1, {}});
  if (stages > 1) settings.levels.push_back(Level{0.6, {}});
  if (stages > 2) settings.levels.push_back(Level{0.4, {}});
  return settings;
}

FrameOutlook outlook(Duration now, Duration slack = kBudget) {
  FrameOutlook frame;
  frame.now = at(now);
  frame.slack = slack;
  frame.fresh_slack = kBudget;
  return frame;
}

// A policy that has seen `frames` frames of `cost` one after the other.
class Fed {
 public:
  Fed(const SkipSettings& settings, Duration cost, int frames = 30)
      : sut(settings) {
    feed(cost, frames);
  }
  void feed(Duration cost, int frames, unsigned level = 0) {
    for (int i = 0; i < frames; ++i) {
      sut.on_arrival(at(now), at(now));
      sut.decide(outlook(now));
      sut.on_measured(level, cost, at(now + cost));
      now += std::max(kFrame, cost);
    }
  }
  LevelVerdict decide(Duration slack = kBudget) {
    return sut.decide(outlook(now, slack));
  }

  SkipPolicy sut;
  Duration now{};
};

// All verdicts, in order.
class RecordingRule : public PolicyRule {
 public:
  using PolicyRule::PolicyRule;
  std::optional<unsigned> decide(const FrameOutlook& frame) override {
    const auto level = PolicyRule::decide(frame);
    verdicts.push_back(last());
    states.insert(policy().state());
    ceilings.push_back(policy().ceiling());
    return level;
  }
  std::vector<LevelVerdict> verdicts;
  std::set<State> states;
  std::vector<unsigned> ceilings;
};

struct Course {
  std::vector<SimulatedDeparture> departures;
  std::vector<LevelVerdict> verdicts;
  std::set<State> states;
  std::vector<unsigned> ceilings;

  // The share of the frames from `first` on that got the full stage.
  double full(std::size_t first, std::size_t count) const {
    double full = 0;
    for (std::size_t i = first; i < first + count; ++i)
      if (departures.at(i).level == 0U) ++full;
    return full / static_cast<double>(count);
  }
  double utility(const SkipSettings& settings) const {
    double sum = 0;
    for (const auto& left : departures)
      if (!left.is_late)
        sum += left.level ? settings.levels.at(*left.level).utility
                          : settings.skip_utility;
    return sum;
  }
  bool any_late() const {
    return std::any_of(departures.begin(), departures.end(),
                       [](auto& left) { return left.is_late; });
  }
  std::size_t count(SkipReason reason) const {
    return static_cast<std::size_t>(
        std::count_if(verdicts.begin(), verdicts.end(),
                      [&](auto& one) { return one.reason == reason; }));
  }
};

Course run(const SkipScenario& scenario, SkipPolicy& policy) {
  RecordingRule rule(policy);
  Course course;
  course.departures = SkipSimulation(scenario, rule).run();
  course.verdicts = rule.verdicts;
  course.states = rule.states;
  course.ceilings = rule.ceilings;
  return course;
}

SkipScenario scenario_of(const std::vector<double>& costs,
                         const std::vector<double>& ratios = {1},
                         Duration budget = kBudget) {
  SkipScenario scenario;
  scenario.frames = WorkloadMaker(kFrame, 0, 1).frames(costs, ratios);
  scenario.budget = budget;
  return scenario;
}

// Ten seconds of `load` times real time, then ten of calm.
std::vector<double> overload_then_calm(double load) {
  WorkloadMaker make(kFrame, 300, 1);
  std::vector<double> costs = make.constant(load);
  const std::vector<double> calm = make.constant(WorkloadMaker::kNominal);
  costs.insert(costs.end(), calm.begin(), calm.end());
  return costs;
}

// ---- One frame -------------------------------------------------------------

TEST(SkipPolicy, AFrameWithoutADueTimeGetsTheFullStage) {
  Fed fed(ladder(1), 500ms);
  FrameOutlook frame = outlook(fed.now);
  frame.slack.reset();
  const LevelVerdict verdict = fed.sut.decide(frame);
  EXPECT_EQ(verdict.level, 0U);
  EXPECT_EQ(verdict.reason, SkipReason::kNoDueTime);
  EXPECT_EQ(verdict.in_time, 1);
  EXPECT_EQ(fed.sut.state(), State::kOpaque);
}

TEST(SkipPolicy, WhatNothingIsKnownOfIsTried) {
  SkipPolicy sut(ladder(1));
  const LevelVerdict verdict = sut.decide(outlook(0ms));
  EXPECT_EQ(verdict.level, 0U);
  EXPECT_EQ(verdict.reason, SkipReason::kWarmUp);
  EXPECT_EQ(sut.state(), State::kWarmUp);
}

TEST(SkipPolicy, ASeedSparesTheTrial) {
  SkipSettings settings = ladder(2);
  settings.levels[0].cost = 100ms;
  settings.levels[1].cost = 10ms;
  SkipPolicy sut(settings);
  sut.on_arrival(at(0ms), at(0ms));
  sut.on_arrival(at(kFrame), at(kFrame));
  EXPECT_EQ(sut.decide(outlook(kFrame, 40ms)).level, 1U);
}

TEST(SkipPolicy, AFrameThatFitsGetsTheFullStage) {
  Fed fed(ladder(2), 20ms);
  const LevelVerdict verdict = fed.decide();
  EXPECT_EQ(verdict.level, 0U);
  EXPECT_EQ(verdict.reason, SkipReason::kFits);
  EXPECT_NEAR(static_cast<double>(verdict.predicted.count()), 20e6, 1e6);
  EXPECT_EQ(verdict.in_time, 1);
  EXPECT_EQ(fed.sut.state(), State::kNormal);
}

TEST(SkipPolicy, AFrameThatFitsNothingGetsNoStage) {
  Fed fed(ladder(1), 40ms);
  const LevelVerdict verdict = fed.decide(20ms);
  EXPECT_FALSE(verdict.level);
  EXPECT_EQ(verdict.reason, SkipReason::kTooLate);
  EXPECT_EQ(verdict.in_time, 0);
}

TEST(SkipPolicy, AFrameThatFitsALowerLevelGetsThat) {
  Fed fed(ladder(2), 30ms);
  fed.feed(8ms, 5, 1);
  const LevelVerdict verdict = fed.decide(20ms);
  EXPECT_EQ(verdict.level, 1U);
  EXPECT_EQ(verdict.reason, SkipReason::kFits);
}

TEST(SkipPolicy, AStageThatBeginsToCostLeavesTheLowerLevelPossible) {
  for (const bool can_rescue : {false, true})
    for (const int frames : {3, 100}) {
      SkipSettings settings = ladder(2);
      settings.levels[1].cost = 1ms;
      settings.can_rescue = can_rescue;
      Fed fed(settings, 0ms, frames);
      fed.feed(100ms, 3);
      const LevelVerdict verdict = fed.decide();
      EXPECT_EQ(verdict.level, 1U) << can_rescue << " " << frames;
      EXPECT_EQ(verdict.in_time, 1);
    }
}

TEST(SkipPolicy, AFrameIsSparedWhereTheNextOnesAreWorthMore) {
  const auto costs = WorkloadMaker(kFrame, 600, 1).constant(1.23);
  SkipPolicy policy(ladder(1));
  const Course all = run(scenario_of(costs), policy);
  ASSERT_GT(all.count(SkipReason::kSpared), 0U);
  for (const LevelVerdict& verdict : all.verdicts) {
    if (verdict.reason != SkipReason::kSpared) continue;
    EXPECT_FALSE(verdict.level);
    EXPECT_GE(verdict.in_time, 0.5);
  }
}

TEST(SkipPolicy, EveryReasonHasAName) {
  for (unsigned i = 0; i <= static_cast<unsigned>(SkipReason::kCeiling); ++i)
    EXPECT_NE(to_string(static_cast<SkipReason>(i)), std::string("?"));
}

TEST(SkipPolicy, NewCapsAreLearnedAnew) {
  Fed fed(ladder(1), 20ms);
  fed.sut.on_caps();
  EXPECT_EQ(fed.sut.state(), State::kWarmUp);
  fed.feed(300ms, 1);
  fed.feed(50ms, 2);
  EXPECT_NEAR(static_cast<double>(fed.sut.expected_cost(0)->count()), 50e6,
              5e6);
}

TEST(SkipPolicy, PoliciesOfTheSameLadderShareWhatTheyLearn) {
  const auto costs =
      std::make_shared<CostModel>(std::vector<std::optional<Duration>>(1));
  SkipPolicy first(ladder(1), costs);
  SkipPolicy second(ladder(1), costs);
  for (int i = 0; i < 8; ++i) first.on_measured(0, 100ms, at(i * 100ms));
  const LevelVerdict verdict = second.decide(outlook(800ms, 30ms));
  EXPECT_FALSE(verdict.level);
  EXPECT_EQ(verdict.reason, SkipReason::kTooLate);
}

// ---- Overloads -------------------------------------------------------------

TEST(SkipPolicy, CalmGetsTheFullStageAlways) {
  const auto costs =
      WorkloadMaker(kFrame, 600, 1).constant(WorkloadMaker::kNominal);
  SkipPolicy policy(ladder(2));
  const Course calm = run(scenario_of(costs, {1, 0.4}), policy);
  EXPECT_EQ(calm.full(0, 600), 1);
  EXPECT_EQ(policy.state(), State::kNormal);
  EXPECT_EQ(policy.switches(), 0U);
  EXPECT_EQ(policy.longest_run_without_stage(), 0U);
  EXPECT_GT(policy.coverage(), 0.85);
  EXPECT_LT(policy.prediction_error(), 0.05);
}

TEST(SkipPolicy, WithRescueNoFrameIsLate) {
  for (const auto& workload : all_workloads(kFrame, 600, 1, {1, 0.4})) {
    SkipScenario scenario;
    scenario.frames = workload.frames;
    scenario.budget = kBudget;
    SkipPolicy policy(ladder(2));
    const Course all = run(scenario, policy);
    for (const SimulatedDeparture& left : all.departures)
      EXPECT_TRUE(!left.is_late || left.arrived_late) << workload.name;
  }
}

TEST(SkipPolicy, IsCloseToTheOptimumOnEveryWorkload) {
  for (const auto& workload : all_workloads(kFrame, 1200, 1, {1})) {
    SkipScenario scenario;
    scenario.frames = workload.frames;
    scenario.budget = kBudget;
    SkipPolicy policy(ladder(1));
    const SkipSettings settings = ladder(1);
    const double best = SkipOptimum(scenario, settings).utility();
    const double got = run(scenario, policy).utility(settings);
    EXPECT_LE(got, best + 1e-6) << workload.name;
    // A worker that is away for long, or one time in ten, cannot be foreseen.
    const bool is_hard =
        workload.name.rfind("stalls", 0) == 0 || workload.name == "spikes 10 %";
    EXPECT_GT(got, (is_hard ? 0.8 : 0.94) * best) << workload.name;
  }
}

TEST(SkipPolicy, ALadderBeatsTwoRungsInEveryOverload) {
  WorkloadMaker make(kFrame, 900, 1);
  const std::vector<std::vector<double>> loads{
      make.constant(1.12), make.constant(1.6),   make.constant(3),
      make.contention(),   make.step_and_ramp(), make.content()};
  for (std::size_t i = 0; i < loads.size(); ++i) {
    SkipPolicy two(ladder(1));
    SkipPolicy three(ladder(2));
    const double of_two =
        run(scenario_of(loads[i], {1}), two).utility(ladder(1));
    const double of_three =
        run(scenario_of(loads[i], {1, 0.4}), three).utility(ladder(2));
    EXPECT_GT(of_three, of_two) << i;
  }
}

TEST(SkipPolicy, TheRungThatFitsIsUsedAtThreeTimesRealTime) {
  const auto costs = WorkloadMaker(kFrame, 900, 1).constant(3);
  const SkipScenario scenario = scenario_of(costs, {1, 0.3});
  SkipPolicy policy(ladder(2));
  const Course all = run(scenario, policy);
  EXPECT_GT(all.utility(ladder(2)), 0.95 * 0.6 * 900);
  EXPECT_TRUE(all.states.contains(State::kDegraded));
  EXPECT_GT(all.count(SkipReason::kCeiling), 700U);
  EXPECT_EQ(policy.ceiling(), 1U);
}

TEST(SkipPolicy, TheCeilingIsSteadyInASteadyOverload) {
  for (const double load : {1.12, 1.6, 2.0, 3.0}) {
    const auto costs = WorkloadMaker(kFrame, 1800, 1).constant(load);
    SkipPolicy policy(ladder(3));
    run(scenario_of(costs, {1, 0.5, 0.25}), policy);
    EXPECT_LE(policy.ceiling_changes(), 6U) << load;  // in a minute
  }
}

TEST(SkipPolicy, SkipsAreEvenlySpacedInASteadyOverload) {
  const std::vector<double> costs(600, 1.12);
  SkipPolicy policy(ladder(1));
  const Course all = run(scenario_of(costs), policy);
  std::vector<std::size_t> gaps;
  std::size_t last = 0;
  for (std::size_t i = 60; i < 600; ++i) {
    if (all.departures[i].level) continue;
    if (last > 0) gaps.push_back(i - last);
    last = i;
  }
  ASSERT_GT(gaps.size(), 20U);
  const auto [least, most] = std::minmax_element(gaps.begin(), gaps.end());
  EXPECT_LE(*most - *least, 2U);
  EXPECT_EQ(policy.longest_run_without_stage(), 1U);
}

TEST(SkipPolicy, IsInTimeFromTheOnsetOn) {
  std::vector<double> costs(300, 0.66);
  costs.resize(600, 2.5);
  SkipPolicy policy(ladder(2));
  const Course all = run(scenario_of(costs, {1, 0.4}), policy);
  EXPECT_FALSE(all.any_late());
  // What fits is found within ten frames, though it was never tried before.
  unsigned applied = 0;
  for (std::size_t i = 310; i < 340; ++i)
    if (all.departures[i].level) ++applied;
  EXPECT_GE(applied, 20U);
}

TEST(SkipPolicy, AfterAGapOfTheTimestampsAnOverloadIsNoticedAsSoon) {
  for (const Duration gap : {10s, 100s, 1000s}) {
    Fed fed(ladder(1), 20ms);
    fed.now += gap;
    fed.feed(100ms, 20);
    EXPECT_EQ(fed.sut.state(), State::kPressure);
  }
}

TEST(SkipPolicy, ATimestampThatGoesBackIsNoGap) {
  Fed fed(ladder(1), 20ms);
  fed.sut.on_arrival(at(-1000s), at(fed.now));
  fed.sut.on_arrival(at(fed.now), at(fed.now));
  fed.feed(100ms, 20);
  EXPECT_EQ(fed.sut.state(), State::kPressure);
}

TEST(SkipPolicy, WhereFramesAreRareTheirGapsCount) {
  SkipPolicy sut(ladder(1));
  const auto feed = [&](int first, int frames, Duration cost) {
    for (int i = first; i < first + frames; ++i) {
      const Duration now = i * 5s;
      sut.on_arrival(at(now), at(now));
      FrameOutlook frame = outlook(now, 5s);
      frame.fresh_slack = 5s;
      sut.decide(frame);
      sut.on_measured(0, cost, at(now + cost));
    }
  };
  feed(0, 60, 4s);
  // Pressure is when eight frames do not fit.
  feed(60, 5, 8s);
  EXPECT_EQ(sut.state(), State::kNormal);
  feed(65, 10, 8s);
  EXPECT_EQ(sut.state(), State::kPressure);
}

// ---- Out of it again -------------------------------------------------------

TEST(SkipPolicy, ComesBackAfterAnOverload) {
  for (const double load : {1.6, 2.2, 3.0, 6.0})
    for (const unsigned stages : {1U, 2U})
      for (const Duration budget : {kFrame * 6 / 5, 2 * kFrame, 4 * kFrame}) {
        SkipPolicy policy(ladder(stages));
        const Course all = run(
            scenario_of(overload_then_calm(load), {1, 0.4}, budget), policy);
        EXPECT_GE(all.full(315, 20), 0.95) << load << " " << stages;
        EXPECT_GE(all.full(360, 240), 0.99) << load << " " << stages;
      }
}

TEST(SkipPolicy, ComesBackWithoutRescueToo) {
  SkipSettings settings = ladder(1);
  settings.can_rescue = false;
  SkipPolicy policy(settings);
  SkipScenario scenario = scenario_of(overload_then_calm(3));
  scenario.can_rescue = false;
  EXPECT_GE(run(scenario, policy).full(500, 100), 0.99);
}

TEST(SkipPolicy, AfterASilenceOfAnyLengthACalmStageIsApplied) {
  for (const Duration silence : {10s, 60s, 600s}) {
    Fed fed(ladder(1), 20ms, 300);
    fed.now += silence;
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(fed.decide().level, 0U) << i;
      fed.feed(20ms, 1);
    }
    EXPECT_NEAR(static_cast<double>(fed.sut.expected_cost(0)->count()), 20e6,
                1e6);
  }
}

TEST(SkipPolicy, ComesBackAfterOneStall) {
  std::vector<double> costs(300, 0.66);
  costs[100] = 60;
  SkipPolicy policy(ladder(1));
  const Course all = run(scenario_of(costs), policy);
  EXPECT_EQ(all.full(162, 130), 1);
}

TEST(SkipPolicy, TriesALevelThatDoesNotFitNowAndThen) {
  const auto costs = WorkloadMaker(kFrame, 900, 1).constant(3);
  SkipPolicy policy(ladder(1));
  const Course all = run(scenario_of(costs), policy);
  EXPECT_GT(all.count(SkipReason::kProbe), 40U);
  // No more than is needed to learn: a third of the time.
  EXPECT_LT(all.count(SkipReason::kProbe), 110U);
}

TEST(SkipPolicy, TrialsCostLittleWhereALowerLevelFits) {
  const auto costs = WorkloadMaker(kFrame, 1800, 1).constant(3);
  SkipPolicy policy(ladder(2));
  const Course all = run(scenario_of(costs, {1, 0.3}), policy);
  EXPECT_GT(all.count(SkipReason::kProbe), 3U);
  EXPECT_GT(all.utility(ladder(2)), 0.98 * 0.6 * 1800);
}

TEST(SkipPolicy, TwoWorkersRideOutAStall) {
  std::vector<double> costs(300, 0.66);
  costs[100] = 60;
  SkipScenario scenario = scenario_of(costs);
  scenario.workers = 2;
  SkipPolicy policy(ladder(1));
  EXPECT_GE(run(scenario, policy).full(101, 190), 0.99);
}

// ---- Wishes ----------------------------------------------------------------

// What leaves without a stage, one after the other, at most.
unsigned longest_run(const Course& all) {
  unsigned longest = 0;
  unsigned now = 0;
  for (const SimulatedDeparture& left : all.departures) {
    now = left.level ? 0 : now + 1;
    longest = std::max(longest, now);
  }
  return longest;
}

// Would rather be skipped: late in two cases of three.
std::vector<double> mostly_too_dear() {
  std::vector<double> costs(600, 2.2);
  for (std::size_t i = 0; i < costs.size(); i += 3) costs[i] = 1.5;
  return costs;
}

TEST(SkipPolicy, NeverSkipsMoreThanItMay) {
  const std::vector<double> costs = mostly_too_dear();
  SkipSettings settings = ladder(1);
  settings.can_rescue = false;
  SkipPolicy free(settings);
  SkipScenario scenario = scenario_of(costs);
  scenario.can_rescue = false;
  EXPECT_GT(longest_run(run(scenario, free)), 3U);
  settings.max_consecutive_skips = 3;
  SkipPolicy bound(settings);
  const Course all = run(scenario, bound);
  EXPECT_LE(longest_run(all), 3U);
  EXPECT_GT(all.count(SkipReason::kConsecutive), 0U);
}

TEST(SkipPolicy, SoManyOfAWindowGetAStage) {
  const std::vector<double> costs = mostly_too_dear();
  SkipSettings settings = ladder(1);
  settings.can_rescue = false;
  settings.applied_in_window = 2;
  settings.skip_window = 6;
  SkipPolicy policy(settings);
  SkipScenario scenario = scenario_of(costs);
  scenario.can_rescue = false;
  const Course all = run(scenario, policy);
  for (std::size_t i = 60; i + 6 <= 600; ++i) {
    unsigned applied = 0;
    for (std::size_t k = i; k < i + 6; ++k)
      if (all.departures[k].level) ++applied;
    EXPECT_GE(applied, 2U) << i;
  }
  EXPECT_LE(longest_run(all), 3U);
}

TEST(SkipPolicy, AForcedFrameIsOneThatHasAChance) {
  SkipSettings settings = ladder(1);
  settings.max_consecutive_skips = 1;
  Fed fed(settings, 50ms);
  EXPECT_FALSE(fed.decide(5ms).level);
  // It has none, the next one has.
  EXPECT_FALSE(fed.decide(6ms).level);
  EXPECT_EQ(fed.decide(60ms).level, 0U);
}

// ---- Who is late -----------------------------------------------------------

// Downstream takes longer than a frame, and holds up whoever pushes.
SkipScenario slow_downstream(double load) {
  SkipScenario scenario = scenario_of(std::vector<double>(600, load));
  scenario.push_time = 50ms;
  scenario.window = 3;
  return scenario;
}

TEST(SkipPolicy, NoticesThatDownstreamIsLate) {
  SkipPolicy policy(ladder(1));
  const Course all = run(slow_downstream(0.3), policy);
  EXPECT_EQ(policy.culprit(), LevelCeiling::Culprit::kDownstream);
  EXPECT_TRUE(all.states.contains(State::kIneffective));
  EXPECT_GT(all.count(SkipReason::kIneffective), 100U);
  // The stage is fast enough: it is given back.
  EXPECT_GT(all.full(200, 400), 0.5);
}

TEST(SkipPolicy, AStageThatIsTooSlowItselfIsNotGivenBack) {
  SkipPolicy policy(ladder(1));
  const Course all = run(slow_downstream(3), policy);
  // But it is tried, once it may have become faster.
  EXPECT_LT(all.count(SkipReason::kIneffective), 30U);
}

TEST(SkipPolicy, FramesThatCameLateAreUpstreamsFault) {
  SkipScenario scenario = scenario_of(std::vector<double>(300, 0.66));
  for (SimulatedFrame& frame : scenario.frames) frame.arrival += 100ms;
  SkipPolicy policy(ladder(1));
  const Course all = run(scenario, policy);
  EXPECT_EQ(policy.culprit(), LevelCeiling::Culprit::kUpstream);
  EXPECT_FALSE(all.states.contains(State::kIneffective));
}

TEST(SkipPolicy, IsStalledWhileEveryWorkerIsStuck) {
  Fed fed(ladder(1), 20ms);
  const Duration begun = fed.now;
  fed.decide();
  fed.sut.on_overrun(0, kBudget, at(begun + kBudget));
  fed.sut.on_arrival(at(begun + 400ms), at(begun + 400ms));
  EXPECT_EQ(fed.sut.state(), State::kNormal);
  fed.sut.on_arrival(at(begun + 600ms), at(begun + 600ms));
  EXPECT_EQ(fed.sut.state(), State::kStalled);
  fed.sut.on_measured(0, 700ms, at(begun + 700ms));
  fed.sut.decide(outlook(begun + 700ms));
  EXPECT_EQ(fed.sut.state(), State::kNormal);
}

TEST(SkipPolicy, AJobThatWasGivenUpLeavesItsWorkerFree) {
  Fed fed(ladder(1), 20ms);
  const Duration begun = fed.now;
  FrameOutlook frame = outlook(begun);
  frame.workers = 2;
  fed.sut.decide(frame);
  fed.sut.on_overrun(0, kBudget, at(begun + kBudget));
  fed.sut.on_overrun(0, 100ms, at(begun + 100ms));
  fed.sut.on_arrival(at(begun + 800ms), at(begun + 800ms));
  EXPECT_EQ(fed.sut.state(), State::kNormal);
  // Nor is the other worker alone all of them.
  fed.sut.on_overrun(0, kBudget, at(begun + 900ms));
  fed.sut.on_arrival(at(begun + 2s), at(begun + 2s));
  EXPECT_EQ(fed.sut.state(), State::kNormal);
}

TEST(SkipPolicy, CountsHowFramesLeft) {
  SkipPolicy sut(ladder(2));
  const auto leave = [&](std::optional<unsigned> level) {
    sut.on_left({at(0ms), level, false, false, false, {}});
  };
  leave(0);
  leave(std::nullopt);
  leave(std::nullopt);
  EXPECT_EQ(sut.run_without_stage(), 2U);
  leave(1);
  leave(1);
  EXPECT_EQ(sut.run_without_stage(), 0U);
  EXPECT_EQ(sut.longest_run_without_stage(), 2U);
  EXPECT_EQ(sut.switches(), 2U);
}

}  // namespace
}  // namespace dispatch::core
