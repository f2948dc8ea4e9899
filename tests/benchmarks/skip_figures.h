// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What became of the frames of a live stream through a stage that skips, in
// figures.
//
// For: judging everybody by the same rule, as a probe behind sees it: a frame
// that leaves late, or not at all, is worth nothing. Not for: what an element
// says about itself.
// Thread: functions of their arguments.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "live_stream.h"

namespace bench {

// What a frame is worth that left in time, by what it got.
struct SkipUtilities {
  std::vector<double> rungs;  // `teststage mark=N` is rung N - 1
  double repeat = 0.4;
  double bypass = 0.2;
};

// What is asked of the frames.
struct SkipQuestion {
  std::size_t frames;   // that should leave
  GstClockTime budget;  // the departures are judged by it
  GstClockTime interval;
  SkipUtilities utilities;
  // The frames that are dearer than can be done; equal: there are none.
  std::size_t overload_from = 0;
  std::size_t overload_until = 0;
};

// How long the stream took to get over a change of the load.
struct SkipRecovery {
  // From the beginning of the overload until frames leave in time.
  std::optional<double> onset_ms;
  // From its end until this share of what follows gets the full stage.
  std::optional<double> back_95_ms;
  std::optional<double> back_99_ms;
};

// Percents are of all frames and add up to 100.
struct SkipFigures {
  double utility = 0;  // the mean of the frames
  double late = 0;     // left late, or could not leave before the stream ended
  double applied = 0;  // a result of any rung, in time
  double full = 0;     // of it, of the first one
  double repeated = 0;
  double bypassed = 0;
  double dropped = 0;
  double p50_ms = 0;  // of the latency of those that left
  double p99_ms = 0;
  double worst_ms = 0;
  double switches = 0;      // to something else than the frame before, in 100
  double longest_skip = 0;  // frames in a row without a result in time
  SkipRecovery recovery;    // empty without an overload
};

SkipFigures skip_figures(const std::vector<Departure>& departures,
                         const SkipQuestion& question);

}  // namespace bench
