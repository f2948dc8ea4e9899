// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/pool_size.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "pool_simulation.h"

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ns;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;
using Source = PoolSimulation::Source;
using Why = PoolSize::Why;

constexpr Duration kFrame = 33333333ns;  // 30 fps

constexpr MonotonicTime at(Duration time) { return MonotonicTime(time); }

PoolSize limited_to(unsigned min, unsigned max) {
  PoolSize sut;
  sut.set_limits({min, max});
  return sut;
}

// One frame waits, no worker is idle, no due time.
PoolSize::Facts saturated() {
  PoolSize::Facts facts;
  facts.waiting = 1;
  return facts;
}

PoolSize::Facts waiting_for(Duration waited, Duration slack) {
  PoolSize::Facts facts = saturated();
  facts.waited = waited;
  facts.slack = slack;
  return facts;
}

PoolSize::Facts idle(unsigned workers) {
  PoolSize::Facts facts;
  facts.idle = workers;
  return facts;
}

// Frames that come every `interval` and take `service`, without one waiting;
// the time of the last.
Duration feed(PoolSize& sut, Duration from, Duration length, Duration interval,
              Duration service) {
  Duration now = from;
  for (; now < from + length; now += interval) {
    sut.on_arrival(at(now));
    sut.on_finished(at(now), service);
    sut.decide(idle(1), at(now));
  }
  return now - interval;
}

TEST(PoolSize, BeginsAtTheMinimum) {
  EXPECT_EQ(limited_to(1, 8).size(), 1U);
  const PoolSize sut = limited_to(3, 8);
  EXPECT_EQ(sut.size(), 3U);
  EXPECT_EQ(sut.why(), Why::kMinimum);
  EXPECT_EQ(sut.load(), 0);
  EXPECT_FALSE(sut.next_look());
  EXPECT_FALSE(sut.efficient());
}

TEST(PoolSize, EveryReasonHasAName) {
  EXPECT_STREQ(to_string(Why::kMinimum), "minimum");
  EXPECT_STREQ(to_string(Why::kLoad), "load");
  EXPECT_STREQ(to_string(Why::kWaiting), "waiting");
  EXPECT_STREQ(to_string(Why::kRescued), "rescued");
  EXPECT_STREQ(to_string(Why::kMaximum), "maximum");
  EXPECT_STREQ(to_string(Why::kInefficient), "inefficient");
  EXPECT_STREQ(to_string(Why::kResting), "resting");
}

TEST(PoolSize, NewLimitsHoldAtOnce) {
  PoolSize sut = limited_to(4, 8);
  sut.set_limits({1, 2});
  EXPECT_EQ(sut.size(), 2U);
  sut.set_limits({3, 5});
  EXPECT_EQ(sut.size(), 3U);
}

TEST(PoolSize, LoadIsRateTimesCost) {
  PoolSize sut = limited_to(1, 8);
  feed(sut, 0s, 2s, 20ms, 30ms);
  EXPECT_NEAR(sut.load(), 1.5, 0.001);
}

TEST(PoolSize, WorkersAreBusyForFourFifthsOfTheTime) {
  PoolSize sut = limited_to(1, 8);
  feed(sut, 0s, 2s, 20ms, 30ms);  // 1.5 / 0.8 = 1.9
  EXPECT_EQ(sut.size(), 2U);
  EXPECT_EQ(sut.why(), Why::kLoad);
  feed(sut, 2s, 2s, 20ms, 33ms);  // 1.65 / 0.8 = 2.06
  EXPECT_EQ(sut.size(), 3U);
}

TEST(PoolSize, SizeThatSufficesIsKept) {
  PoolSize sut = limited_to(1, 8);
  feed(sut, 0s, 2s, 20ms, 15900us);
  EXPECT_EQ(sut.size(), 1U);
  EXPECT_EQ(sut.why(), Why::kMinimum);
}

TEST(PoolSize, LoadBeyondTheMaximumIsSaid) {
  PoolSize sut = limited_to(1, 2);
  feed(sut, 0s, 2s, 20ms, 60ms);
  EXPECT_EQ(sut.size(), 2U);
  EXPECT_EQ(sut.why(), Why::kMaximum);
}

TEST(PoolSize, FrameBehindAFirstOneOfUnknownCostIsReasonEnough) {
  PoolSize sut = limited_to(1, 8);
  sut.on_arrival(at(0ms));
  EXPECT_EQ(sut.decide(idle(0), at(0ms)), 1U);
  sut.on_arrival(at(33ms));
  EXPECT_EQ(sut.decide(saturated(), at(33ms)), 2U);
  EXPECT_EQ(sut.why(), Why::kWaiting);
}

TEST(PoolSize, OneMoreIsEnoughForATenthOfASecondWhileNoCostIsKnown) {
  PoolSize sut = limited_to(1, 8);
  for (Duration now = 0ms; now < PoolSize::kStepTime; now += 10ms) {
    sut.on_arrival(at(now));
    sut.decide(saturated(), at(now));
  }
  EXPECT_EQ(sut.size(), 2U);
}

TEST(PoolSize, CheapStageKeepsOneWorker) {
  PoolSize sut = limited_to(1, 8);
  for (Duration now = 0us; now < 200ms; now += 49us) {
    sut.on_finished(at(now), 49us);
    sut.on_arrival(at(now));
    sut.decide(saturated(), at(now));
  }
  EXPECT_EQ(sut.size(), 1U);
}

TEST(PoolSize, FrameThatWaitsForHalfItsBudgetCallsAWorker) {
  PoolSize sut = limited_to(1, 8);
  const Duration now = feed(sut, 0s, 1s, 100ms, 45ms);
  EXPECT_EQ(sut.decide(waiting_for(0ms, 100ms), at(now)), 1U);
  EXPECT_EQ(sut.next_look(), at(now + 50ms));
  EXPECT_EQ(sut.decide(waiting_for(49ms, 51ms), at(now + 49ms)), 1U);
  EXPECT_EQ(sut.decide(waiting_for(50ms, 50ms), at(now + 50ms)), 2U);
  EXPECT_EQ(sut.why(), Why::kWaiting);
}

TEST(PoolSize, FrameThatIsExpectedToWaitForHalfItsBudgetCallsAWorkerAtOnce) {
  PoolSize sut = limited_to(1, 8);
  const Duration now = feed(sut, 0s, 1s, 100ms, 51ms);
  EXPECT_EQ(sut.decide(waiting_for(0ms, 100ms), at(now)), 2U);
}

TEST(PoolSize, WorkersThatTakeLongerThanTheyAreKnownToCallAnother) {
  PoolSize sut = limited_to(1, 8);
  const Duration now = feed(sut, 0s, 1s, 100ms, 16ms);
  EXPECT_EQ(sut.decide(waiting_for(19ms, 81ms), at(now + 19ms)), 1U);
  EXPECT_EQ(sut.next_look(), at(now + 20ms));
  EXPECT_EQ(sut.decide(waiting_for(20ms, 80ms), at(now + 20ms)), 2U);
}

TEST(PoolSize, FramesThatHaveWaitedForWorkersThatGoOnAreNoSurprise) {
  PoolSize sut = limited_to(1, 8);
  const Duration now = feed(sut, 0s, 1s, 100ms, 16ms);
  EXPECT_EQ(sut.decide(waiting_for(45ms, 55ms), at(now + 19ms)), 1U);
}

TEST(PoolSize, NobodyIsCalledForAFrameThatAnIdleWorkerCanTake) {
  PoolSize sut = limited_to(1, 8);
  const Duration now = feed(sut, 0s, 1s, 100ms, 16ms);
  PoolSize::Facts facts = waiting_for(90ms, 10ms);
  facts.idle = 1;
  EXPECT_EQ(sut.decide(facts, at(now)), 1U);
}

TEST(PoolSize, NextStepComesAfterTwoFramesOrATenthOfASecond) {
  PoolSize sut = limited_to(1, 8);
  const Duration now = feed(sut, 0s, 1s, 100ms, 16ms);
  EXPECT_EQ(sut.decide(waiting_for(60ms, 40ms), at(now)), 2U);
  EXPECT_EQ(sut.decide(waiting_for(60ms, 40ms), at(now + 99ms)), 2U);
  EXPECT_EQ(sut.next_look(), at(now + 100ms));
  EXPECT_EQ(sut.decide(waiting_for(60ms, 40ms), at(now + 100ms)), 3U);
  sut.on_arrival(at(now + 101ms));
  EXPECT_EQ(sut.decide(waiting_for(60ms, 40ms), at(now + 101ms)), 3U);
  sut.on_finished(at(now + 102ms), 16ms);
  EXPECT_EQ(sut.decide(waiting_for(60ms, 40ms), at(now + 102ms)), 4U);
}

TEST(PoolSize, RescuedFrameAsksForOneMoreForASecond) {
  PoolSize sut = limited_to(1, 8);
  const Duration now = feed(sut, 0s, 1s, 100ms, 16ms);
  sut.on_rescued(at(now));
  EXPECT_EQ(sut.decide(idle(0), at(now)), 2U);
  EXPECT_EQ(sut.why(), Why::kRescued);
  for (int i = 0; i < 9; ++i) {
    sut.on_arrival(at(now + i * 100ms));
    EXPECT_EQ(sut.decide(idle(1), at(now + i * 100ms)), 2U);
  }
  sut.decide(idle(1), at(now + 1s));
  EXPECT_EQ(sut.why(), Why::kResting);
}

TEST(PoolSize, WorkerIsParkedWhenUnneededForThreeSecondsThenOnePerSecond) {
  PoolSize sut = limited_to(1, 8);
  Duration now = feed(sut, 0s, 2s, 20ms, 60ms);
  EXPECT_EQ(sut.size(), 4U);
  now = feed(sut, now + 20ms, 1s, 20ms, 1ms);
  EXPECT_EQ(sut.why(), Why::kResting);
  EXPECT_EQ(sut.size(), 4U);
  std::vector<Duration> parked;
  while (sut.size() > 1) {
    now = Duration(sut.next_look().value().time_since_epoch());
    const unsigned before = sut.size();
    if (sut.decide(idle(4), at(now)) < before) parked.push_back(now);
  }
  ASSERT_EQ(parked.size(), 3U);
  EXPECT_EQ(parked[1] - parked[0], 1s);
  EXPECT_EQ(parked[2] - parked[1], 1s);
  EXPECT_GE(parked[0], 5s);
  EXPECT_LT(parked[0], 5500ms);
  EXPECT_EQ(sut.why(), Why::kMinimum);
  EXPECT_FALSE(sut.next_look());
}

TEST(PoolSize, SpareIsWantedUntilTheCostIsKnownAndWhenTheLoadIsNear) {
  PoolSize sut = limited_to(1, 8);
  EXPECT_TRUE(sut.wants_spare());
  feed(sut, 0s, 2s, 20ms, 11900us);
  EXPECT_FALSE(sut.wants_spare());
  feed(sut, 2s, 2s, 20ms, 12100us);
  EXPECT_EQ(sut.size(), 1U);
  EXPECT_TRUE(sut.wants_spare());
}

TEST(PoolSize, SpareIsWantedWhileTheSizeGrows) {
  PoolSize sut = limited_to(1, 8);
  const Duration now = feed(sut, 0s, 2s, 100ms, 16ms);
  EXPECT_FALSE(sut.wants_spare());
  sut.decide(waiting_for(60ms, 40ms), at(now));
  EXPECT_TRUE(sut.wants_spare());
  sut.decide(idle(1), at(now + 1s));
  EXPECT_FALSE(sut.wants_spare());
}

TEST(PoolSize, NoSpareIsWantedAtTheMaximum) {
  PoolSize sut = limited_to(1, 1);
  EXPECT_FALSE(sut.wants_spare());
}

TEST(PoolSize, ResetKeepsTheLimits) {
  PoolSize sut = limited_to(2, 4);
  feed(sut, 0s, 2s, 20ms, 60ms);
  EXPECT_EQ(sut.size(), 4U);
  sut.reset();
  EXPECT_EQ(sut.size(), 2U);
  EXPECT_EQ(sut.load(), 0);
  feed(sut, 0s, 2s, 20ms, 90ms);
  EXPECT_EQ(sut.size(), 4U);
}

// ---- Simulations -----------------------------------------------------------

constexpr Duration kOnset = 10s;

Source onset(Duration before, Duration after) {
  Source source;
  source.interval = kFrame;
  source.budget = 100ms;
  source.cost = [=](Duration arrival, unsigned) {
    return arrival < kOnset ? before : after;
  };
  return source;
}

TEST(PoolSizeSimulation, OnsetHasItsWorkersWithinATenthOfASecondAndOneCost) {
  PoolSimulation sut(onset(10ms, 80ms));
  sut.run_until(kOnset);
  EXPECT_EQ(sut.size().size(), 1U);
  sut.run_until(kOnset + 20s);
  ASSERT_TRUE(sut.reached(3));
  EXPECT_LE(*sut.reached(3), kOnset + 180ms);
  EXPECT_LE(sut.largest(), 5U);
  // The first was due before anything could be known of it.
  for (const PoolSimulation::Departure& frame : sut.departures())
    EXPECT_TRUE(frame.is_applied ||
                (frame.arrival >= kOnset && frame.arrival < kOnset + 80ms))
        << frame.arrival.count();
}

TEST(PoolSizeSimulation, OnsetIsNoSignThatWorkersDoNotHelp) {
  for (const Duration after : {40ms, 60ms, 80ms, 95ms}) {
    PoolSimulation sut(onset(10ms, after));
    for (Duration now = kOnset; now < kOnset + 60s; now += 100ms) {
      sut.run_until(now);
      EXPECT_FALSE(sut.size().efficient()) << now.count();
    }
  }
}

TEST(PoolSizeSimulation, ShrinksBackAfterTheLoad) {
  Source source = onset(10ms, 80ms);
  source.cost = [](Duration arrival, unsigned) {
    return arrival >= kOnset && arrival < kOnset + 10s ? 80ms : 10ms;
  };
  PoolSimulation sut(source);
  sut.run_until(kOnset + 9s);
  EXPECT_GE(sut.size().size(), 4U);
  sut.run_until(kOnset + 18s);
  EXPECT_EQ(sut.size().size(), 1U);
  EXPECT_EQ(sut.size().why(), Why::kMinimum);
}

TEST(PoolSizeSimulation, ShrinksBackWhenNothingComesAnyMore) {
  PoolSimulation sut(onset(80ms, 80ms));
  sut.run_until(5s);
  EXPECT_GE(sut.size().size(), 4U);
  sut.end_of_source();
  sut.run_until(20s);
  EXPECT_EQ(sut.size().size(), 1U);
  EXPECT_FALSE(sut.size().next_look());
}

TEST(PoolSizeSimulation, SleepingStageOfAFileReachesItsMaximum) {
  Source source;
  source.max = 16;
  source.cost = [](Duration, unsigned) { return 50ms; };
  PoolSimulation sut(source);
  sut.run_until(20s);
  ASSERT_TRUE(sut.reached(16));
  EXPECT_LE(*sut.reached(16), 2s);
  EXPECT_EQ(sut.size().size(), 16U);
  EXPECT_EQ(sut.size().why(), Why::kMaximum);
  EXPECT_FALSE(sut.size().efficient());
  EXPECT_EQ(sut.changes().size(), 15U);
}

// Two cores: what more than two workers do, each of them does more slowly.
Duration on_two_cores(Duration cost, unsigned busy) {
  return busy <= 2 ? cost : cost * busy / 2;
}

TEST(PoolSizeSimulation, DearFramesOfAFileDoNotHaveToEndForTheNextWorker) {
  Source source;
  source.max = 8;
  source.cost = [](Duration, unsigned) -> Duration { return 5s; };
  PoolSimulation sut(std::move(source));
  sut.run_until(2s);
  EXPECT_EQ(sut.size().size(), 8U);
  ASSERT_TRUE(sut.reached(8));
  EXPECT_LE(*sut.reached(8), 7 * PoolSize::kStepTime + 1ms);
}

TEST(PoolSizeSimulation, TwoCoresAreGivenTwoWorkers) {
  Source source;
  source.max = 8;
  source.cost = [](Duration, unsigned busy) {
    return on_two_cores(20ms, busy);
  };
  PoolSimulation sut(source);
  sut.run_until(60s);
  EXPECT_EQ(sut.largest(), 3U);
  EXPECT_LT(sut.mean_size(), 2.1);
  EXPECT_EQ(sut.size().size(), 2U);
  EXPECT_EQ(sut.size().efficient(), 2U);
  EXPECT_EQ(sut.size().why(), Why::kInefficient);
}

TEST(PoolSizeSimulation, TwoCoresAreGivenTwoWorkersThoughFramesDiffer) {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> noise(0.8, 1.2);
    Source source;
    source.max = 8;
    source.cost = [&](Duration, unsigned busy) {
      return Duration(static_cast<Duration::rep>(
          noise(random) *
          static_cast<double>(on_two_cores(20ms, busy).count())));
    };
    PoolSimulation sut(source);
    sut.run_until(5min);
    EXPECT_LT(sut.mean_size(), 2.5) << seed;
  }
}

// A stage that takes 15 ms, and 1.4 s for one frame in a hundred.
Source stalling(std::mt19937& random, Duration budget) {
  Source source;
  source.interval = kFrame;
  source.budget = budget;
  source.cost = [&random](Duration, unsigned) {
    return random() % 100 == 0 ? Duration(1400ms) : Duration(15ms);
  };
  return source;
}

TEST(PoolSizeSimulation, StallsOfWorkersThatAreSetAsideDoNotKeepMany) {
  std::mt19937 random(7);
  PoolSimulation sut(stalling(random, 66ms));
  sut.run_until(10min);
  EXPECT_LE(sut.largest(), 3U);
  EXPECT_LE(sut.mean_size(), 2.05);
  const auto& frames = sut.departures();
  const auto applied =
      std::count_if(frames.begin(), frames.end(),
                    [](auto& frame) { return frame.is_applied; });
  EXPECT_GE(static_cast<double>(applied) / static_cast<double>(frames.size()),
            0.988);
}

// Here they come back with a result. Two of them at the same time, which is
// every ten seconds, are worth a third worker.
TEST(PoolSizeSimulation, StallsThatEndDoNotKeepMany) {
  std::mt19937 random(7);
  PoolSimulation sut(stalling(random, 5s));
  sut.run_until(10min);
  EXPECT_LE(sut.largest(), 4U);
  EXPECT_LE(sut.mean_size(), 3.2);
}

// Without a hold these would be 120 changes. Held for 10, 20, 40, 80 and then
// 160 s, they are eight times up and down at most for each of the two workers
// that a burst asks for.
TEST(PoolSizeSimulation, BurstsThatComeAgainKeepTheirWorkers) {
  Source source;
  source.interval = kFrame;
  source.budget = 100ms;
  source.cost = [](Duration arrival, unsigned) {
    return arrival % 10s < 1s ? 50ms : 5ms;
  };
  PoolSimulation sut(source);
  sut.run_until(10min);
  EXPECT_LE(sut.changes().size(), 32U);
  EXPECT_GE(sut.changes().size(), 4U);
}

// The frames become dearer just when one more worker begins: that is not its
// doing, which shows when it has been taken away.
TEST(PoolSizeSimulation, FileWhoseFramesBecomeDearerHasItsWorkersInTheEnd) {
  Source source;
  source.max = 4;
  source.cost = [](Duration arrival, unsigned) {
    return arrival < 150ms ? 20ms : 40ms;
  };
  source.window = 8;
  PoolSimulation sut(source);
  sut.run_until(5s);
  EXPECT_EQ(sut.size().size(), 4U);
  EXPECT_FALSE(sut.size().efficient());
}

// A load of 0.8 for each of two workers: every frame that costs more asks for a
// third. A step up that takes back one down is held for 10, 20, 40, 80, then
// 160 s, each with 3 s of rest before the next one down: at most eight of these
// fit into ten minutes, so that there are 16 changes at most around each of the
// two sizes next to the threshold, and one on the way to them.
TEST(PoolSizeSimulation, LoadAroundAThresholdChangesTheSizeSeldom) {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> noise(1, 0.15);
    Source source;
    source.interval = kFrame;
    source.budget = 100ms;
    double drift = 1;
    source.cost = [&](Duration, unsigned) {
      drift = 1 + 0.995 * (drift - 1) + 0.02 * (noise(random) - 1);
      const double cost = 53.3e6 * drift * std::max(0.3, noise(random));
      return Duration(static_cast<Duration::rep>(cost));
    };
    PoolSimulation sut(source);
    sut.run_until(10min);
    EXPECT_LE(sut.changes().size(), 17U) << seed;
    RecordProperty("changes", static_cast<int>(sut.changes().size()));
  }
}

}  // namespace
}  // namespace dispatch::core
