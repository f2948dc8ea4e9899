// SPDX-License-Identifier: LGPL-2.1-or-later
//
// GstMemory over a slot that is mapped in a worker process.
//
// For: an allocator whose memory points into a mapping that is there already,
// so that a frame costs no system call. What may only be read is marked so;
// GStreamer copies it before writing, and the copy lies in a result slot. Not
// for: which slots there are (process/worker_slots).
// Thread: thread-safe.
#pragma once

#include <cstdint>
#include <memory>

#include "core/slot_ownership.h"
#include "core/worker_protocol.h"
#include "os/memfd.h"
#include "process/slots.h"

namespace dispatch::process {

// A slot as the worker knows it. It stays mapped as long as a memory of it
// lives.
struct MappedSlot {
  core::SlotName name;
  core::protocol::SlotClass slot_class{};
  os::Mapping mapping;

  // Of a result slot, under the lock of who keeps it: the stage has its memory;
  // it has been reported and not given back.
  bool is_taken = false;
  bool is_reported = false;

  std::uint64_t bytes() const { return mapping.size(); }
  bool is_result() const {
    return slot_class == core::protocol::SlotClass::kResult;
  }
};
using MappedSlotPtr = std::shared_ptr<MappedSlot>;

// Where the allocator gets its slots.
class ResultSlots {
 public:
  virtual ~ResultSlots() = default;
  // One of at least `bytes`, taken; null if there is none to be had.
  virtual MappedSlotPtr take(std::uint64_t bytes) = 0;
  virtual void let_go(MappedSlot& slot) = 0;
  // Whether a slot of `bytes` will be free again when the stage is done: what
  // takes a second one meanwhile may lie elsewhere, and is copied if it leaves.
  virtual bool will_have(std::uint64_t bytes) const = 0;
  virtual void count_copy(std::uint64_t bytes) = 0;
};

// Gives memory over slots; where there is none but will be one, plain memory.
ObjectPtr<GstAllocator> make_view_allocator(std::shared_ptr<ResultSlots> slots);

// Memory of `allocator` (of make_view_allocator(); transfer none) over that
// part of `slot`.
MemoryPtr view(GstAllocator* allocator, MappedSlotPtr slot,
               std::uint64_t offset, std::uint64_t bytes, bool is_writable);

// Null: `memory` (transfer none) is not of `allocator`.
MappedSlot* slot_of(GstAllocator* allocator, GstMemory* memory);

}  // namespace dispatch::process
