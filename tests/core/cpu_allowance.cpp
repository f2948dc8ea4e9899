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

TEST(CpuAllowance, OneElementGetsOneWorkerForEachCpu) {
  CpuAllowance sut(4);
  EXPECT_EQ(sut.take_automatic(), 4U);
}

TEST(CpuAllowance, OneCpuGivesOneWorker) {
  CpuAllowance sut(1);
  EXPECT_EQ(sut.take_automatic(), 1U);
}

TEST(CpuAllowance, NoCpuCountsAsOne) {
  CpuAllowance sut(0);
  EXPECT_EQ(sut.cpus(), 1U);
  EXPECT_EQ(sut.take_automatic(), 1U);
}

TEST(CpuAllowance, TellsItsCpus) {
  const CpuAllowance sut(4);
  EXPECT_EQ(sut.cpus(), 4U);
}

TEST(CpuAllowance, LaterElementsGetWhatIsLeftBesideTheirFirstWorker) {
  CpuAllowance sut(4);
  sut.take_named(3);                    // two beyond its first
  EXPECT_EQ(sut.take_automatic(), 3U);  // the other two
  EXPECT_EQ(sut.take_automatic(), 1U);
}

TEST(CpuAllowance, EveryElementGetsItsFirstWorkerWhenNothingIsLeft) {
  CpuAllowance sut(2);
  sut.take_named(3);
  EXPECT_EQ(sut.take_automatic(), 1U);
  EXPECT_EQ(sut.take_automatic(), 1U);
}

TEST(CpuAllowance, OneNamedWorkerTakesNothingFromOthers) {
  CpuAllowance sut(4);
  sut.take_named(1);
  EXPECT_EQ(sut.take_automatic(), 4U);
}

TEST(CpuAllowance, MoreNamedWorkersThanCpusLeaveNothing) {
  CpuAllowance sut(4);
  sut.take_named(9);
  EXPECT_EQ(sut.take_automatic(), 1U);
}

TEST(CpuAllowance, MoreNamedWorkersThanCpusAreAllGivenBack) {
  CpuAllowance sut(4);
  sut.take_named(9);
  sut.give_back(9);
  EXPECT_EQ(sut.take_automatic(), 4U);
}

TEST(CpuAllowance, WhatIsGivenBackGoesToTheNextElement) {
  CpuAllowance sut(4);
  sut.give_back(sut.take_automatic());
  EXPECT_EQ(sut.take_automatic(), 4U);
}

TEST(CpuAllowance, WhatIsNotGivenBackStaysTaken) {
  CpuAllowance sut(4);
  sut.take_named(5);
  const unsigned first_only = sut.take_automatic();
  sut.give_back(first_only);
  EXPECT_EQ(sut.take_automatic(), 1U);
}

TEST(CpuAllowance, ThreadsTogetherTakeItAllAndNoMore) {
  constexpr unsigned kThreads = 4;
  for (unsigned round = 0; round < 200; ++round) {
    CpuAllowance sut(3);
    std::vector<unsigned> taken(kThreads);
    run_together(kThreads,
                 [&](unsigned i) { taken[i] = sut.take_automatic(); });
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
      const unsigned workers = sut.take_automatic();
      const unsigned now_held = held += workers - 1;
      for (unsigned seen = most; seen < now_held;)
        most.compare_exchange_weak(seen, now_held);
      held -= workers - 1;
      sut.give_back(workers);
    }
  });
  EXPECT_LE(most, 3U);
  EXPECT_EQ(sut.take_automatic(), 3U) << "all had been given back";
}

}  // namespace
}  // namespace dispatch::core
