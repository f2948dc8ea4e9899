// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/window_limits.h"

#include <algorithm>

namespace dispatch::core {

namespace {

unsigned automatic_frames(const WindowInputs& inputs) {
  unsigned frames = inputs.workers * kFramesPerWorker;
  if (inputs.frame_duration && *inputs.frame_duration > Duration::zero()) {
    const auto within_budget = (std::max(Duration::zero(), inputs.budget) +
                                *inputs.frame_duration - Duration(1)) /
                               *inputs.frame_duration;
    const auto live = std::min<std::int64_t>(within_budget + inputs.workers,
                                             kMaxAutomaticFrames);
    frames = std::max(frames, static_cast<unsigned>(live));
  }
  return frames;
}

}  // namespace

WindowLimits decide_window(const WindowInputs& inputs) {
  WindowLimits limits;
  limits.frames =
      inputs.max_frames != 0 ? inputs.max_frames : automatic_frames(inputs);
  limits.bytes = inputs.max_bytes != 0 ? inputs.max_bytes : kAutomaticBytes;
  limits.always_frames = inputs.max_bytes != 0 ? 1 : inputs.workers;
  return limits;
}

bool may_admit(const WindowLimits& limits, unsigned frames_in_flight,
               std::uint64_t bytes_in_flight, std::uint64_t frame_bytes,
               unsigned always_frames) {
  if (frames_in_flight == 0) return true;
  if (frames_in_flight >= limits.frames) return false;
  if (frames_in_flight < always_frames) return true;
  return bytes_in_flight + frame_bytes <= limits.bytes;
}

}  // namespace dispatch::core
