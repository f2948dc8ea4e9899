// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How many frames come in a second.
//
// For: the load of an element. It follows a change within a few frames, falls
// while nothing comes, and does not take frames that come at once after a gap
// for a high rate.
// Not for: the frame rate of the caps, which says nothing of a source that
// stalls or is throttled.
// Thread: confined (the owner locks).
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "core/instant.h"

namespace dispatch::core {

class ArrivalRate {
 public:
  // Over so many intervals, and more where these are shorter than kShortestSpan
  // together: workers that end at the same time let as many frames in at once.
  static constexpr std::size_t kIntervals = 8;
  static constexpr Duration kShortestSpan = std::chrono::milliseconds(100);
  // What comes after such a gap is a new beginning.
  static constexpr Duration kGap = std::chrono::seconds(1);

  // In the order of time.
  void on_arrival(MonotonicTime now);

  // Frames per second; 0: fewer than two have come, or none since long.
  double per_second(MonotonicTime now) const;
  // The last one; none: none yet.
  std::optional<MonotonicTime> last() const;

  void reset() { count_ = 0; }

 private:
  static constexpr std::size_t kRemembered = 128;
  // The `ago`-th last; 0: the last.
  MonotonicTime arrival(std::size_t ago) const;
  // How many intervals count, of at least one.
  std::size_t intervals() const;

  std::array<MonotonicTime, kRemembered> ring_{};
  std::size_t count_ = 0;  // how many of them are set
  std::size_t next_ = 0;   // where the next one goes
};

}  // namespace dispatch::core
