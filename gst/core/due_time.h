// SPDX-License-Identifier: LGPL-2.1-or-later
//
// When a frame has to leave an element.
//
// For: the formula of docs/design/due-times.md. Not for: finding out its
// inputs (stage/pipeline_time does).
// Thread: immutable functions.
#pragma once

#include <cstdint>
#include <optional>

#include "core/instant.h"

namespace dispatch::core {

// When due times apply (`deadlines`).
enum class Deadlines : std::uint8_t {
  kAuto,    // while upstream is live
  kAlways,  // playback of files against a clock
  kNever,   // strict: everything is waited for
};

struct DueTimeInputs {
  Deadlines deadlines = Deadlines::kAuto;
  bool is_live = false;           // what the upstream LATENCY query said
  Duration upstream_latency{};    // U: the minimum that it said
  Duration budget{};              // B: what this element may add
  std::optional<Duration> total;  // L: the LATENCY event; 0 counts as unknown
  Duration downstream_transit{};  // R: from this element to the sink

  bool operator==(const DueTimeInputs&) const = default;
};

// Whether frames have due times at all with these inputs.
bool due_times_apply(const DueTimeInputs& inputs);

// The due time of a frame with the running time `r`:
//   live:   r + U + B, or r + L - R where that is known and earlier;
//   always: r + L - R, nothing while L is unknown.
// Nothing where due times do not apply.
std::optional<RunningTime> decide_due_time(RunningTime r,
                                           const DueTimeInputs& inputs);

}  // namespace dispatch::core
