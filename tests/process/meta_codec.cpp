// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/meta_codec.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gst/audio/audio.h>
#include <gst/video/video.h>

#include "core/worker_protocol.h"
#include "process/field_builder.h"
#include "process/structure_text.h"
#include "stage/due_time_meta.h"
#include "stage/ptr.h"

namespace dispatch::process {
namespace {

using stage::BufferPtr;
using Bytes = std::vector<std::byte>;

BufferPtr buffer_of(gsize bytes) {
  return BufferPtr(gst_buffer_new_allocate(nullptr, bytes, nullptr));
}

struct Written {
  std::vector<Bytes> metas;
  unsigned others = 0;
};

Written write(const BufferPtr& buffer) {
  alignas(8) static std::array<std::byte, core::protocol::kPayloadBytes> space;
  core::FieldWriter to(space);
  Written result;
  result.others = write_metas(buffer.get(), to);
  EXPECT_FALSE(to.has_overflowed());
  core::FieldReader reader(to.written());
  while (const auto field = reader.next()) {
    EXPECT_EQ(field->tag, core::protocol::kMeta);
    result.metas.emplace_back(field->value.begin(), field->value.end());
  }
  EXPECT_FALSE(reader.is_broken());
  return result;
}

// A buffer with the same memory and flags, and the metas as they came back.
BufferPtr bring_back(const BufferPtr& buffer) {
  BufferPtr result(gst_buffer_new());
  gst_buffer_copy_into(result.get(), buffer.get(),
                       static_cast<GstBufferCopyFlags>(GST_BUFFER_COPY_MEMORY |
                                                       GST_BUFFER_COPY_FLAGS),
                       0, -1);
  const Written written = write(buffer);
  EXPECT_EQ(written.others, 0U);
  for (const Bytes& meta : written.metas)
    EXPECT_STREQ(
        read_meta(result.get(), meta, process::PictureMemory::kOfOneField),
        nullptr);
  // Again they are the same bytes.
  EXPECT_EQ(write(result).metas, written.metas);
  return result;
}

guint count_metas(const BufferPtr& buffer) {
  guint count = 0;
  gpointer state = nullptr;
  while (gst_buffer_iterate_meta(buffer.get(), &state) != nullptr) ++count;
  return count;
}

// ---- Video -----------------------------------------------------------------

// Of a buffer as large as GStreamer makes it.
BufferPtr picture(GstVideoFormat format, guint width, guint height) {
  GstVideoInfo info;
  EXPECT_TRUE(gst_video_info_set_format(&info, format, width, height));
  BufferPtr buffer = buffer_of(info.size);
  gst_buffer_add_video_meta(buffer.get(), GST_VIDEO_FRAME_FLAG_NONE, format,
                            width, height);
  return buffer;
}

GstVideoMeta* video_meta(const BufferPtr& buffer) {
  return gst_buffer_get_video_meta(buffer.get());
}

void expect_same_layout(const GstVideoMeta* a, const GstVideoMeta* b) {
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(a->format, b->format);
  EXPECT_EQ(a->flags, b->flags);
  EXPECT_EQ(a->id, b->id);
  EXPECT_EQ(a->width, b->width);
  EXPECT_EQ(a->height, b->height);
  ASSERT_EQ(a->n_planes, b->n_planes);
  for (guint p = 0; p < a->n_planes; ++p) {
    EXPECT_EQ(a->offset[p], b->offset[p]);
    EXPECT_EQ(a->stride[p], b->stride[p]);
  }
}

TEST(MetaCodec, BringsBackAVideoLayoutOfEveryFormat) {
  guint count = 0;
  const auto* formats =
      static_cast<const GstVideoFormat*>(gst_video_formats_raw(&count));
  ASSERT_GT(count, 50U);
  for (guint i = 0; i < count; ++i) {
    SCOPED_TRACE(gst_video_format_to_string(formats[i]));
    for (const auto& [width, height] : {std::pair(64U, 48U), {33U, 17U}}) {
      // Hardware's own: no memory of ours is laid out so.
      if (formats[i] == GST_VIDEO_FORMAT_ENCODED) continue;
      const BufferPtr original = picture(formats[i], width, height);
      const BufferPtr back = bring_back(original);
      expect_same_layout(video_meta(original), video_meta(back));
      EXPECT_EQ(video_meta(back)->buffer, back.get());
    }
  }
}

TEST(MetaCodec, BringsBackAVideoLayoutOfOnesOwn) {
  const BufferPtr original = buffer_of(100000);
  std::array<gsize, GST_VIDEO_MAX_PLANES> offset = {64, 50000, 80001};
  std::array<gint, GST_VIDEO_MAX_PLANES> stride = {400, 200, 199};
  GstVideoMeta* meta = gst_buffer_add_video_meta_full(
      original.get(), GST_VIDEO_FRAME_FLAG_INTERLACED, GST_VIDEO_FORMAT_I420,
      320, 100, 3, offset.data(), stride.data());
  meta->id = -7;
  expect_same_layout(meta, video_meta(bring_back(original)));
}

TEST(MetaCodec, BringsBackSeveralViews) {
  const BufferPtr original = picture(GST_VIDEO_FORMAT_RGB, 16, 16);
  gst_buffer_add_video_meta(original.get(), GST_VIDEO_FRAME_FLAG_NONE,
                            GST_VIDEO_FORMAT_GRAY8, 8, 8)
      ->id = 1;
  const BufferPtr back = bring_back(original);
  EXPECT_EQ(count_metas(back), 2U);
  expect_same_layout(gst_buffer_get_video_meta_id(original.get(), 1),
                     gst_buffer_get_video_meta_id(back.get(), 1));
}

TEST(MetaCodec, BringsBackAnAlignment) {
  GstVideoInfo info;
  gst_video_info_set_format(&info, GST_VIDEO_FORMAT_I420, 317, 239);
  GstVideoAlignment alignment;
  gst_video_alignment_reset(&alignment);
  alignment.padding_top = 2;
  alignment.padding_bottom = 16;
  alignment.padding_left = 32;
  alignment.padding_right = 5;
  for (guint& align : alignment.stride_align) align = 31;
  ASSERT_TRUE(gst_video_info_align(&info, &alignment));
  const BufferPtr original = buffer_of(info.size);
  GstVideoMeta* meta = gst_buffer_add_video_meta_full(
      original.get(), GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_I420, 317,
      239, 3, info.offset, info.stride);
  ASSERT_TRUE(gst_video_meta_set_alignment(meta, alignment));

  const BufferPtr back = bring_back(original);
  expect_same_layout(meta, video_meta(back));
  EXPECT_EQ(std::memcmp(&video_meta(back)->alignment, &meta->alignment,
                        sizeof(alignment)),
            0);
}

// It is one that the strides do not have: nobody could use it.
TEST(MetaCodec, LeavesOutAnAlignmentThatIsNone) {
  const BufferPtr original = picture(GST_VIDEO_FORMAT_I420, 64, 64);
  video_meta(original)->alignment.padding_right = 64;
  const BufferPtr back = bring_back(original);
  expect_same_layout(video_meta(original), video_meta(back));
  EXPECT_EQ(video_meta(back)->alignment.padding_right, 0U);
}

TEST(MetaCodec, BringsBackAPartOfAPicture) {
  const BufferPtr original = buffer_of(16384);
  // The lower right quarter: its last line ends with the buffer.
  std::array<gsize, GST_VIDEO_MAX_PLANES> offset = {8192 + 128};
  std::array<gint, GST_VIDEO_MAX_PLANES> stride = {256};
  gst_buffer_add_video_meta_full(original.get(), GST_VIDEO_FRAME_FLAG_NONE,
                                 GST_VIDEO_FORMAT_RGBA, 32, 32, 1,
                                 offset.data(), stride.data());
  expect_same_layout(video_meta(original), video_meta(bring_back(original)));
  video_meta(original)->offset[0] += 1;
  EXPECT_EQ(write(original).others, 1U);
}

TEST(MetaCodec, BringsBackAField) {
  const BufferPtr original = buffer_of(2048);
  gst_buffer_add_video_meta(original.get(), GST_VIDEO_FRAME_FLAG_NONE,
                            GST_VIDEO_FORMAT_GRAY8, 64, 64);
  EXPECT_EQ(write(original).others, 1U);
  GST_BUFFER_FLAG_SET(original.get(), GST_VIDEO_BUFFER_FLAG_TOP_FIELD);
  expect_same_layout(video_meta(original), video_meta(bring_back(original)));
}

TEST(MetaCodec, BringsBackPlanesInMemoriesOfTheirOwn) {
  const BufferPtr original(gst_buffer_new());
  for (const gsize bytes : {4096, 2048})
    gst_buffer_append_memory(original.get(),
                             gst_allocator_alloc(nullptr, bytes, nullptr));
  gst_buffer_add_video_meta(original.get(), GST_VIDEO_FRAME_FLAG_NONE,
                            GST_VIDEO_FORMAT_NV12, 64, 64);
  expect_same_layout(video_meta(original), video_meta(bring_back(original)));
  // Mapped, the plane would be cut at the end of the first memory.
  video_meta(original)->offset[1] -= 1;
  EXPECT_EQ(write(original).others, 1U);
}

// ---- Video that would lead outside -----------------------------------------

VideoLayout gray(std::uint32_t width, std::uint32_t height) {
  VideoLayout layout;
  layout.format = GST_VIDEO_FORMAT_GRAY8;
  layout.width = width;
  layout.height = height;
  layout.planes = 1;
  layout.stride[0] = static_cast<std::int32_t>(width);
  return layout;
}

Bytes video_bytes(const VideoLayout& layout) {
  FieldBuilder list;
  list.add_number(MetaTag::kKind, static_cast<std::uint64_t>(MetaKind::kVideo));
  list.add_struct(MetaTag::kVideoLayout, layout);
  return list.take();
}

VideoLayout layout_in(const Bytes& meta) {
  return find_struct<VideoLayout>(meta, MetaTag::kVideoLayout)
      .value_or(VideoLayout());
}

// What is wrong, by name; "" if nothing is.
std::string problem(const Bytes& meta, const BufferPtr& buffer) {
  const guint before = count_metas(buffer);
  const char* wrong = read_meta(buffer.get(), meta);
  EXPECT_EQ(count_metas(buffer), before + (wrong == nullptr ? 1 : 0));
  return wrong != nullptr ? wrong : "";
}

TEST(MetaCodec, RefusesAVideoLayoutThatLeadsOutside) {
  const BufferPtr buffer = buffer_of(4096);
  const auto problem_of = [&](const std::function<void(VideoLayout&)>& change) {
    VideoLayout layout = gray(64, 64);
    change(layout);
    return problem(video_bytes(layout), buffer);
  };
  EXPECT_EQ(problem_of([](VideoLayout&) {}), "");
  for (const std::uint32_t format : {0U, 1U, 100000U, G_MAXUINT})
    EXPECT_EQ(problem_of([&](auto& l) { l.format = format; }), "video format");
  for (const std::uint32_t planes : {0U, 2U, 5U, G_MAXUINT})
    EXPECT_EQ(problem_of([&](auto& l) { l.planes = planes; }), "video planes");
  for (const std::uint32_t side : {0U, 65U * 64, 1U << 31, G_MAXUINT}) {
    EXPECT_EQ(problem_of([&](auto& l) { l.width = side; }), "video size");
    EXPECT_EQ(problem_of([&](auto& l) { l.height = side; }), "video size");
  }
  EXPECT_EQ(problem_of([](auto& l) { l.width = 65, l.height = 63; }),
            "video stride");
  for (const std::int32_t stride : {63, 0, -64, G_MININT})
    EXPECT_EQ(problem_of([&](auto& l) { l.stride[0] = stride; }),
              "video stride");
  for (const std::int32_t stride : {65, G_MAXINT})
    EXPECT_EQ(problem_of([&](auto& l) { l.stride[0] = stride; }),
              "video offset");
  for (const std::uint64_t offset :
       {std::uint64_t{1}, std::uint64_t{4096}, G_MAXUINT64, G_MAXUINT64 - 4000})
    EXPECT_EQ(problem_of([&](auto& l) { l.offset[0] = offset; }),
              "video offset");
}

// The flag is the worker's to set; who maps a picture whose caps do not speak
// of fields maps all its lines.
TEST(MetaCodec, TakesHalfAPictureForAFieldOnlyWhereTheCapsSayFields) {
  const BufferPtr buffer = buffer_of(gsize{64} * 32);
  const Bytes meta = video_bytes(gray(64, 64));
  EXPECT_EQ(problem(meta, buffer), "video size");
  GST_BUFFER_FLAG_SET(buffer.get(), GST_VIDEO_BUFFER_FLAG_ONEFIELD);
  EXPECT_EQ(problem(meta, buffer), "video size");
  EXPECT_STREQ(
      read_meta(buffer.get(), meta, process::PictureMemory::kOfOneField),
      nullptr);
}

// Their stride counts tiles, of a line and of a column.
TEST(MetaCodec, RefusesTooFewTiles) {
  const BufferPtr buffer = picture(GST_VIDEO_FORMAT_NV12_64Z32, 256, 128);
  const VideoLayout layout = layout_in(write(buffer).metas.at(0));
  const auto problem_of = [&](int x, int y) {
    VideoLayout changed = layout;
    const gint stride = layout.stride[0];
    changed.stride[0] = GST_VIDEO_TILE_MAKE_STRIDE(
        GST_VIDEO_TILE_X_TILES(stride) + x, GST_VIDEO_TILE_Y_TILES(stride) + y);
    return problem(video_bytes(changed), buffer);
  };
  EXPECT_EQ(problem_of(0, 0), "");
  EXPECT_EQ(problem_of(-1, 1), "video stride");
  EXPECT_EQ(problem_of(1, -1), "video stride");
  EXPECT_EQ(problem_of(20, 20), "video offset");
  EXPECT_EQ(problem_of(0, -1000), "video stride");
}

TEST(MetaCodec, RefusesAnAlignmentThatIsNone) {
  const BufferPtr buffer = picture(GST_VIDEO_FORMAT_GRAY8, 64, 64);
  const auto problem_of = [&](const VideoAlignment& alignment) {
    FieldBuilder list;
    list.add_number(MetaTag::kKind,
                    static_cast<std::uint64_t>(MetaKind::kVideo));
    list.add_struct(MetaTag::kVideoLayout, gray(64, 64));
    list.add_struct(MetaTag::kVideoAlignment, alignment);
    return problem(list.take(), buffer);
  };
  EXPECT_EQ(problem_of({.stride_align = {63}}), "");
  // GStreamer would look for ever for a width that is aligned so.
  EXPECT_EQ(problem_of({.padding_left = 1, .stride_align = {G_MAXUINT}}),
            "video alignment");
  EXPECT_EQ(problem_of({.stride_align = {6}}), "video alignment");
  EXPECT_EQ(problem_of({.padding_top = G_MAXUINT}), "video alignment");
  EXPECT_EQ(problem_of({.padding_right = G_MAXUINT}), "video alignment");
  EXPECT_EQ(problem_of({.padding_right = 64}), "video alignment");
  EXPECT_EQ(problem_of({}), "video alignment");
}

// Reads each pixel, as any element would.
void look_at(const BufferPtr& buffer) {
  const GstVideoMeta* meta = video_meta(buffer);
  GstVideoInfo info;
  ASSERT_TRUE(gst_video_info_set_format(&info, meta->format, meta->width,
                                        meta->height));
  const BufferPtr copy = buffer_of(info.size);
  GstVideoFrame from;
  GstVideoFrame to;
  ASSERT_TRUE(gst_video_frame_map(&from, &info, buffer.get(), GST_MAP_READ));
  ASSERT_TRUE(gst_video_frame_map(&to, &info, copy.get(), GST_MAP_WRITE));
  EXPECT_TRUE(gst_video_frame_copy(&to, &from));
  gst_video_frame_unmap(&to);
  gst_video_frame_unmap(&from);
}

// AddressSanitizer sees a layout that was taken and leads outside.
TEST(MetaCodec, TakesNoChangedLayoutThatLeadsOutside) {
  std::mt19937_64 random(4711);
  unsigned taken = 0;
  for (const GstVideoFormat format :
       {GST_VIDEO_FORMAT_I420, GST_VIDEO_FORMAT_NV12, GST_VIDEO_FORMAT_RGB,
        GST_VIDEO_FORMAT_AYUV, GST_VIDEO_FORMAT_v210, GST_VIDEO_FORMAT_YUY2,
        GST_VIDEO_FORMAT_NV12_64Z32, GST_VIDEO_FORMAT_P010_10LE,
        GST_VIDEO_FORMAT_RGB8P}) {
    const BufferPtr original = picture(format, 64, 64);
    const VideoLayout layout = layout_in(write(original).metas.at(0));
    for (int round = 0; round < 400; ++round) {
      VideoLayout changed = layout;
      std::array<std::byte, sizeof(layout)> raw;
      std::memcpy(raw.data(), &changed, sizeof(raw));
      const std::size_t at = random() % raw.size();
      const auto step = static_cast<int>(random() % 5) - 2;
      raw[at] = std::byte(static_cast<int>(raw[at]) + step);
      std::memcpy(&changed, raw.data(), sizeof(raw));
      const BufferPtr buffer = buffer_of(gst_buffer_get_size(original.get()));
      gst_buffer_memset(buffer.get(), 0, 0, -1);
      if (!problem(video_bytes(changed), buffer).empty()) continue;
      ++taken;
      if (video_meta(buffer)->id == 0) look_at(buffer);
    }
  }
  EXPECT_GT(taken, 0U);
}

// ---- Audio -----------------------------------------------------------------

GstAudioInfo audio(GstAudioFormat format, gint channels, bool is_planar) {
  GstAudioInfo info;
  gst_audio_info_set_format(&info, format, 48000, channels, nullptr);
  if (is_planar) info.layout = GST_AUDIO_LAYOUT_NON_INTERLEAVED;
  return info;
}

GstAudioMeta* audio_meta(const BufferPtr& buffer) {
  return gst_buffer_get_audio_meta(buffer.get());
}

void expect_same_audio(const GstAudioMeta* a, const GstAudioMeta* b) {
  ASSERT_NE(a, nullptr);
  ASSERT_NE(b, nullptr);
  EXPECT_TRUE(gst_audio_info_is_equal(&a->info, &b->info));
  EXPECT_EQ(a->samples, b->samples);
  if (a->info.layout == GST_AUDIO_LAYOUT_INTERLEAVED) return;
  for (gint c = 0; c < a->info.channels; ++c)
    EXPECT_EQ(a->offsets[c], b->offsets[c]);
}

TEST(MetaCodec, BringsBackAudio) {
  for (const bool is_planar : {false, true})
    for (const gint channels : {1, 2, 6, 8, 64, 100}) {
      const GstAudioInfo info =
          audio(GST_AUDIO_FORMAT_S16LE, channels, is_planar);
      const BufferPtr original = buffer_of(static_cast<gsize>(info.bpf) * 10);
      gst_buffer_add_audio_meta(original.get(), &info, 10, nullptr);
      expect_same_audio(audio_meta(original), audio_meta(bring_back(original)));
    }
}

TEST(MetaCodec, BringsBackPositionsOfChannels) {
  const std::array<GstAudioChannelPosition, 3> positions = {
      GST_AUDIO_CHANNEL_POSITION_FRONT_LEFT,
      GST_AUDIO_CHANNEL_POSITION_FRONT_RIGHT, GST_AUDIO_CHANNEL_POSITION_LFE1};
  GstAudioInfo info;
  gst_audio_info_set_format(&info, GST_AUDIO_FORMAT_F32LE, 44100, 3,
                            positions.data());
  const BufferPtr original = buffer_of(120);
  gst_buffer_add_audio_meta(original.get(), &info, 10, nullptr);
  expect_same_audio(audio_meta(original), audio_meta(bring_back(original)));

  // Two channels that are not left and right.
  GstAudioInfo two = audio(GST_AUDIO_FORMAT_F32LE, 2, false);
  two.flags = GST_AUDIO_FLAG_UNPOSITIONED;
  two.position[0] = two.position[1] = GST_AUDIO_CHANNEL_POSITION_NONE;
  const BufferPtr unpositioned = buffer_of(80);
  gst_buffer_add_audio_meta(unpositioned.get(), &two, 10, nullptr);
  expect_same_audio(audio_meta(unpositioned),
                    audio_meta(bring_back(unpositioned)));
}

TEST(MetaCodec, BringsBackOffsetsOfChannels) {
  const GstAudioInfo info = audio(GST_AUDIO_FORMAT_S16LE, 2, true);
  const BufferPtr original = buffer_of(100);
  std::array<gsize, 2> offsets = {80, 7};
  gst_buffer_add_audio_meta(original.get(), &info, 10, offsets.data());
  expect_same_audio(audio_meta(original), audio_meta(bring_back(original)));
}

// As gst_buffer_copy_region() leaves it.
TEST(MetaCodec, LeavesOutAudioThatIsNotThere) {
  const GstAudioInfo info = audio(GST_AUDIO_FORMAT_S16LE, 2, false);
  const BufferPtr original = buffer_of(39);
  gst_buffer_add_audio_meta(original.get(), &info, 10, nullptr);
  const Written written = write(original);
  EXPECT_EQ(written.others, 1U);
  EXPECT_TRUE(written.metas.empty());
}

struct AudioParts {
  AudioLayout layout;
  std::vector<std::int32_t> positions;
  std::vector<std::uint64_t> offsets;
};

Bytes audio_bytes(const AudioParts& parts) {
  FieldBuilder list;
  list.add_number(MetaTag::kKind, static_cast<std::uint64_t>(MetaKind::kAudio));
  list.add_struct(MetaTag::kAudioLayout, parts.layout);
  list.add_bytes(MetaTag::kPositions,
                 std::as_bytes(std::span(parts.positions)));
  list.add_bytes(MetaTag::kOffsets, std::as_bytes(std::span(parts.offsets)));
  return list.take();
}

TEST(MetaCodec, RefusesAudioThatLeadsOutside) {
  const BufferPtr buffer = buffer_of(100);
  const auto problem_of = [&](const std::function<void(AudioParts&)>& change) {
    AudioParts parts;
    parts.layout.format = GST_AUDIO_FORMAT_S16LE;
    parts.layout.rate = 48000;
    parts.layout.channels = 2;
    parts.layout.is_planar = 1;
    parts.layout.is_positioned = 1;
    parts.layout.samples = 10;
    parts.positions = {0, 1};
    parts.offsets = {0, 80};
    change(parts);
    return problem(audio_bytes(parts), buffer);
  };
  EXPECT_EQ(problem_of([](AudioParts&) {}), "");
  for (const std::uint32_t format : {0U, 1U, 1000U, G_MAXUINT})
    EXPECT_EQ(problem_of([&](auto& p) { p.layout.format = format; }),
              "audio format");
  for (const std::uint32_t rate : {0U, 1U << 31})
    EXPECT_EQ(problem_of([&](auto& p) { p.layout.rate = rate; }), "audio rate");
  for (const std::uint32_t channels : {0U, 1U << 17, G_MAXUINT})
    EXPECT_EQ(problem_of([&](auto& p) { p.layout.channels = channels; }),
              "audio channels");
  EXPECT_EQ(problem_of([](auto& p) { p.layout.is_planar = 2; }),
            "audio layout");
  using Positions = std::vector<std::int32_t>;
  for (const Positions& positions : {Positions{},
                                     {0},
                                     {0, 1, 2},
                                     {0, 0},
                                     {1, 0},
                                     {0, 64},
                                     {0, -1},
                                     {-3, 0},
                                     {0, G_MAXINT},
                                     {0, G_MININT},
                                     {-2, -2}})
    EXPECT_EQ(problem_of([&](auto& p) { p.positions = positions; }),
              "audio positions");
  EXPECT_EQ(problem_of([](auto& p) { p.layout.is_positioned = 0; }),
            "audio positions");
  for (const std::uint64_t samples :
       {std::uint64_t{26}, G_MAXUINT64, G_MAXUINT64 / 4 + 1})
    EXPECT_EQ(problem_of([&](auto& p) { p.layout.samples = samples; }),
              "audio samples");
  using Offsets = std::vector<std::uint64_t>;
  for (const Offsets& offsets : {Offsets{},
                                 {0},
                                 {0, 20, 40},
                                 {0, 81},
                                 {0, 19},
                                 {80, 61},
                                 {0, 0},
                                 {0, G_MAXUINT64},
                                 {G_MAXUINT64 - 10, 0}})
    EXPECT_EQ(problem_of([&](auto& p) { p.offsets = offsets; }),
              "audio offsets");
  EXPECT_EQ(problem_of([](auto& p) { p.layout.is_planar = 0; }),
            "audio offsets");
}

// ---- Region of interest ----------------------------------------------------

TEST(MetaCodec, BringsBackARegionWithItsParameters) {
  const BufferPtr original = buffer_of(1);
  auto* region = gst_buffer_add_video_region_of_interest_meta(
      original.get(), "a face", 1, G_MAXUINT, 3, 4);
  region->id = 17;
  region->parent_id = -1;
  gst_video_region_of_interest_meta_add_param(
      region,
      gst_structure_new("detection", "label", G_TYPE_STRING, "Zoë \"Z\"",
                        "confidence", G_TYPE_DOUBLE, 0.1, nullptr));
  gst_video_region_of_interest_meta_add_param(
      region, gst_structure_new_empty("tracking"));
  gst_buffer_add_video_region_of_interest_meta_id(original.get(), 0, 5, 6, 7,
                                                  8);

  const BufferPtr back = bring_back(original);
  gpointer state = nullptr;
  std::vector<GstVideoRegionOfInterestMeta*> regions;
  while (GstMeta* meta = gst_buffer_iterate_meta_filtered(
             back.get(), &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))
    regions.push_back(reinterpret_cast<GstVideoRegionOfInterestMeta*>(meta));
  ASSERT_EQ(regions.size(), 2U);
  EXPECT_EQ(regions[0]->roi_type, g_quark_from_string("a face"));
  EXPECT_EQ(regions[0]->id, 17);
  EXPECT_EQ(regions[0]->parent_id, -1);
  EXPECT_EQ(regions[0]->y, G_MAXUINT);
  EXPECT_EQ(regions[0]->h, 4U);
  ASSERT_EQ(g_list_length(regions[0]->params), 2U);
  EXPECT_TRUE(gst_structure_is_equal(
      gst_video_region_of_interest_meta_get_param(regions[0], "detection"),
      gst_video_region_of_interest_meta_get_param(region, "detection")));
  EXPECT_EQ(regions[1]->roi_type, 0U);
  EXPECT_EQ(regions[1]->x, 5U);
}

TEST(MetaCodec, LeavesOutARegionWithAValueOfThisProcess) {
  const BufferPtr original = buffer_of(1);
  auto* region = gst_buffer_add_video_region_of_interest_meta(
      original.get(), "face", 1, 2, 3, 4);
  gst_video_region_of_interest_meta_add_param(
      region, gst_structure_new("detection", "address", G_TYPE_POINTER, region,
                                nullptr));
  EXPECT_FALSE(is_sent(&region->meta, original.get()));
  EXPECT_TRUE(is_sendable(region->meta.info));
  const Written written = write(original);
  EXPECT_EQ(written.others, 1U);
  EXPECT_TRUE(written.metas.empty());
}

TEST(MetaCodec, RefusesARegionThatIsNone) {
  const BufferPtr buffer = buffer_of(1);
  const auto problem_of = [&](const std::function<void(FieldBuilder&)>& add) {
    FieldBuilder list;
    list.add_number(MetaTag::kKind,
                    static_cast<std::uint64_t>(MetaKind::kRegionOfInterest));
    add(list);
    return problem(list.take(), buffer);
  };
  const auto region = [](FieldBuilder& list) {
    list.add_struct(MetaTag::kRegion, Region());
  };
  EXPECT_EQ(problem_of(region), "");
  EXPECT_EQ(problem_of([](FieldBuilder&) {}), "region");
  for (const std::string& name : {std::string(), std::string("a\0b", 3),
                                  std::string("\xff"), std::string(1000, 'a')})
    EXPECT_EQ(problem_of([&](FieldBuilder& list) {
                region(list);
                list.add_text(MetaTag::kName, name);
              }),
              "type of a region");
  EXPECT_EQ(problem_of([&](FieldBuilder& list) {
              region(list);
              list.add_text(MetaTag::kStructure, "not, one");
            }),
            "parameter of a region");
}

// ---- Reference timestamp ---------------------------------------------------

TEST(MetaCodec, BringsBackAReferenceTimestamp) {
  const BufferPtr original = buffer_of(1);
  const stage::CapsPtr reference(
      gst_caps_from_string("timestamp/x-ntp, host=pool.ntp.org, port=123"));
  gst_buffer_add_reference_timestamp_meta(original.get(), reference.get(),
                                          G_MAXUINT64 - 1, 5);
  const stage::CapsPtr other(gst_caps_from_string("timestamp/x-unix"));
  gst_buffer_add_reference_timestamp_meta(original.get(), other.get(), 0,
                                          GST_CLOCK_TIME_NONE);
  const BufferPtr back = bring_back(original);
  const auto* first =
      gst_buffer_get_reference_timestamp_meta(back.get(), reference.get());
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->timestamp, G_MAXUINT64 - 1);
  EXPECT_EQ(first->duration, 5U);
  const auto* second =
      gst_buffer_get_reference_timestamp_meta(back.get(), other.get());
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->timestamp, 0U);
  EXPECT_EQ(second->duration, GST_CLOCK_TIME_NONE);
}

TEST(MetaCodec, RefusesAReferenceTimestampThatIsNone) {
  const BufferPtr buffer = buffer_of(1);
  const auto problem_of = [&](const char* caps, std::uint64_t timestamp) {
    FieldBuilder list;
    list.add_number(MetaTag::kKind,
                    static_cast<std::uint64_t>(MetaKind::kReferenceTimestamp));
    list.add_text(MetaTag::kReference, caps);
    list.add_number(MetaTag::kTimestamp, timestamp);
    return problem(list.take(), buffer);
  };
  EXPECT_EQ(problem_of("timestamp/x-unix", 0), "");
  EXPECT_EQ(problem_of("timestamp/x-unix", GST_CLOCK_TIME_NONE),
            "reference timestamp");
  EXPECT_EQ(problem_of("no caps", 0), "reference of a timestamp");
}

// ---- Custom ----------------------------------------------------------------

Bytes custom_bytes(std::string_view name, std::string_view structure) {
  FieldBuilder list;
  list.add_number(MetaTag::kKind,
                  static_cast<std::uint64_t>(MetaKind::kCustom));
  list.add_text(MetaTag::kName, name);
  list.add_text(MetaTag::kStructure, structure);
  return list.take();
}

void know_custom_meta(const char* name) {
  static const gchar* tags[] = {"a-tag", nullptr};
  if (gst_meta_get_info(name) == nullptr)
    gst_meta_register_custom(name, tags, nullptr, nullptr, nullptr);
}

GstStructure* custom_structure(const BufferPtr& buffer, const char* name) {
  GstCustomMeta* meta = gst_buffer_get_custom_meta(buffer.get(), name);
  return meta != nullptr ? gst_custom_meta_get_structure(meta) : nullptr;
}

TEST(MetaCodec, BringsBackACustomMeta) {
  know_custom_meta("MetaCodecKnown");
  const BufferPtr original = buffer_of(1);
  GstStructure* structure = gst_custom_meta_get_structure(
      gst_buffer_add_custom_meta(original.get(), "MetaCodecKnown"));
  gst_structure_set(structure, "number", G_TYPE_INT, -1, "text", G_TYPE_STRING,
                    "a; b", nullptr);
  const BufferPtr back = bring_back(original);
  ASSERT_NE(custom_structure(back, "MetaCodecKnown"), nullptr);
  EXPECT_TRUE(gst_structure_is_equal(custom_structure(back, "MetaCodecKnown"),
                                     structure));
}

TEST(MetaCodec, LeavesOutACustomMetaWithAValueOfThisProcess) {
  know_custom_meta("MetaCodecKnown");
  const BufferPtr original = buffer_of(1);
  gst_structure_set(gst_custom_meta_get_structure(gst_buffer_add_custom_meta(
                        original.get(), "MetaCodecKnown")),
                    "address", G_TYPE_POINTER, original.get(), nullptr);
  EXPECT_EQ(write(original).others, 1U);
}

TEST(MetaCodec, RegistersACustomMetaThatIsNotKnown) {
  const BufferPtr buffer = buffer_of(1);
  ASSERT_EQ(gst_meta_get_info("MetaCodecUnheardOf"), nullptr);
  const Bytes bytes =
      custom_bytes("MetaCodecUnheardOf", "MetaCodecUnheardOf, n=(int)1");
  EXPECT_EQ(problem(bytes, buffer), "");
  EXPECT_EQ(problem(bytes, buffer), "");
  gint number = 0;
  ASSERT_NE(custom_structure(buffer, "MetaCodecUnheardOf"), nullptr);
  EXPECT_TRUE(gst_structure_get_int(
      custom_structure(buffer, "MetaCodecUnheardOf"), "n", &number));
  EXPECT_EQ(number, 1);
  EXPECT_EQ(
      gst_meta_api_type_get_tags(gst_meta_get_info("MetaCodecUnheardOf")->api),
      nullptr);
}

TEST(MetaCodec, RefusesACustomMetaThatIsNone) {
  const BufferPtr buffer = buffer_of(1);
  gst_video_meta_get_info();
  for (const std::string& name :
       {std::string(), std::string("ab"), std::string("1abc"),
        std::string("two words"), std::string("GstVideoMeta"),
        std::string("GstElement"), std::string("gint"), std::string("Zoë"),
        std::string("abc\0d", 5), std::string(300, 'a')})
    EXPECT_EQ(problem(custom_bytes(name, "known"), buffer),
              "name of a custom meta")
        << name;
  EXPECT_EQ(problem(custom_bytes("MetaCodecKnown", "not, one"), buffer),
            "structure of a custom meta");
}

// GLib complains of a type that is registered twice.
TEST(MetaCodec, RegistersOnceForAllThreads) {
  constexpr unsigned kRounds = 16;
  std::atomic<unsigned> arrived = 0;
  const auto read_all = [&] {
    const BufferPtr buffer = buffer_of(1);
    for (unsigned round = 0; round < kRounds; ++round) {
      const Bytes bytes =
          custom_bytes("MetaCodecShared" + std::to_string(round), "shared");
      // Waking one another would keep them apart.
      ++arrived;
      while (arrived < 2 * (round + 1)) continue;
      EXPECT_EQ(problem(bytes, buffer), "");
    }
  };
  std::thread other(read_all);
  read_all();
  other.join();
}

// Names stay for good, so a worker could fill the memory with them.
TEST(MetaCodec, RegistersOnlySoMany) {
  const BufferPtr buffer = buffer_of(1);
  unsigned taken = 0;
  while (taken < 100 &&
         problem(custom_bytes("MetaCodecMore" + std::to_string(taken), "more"),
                 buffer)
             .empty())
    ++taken;
  EXPECT_GT(taken, 0U);
  EXPECT_LE(taken, 64U);
  // The others go on.
  EXPECT_EQ(problem(custom_bytes("MetaCodecMore0", "more"), buffer), "");
}

// ---- Those that stay -------------------------------------------------------

TEST(MetaCodec, CountsWhatStaysBehind) {
  const BufferPtr original = buffer_of(1);
  const std::array<float, 1> row = {1};
  const float* matrix = row.data();
  const GstAudioChannelPosition mono = GST_AUDIO_CHANNEL_POSITION_MONO;
  gst_buffer_add_audio_downmix_meta(original.get(), &mono, 1, &mono, 1,
                                    &matrix);
  EXPECT_FALSE(is_sendable(gst_audio_downmix_meta_get_info()));
  EXPECT_TRUE(is_sendable(gst_video_meta_get_info()));
  const Written written = write(original);
  EXPECT_EQ(written.others, 1U);
  EXPECT_TRUE(written.metas.empty());
}

TEST(MetaCodec, DoesNotMissTheDueTimeAndMemoryThatIsKept) {
  const BufferPtr original = buffer_of(1);
  const BufferPtr parent = buffer_of(1);
  stage::set_due_time(original.get(), core::MonotonicTime());
  gst_buffer_add_parent_buffer_meta(original.get(), parent.get());
  EXPECT_FALSE(is_sendable(stage::due_time_meta_info()));
  EXPECT_FALSE(is_sendable(gst_parent_buffer_meta_get_info()));
  const Written written = write(original);
  EXPECT_EQ(written.others, 0U);
  EXPECT_TRUE(written.metas.empty());
}

#if GST_CHECK_VERSION(1, 24, 0)

// A meta of one number that serialises itself.
struct NumberMeta {
  GstMeta meta;
  guint8 number;
};

const GstMetaInfo* number_meta_info() {
  static const GstMetaInfo* registered = [] {
    static const gchar* tags[] = {nullptr};
    GstMetaInfo* info = gst_meta_info_new(
        gst_meta_api_type_register("MetaCodecNumberAPI", tags),
        "MetaCodecNumber", sizeof(NumberMeta));
    info->init_func = [](GstMeta*, gpointer, GstBuffer*) -> gboolean {
      return TRUE;
    };
    info->serialize_func = [](const GstMeta* meta, GstByteArrayInterface* data,
                              guint8* version) -> gboolean {
      *version = 3;
      return gst_byte_array_interface_append_data(
          data, &reinterpret_cast<const NumberMeta*>(meta)->number, 1);
    };
    info->deserialize_func = [](const GstMetaInfo* own, GstBuffer* buffer,
                                const guint8* data, gsize size,
                                guint8 version) -> GstMeta* {
      if (version != 3 || size != 1) return nullptr;
      GstMeta* meta = gst_buffer_add_meta(buffer, own, nullptr);
      reinterpret_cast<NumberMeta*>(meta)->number = data[0];
      return meta;
    };
    return gst_meta_info_register(info);
  }();
  return registered;
}

TEST(MetaCodec, BringsBackAMetaThatSerialisesItself) {
  const BufferPtr original = buffer_of(1);
  GstMeta* meta =
      gst_buffer_add_meta(original.get(), number_meta_info(), nullptr);
  reinterpret_cast<NumberMeta*>(meta)->number = 42;
  const BufferPtr back = bring_back(original);
  meta = gst_buffer_get_meta(back.get(), number_meta_info()->api);
  ASSERT_NE(meta, nullptr);
  EXPECT_EQ(reinterpret_cast<NumberMeta*>(meta)->number, 42);
}

TEST(MetaCodec, RefusesASerialisedMetaThatIsNone) {
  const BufferPtr buffer = buffer_of(1);
  const auto problem_of = [&](std::string_view serialised) {
    FieldBuilder list;
    list.add_number(MetaTag::kKind,
                    static_cast<std::uint64_t>(MetaKind::kSelfSerialised));
    list.add_text(MetaTag::kSerialised, serialised);
    return problem(list.take(), buffer);
  };
  const auto serialised = [](std::string_view name, std::string_view content,
                             std::uint32_t more_name, std::uint32_t more) {
    const auto number = [](std::size_t n) {
      const auto little = GUINT32_TO_LE(static_cast<std::uint32_t>(n));
      return std::string(reinterpret_cast<const char*>(&little), 4);
    };
    const std::string rest =
        std::string(name) + std::string("\0\3", 2) + std::string(content);
    return number(8 + rest.size() + more) + number(name.size() + more_name) +
           rest;
  };
  number_meta_info();
  EXPECT_EQ(problem_of(serialised("MetaCodecNumber", "x", 0, 0)), "");
  EXPECT_EQ(problem_of(serialised("MetaCodecNumber", "xx", 0, 0)),
            "serialised meta");
  constexpr const char* kName = "name of a serialised meta";
  // GStreamer would add up these sizes to a small one, and read far outside.
  EXPECT_EQ(problem_of(serialised("MetaCodecNumber", "x", G_MAXUINT - 20, 0)),
            kName);
  EXPECT_EQ(problem_of(serialised("MetaCodecNumber", "x", 2, 0)), kName);
  EXPECT_EQ(problem_of(serialised("MetaCodecNumber", "x", 0, 1)), kName);
  EXPECT_EQ(problem_of(serialised("GstVideoMeta", "x", 0, 0)), kName);
  EXPECT_EQ(problem_of(serialised("NoSuchMeta", "x", 0, 0)), kName);
  EXPECT_EQ(problem_of(""), kName);
}

#endif

// ---- Bytes from outside ----------------------------------------------------

TEST(MetaCodec, RefusesWhatIsNoMeta) {
  const BufferPtr buffer = buffer_of(1);
  EXPECT_EQ(problem({}, buffer), "kind of a meta");
  for (const std::uint64_t kind :
       {std::uint64_t{0}, std::uint64_t{7}, G_MAXUINT64}) {
    FieldBuilder list;
    list.add_number(MetaTag::kKind, kind);
    EXPECT_EQ(problem(list.take(), buffer), "kind of a meta");
  }
}

std::vector<Bytes> one_of_each() {
  know_custom_meta("MetaCodecKnown");
  const BufferPtr buffer = picture(GST_VIDEO_FORMAT_I420, 64, 64);
  const GstAudioInfo info = audio(GST_AUDIO_FORMAT_S16LE, 2, true);
  gst_buffer_add_audio_meta(buffer.get(), &info, 10, nullptr);
  auto* region = gst_buffer_add_video_region_of_interest_meta(
      buffer.get(), "face", 1, 2, 3, 4);
  gst_video_region_of_interest_meta_add_param(
      region, gst_structure_new("a", "b", G_TYPE_INT, 1, nullptr));
  const stage::CapsPtr reference(gst_caps_from_string("timestamp/x-unix"));
  gst_buffer_add_reference_timestamp_meta(buffer.get(), reference.get(), 1, 2);
  gst_buffer_add_custom_meta(buffer.get(), "MetaCodecKnown");
  return write(buffer).metas;
}

TEST(MetaCodec, RefusesEveryTruncation) {
  const BufferPtr buffer = picture(GST_VIDEO_FORMAT_I420, 64, 64);
  const std::vector<Bytes> metas = one_of_each();
  ASSERT_EQ(metas.size(), 5U);
  for (const Bytes& meta : metas)
    for (std::size_t length = 0; length < meta.size(); ++length) {
      const Bytes cut(meta.begin(),
                      meta.begin() + static_cast<std::ptrdiff_t>(length));
      // A field that may be missing is missing at a whole number of fields.
      const bool is_whole = [&] {
        core::FieldReader reader(cut);
        while (reader.next()) continue;
        return !reader.is_broken();
      }();
      if (!is_whole)
        EXPECT_NE(problem(cut, buffer), "");
      else
        problem(cut, buffer);
    }
}

TEST(MetaCodec, SurvivesChangedBytes) {
  std::mt19937 random(4711);
  const std::vector<Bytes> metas = one_of_each();
  const BufferPtr buffer = picture(GST_VIDEO_FORMAT_I420, 64, 64);
  unsigned refused = 0;
  for (int round = 0; round < 4000; ++round) {
    Bytes meta = metas[random() % metas.size()];
    for (auto changes = 1 + random() % 4; changes > 0; --changes)
      meta[random() % meta.size()] = std::byte(random() % 256);
    const BufferPtr result(gst_buffer_copy(buffer.get()));
    if (read_meta(result.get(), meta) != nullptr) ++refused;
  }
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace dispatch::process
