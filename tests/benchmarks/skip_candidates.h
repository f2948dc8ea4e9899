// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Those that bench-skip compares: ways to get a stage that may be too slow into
// a live stream.
//
// For: launch descriptions around the same stage, and what each could have
// reached. Not for: running them.
// Thread: confined to the main thread.
// Failure: ends the program (fail()).
#pragma once

#include <string>
#include <vector>

#include "live_stream.h"
#include "skip_traces.h"

namespace bench {

inline constexpr double kFullUtility = 1;
inline constexpr double kLiteUtility = 0.6;

// The stage, and how it is to be run.
struct SkipStage {
  std::string trace_path;
  double lite_scale;
  bool burns;             // CPU time; otherwise it sleeps
  unsigned most_helpers;  // 0: as the element thinks
  // Of a fixed fraction: one frame in so many gets the stage.
  unsigned every;
};

struct SkipCandidate {
  const char* name;
  const char* needs;  // an element that may not be there
  LiveStream::Setup (*setup)(const SkipStage& stage, GstClockTime budget);
  // The utilities of the levels that it chooses from, best first.
  std::vector<double> rungs;
  bool has_stats;  // is ours, and named x
  bool is_judged;  // by targets
};

// Those that can be run; `only` names some, with commas between, nullptr: all.
std::vector<SkipCandidate> skip_candidates(const gchar* only);

// The lowest at which a stage of these costs keeps up, if costs were even.
unsigned every_of(const Trace& trace, GstClockTime interval);

}  // namespace bench
