// SPDX-License-Identifier: LGPL-2.1-or-later
#include "memory_group.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "bench.h"

namespace bench {

namespace os = dispatch::os;

namespace {

// The number in a file, or behind `key` in a file of lines "key number".
std::int64_t number_in(const std::string& path, const std::string& key = {}) {
  std::ifstream file(path);
  std::int64_t value = 0;
  if (key.empty()) {
    file >> value;
    return value;
  }
  for (std::string word; file >> word >> value;)
    if (word == key) return value;
  return 0;
}

}  // namespace

std::optional<MemoryGroup> MemoryGroup::make(std::int64_t limit_bytes,
                                             std::string& why_not) {
  why_not = "there is no memory cgroup";
  std::optional<MemoryGroup> made;
  os::for_each_group(
      "/", "memory", [&](const std::string& folder, os::GroupVersion version) {
        if (made) return;
        const std::string own = folder + "/bench-" + std::to_string(getpid());
        if (mkdir(own.c_str(), 0755) != 0) {
          why_not =
              "no cgroup can be made in " + folder + ": " + g_strerror(errno);
          return;
        }
        MemoryGroup group(own, version);
        const char* file =
            group.is_two() ? "memory.max" : "memory.limit_in_bytes";
        if (group.set(file, std::to_string(limit_bytes))) {
          made.emplace(std::move(group));
        } else {
          why_not = "the cgroup in " + folder + " has no limit of memory";
        }
      });
  return made;
}

MemoryGroup::MemoryGroup(MemoryGroup&& other) noexcept
    : folder_(std::exchange(other.folder_, {})), version_(other.version_) {}

MemoryGroup::~MemoryGroup() {
  if (folder_.empty()) return;
  // Those that were killed leave a moment later.
  for (int i = 0; i < 1000 && rmdir(folder_.c_str()) != 0; i++) {
    kill_all();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

std::vector<pid_t> MemoryGroup::processes() const {
  std::ifstream file(folder_ + "/cgroup.procs");
  return {std::istream_iterator<pid_t>(file), {}};
}

void MemoryGroup::kill_all() const {
  for (const pid_t process : processes()) kill(process, SIGKILL);
}

bool MemoryGroup::set(const char* file, const std::string& value) const {
  std::ofstream to(folder_ + "/" + file);
  to << value;
  to.flush();
  return to.good();
}

void MemoryGroup::take_in(pid_t process) {
  if (!set("cgroup.procs", std::to_string(process)))
    fail("A process cannot be put into " + folder_);
}

std::int64_t MemoryGroup::peak_bytes() const {
  return number_in(folder_ +
                   (is_two() ? "/memory.peak" : "/memory.max_usage_in_bytes"));
}

std::int64_t MemoryGroup::swap_bytes() const {
  return is_two() ? number_in(folder_ + "/memory.swap.current")
                  : number_in(folder_ + "/memory.stat", "swap");
}

std::int64_t MemoryGroup::kills() const {
  return number_in(
      folder_ + (is_two() ? "/memory.events" : "/memory.oom_control"),
      "oom_kill");
}

}  // namespace bench
