// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The most that frames can be worth when all costs are known beforehand.
//
// For: dividing by it what a rule made of the same frames. Exact: for each
// frame all levels, and for every state that is not surpassed by another one
// (its workers all free as early, and worth as much). Frames are begun in
// order.
#pragma once

#include <algorithm>
#include <vector>

#include "skip_simulation.h"

namespace dispatch::core {

class SkipOptimum {
 public:
  SkipOptimum(const SkipScenario& scenario, const SkipSettings& settings)
      : scenario_(scenario), settings_(settings) {}

  double utility() {
    states_ = {State{std::vector<Duration>(scenario_.workers), 0}};
    for (const SimulatedFrame& frame : scenario_.frames) {
      take(frame);
      keep_the_best();
    }
    double best = 0;
    for (const State& state : states_) best = std::max(best, state.utility);
    return best;
  }

 private:
  struct State {
    std::vector<Duration> free;  // when each worker is; sorted
    double utility = 0;
  };

  void take(const SimulatedFrame& frame) {
    const Duration due = frame.running_time + scenario_.budget;
    if (frame.arrival > due) return;
    std::vector<State> next;
    for (State& state : states_) {
      // A worker cannot begin with this frame or a later one before it comes.
      for (Duration& free : state.free) free = std::max(free, frame.arrival);
      for (unsigned k = 0; k < frame.costs.size(); ++k) {
        const Duration end = state.free.front() + frame.costs[k];
        if (end > due) continue;
        State applied = state;
        applied.free.front() = end;
        std::sort(applied.free.begin(), applied.free.end());
        applied.utility += settings_.levels[k].utility;
        next.push_back(std::move(applied));
      }
      state.utility += settings_.skip_utility;
      next.push_back(std::move(state));
    }
    states_ = std::move(next);
  }

  static bool is_surpassed(const State& state, const State& by) {
    if (by.utility + 1e-9 < state.utility) return false;
    for (std::size_t i = 0; i < state.free.size(); ++i)
      if (by.free[i] > state.free[i]) return false;
    return true;
  }

  void keep_the_best() {
    std::sort(states_.begin(), states_.end(), [](auto& a, auto& b) {
      return a.utility != b.utility ? a.utility > b.utility : a.free < b.free;
    });
    std::vector<State> kept;
    for (State& state : states_) {
      const bool is_worse = std::any_of(
          kept.begin(), kept.end(),
          [&](const State& other) { return is_surpassed(state, other); });
      if (!is_worse) kept.push_back(std::move(state));
    }
    states_ = std::move(kept);
  }

  const SkipScenario& scenario_;
  const SkipSettings& settings_;
  std::vector<State> states_;
};

}  // namespace dispatch::core
