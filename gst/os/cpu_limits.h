// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How many CPUs this process may use.
//
// For: sizing pools inside containers, where the machine's number is wrong.
// Not for: following changes; the number is read when asked for.
// Thread: thread-safe functions.
#pragma once

#include <string>

namespace dispatch::os {

// The affinity of the calling thread, and the CPU quota of its control group
// (v2 `cpu.max` of the group and of those above it, v1 `cpu.cfs_quota_us`),
// rounded up; at least 1. A file that is missing or cannot be read limits
// nothing. `root` is the folder in which /proc and /sys are looked for: "" but
// in tests.
unsigned usable_cpus(const std::string& root = "");

}  // namespace dispatch::os
