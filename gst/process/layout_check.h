// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whether the layout in a video or audio meta stays inside its buffer.
//
// Whoever maps a frame by its meta believes it: offsets and strides from a
// worker process have to be looked at first, against the memory of the buffer.
// The same is asked before a meta is sent, so that no meta of upstream's can
// make the other side call it wrong.
//
// For: the arithmetic. Not for: whether it is the layout that the caps promise.
// Thread: thread-safe functions. Failure: the name of the field that is wrong,
// or null.
#pragma once

#include <optional>
#include <span>

#include <gst/video/video.h>

#include "process/meta_codec.h"

namespace dispatch::process {

// GstAudioInfo has room for so many.
inline constexpr std::uint32_t kMaxPositions = 64;
// More than anyone has; keeps products in range.
inline constexpr std::uint32_t kMaxChannels = 1U << 16;

// `buffer` (transfer none).
const char* wrong_with(const VideoLayout& layout, GstBuffer* buffer,
                       PictureMemory memory);
const char* wrong_with(const AudioLayout& layout,
                       std::span<const std::int32_t> positions,
                       std::span<const std::uint64_t> offsets,
                       GstBuffer* buffer);

// `alignment` as GStreamer settles it for `layout`, which is not wrong; nothing
// if it is none, or is not the one that the strides come from, or if GStreamer
// would not come to an end with it.
std::optional<VideoAlignment> settled(const GstVideoAlignment& alignment,
                                      const VideoLayout& layout);
GstVideoAlignment to_gst(const VideoAlignment& alignment);

}  // namespace dispatch::process
