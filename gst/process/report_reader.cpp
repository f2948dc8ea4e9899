// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/report_reader.h"

#include <algorithm>
#include <optional>

#include "core/report_check.h"
#include "stage/field_pairing.h"
#include "stage/negotiation.h"

namespace dispatch::process {

namespace protocol = core::protocol;
using stage::Job;

namespace {

// What was sent with the command.
std::optional<ParsedFrame> frame_of(std::span<const std::byte> payload) {
  core::FieldReader fields(payload);
  FrameReader frames;
  for (;;) {
    const std::optional<core::Field> field = fields.next();
    if (auto frame = frames.take_complete(field ? &*field : nullptr))
      return frame;
    if (!field) return std::nullopt;
    frames.take(*field);
  }
}

GstBuffer* nth_buffer(const stage::Frame& frame, std::size_t n) {
  GstBuffer* found = nullptr;
  if (!frame) return nullptr;
  frame.for_each([&](GstBuffer* buffer) {
    if (n-- == 0) found = buffer;
  });
  return found;
}

bool keeps_caps(const Job& job, GstCaps* output_caps) {
  return output_caps == nullptr || job.sticky->caps() == nullptr ||
         gst_caps_is_equal(output_caps, job.sticky->caps());
}

std::size_t count_frames(const stage::Outputs& outputs) {
  return static_cast<std::size_t>(std::count_if(
      outputs.begin(), outputs.end(),
      [](const auto& item) { return !GST_IS_EVENT(item.get()); }));
}

void append(std::vector<BufferPtr> buffers, bool is_list,
            stage::Outputs& outputs) {
  if (!is_list) {
    for (BufferPtr& buffer : buffers)
      outputs.emplace_back(GST_MINI_OBJECT_CAST(buffer.release()));
    return;
  }
  GstBufferList* list =
      gst_buffer_list_new_sized(static_cast<guint>(buffers.size()));
  for (BufferPtr& buffer : buffers) gst_buffer_list_add(list, buffer.release());
  outputs.emplace_back(GST_MINI_OBJECT_CAST(list));
}

}  // namespace

bool ReportReader::read(const InFlight& flight,
                        std::span<const std::byte> payload,
                        stage::Outputs& outputs, std::string& wrong) const {
  if (const char* field = core::check_payload(payload)) {
    wrong = field;
    return false;
  }
  core::FieldReader fields(payload);
  FrameReader frames;
  NamedMemories named(flight.inputs);
  for (;;) {
    const std::optional<core::Field> field = fields.next();
    if (const auto frame = frames.take_complete(field ? &*field : nullptr))
      if (!add_frame(*frame, flight, named, outputs, wrong)) return false;
    if (!field) return true;
    if (frames.take(*field) || field->tag != protocol::kEvent) continue;
    if (!add_event(*field, flight.job, outputs, wrong)) return false;
  }
}

bool ReportReader::add_event(const core::Field& field, const Job& job,
                             stage::Outputs& outputs,
                             std::string& wrong) const {
  stage::EventPtr event = decode_event(field.value);
  if (!event) {
    wrong = "event";
    return false;
  }
  const GstEventType type = GST_EVENT_TYPE(event.get());
  // Without state, nothing else is news of a stage's.
  if (!job.is_per_stream && type != GST_EVENT_CAPS && type != GST_EVENT_TAG) {
    wrong = "event, which is neither caps nor tags";
    return false;
  }
  if (type == GST_EVENT_CAPS && !take_caps(event.get(), job, wrong))
    return false;
  outputs.emplace_back(GST_MINI_OBJECT_CAST(event.release()));
  return true;
}

bool ReportReader::take_caps(GstEvent* event, const Job& job,
                             std::string& wrong) const {
  GstCaps* caps = nullptr;
  gst_event_parse_caps(event, &caps);
  gives_fields_ = stage::are_fields(caps);
  if (job.is_per_stream) return true;
  // A worker program may leave this to us.
  stage::Epoch& epoch = *job.sticky->epoch();
  if (!epoch.bind(copy_, caps)) {
    wrong = "caps, which are not those of the other workers";
    return false;
  }
  epoch.close();
  return true;
}

// Caps that are bound hold for all workers; a stage with state has told its
// own.
ResultFormat ReportReader::format_of(const Job& job) const {
  const stage::CapsPtr output_caps = job.sticky->epoch()->output_caps();
  return {.keeps_caps = keeps_caps(job, output_caps.get()),
          .are_fields = output_caps && !job.is_per_stream
                            ? stage::are_fields(output_caps.get())
                            : gives_fields_.load()};
}

// Outputs of one command are paired with its inputs by their place.
bool ReportReader::add_frame(const ParsedFrame& parsed, const InFlight& flight,
                             NamedMemories& named, stage::Outputs& outputs,
                             std::string& wrong) const {
  const std::size_t earlier = count_frames(outputs);
  const std::optional<ParsedFrame> sent = frame_of(flight.payload);
  const ResultFormat format = format_of(flight.job);
  std::vector<BufferPtr> buffers;
  for (std::size_t i = 0; i < parsed.buffers.size(); ++i) {
    const std::size_t place = earlier + i;
    const bool has_original = sent && place < sent->buffers.size();
    BufferPtr buffer = make_result(
        parsed.buffers[i],
        has_original ? nth_buffer(flight.job.frame, place) : nullptr,
        has_original ? &sent->buffers[place] : nullptr, format,
        [&](const protocol::MemoryRecord& record) {
          return slots_.use(record, named, wrong);
        },
        wrong);
    if (!buffer) return false;
    buffers.push_back(std::move(buffer));
  }
  append(std::move(buffers), parsed.is_list, outputs);
  return true;
}

}  // namespace dispatch::process
