// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/due_time.h"

#include <algorithm>

namespace dispatch::core {

namespace {

// What the pipeline's latency leaves for this element; nothing if unknown.
std::optional<Duration> total_share(const DueTimeInputs& inputs) {
  if (!inputs.total || *inputs.total <= Duration::zero()) return std::nullopt;
  return std::max(Duration::zero(), *inputs.total - inputs.downstream_transit);
}

bool is_live_mode(const DueTimeInputs& inputs) {
  return inputs.is_live && inputs.deadlines != Deadlines::kNever;
}

}  // namespace

bool due_times_apply(const DueTimeInputs& inputs) {
  if (is_live_mode(inputs)) return true;
  return inputs.deadlines == Deadlines::kAlways &&
         total_share(inputs).has_value();
}

std::optional<RunningTime> decide_due_time(RunningTime r,
                                           const DueTimeInputs& inputs) {
  const std::optional<Duration> share = total_share(inputs);
  if (is_live_mode(inputs)) {
    const Duration own = inputs.upstream_latency + inputs.budget;
    return r + (share ? std::min(*share, own) : own);
  }
  if (inputs.deadlines == Deadlines::kAlways && share) return r + *share;
  return std::nullopt;
}

}  // namespace dispatch::core
