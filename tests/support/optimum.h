// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The most that any choice of levels could have made of a stream, by one who
// knows all costs beforehand.
//
// For: judging a choice that was made without that knowledge. Exact, by dynamic
// programming over the frames. Frames leave in order, each by its due time; a
// frame that gets no level occupies no worker. Work is never broken off: who
// knows that it would be in vain does not begin it. Nor does it pay to work on
// frames in another order than theirs, as both arrivals and due times ascend.
// Not for: a policy; this one sees the future. Workers beyond kMostWorkers: a
// worker more is a dimension more.
// Thread: a function of its arguments.
#pragma once

#include <cstddef>
#include <vector>

#include "core/instant.h"

namespace dispatch::test {

inline constexpr std::size_t kMostWorkers = 2;

// Of all frames, in order. Both ascend.
struct FrameTimes {
  core::Duration arrival{};
  core::Duration due{};
};

// A level with a stage: what a frame is worth that got it, and what it takes.
struct Rung {
  double utility = 1;
  std::vector<core::Duration> costs;  // one for each frame
};

struct Workload {
  std::vector<FrameTimes> frames;
  std::vector<Rung> rungs;
  double skip_utility = 0.2;  // of a frame that got none, and left in time
  std::size_t workers = 1;    // at most kMostWorkers
};

// The sum over the frames.
double best_utility(const Workload& workload);

}  // namespace dispatch::test
