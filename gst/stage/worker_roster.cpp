// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/worker_roster.h"

#include <algorithm>
#include <utility>

namespace dispatch::stage {

// ---- Coming and going ------------------------------------------------------

void WorkerRoster::set(const WorkerList& workers) {
  size_ = static_cast<unsigned>(workers.size());
  generation_ = last_offered_ = 0;
  idle_.clear();
  members_.clear();
  for (const auto& worker : workers) add(worker, generation_);
  std::reverse(idle_.begin(), idle_.end());
  wake_policy_.reset();
}

WorkerList WorkerRoster::all() const {
  WorkerList workers;
  for (const Member& member : members_) workers.push_back(member.worker);
  return workers;
}

void WorkerRoster::add(std::shared_ptr<Worker> worker, Generation generation) {
  insert(std::move(worker), generation);
  if (generation != generation_) members_.back().state = State::kLeaving;
  fill();
}

void WorkerRoster::insert(std::shared_ptr<Worker> worker,
                          Generation generation) {
  const State state = worker->has_ended() ? State::kLeaving : State::kParked;
  members_.push_back(
      {.worker = std::move(worker), .generation = generation, .state = state});
}

void WorkerRoster::remove(const Worker& worker) {
  Member* const member = find(worker);
  if (member == nullptr) return;
  if (member->state == State::kBusy) {
    member->is_removed = true;
  } else {
    std::erase(idle_, member->worker);
    member->state = State::kLeaving;
  }
  fill();
}

void WorkerRoster::forget(const Worker& worker) {
  std::erase_if(members_, [&](const Member& member) {
    return member.worker.get() == &worker;
  });
}

void WorkerRoster::remove_parked() {
  const auto place =
      std::find_if(members_.begin(), members_.end(), [&](const Member& member) {
        return is_current(member) && member.state == State::kParked;
      });
  if (place != members_.end()) place->state = State::kLeaving;
}

bool WorkerRoster::has_leaving() const {
  return std::any_of(
      members_.begin(), members_.end(),
      [](const Member& member) { return member.state == State::kLeaving; });
}

WorkerList WorkerRoster::leaving() const {
  WorkerList workers;
  for (const Member& member : members_)
    if (member.state == State::kLeaving) workers.push_back(member.worker);
  return workers;
}

std::vector<unsigned> WorkerRoster::free_numbers(unsigned count) const {
  std::vector<unsigned> free;
  for (unsigned number = 0; free.size() < count; ++number)
    if (std::none_of(members_.begin(), members_.end(),
                     [&](const Member& member) {
                       return member.worker->number() == number;
                     }))
      free.push_back(number);
  return free;
}

WorkerRoster::Member* WorkerRoster::find(const Worker& worker) {
  const auto place = std::find_if(
      members_.begin(), members_.end(),
      [&](const Member& known) { return known.worker.get() == &worker; });
  return place != members_.end() ? &*place : nullptr;
}

const WorkerRoster::Member* WorkerRoster::find(const Worker& worker) const {
  return const_cast<WorkerRoster*>(this)->find(worker);
}

// ---- How many work ---------------------------------------------------------

void WorkerRoster::resize(unsigned size) {
  size_ = size;
  while (active_count() > size_ && !idle_.empty()) {
    // The one that has rested longest.
    find(*idle_.front())->state = State::kParked;
    idle_.erase(idle_.begin());
  }
  fill();
}

// Parked ones to work, as many as there should be.
void WorkerRoster::fill() {
  for (auto member = members_.rbegin();
       member != members_.rend() && active_count() < size_; ++member)
    if (is_current(*member) && member->state == State::kParked) {
      member->state = State::kIdle;
      idle_.push_back(member->worker);
    }
}

WorkerRoster::Generation WorkerRoster::offer(const WorkerList& workers) {
  for (Member& member : members_)
    if (member.generation > generation_) member.state = State::kLeaving;
  ++last_offered_;
  for (const auto& worker : workers) insert(worker, last_offered_);
  return last_offered_;
}

bool WorkerRoster::begin_generation(Generation generation) {
  if (generation != last_offered_) return false;
  generation_ = generation;
  idle_.clear();
  fill();
  return true;
}

bool WorkerRoster::has_any(Generation generation) const {
  return std::any_of(
      members_.begin(), members_.end(), [&](const Member& member) {
        return member.generation == generation && !member.is_removed &&
               member.state != State::kLost && member.state != State::kLeaving;
      });
}

void WorkerRoster::end_earlier_generations() {
  for (Member& member : members_) {
    if (member.generation >= generation_) continue;
    if (member.state == State::kBusy)
      member.is_removed = true;
    else
      member.state = State::kLeaving;
  }
}

unsigned WorkerRoster::count(State state) const {
  return static_cast<unsigned>(std::count_if(
      members_.begin(), members_.end(), [&](const Member& member) {
        return is_current(member) && member.state == state;
      }));
}

unsigned WorkerRoster::parked_count() const { return count(State::kParked); }

unsigned WorkerRoster::lost_count() const { return count(State::kLost); }

unsigned WorkerRoster::active_count() const {
  return static_cast<unsigned>(std::count_if(
      members_.begin(), members_.end(), [&](const Member& member) {
        const bool is_working = member.state == State::kBusy &&
                                !member.is_set_aside && !member.is_removed;
        return is_current(member) &&
               (is_working || member.state == State::kIdle);
      }));
}

unsigned WorkerRoster::set_aside_count() const {
  return static_cast<unsigned>(
      std::count_if(members_.begin(), members_.end(),
                    [](const Member& member) { return member.is_set_aside; }));
}

// ---- Jobs ------------------------------------------------------------------

std::shared_ptr<Worker> WorkerRoster::take_idle(Generation generation,
                                                core::Sequence sequence,
                                                core::MonotonicTime now) {
  Member* member = nullptr;
  if (generation == generation_) {
    if (idle_.empty()) return nullptr;
    member = find(*idle_.back());
    idle_.pop_back();
  } else {
    const auto place =
        std::find_if(members_.begin(), members_.end(), [&](const Member& each) {
          return each.generation == generation &&
                 (each.state == State::kIdle || each.state == State::kParked);
        });
    if (place == members_.end()) return nullptr;
    member = &*place;
  }
  member->state = State::kBusy;
  member->sequence = sequence;
  member->since = now;
  return member->worker;
}

// A busy one that is done with its job.
void WorkerRoster::put(Member& member) {
  member.is_set_aside = false;
  if (std::exchange(member.is_removed, false)) {
    member.state = State::kLeaving;
  } else if (!is_current(member)) {
    member.state = State::kIdle;
  } else {
    member.state = State::kParked;
    if (active_count() >= size_) return;
    member.state = State::kIdle;
    idle_.push_back(member.worker);
  }
}

bool WorkerRoster::on_finished(const Worker& worker, core::Duration service) {
  wake_policy_.on_service(service);
  Member* const member = find(worker);
  if (member == nullptr || member->state != State::kBusy) return false;
  member->has_finished = true;
  const bool was_set_aside = member->is_set_aside;
  put(*member);
  return was_set_aside;
}

void WorkerRoster::on_lost(const Worker& worker) {
  Member* const member = find(worker);
  if (member == nullptr || member->state != State::kBusy) return;
  member->is_set_aside = false;
  member->state =
      std::exchange(member->is_removed, false) ? State::kLeaving : State::kLost;
  fill();
}

bool WorkerRoster::is_idle(const Worker& worker) const {
  return std::any_of(idle_.begin(), idle_.end(),
                     [&](const auto& idle) { return idle.get() == &worker; });
}

bool WorkerRoster::has_finished(const Worker& worker) const {
  const Member* const member = find(worker);
  return member != nullptr && member->has_finished;
}

std::optional<WorkerRoster::Busy> WorkerRoster::set_aside(
    const Worker& worker, core::MonotonicTime now) {
  Member* const member = find(worker);
  if (member == nullptr || member->state != State::kBusy ||
      member->is_set_aside)
    return std::nullopt;
  member->is_set_aside = true;
  member->set_aside_at = now;
  fill();
  return to_busy(*member);
}

WorkerRoster::Busy WorkerRoster::to_busy(const Member& member) {
  return {member.worker,       member.sequence,     member.since,
          member.is_set_aside, member.set_aside_at, member.is_removed};
}

std::vector<WorkerRoster::Busy> WorkerRoster::busy() const {
  std::vector<Busy> busy;
  for (const Member& member : members_)
    if (member.state == State::kBusy) busy.push_back(to_busy(member));
  return busy;
}

bool WorkerRoster::is_worth_waking() const {
  return wake_policy_.is_worth_waking(active_count() - idle_count());
}

}  // namespace dispatch::stage
