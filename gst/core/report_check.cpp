// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/report_check.h"

#include "core/field_list.h"

namespace dispatch::core {

namespace {

using protocol::PayloadTag;

constexpr std::uint32_t kReportFlags =
    std::uint32_t{protocol::kPayloadFollows} | protocol::kKeepsInputs;

// All processes have the same clock; time namespaces may differ by a little.
constexpr std::int64_t kClockSlackNs = 1'000'000;

// The name of the wrong time, or null.
const char* check_times(const protocol::Report& report,
                        const AwaitedReport& awaited) {
  const bool is_early = report.start_ns < awaited.submitted_ns - kClockSlackNs;
  if (report.start_ns < 0 || is_early) return "start_ns";
  const bool is_late = report.end_ns > awaited.now_ns + kClockSlackNs;
  if (report.end_ns < report.start_ns || is_late) return "end_ns";
  return nullptr;
}

// Where in the payload the next field is.
class PayloadOrder {
 public:
  const char* on_field(const Field& field);
  const char* on_end() const {
    return is_in_list_ ? "list without an end" : nullptr;
  }

 private:
  const char* on_list_begin(const Field& field);
  const char* on_list_end(const Field& field);
  const char* on_buffer(const Field& field);
  const char* on_memory(const Field& field);

  bool is_in_list_ = false;
  bool is_list_empty_ = false;
  bool is_in_buffer_ = false;
  unsigned memories_ = 0;  // of the buffer
};

const char* PayloadOrder::on_field(const Field& field) {
  switch (field.tag) {
    case PayloadTag::kState:
      return "state in a report";
    case PayloadTag::kEvent:
      is_in_buffer_ = false;
      return is_in_list_ ? "event in a list" : nullptr;
    case PayloadTag::kQuery:
      is_in_buffer_ = false;
      return is_in_list_ ? "query in a list" : nullptr;
    case PayloadTag::kListBegin:
      return on_list_begin(field);
    case PayloadTag::kListEnd:
      return on_list_end(field);
    case PayloadTag::kBuffer:
      return on_buffer(field);
    case PayloadTag::kMemory:
      return on_memory(field);
    case PayloadTag::kMeta:
      return is_in_buffer_ ? nullptr : "meta outside of a buffer";
    default:
      is_in_buffer_ = false;
      return nullptr;  // of a later version: skipped
  }
}

const char* PayloadOrder::on_list_begin(const Field& field) {
  if (!field.value.empty()) return "size of a list's begin";
  if (is_in_list_) return "list in a list";
  is_in_list_ = true;
  is_list_empty_ = true;
  is_in_buffer_ = false;
  return nullptr;
}

const char* PayloadOrder::on_list_end(const Field& field) {
  if (!field.value.empty()) return "size of a list's end";
  if (!is_in_list_) return "end of no list";
  if (is_list_empty_) return "list without a buffer";
  is_in_list_ = false;
  is_in_buffer_ = false;
  return nullptr;
}

const char* PayloadOrder::on_buffer(const Field& field) {
  const auto record = field.as_struct<protocol::BufferRecord>();
  if (!record) return "size of a buffer";
  if (record->reserved != 0) return "reserved of a buffer";
  is_list_empty_ = false;
  is_in_buffer_ = true;
  memories_ = 0;
  return nullptr;
}

const char* PayloadOrder::on_memory(const Field& field) {
  const auto record = field.as_struct<protocol::MemoryRecord>();
  if (!record) return "size of a memory";
  if (!is_in_buffer_) return "memory outside of a buffer";
  if (++memories_ > protocol::kMaxMemories) return "number of memories";
  if (record->flags != 0) return "flags of a memory";
  if (record->reserved != 0) return "reserved of a memory";
  return nullptr;
}

}  // namespace

const char* check_report(const protocol::Report& report,
                         const AwaitedReport& awaited) {
  const bool payload_follows = (report.flags & protocol::kPayloadFollows) != 0;
  if (report.number != awaited.number) return "number";
  if (report.sequence != awaited.sequence) return "sequence";
  if (const char* wrong = check_times(report, awaited)) return wrong;
  if (report.flow > 0) return "flow";
  if ((report.flags & ~kReportFlags) != 0) return "flags";
  if (!payload_follows && report.payload_bytes > protocol::kPayloadBytes)
    return "payload_bytes";
  if (report.copied_buffers > kMaxCopiedBuffers) return "copied_buffers";
  if (report.copied_bytes > kMaxCopiedBytes) return "copied_bytes";
  if (report.reserved != 0) return "reserved";
  return nullptr;
}

const char* check_payload(std::span<const std::byte> payload) {
  FieldReader reader(payload);
  PayloadOrder order;
  while (const auto field = reader.next())
    if (const char* wrong = order.on_field(*field)) return wrong;
  return reader.is_broken() ? "list of fields" : order.on_end();
}

}  // namespace dispatch::core
