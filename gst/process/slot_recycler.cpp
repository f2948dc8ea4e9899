// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/slot_recycler.h"

#include <iterator>

namespace dispatch::process {

MemoryPtr SlotRecycler::take(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  MemoryPtr memory = withdraw_locked(bytes);
  if (memory) ++out_[memory->maxsize];
  return memory;
}

MemoryPtr SlotRecycler::withdraw(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  return withdraw_locked(bytes);
}

MemoryPtr SlotRecycler::withdraw_locked(std::uint64_t bytes) {
  const auto slot = waiting_.lower_bound(with_spare(bytes));
  if (slot == waiting_.end()) return nullptr;
  MemoryPtr memory = std::move(slot->second);
  waiting_.erase(slot);
  return memory;
}

MemoryPtr SlotRecycler::give_out(MemoryPtr fresh) {
  give_home(fresh.get(), weak_from_this());
  const std::lock_guard lock(mutex_);
  ++out_[fresh->maxsize];
  return fresh;
}

void SlotRecycler::keep(MemoryPtr fresh) {
  give_home(fresh.get(), weak_from_this());
  const std::lock_guard lock(mutex_);
  const gsize bytes = fresh->maxsize;
  waiting_.emplace(bytes, std::move(fresh));
}

bool SlotRecycler::drop_smallest() {
  MemoryPtr dropped;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) return false;
    dropped = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
  }
  let_go(std::move(dropped));
  return true;
}

void SlotRecycler::drop_smaller(std::uint64_t bytes) {
  std::multimap<std::uint64_t, MemoryPtr> dropped;
  {
    const std::lock_guard lock(mutex_);
    while (!waiting_.empty() && waiting_.begin()->first < with_spare(bytes))
      dropped.insert(waiting_.extract(waiting_.begin()));
  }
  for (auto& [size, memory] : dropped) let_go(std::move(memory));
}

unsigned SlotRecycler::count(std::uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  auto result = static_cast<unsigned>(
      std::distance(waiting_.lower_bound(with_spare(bytes)), waiting_.end()));
  for (auto size = out_.lower_bound(with_spare(bytes)); size != out_.end();
       ++size)
    result += size->second;
  return result;
}

unsigned SlotRecycler::returns() const {
  const std::lock_guard lock(mutex_);
  return returns_;
}

unsigned SlotRecycler::waiting() const {
  const std::lock_guard lock(mutex_);
  return static_cast<unsigned>(waiting_.size());
}

bool SlotRecycler::wait(unsigned seen) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return returns_ != seen || is_interrupted_ || out_.empty();
  });
  return returns_ != seen && !is_interrupted_;
}

void SlotRecycler::wait_for_return(core::Duration longest) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, longest,
                    [&, seen = returns_] { return returns_ != seen; });
}

void SlotRecycler::interrupt(bool on) {
  const std::lock_guard lock(mutex_);
  is_interrupted_ = on;
  changed_.notify_all();
}

void SlotRecycler::come_home(MemoryPtr memory) {
  const std::lock_guard lock(mutex_);
  const gsize bytes = memory->maxsize;
  const auto size = out_.find(bytes);
  if (--size->second == 0) out_.erase(size);
  waiting_.emplace(bytes, std::move(memory));
  ++returns_;
  changed_.notify_all();
}

}  // namespace dispatch::process
