// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How much work may be in flight in one element.
//
// For: the bound of an element's memory, in frames and in bytes.
// Not for: deciding what happens to a frame that has no room (it waits).
// Thread: immutable functions.
#pragma once

#include <cstdint>
#include <optional>

#include "core/instant.h"

namespace dispatch::core {

struct WindowLimits {
  unsigned frames = 1;
  std::uint64_t bytes = 0;
  unsigned always_frames = 1;  // have room whatever their bytes
};

struct WindowInputs {
  unsigned max_frames = 0;      // `max-buffers`; 0: automatic
  std::uint64_t max_bytes = 0;  // `max-bytes`; 0: automatic
  unsigned workers = 1;
  Duration budget{};
  std::optional<Duration> frame_duration;
};

// Automatic window: what is on its way within the budget and one frame for
// each worker; never below kFramesPerWorker for each worker, so that a frame of
// uneven cost does not leave the others without work.
inline constexpr unsigned kFramesPerWorker = 4;
inline constexpr unsigned kMaxAutomaticFrames = 256;
// Automatic bytes: 40 frames of 1080p I420 twice over; a system with less than
// this to spare should name its own bound.
inline constexpr std::uint64_t kAutomaticBytes = 256ULL << 20;

WindowLimits decide_window(const WindowInputs& inputs);

// Whether one more frame of `frame_bytes` may enter. Within the frames,
// `always_frames` (at least one) always may, however large: one frame where the
// user named the bytes, one for each worker where they are automatic.
bool may_admit(const WindowLimits& limits, unsigned frames_in_flight,
               std::uint64_t bytes_in_flight, std::uint64_t frame_bytes,
               unsigned always_frames);

}  // namespace dispatch::core
