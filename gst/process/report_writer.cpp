// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/report_writer.h"

#include "process/event_codec.h"

namespace dispatch::process {

namespace {

bool is_empty_list(GstMiniObject* item) {
  return GST_IS_BUFFER_LIST(item) &&
         gst_buffer_list_length(GST_BUFFER_LIST_CAST(item)) == 0;
}

template <typename Fn>
void for_each_memory(GstBuffer* buffer, Fn fn) {
  for (guint i = 0; i < gst_buffer_n_memory(buffer); ++i)
    fn(gst_buffer_peek_memory(buffer, i));
}

}  // namespace

// Not if it has been reported before and is not back.
bool ReportWriter::is_reachable(GstMemory* memory) const {
  return slots_.name_of(memory).has_value();
}

bool ReportWriter::bring_in(stage::Outputs& outputs) {
  std::vector<GstMemory*> unreachable;
  for (const stage::MiniObjectPtr& item : outputs) {
    if (GST_IS_EVENT(item.get())) continue;
    frame_of(stage::share(item.get())).for_each([&](GstBuffer* buffer) {
      for_each_memory(buffer, [&](GstMemory* memory) {
        if (!is_reachable(memory)) unreachable.push_back(memory);
      });
    });
  }
  if (unreachable.empty()) return true;
  std::vector<MemoryPtr> copies = slots_.copy(unreachable);
  if (copies.empty()) return false;
  auto copy = copies.begin();
  for (stage::MiniObjectPtr& item : outputs) {
    if (GST_IS_EVENT(item.get())) continue;
    stage::Frame frame = frame_of(std::move(item));
    frame.map(
        [&](BufferPtr buffer) { return replace(std::move(buffer), copy); });
    item = frame.take();
  }
  return true;
}

// `copy`: the first one that has not been used, of its memories or of those of
// later buffers.
BufferPtr ReportWriter::replace(BufferPtr buffer,
                                std::vector<MemoryPtr>::iterator& copy) const {
  WorkerSlots::Copies copied;
  BufferPtr result(gst_buffer_new());
  for_each_memory(buffer.get(), [&](GstMemory* memory) {
    const bool is_copied = !is_reachable(memory);
    if (is_copied)
      copied = {.buffers = 1, .bytes = copied.bytes + memory->size};
    gst_buffer_append_memory(
        result.get(), is_copied ? (copy++)->release() : gst_memory_ref(memory));
  });
  if (copied.buffers == 0) return buffer;
  slots_.count(copied);
  apply(describe(buffer.get()), result.get());
  copy_metas(buffer.get(), result.get());
  return result;
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
