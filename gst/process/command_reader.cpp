// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/command_reader.h"

#include <utility>

#include "process/meta_codec.h"

GST_DEBUG_CATEGORY_EXTERN(command_loop_debug);
#define GST_CAT_DEFAULT command_loop_debug

namespace dispatch::process {

namespace protocol = core::protocol;
using stage::Job;

namespace {

GQuark hold_quark() {
  static const GQuark quark =
      g_quark_from_static_string("gst-dispatch-input-hold");
  return quark;
}

}  // namespace

InputHold::~InputHold() {
  if (!is_reported) return;
  MessageFields fields;
  fields.add_number(protocol::kFieldNumber, number);
  channel->send(protocol::kMessageInputsReleased, fields);
}

bool CommandReader::read(std::span<const std::byte> payload,
                         const std::shared_ptr<InputHold>& hold, Job& job) {
  core::FieldReader fields(payload);
  FrameReader frames;
  std::vector<stage::EventPtr> events;
  for (;;) {
    const std::optional<core::Field> field = fields.next();
    if (const auto frame = frames.take_complete(field ? &*field : nullptr))
      if (!read_frame(*frame, hold, job)) return false;
    if (!field) break;
    if (frames.take(*field)) continue;
    if (field->tag == protocol::kState) read_state(field->value);
    if (field->tag == protocol::kEvent)
      events.push_back(decode_event(field->value));
    if (field->tag == protocol::kQuery) job.query = decode_query(field->value);
  }
  job.sticky = sticky_;
  std::erase(events, nullptr);
  // Without a frame, the event is the job.
  if (!job.frame && !events.empty()) {
    job.event = std::move(events.back());
    events.pop_back();
  }
  job.prelude = std::move(events);
  return true;
}

void CommandReader::read_state(std::span<const std::byte> state) {
  core::FieldReader fields(state);
  std::uint64_t epoch_id = 0;
  bool pin = false;
  stage::CapsPtr caps;
  std::uint64_t event_id = 0;
  std::map<std::uint64_t, stage::EventPtr> events;
  while (const std::optional<core::Field> field = fields.next()) {
    switch (field->tag) {
      case protocol::kFieldEpochId:
        epoch_id = field->number().value_or(0);
        break;
      case protocol::kFieldPin:
        pin = field->number().value_or(0) != 0;
        break;
      case protocol::kFieldCaps:
        caps.reset(gst_caps_from_string(std::string(field->text()).c_str()));
        break;
      case protocol::kFieldEventId:
        event_id = field->number().value_or(0);
        if (const auto known = events_.find(event_id); known != events_.end())
          events[event_id] = stage::share(known->second.get());
        break;
      case protocol::kFieldEvent:
        if (stage::EventPtr event = decode_event(field->value))
          events[event_id] = std::move(event);
        break;
      default:
        break;
    }
  }
  if (!epoch_ || epoch_->id() != epoch_id)
    epoch_ = std::make_shared<RemoteEpoch>(channel_, epoch_id, caps.get(), pin);
  events_ = std::move(events);
  sticky_ = stage::StickyState().in_epoch(epoch_);
  for (const auto& [id, event] : events_)
    sticky_ = sticky_->with(event.get(), epoch_);
}

BufferPtr CommandReader::read_buffer(const ParsedBuffer& parsed,
                                     const std::shared_ptr<InputHold>& hold) {
  BufferPtr buffer(gst_buffer_new());
  for (const protocol::MemoryRecord& record : parsed.memories) {
    MemoryPtr memory = slots_.wrap(record);
    if (!memory) {
      GST_ERROR(
          "slot %u, generation %u is not known, or has no %" G_GUINT64_FORMAT
          " bytes at %" G_GUINT64_FORMAT,
          record.slot, record.generation, record.bytes, record.offset);
      return nullptr;
    }
    gst_mini_object_set_qdata(
        GST_MINI_OBJECT_CAST(memory.get()), hold_quark(),
        new std::shared_ptr<InputHold>(hold), [](gpointer shared) {
          delete static_cast<std::shared_ptr<InputHold>*>(shared);
        });
    gst_buffer_append_memory(buffer.get(), memory.release());
  }
  apply(parsed.record, buffer.get());
  for (const std::span<const std::byte> meta : parsed.metas)
    if (const char* wrong =
            read_meta(buffer.get(), meta, PictureMemory::kOfOneField))
      GST_WARNING("a meta cannot be read: %s", wrong);
  return buffer;
}

bool CommandReader::read_frame(const ParsedFrame& parsed,
                               const std::shared_ptr<InputHold>& hold,
                               Job& job) {
  if (!parsed.is_list) {
    BufferPtr buffer = read_buffer(parsed.buffers.front(), hold);
    if (!buffer) return false;
    job.frame = stage::Frame(buffer.release());
    return true;
  }
  GstBufferList* list = gst_buffer_list_new();
  bool is_whole = true;
  for (const ParsedBuffer& each : parsed.buffers) {
    BufferPtr buffer = read_buffer(each, hold);
    is_whole = is_whole && buffer;
    if (buffer) gst_buffer_list_add(list, buffer.release());
  }
  job.frame = stage::Frame(list);
  return is_whole;
}

}  // namespace dispatch::process
