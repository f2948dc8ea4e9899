// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How much memory this process may still take.
//
// For: refusing at the start what could not be had in mid-stream. Looks at the
// memory cgroup (v1 or v2, every level up) and at the machine. Not for: CPUs
// (os/cpu_limits). Thread: thread-safe functions.
#pragma once

#include <cstdint>
#include <string>

namespace dispatch::os {

// Bytes: the smallest of what the machine has available and what each limit
// leaves; caches of files count as free, swap does not count. A file that is
// missing or cannot be read limits nothing. `root` is the folder in which /proc
// and /sys are looked for: "/" but in tests.
std::uint64_t available_memory(const std::string& root = "/");

}  // namespace dispatch::os
