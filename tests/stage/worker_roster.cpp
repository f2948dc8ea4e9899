// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/worker_roster.h"

#include <gtest/gtest.h>

#include <chrono>

namespace dispatch::test {
namespace {

using stage::Worker;
using stage::WorkerRoster;
using std::chrono::microseconds;

// Does nothing: a roster calls number() alone.
class NumberedWorker final : public Worker {
 public:
  explicit NumberedWorker(unsigned number) : number_(number) {}

  unsigned number() const override { return number_; }
  void submit(stage::Job) override {
    FAIL() << "the roster hands nothing over";
  }
  void abandon(core::Sequence) override { FAIL(); }
  void flush() override { FAIL(); }

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
  return sut.take_idle(/*is_per_stream=*/false);
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
  EXPECT_EQ(sut.take_idle(/*is_per_stream=*/true), nullptr);
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

TEST(WorkerRoster, StateLivesInTheFirstWorker) {
  WorkerRoster sut = new_roster(3);
  const Taken taken = take_all(sut);
  for (const auto& worker : taken) sut.on_finished(*worker, kLong);
  EXPECT_EQ(sut.take_idle(/*is_per_stream=*/true), taken[0]);
  EXPECT_EQ(sut.take_idle(/*is_per_stream=*/true), nullptr) << "it is busy";
  EXPECT_EQ(take_all(sut), (Taken{taken[2], taken[1]}));
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

}  // namespace
}  // namespace dispatch::test
