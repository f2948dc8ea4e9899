// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/cpu_allowance.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <latch>
#include <thread>
#include <vector>

namespace dispatch::core {
namespace {

// Runs `work` in `count` threads that begin together.
void run_together(unsigned count, const std::function<void(unsigned)>& work) {
  std::latch begin(count);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < count; ++i)
    threads.emplace_back([&, i] {
      begin.arrive_and_wait();
      work(i);
    });
  for (std::thread& thread : threads) thread.join();
}

// An element that names nothing, and takes all it can get.
unsigned take_automatic(AllowanceShare& share) {
  share.set_limits(1, 0);
  return share.resize(1000);
}

unsigned take_automatic(CpuAllowance& allowance) {
  AllowanceShare share(allowance);
  return take_automatic(share);
}

unsigned take_named(AllowanceShare& share, unsigned workers) {
  share.set_limits(1, workers);
  return share.resize(workers);
}

TEST(CpuAllowance, OneElementGetsOneWorkerForEachCpu) {
  CpuAllowance sut(4);
  EXPECT_EQ(take_automatic(sut), 4U);
}

TEST(CpuAllowance, OneCpuGivesOneWorker) {
  CpuAllowance sut(1);
  EXPECT_EQ(take_automatic(sut), 1U);
}

TEST(CpuAllowance, NoCpuCountsAsOne) {
  CpuAllowance sut(0);
  EXPECT_EQ(sut.cpus(), 1U);
  EXPECT_EQ(take_automatic(sut), 1U);
}

TEST(CpuAllowance, TellsItsCpus) {
  const CpuAllowance sut(4);
  EXPECT_EQ(sut.cpus(), 4U);
}

TEST(CpuAllowance, LaterElementsGetWhatIsLeftBesideTheirFirstWorker) {
  CpuAllowance sut(4);
  AllowanceShare named(sut);
  AllowanceShare second(sut);
  take_named(named, 3);                   // two beyond its first
  EXPECT_EQ(take_automatic(second), 3U);  // the other two
  EXPECT_EQ(take_automatic(sut), 1U);
}

TEST(CpuAllowance, EveryElementGetsItsFirstWorkerWhenNothingIsLeft) {
  CpuAllowance sut(2);
  AllowanceShare named(sut);
  take_named(named, 3);
  EXPECT_EQ(take_automatic(sut), 1U);
  EXPECT_EQ(take_automatic(sut), 1U);
}

TEST(CpuAllowance, OneNamedWorkerTakesNothingFromOthers) {
  CpuAllowance sut(4);
  AllowanceShare named(sut);
  take_named(named, 1);
  EXPECT_EQ(take_automatic(sut), 4U);
}

TEST(CpuAllowance, MoreNamedWorkersThanCpusAreHadAndLeaveNothing) {
  CpuAllowance sut(4);
  AllowanceShare named(sut);
  EXPECT_EQ(take_named(named, 9), 9U);
  EXPECT_EQ(take_automatic(sut), 1U);
}

TEST(CpuAllowance, MoreNamedWorkersThanCpusAreAllGivenBack) {
  CpuAllowance sut(4);
  AllowanceShare named(sut);
  take_named(named, 9);
  named.release();
  EXPECT_EQ(take_automatic(sut), 4U);
}

TEST(CpuAllowance, WhatIsNotGivenBackStaysTaken) {
  CpuAllowance sut(4);
  AllowanceShare named(sut);
  take_named(named, 5);
  EXPECT_EQ(take_automatic(sut), 1U);
  EXPECT_EQ(take_automatic(sut), 1U);
}

TEST(CpuAllowance, AShareTakesWhatItNeedsAndGivesBackWhatItDoesNot) {
  CpuAllowance sut(4);
  AllowanceShare share(sut);
  share.set_limits(1, 0);
  EXPECT_EQ(share.resize(3), 3U);
  EXPECT_EQ(sut.left(), 2U);
  EXPECT_EQ(share.resize(2), 2U);
  EXPECT_EQ(sut.left(), 3U);
}

TEST(CpuAllowance, AShareTellsHowManyWorkersItMayHave) {
  CpuAllowance sut(4);
  AllowanceShare share(sut);
  AllowanceShare other(sut);
  share.set_limits(1, 0);
  EXPECT_EQ(share.permitted(), 4U);
  take_named(other, 4);
  EXPECT_EQ(share.permitted(), 2U);
  share.resize(2);
  EXPECT_EQ(share.permitted(), 2U);
  share.set_limits(1, 7);
  EXPECT_EQ(share.permitted(), 7U);
}

TEST(CpuAllowance, AShareKeepsItsLeastWorkersThoughNothingIsLeft) {
  CpuAllowance sut(2);
  AllowanceShare other(sut);
  take_named(other, 8);
  AllowanceShare share(sut);
  share.set_limits(3, 0);
  EXPECT_EQ(share.resize(1), 3U);
  EXPECT_EQ(share.resize(5), 3U);
}

TEST(CpuAllowance, ThreadsTogetherTakeItAllAndNoMore) {
  constexpr unsigned kThreads = 4;
  for (unsigned round = 0; round < 200; ++round) {
    CpuAllowance sut(3);
    std::vector<unsigned> taken(kThreads);
    std::latch have_taken(kThreads);
    run_together(kThreads, [&](unsigned i) {
      AllowanceShare share(sut);
      taken[i] = take_automatic(share);
      have_taken.arrive_and_wait();
    });
    unsigned beyond_first = 0;
    for (const unsigned workers : taken) beyond_first += workers - 1;
    ASSERT_EQ(beyond_first, 3U) << "round " << round;
  }
}

TEST(CpuAllowance, ThreadsThatTakeAndGiveBackNeverHoldMoreThanThereIs) {
  CpuAllowance sut(3);
  std::atomic<unsigned> held = 0;
  std::atomic<unsigned> most = 0;
  run_together(4, [&](unsigned) {
    for (unsigned i = 0; i < 2000; ++i) {
      AllowanceShare share(sut);
      const unsigned workers = take_automatic(share);
      const unsigned now_held = held += workers - 1;
      for (unsigned seen = most; seen < now_held;)
        most.compare_exchange_weak(seen, now_held);
      held -= workers - 1;
    }
  });
  EXPECT_LE(most, 3U);
  EXPECT_EQ(take_automatic(sut), 3U) << "all had been given back";
}

}  // namespace
}  // namespace dispatch::core
