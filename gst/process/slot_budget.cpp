// SPDX-License-Identifier: LGPL-2.1-or-later
#include <atomic>
#include <mutex>

#include "core/result_shares.h"
#include "os/file_limit.h"
#include "process/slots.h"

namespace dispatch::process {

namespace {

// ---- Files -----------------------------------------------------------------

// Slots of all elements of the process.
std::atomic<std::uint64_t> open_slots{0};

std::uint64_t max_slots() { return os::open_files_limit() / 4; }

bool has_files(std::uint64_t count) {
  return open_slots + count <= max_slots();
}

bool take_file(std::uint64_t kept) {
  std::uint64_t open = open_slots;
  do {
    if (open + 1 + kept > max_slots()) return false;
  } while (!open_slots.compare_exchange_weak(open, open + 1));
  return true;
}

}  // namespace

struct SlotBudget::State {
  mutable std::mutex mutex;
  std::uint64_t max_bytes = 0;
  std::uint64_t level = 0;
  std::uint64_t slots = 0;
  core::ResultShares shares;

  ~State() { open_slots -= slots; }

  bool has_room_locked(std::uint64_t bytes, std::uint64_t kept) const {
    if (max_bytes == 0) return true;
    if (level > max_bytes || bytes > max_bytes - level) return false;
    return kept <= max_bytes - level - bytes;
  }
  bool has_room_for_result_locked(unsigned worker, std::uint64_t bytes) const {
    return has_room_locked(bytes, 0) &&
           has_room_locked(bytes, shares.kept_besides(worker, bytes));
  }
  bool take_locked(std::uint64_t bytes, std::uint64_t kept_files) {
    if (!take_file(kept_files)) return false;
    level += bytes;
    ++slots;
    return true;
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
  return state_->has_room_locked(bytes, state_->shares.kept()) &&
         state_->take_locked(bytes, state_->shares.lacking());
}

void SlotBudget::give_back(std::uint64_t bytes) {
  const std::lock_guard lock(state_->mutex);
  state_->level -= bytes;
  --state_->slots;
  --open_slots;
}

bool SlotBudget::has_room_for(std::uint64_t bytes, unsigned slots) const {
  const std::lock_guard lock(state_->mutex);
  return state_->has_room_locked(bytes, state_->shares.kept()) &&
         has_files(slots + state_->shares.lacking());
}

bool SlotBudget::leaves_half(std::uint64_t bytes) const {
  const std::lock_guard lock(state_->mutex);
  const std::uint64_t left = state_->max_bytes / 2;
  return state_->has_room_locked(left + bytes, state_->shares.kept()) &&
         has_files(max_slots() / 2 + 1 + state_->shares.lacking());
}

bool SlotBudget::exceeds_files(unsigned slots) const {
  const std::lock_guard lock(state_->mutex);
  return slots + state_->shares.workers() > max_slots();
}

bool SlotBudget::lacks_files() const {
  const std::lock_guard lock(state_->mutex);
  return !has_files(1 + state_->shares.lacking());
}

// ---- What is kept for results ----------------------------------------------

void SlotBudget::expect_workers(unsigned workers) {
  const std::lock_guard lock(state_->mutex);
  state_->shares.expect(workers);
}

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
  const bool is_needed =
      !shares.is_untouched() && !shares.has_free(worker, bytes);
  if (!(is_needed && state_->has_room_locked(bytes, 0)) &&
      !state_->has_room_for_result_locked(worker, bytes))
    return false;
  const unsigned kept_files =
      is_needed ? 0 : shares.lacking_besides(worker, bytes);
  if (!state_->take_locked(bytes, kept_files)) return false;
  shares.on_made(bytes);
  return true;
}

bool SlotBudget::has_room_for_result(unsigned worker,
                                     std::uint64_t bytes) const {
  const std::lock_guard lock(state_->mutex);
  return state_->has_room_for_result_locked(worker, bytes) &&
         has_files(1 + state_->shares.lacking_besides(worker, bytes));
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
