// SPDX-License-Identifier: LGPL-2.1-or-later
#include <mutex>

#include "process/slots.h"

namespace dispatch::process {

struct SlotBudget::State {
  std::mutex mutex;
  std::uint64_t max_bytes = 0;
  std::uint64_t level = 0;

  bool has_room_locked(std::uint64_t bytes) const {
    return max_bytes == 0 || (level <= max_bytes && bytes <= max_bytes - level);
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
  if (!state_->has_room_locked(bytes)) return false;
  state_->level += bytes;
  return true;
}

void SlotBudget::give_back(std::uint64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->level -= bytes;
}

bool SlotBudget::has_room_for(std::uint64_t bytes) const {
  const std::lock_guard lock(state_->mutex);
  return state_->has_room_locked(bytes);
}

}  // namespace dispatch::process
