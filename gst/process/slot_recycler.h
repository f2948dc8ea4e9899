// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Slots that are used again and again.
//
// For: handing out slots that wait, the smallest that is large enough, and
// taking them back from their last user. Not for: making them
// (process/slot_memory), deciding how many (process/slot_supply).
// A recycler that is dropped is the end of a generation: what waits is freed,
// and what is still out is freed by its last user.
// Thread: thread-safe. Its lock is not held while calling GStreamer.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>

#include "core/instant.h"
#include "process/slot_memory.h"

namespace dispatch::process {

class SlotRecycler final : public MemoryHome,
                           public std::enable_shared_from_this<SlotRecycler> {
 public:
  // The smallest slot that waits and has `bytes` and what is spare (here as
  // below); null if there is none.
  MemoryPtr take(std::uint64_t bytes);
  // Like take(), but it will not come back here unless it is given out anew.
  MemoryPtr withdraw(std::uint64_t bytes);
  // A slot that is new here and will come back: to be given out at once, or to
  // wait.
  MemoryPtr give_out(MemoryPtr fresh);
  void keep(MemoryPtr fresh);
  // Frees the smallest slot that waits. False: none does.
  bool drop_smallest();
  // Frees the slots that wait and have less than `bytes`.
  void drop_smaller(std::uint64_t bytes);

  // Slots of at least `bytes`, waiting or out.
  unsigned count(std::uint64_t bytes) const;

  unsigned waiting() const;  // of any size

  // How often one has come home. wait() sleeps until it is more than `seen`;
  // false: nothing is out, or interrupted.
  unsigned returns() const;
  bool wait(unsigned seen);
  // Sleeps until one comes home, or for so long.
  void wait_for_return(core::Duration longest);
  // Ends waits until interrupt(false).
  void interrupt(bool on);

  void come_home(MemoryPtr memory) override;

 private:
  MemoryPtr withdraw_locked(std::uint64_t bytes);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<std::uint64_t, MemoryPtr> waiting_;  // by size
  std::map<std::uint64_t, unsigned> out_;            // how many of a size
  unsigned returns_ = 0;
  bool is_interrupted_ = false;
};

}  // namespace dispatch::process
