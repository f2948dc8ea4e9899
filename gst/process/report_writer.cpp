// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/report_writer.h"

#include "process/event_codec.h"

namespace dispatch::process {

namespace {

stage::Frame frame_of(stage::MiniObjectPtr item) {
  return GST_IS_BUFFER(item.get())
             ? stage::Frame(GST_BUFFER_CAST(item.release()))
             : stage::Frame(GST_BUFFER_LIST_CAST(item.release()));
}

bool is_empty_list(GstMiniObject* item) {
  return GST_IS_BUFFER_LIST(item) &&
         gst_buffer_list_length(GST_BUFFER_LIST_CAST(item)) == 0;
}

}  // namespace

BufferPtr ReportWriter::bring_in(BufferPtr buffer,
                                 std::vector<core::SlotName>& named) {
  if (slots_.can_report(buffer.get(), named)) return buffer;
  MemoryPtr memory = slots_.copy(buffer.get());
  if (!memory) return nullptr;
  BufferPtr copy(gst_buffer_new());
  gst_buffer_append_memory(copy.get(), memory.release());
  apply(describe(buffer.get()), copy.get());
  copy_metas(buffer.get(), copy.get());
  return copy;
}

bool ReportWriter::bring_in(stage::Outputs& outputs) {
  bool has_room = true;
  std::vector<core::SlotName> named;
  for (stage::MiniObjectPtr& item : outputs) {
    if (GST_IS_EVENT(item.get())) continue;
    stage::Frame frame = frame_of(std::move(item));
    frame.map([&](BufferPtr buffer) {
      BufferPtr in_slots = bring_in(stage::share(buffer.get()), named);
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
      const Bytes event = encode_event(GST_EVENT_CAST(item.get()));
      if (!event.empty())  // else it cannot leave the process
        to.add(core::protocol::kEvent, std::span<const std::byte>(event));
      continue;
    }
    if (is_empty_list(item.get())) continue;
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
