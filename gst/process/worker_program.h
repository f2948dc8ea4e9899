// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The program gst-dispatch-worker: one copy of a stage in a process of its own.
//
// For: the main function of the worker program. Not for: frames
// (process/command_loop).
#pragma once

namespace dispatch::process {

// Returns what main() is to return.
int run_worker_program(int argc, char** argv);

}  // namespace dispatch::process
