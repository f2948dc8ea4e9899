// SPDX-License-Identifier: LGPL-2.1-or-later
#include "family.h"

#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>

namespace dispatch::test {

namespace {

namespace fs = std::filesystem;

std::string proc_path(pid_t process, const char* file) {
  return "/proc/" + std::to_string(process) + "/" + file;
}

[[noreturn]] void fail_gone(pid_t process) {
  std::fprintf(stderr, "process %d has gone\n", static_cast<int>(process));
  std::abort();
}

// The fields of /proc/PID/stat behind the name, which may contain spaces: the
// first of them is number 3 of proc(5).
constexpr int kFirstField = 3;
constexpr int kParent = 4;
constexpr int kMinorFaults = 10;
constexpr int kMajorFaults = 12;

std::optional<std::vector<std::int64_t>> stat_fields(pid_t process) {
  std::ifstream file(proc_path(process, "stat"));
  std::string text;
  if (!std::getline(file, text)) return std::nullopt;
  const char* at = text.data() + text.rfind(')') + 4;  // ") S "
  std::vector<std::int64_t> fields{0};
  const char* const end = text.data() + text.size();
  while (at < end) {
    std::int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    // The last fields may be larger than any number that is wanted here.
    if (error != std::errc()) break;
    fields.push_back(value);
    at = next + 1;
  }
  return fields;
}

std::int64_t stat_field(const std::vector<std::int64_t>& fields, int number) {
  return fields.at(static_cast<std::size_t>(number - kFirstField));
}

// What is said in kB in a file of lines like "VmRSS:  12 kB"; nothing if the
// process has gone.
std::map<std::string, std::int64_t> fields_in_bytes(pid_t process,
                                                    const char* name) {
  std::ifstream file(proc_path(process, name));
  std::map<std::string, std::int64_t> fields;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    std::string unit;
    std::int64_t value = 0;
    if (words >> key >> value >> unit && unit == "kB")
      fields[key] = value * 1024;
  }
  return fields;
}

}  // namespace

std::vector<pid_t> descendants() {
  std::multimap<pid_t, pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    pid_t process = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), process).ec !=
        std::errc())
      continue;
    if (const auto fields = stat_fields(process))
      children.emplace(static_cast<pid_t>(stat_field(*fields, kParent)),
                       process);
  }
  std::vector<pid_t> found{getpid()};
  for (std::size_t i = 0; i < found.size(); i++) {
    const auto [first, last] = children.equal_range(found[i]);
    for (auto child = first; child != last; ++child)
      found.push_back(child->second);
  }
  found.erase(found.begin());
  return found;
}

std::vector<pid_t> family() {
  std::vector<pid_t> all = descendants();
  all.insert(all.begin(), getpid());
  return all;
}

std::vector<pid_t> added(const std::vector<pid_t>& now,
                         const std::vector<pid_t>& before) {
  std::vector<pid_t> result;
  std::copy_if(
      now.begin(), now.end(), std::back_inserter(result), [&](pid_t process) {
        return std::find(before.begin(), before.end(), process) == before.end();
      });
  return result;
}

std::int64_t cpu_ns(pid_t process) {
  clockid_t clock = 0;
  timespec now{};
  if (clock_getcpuclockid(process, &clock) != 0 ||
      clock_gettime(clock, &now) != 0)
    fail_gone(process);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

std::int64_t cpu_ns(const std::vector<pid_t>& processes) {
  std::int64_t sum_ns = 0;
  for (const pid_t process : processes) sum_ns += cpu_ns(process);
  return sum_ns;
}

Faults page_faults(pid_t process) {
  const auto fields = stat_fields(process);
  if (!fields) fail_gone(process);
  return {stat_field(*fields, kMinorFaults), stat_field(*fields, kMajorFaults)};
}

Faults page_faults(const std::vector<pid_t>& processes) {
  Faults sum{};
  for (const pid_t process : processes) {
    const Faults one = page_faults(process);
    sum.minor += one.minor;
    sum.major += one.major;
  }
  return sum;
}

std::optional<Memory> memory_if_alive(pid_t process) {
  auto fields = fields_in_bytes(process, "status");
  fields.merge(fields_in_bytes(process, "smaps_rollup"));
  // One that is on its way out has none of these.
  if (!fields.contains("VmRSS:") || !fields.contains("Pss:"))
    return std::nullopt;
  return Memory{fields["VmRSS:"], fields["RssShmem:"], fields["Pss:"],
                fields["SwapPss:"]};
}

Memory memory(pid_t process) {
  const std::optional<Memory> found = memory_if_alive(process);
  if (!found) fail_gone(process);
  return *found;
}

Memory memory(const std::vector<pid_t>& processes) {
  Memory sum{};
  for (const pid_t process : processes) {
    const Memory one = memory(process);
    sum.resident_bytes += one.resident_bytes;
    sum.resident_shared_bytes += one.resident_shared_bytes;
    sum.share_bytes += one.share_bytes;
    sum.swap_bytes += one.swap_bytes;
  }
  return sum;
}

std::int64_t open_descriptors(pid_t process) {
  std::error_code error;
  const fs::directory_iterator entries(proc_path(process, "fd"), error);
  if (error) fail_gone(process);
  return std::distance(begin(entries), end(entries));
}

std::int64_t mappings(pid_t process) {
  std::ifstream file(proc_path(process, "maps"));
  if (!file) fail_gone(process);
  return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
}

}  // namespace dispatch::test
