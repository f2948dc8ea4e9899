// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How many files this process may have open (RLIMIT_NOFILE, "ulimit -n").
//
// For: taking no more than a part of them, and telling a user why there is no
// further one. Thread: thread-safe functions.
#pragma once

#include <cstdint>

namespace dispatch::os {

std::uint64_t open_files_limit();

}  // namespace dispatch::os
