// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/staffing.h"

#include <algorithm>
#include <utility>

namespace dispatch::stage {

namespace {

using core::Duration;
using core::MonotonicTime;
using std::chrono::milliseconds;
using std::chrono::seconds;

// One that is set aside comes back soon, mostly; no other one is made before.
constexpr Duration kComesBack = milliseconds(100);
// The supervisor is awake so soon anyway.
constexpr Duration kLooksAnyway = milliseconds(20);
// A worker that nobody needs is kept this long, then one a second goes.
constexpr Duration kKeepsSurplus = seconds(60);
constexpr Duration kLetsGoEvery = seconds(1);
// Of processes: starting one takes longer than a load takes to come.
constexpr unsigned kSpareProcesses = 2;

void take_earlier(std::optional<MonotonicTime>& next,
                  std::optional<MonotonicTime> other) {
  if (other && (!next || *other < *next)) next = other;
}

}  // namespace

// ---- Limits ----------------------------------------------------------------

void Staffing::set_limits(const StaffingLimits& limits) {
  limits_ = limits;
  share_.set_limits(limits.min, limits.max);
  restarts_.set_limit(limits.restart_limit);
  limit_size();
  wakes_.wake_supervisor();
}

// What is permitted changes with what other elements take.
void Staffing::limit_size() {
  size_.set_limits({std::max(1U, limits_.min), permitted()});
}

unsigned Staffing::most() const {
  const unsigned max =
      limits_.max != 0 ? std::max(limits_.max, limits_.min) : permitted();
  return 2 * max;
}

void Staffing::start() {
  size_.reset();
  restarts_.reset();
  stalls_.reset();
  is_too_slow_ = false;
  next_orders_.reset();
  not_before_.reset();
  surplus_since_.reset();
  news_.clear();
  new_stage_.reset();
  given_up_.clear();
  deaths_ = 0;
  share_.resize(workers_.size());
}

void Staffing::stop() { share_.release(); }

// ---- What happens to frames ------------------------------------------------

// More workers do not make one frame faster: that has to be said. Once, until
// frames take less than three quarters of the budget.
void Staffing::judge_service(const Worker& worker) {
  if (!has_due_times_ || budget_ == Duration::zero()) return;
  const Duration service = stalls_.mean_service().value_or(Duration::zero());
  if (is_too_slow_ ? service >= budget_ / 4 * 3 : service <= budget_) return;
  is_too_slow_ = !is_too_slow_;
  if (is_too_slow_)
    tell({.kind = StaffingNews::Kind::kTooSlow,
          .worker = worker.number(),
          .busy_for = service});
}

// The supervisor has to be awake when that worker is stuck.
void Staffing::on_begun(MonotonicTime now) {
  if (next_orders_ && *next_orders_ > now && *next_orders_ - now < kLooksAnyway)
    return;
  if (const std::optional<Duration> timeout = stall_timeout())
    look_at(now + *timeout);
}

void Staffing::look_at(MonotonicTime time) {
  if (next_orders_ && *next_orders_ <= time) return;
  next_orders_ = time;
  wakes_.wake_supervisor();
}

void Staffing::on_finished(const Worker& worker, Duration service,
                           MonotonicTime now) {
  const bool was_set_aside = workers_.on_finished(worker, service);
  restarts_.on_result();
  stalls_.on_finished(service);
  if (!was_set_aside) size_.on_finished(now, service);
  judge_service(worker);
  if (workers_.has_leaving()) wakes_.wake_supervisor();
}

void Staffing::set_aside(const Worker& worker, bool is_overdue,
                         MonotonicTime now) {
  const std::optional<WorkerRoster::Busy> busy =
      workers_.set_aside(worker, now);
  if (!busy) return;
  wakes_.wake_supervisor();
  if (!is_overdue) return;
  tell({.kind = StaffingNews::Kind::kSetAside,
        .worker = worker.number(),
        .frame = busy->sequence,
        .busy_for = now - busy->since});
}

void Staffing::review(const Facts& facts, MonotonicTime now) {
  limit_size();
  const unsigned wanted = size_.decide(facts, now);
  if (const auto look = size_.next_look()) look_at(*look);
  if (wanted == workers_.size()) return;
  const unsigned size = share_.resize(wanted);
  if (size == workers_.size()) return;
  workers_.resize(size);
  wakes_.wake_supervisor();
}

void Staffing::on_death(bool was_useful, MonotonicTime now) {
  ++deaths_;
  const core::RestartPolicy::Verdict verdict =
      restarts_.on_death(now, was_useful);
  not_before_ = verdict.not_before;
  wakes_.wake_supervisor();
}

void Staffing::tell(const StaffingNews& news) {
  news_.push_back(news);
  wakes_.wake_supervisor();
}

void Staffing::replace_stage(const std::string& description) {
  new_stage_ = description;
  wakes_.wake_supervisor();
}

// It may do what the one before could not.
bool Staffing::begin_generation(WorkerRoster::Generation generation) {
  if (!workers_.begin_generation(generation)) return false;
  restarts_.reset();
  stalls_.reset();
  not_before_.reset();
  return true;
}

// ---- Orders ----------------------------------------------------------------

Orders Staffing::give_orders(MonotonicTime now) {
  Orders orders;
  orders.news = std::exchange(news_, {});
  orders.new_stage = std::exchange(new_stage_, std::nullopt);
  order_kills(orders, now);
  order_fewer(orders, now);
  orders.let_go = workers_.leaving();
  order_one_more(orders, now);
  // It is not reviewed while nothing flows, and its time passes.
  if (const auto look = size_.next_look(); look && *look > now)
    take_earlier(orders.next, look);
  next_orders_ = orders.next;
  return orders;
}

// Stuck for good.
void Staffing::order_kills(Orders& orders, MonotonicTime now) {
  const std::optional<Duration> timeout = stall_timeout();
  std::vector<core::Sequence> still_stuck;
  for (const WorkerRoster::Busy& busy : workers_.busy()) {
    if (!timeout) break;
    if (busy.worker->has_ended()) continue;
    if (std::find(given_up_.begin(), given_up_.end(), busy.sequence) !=
        given_up_.end()) {
      still_stuck.push_back(busy.sequence);
      continue;
    }
    if (busy.since + *timeout > now) {
      take_earlier(orders.next, busy.since + *timeout);
      continue;
    }
    still_stuck.push_back(busy.sequence);
    orders.kill.push_back(busy.worker);
    orders.news.push_back({.kind = StaffingNews::Kind::kStuck,
                           .worker = busy.worker->number(),
                           .frame = busy.sequence,
                           .busy_for = now - busy.since});
  }
  given_up_ = std::move(still_stuck);
}

// Parked, ready-made ones.
unsigned Staffing::spares() const {
  if (limits_.spares) return *limits_.spares;
  const unsigned size = workers_.size();
  const unsigned max = permitted();
  if (!has_due_times_) return size_.wants_spare() && size < max ? 1 : 0;
  if (!limits_.are_processes) return max > 1 ? 1 : 0;
  return size < max ? std::min(kSpareProcesses, max - size) : 1;
}

void Staffing::order_one_more(Orders& orders, MonotonicTime now) {
  if (is_exhausted() || workers_.count() >= most()) return;
  const MonotonicTime fresh_since = now - kComesBack;
  // One that is lost is replaced when on_death() has said from when on.
  unsigned there =
      workers_.active_count() + workers_.parked_count() + workers_.lost_count();
  for (const WorkerRoster::Busy& busy : workers_.busy()) {
    if (!busy.is_set_aside || busy.is_removed ||
        busy.set_aside_at <= fresh_since)
      continue;
    ++there;
    take_earlier(orders.next, busy.set_aside_at + kComesBack);
  }
  if (there >= workers_.size() + spares()) return;
  if (not_before_ && *not_before_ > now) {
    take_earlier(orders.next, not_before_);
    return;
  }
  orders.is_one_to_make = true;
  orders.number = workers_.free_numbers(1).front();
  orders.generation = workers_.generation();
}

void Staffing::order_fewer(Orders& orders, MonotonicTime now) {
  if (workers_.parked_count() <= spares()) {
    surplus_since_.reset();
    return;
  }
  if (!surplus_since_) surplus_since_ = now;
  if (now - *surplus_since_ >= kKeepsSurplus) {
    workers_.remove_parked();
    surplus_since_ = now - kKeepsSurplus + kLetsGoEvery;
  }
  take_earlier(orders.next, *surplus_since_ + kKeepsSurplus);
}

}  // namespace dispatch::stage
