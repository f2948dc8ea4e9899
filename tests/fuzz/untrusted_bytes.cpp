// SPDX-License-Identifier: LGPL-2.1-or-later
#include "untrusted_bytes.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gst/video/video.h>

#include "core/field_list.h"
#include "core/report_check.h"
#include "core/slot_ownership.h"
#include "core/worker_protocol.h"
#include "process/event_codec.h"
#include "process/frame_codec.h"
#include "process/meta_codec.h"

namespace dispatch::test {

namespace {

namespace protocol = core::protocol;
using process::BufferPtr;
using process::Bytes;
using List = std::span<const std::byte>;

// What a frame of a report may have in these tests.
constexpr std::size_t kFrameBytes = 4096;

void promise(bool is_kept, const char* what) {
  if (is_kept) return;
  std::fprintf(stderr, "not kept: %s\n", what);
  std::abort();
}

// Memory of a frame. Behind it is nothing: who reads on crashes.
class GuardedFrame {
 public:
  GuardedFrame() {
    const auto page = static_cast<std::size_t>(getpagesize());
    bytes_ = (kFrameBytes + page - 1) / page * page + page;
    void* const data = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    promise(data != MAP_FAILED, "there is memory");
    data_ = static_cast<std::byte*>(data);
    promise(mprotect(data_ + bytes_ - page, page, PROT_NONE) == 0,
            "memory can be guarded");
    frame_ = data_ + bytes_ - page - kFrameBytes;
  }
  ~GuardedFrame() { munmap(data_, bytes_); }
  GuardedFrame(const GuardedFrame&) = delete;
  GuardedFrame& operator=(const GuardedFrame&) = delete;

  // Does not outlive this.
  BufferPtr buffer() const {
    return BufferPtr(gst_buffer_new_wrapped_full(
        static_cast<GstMemoryFlags>(0), frame_, kFrameBytes, 0, kFrameBytes,
        nullptr, nullptr));
  }

 private:
  std::byte* data_ = nullptr;
  std::byte* frame_ = nullptr;
  std::size_t bytes_ = 0;
};

const GuardedFrame& guarded_frame() {
  static const GuardedFrame frame;
  return frame;
}

// ---- gst/core --------------------------------------------------------------

// What is read and written again is the same, byte for byte.
bool read_list(List list) {
  core::FieldReader reader(list);
  std::vector<std::uint64_t> space(list.size() / 8 + 1);
  core::FieldWriter again(std::as_writable_bytes(std::span(space)));
  while (const auto field = reader.next()) again.add(field->tag, field->value);
  const auto written = again.written();
  promise(written.size() <= list.size() &&
              std::equal(written.begin(), written.end(), list.begin()),
          "a list has one form");
  promise(reader.is_broken() == (written.size() != list.size()),
          "a list that is not broken is read to its end");
  return !reader.is_broken();
}

bool read_report(List bytes) {
  protocol::Report report;
  std::memcpy(&report, bytes.data(), std::min(bytes.size(), sizeof report));
  if (core::check_report(report, {1, 1, 0, INT64_MAX / 2}) != nullptr)
    return false;
  promise(report.start_ns >= 0 && report.end_ns >= report.start_ns,
          "a report does not end before it begins");
  return true;
}

bool read_memory(List bytes) {
  protocol::MemoryRecord memory;
  std::memcpy(&memory, bytes.data(), std::min(bytes.size(), sizeof memory));
  core::SlotOwnership slots;
  slots.give(core::SlotOwnership::SlotKind::kInput, kFrameBytes);
  slots.give(core::SlotOwnership::SlotKind::kResult, kFrameBytes);
  core::ReportedSlots report{.inputs = {{.index = 0, .generation = 1}}};
  if (slots.check_use(memory, report) != nullptr) return false;
  promise(memory.slot < 2 && memory.generation == 1, "the slot exists");
  promise(memory.offset <= kFrameBytes &&
              memory.bytes <= kFrameBytes - memory.offset,
          "a memory lies in its slot");
  return true;
}

// ---- gst/process -----------------------------------------------------------

// Touches what the meta says is there.
void look_at_video(GstBuffer* buffer) {
  const GstVideoMeta* meta = gst_buffer_get_video_meta(buffer);
  GstVideoInfo info;
  if (meta == nullptr || !gst_video_info_set_format(&info, meta->format,
                                                    meta->width, meta->height))
    return;
  GstVideoFrame frame;
  if (!gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ)) return;
  unsigned sum = 0;
  for (guint i = 0; i < GST_VIDEO_FRAME_N_COMPONENTS(&frame); ++i) {
    const auto* row =
        static_cast<const guint8*>(GST_VIDEO_FRAME_COMP_DATA(&frame, i));
    const std::ptrdiff_t last = GST_VIDEO_FRAME_COMP_HEIGHT(&frame, i) - 1;
    sum += row[0];
    sum += row[last * GST_VIDEO_FRAME_COMP_STRIDE(&frame, i)];
  }
  gst_video_frame_unmap(&frame);
  promise(sum <= 2 * 255 * GST_VIDEO_MAX_COMPONENTS, "bytes are bytes");
}

bool read_meta(List bytes) {
  const BufferPtr buffer = guarded_frame().buffer();
  if (process::read_meta(buffer.get(), bytes) != nullptr) return false;
  look_at_video(buffer.get());
  std::vector<std::uint64_t> space(bytes.size() / 4 + 1024);
  core::FieldWriter to(std::as_writable_bytes(std::span(space)));
  promise(process::write_metas(buffer.get(), to) == 0 && !to.has_overflowed(),
          "a meta that was read can be sent");
  return true;
}

bool read_event(List bytes) {
  const stage::EventPtr event = process::decode_event(bytes);
  if (!event) return false;
  const Bytes again = process::encode_event(event.get());
  const stage::EventPtr twin = process::decode_event(again);
  promise(twin && process::encode_event(twin.get()) == again,
          "an event that was read can be sent");
  return true;
}

bool read_query(List bytes) {
  const stage::QueryPtr query = process::decode_query(bytes);
  if (!query) return false;
  const Bytes again = process::encode_query(query.get());
  const stage::QueryPtr twin = process::decode_query(again);
  promise(twin && process::encode_query(twin.get()) == again,
          "a query that was read can be sent");
  return true;
}

bool read_answer(List bytes) {
  const stage::QueryPtr caps(gst_query_new_caps(nullptr));
  const stage::QueryPtr allocation(gst_query_new_allocation(nullptr, TRUE));
  const stage::QueryPtr latency(gst_query_new_latency());
  bool is_answered = false;
  for (const stage::QueryPtr* query : {&caps, &allocation, &latency})
    is_answered = process::decode_answer(bytes, query->get()) || is_answered;
  return is_answered;
}

bool read_message(List bytes) {
  const process::DecodedMessage decoded =
      process::decode_message(bytes, nullptr);
  if (!decoded.message) return false;
  if (GST_MESSAGE_TYPE(decoded.message.get()) == GST_MESSAGE_ERROR) {
    g_autoptr(GError) error = nullptr;
    g_autofree gchar* debug = nullptr;
    gst_message_parse_error(decoded.message.get(), &error, &debug);
    promise(error != nullptr && error->message != nullptr,
            "an error has a text");
  }
  return true;
}

void read_frame(const process::ParsedFrame& frame) {
  promise(!frame.buffers.empty(), "a frame has a buffer");
  for (const process::ParsedBuffer& parsed : frame.buffers) {
    promise(parsed.memories.size() <= protocol::kMaxMemories,
            "a buffer has not too many memories");
    const BufferPtr buffer = guarded_frame().buffer();
    process::apply(parsed.record, buffer.get());
    for (const List meta : parsed.metas) process::read_meta(buffer.get(), meta);
    look_at_video(buffer.get());
  }
}

// As a report is read (process/report_reader, process/result_intake).
bool read_payload(List payload) {
  if (core::check_payload(payload) != nullptr) return false;
  core::FieldReader fields(payload);
  process::FrameReader frames;
  for (;;) {
    const std::optional<core::Field> field = fields.next();
    if (const auto frame = frames.take_complete(field ? &*field : nullptr))
      read_frame(*frame);
    if (!field) return true;
    if (frames.take(*field)) continue;
    if (field->tag == protocol::kEvent) read_event(field->value);
    if (field->tag == protocol::kQuery) read_answer(field->value);
  }
}

}  // namespace

Taken read_untrusted(List bytes) {
  return {.as_list = read_list(bytes),
          .as_report = read_report(bytes),
          .as_payload = read_payload(bytes),
          .as_memory = read_memory(bytes),
          .as_meta = read_meta(bytes),
          .as_event = read_event(bytes),
          .as_query = read_query(bytes),
          .as_answer = read_answer(bytes),
          .as_message = read_message(bytes)};
}

}  // namespace dispatch::test
