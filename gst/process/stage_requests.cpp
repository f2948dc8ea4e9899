// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/stage_requests.h"

#include <utility>

#include "process/structure_text.h"

namespace dispatch::process {

namespace protocol = core::protocol;
using stage::CapsPtr;
using stage::Epoch;

namespace {

// More than can be in flight with frames of their own.
constexpr std::size_t kMaxEpochs = std::size_t{2} * protocol::kRingEntries;

// In ALLOCATION queries that go downstream from here; of stage::kOwnFields.
constexpr char kHasSlots[] = "gst-dispatch-has-slots";

MessageFields yes_or_no(bool result) {
  MessageFields reply;
  reply.add_number(protocol::kFieldResult, result ? 1 : 0);
  return reply;
}

// The caps of a stream.
CapsPtr fixed_caps_of(const IncomingMessage& message, std::string& wrong) {
  CapsPtr caps = caps_of(message, protocol::kFieldCaps);
  if (caps && gst_caps_is_fixed(caps.get())) return caps;
  wrong = "caps";
  return nullptr;
}

}  // namespace

bool has_result_slots(GstQuery* query) {
  return gst_structure_has_field(gst_query_get_structure(query), kHasSlots);
}

CapsPtr caps_of(const IncomingMessage& message, protocol::FieldTag tag) {
  if (!message.find(tag)) return nullptr;
  return parse_caps(message.text(tag));
}

void add_caps(MessageFields& fields, protocol::FieldTag tag, GstCaps* caps) {
  if (caps == nullptr) return;
  g_autofree gchar* text = gst_caps_to_string(caps);
  fields.add_text(tag, text);
}

void StageRequests::close() {
  is_closed_ = true;
  std::map<std::uint64_t, std::shared_ptr<Epoch>> epochs;
  {
    const std::lock_guard lock(mutex_);
    epochs = epochs_;
  }
  for (const auto& [number, epoch] : epochs) {
    epoch->leave(copy_, /*succeeded=*/false);
    epoch->look_again();
  }
}

std::uint64_t StageRequests::number_of(const std::shared_ptr<Epoch>& epoch) {
  const std::lock_guard lock(mutex_);
  for (const auto& [number, known] : epochs_)
    if (known == epoch) return number;
  epochs_[++last_number_] = epoch;
  if (epochs_.size() > kMaxEpochs) epochs_.erase(epochs_.begin());
  return last_number_;
}

// Null: the worker knows it no more or not at all; the latter is wrong.
std::shared_ptr<Epoch> StageRequests::epoch_of(const IncomingMessage& message,
                                               std::string& wrong) const {
  const std::uint64_t number = message.number(protocol::kFieldEpochId);
  const std::lock_guard lock(mutex_);
  if (number == 0 || number > last_number_) wrong = "epoch id";
  const auto found = epochs_.find(number);
  return found != epochs_.end() ? found->second : nullptr;
}

// The reply: kFieldResult is an Epoch::Entry, with what is known of the output
// caps.
MessageFields StageRequests::enter_epoch(const IncomingMessage& request,
                                         std::string& wrong) {
  MessageFields reply;
  const std::shared_ptr<Epoch> epoch = epoch_of(request, wrong);
  const Epoch::Entry entry = epoch ? epoch->enter_unless(copy_, &is_closed_)
                                   : Epoch::Entry::kInterrupted;
  reply.add_number(protocol::kFieldResult, static_cast<std::uint64_t>(entry));
  if (epoch)
    add_caps(reply, protocol::kFieldCaps, epoch->required(copy_).get());
  // It may have been let in just when it was closed.
  if (is_closed_ && epoch) epoch->leave(copy_, /*succeeded=*/false);
  return reply;
}

MessageFields StageRequests::bind_epoch(const IncomingMessage& request,
                                        std::string& wrong) {
  const std::shared_ptr<Epoch> epoch = epoch_of(request, wrong);
  const CapsPtr caps = fixed_caps_of(request, wrong);
  const bool is_bound = epoch && caps && epoch->bind(copy_, caps.get());
  MessageFields reply = yes_or_no(is_bound);
  if (epoch && !is_bound)
    add_caps(reply, protocol::kFieldCaps, epoch->required(copy_).get());
  return reply;
}

void StageRequests::leave_epoch(const IncomingMessage& message,
                                std::string& wrong) {
  if (const std::shared_ptr<Epoch> epoch = epoch_of(message, wrong))
    epoch->leave(copy_, message.number(protocol::kFieldResult) != 0);
}

void StageRequests::close_epoch(const IncomingMessage& message,
                                std::string& wrong) {
  if (const std::shared_ptr<Epoch> epoch = epoch_of(message, wrong))
    epoch->close();
}

// To be pinned is to have the caps of the input.
void StageRequests::pin_epoch(const IncomingMessage& message,
                              std::string& wrong) {
  const std::shared_ptr<Epoch> epoch = epoch_of(message, wrong);
  const CapsPtr caps = fixed_caps_of(message, wrong);
  if (!epoch || !caps) return;
  if (epoch->caps() != nullptr && gst_caps_is_equal(epoch->caps(), caps.get()))
    epoch->set_pinned(caps.get());
  else
    wrong = "caps";
}

MessageFields StageRequests::pad_query(const IncomingMessage& request,
                                       stage::Outputs& so_far,
                                       std::string& wrong) {
  const std::optional<core::Field> field = request.find(protocol::kFieldQuery);
  const stage::QueryPtr query = field ? decode_query(field->value) : nullptr;
  const bool is_in_stream = request.find(protocol::kFieldSequence).has_value();
  const std::shared_ptr<Epoch> epoch =
      is_in_stream ? epoch_of(request, wrong) : nullptr;
  if (!query) wrong = "query";
  if (!wrong.empty()) return {};
  MessageFields reply = yes_or_no(false);
  if (!answer(request, epoch.get(), query.get(), so_far)) return reply;
  reply = yes_or_no(true);
  reply.add_bytes(protocol::kFieldQuery, encode_query(query.get()));
  return reply;
}

// `epoch` (nullable): of a query in the place of a frame.
bool StageRequests::answer(const IncomingMessage& request, Epoch* epoch,
                           GstQuery* query, stage::Outputs& so_far) {
  if (request.number(protocol::kFieldDirection) == 0)
    return negotiation_->query_upstream(query);
  if (epoch == nullptr || !GST_QUERY_IS_SERIALIZED(query))
    return negotiation_->query_downstream(query);
  const core::Sequence sequence = request.number(protocol::kFieldSequence);
  if (GST_QUERY_TYPE(query) != GST_QUERY_ALLOCATION)
    return negotiation_->serialized_at_output(sequence, query, so_far);
  gst_structure_set(gst_query_writable_structure(query), kHasSlots,
                    G_TYPE_BOOLEAN, TRUE, nullptr);
  return negotiation_->allocation_at_output(
      *epoch, sequence, query, request.number(protocol::kFieldNumber) != 0,
      so_far);
}

MessageFields StageRequests::pad_event(const IncomingMessage& request,
                                       std::string& wrong) {
  const std::optional<core::Field> field = request.find(protocol::kFieldEvent);
  stage::EventPtr event = field ? decode_event(field->value) : nullptr;
  if (!event) wrong = "event";
  return yes_or_no(event && negotiation_->event_upstream(std::move(event)));
}

}  // namespace dispatch::process
