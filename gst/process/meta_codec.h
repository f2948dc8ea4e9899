// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The metas of a buffer as bytes, on the way to a worker process and back.
//
// For: video, audio, region of interest (with its parameters), reference
// timestamp and custom metas on GStreamer 1.22 already; from 1.24 on also all
// others that can serialise themselves. What has no such form stays with the
// original in the dispatcher. Not for: which meta may stay when size or format
// changed (process/result_frames).
// Thread: thread-safe functions.
//
// Form of a meta: a list of fields (core/field_list.h), the tags below. The
// page docs/design/worker-protocol.md has it for those who write a worker.
// The same meta always gives the same bytes, so that one that comes back can be
// compared with one that was sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <gst/gst.h>

#include "core/field_list.h"

namespace dispatch::process {

// First field of a meta: which.
enum class MetaKind : std::uint64_t {
  kVideo = 1,
  kAudio = 2,
  kRegionOfInterest = 3,
  kReferenceTimestamp = 4,
  kCustom = 5,
  kSelfSerialised = 6,  // gst_meta_serialize(), 1.24 and newer
};

enum class MetaTag : std::uint16_t {
  kKind = 1,            // number: MetaKind
  kVideoLayout = 2,     // VideoLayout
  kVideoAlignment = 3,  // VideoAlignment, if there is one
  kAudioLayout = 4,     // AudioLayout
  kPositions = 5,   // of a positioned layout: std::int32_t for each channel,
                    // a GstAudioChannelPosition
  kOffsets = 6,     // of planar audio: std::uint64_t for each channel, in bytes
  kRegion = 7,      // Region
  kName = 8,        // text: the type of a region; the name of a custom meta
  kStructure = 9,   // text: a parameter of a region, any number of these; the
                    // structure of a custom meta
  kReference = 10,  // text: the caps of a reference timestamp
  kTimestamp = 11,  // number: ns
  kDuration = 12,   // number: ns; all ones: none
  kSerialised = 13,  // what gst_meta_serialize() writes
};

struct VideoLayout {
  std::uint32_t format = 0;  // GstVideoFormat
  std::uint32_t flags = 0;   // GstVideoFrameFlags
  std::int32_t id = 0;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint32_t planes = 0;      // as the format has
  std::uint64_t offset[4] = {};  // of each plane, in the buffer, in bytes
  std::int32_t stride[4] = {};   // in bytes; zero for planes that are not
};
static_assert(sizeof(VideoLayout) == 72);

struct VideoAlignment {  // GstVideoAlignment
  std::uint32_t padding_top = 0;
  std::uint32_t padding_bottom = 0;
  std::uint32_t padding_left = 0;
  std::uint32_t padding_right = 0;
  std::uint32_t stride_align[4] = {};
};
static_assert(sizeof(VideoAlignment) == 32);

struct AudioLayout {
  std::uint32_t format = 0;  // GstAudioFormat
  std::uint32_t rate = 0;
  std::uint32_t channels = 0;
  std::uint32_t is_planar = 0;      // 0 or 1: GstAudioLayout
  std::uint32_t is_positioned = 0;  // 0 or 1: whether there are positions
  std::uint32_t reserved = 0;
  std::uint64_t samples = 0;  // of each channel
};
static_assert(sizeof(AudioLayout) == 32);

struct Region {
  std::int32_t id = 0;
  std::int32_t parent_id = 0;
  std::uint32_t x = 0;
  std::uint32_t y = 0;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
};
static_assert(sizeof(Region) == 24);

// Whether metas of this kind have a form as bytes. A single one may still have
// none, see is_sent().
bool is_sendable(const GstMetaInfo* info);

// Writes every sendable meta of `buffer` (transfer none) as one field
// `protocol::kMeta`. Returns how many others there are: those of another kind,
// custom ones and regions with a value that has no text, video and audio metas
// that point beyond the memory. Not counted, because they say nothing of the
// frame: the due time, and metas that only keep memory alive.
unsigned write_metas(GstBuffer* buffer, core::FieldWriter& to);

// Whether write_metas() writes this one of the metas of `buffer`.
bool is_sent(GstMeta* meta, GstBuffer* buffer);

// What memory a picture needs whose buffer has the flag
// GST_VIDEO_BUFFER_FLAG_ONEFIELD: with caps of fields, that of half of its
// lines; with all others, who reads it reads all lines.
enum class PictureMemory { kWhole, kOfOneField };

// Adds the meta in `bytes` (a copy, not trusted) to `buffer` (transfer none,
// writable, its memory and flags already in it). What is wrong with it, or
// null. A custom meta whose name this process does not know is registered,
// without tags; only so many are, because they stay for good.
const char* read_meta(GstBuffer* buffer, std::span<const std::byte> bytes,
                      PictureMemory memory = PictureMemory::kWhole);

}  // namespace dispatch::process
