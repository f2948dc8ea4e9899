// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whether one more worker helps.
//
// For: comparing what a frame costs with n workers and cost with n - 1. Workers
// that share cores, memory bandwidth, a lock or a GPU make each other's frames
// dearer, up to where one more of them adds nothing.
// Not for: frames that became dearer by themselves: a step up that answers a
// change of the cost is not to be judged, and a verdict that turns out to have
// been about such a change is withdrawn.
// Thread: confined (the owner locks).
#pragma once

#include <cstdint>
#include <optional>

#include "core/instant.h"

namespace dispatch::core {

class EfficiencyTrial {
 public:
  // What the last worker has to add, in workers.
  static constexpr double kLeastGain = 0.3;
  // Ends at a size that are worth nothing, for each worker: it had begun those
  // frames at the size before.
  static constexpr unsigned kTransient = 1;
  // Ends after these until the size is known well enough to go on from it,
  static constexpr unsigned kToPass = 4;
  // to be found wanting (besides one more for each worker),
  static constexpr unsigned kToFail = 8;
  // and until the likelier verdict is given (besides one more for each worker),
  // where the frames differ too much for a certain one.
  static constexpr unsigned kToEnd = 64;

  enum class Verdict : std::uint8_t { kOpen, kHelps, kDoesNotHelp };

  // `size` workers from now on. `is_comparable`: one more than before, while
  // the cost was steady.
  void on_size(unsigned size, bool is_comparable);
  // Back to `size`, one less, because of kDoesNotHelp.
  void on_step_back(unsigned size);
  void on_finished(Duration service);

  // Without something to compare with it helps, once the cost is known.
  Verdict verdict() const;
  // After a step back: the frames are no cheaper than they were with one more,
  // so that it was not the workers that had made them dearer.
  bool was_wrong() const;

 private:
  struct Sample {
    unsigned count = 0;
    double mean = 0;  // ns
    double squares = 0;

    void add(double cost);
    double error() const;  // two standard errors of the mean
  };
  bool is_known_well() const;
  double gain(double before, double now) const;

  unsigned size_ = 1;
  unsigned to_skip_ = 0;
  Sample now_;
  std::optional<Sample> before_;  // at one worker less
  std::optional<Sample> more_;    // after a step back: at one worker more
  double cheap_ = 0;              // and what it was before that one came
};

}  // namespace dispatch::core
