// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/layout_check.h"

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include <gst/audio/audio.h>

namespace dispatch::process {

namespace {

// Beyond every picture; keeps products in range.
constexpr std::uint32_t kMaxSide = 1U << 20;
// Of alignment: larger ones than any hardware asks for.
constexpr std::uint32_t kMaxPadding = 1U << 14;
constexpr std::uint32_t kMaxStrideAlign = (1U << 12) - 1;

// Bytes of the memory that `offset` lies in, from there on; a plane is mapped
// from one memory.
std::uint64_t bytes_from(GstBuffer* buffer, std::uint64_t offset) {
  const guint count = gst_buffer_n_memory(buffer);
  for (guint i = 0; i < count; ++i) {
    const std::uint64_t size = gst_memory_get_sizes(
        gst_buffer_peek_memory(buffer, i), nullptr, nullptr);
    if (offset < size) return size - offset;
    offset -= size;
  }
  return 0;
}

const GstVideoFormatInfo* video_format(std::uint32_t number) {
  static const auto* formats =
      static_cast<GEnumClass*>(g_type_class_ref(GST_TYPE_VIDEO_FORMAT));
  if (number > static_cast<std::uint32_t>(formats->maximum) ||
      number <= GST_VIDEO_FORMAT_ENCODED)
    return nullptr;
  return gst_video_format_get_info(static_cast<GstVideoFormat>(number));
}

// What a plane needs: so many lines of so many bytes.
struct PlaneNeed {
  std::uint64_t lines = 0;
  std::uint64_t bytes = 0;
};
using PlaneNeeds = std::array<PlaneNeed, GST_VIDEO_MAX_PLANES>;

bool has_plain_pixels(const GstVideoFormatInfo* format) {
  constexpr guint kOther = GST_VIDEO_FORMAT_FLAG_COMPLEX |
                           GST_VIDEO_FORMAT_FLAG_PALETTE |
                           GST_VIDEO_FORMAT_FLAG_TILED;
  return (format->flags & kOther) == 0 &&
         std::all_of(format->pixel_stride,
                     format->pixel_stride + format->n_components,
                     [](gint stride) { return stride > 0; });
}

// By component: exact, so that a part of a larger picture passes as well.
PlaneNeeds needs_of_plain(const GstVideoFormatInfo* format, gint width,
                          gint lines) {
  PlaneNeeds needs;
  for (guint c = 0; c < format->n_components; ++c) {
    PlaneNeed& need = needs[format->plane[c]];
    const gint columns = GST_VIDEO_FORMAT_INFO_SCALE_WIDTH(format, c, width);
    const gint rows = GST_VIDEO_FORMAT_INFO_SCALE_HEIGHT(format, c, lines);
    const guint depth_bytes = (format->depth[c] + format->shift[c] + 7) / 8;
    const auto last = static_cast<std::uint64_t>(columns - 1) *
                      static_cast<std::uint64_t>(format->pixel_stride[c]);
    need.lines = std::max<std::uint64_t>(need.lines, rows);
    need.bytes = std::max<std::uint64_t>(
        need.bytes, format->poffset[c] + last + depth_bytes);
  }
  return needs;
}

// As GStreamer lays the picture out by itself.
PlaneNeeds needs_by_default(const GstVideoFormatInfo* format, gint width,
                            gint lines) {
  PlaneNeeds needs;
  GstVideoInfo info;
  if (!gst_video_info_set_format(&info, format->format, width, lines))
    return needs;
  for (guint p = 0; p < format->n_planes; ++p) {
    const gsize end = p + 1 < format->n_planes ? info.offset[p + 1] : info.size;
    const auto stride = static_cast<std::uint64_t>(info.stride[p]);
    needs[p] = {(end - info.offset[p]) / stride, stride};
  }
  return needs;
}

// Tiles are counted in the stride: those of a line, and the lines of them.
const char* wrong_with_tiles(const VideoLayout& layout,
                             const GstVideoFormatInfo* format,
                             GstBuffer* buffer) {
  GstVideoInfo info;
  if (!gst_video_info_set_format(&info, format->format,
                                 static_cast<gint>(layout.width),
                                 static_cast<gint>(layout.height)))
    return "video size";
  for (guint p = 0; p < format->n_planes; ++p) {
    const auto tiles_x = [](gint stride) {
      return static_cast<std::uint64_t>(GST_VIDEO_TILE_X_TILES(stride));
    };
    const auto tiles_y = [](gint stride) {
      return static_cast<std::uint64_t>(GST_VIDEO_TILE_Y_TILES(stride));
    };
    const gint stride = layout.stride[p];
    if (stride <= 0 || tiles_x(stride) < tiles_x(info.stride[p]) ||
        tiles_y(stride) < tiles_y(info.stride[p]))
      return "video stride";
    const std::uint64_t bytes = tiles_x(stride) * tiles_y(stride) *
                                GST_VIDEO_FORMAT_INFO_TILE_SIZE(format, p);
    if (bytes > bytes_from(buffer, layout.offset[p])) return "video offset";
  }
  return nullptr;
}

const char* wrong_with_plane(const PlaneNeed& need, std::uint64_t offset,
                             std::int64_t stride, GstBuffer* buffer) {
  if (need.lines == 0) return "video size";
  if (stride < 0 || static_cast<std::uint64_t>(stride) < need.bytes)
    return "video stride";
  const std::uint64_t bytes =
      (need.lines - 1) * static_cast<std::uint64_t>(stride) + need.bytes;
  return bytes > bytes_from(buffer, offset) ? "video offset" : nullptr;
}

}  // namespace

const char* wrong_with(const VideoLayout& layout, GstBuffer* buffer,
                       PictureMemory memory) {
  const GstVideoFormatInfo* format = video_format(layout.format);
  if (format == nullptr) return "video format";
  if (layout.planes != format->n_planes) return "video planes";
  if (layout.width == 0 || layout.height == 0 || layout.width > kMaxSide ||
      layout.height > kMaxSide)
    return "video size";
  const bool is_field =
      memory == PictureMemory::kOfOneField &&
      GST_BUFFER_FLAG_IS_SET(buffer, GST_VIDEO_BUFFER_FLAG_ONEFIELD);
  const std::uint32_t lines =
      is_field ? (layout.height + 1) / 2 : layout.height;
  // No format has less than a byte for each pixel.
  if (std::uint64_t{layout.width} * lines > gst_buffer_get_size(buffer))
    return "video size";
  if (GST_VIDEO_FORMAT_INFO_IS_TILED(format))
    return wrong_with_tiles(layout, format, buffer);

  const auto needs_of =
      has_plain_pixels(format) ? needs_of_plain : needs_by_default;
  const PlaneNeeds needs = needs_of(format, static_cast<gint>(layout.width),
                                    static_cast<gint>(lines));
  for (guint p = 0; p < layout.planes; ++p)
    if (const char* wrong = wrong_with_plane(needs[p], layout.offset[p],
                                             layout.stride[p], buffer))
      return wrong;
  return nullptr;
}

// ---- Alignment -------------------------------------------------------------

GstVideoAlignment to_gst(const VideoAlignment& alignment) {
  GstVideoAlignment result;
  gst_video_alignment_reset(&result);
  result.padding_top = alignment.padding_top;
  result.padding_bottom = alignment.padding_bottom;
  result.padding_left = alignment.padding_left;
  result.padding_right = alignment.padding_right;
  std::copy_n(alignment.stride_align, GST_VIDEO_MAX_PLANES,
              result.stride_align);
  return result;
}

namespace {

VideoAlignment from_gst(const GstVideoAlignment& alignment) {
  VideoAlignment result{alignment.padding_top,
                        alignment.padding_bottom,
                        alignment.padding_left,
                        alignment.padding_right,
                        {}};
  std::copy_n(alignment.stride_align, GST_VIDEO_MAX_PLANES,
              result.stride_align);
  return result;
}

bool is_none(const GstVideoAlignment& alignment) {
  return alignment.padding_top == 0 && alignment.padding_bottom == 0 &&
         alignment.padding_left == 0 && alignment.padding_right == 0 &&
         std::all_of(alignment.stride_align,
                     alignment.stride_align + GST_VIDEO_MAX_PLANES,
                     [](guint align) { return align == 0; });
}

// gst_video_info_align() widens the picture until its strides are aligned. It
// gets there for pixels of whole bytes and alignments of powers of two.
bool comes_to_an_end(const GstVideoAlignment& alignment,
                     const GstVideoFormatInfo* format) {
  return has_plain_pixels(format) && alignment.padding_top <= kMaxPadding &&
         alignment.padding_bottom <= kMaxPadding &&
         alignment.padding_left <= kMaxPadding &&
         alignment.padding_right <= kMaxPadding &&
         std::all_of(
             alignment.stride_align,
             alignment.stride_align + GST_VIDEO_MAX_PLANES, [](guint align) {
               return align <= kMaxStrideAlign && (align & (align + 1)) == 0;
             });
}

}  // namespace

std::optional<VideoAlignment> settled(const GstVideoAlignment& alignment,
                                      const VideoLayout& layout) {
  const GstVideoFormatInfo* format = video_format(layout.format);
  if (is_none(alignment) || !comes_to_an_end(alignment, format))
    return std::nullopt;
  GstVideoInfo info;
  GstVideoAlignment result = alignment;
  if (!gst_video_info_set_format(&info, format->format,
                                 static_cast<gint>(layout.width),
                                 static_cast<gint>(layout.height)) ||
      !gst_video_info_align(&info, &result) ||
      !std::equal(info.stride, info.stride + layout.planes, layout.stride))
    return std::nullopt;
  return from_gst(result);
}

// ---- Audio -----------------------------------------------------------------

namespace {

const GstAudioFormatInfo* audio_format(std::uint32_t number) {
  static const auto* formats =
      static_cast<GEnumClass*>(g_type_class_ref(GST_TYPE_AUDIO_FORMAT));
  if (number > static_cast<std::uint32_t>(formats->maximum) ||
      number <= GST_AUDIO_FORMAT_ENCODED)
    return nullptr;
  return gst_audio_format_get_info(static_cast<GstAudioFormat>(number));
}

bool are_positions(std::span<const std::int32_t> numbers) {
  std::array<GstAudioChannelPosition, kMaxPositions> positions;
  if (numbers.size() > positions.size()) return false;
  const auto is_known = [](std::int32_t number) {
    return number == GST_AUDIO_CHANNEL_POSITION_MONO ||
           (number >= 0 && number < static_cast<std::int32_t>(kMaxPositions));
  };
  if (!std::all_of(numbers.begin(), numbers.end(), is_known)) return false;
  std::transform(
      numbers.begin(), numbers.end(), positions.begin(),
      [](std::int32_t n) { return static_cast<GstAudioChannelPosition>(n); });
  return gst_audio_check_valid_channel_positions(
             positions.data(), static_cast<gint>(numbers.size()), TRUE) !=
         FALSE;
}

// Channels that lie side by side, each inside the buffer.
bool are_apart(std::span<const std::uint64_t> offsets, std::uint64_t bytes,
               std::uint64_t size) {
  std::vector<std::uint64_t> sorted(offsets.begin(), offsets.end());
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const std::uint64_t end = i + 1 < sorted.size() ? sorted[i + 1] : size;
    if (end < sorted[i] || end - sorted[i] < bytes) return false;
  }
  return true;
}

}  // namespace

const char* wrong_with(const AudioLayout& layout,
                       std::span<const std::int32_t> positions,
                       std::span<const std::uint64_t> offsets,
                       GstBuffer* buffer) {
  const GstAudioFormatInfo* format = audio_format(layout.format);
  if (format == nullptr) return "audio format";
  if (layout.rate == 0 || layout.rate > G_MAXINT) return "audio rate";
  if (layout.channels == 0 || layout.channels > kMaxChannels)
    return "audio channels";
  if (layout.is_planar > 1 || layout.is_positioned > 1) return "audio layout";
  if (layout.is_positioned != 0
          ? positions.size() != layout.channels || !are_positions(positions)
          : !positions.empty())
    return "audio positions";

  const std::uint64_t size = gst_buffer_get_size(buffer);
  const auto sample_bytes = static_cast<std::uint64_t>(format->width) / 8;
  if (layout.samples > size / sample_bytes / layout.channels)
    return "audio samples";
  if (layout.is_planar == 0) return offsets.empty() ? nullptr : "audio offsets";
  if (offsets.size() != layout.channels ||
      !are_apart(offsets, layout.samples * sample_bytes, size))
    return "audio offsets";
  return nullptr;
}

}  // namespace dispatch::process
