// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/memory_limit.h"

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string_view>

#include "os/control_groups.h"

namespace dispatch::os {

namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kKiB = 1024;

// "max", and what is not there, is no number.
std::optional<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (!(file >> number)) return std::nullopt;
  return number;
}

// The sum of the values of lines "NAME VALUE" that have one of `names`.
std::uint64_t sum_of(const std::string& path,
                     std::initializer_list<std::string_view> names) {
  std::ifstream file(path);
  std::uint64_t sum = 0;
  std::string name;
  for (std::uint64_t value = 0; file >> name >> value;)
    if (std::find(names.begin(), names.end(), name) != names.end())
      sum += value;
  return sum;
}

// `reclaimable` is the part of `used` that makes room for others.
std::uint64_t room(std::uint64_t limit, std::uint64_t used,
                   std::uint64_t reclaimable) {
  const std::uint64_t held = used - std::min(used, reclaimable);
  return limit - std::min(limit, held);
}

std::uint64_t room_in_group(const std::string& folder, GroupVersion version) {
  const bool is_two = version == GroupVersion::kTwo;
  const std::string memory = folder + "/memory.";
  // Beyond `high` a group is not refused memory but slowed down to a crawl.
  const std::uint64_t limit =
      is_two ? std::min(read_number(memory + "max").value_or(kNoLimit),
                        read_number(memory + "high").value_or(kNoLimit))
             : read_number(memory + "limit_in_bytes").value_or(kNoLimit);
  if (limit == kNoLimit) return kNoLimit;
  const std::uint64_t used =
      read_number(memory + (is_two ? "current" : "usage_in_bytes")).value_or(0);
  const std::uint64_t reclaimable =
      is_two ? sum_of(memory + "stat",
                      {"active_file", "inactive_file", "slab_reclaimable"})
             : sum_of(memory + "stat",
                      {"total_active_file", "total_inactive_file"});
  return room(limit, used, reclaimable);
}

// A line of /proc/meminfo is "MemAvailable:   123 kB".
std::uint64_t room_in_machine(const std::string& root) {
  std::ifstream file(root + "/proc/meminfo");
  for (std::string word; file >> word;) {
    std::uint64_t kib = 0;
    if (word == "MemAvailable:" && file >> kib) return kib * kKiB;
  }
  return kNoLimit;
}

}  // namespace

std::uint64_t available_memory(const std::string& root) {
  std::uint64_t least = room_in_machine(root);
  for_each_group(root, "memory",
                 [&](const std::string& folder, GroupVersion version) {
                   least = std::min(least, room_in_group(folder, version));
                 });
  return least;
}

}  // namespace dispatch::os
