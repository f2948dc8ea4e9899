// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The memory of one slot: made, and coming back when nobody uses it any more.
//
// For: everything that has to do with one GstMemory over a file of its own. Not
// for: how many there are, and who gets which (process/slot_recycler,
// process/slot_supply). Thread: thread-safe, but for what is said.
#pragma once

#include <memory>

#include "process/slots.h"

namespace dispatch::process {

// Gives slots for copies.
class SlotSource {
 public:
  virtual ~SlotSource() = default;
  // At least `bytes`; null if there is none.
  virtual MemoryPtr take(std::uint64_t bytes) = 0;
};

// Makes slots within a budget, which gets their bytes back when the memory has
// really gone.
class SlotMaker {
 public:
  explicit SlotMaker(const SlotBudget& budget);

  // Who copies a slot made here, as a decoder does that writes on into what it
  // gives, gets one of `source`, while that has any; else plain memory. Before
  // the first make().
  void set_source_of_copies(std::weak_ptr<SlotSource> source);

  // At least `bytes` and what is spare, in whole pages: reserved, mapped for
  // good, every page touched, sealed, and registered for shared_file_of(). The
  // error says what could not be had and which property is the way out.
  os::Result<MemoryPtr> make(std::uint64_t bytes,
                             core::protocol::SlotClass slot_class,
                             os::Pages pages);
  // The same for the results of `worker`.
  os::Result<MemoryPtr> make_result(unsigned worker, std::uint64_t bytes,
                                    os::Pages pages);

 private:
  os::Result<MemoryPtr> make_reserved(std::uint64_t whole,
                                      core::protocol::SlotClass slot_class,
                                      os::Pages pages);
  MemoryPtr wrap(os::UniqueFd fd, std::uint64_t bytes);

  SlotBudget budget_;
  const ObjectPtr<GstAllocator> fd_allocator_;
};

// The bound is below what is needed at least.
os::Error too_little(const SlotBudget& budget, std::uint64_t least);
// Each slot is one, and shared memory has its part of them.
os::Error too_many_files();

// Whether `memory` (transfer none), or what it is a part of, was made here.
bool is_slot(GstMemory* memory);

// To whom memory comes back when its last user has let go of it.
class MemoryHome {
 public:
  virtual ~MemoryHome() = default;
  // `memory` is as new; what its users have noted on it (qdata) stays, as with
  // the buffers of a pool. On any thread.
  virtual void come_home(MemoryPtr memory) = 0;
};

// `memory` (transfer none, not shared yet) comes back to `home` each time, for
// as long as that exists; then it is freed by its last user.
void give_home(GstMemory* memory, std::weak_ptr<MemoryHome> home);

// Frees what has come home.
void let_go(MemoryPtr memory);

// Makes `memory` (transfer none, nobody else's) that part of its slot. False,
// and nothing done: the slot has less.
bool cut(GstMemory* memory, std::uint64_t offset, std::uint64_t bytes);

}  // namespace dispatch::process
