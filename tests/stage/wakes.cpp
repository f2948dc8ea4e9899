// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/wakes.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <utility>
#include <vector>

namespace dispatch::test {
namespace {

using stage::Section;
using stage::Wakes;
using stage::Worker;
using std::chrono::milliseconds;

core::RunningTime at(milliseconds time) { return core::RunningTime(time); }

stage::Job job(core::Sequence sequence) {
  stage::Job job;
  job.sequence = sequence;
  return job;
}

// Takes the lock for each job, as a worker does that is done at once.
class PromptWorker final : public Worker {
 public:
  explicit PromptWorker(Wakes& wakes) : wakes_(wakes) {}

  unsigned number() const override { return 0; }
  void submit(stage::Job job) override {
    const Section section(wakes_);
    jobs.push_back(job.sequence);
  }
  void abandon(core::Sequence) override {}
  void flush() override {}

  std::vector<core::Sequence> jobs;

 private:
  Wakes& wakes_;
};

// The bell of reports that nobody writes.
class Bell final : public stage::Reports {
 public:
  bool take() override { return finds_some; }
  std::uint32_t look() const override { return rings; }
  void wait(std::uint32_t seen,
            std::optional<core::MonotonicTime> until) override {
    ++waits;
    last_seen = seen;
    last_until = until;
    if (in_wait) in_wait();
  }
  void ring() override { ++rings; }

  bool finds_some = false;
  std::function<void()> in_wait;
  std::uint32_t rings = 0;
  unsigned waits = 0;
  std::uint32_t last_seen = 0;
  std::optional<core::MonotonicTime> last_until;
};

// ---- Jobs ------------------------------------------------------------------

TEST(Wakes, AJobIsHandedOverWhenTheLockIsLetGoOf) {
  Wakes sut;
  const auto worker = std::make_shared<PromptWorker>(sut);
  {
    const Section section(sut);
    sut.hand_over(worker, job(7));
    sut.hand_over(worker, job(8));
    EXPECT_TRUE(worker->jobs.empty());
  }
  EXPECT_EQ(worker->jobs, (std::vector<core::Sequence>{7, 8}));
}

TEST(Wakes, AJobIsHandedOverBeforeItsGiverSleeps) {
  Wakes sut;
  const auto worker = std::make_shared<PromptWorker>(sut);
  Section section(sut);
  sut.hand_over(worker, job(7));
  section.wait_for_answer([&] { return !worker->jobs.empty(); });
  EXPECT_EQ(worker->jobs.size(), 1U);
}

TEST(Wakes, AJobIsHandedOverOnce) {
  Wakes sut;
  const auto worker = std::make_shared<PromptWorker>(sut);
  {
    Section section(sut);
    sut.hand_over(worker, job(7));
    section.unlock();
    section.lock();
  }
  EXPECT_EQ(worker->jobs.size(), 1U);
}

// ---- Waits -----------------------------------------------------------------

TEST(Wakes, TheSubmitterIsWoken) {
  Wakes sut;
  bool is_over = false;
  std::promise<void> begun;
  auto waiter = std::async(std::launch::async, [&] {
    Section section(sut);
    section.wait_for_room([&, first = true]() mutable {
      if (std::exchange(first, false)) begun.set_value();
      return is_over;
    });
  });
  begun.get_future().wait();
  {
    const Section section(sut);
    is_over = true;
    sut.wake_submitter();
  }
  waiter.get();
}

TEST(Wakes, AQuestionerIsWoken) {
  Wakes sut;
  bool is_over = false;
  std::promise<void> begun;
  auto waiter = std::async(std::launch::async, [&] {
    Section section(sut);
    section.wait_for_answer([&, first = true]() mutable {
      if (std::exchange(first, false)) begun.set_value();
      return is_over;
    });
  });
  begun.get_future().wait();
  {
    const Section section(sut);
    is_over = true;
    sut.wake_questioners();
  }
  waiter.get();
}

TEST(Wakes, TheOutputIsWoken) {
  Wakes sut;
  std::promise<void> begun;
  auto output = std::async(std::launch::async, [&] {
    Section section(sut);
    begun.set_value();
    section.sleep();
  });
  begun.get_future().wait();
  {
    const Section section(sut);  // free: it sleeps
    sut.wake_output();
  }
  output.get();
}

TEST(Wakes, TheOutputIsWokenFromASleepOnAClock) {
  Wakes sut;
  const stage::ObjectPtr<GstClock> clock(gst_system_clock_obtain());
  const stage::ClockIdPtr hour(gst_clock_new_single_shot_id(
      clock.get(), gst_clock_get_time(clock.get()) + 3600 * GST_SECOND));
  std::promise<void> begun;
  auto output = std::async(std::launch::async, [&] {
    Section section(sut);
    begun.set_value();
    section.sleep_on_clock(hour.get());
  });
  begun.get_future().wait();
  {
    const Section section(sut);  // free: it sleeps, or is about to
    sut.wake_output();
  }
  output.get();
}

TEST(Wakes, ASleepIsTooLongWhenNobodyWakes) {
  Wakes sut;
  Section section(sut);
  while (section.sleep_for(milliseconds(1))) {
  }
}

// ---- Reports ---------------------------------------------------------------

TEST(Wakes, WithReportsTheOutputIsWokenByTheBell) {
  Wakes sut;
  const auto bell = std::make_shared<Bell>();
  bell->in_wait = [&] {
    const Section section(sut);
    sut.wake_output();
  };
  Section section(sut);
  sut.set_reports(bell);
  section.sleep_on_reports({});
  EXPECT_EQ(bell->waits, 1U);
  EXPECT_EQ(bell->rings, 1U);
}

TEST(Wakes, AnOutputThatDoesNotSleepIsNotRung) {
  Wakes sut;
  const auto bell = std::make_shared<Bell>();
  {
    const Section section(sut);
    sut.set_reports(bell);
    sut.wake_output();
  }
  EXPECT_EQ(bell->rings, 0U);
}

TEST(Wakes, ReportsThatAreThereAreTakenInsteadOfSleeping) {
  Wakes sut;
  const auto bell = std::make_shared<Bell>();
  bell->finds_some = true;
  Section section(sut);
  sut.set_reports(bell);
  section.sleep_on_reports({});
  EXPECT_EQ(bell->waits, 0U);
}

TEST(Wakes, ASleepOnReportsEndsAtItsTime) {
  Wakes sut;
  const auto bell = std::make_shared<Bell>();
  const auto until = std::chrono::steady_clock::now() + milliseconds(5);
  Section section(sut);
  sut.set_reports(bell);
  Section::Alarms alarms;
  alarms.until = until;
  section.sleep_on_reports(alarms);
  EXPECT_EQ(bell->last_until, until);
}

TEST(Wakes, WhatIsDueLaterThanTheOutputWakesNeedNotWakeIt) {
  Wakes sut;
  const auto bell = std::make_shared<Bell>();
  bell->in_wait = [&] {
    const Section section(sut);
    EXPECT_FALSE(sut.is_output_awake_by(at(milliseconds(9))));
    EXPECT_TRUE(sut.is_output_awake_by(at(milliseconds(10))));
    EXPECT_TRUE(sut.is_output_awake_by(at(milliseconds(11))));
  };
  Section section(sut);
  sut.set_reports(bell);
  EXPECT_FALSE(sut.is_output_awake_by(at(milliseconds(11))));
  Section::Alarms alarms;
  alarms.until_due = at(milliseconds(10));
  section.sleep_on_reports(alarms);
  EXPECT_EQ(bell->waits, 1U);
  EXPECT_FALSE(sut.is_output_awake_by(at(milliseconds(11)))) << "any more";
}

}  // namespace
}  // namespace dispatch::test
