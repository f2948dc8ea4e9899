// SPDX-License-Identifier: LGPL-2.1-or-later
//
// When a worker that is busy is stuck for good.
//
// For: telling a worker that has to be replaced from one that is slow: by what
// the stage has taken so far, unless the user named a time (`stall-timeout`).
// Not for: the frame that it has; that one leaves at its due time
// (core/late_policy). Nor for what is done to the worker: a process is killed,
// a thread cannot be.
// Thread: confined (the owner locks).
#pragma once

#include <array>
#include <cstddef>
#include <optional>

#include "core/instant.h"

namespace dispatch::core {

class StallPolicy {
 public:
  // Before anything has finished: a first frame may load a model.
  static constexpr Duration kFirstTimeout = std::chrono::seconds(10);
  static constexpr Duration kShortestTimeout = std::chrono::seconds(2);
  // Times the longest ordinary service.
  static constexpr int kTolerance = 10;

  // How long the stage took for one frame.
  void on_finished(Duration service);

  // How long a worker may be busy with one frame; none: for ever. `named`: what
  // the user set, taken as it is. Without due times nothing is skipped, and
  // nobody is told to hurry.
  std::optional<Duration> timeout(std::optional<Duration> named,
                                  bool has_due_times) const;

  // Of the last kRemembered frames; none: nothing has finished.
  std::optional<Duration> mean_service() const;

  void reset() { *this = StallPolicy(); }

 private:
  // What 99 of 100 frames take at most: with all of them remembered, the second
  // longest, so that one stall does not make room for longer ones.
  static constexpr std::size_t kRemembered = 128;
  Duration longest_ordinary() const;

  std::array<Duration, kRemembered> services_{};
  std::size_t count_ = 0;  // how many of them are set
  std::size_t next_ = 0;   // where the next one goes
};

}  // namespace dispatch::core
