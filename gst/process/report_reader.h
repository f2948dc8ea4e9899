// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a worker process reports, as results.
//
// For: reading the payload of a report, or of what a stage gave before it
// asked: events, and frames put together with their originals. Nothing in it is
// believed before it has been checked. Not for: the report itself
// (core/report_check), which report comes when (process/job_exchange).
// Thread: thread-safe.
#pragma once

#include <atomic>
#include <span>
#include <string>

#include "process/frame_codec.h"
#include "process/in_flight.h"
#include "process/lent_slots.h"
#include "process/result_frames.h"

namespace dispatch::process {

class ReportReader {
 public:
  // `slots` is borrowed and outlives this; `copy`: who gave it, for the epochs.
  ReportReader(LentSlots& slots, const void* copy)
      : slots_(slots), copy_(copy) {}

  // Adds what `payload` (a copy) holds to `outputs`. False: `wrong` names the
  // wrong field.
  bool read(const InFlight& flight, std::span<const std::byte> payload,
            stage::Outputs& outputs, std::string& wrong) const;

 private:
  bool add_event(const core::Field& field, const stage::Job& job,
                 stage::Outputs& outputs, std::string& wrong) const;
  // `event` (transfer none)
  bool take_caps(GstEvent* event, const stage::Job& job,
                 std::string& wrong) const;
  ResultFormat format_of(const stage::Job& job) const;
  bool add_frame(const ParsedFrame& parsed, const InFlight& flight,
                 NamedMemories& named, stage::Outputs& outputs,
                 std::string& wrong) const;

  LentSlots& slots_;
  const void* const copy_;
  // Of the caps that were reported last. A report may be read while the thread
  // of a query reads what came before it.
  mutable std::atomic<bool> gives_fields_{false};
};

}  // namespace dispatch::process
