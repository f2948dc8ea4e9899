// SPDX-License-Identifier: LGPL-2.1-or-later
#include "frame_number.h"

#include <cstring>

namespace dispatch::demo {

namespace {

constexpr std::uint8_t kBlack = 16;
constexpr std::uint8_t kWhite = 235;
constexpr std::uint8_t kGrey = 128;
// A block is read in its middle, which neighbours do not reach, and not at all
// where it is neither dark nor bright.
constexpr int kMargin = kNumberBlock / 4;
constexpr int kDark = 96;
constexpr int kBright = 160;

// CRC-16-CCITT. It begins with ones, so that a black edge is not number 0.
std::uint16_t checksum(std::uint16_t number) {
  std::uint16_t crc = 0xffff;
  for (int bit = 15; bit >= 0; --bit) {
    const bool flip = ((crc >> 15) ^ (number >> bit)) & 1;
    crc = static_cast<std::uint16_t>(crc << 1);
    if (flip) crc ^= 0x1021;
  }
  return crc;
}

std::uint32_t to_code(std::uint16_t number) {
  return (std::uint32_t{number} << 16) | checksum(number);
}

// Pixels of one component, and how much smaller it is than the picture.
struct Plane {
  Plane(const GstVideoFrame& frame, guint component)
      : pixels(static_cast<std::uint8_t*>(
            GST_VIDEO_FRAME_COMP_DATA(&frame, component))),
        stride(GST_VIDEO_FRAME_COMP_STRIDE(&frame, component)),
        block_width(kNumberBlock *
                    GST_VIDEO_FRAME_COMP_WIDTH(&frame, component) /
                    GST_VIDEO_FRAME_WIDTH(&frame)),
        block_height(kNumberBlock *
                     GST_VIDEO_FRAME_COMP_HEIGHT(&frame, component) /
                     GST_VIDEO_FRAME_HEIGHT(&frame)) {}

  std::uint8_t* row(int y) const { return pixels + std::ptrdiff_t{y} * stride; }

  std::uint8_t* pixels;
  int stride;
  int block_width;
  int block_height;
};

void fill_block(const Plane& plane, int block, std::uint8_t value) {
  for (int y = 0; y < plane.block_height; ++y) {
    std::memset(plane.row(y) + std::ptrdiff_t{block} * plane.block_width, value,
                static_cast<std::size_t>(plane.block_width));
  }
}

int mean_of_block(const Plane& luma, int block) {
  constexpr int kSide = kNumberBlock - 2 * kMargin;
  int sum = 0;
  for (int y = kMargin; y < kNumberBlock - kMargin; ++y) {
    const auto* middle =
        luma.row(y) + std::ptrdiff_t{block} * kNumberBlock + kMargin;
    for (int x = 0; x < kSide; ++x) sum += middle[x];
  }
  return sum / (kSide * kSide);
}

bool has_room(const GstVideoFrame& frame) {
  return GST_VIDEO_INFO_IS_YUV(&frame.info) &&
         GST_VIDEO_FRAME_COMP_DEPTH(&frame, 0) == 8 &&
         GST_VIDEO_FRAME_COMP_PSTRIDE(&frame, 0) == 1 &&
         GST_VIDEO_FRAME_WIDTH(&frame) >= kNumberWidth &&
         GST_VIDEO_FRAME_HEIGHT(&frame) >= kNumberBlock;
}

}  // namespace

void write_number(GstVideoFrame* frame, std::uint16_t number) {
  g_return_if_fail(has_room(*frame));
  const auto code = to_code(number);
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS(frame); ++c) {
    const Plane plane(*frame, c);
    for (int block = 0; block < kNumberBlocks; ++block) {
      const bool bit = (code >> (kNumberBlocks - 1 - block)) & 1;
      fill_block(plane, block, c > 0 ? kGrey : bit ? kWhite : kBlack);
    }
  }
}

std::optional<std::uint16_t> read_number(const GstVideoFrame& frame) {
  if (!has_room(frame)) return {};
  const Plane luma(frame, 0);
  std::uint32_t code = 0;
  for (int block = 0; block < kNumberBlocks; ++block) {
    const int mean = mean_of_block(luma, block);
    if (mean > kDark && mean < kBright) return {};
    code = (code << 1) | (mean >= kBright ? 1 : 0);
  }
  const auto number = static_cast<std::uint16_t>(code >> 16);
  if (code != to_code(number)) return {};
  return number;
}

std::optional<std::uint16_t> read_number(GstBuffer* buffer, GstCaps* caps) {
  GstVideoInfo info;
  GstVideoFrame frame;
  if (caps == nullptr || !gst_video_info_from_caps(&info, caps) ||
      !gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ)) {
    return {};
  }
  const auto number = read_number(frame);
  gst_video_frame_unmap(&frame);
  return number;
}

}  // namespace dispatch::demo
