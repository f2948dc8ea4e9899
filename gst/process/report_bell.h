// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sleeping until one of several worker processes reports.
//
// For: the one wake-up that a result costs: the workers of an element share a
// word, the bell, and the thread that pushes sleeps on it. Not for: what the
// reports say (process/result_intake).
// Thread: as said in stage/workers.h; set_workers() at any time. Who sleeps or
// takes does so with the workers that there were when that began, and begins
// anew when they change.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "process/process_worker.h"
#include "stage/workers.h"

namespace dispatch::process {

class ReportBell final : public stage::Reports {
 public:
  // `spin`: how long to look before sleeping.
  ReportBell(SharedBell bell, core::Duration spin)
      : bell_(std::move(bell)), spin_(spin) {}

  using Workers = std::vector<std::shared_ptr<ProcessWorker>>;

  void set_workers(Workers workers,
                   std::shared_ptr<stage::WorkerListener> listener);
  SharedBell& bell() { return bell_; }

  bool take() override;
  std::uint32_t look() const override;
  void wait(std::uint32_t seen,
            std::optional<core::MonotonicTime> until) override;
  void ring() override;

 private:
  struct Members {
    Workers workers;
    std::shared_ptr<stage::WorkerListener> listener;
  };
  std::shared_ptr<const Members> members() const;
  bool is_worth_sleeping(const Members& members, std::uint32_t seen,
                         std::optional<core::MonotonicTime> until) const;

  SharedBell bell_;
  const core::Duration spin_;
  std::mutex taking_;
  std::atomic<std::uint32_t> is_waiting_{0};
  mutable std::mutex mutex_;
  std::shared_ptr<const Members> members_ =
      std::make_shared<Members>();  // under mutex_; never changed itself
};

}  // namespace dispatch::process
