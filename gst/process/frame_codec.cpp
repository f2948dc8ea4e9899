// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/frame_codec.h"

#include "process/meta_codec.h"

namespace dispatch::process {

namespace protocol = core::protocol;

namespace {

constexpr std::uint32_t kFlagsOfAProcess = GST_BUFFER_FLAG_TAG_MEMORY;

}  // namespace

protocol::BufferRecord describe(GstBuffer* buffer) {
  protocol::BufferRecord record;
  record.pts = GST_BUFFER_PTS(buffer);
  record.dts = GST_BUFFER_DTS(buffer);
  record.duration = GST_BUFFER_DURATION(buffer);
  record.offset = GST_BUFFER_OFFSET(buffer);
  record.offset_end = GST_BUFFER_OFFSET_END(buffer);
  record.flags = GST_MINI_OBJECT_FLAGS(buffer) & ~kFlagsOfAProcess;
  return record;
}

void apply(const protocol::BufferRecord& record, GstBuffer* buffer) {
  GST_BUFFER_PTS(buffer) = record.pts;
  GST_BUFFER_DTS(buffer) = record.dts;
  GST_BUFFER_DURATION(buffer) = record.duration;
  GST_BUFFER_OFFSET(buffer) = record.offset;
  GST_BUFFER_OFFSET_END(buffer) = record.offset_end;
  // Those below are the mini object's own.
  const std::uint32_t settable =
      ~(static_cast<std::uint32_t>(GST_MINI_OBJECT_FLAG_LAST) - 1) &
      ~kFlagsOfAProcess;
  GST_MINI_OBJECT_FLAG_UNSET(buffer, settable);
  GST_MINI_OBJECT_FLAG_SET(buffer, record.flags & settable);
}

stage::Frame frame_of(stage::MiniObjectPtr item) {
  return GST_IS_BUFFER(item.get())
             ? stage::Frame(GST_BUFFER_CAST(item.release()))
             : stage::Frame(GST_BUFFER_LIST_CAST(item.release()));
}

void copy_metas(GstBuffer* from, GstBuffer* to) {
  static const GQuark keeps_memory =
      g_quark_from_static_string(GST_META_TAG_MEMORY_REFERENCE_STR);
  gpointer state = nullptr;
  while (GstMeta* meta = gst_buffer_iterate_meta(from, &state)) {
    const GstMetaInfo* info = meta->info;
    if (info->transform_func == nullptr ||
        gst_meta_api_type_has_tag(info->api, keeps_memory))
      continue;
    GstMetaTransformCopy all{FALSE, 0, static_cast<gsize>(-1)};
    info->transform_func(to, meta, from, _gst_meta_transform_copy, &all);
  }
}

bool write_buffer(GstBuffer* buffer, const NameMemoryFn& name,
                  core::FieldWriter& to) {
  to.add_struct(protocol::kBuffer, describe(buffer));
  const guint n_memories = gst_buffer_n_memory(buffer);
  for (guint i = 0; i < n_memories; ++i) {
    const std::optional<protocol::MemoryRecord> record =
        name(gst_buffer_peek_memory(buffer, i));
    if (!record) return false;
    to.add_struct(protocol::kMemory, *record);
  }
  write_metas(buffer, to);
  return true;
}

bool write_frame(const stage::Frame& frame, const NameMemoryFn& name,
                 core::FieldWriter& to) {
  constexpr std::span<const std::byte> kNothing;
  if (frame.is_list()) to.add(protocol::kListBegin, kNothing);
  bool is_complete = true;
  frame.for_each([&](GstBuffer* buffer) {
    is_complete = is_complete && write_buffer(buffer, name, to);
  });
  if (frame.is_list()) to.add(protocol::kListEnd, kNothing);
  return is_complete;
}

bool FrameReader::take(const core::Field& field) {
  switch (field.tag) {
    case protocol::kListBegin:
      frame_.emplace().is_list = true;
      is_in_list_ = true;
      return true;
    case protocol::kListEnd:
      is_in_list_ = false;
      return true;
    case protocol::kBuffer:
      if (!frame_) frame_.emplace();
      frame_->buffers.push_back(
          {field.as_struct<protocol::BufferRecord>().value_or(
               protocol::BufferRecord()),
           {},
           {}});
      return true;
    case protocol::kMemory:
      if (const auto memory = field.as_struct<protocol::MemoryRecord>())
        frame_->buffers.back().memories.push_back(*memory);
      return true;
    case protocol::kMeta:
      frame_->buffers.back().metas.push_back(field.value);
      return true;
    default:
      return false;
  }
}

std::optional<ParsedFrame> FrameReader::take_complete(const core::Field* next) {
  const bool goes_on =
      next != nullptr &&
      (is_in_list_ || next->tag == protocol::kMemory ||
       next->tag == protocol::kMeta || next->tag == protocol::kListEnd);
  if (goes_on || !frame_) return std::nullopt;
  return std::exchange(frame_, std::nullopt);
}

}  // namespace dispatch::process
