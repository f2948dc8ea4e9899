// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the kernel counts for this process and those that it started, the worker
// processes of elements among them.
//
// For: CPU time, page faults, memory and descriptors of processes that are
// alive. Not for: processes of others, or those that have ended.
// Thread: thread-safe.
// Failure: a process that has gone while it is counted ends the program.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace dispatch::test {

// The processes that this one started and that are alive, and those that they
// started.
std::vector<pid_t> descendants();
// This process and its descendants.
std::vector<pid_t> family();
// Those of `now` that are not in `before`.
std::vector<pid_t> added(const std::vector<pid_t>& now,
                         const std::vector<pid_t>& before);

std::int64_t cpu_ns(pid_t process);
std::int64_t cpu_ns(const std::vector<pid_t>& processes);

struct Faults {
  std::int64_t minor;
  std::int64_t major;
  std::int64_t all() const { return minor + major; }
};
Faults page_faults(pid_t process);
Faults page_faults(const std::vector<pid_t>& processes);

struct Memory {
  std::int64_t resident_bytes;
  std::int64_t resident_shared_bytes;  // of it in memfds and the like
  // Its proportional share: what several processes have mapped counts once in
  // the sum over all of them.
  std::int64_t share_bytes;
  std::int64_t swap_bytes;
};
Memory memory(pid_t process);
std::optional<Memory> memory_if_alive(pid_t process);
Memory memory(const std::vector<pid_t>& processes);

std::int64_t open_descriptors(pid_t process);
// Lines of /proc/PID/maps.
std::int64_t mappings(pid_t process);

}  // namespace dispatch::test
