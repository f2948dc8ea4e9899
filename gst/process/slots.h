// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Slots on the dispatcher's side: frame-sized pieces of shared memory.
//
// Each slot is a memfd of its own behind a GstFdMemory that stays mapped, so
// that everything that takes memory with a descriptor takes ours, and ours
// takes everybody's. Its size is sealed; an input slot is also sealed against
// new writers, so that a worker process can only ever read it.
//
// For: the pool that is offered upstream, bringing other memory into slots,
// making result slots, naming memory of any origin, the bound on it all.
// Not for: who has which result slot (core/slot_ownership), telling workers of
// slots (process/lent_slots).
// Thread: thread-safe. No lock is held while calling GStreamer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <gst/allocators/gstfdmemory.h>

#include "core/instant.h"
#include "core/worker_protocol.h"
#include "os/memfd.h"
#include "stage/ptr.h"

namespace dispatch::process {

using stage::BufferPtr;
using stage::MiniPtr;
using stage::ObjectPtr;
using MemoryPtr = MiniPtr<GstMemory>;

// What a slot has behind every frame. Filters read a little beyond the end of
// one (gaussianblur a pixel, vector code a register); in memory from the heap
// nobody notices, behind a slot there may be nothing.
inline constexpr std::uint64_t kSpareBytes = 64;
// `bytes` and what is spare, or the largest number there is.
constexpr std::uint64_t with_spare(std::uint64_t bytes) {
  return bytes > UINT64_MAX - kSpareBytes ? UINT64_MAX : bytes + kSpareBytes;
}

// The shared memory of one element: bytes in whole pages, and their bound.
// Copies of it are one budget. A part of it is kept for result slots, one for
// each worker (core/result_shares).
// Each slot is an open file as well. All budgets of the process together take
// at most a quarter of the files that it may have open (RLIMIT_NOFILE, looked
// at each time): the rest is the application's.
class SlotBudget {
 public:
  SlotBudget();
  // 0: no bound. One that is lower than the level holds for what comes.
  void set_max_bytes(std::uint64_t max_bytes);
  std::uint64_t max_bytes() const;
  std::uint64_t level() const;
  // One slot, all or nothing; beside what is kept.
  bool reserve(std::uint64_t bytes);
  void give_back(std::uint64_t bytes);
  // For so many slots of `bytes` together.
  bool has_room_for(std::uint64_t bytes, unsigned slots = 1) const;
  // Whether half of the bound would be left after one more slot.
  bool leaves_half(std::uint64_t bytes) const;
  // Whether there can never be files for `slots` and a result of each worker;
  // whether there is none now.
  bool exceeds_files(unsigned slots) const;
  bool lacks_files() const;

  // How many workers there will be at a time; what they may need is kept.
  void expect_workers(unsigned workers);
  // A worker that is to have its part; and one that is gone.
  void join(unsigned worker);
  void leave(unsigned worker);
  // What a result slot will take, as long as none is asked for; forgotten with
  // new caps.
  void guess_result(std::uint64_t bytes);
  void forget_result();
  // Of what is kept for it, or of the rest.
  bool reserve_result(unsigned worker, std::uint64_t bytes);
  bool has_room_for_result(unsigned worker, std::uint64_t bytes) const;
  // Whether `worker` has one that is ready.
  bool has_free_result(unsigned worker) const;
  // A result slot is ready for the next result of `worker`; or not any more.
  void on_free(unsigned worker, std::uint64_t bytes);
  void on_used(unsigned worker, std::uint64_t bytes);
  // The bound that would do for `inputs` bytes and one result slot for each
  // worker.
  std::uint64_t least_with(std::uint64_t inputs) const;
  // The bound that would do for `bytes` more now; as a result of `worker`.
  std::uint64_t least_for(std::uint64_t bytes) const;
  std::uint64_t least_for_result(unsigned worker, std::uint64_t bytes) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Which piece of shared memory a GstMemory lies in; equal for all memories of
// one file, whoever made them. Lives as long as a memory of it does, and a
// while longer, so that a file that comes again and again is known again.
struct SharedFile {
  std::uint64_t id = 0;  // never used again in this process
  os::FileIdentity file;
  std::uint64_t bytes = 0;
  core::protocol::SlotClass slot_class{};  // of foreign memory: kInput
};

// Null for memory that a worker process cannot map for good: no descriptor, or
// a file that may shrink, or one that is no plain memory (a DMA buffer wants to
// be synchronised). Its position in the file is memory->offset. (transfer none)
std::shared_ptr<const SharedFile> shared_file_of(GstMemory* memory);
// Whether all memories of `buffer` (transfer none) are such.
bool is_shared(GstBuffer* buffer);

class SlotStore {
 public:
  SlotStore();
  ~SlotStore();

  SlotBudget& budget();
  void set_pages(os::Pages pages);
  // New input slots are of this class: in place, workers may write to them.
  void set_input_class(core::protocol::SlotClass slot_class);

  // Makes input slots of any size; it fails beyond the bound. Buffers of it
  // are GstFdMemory. (transfer none)
  GstAllocator* allocator();

  // Adds a pool over allocator() to upstream's ALLOCATION query (transfer
  // none), in front of others, with at least `min_buffers`, VIDEO_META and
  // VIDEO_ALIGNMENT; nothing if the query has no caps. What the query asks of
  // alignment and padding (its params) holds. Those buffers are really there
  // when this returns. An error says that they cannot be had.
  os::Result<bool> offer_pool(GstQuery* query, unsigned min_buffers);

  // Sees to it that there are `count` input slots of `bytes`, waiting or out:
  // for the frames of an upstream that has memory of its own. An error says
  // that they cannot be had.
  os::Result<bool> reserve_frames(std::uint64_t bytes, unsigned count);
  // The same buffer if all its memories are in shared files; else another one
  // with the same timestamps, flags and metas whose memory is one input slot,
  // recycled, and `copied_bytes` says how many bytes were copied. Waits for a
  // slot if the bound does not allow a new one; null if interrupted, or if
  // there is no slot to wait for: then `why` (nullable) is the reason.
  BufferPtr bring_in(BufferPtr buffer, std::uint64_t& copied_bytes,
                     os::Error* why = nullptr);
  // Whether slots are about to run out: a frame of so many buffers that leaves
  // unchanged had better not take its own along.
  bool is_short(unsigned buffers) const;
  // Sleeps until a frame that upstream has put into a slot lets go of it, or
  // for so long.
  void wait_for_return(core::Duration longest);
  // Ends waits in bring_in() until interrupt(false).
  void interrupt(bool on);

  // New frames come: whether the bound has room for one of `bytes` (0: nobody
  // knows) and a result of that size from each worker. An error says which
  // bound would do.
  os::Result<bool> expect_frames(std::uint64_t bytes);

  // One result slot, reserved, mapped for writing here. Null: beyond the bound
  // or none to be had; `why` says which.
  // `on_released` is called, on any thread, whenever its last user lets go of
  // the memory; it then is the caller's again, as new. Destroying the returned
  // object while it is in use leaves the memory to its last user.
  class ResultSlot {
   public:
    virtual ~ResultSlot() = default;
    virtual int fd() const = 0;
    virtual std::uint64_t bytes() const = 0;
    // Hands the memory out, cut to that part of it. Only while it is the
    // caller's. (transfer full)
    virtual MemoryPtr hand_out(std::uint64_t offset, std::uint64_t bytes) = 0;
  };
  // Whether the bound allows one more of them.
  bool has_room_for_result(unsigned worker, std::uint64_t bytes) const;
  std::unique_ptr<ResultSlot> make_result_slot(
      unsigned worker, std::uint64_t bytes, std::function<void()> on_released,
      os::Error& why);

  // Lets go of what waits to be used again: pools, recycled copies.
  void drop_unused();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace dispatch::process
