// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Where input slots come from: made, promised, recycled, within the budget.
//
// For: what allocators, pools and copies of one element share. Lives as long as
// one of them does, so that a pool of upstream's may outlive the element. Not
// for: GStreamer's interfaces to it (process/slot_pool), result slots.
// Thread: thread-safe. Its lock is not held while calling GStreamer.
#pragma once

#include <memory>
#include <mutex>

#include "core/instant.h"
#include "process/slot_recycler.h"

namespace dispatch::process {

class SlotSupply final : public SlotSource {
 public:
  static std::shared_ptr<SlotSupply> create();

  SlotBudget& budget() { return budget_; }
  os::Pages pages() const;
  void set_pages(os::Pages pages);
  void set_input_class(core::protocol::SlotClass slot_class);

  // For upstream: at least `bytes`, waiting or new. Null: beyond the bound, or
  // beyond what was promised with half of the bound in use: results and copies
  // need the rest, however much a decoder or a queue would take.
  MemoryPtr take(std::uint64_t bytes) override;
  // Sees to it that there are `count` slots of `bytes`, those included that
  // upstream has, instead of what was promised for smaller frames. What others
  // still have of those may leave no room now: then the rest is made as it is
  // taken. An error says why there cannot be so many.
  os::Result<bool> promise(std::uint64_t bytes, unsigned count);

  // For copies of what upstream has in other memory: of those that were
  // promised to it as well, since it does not use them. Waits for a copy's slot
  // that is out where the bound allows no new one. The error says why there can
  // be no new one, and none is out; or it is nothing: interrupted.
  os::Result<MemoryPtr> take_for_copy(std::uint64_t bytes);
  // Sleeps until upstream gives a slot back, or for so long.
  void wait_for_return(core::Duration longest);
  // Whether a slot of `bytes` for something else would leave at least one for
  // copies, without which a frame in other memory could not go on.
  bool leaves_room_for_copies(std::uint64_t bytes) const;
  // Whether only one more frame of so many buffers would find slots, and the
  // bound allows no new ones: those last slots must come back.
  bool is_short(unsigned buffers) const;
  void interrupt(bool on);

  // Frees what waits; what is out will not come back.
  void drop_unused();

 private:
  using Recycler = std::shared_ptr<SlotRecycler>;
  Recycler offered() const;
  Recycler copies() const;
  void note_size(std::uint64_t bytes);
  bool is_interrupted() const;
  bool may_grow(const SlotRecycler& offered, std::uint64_t bytes) const;
  os::Result<MemoryPtr> make(std::uint64_t bytes);
  os::Result<MemoryPtr> make_for(SlotRecycler& recycler, std::uint64_t bytes);

  SlotBudget budget_;
  SlotMaker maker_{budget_};
  mutable std::mutex mutex_;
  // All under mutex_:
  os::Pages pages_ = os::Pages::kNormal;
  core::protocol::SlotClass input_class_ = core::protocol::SlotClass::kInput;
  bool is_interrupted_ = false;
  std::uint64_t frame_bytes_ = 0;  // what the last one asked for takes
  unsigned promised_ = 0;          // slots, of the last size that was asked for
  Recycler offered_ = std::make_shared<SlotRecycler>();
  Recycler copies_ = std::make_shared<SlotRecycler>();
};

}  // namespace dispatch::process
