// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/worker_messages.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <vector>

#include "process/shortage.h"

GST_DEBUG_CATEGORY_EXTERN(process_worker_debug);
#define GST_CAT_DEFAULT process_worker_debug

namespace dispatch::process {

namespace protocol = core::protocol;
using core::SlotName;
using stage::Problem;

template <auto kFunction>
MessageFields WorkerMessages::pass_on(const IncomingMessage& message,
                                      std::string& wrong) {
  constexpr bool kReplies =
      std::is_invocable_r_v<MessageFields, decltype(kFunction), StageRequests&,
                            const IncomingMessage&, std::string&>;
  if constexpr (kReplies) {
    return (to_.requests.*kFunction)(message, wrong);
  } else {
    (to_.requests.*kFunction)(message, wrong);
    return {};
  }
}

const WorkerMessages::Kind WorkerMessages::kKinds[] = {
    {protocol::kMessageReady, &WorkerMessages::on_ready},
    {protocol::kMessageReport, &WorkerMessages::on_report},
    {protocol::kMessageInputsReleased, &WorkerMessages::on_inputs_released},
    {protocol::kMessageBus, &WorkerMessages::on_bus},
    {protocol::kMessageLog, &WorkerMessages::on_log},
    {protocol::kMessageThread, &WorkerMessages::on_thread},
    {protocol::kMessageNeedSlot, &WorkerMessages::on_need_slot},
    {protocol::kMessagePadQuery, &WorkerMessages::on_pad_query},
    {protocol::kMessagePadEvent, &WorkerMessages::on_pad_event},
    {protocol::kMessageEnterEpoch,
     &WorkerMessages::pass_on<&StageRequests::enter_epoch>},
    {protocol::kMessageLeaveEpoch,
     &WorkerMessages::pass_on<&StageRequests::leave_epoch>},
    {protocol::kMessageBindEpoch,
     &WorkerMessages::pass_on<&StageRequests::bind_epoch>},
    {protocol::kMessageCloseEpoch,
     &WorkerMessages::pass_on<&StageRequests::close_epoch>},
    {protocol::kMessagePinEpoch,
     &WorkerMessages::pass_on<&StageRequests::pin_epoch>},
};

// One that is not known is of a later version.
MessageFields WorkerMessages::take(const IncomingMessage& message,
                                   std::string& wrong) {
  // Of one that was killed, its last lines may say why it had to be.
  if (message.type != protocol::kMessageLog && !to_.life.is_believed())
    return {};
  for (const Kind& kind : kKinds)
    if (kind.type == message.type) return (this->*kind.handler)(message, wrong);
  GST_DEBUG_OBJECT(host_.element, "%s: message %u is not known", name_.c_str(),
                   static_cast<unsigned>(message.type));
  return {};
}

// ---- What it says ----------------------------------------------------------

MessageFields WorkerMessages::on_ready(const IncomingMessage& message,
                                       std::string& wrong) {
  if (to_.life.is_ready()) wrong = "ready";
  if (!to_.life.is_starting()) return {};
  const auto transport =
      message.number(protocol::kFieldTransport) ==
              static_cast<std::uint64_t>(protocol::Transport::kMessages)
          ? protocol::Transport::kMessages
          : protocol::Transport::kRing;
  to_.slots.set_transport(transport);
  to_.exchange.set_transport(transport);
  to_.life.on_ready(why_not_ready(message));
  return {};
}

// Elements that are being linked ask for their caps to be chosen, which means
// nothing to a stream that other workers do already.
MessageFields WorkerMessages::on_pad_event(const IncomingMessage& request,
                                           std::string& wrong) {
  if (to_.life.is_starting()) return {};
  return to_.requests.pad_event(request, wrong);
}

std::optional<Problem> WorkerMessages::why_not_ready(
    const IncomingMessage& message) const {
  if (message.find(protocol::kFieldText))
    return Problem{name_ + ": " + message.text(protocol::kFieldText),
                   message.text(protocol::kFieldDebug)};
  const std::uint64_t version = message.number(protocol::kFieldVersion);
  if (version == protocol::kVersion) return std::nullopt;
  return Problem{name_ + " speaks version " + std::to_string(version) +
                     " of the protocol, this is version " +
                     std::to_string(protocol::kVersion) + ".",
                 "The worker program and the element are not of one version."};
}

MessageFields WorkerMessages::on_report(const IncomingMessage& message,
                                        std::string& wrong) {
  const auto descriptor = message.find(protocol::kFieldDescriptor);
  const auto report =
      descriptor ? descriptor->as_struct<protocol::Report>() : std::nullopt;
  if (!report) {
    wrong = "report";
    return {};
  }
  TakenReport taken{.report = *report, .payload = {}};
  if (const auto payload = message.find(protocol::kFieldPayload))
    taken.payload.assign(payload->value.begin(), payload->value.end());
  to_.exchange.on_report(std::move(taken));
  return {};
}

MessageFields WorkerMessages::on_inputs_released(const IncomingMessage& message,
                                                 std::string& wrong) {
  const std::uint64_t number = message.number(protocol::kFieldNumber);
  if (number == 0 || number > to_.exchange.submitted())
    wrong = "number";
  else
    to_.intake.on_inputs_released(number);
  return {};
}

MessageFields WorkerMessages::on_bus(const IncomingMessage& message,
                                     std::string& wrong) {
  const auto field = message.find(protocol::kFieldValue);
  DecodedMessage decoded;
  if (field)
    decoded = decode_message(field->value, GST_OBJECT_CAST(host_.element));
  if (!decoded.message) {
    wrong = "message";
    return {};
  }
  GstMessage* posted = decoded.message.get();
  if (GST_MESSAGE_TYPE(posted) == GST_MESSAGE_ERROR) {
    g_autoptr(GError) error = nullptr;
    g_autofree gchar* debug = nullptr;
    gst_message_parse_error(posted, &error, &debug);
    host_.workers_host->on_stage_error(name_, decoded.name, error, debug);
    return {};
  }
  // Which of the workers, for whoever reads it.
  GstStructure* structure = gst_message_writable_structure(posted);
  if (structure != nullptr)
    gst_structure_set(structure, "worker", G_TYPE_UINT, number_, "element",
                      G_TYPE_STRING, decoded.name.c_str(), nullptr);
  gst_element_post_message(host_.element, decoded.message.release());
  return {};
}

namespace {

// The category of that name in this process, whose threshold the user set; ours
// if there is none.
GstDebugCategory* category_named(const std::string& name) {
  GSList* all = gst_debug_get_all_categories();
  GstDebugCategory* found = process_worker_debug;
  for (GSList* each = all; each != nullptr; each = each->next) {
    auto* category = static_cast<GstDebugCategory*>(each->data);
    if (name == gst_debug_category_get_name(category)) found = category;
  }
  g_slist_free(all);
  return found;
}

}  // namespace

MessageFields WorkerMessages::on_log(const IncomingMessage& message,
                                     std::string&) {
  const std::string category = message.text(protocol::kFieldCategory);
  GstDebugCategory* here = category_named(category);
  const std::string origin =
      here == process_worker_debug ? name_ + ": " + category : name_;
  const std::string text = origin + ": " + message.text(protocol::kFieldText);
  gst_debug_log_literal(
      here,
      static_cast<GstDebugLevel>(std::min<std::uint64_t>(
          message.number(protocol::kFieldLevel), GST_LEVEL_MEMDUMP)),
      message.text(protocol::kFieldFile).c_str(),
      message.text(protocol::kFieldFunction).c_str(),
      static_cast<gint>(message.number(protocol::kFieldLine)),
      G_OBJECT(host_.element), text.c_str());
  return {};
}

MessageFields WorkerMessages::on_thread(const IncomingMessage& message,
                                        std::string&) {
  host_.workers_host->on_stage_thread(name_,
                                      message.text(protocol::kFieldElement));
  return {};
}

// ---- What it asks ----------------------------------------------------------

MessageFields WorkerMessages::on_need_slot(const IncomingMessage& request,
                                           std::string& wrong) {
  if (!request.find(protocol::kFieldBytes)) {
    wrong = "bytes";
    return {};
  }
  std::vector<SlotName> unused;
  core::FieldReader fields(request.fields);
  SlotName slot;
  while (const std::optional<core::Field> field = fields.next()) {
    const auto number =
        static_cast<std::uint32_t>(field->number().value_or(UINT32_MAX));
    if (field->tag == protocol::kFieldSlot) slot.index = number;
    if (field->tag != protocol::kFieldGeneration) continue;
    slot.generation = number;
    unused.push_back(slot);
  }
  to_.slots.take_back(unused);
  os::Error why;
  const bool has_come =
      to_.slots.add_result_slot(request.number(protocol::kFieldBytes), why);
  if (!has_come) say_no_slot(why);
  MessageFields reply;
  reply.add_number(protocol::kFieldResult, has_come ? 1 : 0);
  return reply;
}

// With some, the worker waits for one to come back.
void WorkerMessages::say_no_slot(const os::Error& why) const {
  GST_DEBUG_OBJECT(host_.element, "no slot for %s: %s", name_.c_str(),
                   why.text().c_str());
  if (to_.slots.has_result_slots()) return;
  host_.workers_host->on_problem(
      {"There is no shared memory for the results of " + name_ + ": " +
           why.text() + ".",
       way_out_of(why, host_.workers, 0, kMoreMemory)});
}

// What the stage has given before it asked is decoded as a report is.
MessageFields WorkerMessages::on_pad_query(const IncomingMessage& request,
                                           std::string& wrong) {
  InFlight asking;
  const auto field = request.find(protocol::kFieldSequence);
  if (!field) return to_.requests.pad_query(request, asking.so_far, wrong);
  const core::Sequence sequence = field->number().value_or(UINT64_MAX);
  std::vector<MemoryPtr> held;
  if (!to_.exchange.begin_question(sequence, asking, held)) {
    wrong = "query";
    return {};
  }
  const auto payload = request.find(protocol::kFieldPayload);
  MessageFields reply;
  if (!payload || payload->value.empty() ||
      to_.reader.read(asking, payload->value, asking.so_far, wrong))
    reply = to_.requests.pad_query(request, asking.so_far, wrong);
  to_.exchange.end_question(sequence, std::move(asking.so_far));
  return reply;
}

}  // namespace dispatch::process
