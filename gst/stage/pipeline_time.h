// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The clock of the pipeline, as running time.
//
// For: reading the running time and making clock waits while the element is
// PLAYING. Not for: decisions. Outside PLAYING there is no time.
// Thread: thread-safe.
#pragma once

#include <mutex>
#include <optional>

#include "core/instant.h"
#include "stage/ptr.h"

namespace dispatch::stage {

class PipelineTime {
 public:
  // The element went to PLAYING, or was given another clock or base time.
  void play(GstElement* element);
  void pause();

  std::optional<core::RunningTime> now() const;
  // A wait for `until`, for gst_clock_id_wait(); null outside PLAYING.
  ClockIdPtr new_wait(core::RunningTime until) const;
  // When it will be `until`, on this machine's own time line; nothing outside
  // PLAYING, and with a clock that does not run by itself. Only as good as the
  // clock is steady: to be asked again when that time has come.
  std::optional<core::MonotonicTime> to_monotonic(
      core::RunningTime until) const;

 private:
  mutable std::mutex mutex_;
  ObjectPtr<GstClock> clock_;
  GstClockTime base_time_ = 0;
};

}  // namespace dispatch::stage
