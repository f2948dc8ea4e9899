// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/cpu_limits.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <thread>

#include "os/control_groups.h"

namespace dispatch::os {

namespace {

constexpr std::size_t kMaxCpus = 1 << 20;

// The kernel refuses a set that is smaller than what it may have.
unsigned cpus_by_affinity() {
  for (std::size_t cpus = CPU_SETSIZE; cpus <= kMaxCpus; cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    const std::size_t size = CPU_ALLOC_SIZE(cpus);
    const bool is_known = sched_getaffinity(0, size, set) == 0;
    const int count = is_known ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (count > 0) return static_cast<unsigned>(count);
  }
  return std::max(1U, std::thread::hardware_concurrency());
}

// v2: "QUOTA PERIOD" or "max PERIOD", in microseconds.
std::optional<double> read_cpu_max(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0;
  double period = 0;
  if (!(file >> quota >> period) || quota <= 0 || period <= 0)
    return std::nullopt;
  return quota / period;
}

// v1: two files; a quota of -1 is none.
std::optional<double> read_cfs_quota(const std::string& folder) {
  std::ifstream quota_file(folder + "/cpu.cfs_quota_us");
  std::ifstream period_file(folder + "/cpu.cfs_period_us");
  double quota = 0;
  double period = 0;
  if (!(quota_file >> quota) || !(period_file >> period) || quota <= 0 ||
      period <= 0)
    return std::nullopt;
  return quota / period;
}

}  // namespace

unsigned usable_cpus(const std::string& root) {
  unsigned cpus = cpus_by_affinity();
  for_each_group(
      root, "cpu", [&](const std::string& folder, GroupVersion version) {
        const std::optional<double> quota = version == GroupVersion::kTwo
                                                ? read_cpu_max(folder)
                                                : read_cfs_quota(folder);
        if (quota && *quota < cpus)
          cpus = static_cast<unsigned>(std::ceil(*quota));
      });
  return std::max(1U, cpus);
}

}  // namespace dispatch::os
