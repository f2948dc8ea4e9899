// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a viewer saw of a live video.
//
// For: counting frames on time and late, and how long the picture stood still.
// Not for: reading clocks, or GStreamer.
// Thread: confined.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

namespace dispatch::demo {

using Nanos = std::chrono::nanoseconds;

struct Seen {
  std::size_t on_time = 0;
  std::size_t late = 0;
  std::size_t full_effect = 0;
  std::size_t originals = 0;     // shown as they came, without the effect
  std::size_t out_of_order = 0;  // after a frame with a higher number
  Nanos frozen{};                // sum of all freezes
  Nanos longest_freeze{};

  std::size_t shown() const { return on_time + late; }
};

class Tally {
 public:
  // A frame is late, and a gap between two frames a freeze, if it is more than
  // `tolerance` beyond what it should be.
  Tally(Nanos frame_duration, Nanos tolerance)
      : frame_duration_(frame_duration), tolerance_(tolerance) {}

  // The frame `number` was shown at `now` and should have been at `due`.
  void add(std::size_t number, Nanos now, Nanos due, bool has_effect);

  // All so far.
  const Seen& seen() const { return seen_; }
  // The same, with a freeze that is going on at `now`.
  Seen seen_at(Nanos now) const;

 private:
  void add_gap(Seen* seen, Nanos now) const;

  const Nanos frame_duration_;
  const Nanos tolerance_;
  Seen seen_;
  std::optional<Nanos> last_shown_;
  std::size_t highest_number_ = 0;
};

}  // namespace dispatch::demo
