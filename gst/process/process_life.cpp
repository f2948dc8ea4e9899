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

bool ProcessLife::may_touch() const {
  const std::lock_guard lock(mutex_);
  return is_left_ || !life_.is_gone();
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

std::optional<Problem> ProcessLife::begin_service() {
  const std::lock_guard lock(mutex_);
  is_in_service_ = life_.is_ready();
  if (is_in_service_) return std::nullopt;
  return problem_.value_or(Problem{name_ + " has ended at once.", ""});
}

void ProcessLife::end() {
  const std::lock_guard lock(mutex_);
  life_.end();
  is_lost_ = false;
}

void ProcessLife::let_go() {
  const std::lock_guard lock(mutex_);
  if (!is_lost_) life_.end();
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

bool ProcessLife::lose(const std::string& how, const Problem& problem) {
  const std::lock_guard lock(mutex_);
  if (!life_.may_report()) return false;
  is_lost_ = life_.is_ready() && is_in_service_;
  how_ = how;
  problem_ = problem;
  kill_locked();
  changed_.notify_all();
  return true;
}

// It may be dying by itself: that is what is told then.
void ProcessLife::on_hung_up() {
  const std::lock_guard lock(mutex_);
  if (life_.is_wanted()) child_.kill();
}

std::optional<ProcessLife::End> ProcessLife::on_gone(std::string log) {
  const std::lock_guard lock(mutex_);
  if (life_.is_gone()) return std::nullopt;
  const int pid = child_.pid();
  std::string how = child_.wait();
  return end_locked(pid, std::move(how), std::move(log));
}

// `how` it ended; that it was killed says nothing of one that we have killed.
ProcessLife::End ProcessLife::end_locked(int pid, std::string how,
                                         std::string log) {
  const bool is_loss = (life_.on_gone() && is_in_service_) || is_lost_;
  if (!how_.empty()) how = how_;
  if (!problem_) {
    problem_ = {name_ + " (process " + std::to_string(pid) + ") " + how + ".",
                "Its own messages may say why; GST_DEBUG shows them here."};
  }
  if (!log.empty()) problem_->way_out += " The last that it wrote:\n" + log;
  changed_.notify_all();
  return {.loss = {.worker = name_,
                   .pid = pid,
                   .how = std::move(how),
                   .log = std::move(log),
                   .problem = *problem_},
          .is_loss = is_loss};
}

bool ProcessLife::wait_gone(MonotonicTime until) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, until, [&] { return life_.is_gone(); });
}

std::optional<ProcessLife::Left> ProcessLife::leave(std::string log) {
  const std::lock_guard lock(mutex_);
  if (life_.is_gone()) return std::nullopt;
  is_left_ = true;
  End end =
      end_locked(child_.pid(), "was killed and is still there", std::move(log));
  return Left{.child = std::exchange(child_, {}), .end = std::move(end)};
}

}  // namespace dispatch::process
