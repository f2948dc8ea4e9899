// SPDX-License-Identifier: LGPL-2.1-or-later
#include <mutex>

#include "core/result_shares.h"
#include "process/slots.h"

namespace dispatch::process {

struct SlotBudget::State {
  mutable std::mutex mutex;
  std::uint64_t max_bytes = 0;
  std::uint64_t level = 0;
  core::ResultShares shares;

  bool has_room_locked(std::uint64_t bytes, std::uint64_t kept) const {
    if (max_bytes == 0) return true;
    if (level > max_bytes || bytes > max_bytes - level) return false;
    return kept <= max_bytes - level - bytes;
  }
  bool has_room_for_result_locked(unsigned worker, std::uint64_t bytes) const {
    return has_room_locked(bytes, 0) &&
           has_room_locked(bytes, shares.kept_besides(worker, bytes));
  }
};

SlotBudget::SlotBudget() : state_(std::make_shared<State>()) {}

void SlotBudget::set_max_bytes(std::uint64_t max_bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->max_bytes = max_bytes;
}

std::uint64_t SlotBudget::max_bytes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->max_bytes;
}

std::uint64_t SlotBudget::level() const {
  const std::lock_guard lock(state_->mutex);
  return state_->level;
}

bool SlotBudget::reserve(std::uint64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  if (!state_->has_room_locked(bytes, state_->shares.kept())) return false;
  state_->level += bytes;
  return true;
}

void SlotBudget::give_back(std::uint64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->level -= bytes;
}

bool SlotBudget::has_room_for(std::uint64_t bytes) const {
  const std::lock_guard lock(state_->mutex);
  return state_->has_room_locked(bytes, state_->shares.kept());
}

// ---- What is kept for results ----------------------------------------------

void SlotBudget::join(unsigned worker) {
  const std::lock_guard lock(state_->mutex);
  state_->shares.join(worker);
}

void SlotBudget::leave(unsigned worker) {
  const std::lock_guard lock(state_->mutex);
  state_->shares.leave(worker);
}

void SlotBudget::guess_result(std::uint64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->shares.guess(bytes);
}

void SlotBudget::forget_result() {
  const std::lock_guard lock(state_->mutex);
  state_->shares.forget_size();
}

// The very first slot is refused if not all workers could have one: better an
// error now than in mid-stream. Later ones may have grown beyond what was kept.
bool SlotBudget::reserve_result(unsigned worker, std::uint64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  core::ResultShares& shares = state_->shares;
  const bool has_grown = !shares.is_untouched() &&
                         !shares.has_free(worker, bytes) &&
                         state_->has_room_locked(bytes, 0);
  if (!has_grown && !state_->has_room_for_result_locked(worker, bytes))
    return false;
  state_->level += bytes;
  shares.on_made(bytes);
  return true;
}

bool SlotBudget::has_room_for_result(unsigned worker,
                                     std::uint64_t bytes) const {
  const std::lock_guard lock(state_->mutex);
  return state_->has_room_for_result_locked(worker, bytes);
}

bool SlotBudget::has_free_result(unsigned worker) const {
  const std::lock_guard lock(state_->mutex);
  return state_->shares.has_free(worker, 0);
}

void SlotBudget::on_free(unsigned worker, std::uint64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->shares.add_free(worker, bytes);
}

void SlotBudget::on_used(unsigned worker, std::uint64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->shares.remove_free(worker, bytes);
}

std::uint64_t SlotBudget::least_with(std::uint64_t inputs) const {
  const std::lock_guard lock(state_->mutex);
  return inputs + state_->shares.least();
}

std::uint64_t SlotBudget::least_for(std::uint64_t bytes) const {
  const std::lock_guard lock(state_->mutex);
  return state_->level + bytes + state_->shares.kept();
}

std::uint64_t SlotBudget::least_for_result(unsigned worker,
                                           std::uint64_t bytes) const {
  const std::lock_guard lock(state_->mutex);
  return state_->level + bytes + state_->shares.kept_besides(worker, bytes);
}

}  // namespace dispatch::process
