// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A command that a worker process has, and what it was given with it.
//
// For: putting its report together with its original. Thread: confined.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/slot_ownership.h"
#include "process/event_codec.h"
#include "stage/worker.h"

namespace dispatch::process {

struct InputMemory {
  core::SlotName slot;
  GstMemory* memory = nullptr;  // (transfer none): the job's
};

struct InFlight {
  std::uint64_t number = 0;  // of the command
  core::MonotonicTime submitted{};
  stage::Job job;
  // What was sent: into the shared memory, which only we write, or `big`.
  std::span<const std::byte> payload;
  Bytes big;
  std::vector<InputMemory> inputs;
  bool is_writable = false;  // the worker may write to one of them
  // What the stage has given before a question, if that did not push it.
  stage::Outputs so_far;
};

}  // namespace dispatch::process
