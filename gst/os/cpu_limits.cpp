// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/cpu_limits.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

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

std::string parent_group(const std::string& group) {
  const auto slash = group.find_last_of('/');
  return slash == std::string::npos ? "" : group.substr(0, slash);
}

// The smallest quota of `group` and of the groups above it.
template <typename Reader>
std::optional<double> smallest_quota(const std::string& mount,
                                     std::string group, Reader read) {
  std::optional<double> smallest;
  for (;;) {
    const std::optional<double> quota = read(mount + group);
    if (quota && (!smallest || *quota < *smallest)) smallest = quota;
    if (group.empty()) return smallest;
    group = parent_group(group);
  }
}

// A line of /proc/self/cgroup is "ID:CONTROLLERS:GROUP"; v2 has ID 0 and no
// controllers.
std::optional<double> quota_of_line(const std::string& root,
                                    const std::string& line) {
  std::istringstream fields(line);
  std::string id;
  std::string controllers;
  std::string group;
  std::getline(fields, id, ':');
  std::getline(fields, controllers, ':');
  std::getline(fields, group);
  if (group == "/") group.clear();
  if (controllers.empty())
    return smallest_quota(root + "/sys/fs/cgroup", group, read_cpu_max);
  if (("," + controllers + ",").find(",cpu,") == std::string::npos)
    return std::nullopt;
  return smallest_quota(root + "/sys/fs/cgroup/cpu", group, read_cfs_quota);
}

}  // namespace

unsigned usable_cpus(const std::string& root) {
  unsigned cpus = cpus_by_affinity();
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::optional<double> quota = quota_of_line(root, line);
    if (quota && *quota < cpus) cpus = static_cast<unsigned>(std::ceil(*quota));
  }
  return std::max(1U, cpus);
}

}  // namespace dispatch::os
