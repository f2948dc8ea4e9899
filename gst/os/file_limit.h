// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How many files this process may have open (RLIMIT_NOFILE, "ulimit -n").
//
// For: telling a user why there is no further descriptor. Thread: thread-safe
// functions.
#pragma once

#include <cstdint>

namespace dispatch::os {

std::uint64_t open_files_limit();
// Whether one more could be opened now.
bool can_open_more_files();

}  // namespace dispatch::os
