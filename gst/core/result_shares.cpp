// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/result_shares.h"

#include <algorithm>

namespace dispatch::core {

namespace {

bool has(const std::multiset<std::uint64_t>& sizes, std::uint64_t bytes) {
  return !sizes.empty() && *sizes.rbegin() >= bytes;
}

}  // namespace

void ResultShares::expect(unsigned workers) {
  expected_ = workers;
  if (workers == 0 && free_.empty()) *this = ResultShares();
}

void ResultShares::join(unsigned worker) { free_.try_emplace(worker); }

void ResultShares::leave(unsigned worker) {
  free_.erase(worker);
  if (workers() == 0) *this = ResultShares();
}

unsigned ResultShares::absent() const {
  const auto there = static_cast<unsigned>(free_.size());
  return expected_ > there ? expected_ - there : 0;
}

void ResultShares::guess(std::uint64_t bytes) {
  if (is_guess_) slot_bytes_ = bytes;
}

void ResultShares::on_made(std::uint64_t bytes) {
  slot_bytes_ = is_guess_ ? bytes : std::max(slot_bytes_, bytes);
  is_guess_ = false;
  is_untouched_ = false;
}

void ResultShares::forget_size() {
  slot_bytes_ = 0;
  is_guess_ = true;
}

void ResultShares::add_free(unsigned worker, std::uint64_t bytes) {
  const auto of_worker = free_.find(worker);
  if (of_worker != free_.end()) of_worker->second.insert(bytes);
}

void ResultShares::remove_free(unsigned worker, std::uint64_t bytes) {
  const auto of_worker = free_.find(worker);
  if (of_worker == free_.end()) return;
  const auto slot = of_worker->second.find(bytes);
  if (slot != of_worker->second.end()) of_worker->second.erase(slot);
}

unsigned ResultShares::lacking() const {
  return absent() + static_cast<unsigned>(std::count_if(
                        free_.begin(), free_.end(), [&](const auto& each) {
                          return !has(each.second, slot_bytes_);
                        }));
}

unsigned ResultShares::lacking_besides(unsigned worker,
                                       std::uint64_t bytes) const {
  const std::uint64_t size = size_besides(bytes);
  return absent() + static_cast<unsigned>(std::count_if(
                        free_.begin(), free_.end(), [&](const auto& each) {
                          return each.first != worker &&
                                 !has(each.second, size);
                        }));
}

std::uint64_t ResultShares::kept() const { return slot_bytes_ * lacking(); }

std::uint64_t ResultShares::kept_besides(unsigned worker,
                                         std::uint64_t bytes) const {
  return size_besides(bytes) * lacking_besides(worker, bytes);
}

std::uint64_t ResultShares::size_besides(std::uint64_t bytes) const {
  return is_guess_ ? bytes : std::max(slot_bytes_, bytes);
}

bool ResultShares::has_free(unsigned worker, std::uint64_t bytes) const {
  const auto of_worker = free_.find(worker);
  return of_worker != free_.end() && has(of_worker->second, bytes);
}

}  // namespace dispatch::core
