// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The number of a frame, written into its picture.
//
// For: telling the frames of a call apart on its other side, where nothing is
// left of them but the picture. 32 blocks along the upper edge, black or white,
// are 16 bits of number and 16 of checksum. They survive coding, a blur and a
// change of colours.
// Not for: pictures narrower than kNumberWidth.
// Thread: any; frames belong to the caller.
// Failure: what cannot be read for certain is not read.
#pragma once

#include <cstdint>
#include <optional>

#include <gst/video/video.h>

namespace dispatch::demo {

inline constexpr int kNumberBlock = 16;  // pixels in each direction
inline constexpr int kNumberBlocks = 32;
inline constexpr int kNumberWidth = kNumberBlock * kNumberBlocks;

// Into a frame of planar YUV with 8 bits, mapped for writing.
void write_number(GstVideoFrame* frame, std::uint16_t number);

// Out of such a frame, mapped for reading.
std::optional<std::uint16_t> read_number(const GstVideoFrame& frame);

// The same for a buffer with these caps.
std::optional<std::uint16_t> read_number(GstBuffer* buffer, GstCaps* caps);

}  // namespace dispatch::demo
