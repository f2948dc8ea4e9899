// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a process has that was killed and does not go: one that hangs in the
// kernel, on a dead device or a server that does not answer.
//
// For: ending an element nevertheless, without giving the process's memory to
// anybody else. Not for: processes that go when they are told to.
// Thread: thread-safe.
#pragma once

#include <memory>

#include "os/child_process.h"

namespace dispatch::process {

// Reaps `child`, which was killed, and then lets go of `what`, both on a thread
// of this file's own, whenever that is. Does not wait.
void keep_until_gone(os::ChildProcess child, std::shared_ptr<void> what);

}  // namespace dispatch::process
