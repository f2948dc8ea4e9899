// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sleeping on a word of memory, also of memory shared between processes.
//
// For: the one system call that a hand-over may cost. Not for: mutual
// exclusion; nothing in shared memory is locked. Thread: thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "core/instant.h"

namespace dispatch::os {

// In shared memory: the size and alignment are those of the plain word.
using FutexWord = std::atomic<std::uint32_t>;
static_assert(sizeof(FutexWord) == 4 && FutexWord::is_always_lock_free);

// Sleeps while `word` is `expected`, at most until `until`. May return early.
// The memory may be mapped read-only. False: `until` has come and `word` was
// still `expected`.
bool futex_wait(const FutexWord& word, std::uint32_t expected,
                std::optional<core::MonotonicTime> until = std::nullopt);

// Wakes all who sleep on it.
void futex_wake(const FutexWord& word);

}  // namespace dispatch::os
