// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The control groups that this process is in.
//
// For: finding the files that say what limits it, in both versions of control
// groups. Not for: what the files say (os/cpu_limits, os/memory_limit).
// Thread: thread-safe functions.
#pragma once

#include <functional>
#include <string>

namespace dispatch::os {

enum class GroupVersion { kOne, kTwo };

// Calls `visit` with the folder of each group that `controller` ("cpu") may
// limit this process by: its own and all those above it. The folder need not
// be there: a container may see the names of the host and the files of its own.
// `root` is the folder in which /proc and /sys are looked for.
void for_each_group(const std::string& root, const std::string& controller,
                    const std::function<void(const std::string& folder,
                                             GroupVersion version)>& visit);

}  // namespace dispatch::os
