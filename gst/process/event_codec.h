// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Events, queries and bus messages as bytes, to and from a worker process.
//
// For: everything that is a GstStructure with plain values in it
// (process/structure_text.h), and the few that are more: caps, segments, tags,
// tables of contents, allocation queries (their metas, sizes and alignment;
// pools and allocators belong to a process and stay), errors.
// Not for: buffers (process/frame_codec), and what belongs to a process:
// GstStream objects (a STREAM_START event goes without its own),
// STREAM_COLLECTION and SINK_MESSAGE events; CONTEXT, SCHEDULING, FORMATS and
// BUFFERING queries; messages about states, clocks, threads, contexts, devices
// and properties.
// Thread: thread-safe functions.
// Failure: what cannot be sent gives no bytes; decoding what is none gives
// null. The bytes are not trusted: what comes out has the fields that
// GStreamer's own parsing functions take for granted, with values that they
// take.
//
// Form: lists of fields (core/field_list.h), the tags below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stage/ptr.h"

namespace dispatch::process {

using Bytes = std::vector<std::byte>;

// Of events and messages.
enum class ObjectTag : std::uint16_t {
  kType = 1,               // number: GstEventType, GstMessageType
  kSequence = 2,           // number: what gst_event_get_seqnum() says
  kRunningTimeOffset = 3,  // number: ns, two's complement; if it is not 0
  kStructure = 4,          // text: the structure, if there is one that is not
                           // said by what follows
  // Of a CAPS event:
  kCaps = 5,  // text
  // Of a SEGMENT event:
  kSegment = 6,  // SegmentRecord
  // Of a TAG event or message:
  kTags = 7,      // text
  kTagScope = 8,  // number: GstTagScope
  // Of a TOC event:
  kToc = 9,  // list: TocTag
  // Of a message:
  kSourceName = 16,    // text
  kErrorDomain = 17,   // text; of ERROR, WARNING, INFO, as all that follow
  kErrorCode = 18,     // number: two's complement
  kErrorText = 19,     // text
  kErrorDebug = 20,    // text, if there is one
  kErrorDetails = 21,  // text: a structure, if there is one
};

struct SegmentRecord {  // GstSegment; all ones: none, where there can be none
  std::uint32_t flags = 0;
  std::int32_t format = 0;  // GstFormat
  double rate = 1;
  double applied_rate = 1;
  std::uint64_t base = 0;
  std::uint64_t offset = 0;
  std::uint64_t start = 0;
  std::uint64_t stop = 0;
  std::uint64_t time = 0;
  std::uint64_t position = 0;
  std::uint64_t duration = 0;
};
static_assert(sizeof(SegmentRecord) == 80);

// Of a table of contents, and of each entry in it.
enum class TocTag : std::uint16_t {
  kScope = 1,      // number: GstTocScope; of the table, as is
  kIsUpdated = 2,  // number: 0 or 1
  kTags = 3,       // text, if there are some
  kEntry = 4,      // list: an entry, any number of these
  kUid = 5,        // text; of an entry, as all that follow
  kRecord = 6,     // TocEntryRecord
};

struct TocEntryRecord {
  std::int64_t start = 0;
  std::int64_t stop = 0;
  std::int32_t type = 0;       // GstTocEntryType
  std::int32_t loop_type = 0;  // GstTocLoopType
  std::int32_t repeat_count = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(TocEntryRecord) == 32);

enum class QueryTag : std::uint16_t {
  kType = 1,       // number: GstQueryType
  kStructure = 2,  // text: the structure, of types that are not below
  // Of CAPS, ACCEPT_CAPS and ALLOCATION:
  kCaps = 3,  // text: the filter, the caps that are asked about; may be missing
  // Of CAPS:
  kResultCaps = 4,  // text: the answer so far; may be missing
  // Of ACCEPT_CAPS:
  kResult = 5,  // number: 0 or 1
  // Of ALLOCATION:
  kNeedPool = 6,        // number: 0 or 1
  kMeta = 7,            // text: the name of an API, any number of these
  kMetaParameters = 8,  // text: a structure, for the API before it
  kPool = 9,            // PoolRecord, any number of these
  kAllocation = 10,     // AllocationRecord, any number of these
};

struct PoolRecord {
  std::uint32_t size = 0;
  std::uint32_t min_buffers = 0;
  std::uint32_t max_buffers = 0;  // 0: no limit
  std::uint32_t reserved = 0;
};
static_assert(sizeof(PoolRecord) == 16);

struct AllocationRecord {  // GstAllocationParams
  std::uint32_t flags = 0;
  std::uint32_t reserved = 0;
  std::uint64_t align = 0;  // a power of two, less one
  std::uint64_t prefix = 0;
  std::uint64_t padding = 0;
};
static_assert(sizeof(AllocationRecord) == 32);

Bytes encode_event(GstEvent* event);  // (transfer none)
stage::EventPtr decode_event(std::span<const std::byte> bytes);

// A query with what has been answered so far.
Bytes encode_query(GstQuery* query);  // (transfer none)
stage::QueryPtr decode_query(std::span<const std::byte> bytes);
// Puts the answer in `bytes` (an encoded query of the same type) into `query`
// (transfer none, writable), whose own question stays. The lists of an
// ALLOCATION query are replaced, pools and allocators in them being null.
// False: it is none, and `query` is as it was.
bool decode_answer(std::span<const std::byte> bytes, GstQuery* query);

// ERROR, WARNING, INFO, TAG, ELEMENT and what else is plain.
Bytes encode_message(GstMessage* message);  // (transfer none)
// `source` (transfer none): who posts it here. The name of the element that
// posted it there is `name`.
struct DecodedMessage {
  stage::MessagePtr message;
  std::string name;
};
DecodedMessage decode_message(std::span<const std::byte> bytes,
                              GstObject* source);

}  // namespace dispatch::process
