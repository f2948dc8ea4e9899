// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Frames as bytes: timestamps, flags, metas and where the memories lie.
//
// For: what goes through shared memory with a command and with a report; the
// same for both directions. Not for: events and queries (process/event_codec),
// putting a result together with its original (process/result_frames).
// Thread: thread-safe functions.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/field_list.h"
#include "core/worker_protocol.h"
#include "process/slots.h"
#include "stage/frame.h"

namespace dispatch::process {

// Where a memory lies; nothing if the other side cannot reach it.
using NameMemoryFn =
    std::function<std::optional<core::protocol::MemoryRecord>(GstMemory*)>;

// Writes one buffer (transfer none). False: a memory has no name.
bool write_buffer(GstBuffer* buffer, const NameMemoryFn& name,
                  core::FieldWriter& to);
bool write_frame(const stage::Frame& frame, const NameMemoryFn& name,
                 core::FieldWriter& to);

// Timestamps, offsets and flags. The flag that the memory was changed belongs
// to the process that changed it.
core::protocol::BufferRecord describe(GstBuffer* buffer);
void apply(const core::protocol::BufferRecord& record, GstBuffer* buffer);

// Something that left a stage and is no event.
stage::Frame frame_of(stage::MiniObjectPtr item);

// Copies the metas of a buffer (transfer none) whose content is copied to
// another memory: all but those that hold on to the old one.
void copy_metas(GstBuffer* from, GstBuffer* to);

// A buffer as it came: nothing of it has been believed but the sizes.
struct ParsedBuffer {
  core::protocol::BufferRecord record;
  std::vector<core::protocol::MemoryRecord> memories;
  std::vector<std::span<const std::byte>> metas;  // into the payload
};

// What came, in order. `is_list`: the buffers are a list.
struct ParsedFrame {
  std::vector<ParsedBuffer> buffers;
  bool is_list = false;
};

// Reads fields into frames. For payloads that core::check_payload() has passed.
class FrameReader {
 public:
  // Takes one field. Whether it belonged to a frame.
  bool take(const core::Field& field);
  // A frame is complete at the start of the next thing, and at the end.
  std::optional<ParsedFrame> take_complete(const core::Field* next);

 private:
  std::optional<ParsedFrame> frame_;
  bool is_in_list_ = false;
};

}  // namespace dispatch::process
