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

std::shared_ptr<Epoch> StageRequests::epoch_of(
    const IncomingMessage& message) const {
  const std::lock_guard lock(mutex_);
  const auto found = epochs_.find(message.number(protocol::kFieldEpochId));
  return found != epochs_.end() ? found->second : nullptr;
}

// The reply: kFieldResult is an Epoch::Entry, with what is known of the output
// caps.
MessageFields StageRequests::enter_epoch(const IncomingMessage& request) {
  MessageFields reply;
  const std::shared_ptr<Epoch> epoch = epoch_of(request);
  const Epoch::Entry entry = epoch ? epoch->enter_unless(copy_, &is_closed_)
                                   : Epoch::Entry::kInterrupted;
  reply.add_number(protocol::kFieldResult, static_cast<std::uint64_t>(entry));
  if (epoch)
    add_caps(reply, protocol::kFieldCaps, epoch->required(copy_).get());
  // It may have been let in just when it was closed.
  if (is_closed_ && epoch) epoch->leave(copy_, /*succeeded=*/false);
  return reply;
}

MessageFields StageRequests::bind_epoch(const IncomingMessage& request) {
  const std::shared_ptr<Epoch> epoch = epoch_of(request);
  const CapsPtr caps = caps_of(request, protocol::kFieldCaps);
  const bool is_bound = epoch && caps && epoch->bind(copy_, caps.get());
  MessageFields reply = yes_or_no(is_bound);
  if (epoch && !is_bound)
    add_caps(reply, protocol::kFieldCaps, epoch->required(copy_).get());
  return reply;
}

void StageRequests::leave_epoch(const IncomingMessage& message) {
  if (const std::shared_ptr<Epoch> epoch = epoch_of(message))
    epoch->leave(copy_, message.number(protocol::kFieldResult) != 0);
}

void StageRequests::close_epoch(const IncomingMessage& message) {
  if (const std::shared_ptr<Epoch> epoch = epoch_of(message)) epoch->close();
}

void StageRequests::pin_epoch(const IncomingMessage& message) {
  const CapsPtr caps = caps_of(message, protocol::kFieldCaps);
  const std::shared_ptr<Epoch> epoch = epoch_of(message);
  if (epoch && caps) epoch->set_pinned(caps.get());
}

MessageFields StageRequests::pad_query(const IncomingMessage& request,
                                       stage::Outputs so_far) {
  const std::optional<core::Field> field = request.find(protocol::kFieldQuery);
  const stage::QueryPtr query = field ? decode_query(field->value) : nullptr;
  if (!query) return yes_or_no(false);
  const bool is_at_output = request.number(protocol::kFieldDirection) != 0;
  const std::shared_ptr<Epoch> epoch = epoch_of(request);
  const core::Sequence sequence = request.number(protocol::kFieldSequence);
  const bool is_upstreams = request.number(protocol::kFieldNumber) != 0;
  bool is_answered = false;
  if (!is_at_output) {
    is_answered = negotiation_->query_upstream(query.get());
  } else if (!epoch || !GST_QUERY_IS_SERIALIZED(query.get())) {
    is_answered = negotiation_->query_downstream(query.get());
  } else if (GST_QUERY_TYPE(query.get()) == GST_QUERY_ALLOCATION) {
    gst_structure_set(gst_query_writable_structure(query.get()), kHasSlots,
                      G_TYPE_BOOLEAN, TRUE, nullptr);
    is_answered = negotiation_->allocation_at_output(
        *epoch, sequence, query.get(), is_upstreams, so_far);
  } else {
    is_answered =
        negotiation_->serialized_at_output(sequence, query.get(), so_far);
  }
  MessageFields reply = yes_or_no(is_answered);
  if (is_answered)
    reply.add_bytes(protocol::kFieldQuery, encode_query(query.get()));
  return reply;
}

MessageFields StageRequests::pad_event(const IncomingMessage& request) {
  const std::optional<core::Field> field = request.find(protocol::kFieldEvent);
  stage::EventPtr event = field ? decode_event(field->value) : nullptr;
  return yes_or_no(event && negotiation_->event_upstream(std::move(event)));
}

}  // namespace dispatch::process
