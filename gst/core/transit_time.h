// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How long frames take from an element to the sink.
//
// For: leaving so much earlier than the pipeline's latency would allow. Learned
// from the QoS events of sinks that send them; without, it is taken as 0. Not
// for: judging whether deadlines apply, which QoS never does.
// Only a frame that was late raises it: one that came in time may have waited
// for the sink to be done with the one before, which takes no reserve. What is
// not plausible is left out: bridges and rate changers send QoS of other
// timelines, and a sink that falls behind without end is not helped by leaving
// earlier.
// Thread: confined (the owner locks).
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "core/instant.h"

namespace dispatch::core {

class TransitTime {
 public:
  // Over so many frames,
  static constexpr std::size_t kFrames = 64;
  // of which so few may take longer.
  static constexpr double kQuantile = 0.95;
  // More than this share of the budget is not taken from the stage.
  static constexpr int kMostShare = 2;

  // A frame with the running time `r` left at `left`.
  void on_departure(RunningTime r, RunningTime left);
  // A sink says that the frame with the running time `r` came `jitter` after
  // the time at which it was to be shown; negative: before. `total`: the
  // latency of the pipeline.
  void on_qos(RunningTime r, Duration jitter, Duration total);

  // What is to be kept for downstream of an element with this budget.
  Duration reserve(Duration budget) const;
  void reset();

 private:
  struct Departure {
    RunningTime r{};
    RunningTime left{};
  };
  Duration quantile() const;

  std::array<Departure, kFrames> departures_{};
  std::size_t departed_ = 0;
  std::array<Duration, kFrames> transits_{};
  std::size_t heard_ = 0;
};

}  // namespace dispatch::core
