// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/latency_budget.h"

#include <algorithm>

namespace dispatch::core {

Duration decide_automatic_budget(std::optional<Duration> frame_duration,
                                 unsigned elements_on_path) {
  const Duration whole = frame_duration ? *frame_duration * kDomainBudgetFrames
                                        : kDomainBudgetWithoutRate;
  return whole / std::max(1U, elements_on_path);
}

Latency add_own_latency(const Latency& upstream, Duration budget,
                        unsigned window_frames,
                        std::optional<Duration> frame_duration) {
  Latency own{upstream.min + budget, std::nullopt};
  if (!upstream.max) return own;
  // An hour is more than any window; beyond, the product could overflow.
  constexpr Duration kLongest = std::chrono::hours(1);
  const Duration buffering = !frame_duration ? budget
                             : *frame_duration > kLongest / (window_frames + 1)
                                 ? kLongest
                                 : *frame_duration * window_frames;
  own.max = *upstream.max + std::max(buffering, budget);
  return own;
}

}  // namespace dispatch::core
