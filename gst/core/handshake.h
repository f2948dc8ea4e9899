// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Who sleeps, who wakes: a hand-over of work from one side to another through
// a counter in shared memory, with a system call only where one is needed.
//
//   giver                               taker
//   write the work                      seen = counter
//   counter = counter + 1               sleeps = 1
//   -- full fence --                    -- full fence --
//   if sleeps: wake                     if counter == seen: sleep on it
//                                       sleeps = 0
//
// At least one of the two sees what the other has written, so that no wake-up
// is lost: tests/core/handshake.cpp goes through all interleavings, with store
// buffers. No side waits for the other but here, and no lock is shared, so a
// side that dies leaves nothing behind.
//
// For: the order of the steps. Not for: sleeping itself (os/futex.h).
// Thread: one giver and one taker at a time for each counter.
#pragma once

#include <atomic>
#include <cstdint>

namespace dispatch::core {

using HandshakeWord = std::atomic<std::uint32_t>;

// The giver's second half. Whether the taker has to be woken.
[[nodiscard]] inline bool publish(HandshakeWord& counter, std::uint32_t value,
                                  const HandshakeWord& taker_sleeps) {
  counter.store(value, std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return taker_sleeps.load(std::memory_order_relaxed) != 0;
}

// The taker says that it is about to sleep. It has to look at the counter again
// after this.
inline void announce_sleep(HandshakeWord& sleeps) {
  sleeps.store(1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

inline void end_sleep(HandshakeWord& sleeps) {
  sleeps.store(0, std::memory_order_relaxed);
}

}  // namespace dispatch::core
