// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What all worker processes of an element share.
//
// For: the parts of a worker, which are given it. Not for: what is of one
// worker only (process/process_worker).
// Thread: immutable; what it points to is thread-safe and outlives the workers.
#pragma once

#include <atomic>

#include "process/io_thread.h"
#include "process/slots.h"
#include "process/worker_memory.h"
#include "stage/workers.h"

namespace dispatch::process {

struct ProcessHost {
  stage::WorkersHost* workers_host = nullptr;
  stage::WorkerListener* listener = nullptr;
  GstElement* element = nullptr;
  SlotStore* slots = nullptr;
  IoThread* io = nullptr;
  SharedBell* bell = nullptr;
  stage::Reports* reports = nullptr;
  const std::atomic<bool>* requires_zero_copy = nullptr;
  unsigned workers = 0;  // the most that there are at a time
};

}  // namespace dispatch::process
