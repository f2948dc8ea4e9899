// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The program gst-dispatch-worker: one copy of a stage in a process of its own.
//
// For: the main function of our worker program, and of those of tests that want
// to look into it. Not for: frames (process/command_loop).
#pragma once

#include <functional>

#include <gst/gst.h>

namespace dispatch::process {

struct WorkerProgramHooks {
  // The copy of the stage, a bin (transfer none), before it runs.
  std::function<void(GstElement* copy, unsigned number)> on_copy;
};

// Returns what main() is to return.
int run_worker_program(int argc, char** argv,
                       const WorkerProgramHooks& hooks = {});

}  // namespace dispatch::process
