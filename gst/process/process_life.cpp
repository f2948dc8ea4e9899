// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/process_life.h"

#include <utility>

namespace dispatch::process {

using core::MonotonicTime;
using stage::Problem;

bool ProcessLife::is_starting() const {
  const std::lock_guard lock(mutex_);
  return life_.is_starting();
}

bool ProcessLife::is_ready() const {
  const std::lock_guard lock(mutex_);
  return life_.is_ready();
}

bool ProcessLife::is_gone() const {
  const std::lock_guard lock(mutex_);
  return life_.is_gone();
}

bool ProcessLife::may_report() const {
  const std::lock_guard lock(mutex_);
  return life_.may_report();
}

bool ProcessLife::is_believed() const {
  const std::lock_guard lock(mutex_);
  return life_.is_believed();
}

void ProcessLife::on_ready(std::optional<Problem> why_not) {
  const std::lock_guard lock(mutex_);
  if (!life_.is_starting()) return;
  problem_ = std::move(why_not);
  if (problem_)
    life_.end();
  else
    life_.on_ready();
  changed_.notify_all();
}

std::optional<Problem> ProcessLife::wait_ready(MonotonicTime until) {
  std::unique_lock lock(mutex_);
  const bool has_come =
      changed_.wait_until(lock, until, [&] { return !life_.is_starting(); });
  if (problem_) return problem_;
  if (has_come) return std::nullopt;
  return Problem{
      name_ + " does not answer.",
      "The worker program was started, but said nothing within the time that "
      "starting may take; run it by hand, see the property 'worker-command'."};
}

void ProcessLife::end() {
  const std::lock_guard lock(mutex_);
  life_.end();
}

void ProcessLife::kill() {
  const std::lock_guard lock(mutex_);
  kill_locked();
}

void ProcessLife::kill_locked() {
  if (life_.kill()) child_.kill();
}

bool ProcessLife::kill_because(const Problem& problem) {
  const std::lock_guard lock(mutex_);
  const bool is_news = life_.is_ready();
  if (life_.is_starting()) problem_ = problem;
  kill_locked();
  changed_.notify_all();
  return is_news;
}

// It may be dying by itself: that is what is told then.
void ProcessLife::on_hung_up() {
  const std::lock_guard lock(mutex_);
  if (life_.is_wanted()) child_.kill();
}

std::optional<ProcessLife::End> ProcessLife::on_gone() {
  const std::lock_guard lock(mutex_);
  if (life_.is_gone()) return std::nullopt;
  const int pid = child_.pid();
  End end;
  end.how = name_ + " (process " + std::to_string(pid) + ") " + child_.wait();
  const bool is_news = life_.on_gone();
  if (!problem_)
    problem_ = {end.how + ".",
                "What it was working on is lost, and the stream ends. Its own "
                "messages may say why; GST_DEBUG shows them here."};
  if (is_news) end.news = problem_;
  changed_.notify_all();
  return end;
}

bool ProcessLife::wait_gone(MonotonicTime until) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, until, [&] { return life_.is_gone(); });
}

std::optional<os::ChildProcess> ProcessLife::leave() {
  const std::lock_guard lock(mutex_);
  if (life_.is_gone()) return std::nullopt;
  life_.on_gone();
  return std::exchange(child_, {});
}

}  // namespace dispatch::process
