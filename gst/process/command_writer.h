// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A job, as the payload of a command.
//
// For: writing a frame, its events and queries, and the state that holds for
// it, of which the worker is told only what it does not know. Not for: handing
// the command over (process/job_exchange).
// Thread: confined (the owner locks).
#pragma once

#include <map>
#include <memory>

#include "core/field_list.h"
#include "process/in_flight.h"
#include "process/lent_slots.h"
#include "process/stage_requests.h"

namespace dispatch::process {

class CommandWriter {
 public:
  // Both are borrowed and outlive this.
  CommandWriter(LentSlots& slots, StageRequests& requests)
      : slots_(slots), requests_(requests) {}

  // Writes flight.job into `space`, or, where it does not fit, into flight.big;
  // sets payload and inputs. False: a memory cannot be reached.
  bool write(InFlight& flight, std::span<std::byte> space);

 private:
  bool write_once(InFlight& flight, core::FieldWriter& to);
  void write_state(const stage::Job& job, core::FieldWriter& to);

  LentSlots& slots_;
  StageRequests& requests_;
  std::shared_ptr<const stage::StickyState> state_;  // that the worker has
  std::map<GstEvent*, std::uint64_t> events_;        // those of state_
  std::map<GstEvent*, std::uint64_t> next_events_;   // those of the job's
  std::uint64_t last_event_id_ = 0;
};

}  // namespace dispatch::process
