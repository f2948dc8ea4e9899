// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How much latency an element may add, and what it declares.
//
// For: automatic budgets and the arithmetic of the LATENCY query.
// Not for: measuring; a budget is a constant, never a tracked estimate.
// Thread: immutable functions.
#pragma once

#include <optional>

#include "core/instant.h"

namespace dispatch::core {

// Frame durations in the automatic budget of one domain: one frame in the
// stage, one waiting for it and one of jitter. The least with which a stage
// that takes about a frame survives a slow frame (research: budgets below two
// frames lose frames to ordinary noise).
inline constexpr int kDomainBudgetFrames = 3;

// The automatic budget where there is no frame rate.
inline constexpr Duration kDomainBudgetWithoutRate =
    std::chrono::milliseconds(100);

// One element's part of the automatic budget of its path, which
// `elements_on_path` elements with automatic budgets share (at least 1: this
// one). The parts never add up to more than the whole.
Duration decide_automatic_budget(std::optional<Duration> frame_duration,
                                 unsigned elements_on_path);

struct Latency {
  Duration min{};
  std::optional<Duration> max;  // none: unlimited
};

// What the element answers to a LATENCY query that upstream answered with
// `upstream`: the budget is always added to the minimum, whatever happens; the
// window is real buffering and is added to the maximum. Without a frame rate
// the window cannot be told as a time, so the maximum grows by the budget.
Latency add_own_latency(const Latency& upstream, Duration budget,
                        unsigned window_frames,
                        std::optional<Duration> frame_duration);

}  // namespace dispatch::core
