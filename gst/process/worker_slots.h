// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Slots on the worker's side.
//
// Input slots are wrapped for the time of a command, read-only: a stage that
// writes gets a copy, made by GStreamer's own copy-on-write, in a result slot.
// Result slots are what the worker's allocator gives to the elements of the
// stage and their pools. A result that has been reported is kept referenced
// here until the dispatcher gives its slot back, so that a pool of the stage
// cannot use it again before.
//
// For: mapping, wrapping, allocating, naming. Not for: asking for more slots
// (the function passed in does), the wire (process/worker_program).
// Thread: add() and remove() on any; the others, and the allocator, on the
// threads of the stage. Lock order: a lock of GStreamer's, then its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/slot_ownership.h"
#include "core/worker_protocol.h"
#include "os/unique_fd.h"
#include "process/slots.h"

namespace dispatch::process {

class WorkerSlots {
 public:
  // Asks the dispatcher for a result slot of at least `bytes`, handing back
  // `unused` ones that are too small (they have been forgotten here). True: it
  // has been add()ed.
  using NeedSlotFn = std::function<bool(std::uint64_t bytes,
                                        std::vector<core::SlotName> unused)>;

  // `commands` and `reports` (borrowed): the shared memory with the ring of
  // released slots and the word that says that this side waits for one.
  WorkerSlots(const core::protocol::CommandRegion& commands,
              core::protocol::ReportRegion& reports, NeedSlotFn need_slot);
  ~WorkerSlots();

  // The words of what is wrong, or null.
  const char* add(core::SlotName slot, core::protocol::SlotClass slot_class,
                  std::uint64_t bytes, os::UniqueFd fd);
  void remove(core::SlotName slot);

  // Memory of a command; null if there is no such slot or it is too small.
  // Writable only if the record says so and the slot is of a class for it.
  MemoryPtr wrap(const core::protocol::MemoryRecord& record);

  // Gives memory in result slots. A stage that has one in use and can have no
  // second one gets plain memory. For the pools and elements of the stage.
  // (transfer none)
  GstAllocator* allocator();

  // Where `memory` (of wrap() or the allocator, or a part of one) lies; nothing
  // if it is other memory, or in a result slot that has been reported and is
  // not back: a slot goes out once. `flags` is 0. (transfer none)
  std::optional<core::protocol::MemoryRecord> name_of(GstMemory* memory) const;
  // Copies of all `memories` (transfer none), one for each, in one result slot;
  // none if there is none to be had.
  std::vector<MemoryPtr> copy(const std::vector<GstMemory*>& memories);
  // `buffer` is about to be reported (the report is not published yet): its
  // result slots are not this side's until the dispatcher releases all of them.
  // One that lies in other slots only is let go of.
  void keep_until_released(BufferPtr buffer);
  // Takes back what the dispatcher has released. Before each command.
  void take_released();

  // Copies since the last call: counted here, and by copy-on-write.
  struct Copies {
    std::uint32_t buffers = 0;
    std::uint64_t bytes = 0;
  };
  void count(const Copies& copies);
  Copies take_copies();

  // Ends waits for a slot until interrupt(false).
  void interrupt(bool on);
  bool is_interrupted() const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace dispatch::process
