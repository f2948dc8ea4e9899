// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/futex.h"

#include <linux/futex.h>
#include <linux/time_types.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>

namespace dispatch::os {

namespace {

// What SYS_futex takes, also where time_t is wider than long. A time before
// that of the clock's start is not valid.
__kernel_old_timespec to_timespec(core::MonotonicTime time) {
  const auto since_start =
      std::max(time.time_since_epoch(), core::MonotonicTime::duration::zero());
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(since_start);
  __kernel_old_timespec spec = {};
  spec.tv_sec = seconds.count();
  spec.tv_nsec = std::chrono::nanoseconds(since_start - seconds).count();
  return spec;
}

}  // namespace

// FUTEX_WAIT_BITSET, because its time is an instant, of CLOCK_MONOTONIC. Not
// FUTEX_PRIVATE_FLAG: the word may be another process's as well.
bool futex_wait(const FutexWord& word, std::uint32_t expected,
                std::optional<core::MonotonicTime> until) {
  __kernel_old_timespec spec = {};
  if (until) spec = to_timespec(*until);
  const long result =
      syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected,
              until ? &spec : nullptr, nullptr, FUTEX_BITSET_MATCH_ANY);
  return result == 0 || errno != ETIMEDOUT;
}

void futex_wake(const FutexWord& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace dispatch::os
