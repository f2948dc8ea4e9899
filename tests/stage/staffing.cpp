// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What is ordered of the supervisor, and when: no thread, no clock.
#include "stage/staffing.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>

namespace dispatch::test {
namespace {

using core::Duration;
using core::MonotonicTime;
using stage::Orders;
using stage::Section;
using stage::StaffingLimits;
using stage::StaffingNews;
using stage::Worker;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr MonotonicTime kBegin{std::chrono::hours(1)};
constexpr Duration kBudget = milliseconds(100);

class NumberedWorker final : public Worker {
 public:
  explicit NumberedWorker(unsigned number) : number_(number) {}

  unsigned number() const override { return number_; }
  void submit(stage::Job) override {}
  void abandon(core::Sequence) override {}
  void flush() override {}

 private:
  const unsigned number_;
};

// One worker to begin with; each call is a Section of its own.
class Staff {
 public:
  explicit Staff(const StaffingLimits& limits, bool is_live = true) {
    const Section section(wakes_);
    sut_.set_limits(limits);
    sut_.set_due_times(is_live, kBudget);
    roster_.set({std::make_shared<NumberedWorker>(0)});
    sut_.start();
  }

  Orders orders(MonotonicTime now) {
    const Section section(wakes_);
    return sut_.give_orders(now);
  }
  // The worker that is ordered comes. False: none is.
  bool make_one(MonotonicTime now) {
    const Orders orders = this->orders(now);
    if (!orders.is_one_to_make) return false;
    const Section section(wakes_);
    roster_.add(std::make_shared<NumberedWorker>(orders.number),
                orders.generation);
    return true;
  }
  unsigned make_all(MonotonicTime now) {
    unsigned made = 0;
    while (make_one(now)) ++made;
    return made;
  }
  // How many are let go of, and go.
  std::size_t let_go(MonotonicTime now) {
    const Orders orders = this->orders(now);
    const Section section(wakes_);
    for (const auto& worker : orders.let_go) roster_.forget(*worker);
    return orders.let_go.size();
  }
  void set_limits(const StaffingLimits& limits) {
    const Section section(wakes_);
    sut_.set_limits(limits);
  }
  std::shared_ptr<Worker> take(core::Sequence sequence, MonotonicTime now) {
    const Section section(wakes_);
    sut_.on_begun(now);
    return roster_.take_idle(roster_.generation(), sequence, now);
  }
  void finish(const Worker& worker, Duration service, MonotonicTime now) {
    const Section section(wakes_);
    sut_.on_finished(worker, service, now);
  }
  void set_aside(const Worker& worker, bool is_overdue, MonotonicTime now) {
    const Section section(wakes_);
    sut_.set_aside(worker, is_overdue, now);
  }
  void die(MonotonicTime now) {
    const Section section(wakes_);
    sut_.on_death(/*was_useful=*/false, now);
  }
  void lose(const Worker& worker, MonotonicTime now) {
    const Section section(wakes_);
    roster_.remove(worker);
    sut_.on_death(/*was_useful=*/true, now);
  }
  unsigned most() {
    const Section section(wakes_);
    return sut_.most();
  }
  bool is_exhausted() {
    const Section section(wakes_);
    return sut_.is_exhausted();
  }

 private:
  stage::Wakes wakes_;
  stage::WorkerRoster roster_;
  core::CpuAllowance allowance_{2};
  stage::Staffing sut_{roster_, wakes_, allowance_};
};

// ---- Spares ----------------------------------------------------------------

TEST(Staffing, AThreadIsSparedWhereMoreThanOneMayWork) {
  Staff several({.max = 4});
  EXPECT_EQ(several.make_all(kBegin), 1U);
  Staff one({.max = 1});
  EXPECT_EQ(one.make_all(kBegin), 0U);
}

TEST(Staffing, ProcessesTakeLongToStartSoTwoAreSpared) {
  Staff several({.max = 4, .are_processes = true});
  EXPECT_EQ(several.make_all(kBegin), 2U);
  Staff one({.max = 1, .are_processes = true});
  EXPECT_EQ(one.make_all(kBegin), 1U) << "it can die";
}

TEST(Staffing, TheUserMayNameTheSpares) {
  Staff none({.max = 4, .spares = 0});
  EXPECT_EQ(none.make_all(kBegin), 0U);
  Staff three({.max = 4, .spares = 3});
  EXPECT_EQ(three.make_all(kBegin), 3U);
}

TEST(Staffing, AllTogetherAreAtMostTwiceTheMaximum) {
  Staff sut({.max = 2, .spares = 100});
  EXPECT_EQ(sut.most(), 4U);
  EXPECT_EQ(sut.make_all(kBegin), 3U);
}

TEST(Staffing, ASpareTooManyGoesAfterAMinuteThenOneASecond) {
  Staff sut({.max = 8, .spares = 3});
  sut.make_all(kBegin);
  sut.set_limits({.max = 8, .spares = 1});
  EXPECT_TRUE(sut.orders(kBegin).let_go.empty());
  EXPECT_TRUE(sut.orders(kBegin + milliseconds(59999)).let_go.empty());
  EXPECT_EQ(sut.let_go(kBegin + seconds(60)), 1U);
  EXPECT_EQ(sut.let_go(kBegin + milliseconds(60999)), 0U);
  EXPECT_EQ(sut.let_go(kBegin + seconds(61)), 1U);
  EXPECT_EQ(sut.let_go(kBegin + seconds(99)), 0U);
}

// ---- Set aside, stuck ------------------------------------------------------

TEST(Staffing, OneThatIsSetAsideMayComeBackBeforeAnotherIsMade) {
  Staff sut({.max = 1, .spares = 0});
  const auto worker = sut.take(7, kBegin);
  sut.set_aside(*worker, /*is_overdue=*/true, kBegin);
  const Orders orders = sut.orders(kBegin);
  EXPECT_FALSE(orders.is_one_to_make);
  ASSERT_TRUE(orders.next);
  EXPECT_TRUE(sut.orders(*orders.next + milliseconds(1)).is_one_to_make);
}

TEST(Staffing, OneThatIsSetAsideForAnOverdueFrameIsNews) {
  Staff sut({.max = 2});
  const auto worker = sut.take(7, kBegin);
  sut.set_aside(*worker, /*is_overdue=*/true, kBegin + milliseconds(30));
  const Orders orders = sut.orders(kBegin + milliseconds(30));
  ASSERT_EQ(orders.news.size(), 1U);
  EXPECT_EQ(orders.news[0].kind, StaffingNews::Kind::kSetAside);
  EXPECT_EQ(orders.news[0].frame, 7U);
  EXPECT_EQ(orders.news[0].busy_for, milliseconds(30));
}

TEST(Staffing, OneThatIsSetAsideByAFlushIsNoNews) {
  Staff sut({.max = 2});
  sut.set_aside(*sut.take(7, kBegin), /*is_overdue=*/false, kBegin);
  EXPECT_TRUE(sut.orders(kBegin).news.empty());
}

TEST(Staffing, OneThatIsStuckIsKilledOnce) {
  Staff sut({.max = 1, .spares = 0, .stall_timeout = milliseconds(500)});
  const auto worker = sut.take(7, kBegin);
  Orders orders = sut.orders(kBegin + milliseconds(499));
  EXPECT_TRUE(orders.kill.empty());
  EXPECT_EQ(orders.next, kBegin + milliseconds(500));
  orders = sut.orders(kBegin + milliseconds(500));
  ASSERT_EQ(orders.kill.size(), 1U);
  EXPECT_EQ(orders.kill[0], worker);
  EXPECT_TRUE(sut.orders(kBegin + seconds(9)).kill.empty());
}

TEST(Staffing, WithoutDueTimesNobodyIsStuckUnlessTheUserSaysWhen) {
  Staff sut({.max = 1}, /*is_live=*/false);
  const auto worker = sut.take(7, kBegin);
  EXPECT_TRUE(sut.orders(kBegin + std::chrono::hours(9)).kill.empty());
}

// ---- Death -----------------------------------------------------------------

TEST(Staffing, OneThatDiedIsReplaced) {
  Staff sut({.max = 1, .spares = 0, .are_processes = true, .restart_limit = 5});
  const auto worker = sut.take(7, kBegin);
  sut.finish(*worker, milliseconds(1), kBegin);
  EXPECT_FALSE(sut.make_one(kBegin));
  sut.lose(*worker, kBegin);
  const Orders orders = sut.orders(kBegin);
  EXPECT_EQ(orders.let_go, stage::WorkerList{worker});
  EXPECT_TRUE(orders.is_one_to_make);
}

TEST(Staffing, OneThatCannotBeMadeIsTriedAgainLater) {
  Staff sut({.max = 2, .spares = 1, .are_processes = true, .restart_limit = 5});
  sut.die(kBegin);
  sut.die(kBegin);
  const Orders orders = sut.orders(kBegin);
  EXPECT_FALSE(orders.is_one_to_make);
  ASSERT_TRUE(orders.next);
  EXPECT_GT(*orders.next, kBegin);
  EXPECT_TRUE(sut.orders(*orders.next).is_one_to_make);
}

TEST(Staffing, AfterTooManyDeathsNoneIsMade) {
  Staff sut({.max = 2, .spares = 1, .restart_limit = 0});
  sut.die(kBegin);
  EXPECT_TRUE(sut.is_exhausted());
  EXPECT_FALSE(sut.orders(kBegin + seconds(60)).is_one_to_make);
}

// ---- Too slow --------------------------------------------------------------

TEST(Staffing, AFrameThatTakesLongerThanTheBudgetIsNewsOnce) {
  Staff sut({.max = 1, .spares = 0});
  unsigned told = 0;
  for (core::Sequence sequence = 0; sequence < 5; ++sequence) {
    const auto worker = sut.take(sequence, kBegin);
    sut.finish(*worker, 2 * kBudget, kBegin);
    for (const StaffingNews& news : sut.orders(kBegin).news) {
      EXPECT_EQ(news.kind, StaffingNews::Kind::kTooSlow);
      EXPECT_EQ(news.busy_for, 2 * kBudget);
      ++told;
    }
  }
  EXPECT_EQ(told, 1U);
}

}  // namespace
}  // namespace dispatch::test
