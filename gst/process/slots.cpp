// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/slots.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include <gst/video/video.h>

#include "process/frame_codec.h"
#include "process/shared_file.h"
#include "process/slot_pool.h"
#include "process/slot_supply.h"

namespace dispatch::process {

namespace {

// ---- The offer to upstream -------------------------------------------------

struct Needs {
  unsigned bytes = 0;
  unsigned min_buffers = 0;
};

// What the pools that are in the query ask for, and what the caps do.
Needs needs_of(GstQuery* query, GstCaps* caps, unsigned min_buffers) {
  Needs needs{.min_buffers = min_buffers};
  GstVideoInfo info;
  if (gst_video_info_from_caps(&info, caps))
    needs.bytes = static_cast<unsigned>(info.size);
  for (guint i = 0; i < gst_query_get_n_allocation_pools(query); ++i) {
    guint size = 0;
    guint min = 0;
    gst_query_parse_nth_allocation_pool(query, i, nullptr, &size, &min,
                                        nullptr);
    needs.bytes = std::max(needs.bytes, size);
    needs.min_buffers = std::max(needs.min_buffers, min);
  }
  return needs;
}

// The strictest of all that are asked for.
GstAllocationParams params_of(GstQuery* query) {
  GstAllocationParams result;
  gst_allocation_params_init(&result);
  for (guint i = 0; i < gst_query_get_n_allocation_params(query); ++i) {
    GstAllocationParams params;
    gst_query_parse_nth_allocation_param(query, i, nullptr, &params);
    result.flags = static_cast<GstMemoryFlags>(result.flags | params.flags);
    result.align |= params.align;
    result.prefix = std::max(result.prefix, params.prefix);
    result.padding = std::max(result.padding, params.padding);
  }
  return result;
}

void put_allocator_in_front(GstQuery* query, GstAllocator* allocator,
                            const GstAllocationParams& params) {
  if (gst_query_get_n_allocation_params(query) == 0)
    gst_query_add_allocation_param(query, allocator, &params);
  else
    gst_query_set_nth_allocation_param(query, 0, allocator, &params);
}

void put_pool_in_front(GstQuery* query, GstBufferPool* pool,
                       const Needs& needs) {
  struct Entry {
    ObjectPtr<GstBufferPool> pool;
    guint size = 0;
    guint min = 0;
    guint max = 0;
  };
  std::vector<Entry> others(gst_query_get_n_allocation_pools(query));
  for (guint i = 0; i < others.size(); ++i) {
    GstBufferPool* other = nullptr;
    gst_query_parse_nth_allocation_pool(query, i, &other, &others[i].size,
                                        &others[i].min, &others[i].max);
    others[i].pool.reset(other);
  }
  while (gst_query_get_n_allocation_pools(query) > 0)
    gst_query_remove_nth_allocation_pool(query, 0);
  gst_query_add_allocation_pool(query, pool, needs.bytes, needs.min_buffers, 0);
  for (const Entry& other : others)
    gst_query_add_allocation_pool(query, other.pool.get(), other.size,
                                  other.min, other.max);
}

// ---- Bringing in -----------------------------------------------------------

BufferPtr copy_into_slot(GstBuffer* original, MemoryPtr slot) {
  const gsize bytes = gst_buffer_get_size(original);
  GstMapInfo map;
  if (!cut(slot.get(), 0, bytes) ||
      !gst_memory_map(slot.get(), &map, GST_MAP_WRITE))
    return nullptr;
  const bool is_whole =
      gst_buffer_extract(original, 0, map.data, bytes) == bytes;
  gst_memory_unmap(slot.get(), &map);
  if (!is_whole) return nullptr;

  BufferPtr copy(gst_buffer_new());
  gst_buffer_append_memory(copy.get(), slot.release());
  gst_buffer_copy_into(copy.get(), original,
                       static_cast<GstBufferCopyFlags>(
                           GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS),
                       0, -1);
  // Metas that speak of offsets hold: the bytes are the same, in this order.
  copy_metas(original, copy.get());
  return copy;
}

// ---- Result slots ----------------------------------------------------------

// Where the memory of a result slot is when nobody else has it.
class ResultHome final : public MemoryHome {
 public:
  explicit ResultHome(std::function<void()> on_released)
      : on_released_(std::move(on_released)) {}

  MemoryPtr take() {
    const std::lock_guard lock(mutex_);
    return std::move(memory_);
  }
  void put(MemoryPtr memory) {
    const std::lock_guard lock(mutex_);
    memory_ = std::move(memory);
  }
  void forget_owner() { has_owner_ = false; }

  // Outside of the lock: the owner may hand the memory out again from there,
  // or destroy the slot.
  void come_home(MemoryPtr memory) override {
    put(std::move(memory));
    if (has_owner_) on_released_();
  }

 private:
  std::mutex mutex_;
  MemoryPtr memory_;
  const std::function<void()> on_released_;
  std::atomic<bool> has_owner_{true};
};

class ResultSlotImpl final : public SlotStore::ResultSlot {
 public:
  ResultSlotImpl(MemoryPtr memory, std::function<void()> on_released)
      : fd_(gst_fd_memory_get_fd(memory.get())),
        bytes_(memory->maxsize),
        home_(std::make_shared<ResultHome>(std::move(on_released))) {
    give_home(memory.get(), home_);
    home_->put(std::move(memory));
  }
  ~ResultSlotImpl() override { home_->forget_owner(); }

  int fd() const override { return fd_; }
  std::uint64_t bytes() const override { return bytes_; }
  MemoryPtr hand_out(std::uint64_t offset, std::uint64_t bytes) override {
    MemoryPtr memory = home_->take();
    if (!memory || cut(memory.get(), offset, bytes)) return memory;
    home_->put(std::move(memory));
    return nullptr;
  }

 private:
  const int fd_;  // the memory's
  const std::uint64_t bytes_;
  const std::shared_ptr<ResultHome> home_;
};

}  // namespace

// ---- SlotStore -------------------------------------------------------------

struct SlotStore::Impl {
  const std::shared_ptr<SlotSupply> supply = SlotSupply::create();
  const ObjectPtr<GstAllocator> allocator = make_slot_allocator(supply);
  SlotMaker result_maker{supply->budget()};
};

SlotStore::SlotStore() : impl_(std::make_unique<Impl>()) {}

// Pools and frames that are out may live on.
SlotStore::~SlotStore() { drop_unused(); }

SlotBudget& SlotStore::budget() { return impl_->supply->budget(); }

void SlotStore::set_pages(os::Pages pages) { impl_->supply->set_pages(pages); }

void SlotStore::set_input_class(core::protocol::SlotClass slot_class) {
  impl_->supply->set_input_class(slot_class);
}

GstAllocator* SlotStore::allocator() { return impl_->allocator.get(); }

os::Result<bool> SlotStore::offer_pool(GstQuery* query, unsigned min_buffers) {
  GstCaps* caps = nullptr;
  gboolean wants_pool = FALSE;
  gst_query_parse_allocation(query, &caps, &wants_pool);
  if (caps == nullptr) return false;
  const Needs needs = needs_of(query, caps, min_buffers);
  const GstAllocationParams params = params_of(query);
  put_allocator_in_front(query, impl_->allocator.get(), params);
  if (needs.bytes == 0 || !wants_pool) return false;

  // First, because it needs a descriptor of its own and cannot say that it has
  // none.
  const auto pool = make_slot_pool(impl_->allocator.get(), caps, needs.bytes,
                                   needs.min_buffers, params);
  if (auto there =
          reserve_frames(bytes_with(params, needs.bytes), needs.min_buffers);
      !there)
    return there;
  put_pool_in_front(query, pool.get(), needs);
  return true;
}

os::Result<bool> SlotStore::reserve_frames(std::uint64_t bytes,
                                           unsigned count) {
  auto there = impl_->supply->promise(bytes, count);
  if (there) return there;
  os::Error error = there.error();
  error.what =
      "cannot have " + std::to_string(count) + " frames of " +
      std::to_string(bytes) +
      " bytes in shared memory, and a result from each worker: " + error.what;
  return error;
}

BufferPtr SlotStore::bring_in(BufferPtr buffer, std::uint64_t& copied_bytes,
                              os::Error* why) {
  copied_bytes = 0;
  if (is_shared(buffer.get())) return buffer;
  const gsize bytes = gst_buffer_get_size(buffer.get());
  // Its pool had none left when upstream asked; it may have one now.
  MemoryPtr memory = take_unused_slot(buffer->pool, bytes);
  if (!memory) {
    auto slot = impl_->supply->take_for_copy(bytes);
    if (!slot) {
      if (why != nullptr) *why = slot.error();
      return nullptr;
    }
    memory = slot.take();
  }
  BufferPtr copy = copy_into_slot(buffer.get(), std::move(memory));
  if (copy) copied_bytes = bytes;
  return copy;
}

void SlotStore::wait_for_return(core::Duration longest) {
  impl_->supply->wait_for_return(longest);
}

bool SlotStore::is_short(unsigned buffers) const {
  return impl_->supply->is_short(buffers);
}

void SlotStore::interrupt(bool on) { impl_->supply->interrupt(on); }

os::Result<bool> SlotStore::expect_frames(std::uint64_t bytes) {
  SlotBudget& budget = this->budget();
  budget.forget_result();
  if (bytes == 0) return true;
  const std::uint64_t whole =
      os::whole_pages(with_spare(bytes), impl_->supply->pages());
  budget.guess_result(whole);
  const std::uint64_t least = budget.least_with(whole);
  if (budget.max_bytes() == 0 || least <= budget.max_bytes()) return true;
  os::Error error = too_little(budget, least);
  error.what = "a frame of " + std::to_string(bytes) +
               " bytes, and a result from each worker: " + error.what;
  return error;
}

bool SlotStore::has_room_for_result(unsigned worker,
                                    std::uint64_t bytes) const {
  return impl_->supply->budget().has_room_for_result(worker, bytes) &&
         impl_->supply->leaves_room_for_copies(bytes);
}

std::unique_ptr<SlotStore::ResultSlot> SlotStore::make_result_slot(
    unsigned worker, std::uint64_t bytes, std::function<void()> on_released,
    os::Error& why) {
  if (impl_->supply->budget().has_free_result(worker) &&
      !impl_->supply->leaves_room_for_copies(bytes)) {
    why.what = "the rest of max-bytes is for frames that come in other memory";
    return nullptr;
  }
  auto memory =
      impl_->result_maker.make_result(worker, bytes, impl_->supply->pages());
  if (!memory) {
    why = memory.error();
    return nullptr;
  }
  return std::make_unique<ResultSlotImpl>(memory.take(),
                                          std::move(on_released));
}

void SlotStore::drop_unused() {
  impl_->supply->drop_unused();
  forget_unused_files();
}

}  // namespace dispatch::process
