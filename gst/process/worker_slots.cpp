// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/worker_slots.h"

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/handshake.h"
#include "os/futex.h"
#include "process/slot_view.h"

namespace dispatch::process {

namespace {

using core::SlotName;
using core::protocol::SlotClass;

// What has been reported, and which of its slots are not back yet.
struct KeptBuffer {
  BufferPtr buffer;
  std::vector<MappedSlot*> awaited;
};

// A result slot of `bytes`, which nobody has.
bool is_free(const MappedSlot& slot, std::uint64_t bytes) {
  return slot.is_result() && !slot.is_taken && !slot.is_reported &&
         slot.bytes() >= with_spare(bytes);
}

// Where the next copy begins if one of `memory` begins at `start`: aligned as
// memory from the heap is.
gsize with_copy_of(GstMemory* memory, gsize start) {
  constexpr gsize kAlignment = 16;
  return (start + memory->size + kAlignment - 1) / kAlignment * kAlignment;
}

bool read(GstMemory* memory, guint8* to) {
  GstMapInfo map;
  if (!gst_memory_map(memory, &map, GST_MAP_READ)) return false;
  std::copy_n(map.data, map.size, to);
  gst_memory_unmap(memory, &map);
  return true;
}

std::vector<MemoryPtr> split(GstMemory* slot,
                             const std::vector<GstMemory*>& copied) {
  std::vector<MemoryPtr> parts;
  gsize start = 0;
  for (GstMemory* const memory : copied) {
    parts.emplace_back(gst_memory_share(slot, static_cast<gssize>(start),
                                        static_cast<gssize>(memory->size)));
    start = with_copy_of(memory, start);
  }
  return parts;
}

}  // namespace

// The slots of a worker. The allocator and all memories share it, and may
// outlive the WorkerSlots, which closes it.
class SlotTable final : public ResultSlots {
 public:
  SlotTable(const core::protocol::CommandRegion& commands,
            core::protocol::ReportRegion& reports,
            WorkerSlots::NeedSlotFn need_slot)
      : commands_(commands),
        reports_(reports),
        need_slot_(std::move(need_slot)) {}

  const char* add(SlotName name, SlotClass slot_class, std::uint64_t bytes,
                  const os::UniqueFd& fd);
  void remove(SlotName name);
  MappedSlotPtr find(SlotName name) const;
  bool is_reported(const MappedSlot& slot) const;
  bool has_free(std::uint64_t bytes) const;

  void keep_until_released(BufferPtr buffer, GstAllocator* allocator);
  void take_released();
  void count(const WorkerSlots::Copies& copies);
  WorkerSlots::Copies take_copies();
  void interrupt(bool on);
  bool is_interrupted() const;
  void close();

  // ResultSlots.
  MappedSlotPtr take(std::uint64_t bytes) override;
  void let_go(MappedSlot& slot) override;
  bool will_have(std::uint64_t bytes) const override;
  void count_copy(std::uint64_t bytes) override;

 private:
  MappedSlotPtr take_smallest_locked(std::uint64_t bytes);
  std::vector<SlotName> forget_free_locked();
  bool wait_for_release();
  void release_locked(std::uint32_t index, std::vector<BufferPtr>& freed);

  // Shared memory; not looked at any more when closed.
  const core::protocol::CommandRegion& commands_;
  core::protocol::ReportRegion& reports_;
  const WorkerSlots::NeedSlotFn need_slot_;

  mutable std::mutex mutex_;
  // All under mutex_:
  std::map<std::uint32_t, MappedSlotPtr> slots_;  // by index
  std::vector<KeptBuffer> kept_;
  std::uint32_t released_ = 0;  // how many have been taken back
  unsigned waiters_ = 0;
  bool is_interrupted_ = false;
  bool is_closed_ = false;
  WorkerSlots::Copies copies_;
};

const char* SlotTable::add(SlotName name, SlotClass slot_class,
                           std::uint64_t bytes, const os::UniqueFd& fd) {
  if (!fd) return "no descriptor";
  if (bytes == 0 || os::size_of(fd.get()) < bytes) return "size";
  if (!os::keeps_size(fd.get())) return "size is not sealed";
  auto mapping = os::Mapping::make(fd.get(), bytes,
                                   slot_class == SlotClass::kInput
                                       ? os::Mapping::Access::kRead
                                       : os::Mapping::Access::kReadWrite);
  if (!mapping) return "cannot be mapped";
  auto slot = std::make_shared<MappedSlot>();
  slot->name = name;
  slot->slot_class = slot_class;
  slot->mapping = mapping.take();
  const std::lock_guard lock(mutex_);
  return slots_.emplace(name.index, std::move(slot)).second ? nullptr : "index";
}

// Unmapped by its last memory. What waited for its return waits no more.
void SlotTable::remove(SlotName name) {
  MappedSlotPtr removed;
  std::vector<BufferPtr> freed;
  const std::lock_guard lock(mutex_);
  const auto slot = slots_.find(name.index);
  if (slot == slots_.end() || slot->second->name != name) return;
  release_locked(name.index, freed);
  removed = std::move(slot->second);
  slots_.erase(slot);
}

MappedSlotPtr SlotTable::find(SlotName name) const {
  const std::lock_guard lock(mutex_);
  const auto slot = slots_.find(name.index);
  if (slot == slots_.end() || slot->second->name != name) return nullptr;
  return slot->second;
}

bool SlotTable::is_reported(const MappedSlot& slot) const {
  const std::lock_guard lock(mutex_);
  return slot.is_reported;
}

bool SlotTable::has_free(std::uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(slots_.begin(), slots_.end(), [&](const auto& each) {
    return is_free(*each.second, bytes);
  });
}

void SlotTable::keep_until_released(BufferPtr buffer, GstAllocator* allocator) {
  KeptBuffer kept;
  for (guint i = 0; i < gst_buffer_n_memory(buffer.get()); ++i) {
    MappedSlot* const slot =
        slot_of(allocator, gst_buffer_peek_memory(buffer.get(), i));
    if (slot != nullptr && slot->is_result() &&
        std::find(kept.awaited.begin(), kept.awaited.end(), slot) ==
            kept.awaited.end())
      kept.awaited.push_back(slot);
  }
  if (kept.awaited.empty()) return;
  kept.buffer = std::move(buffer);
  const std::lock_guard lock(mutex_);
  for (MappedSlot* const slot : kept.awaited) slot->is_reported = true;
  kept_.push_back(std::move(kept));
}

// What the buffers held is freed, or goes back to its pool, without the lock.
void SlotTable::take_released() {
  std::vector<BufferPtr> freed;
  const std::lock_guard lock(mutex_);
  if (is_closed_) return;
  // SAFETY: acquire; who sees the count sees the indices.
  const std::uint32_t released =
      commands_.released.load(std::memory_order_acquire);
  for (; released_ != released; ++released_)
    release_locked(
        commands_.released_slots[released_ % core::protocol::kMaxResultSlots],
        freed);
}

void SlotTable::release_locked(std::uint32_t index,
                               std::vector<BufferPtr>& freed) {
  const auto slot = slots_.find(index);
  if (slot == slots_.end()) return;
  slot->second->is_reported = false;
  for (KeptBuffer& kept : kept_) std::erase(kept.awaited, slot->second.get());
  const auto done = std::stable_partition(
      kept_.begin(), kept_.end(),
      [](const KeptBuffer& kept) { return !kept.awaited.empty(); });
  for (auto kept = done; kept != kept_.end(); ++kept)
    freed.push_back(std::move(kept->buffer));
  kept_.erase(done, kept_.end());
}

WorkerSlots::Copies SlotTable::take_copies() {
  const std::lock_guard lock(mutex_);
  return std::exchange(copies_, {});
}

void SlotTable::count(const WorkerSlots::Copies& copies) {
  const std::lock_guard lock(mutex_);
  copies_.buffers += copies.buffers;
  copies_.bytes += copies.bytes;
}

void SlotTable::count_copy(std::uint64_t bytes) {
  count({.buffers = 1, .bytes = bytes});
}

void SlotTable::let_go(MappedSlot& slot) {
  const std::lock_guard lock(mutex_);
  slot.is_taken = false;
}

bool SlotTable::will_have(std::uint64_t bytes) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(slots_.begin(), slots_.end(), [&](const auto& each) {
    const MappedSlot& slot = *each.second;
    return slot.is_result() && !slot.is_reported &&
           slot.bytes() >= with_spare(bytes);
  });
}

MappedSlotPtr SlotTable::take(std::uint64_t bytes) {
  while (true) {
    take_released();
    std::vector<SlotName> unused;
    {
      const std::lock_guard lock(mutex_);
      if (is_closed_) return nullptr;
      if (MappedSlotPtr slot = take_smallest_locked(bytes)) return slot;
      unused = forget_free_locked();
    }
    if (!need_slot_(bytes, std::move(unused)) && !wait_for_release())
      return nullptr;
  }
}

MappedSlotPtr SlotTable::take_smallest_locked(std::uint64_t bytes) {
  MappedSlotPtr best;
  for (const auto& [index, slot] : slots_) {
    if (is_free(*slot, bytes) && (!best || slot->bytes() < best->bytes()))
      best = slot;
  }
  if (best) best->is_taken = true;
  return best;
}

// All that are free, none of them being large enough.
std::vector<SlotName> SlotTable::forget_free_locked() {
  std::vector<SlotName> names;
  for (auto slot = slots_.begin(); slot != slots_.end();) {
    const MappedSlot& free = *slot->second;
    if (!free.is_result() || free.is_taken || free.is_reported) {
      ++slot;
      continue;
    }
    names.push_back(free.name);
    slot = slots_.erase(slot);
  }
  return names;
}

// False: nothing is out that could come back, or interrupted.
bool SlotTable::wait_for_release() {
  std::uint32_t seen = 0;
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_ || is_interrupted_ || kept_.empty()) return false;
    seen = released_;
    if (waiters_++ == 0) core::announce_sleep(reports_.worker_awaits_slot);
  }
  if (commands_.released.load(std::memory_order_acquire) == seen)
    os::futex_wait(commands_.released, seen);
  const std::lock_guard lock(mutex_);
  if (--waiters_ == 0) core::end_sleep(reports_.worker_awaits_slot);
  return !is_interrupted_;
}

// A wake-up between a waiter's last look and its sleep would be lost: it is
// repeated until all are awake. No new one goes to sleep meanwhile.
void SlotTable::interrupt(bool on) {
  std::unique_lock lock(mutex_);
  is_interrupted_ = on;
  while (on && waiters_ > 0) {
    lock.unlock();
    os::futex_wake(commands_.released);
    std::this_thread::yield();
    lock.lock();
  }
}

bool SlotTable::is_interrupted() const {
  const std::lock_guard lock(mutex_);
  return is_interrupted_;
}

void SlotTable::close() {
  interrupt(true);
  std::vector<KeptBuffer> kept;
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  kept.swap(kept_);
  slots_.clear();
}

// ---- WorkerSlots -----------------------------------------------------------

struct WorkerSlots::Impl {
  Impl(const core::protocol::CommandRegion& commands,
       core::protocol::ReportRegion& reports, NeedSlotFn need_slot)
      : table(std::make_shared<SlotTable>(commands, reports,
                                          std::move(need_slot))),
        allocator(make_view_allocator(table)) {}

  const std::shared_ptr<SlotTable> table;
  const ObjectPtr<GstAllocator> allocator;
};

WorkerSlots::WorkerSlots(const core::protocol::CommandRegion& commands,
                         core::protocol::ReportRegion& reports,
                         NeedSlotFn need_slot)
    : impl_(std::make_unique<Impl>(commands, reports, std::move(need_slot))) {}

WorkerSlots::~WorkerSlots() { impl_->table->close(); }

const char* WorkerSlots::add(SlotName slot, SlotClass slot_class,
                             std::uint64_t bytes, os::UniqueFd fd) {
  return impl_->table->add(slot, slot_class, bytes, fd);
}

void WorkerSlots::remove(SlotName slot) { impl_->table->remove(slot); }

MemoryPtr WorkerSlots::wrap(const core::protocol::MemoryRecord& record) {
  MappedSlotPtr slot = impl_->table->find(
      {.index = record.slot, .generation = record.generation});
  if (!slot || record.offset > slot->bytes() ||
      record.bytes > slot->bytes() - record.offset)
    return nullptr;
  const bool is_writable = (record.flags & core::protocol::kWritable) != 0 &&
                           slot->slot_class != SlotClass::kInput;
  return view(impl_->allocator.get(), std::move(slot), record.offset,
              record.bytes, is_writable);
}

GstAllocator* WorkerSlots::allocator() { return impl_->allocator.get(); }

std::optional<core::protocol::MemoryRecord> WorkerSlots::name_of(
    GstMemory* memory) const {
  const MappedSlot* const slot = slot_of(impl_->allocator.get(), memory);
  if (slot == nullptr || impl_->table->is_reported(*slot)) return std::nullopt;
  return core::protocol::MemoryRecord{.slot = slot->name.index,
                                      .generation = slot->name.generation,
                                      .offset = memory->offset,
                                      .bytes = memory->size};
}

std::vector<MemoryPtr> WorkerSlots::copy(
    const std::vector<GstMemory*>& memories) {
  gsize bytes = 0;
  for (GstMemory* const memory : memories) bytes = with_copy_of(memory, bytes);
  GstAllocationParams params;
  gst_allocation_params_init(&params);
  // Coded frames have all sizes; rounded up, they find the same slots again.
  if (!impl_->table->has_free(bytes))
    params.padding = std::bit_ceil(bytes) - bytes;
  const MemoryPtr slot(gst_allocator_alloc(allocator(), bytes, &params));
  GstMapInfo map;
  if (!slot || slot_of(allocator(), slot.get()) == nullptr ||
      !gst_memory_map(slot.get(), &map, GST_MAP_WRITE))
    return {};
  bool is_whole = true;
  gsize end = 0;
  for (GstMemory* const memory : memories) {
    is_whole = is_whole && read(memory, map.data + end);
    end = with_copy_of(memory, end);
  }
  gst_memory_unmap(slot.get(), &map);
  return is_whole ? split(slot.get(), memories) : std::vector<MemoryPtr>();
}

void WorkerSlots::keep_until_released(BufferPtr buffer) {
  impl_->table->keep_until_released(std::move(buffer), impl_->allocator.get());
}

void WorkerSlots::take_released() { impl_->table->take_released(); }

void WorkerSlots::count(const Copies& copies) { impl_->table->count(copies); }

WorkerSlots::Copies WorkerSlots::take_copies() {
  return impl_->table->take_copies();
}

void WorkerSlots::interrupt(bool on) { impl_->table->interrupt(on); }

bool WorkerSlots::is_interrupted() const {
  return impl_->table->is_interrupted();
}

}  // namespace dispatch::process
