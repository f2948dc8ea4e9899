// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/pipeline_time.h"

#include <algorithm>

namespace dispatch::stage {

void PipelineTime::play(GstElement* element) {
  ObjectPtr<GstClock> clock(gst_element_get_clock(element));
  const GstClockTime base_time = gst_element_get_base_time(element);
  const std::lock_guard lock(mutex_);
  clock_ = std::move(clock);
  base_time_ = base_time;
}

void PipelineTime::pause() {
  const std::lock_guard lock(mutex_);
  clock_.reset();
}

std::optional<core::RunningTime> PipelineTime::now() const {
  const std::lock_guard lock(mutex_);
  if (!clock_) return std::nullopt;
  const auto since_base =
      GST_CLOCK_DIFF(base_time_, gst_clock_get_time(clock_.get()));
  return core::RunningTime(core::Duration(since_base));
}

ClockIdPtr PipelineTime::new_wait(core::RunningTime until) const {
  const std::lock_guard lock(mutex_);
  if (!clock_) return nullptr;
  const gint64 since_base = until.time_since_epoch().count();
  const GstClockTime time =
      base_time_ + static_cast<GstClockTime>(std::max<gint64>(0, since_base));
  return ClockIdPtr(gst_clock_new_single_shot_id(clock_.get(), time));
}

std::optional<core::MonotonicTime> PipelineTime::to_monotonic(
    core::RunningTime until) const {
  {
    const std::lock_guard lock(mutex_);
    // Audio and network clocks among them.
    if (!clock_ || !GST_IS_SYSTEM_CLOCK(clock_.get())) return std::nullopt;
  }
  const std::optional<core::RunningTime> then = now();
  if (!then) return std::nullopt;
  return std::chrono::steady_clock::now() + (until - *then);
}

}  // namespace dispatch::stage
