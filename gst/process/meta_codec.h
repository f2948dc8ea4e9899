// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The metas of a buffer as bytes, on the way to a worker process and back.
//
// For: video, audio, region of interest (with its parameters), reference
// timestamp and custom metas on GStreamer 1.22 already; from 1.24 on also all
// others that can serialise themselves. What has no such form stays with the
// original in the dispatcher. Not for: which meta may stay when size or format
// changed (process/result_metas).
// Thread: thread-safe functions.
//
// Form of a meta: a list of fields (core/field_list.h), the tags below. The
// page docs/design/worker-protocol.md has it for those who write a worker.
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

// Whether metas of this kind have a form of their own as bytes.
bool is_sendable(const GstMetaInfo* info);

// Writes every sendable meta of `buffer` (transfer none) as one field
// `protocol::kMeta`. Returns how many others there are.
unsigned write_metas(GstBuffer* buffer, core::FieldWriter& to);

// Adds the meta in `bytes` (a copy, not trusted) to `buffer` (transfer none,
// writable, its memory already in it). What is wrong with it, or null.
// A custom meta whose name this process does not know is registered.
const char* read_meta(GstBuffer* buffer, std::span<const std::byte> bytes);

}  // namespace dispatch::process
