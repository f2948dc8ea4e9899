// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which program runs a worker.
//
// For: finding gst-dispatch-worker beside this library in a build tree, and in
// libexec relative to it where it is installed, so that a moved installation
// works; or splitting a command line of the user's. Not for: running it.
// Thread: thread-safe functions.
#pragma once

#include <string>
#include <vector>

#include "os/result.h"

namespace dispatch::process {

// `command`: as for a shell; empty: our own program.
os::Result<std::vector<std::string>> worker_command(const std::string& command);

}  // namespace dispatch::process
