// SPDX-License-Identifier: LGPL-2.1-or-later
#include "optimum.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>

namespace dispatch::test {

namespace {

using core::Duration;

// A worker that there is not is never free.
constexpr Duration kNever = Duration::max();
// Utilities are added as integers: equal sums have to be equal.
constexpr double kPointsPerUtility = 1e6;

std::int64_t points(double utility) {
  return std::llround(utility * kPointsPerUtility);
}

// After some frames: when each worker is free, ascending, and what the frames
// were worth.
struct State {
  std::array<Duration, kMostWorkers> free{};
  std::int64_t points = 0;
};

// The states that no other one beats: none is worth as much, with every worker
// free as early.
std::vector<State> best_of(std::vector<State> states) {
  std::sort(states.begin(), states.end(), [](const State& a, const State& b) {
    return std::tie(b.points, a.free) < std::tie(a.points, b.free);
  });
  std::vector<State> best;
  // Of those taken, all worth at least as much as what follows: the second
  // worker by the first one, descending.
  std::map<Duration, Duration> taken;
  for (const State& state : states) {
    auto above = taken.upper_bound(state.free[0]);
    if (above != taken.begin() && std::prev(above)->second <= state.free[1])
      continue;
    while (above != taken.end() && above->second >= state.free[1])
      above = taken.erase(above);
    taken.insert_or_assign(state.free[0], state.free[1]);
    best.push_back(state);
  }
  return best;
}

State with_work(const State& state, std::size_t worker, Duration end,
                double utility) {
  State next = state;
  next.free[worker] = end;
  next.points += points(utility);
  std::sort(next.free.begin(), next.free.end());
  return next;
}

// What can be made of one frame after `states`.
std::vector<State> after_frame(const std::vector<State>& states,
                               const Workload& workload, std::size_t number) {
  const FrameTimes& frame = workload.frames[number];
  std::vector<State> next;
  for (const State& state : states) {
    next.push_back(state);
    next.back().points += points(workload.skip_utility);
    for (std::size_t worker = 0; worker < workload.workers; worker++) {
      const Duration begin = std::max(frame.arrival, state.free[worker]);
      for (const Rung& rung : workload.rungs) {
        const Duration end = begin + rung.costs[number];
        if (end > frame.due) continue;
        next.push_back(with_work(state, worker, end, rung.utility));
      }
    }
  }
  return next;
}

// Who is free before there is anything to do might as well be free just then.
void forget_idle_time(std::vector<State>& states, Duration next_arrival) {
  for (State& state : states)
    for (Duration& free : state.free) free = std::max(free, next_arrival);
}

}  // namespace

double best_utility(const Workload& workload) {
  assert(workload.workers >= 1 && workload.workers <= kMostWorkers);
  State start;
  std::fill(start.free.begin() + static_cast<std::ptrdiff_t>(
                                     std::min(workload.workers, kMostWorkers)),
            start.free.end(), kNever);
  std::vector<State> states{start};
  for (std::size_t i = 0; i < workload.frames.size(); i++) {
    forget_idle_time(states, workload.frames[i].arrival);
    states = best_of(std::move(states));
    states = after_frame(states, workload, i);
  }
  std::int64_t most = 0;
  for (const State& state : states) most = std::max(most, state.points);
  return static_cast<double>(most) / kPointsPerUtility;
}

}  // namespace dispatch::test
