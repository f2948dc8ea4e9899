// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/control_groups.h"

#include <fstream>
#include <sstream>

namespace dispatch::os {

namespace {

// A line of /proc/self/cgroup is "ID:CONTROLLERS:GROUP"; v2 has ID 0 and no
// controllers.
struct Membership {
  std::string controllers;
  std::string group;  // "" is the topmost one
};

Membership read_line(const std::string& line) {
  std::istringstream fields(line);
  std::string id;
  Membership membership;
  std::getline(fields, id, ':');
  std::getline(fields, membership.controllers, ':');
  std::getline(fields, membership.group);
  if (membership.group == "/") membership.group.clear();
  return membership;
}

bool has_controller(const Membership& membership,
                    const std::string& controller) {
  return ("," + membership.controllers + ",").find("," + controller + ",") !=
         std::string::npos;
}

std::string parent_group(const std::string& group) {
  const auto slash = group.find_last_of('/');
  return slash == std::string::npos ? "" : group.substr(0, slash);
}

}  // namespace

void for_each_group(const std::string& root, const std::string& controller,
                    const std::function<void(const std::string& folder,
                                             GroupVersion version)>& visit) {
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const Membership membership = read_line(line);
    const bool is_two = membership.controllers.empty();
    if (!is_two && !has_controller(membership, controller)) continue;
    const std::string mount =
        root + "/sys/fs/cgroup" + (is_two ? "" : "/" + controller);
    std::string group = membership.group;
    while (!group.empty()) {
      visit(mount + group, is_two ? GroupVersion::kTwo : GroupVersion::kOne);
      group = parent_group(group);
    }
    visit(mount, is_two ? GroupVersion::kTwo : GroupVersion::kOne);
  }
}

}  // namespace dispatch::os
