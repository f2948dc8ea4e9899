// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Durations and instants of the decision layer.
//
// For: making it impossible to mistake a time on one time line for a time on
// another, or 5 for 5 ms. Not for: reading a clock; nothing in gst/core does.
// Thread: immutable values.
#pragma once

#include <chrono>
#include <cstdint>

namespace dispatch::core {

using Duration = std::chrono::nanoseconds;

// The time line of the pipeline: running time. Signed, because a buffer before
// its segment has a negative one.
struct RunningTimeline {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<RunningTimeline>;
  static constexpr bool is_steady = true;
};
using RunningTime = RunningTimeline::time_point;

// The time line of this machine: CLOCK_MONOTONIC, the same in every process.
using MonotonicTime = std::chrono::time_point<std::chrono::steady_clock>;

// As nanoseconds since the clock's beginning, for another process or a meta.
constexpr std::int64_t to_ns(MonotonicTime time) {
  return Duration(time.time_since_epoch()).count();
}
constexpr MonotonicTime monotonic_from_ns(std::int64_t ns) {
  return MonotonicTime(Duration(ns));
}

}  // namespace dispatch::core
