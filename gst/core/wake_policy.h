// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whether a waiting frame is worth waking another worker for.
//
// For: stages that take less time than waking a thread does. A worker that is
// running then takes the next frame sooner than one that sleeps, and the
// wake-ups would be most of the cost of a frame. Not for: frames with a due
// time, which always go to an idle worker at once.
// The dispatcher bounds the harm of a wrong guess: a frame is left waiting for
// a running worker for kLongestWait at most.
// Thread: confined (the owner locks).
#pragma once

#include "core/instant.h"

namespace dispatch::core {

class WakePolicy {
 public:
  // What waking a sleeping thread costs: a futex round trip between two threads
  // takes about 6 us warm and 20 us after an idle gap.
  static constexpr Duration kWakeCost = std::chrono::microseconds(6);
  // Far above what such a stage takes, far below a frame duration.
  static constexpr Duration kLongestWait = std::chrono::microseconds(200);

  // How long the stage took for one frame.
  void on_service(Duration service);

  // `running`: how many workers are running now.
  bool is_worth_waking(unsigned running) const;

  void reset() { *this = WakePolicy(); }

 private:
  // Moving average over about eight frames: one stall shows for a hundred
  // frames, and nobody waits behind a second one.
  static constexpr int kWeight = 8;
  bool is_known_ = false;
  Duration mean_{};
};

}  // namespace dispatch::core
