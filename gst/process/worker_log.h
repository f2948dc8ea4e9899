// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The debug log of a worker process, which goes to the dispatcher's.
//
// For: one log for the user, whoever wrote the line. Not for: what is printed
// to stderr by others. Thread: thread-safe.
#pragma once

#include <memory>

#include "process/channel.h"

namespace dispatch::process {

// From now on, at most up to the level `threshold` where no category says
// otherwise.
void send_log_to(std::shared_ptr<Channel> channel, GstDebugLevel threshold);

}  // namespace dispatch::process
