// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/report_bell.h"

#include <algorithm>

#include "core/handshake.h"
#include "os/futex.h"

namespace dispatch::process {

namespace {

// A worker can turn the bell back just when somebody rings it, and the ring is
// not heard: this long then.
constexpr auto kLongestSleep = std::chrono::seconds(2);

bool have_reports(const ReportBell::Workers& workers) {
  return std::any_of(workers.begin(), workers.end(),
                     [](const auto& worker) { return worker->has_reports(); });
}

}  // namespace

// Who sleeps then knows nothing of the new ones, and they nothing of it.
void ReportBell::set_workers(Workers workers,
                             std::shared_ptr<stage::WorkerListener> listener) {
  std::shared_ptr<const Members> members = std::make_shared<Members>(
      Members{std::move(workers), std::move(listener)});
  {
    const std::lock_guard lock(mutex_);
    members_.swap(members);
  }
  ring();
}

std::shared_ptr<const ReportBell::Members> ReportBell::members() const {
  const std::lock_guard lock(mutex_);
  return members_;
}

bool ReportBell::take() {
  const std::unique_lock lock(taking_, std::try_to_lock);
  if (!lock.owns_lock()) return false;
  const std::shared_ptr<const Members> now = members();
  bool has_any = false;
  for (const auto& worker : now->workers)
    has_any = worker->take_reports(*now->listener) || has_any;
  return has_any;
}

std::uint32_t ReportBell::look() const {
  return bell_->rings.load(std::memory_order_acquire);
}

// Looks for a while, if that was asked for: what comes soon then costs no
// system call on either side.
bool ReportBell::is_worth_sleeping(
    const Members& members, std::uint32_t seen,
    std::optional<core::MonotonicTime> until) const {
  if (spin_ == core::Duration::zero()) return true;
  auto end = std::chrono::steady_clock::now() + spin_;
  if (until) end = std::min(end, *until);
  do {
    if (look() != seen || have_reports(members.workers)) return false;
  } while (std::chrono::steady_clock::now() < end);
  return true;
}

void ReportBell::wait(std::uint32_t seen,
                      std::optional<core::MonotonicTime> until) {
  const std::shared_ptr<const Members> now = members();
  if (!is_worth_sleeping(*now, seen, until)) return;
  core::announce_sleep(is_waiting_);
  for (const auto& worker : now->workers) worker->set_dispatcher_sleeps(true);
  const core::MonotonicTime latest =
      std::chrono::steady_clock::now() + kLongestSleep;
  if (!have_reports(now->workers))
    os::futex_wait(bell_->rings, seen,
                   std::min(until.value_or(latest), latest));
  for (const auto& worker : now->workers) worker->set_dispatcher_sleeps(false);
  core::end_sleep(is_waiting_);
}

void ReportBell::ring() {
  bell_->rings.fetch_add(1, std::memory_order_acq_rel);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (is_waiting_.load(std::memory_order_relaxed) != 0)
    os::futex_wake(bell_->rings);
}

}  // namespace dispatch::process
