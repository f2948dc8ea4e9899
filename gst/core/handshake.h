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
//
// `Word` is HandshakeWord, and in the test a word of the machine that it
// explores: what is proved there are these very functions.
#pragma once

#include <atomic>
#include <cstdint>

namespace dispatch::core {

using HandshakeWord = std::atomic<std::uint32_t>;

// All that this side wrote before is seen by others before it reads on. The
// word is there to choose the machine.
inline void full_fence(const HandshakeWord&) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

// The giver's second half. Whether the taker has to be woken.
template <typename Word>
[[nodiscard]] bool publish(Word& counter, std::uint32_t value,
                           const Word& taker_sleeps) {
  // SAFETY: release, so that who sees the counter sees the work.
  counter.store(value, std::memory_order_release);
  full_fence(counter);
  return taker_sleeps.load(std::memory_order_relaxed) != 0;
}

// The taker says that it is about to sleep. It has to look at the counter again
// after this.
template <typename Word>
void announce_sleep(Word& sleeps) {
  // SAFETY: relaxed, because the word guards nothing; the fence orders it.
  sleeps.store(1, std::memory_order_relaxed);
  full_fence(sleeps);
}

// SAFETY: relaxed; seen late, it costs a wake-up that nobody needed.
template <typename Word>
void end_sleep(Word& sleeps) {
  sleeps.store(0, std::memory_order_relaxed);
}

}  // namespace dispatch::core
