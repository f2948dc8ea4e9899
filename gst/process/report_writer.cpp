// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/report_writer.h"

#include <algorithm>

#include "process/event_codec.h"

namespace dispatch::process {

namespace {

stage::Frame frame_of(stage::MiniObjectPtr item) {
  return GST_IS_BUFFER(item.get())
             ? stage::Frame(GST_BUFFER_CAST(item.release()))
             : stage::Frame(GST_BUFFER_LIST_CAST(item.release()));
}

}  // namespace

BufferPtr ReportWriter::bring_in(BufferPtr buffer) {
  bool is_in_slots = true;
  for (guint i = 0; i < gst_buffer_n_memory(buffer.get()); ++i)
    is_in_slots =
        is_in_slots &&
        slots_.name_of(gst_buffer_peek_memory(buffer.get(), i)).has_value();
  if (is_in_slots) return buffer;
  MemoryPtr memory = slots_.copy(buffer.get());
  if (!memory) return nullptr;
  BufferPtr copy(gst_buffer_new());
  gst_buffer_append_memory(copy.get(), memory.release());
  gst_buffer_copy_into(copy.get(), buffer.get(),
                       static_cast<GstBufferCopyFlags>(
                           GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS |
                           GST_BUFFER_COPY_META),
                       0, -1);
  return copy;
}

bool ReportWriter::bring_in(stage::Outputs& outputs) {
  bool has_room = true;
  for (stage::MiniObjectPtr& item : outputs) {
    if (GST_IS_EVENT(item.get())) continue;
    stage::Frame frame = frame_of(std::move(item));
    frame.map([&](BufferPtr buffer) {
      BufferPtr in_slots = bring_in(stage::share(buffer.get()));
      has_room = has_room && in_slots;
      return in_slots ? std::move(in_slots) : std::move(buffer);
    });
    item = frame.take();
  }
  return has_room;
}

void ReportWriter::write(const stage::Outputs& outputs,
                         core::FieldWriter& to) const {
  const auto name = [&](GstMemory* memory) { return slots_.name_of(memory); };
  for (const stage::MiniObjectPtr& item : outputs) {
    if (GST_IS_EVENT(item.get())) {
      to.add(
          core::protocol::kEvent,
          std::span<const std::byte>(encode_event(GST_EVENT_CAST(item.get()))));
      continue;
    }
    const stage::Frame frame = frame_of(stage::share(item.get()));
    write_frame(frame, name, to);
  }
}

void ReportWriter::give_up(stage::Outputs& outputs) {
  for (stage::MiniObjectPtr& item : outputs) {
    if (GST_IS_EVENT(item.get())) continue;
    const stage::Frame frame = frame_of(std::move(item));
    frame.for_each([&](GstBuffer* buffer) {
      slots_.keep_until_released(stage::share(buffer));
    });
  }
  outputs.clear();
}

}  // namespace dispatch::process
