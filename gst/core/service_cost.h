// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a frame costs a worker, for the load of an element.
//
// For: a mean that rises within a few frames when all of them have become
// dearer, falls over some more, and is not moved by a frame that stalls.
// Not for: predicting one frame, or how long a worker may take
// (core/stall_policy).
// Thread: confined (the owner locks).
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "core/instant.h"

namespace dispatch::core {

class ServiceCost {
 public:
  // Over so many frames, each counting as kOutlier medians at most.
  static constexpr std::size_t kFrames = 16;
  static constexpr int kOutlier = 3;
  // The second cheapest of the last so many counts instead where it is more:
  // three that are dearer are no accident.
  static constexpr std::size_t kRecent = 4;

  void on_finished(Duration service);

  // None: nothing has finished.
  std::optional<Duration> per_frame() const { return per_frame_; }
  // Enough of them have finished to rely on it.
  bool is_known_well() const { return count_ >= 2 * kRecent; }
  // Whether the last frames cost about what the ones before them did, so that
  // what they cost next can be compared with it. False while too few are known.
  bool is_steady() const;
  void reset() {
    count_ = 0;
    per_frame_.reset();
  }

 private:
  Duration service(std::size_t ago) const;
  Duration mean(std::size_t first_ago, std::size_t count) const;
  Duration recent() const;
  Duration most() const;  // what a frame counts as at most
  Duration judge() const;

  std::array<Duration, kFrames> ring_{};
  std::size_t count_ = 0;  // how many of them are set
  std::size_t next_ = 0;   // where the next one goes
  // Asked for several times a frame, so judged once.
  std::optional<Duration> per_frame_;
};

}  // namespace dispatch::core
