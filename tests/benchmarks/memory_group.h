// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A memory cgroup of the benchmark's own, of version 1 or 2.
//
// For: running processes under a limit and finding out what the kernel counted.
// Not for: what limits this process (os/memory_limit.h).
// Thread: confined to the main thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "os/control_groups.h"

namespace bench {

class MemoryGroup {
 public:
  // In the group of this process or above it, wherever that is allowed. None:
  // `why_not` says what is missing.
  static std::optional<MemoryGroup> make(std::int64_t limit_bytes,
                                         std::string& why_not);
  // What is still in it is killed.
  ~MemoryGroup();
  MemoryGroup(MemoryGroup&& other) noexcept;
  MemoryGroup& operator=(MemoryGroup&&) = delete;

  // With all processes that it will start.
  void take_in(pid_t process);
  std::vector<pid_t> processes() const;
  void kill_all() const;
  // Everything that it has touched, caches of files too; at most the limit.
  std::int64_t peak_bytes() const;
  std::int64_t swap_bytes() const;  // now
  std::int64_t kills() const;       // for want of memory

 private:
  MemoryGroup(std::string folder, dispatch::os::GroupVersion version)
      : folder_(std::move(folder)), version_(version) {}
  bool set(const char* file, const std::string& value) const;
  bool is_two() const { return version_ == dispatch::os::GroupVersion::kTwo; }

  std::string folder_;  // empty: moved from
  dispatch::os::GroupVersion version_;
};

}  // namespace bench
