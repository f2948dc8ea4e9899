// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Events, queries and bus messages as bytes, to and from a worker process.
//
// For: everything that is a GstStructure with plain values in it, and the
// few that are more: segments, tags, allocation queries (their metas, sizes and
// alignment; pools and allocators belong to a process and stay), errors.
// Not for: buffers (process/frame_codec).
// Thread: thread-safe functions.
// Failure: decoding what is none gives null; the bytes are not trusted.
//
// Form: lists of fields (core/field_list.h), the tags below; structures as
// gst_structure_to_string() writes them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "stage/ptr.h"

namespace dispatch::process {

using Bytes = std::vector<std::byte>;

// Type, sequence number, running time offset, structure.
Bytes encode_event(GstEvent* event);  // (transfer none)
stage::EventPtr decode_event(std::span<const std::byte> bytes);

// A query with what has been answered so far.
Bytes encode_query(GstQuery* query);  // (transfer none)
stage::QueryPtr decode_query(std::span<const std::byte> bytes);
// Puts the answer in `bytes` (an encoded query of the same type) into `query`
// (transfer none, writable), whose own question stays. False: it is none.
bool decode_answer(std::span<const std::byte> bytes, GstQuery* query);

// ERROR, WARNING, INFO, ELEMENT and what else is plain; null bytes for a type
// that stays in its process (state changes, stream status, context ...).
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
