// SPDX-License-Identifier: LGPL-2.1-or-later
//
// When a worker that died is replaced.
//
// For: a stage that crashes now and then goes on at once, one that crashes
// whenever it starts does not keep the machine busy with starting it.
// Not for: what becomes of the frame that the worker had, nor for starting
// anything. One of it for all workers of an element.
// Thread: confined (the owner locks).
#pragma once

#include <optional>

#include "core/instant.h"

namespace dispatch::core {

class RestartPolicy {
 public:
  static constexpr unsigned kDefaultLimit = 5;
  static constexpr Duration kFirstDelay = std::chrono::milliseconds(50);
  static constexpr Duration kLongestDelay = std::chrono::seconds(5);
  // A replacement that lives longer than this was worth starting at once.
  static constexpr Duration kShortLife = std::chrono::milliseconds(500);

  struct Verdict {
    bool may_restart = false;
    MonotonicTime not_before{};  // of use only if it may
  };

  // `restart-limit`: how many may die one after the other without any frame
  // having been finished in between; 0: the first death is the end. Holds from
  // the next death on.
  void set_limit(unsigned limit) { limit_ = limit; }

  // A worker died, unasked. The first is replaced at once. One that dies within
  // kShortLife of the death before it, or of the moment from which that one
  // could be replaced, without having finished a frame, waits: kFirstDelay,
  // then twice as long each time, up to kLongestDelay. One that dies later
  // starts anew; one that had finished frames (`was_useful`) waits only for a
  // delay that others have caused.
  Verdict on_death(MonotonicTime now, bool was_useful);
  // A worker finished a frame.
  void on_result() { deaths_in_a_row_ = 0; }

  // Once the limit has been passed no worker is replaced any more, although one
  // that is still alive may finish frames; until reset().
  bool is_exhausted() const { return is_exhausted_; }

  // As at the beginning, with the same limit.
  void reset();

 private:
  Duration next_delay(MonotonicTime now) const;

  unsigned limit_ = kDefaultLimit;
  unsigned deaths_in_a_row_ = 0;
  bool is_exhausted_ = false;
  Duration delay_{};
  std::optional<MonotonicTime> replaced_;  // from when the last one could be
};

}  // namespace dispatch::core
