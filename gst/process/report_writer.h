// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What came out of a stage, on its way to the dispatcher.
//
// For: writing outputs as a payload; what does not lie in slots is copied,
// all of it into one, and counted. Not for: handing it over
// (process/command_loop). Thread: the thread in the stage.
#pragma once

#include <vector>

#include "core/field_list.h"
#include "process/frame_codec.h"
#include "process/worker_slots.h"
#include "stage/frame.h"

namespace dispatch::process {

class ReportWriter {
 public:
  explicit ReportWriter(WorkerSlots& slots) : slots_(slots) {}

  // Brings all memories of `outputs` into slots. False: there is no room.
  bool bring_in(stage::Outputs& outputs);
  // Writes what bring_in() has passed. May be called again.
  void write(const stage::Outputs& outputs, core::FieldWriter& to) const;
  // They have been written for good: their slots are the dispatcher's.
  // `outputs` is left empty.
  void give_up(stage::Outputs& outputs);

 private:
  bool is_reachable(GstMemory* memory) const;
  BufferPtr replace(BufferPtr buffer,
                    std::vector<MemoryPtr>::iterator& copy) const;

  WorkerSlots& slots_;
};

}  // namespace dispatch::process
