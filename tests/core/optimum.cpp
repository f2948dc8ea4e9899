// SPDX-License-Identifier: LGPL-2.1-or-later
#include "optimum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <numeric>
#include <random>

namespace dispatch::test {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kInterval{33};

std::vector<FrameTimes> frames_due_after(core::Duration budget,
                                         std::size_t count) {
  std::vector<FrameTimes> frames;
  for (std::size_t i = 0; i < count; i++) {
    const core::Duration arrival = kInterval * i;
    frames.push_back({arrival, arrival + budget});
  }
  return frames;
}

std::vector<core::Duration> always(core::Duration cost, std::size_t count) {
  return std::vector<core::Duration>(count, cost);
}

// ---- Known results ---------------------------------------------------------

TEST(Optimum, IsEveryFrameWhenEachFits) {
  EXPECT_DOUBLE_EQ(
      best_utility({.frames = frames_due_after(milliseconds(40), 100),
                    .rungs = {{1, always(milliseconds(33), 100)}}}),
      100);
}

TEST(Optimum, IsNoFrameWhenNoneFits) {
  EXPECT_DOUBLE_EQ(
      best_utility({.frames = frames_due_after(milliseconds(40), 100),
                    .rungs = {{1, always(milliseconds(41), 100)}},
                    .skip_utility = 0.2}),
      20);
}

TEST(Optimum, MayUseTheDueTimeToItsEnd) {
  EXPECT_DOUBLE_EQ(
      best_utility({.frames = frames_due_after(milliseconds(40), 1),
                    .rungs = {{1, always(milliseconds(40), 1)}}}),
      1);
}

// Each frame takes twice the interval: every second one with one worker, all
// with two.
TEST(Optimum, GrowsWithTheWorkers) {
  Workload workload{.frames = frames_due_after(milliseconds(66), 100),
                    .rungs = {{1, always(milliseconds(66), 100)}},
                    .skip_utility = 0};
  EXPECT_DOUBLE_EQ(best_utility(workload), 50);
  workload.workers = 2;
  EXPECT_DOUBLE_EQ(best_utility(workload), 100);
}

// The first frame fits, but would cost the three behind it.
TEST(Optimum, GivesUpAFrameForThoseBehindIt) {
  std::vector<core::Duration> costs = always(milliseconds(33), 4);
  costs[0] = milliseconds(66);
  EXPECT_DOUBLE_EQ(
      best_utility({.frames = frames_due_after(milliseconds(66), 4),
                    .rungs = {{1, costs}},
                    .skip_utility = 0}),
      4);
  EXPECT_DOUBLE_EQ(
      best_utility({.frames = frames_due_after(milliseconds(65), 4),
                    .rungs = {{1, costs}},
                    .skip_utility = 0}),
      3);
}

TEST(Optimum, TakesACheaperRungWhereItIsWorthMore) {
  Workload workload{.frames = frames_due_after(milliseconds(66), 100),
                    .rungs = {{1, always(milliseconds(66), 100)},
                              {0.6, always(milliseconds(33), 100)}},
                    .skip_utility = 0};
  // Two of the cheaper ones beat one full one.
  EXPECT_DOUBLE_EQ(best_utility(workload), 60 + 0.4);
  // Now two are worth less; there is time for one more, behind the last.
  workload.rungs[1].utility = 0.4;
  EXPECT_DOUBLE_EQ(best_utility(workload), 50 + 0.4);
}

// ---- Against every possibility ---------------------------------------------

// Where a frame goes: a rung on a worker, or nowhere.
struct Place {
  std::size_t worker = 0;
  const Rung* rung = nullptr;
};

// What the choice is worth when the frames are worked on in this order; a
// choice that lets a frame leave late is worth nothing.
double utility_of(const Workload& workload, const std::vector<Place>& places,
                  const std::vector<std::size_t>& order) {
  std::array<core::Duration, kMostWorkers> free{};
  std::vector<core::Duration> done(order.size());
  double sum = 0;
  for (const std::size_t i : order) {
    const Place& place = places[i];
    done[i] = workload.frames[i].arrival;
    sum += place.rung ? place.rung->utility : workload.skip_utility;
    if (!place.rung) continue;
    core::Duration& worker = free[place.worker];
    worker = std::max(worker, done[i]) + place.rung->costs[i];
    done[i] = worker;
  }
  core::Duration left{};
  for (std::size_t i = 0; i < done.size(); i++) {
    left = std::max(left, done[i]);
    if (left > workload.frames[i].due) return 0;
  }
  return sum;
}

std::vector<Place> places_of(const Workload& workload) {
  std::vector<Place> places{{}};
  for (std::size_t worker = 0; worker < workload.workers; worker++)
    for (const Rung& rung : workload.rungs) places.push_back({worker, &rung});
  return places;
}

// Every place of every frame, in every order.
double best_of_all(const Workload& workload) {
  const std::vector<Place> choices = places_of(workload);
  const std::size_t count = workload.frames.size();
  std::size_t combinations = 1;
  for (std::size_t i = 0; i < count; i++) combinations *= choices.size();
  double best = 0;
  for (std::size_t number = 0; number < combinations; number++) {
    std::vector<Place> places;
    for (std::size_t rest = number; places.size() < count;
         rest /= choices.size())
      places.push_back(choices[rest % choices.size()]);
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    do best = std::max(best, utility_of(workload, places, order));
    while (std::next_permutation(order.begin(), order.end()));
  }
  return best;
}

// Four frames that come unevenly, some of which take longer than they may.
Workload random_workload(unsigned seed, std::size_t workers) {
  constexpr std::size_t kFrames = 4;
  std::mt19937 random(seed);
  const auto up_to = [&](unsigned most) {
    return milliseconds(random() % (most + 1));
  };
  Workload workload{.rungs = {{1, {}}, {0.6, {}}}, .workers = workers};
  const core::Duration budget = milliseconds(40) + up_to(60);
  core::Duration arrival{};
  for (std::size_t i = 0; i < kFrames; i++) {
    workload.frames.push_back({arrival, arrival + budget});
    arrival += up_to(50);
    const milliseconds cost = milliseconds(5) + up_to(90);
    workload.rungs[0].costs.push_back(cost);
    workload.rungs[1].costs.push_back(cost * 2 / 5);
  }
  return workload;
}

class AnyWorkload : public testing::TestWithParam<std::size_t> {};

TEST_P(AnyWorkload, OptimumIsTheBestOfAllPossibilities) {
  for (unsigned seed = 0; seed < 100; seed++) {
    const Workload workload = random_workload(seed, GetParam());
    EXPECT_NEAR(best_utility(workload), best_of_all(workload), 1e-5)
        << "seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(Workers, AnyWorkload, testing::Values(1U, 2U));

}  // namespace

}  // namespace dispatch::test
