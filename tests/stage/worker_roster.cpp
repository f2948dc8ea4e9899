// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/worker_roster.h"

#include <gtest/gtest.h>

#include <chrono>

namespace dispatch::test {
namespace {

using stage::Worker;
using stage::WorkerRoster;
using std::chrono::microseconds;

// Does nothing: a roster calls number() and has_ended() alone.
class NumberedWorker final : public Worker {
 public:
  explicit NumberedWorker(unsigned number) : number_(number) {}

  unsigned number() const override { return number_; }
  void submit(stage::Job) override {
    FAIL() << "the roster hands nothing over";
  }
  void abandon(core::Sequence) override { FAIL(); }
  void flush() override { FAIL(); }
  bool has_ended() const override { return is_dead; }

  bool is_dead = false;

 private:
  const unsigned number_;
};

using Taken = std::vector<std::shared_ptr<Worker>>;

Taken new_workers(unsigned count) {
  Taken workers;
  for (unsigned number = 0; number < count; ++number)
    workers.push_back(std::make_shared<NumberedWorker>(number));
  return workers;
}

WorkerRoster new_roster(unsigned count) {
  WorkerRoster roster;
  roster.set(new_workers(count));
  return roster;
}

std::shared_ptr<Worker> take(WorkerRoster& sut) {
  return sut.take_idle(sut.generation(), 0, {});
}

Taken take_all(WorkerRoster& sut) {
  Taken taken;
  while (std::shared_ptr<Worker> worker = take(sut))
    taken.push_back(std::move(worker));
  return taken;
}

constexpr microseconds kLong(1000);  // far above what waking costs
constexpr microseconds kShort(1);

TEST(WorkerRoster, WithoutWorkersThereIsNoneToTake) {
  WorkerRoster sut;
  EXPECT_EQ(take(sut), nullptr);
  EXPECT_EQ(sut.idle_count(), 0U);
}

TEST(WorkerRoster, WorkersAreTakenInTheirOrderAtFirst) {
  WorkerRoster sut = new_roster(3);
  const Taken taken = take_all(sut);
  EXPECT_EQ(taken, sut.all());
}

TEST(WorkerRoster, ATakenWorkerIsNotIdle) {
  WorkerRoster sut = new_roster(3);
  take(sut);
  EXPECT_EQ(sut.idle_count(), 2U);
  take_all(sut);
  EXPECT_EQ(sut.idle_count(), 0U);
  EXPECT_EQ(take(sut), nullptr);
}

TEST(WorkerRoster, TheWorkerThatHadAJobLastIsTakenFirst) {
  WorkerRoster sut = new_roster(3);
  const Taken taken = take_all(sut);
  for (const unsigned number : {2U, 0U, 1U})
    sut.on_finished(*taken[number], kLong);
  EXPECT_EQ(take_all(sut), (Taken{taken[1], taken[0], taken[2]}));
}

TEST(WorkerRoster, AWorkerThatIsNotOnTheRosterDoesNotBecomeIdle) {
  WorkerRoster sut = new_roster(1);
  const NumberedWorker stranger(0);
  sut.on_finished(stranger, kLong);
  EXPECT_EQ(sut.idle_count(), 1U);
}

TEST(WorkerRoster, AWorkerOfTheRosterBeforeDoesNotBecomeIdle) {
  WorkerRoster sut = new_roster(1);
  const std::shared_ptr<Worker> former = take(sut);
  sut.clear();
  EXPECT_TRUE(sut.all().empty());
  sut.on_finished(*former, kLong);
  EXPECT_EQ(sut.idle_count(), 0U);

  sut.set(new_workers(1));
  sut.on_finished(*former, kLong);
  EXPECT_EQ(sut.idle_count(), 1U);
  EXPECT_NE(take(sut), former);
}

TEST(WorkerRoster, WhoeverIsTakenIsKeptAliveByTheTaker) {
  WorkerRoster sut = new_roster(2);
  const std::shared_ptr<Worker> taken = take(sut);
  sut.clear();
  EXPECT_EQ(taken->number(), 0U);
  EXPECT_EQ(taken.use_count(), 1);
}

TEST(WorkerRoster, WakingIsWorthItWhileNobodyRuns) {
  WorkerRoster sut = new_roster(2);
  sut.on_finished(*take(sut), kShort);
  EXPECT_TRUE(sut.is_worth_waking());
}

TEST(WorkerRoster, WakingIsNotWorthItWhereOneRunsAndTheStageIsShort) {
  WorkerRoster sut = new_roster(2);
  sut.on_finished(*take(sut), kShort);
  take(sut);
  EXPECT_FALSE(sut.is_worth_waking());
}

TEST(WorkerRoster, WakingIsWorthItWhereTheStageIsLong) {
  WorkerRoster sut = new_roster(2);
  sut.on_finished(*take(sut), kLong);
  take(sut);
  EXPECT_TRUE(sut.is_worth_waking());
}

TEST(WorkerRoster, NewWorkersBeginWithoutWhatTheLastOnesTook) {
  WorkerRoster sut = new_roster(2);
  sut.on_finished(*take(sut), kShort);
  sut.set(new_workers(2));
  take(sut);
  EXPECT_TRUE(sut.is_worth_waking());
}

// ---- How many work ---------------------------------------------------------

std::shared_ptr<Worker> new_worker(unsigned number) {
  return std::make_shared<NumberedWorker>(number);
}

constexpr core::MonotonicTime kNow{std::chrono::seconds(9)};

TEST(WorkerRoster, OneThatComesIsParkedUntilMoreAreToWork) {
  WorkerRoster sut = new_roster(1);
  sut.add(new_worker(1), sut.generation());
  EXPECT_EQ(sut.parked_count(), 1U);
  EXPECT_EQ(sut.idle_count(), 1U);
  sut.resize(2);
  EXPECT_EQ(sut.parked_count(), 0U);
  EXPECT_EQ(take_all(sut).size(), 2U);
}

TEST(WorkerRoster, TheIdleOneThatRestedLongestIsParked) {
  WorkerRoster sut = new_roster(2);
  const Taken taken = take_all(sut);
  sut.on_finished(*taken[0], kLong);
  sut.on_finished(*taken[1], kLong);
  sut.resize(1);
  EXPECT_EQ(take_all(sut), Taken{taken[1]});
}

TEST(WorkerRoster, ABusyOneIsParkedWhenItIsDone) {
  WorkerRoster sut = new_roster(2);
  const Taken taken = take_all(sut);
  sut.resize(1);
  EXPECT_EQ(sut.active_count(), 2U);
  sut.on_finished(*taken[0], kLong);
  EXPECT_EQ(sut.active_count(), 1U);
  EXPECT_EQ(sut.parked_count(), 1U);
}

// ---- Set aside -------------------------------------------------------------

TEST(WorkerRoster, ASpareWorksInPlaceOfOneThatIsSetAside) {
  WorkerRoster sut = new_roster(1);
  const auto spare = new_worker(1);
  sut.add(spare, sut.generation());
  const std::shared_ptr<Worker> stuck =
      sut.take_idle(sut.generation(), 17, kNow);
  const auto busy = sut.set_aside(*stuck, kNow + kLong);
  ASSERT_TRUE(busy);
  EXPECT_EQ(busy->sequence, 17U);
  EXPECT_EQ(busy->since, kNow);
  EXPECT_EQ(sut.set_aside_count(), 1U);
  EXPECT_EQ(take_all(sut), Taken{spare});
}

TEST(WorkerRoster, OneThatComesBackIsParkedIfItsPlaceIsTaken) {
  WorkerRoster sut = new_roster(1);
  sut.add(new_worker(1), sut.generation());
  const std::shared_ptr<Worker> stuck = take(sut);
  sut.set_aside(*stuck, kNow);
  EXPECT_TRUE(sut.on_finished(*stuck, kLong));
  EXPECT_EQ(sut.set_aside_count(), 0U);
  EXPECT_EQ(sut.active_count(), 1U);
  EXPECT_EQ(sut.parked_count(), 1U);
}

TEST(WorkerRoster, OneThatComesBackWorksIfNobodyTookItsPlace) {
  WorkerRoster sut = new_roster(1);
  const std::shared_ptr<Worker> stuck = take(sut);
  sut.set_aside(*stuck, kNow);
  EXPECT_EQ(sut.active_count(), 0U);
  sut.on_finished(*stuck, kLong);
  EXPECT_EQ(take_all(sut), Taken{stuck});
}

TEST(WorkerRoster, OnlyWhoIsBusyIsSetAsideAndOnlyOnce) {
  WorkerRoster sut = new_roster(1);
  const std::shared_ptr<Worker> worker = sut.all().front();
  EXPECT_FALSE(sut.set_aside(*worker, kNow));
  take(sut);
  EXPECT_TRUE(sut.set_aside(*worker, kNow));
  EXPECT_FALSE(sut.set_aside(*worker, kNow));
}

// ---- Leaving ---------------------------------------------------------------

TEST(WorkerRoster, AnIdleOneThatIsRemovedLeavesAtOnceAndASpareWorks) {
  WorkerRoster sut = new_roster(1);
  const auto spare = new_worker(1);
  sut.add(spare, sut.generation());
  const std::shared_ptr<Worker> gone = sut.all().front();
  sut.remove(*gone);
  EXPECT_EQ(sut.leaving(), Taken{gone});
  EXPECT_EQ(take_all(sut), Taken{spare});
  sut.forget(*gone);
  EXPECT_FALSE(sut.has_leaving());
  EXPECT_EQ(sut.all(), Taken{spare});
}

TEST(WorkerRoster, ABusyOneThatIsRemovedLeavesWhenItHasGivenItsJobBack) {
  WorkerRoster sut = new_roster(1);
  const std::shared_ptr<Worker> gone = take(sut);
  sut.remove(*gone);
  EXPECT_FALSE(sut.has_leaving());
  ASSERT_EQ(sut.busy().size(), 1U);
  EXPECT_TRUE(sut.busy().front().is_removed);
  sut.on_finished(*gone, kLong);
  EXPECT_EQ(sut.leaving(), Taken{gone});
  EXPECT_EQ(sut.idle_count(), 0U);
}

TEST(WorkerRoster, OneThatIsLostGetsNoOtherJobAndASpareWorks) {
  WorkerRoster sut = new_roster(1);
  const auto spare = new_worker(1);
  sut.add(spare, sut.generation());
  const std::shared_ptr<Worker> lost = take(sut);
  sut.on_lost(*lost);
  EXPECT_EQ(take_all(sut), Taken{spare});
  EXPECT_EQ(sut.lost_count(), 1U);
  EXPECT_FALSE(sut.has_leaving()) << "its end is not known yet";
  sut.remove(*lost);
  EXPECT_EQ(sut.leaving(), Taken{lost});
  EXPECT_EQ(sut.lost_count(), 0U);
}

TEST(WorkerRoster, OneThatIsLostAfterItsEndWasToldLeaves) {
  WorkerRoster sut = new_roster(1);
  const std::shared_ptr<Worker> lost = take(sut);
  sut.remove(*lost);
  sut.on_lost(*lost);
  EXPECT_EQ(sut.leaving(), Taken{lost});
}

TEST(WorkerRoster, OneThatEndedBeforeItCameLeaves) {
  WorkerRoster sut = new_roster(1);
  take(sut);
  sut.resize(2);
  const auto dead = std::make_shared<NumberedWorker>(1);
  dead->is_dead = true;
  sut.add(dead, sut.generation());
  EXPECT_EQ(take(sut), nullptr);
  EXPECT_EQ(sut.leaving(), Taken{dead});
}

TEST(WorkerRoster, OfTheFirstOnesTheDeadLeave) {
  const auto dead = std::make_shared<NumberedWorker>(0);
  const auto alive = new_worker(1);
  dead->is_dead = true;
  WorkerRoster sut;
  sut.set({dead, alive});
  EXPECT_EQ(sut.size(), 2U);
  EXPECT_EQ(take_all(sut), Taken{alive});
  EXPECT_EQ(sut.leaving(), Taken{dead});
}

TEST(WorkerRoster, NumbersAreFreeWhenTheirWorkerIsForgotten) {
  WorkerRoster sut = new_roster(3);
  EXPECT_EQ(sut.free_numbers(2), (std::vector<unsigned>{3, 4}));
  const std::shared_ptr<Worker> gone = sut.all()[1];
  sut.remove(*gone);
  EXPECT_EQ(sut.free_numbers(1), std::vector<unsigned>{3});
  sut.forget(*gone);
  EXPECT_EQ(sut.free_numbers(2), (std::vector<unsigned>{1, 3}));
}

// ---- Generations -----------------------------------------------------------

TEST(WorkerRoster, TheNextGenerationWaitsUntilItBegins) {
  WorkerRoster sut = new_roster(1);
  const auto next = new_worker(1);
  const WorkerRoster::Generation generation = sut.offer({next});
  EXPECT_EQ(sut.parked_count(), 0U);
  const std::shared_ptr<Worker> former = sut.all().front();
  EXPECT_TRUE(sut.begin_generation(generation));
  EXPECT_EQ(take_all(sut), Taken{next});
  EXPECT_EQ(sut.take_idle(sut.generation() - 1, 0, kNow), former);
}

TEST(WorkerRoster, EarlierGenerationsLeaveWhenTheyAreDone) {
  WorkerRoster sut = new_roster(2);
  const std::shared_ptr<Worker> busy = take(sut);
  sut.begin_generation(sut.offer({new_worker(2)}));
  sut.end_earlier_generations();
  EXPECT_EQ(sut.leaving().size(), 1U);
  EXPECT_FALSE(sut.has_any(sut.generation() - 1));
  sut.on_finished(*busy, kLong);
  EXPECT_EQ(sut.leaving().size(), 2U);
}

TEST(WorkerRoster, OnlyTheLastGenerationThatIsOfferedBegins) {
  WorkerRoster sut = new_roster(1);
  const auto next = new_worker(1);
  const auto later = new_worker(2);
  const WorkerRoster::Generation former = sut.offer({next});
  const WorkerRoster::Generation latter = sut.offer({later});
  EXPECT_EQ(sut.leaving(), Taken{next});
  EXPECT_FALSE(sut.begin_generation(former));
  EXPECT_EQ(sut.idle_count(), 1U) << "the one that there was at first";
  EXPECT_TRUE(sut.begin_generation(latter));
  EXPECT_EQ(take_all(sut), Taken{later});
}

TEST(WorkerRoster, OneThatComesForAnEarlierGenerationLeaves) {
  WorkerRoster sut = new_roster(1);
  const WorkerRoster::Generation before = sut.generation();
  sut.begin_generation(sut.offer({new_worker(1)}));
  const auto belated = new_worker(2);
  sut.add(belated, before);
  EXPECT_EQ(sut.leaving(), Taken{belated});
}

TEST(WorkerRoster, ASpareOfAnEarlierGenerationWorksForOneThatIsLost) {
  WorkerRoster sut = new_roster(1);
  const auto spare = new_worker(1);
  const WorkerRoster::Generation before = sut.generation();
  sut.add(spare, before);
  const std::shared_ptr<Worker> lost = take(sut);
  sut.begin_generation(sut.offer({new_worker(2)}));
  sut.on_lost(*lost);
  EXPECT_TRUE(sut.has_any(before));
  EXPECT_EQ(sut.take_idle(before, 0, kNow), spare);
}

}  // namespace
}  // namespace dispatch::test
