// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The one lock of a dispatcher, who sleeps under it, and whom letting go of it
// wakes.
//
// For: a thread that has something for another one says so where it sees it;
// the other one is woken, and a worker gets its job, when the lock is let go
// of: earlier they would only wait for it. Not for: what is waited for, which
// is the business of who waits; nothing here knows of frames in a line.
// Thread: four kinds of threads sleep here: the submitter (upstream's, for
// room), questioners (upstream's and workers', for an answer), the output, and
// the supervisor (for something to do).
// Everything but making a Section needs one.
// Ownership: of jobs until their workers have them; who made the workers shares
// them and their reports.
//
// Lock order: a pad's stream lock, then this lock, then an Epoch's,
// PipelineTime's or a worker's. It is never held while pushing, querying,
// posting, or calling Worker::submit(), Reports::take() or Reports::ring().
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/instant.h"
#include "stage/ptr.h"
#include "stage/worker.h"
#include "stage/workers.h"

namespace dispatch::stage {

class Wakes {
 public:
  Wakes() = default;
  Wakes(const Wakes&) = delete;
  Wakes& operator=(const Wakes&) = delete;

  // Where ends of jobs are found; the output sleeps on its bell then. Null if
  // the workers tell of them.
  void set_reports(std::shared_ptr<Reports> reports) {
    reports_ = std::move(reports);
  }
  const std::shared_ptr<Reports>& reports() const { return reports_; }

  void wake_submitter() {
    pending_.submitter = pending_.submitter || is_submitter_waiting_;
  }
  void wake_questioners() { pending_.questioners = true; }
  void wake_supervisor() { pending_.supervisor = true; }
  // Out of whatever it waits for.
  void wake_output();
  // The output wakes by itself, at `time` at the latest.
  bool is_output_awake_by(core::RunningTime time) const {
    return output_wakes_at_ && *output_wakes_at_ <= time;
  }
  void hand_over(std::shared_ptr<Worker> worker, Job job) {
    pending_.jobs.push_back({std::move(worker), std::move(job)});
  }

 private:
  friend class Section;

  struct Handed {
    std::shared_ptr<Worker> worker;
    Job job;
  };
  // What is to be done when the lock is let go of.
  struct Pending {
    bool output = false;
    bool submitter = false;
    bool questioners = false;
    bool supervisor = false;
    ClockIdPtr output_wait;
    std::vector<Handed> jobs;

    bool has_any() const {
      return output || submitter || questioners || supervisor || output_wait ||
             !jobs.empty();
    }
  };

  std::mutex mutex_;
  std::condition_variable room_;      // the submitter sleeps on it
  std::condition_variable head_;      // the output, without reports
  std::condition_variable answered_;  // questioners
  std::condition_variable duty_;      // the supervisor
  // All under mutex_:
  std::shared_ptr<Reports> reports_;
  Pending pending_;
  bool is_submitter_waiting_ = false;
  bool is_output_waiting_ = false;
  std::optional<core::RunningTime> output_wakes_at_;
  ClockIdPtr output_wait_;
};

// Holds the lock of `wakes`; for one thread. All waits may end early: what is
// waited for has to be looked at again.
class Section {
 public:
  explicit Section(Wakes& wakes) : wakes_(wakes), lock_(wakes.mutex_) {}
  ~Section() {
    if (lock_.owns_lock()) unlock();
  }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

  void lock() { lock_.lock(); }
  void unlock();

  // The submitter.
  template <typename Predicate>
  void wait_for_room(Predicate is_over) {
    wakes_.is_submitter_waiting_ = true;
    while (!is_over()) wait(wakes_.room_);
    wakes_.is_submitter_waiting_ = false;
  }

  // A questioner.
  template <typename Predicate>
  void wait_for_answer(Predicate is_over) {
    while (!is_over()) wait(wakes_.answered_);
  }

  // The supervisor.
  void wait_for_duty(std::optional<core::MonotonicTime> until);

  // The output, where the workers tell of the ends of their jobs.
  void sleep();
  // False: it was too long.
  bool sleep_for(core::Duration longest);
  // Until `wait` ends, a wait on a clock (transfer none).
  void sleep_on_clock(GstClockID wait);

  // The output, where ends of jobs are found in reports: it takes those that
  // are there instead of sleeping. What is set ends the sleep.
  struct Alarms {
    std::optional<core::MonotonicTime> until;
    // `until`, where it is a due time: what is due later need not wake.
    std::optional<core::RunningTime> until_due;
    ClockIdPtr clock_wait;  // for a clock that no sleep knows
  };
  void sleep_on_reports(const Alarms& alarms);

 private:
  void wait(std::condition_variable& condition);

  Wakes& wakes_;
  std::unique_lock<std::mutex> lock_;
};

}  // namespace dispatch::stage
