// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/remote_surroundings.h"

#include <gst/video/gstvideopool.h>
#include <gst/video/video.h>

#include "process/fault_point.h"
#include "process/stage_requests.h"

namespace dispatch::process {

namespace protocol = core::protocol;

namespace {

// What a stage asks in the place of a frame waits for the earlier ones.
constexpr core::Duration kAsLongAsItTakes = core::Duration::max();
// The answer to everything else is near.
constexpr auto kPatience = std::chrono::seconds(5);

thread_local const stage::CapsPtr* peer_caps_here = nullptr;

stage::PadPtr new_pad(const char* name, GstPadDirection direction) {
  return stage::sink_object(gst_pad_new(name, direction));
}

// The filter itself where the answer is equal to it, as in one process: x264enc
// compares the pointers.
void set_result(GstQuery* query, GstCaps* caps) {
  GstCaps* filter = nullptr;
  gst_query_parse_caps(query, &filter);
  if (filter == nullptr) {
    gst_query_set_caps_result(query, caps);
    return;
  }
  g_autoptr(GstCaps) answer =
      gst_caps_intersect_full(filter, caps, GST_CAPS_INTERSECT_FIRST);
  gst_query_set_caps_result(
      query, gst_caps_is_equal(answer, filter) ? filter : answer);
}

}  // namespace

// ---- Epochs ----------------------------------------------------------------

stage::Epoch::Entry RemoteEpoch::enter(const void*) {
  MessageFields fields;
  fields.add_number(protocol::kFieldEpochId, id_);
  const std::optional<IncomingMessage> reply =
      channel_->ask(protocol::kMessageEnterEpoch, fields, kAsLongAsItTakes);
  pass(FaultPoint::kEpochEntered);
  if (!reply) return Entry::kInterrupted;
  // Bound or pinned: this copy has no choice either way.
  if (const stage::CapsPtr caps = caps_of(*reply, protocol::kFieldCaps))
    Epoch::set_pinned(caps.get());
  const auto entry = static_cast<Entry>(reply->number(
      protocol::kFieldResult, static_cast<std::uint64_t>(Entry::kInterrupted)));
  is_negotiating_ = entry == Entry::kNegotiate;
  return entry;
}

// Called after every frame; told when it means something.
void RemoteEpoch::leave(const void*, bool succeeded) {
  if (!std::exchange(is_negotiating_, false)) return;
  MessageFields fields;
  fields.add_number(protocol::kFieldEpochId, id_)
      .add_number(protocol::kFieldResult, succeeded ? 1 : 0);
  channel_->send(protocol::kMessageLeaveEpoch, fields);
}

bool RemoteEpoch::bind(const void* copy, GstCaps* caps) {
  MessageFields fields;
  fields.add_number(protocol::kFieldEpochId, id_);
  add_caps(fields, protocol::kFieldCaps, caps);
  const std::optional<IncomingMessage> reply =
      channel_->ask(protocol::kMessageBindEpoch, fields, kAsLongAsItTakes);
  if (!reply) return false;
  if (reply->number(protocol::kFieldResult) != 0)
    return Epoch::bind(copy, caps);
  if (const stage::CapsPtr theirs = caps_of(*reply, protocol::kFieldCaps))
    Epoch::set_pinned(theirs.get());
  return false;
}

void RemoteEpoch::close() {
  MessageFields fields;
  fields.add_number(protocol::kFieldEpochId, id_);
  channel_->send(protocol::kMessageCloseEpoch, fields);
  Epoch::close();
}

void RemoteEpoch::set_pinned(GstCaps* caps) {
  MessageFields fields;
  fields.add_number(protocol::kFieldEpochId, id_);
  add_caps(fields, protocol::kFieldCaps, caps);
  channel_->send(protocol::kMessagePinEpoch, fields);
  Epoch::set_pinned(caps);
}

// ---- Pads ------------------------------------------------------------------

RemoteSurroundings::RemoteSurroundings(std::shared_ptr<Channel> channel,
                                       WorkerSlots& slots, ReportWriter& writer)
    : channel_(std::move(channel)),
      slots_(slots),
      writer_(writer),
      upstream_(new_pad("upstream", GST_PAD_SRC)),
      sink_(new_pad("sink", GST_PAD_SINK)),
      src_(new_pad("src", GST_PAD_SRC)),
      downstream_(new_pad("downstream", GST_PAD_SINK)),
      negotiation_(
          std::make_shared<stage::Negotiation>(sink_.get(), src_.get())) {
  for (GstPad* pad : {upstream_.get(), downstream_.get()}) {
    gst_pad_set_element_private(pad, this);
    gst_pad_set_query_function(pad, on_query);
    gst_pad_set_event_function(pad, on_event);
  }
  for (GstPad* pad :
       {upstream_.get(), sink_.get(), src_.get(), downstream_.get()})
    gst_pad_set_active(pad, TRUE);
  gst_pad_link_full(upstream_.get(), sink_.get(), GST_PAD_LINK_CHECK_NOTHING);
  gst_pad_link_full(src_.get(), downstream_.get(), GST_PAD_LINK_CHECK_NOTHING);
  negotiation_->set_depth(0);  // one frame at a time
}

RemoteSurroundings::~RemoteSurroundings() {
  gst_pad_unlink(upstream_.get(), sink_.get());
  gst_pad_unlink(src_.get(), downstream_.get());
}

std::shared_ptr<stage::Negotiation> RemoteSurroundings::negotiation() {
  negotiation_->set_ordered_query(weak_from_this());
  return negotiation_;
}

void RemoteSurroundings::begin(std::uint64_t epoch_id,
                               const GstQuery* upstreams) {
  epoch_id_ = epoch_id;
  upstreams_query_ = upstreams;
}

RemoteSurroundings::PeerCaps::PeerCaps(GstCaps* caps) {
  peer_caps_here =
      caps != nullptr ? new stage::CapsPtr(stage::share(caps)) : nullptr;
}

RemoteSurroundings::PeerCaps::~PeerCaps() {
  delete std::exchange(peer_caps_here, nullptr);
}

gboolean RemoteSurroundings::on_query(GstPad* pad, GstObject*,
                                      GstQuery* query) {
  auto* self =
      static_cast<RemoteSurroundings*>(gst_pad_get_element_private(pad));
  if (GST_QUERY_TYPE(query) == GST_QUERY_CAPS && peer_caps_here != nullptr) {
    set_result(query, peer_caps_here->get());
    return TRUE;
  }
  return self->ask(query, GST_PAD_IS_SINK(pad));
}

bool RemoteSurroundings::ask(GstQuery* query, bool is_downstream) {
  const Bytes bytes = encode_query(query);
  if (bytes.empty()) return false;
  MessageFields fields;
  fields.add_number(protocol::kFieldDirection, is_downstream ? 1 : 0)
      .add_bytes(protocol::kFieldQuery, bytes);
  const std::optional<IncomingMessage> reply =
      channel_->ask(protocol::kMessagePadQuery, fields, kPatience);
  if (!reply || reply->number(protocol::kFieldResult) == 0) return false;
  const auto answer = reply->find(protocol::kFieldQuery);
  if (!answer || !decode_answer(answer->value, query)) return false;
  if (GST_QUERY_TYPE(query) != GST_QUERY_CAPS) return true;
  GstCaps* caps = nullptr;
  gst_query_parse_caps_result(query, &caps);
  if (caps != nullptr) set_result(query, stage::share(caps).get());
  return true;
}

gboolean RemoteSurroundings::on_event(GstPad* pad, GstObject*,
                                      GstEvent* event) {
  auto* self =
      static_cast<RemoteSurroundings*>(gst_pad_get_element_private(pad));
  const stage::EventPtr owned(event);
  if (GST_PAD_IS_SINK(pad)) return FALSE;  // nothing goes down this way
  if (!self->is_open_) return FALSE;
  const Bytes bytes = encode_event(event);
  if (bytes.empty()) return FALSE;
  MessageFields fields;
  fields.add_bytes(protocol::kFieldEvent, bytes);
  // Not waited for: it may come from the thread that would get the answer.
  self->channel_->send(protocol::kMessagePadEvent, fields);
  return TRUE;
}

// ---- Queries in the place of a frame ---------------------------------------

bool RemoteSurroundings::query_downstream(core::Sequence sequence,
                                          GstQuery* query,
                                          stage::Outputs& so_far) {
  const Bytes bytes = encode_query(query);
  if (bytes.empty()) return false;
  const bool is_allocation = GST_QUERY_TYPE(query) == GST_QUERY_ALLOCATION;
  const bool is_upstreams = query == upstreams_query_;
  MessageFields fields;
  fields.add_number(protocol::kFieldDirection, 1)
      .add_number(protocol::kFieldSequence, sequence)
      .add_number(protocol::kFieldEpochId, epoch_id_)
      .add_number(protocol::kFieldNumber, is_upstreams ? 1 : 0)
      .add_bytes(protocol::kFieldQuery, bytes);
  if (!so_far.empty() && writer_.bring_in(so_far)) {
    core::FieldWriter measure({});
    writer_.write(so_far, measure);
    Bytes payload(measure.needed());
    core::FieldWriter to{std::span(payload)};
    writer_.write(so_far, to);
    fields.add_bytes(protocol::kFieldPayload, payload);
    writer_.give_up(so_far);
  }
  const std::optional<IncomingMessage> reply =
      channel_->ask(protocol::kMessagePadQuery, fields, kAsLongAsItTakes);
  const auto answer = reply && reply->number(protocol::kFieldResult) != 0
                          ? reply->find(protocol::kFieldQuery)
                          : std::nullopt;
  const bool is_answered = answer && decode_answer(answer->value, query);
  // Upstream's memory is not for the stage to give.
  if (!is_allocation || is_upstreams) return is_answered;
  offer_slots(query);
  return true;
}

// What the stage gives is to lie in result slots from the start.
void RemoteSurroundings::offer_slots(GstQuery* query) {
  GstCaps* caps = nullptr;
  gst_query_parse_allocation(query, &caps, nullptr);
  GstAllocationParams params;
  gst_allocation_params_init(&params);
  if (gst_query_get_n_allocation_params(query) > 0) {
    gst_query_parse_nth_allocation_param(query, 0, nullptr, &params);
    gst_query_set_nth_allocation_param(query, 0, slots_.allocator(), &params);
  } else {
    gst_query_add_allocation_param(query, slots_.allocator(), &params);
  }
  GstVideoInfo info;
  // Coded frames have no size there; a pool would give empty buffers.
  if (caps == nullptr || !gst_video_info_from_caps(&info, caps) ||
      GST_VIDEO_INFO_SIZE(&info) == 0)
    return;
  guint size = static_cast<guint>(GST_VIDEO_INFO_SIZE(&info));
  const bool has_pool = gst_query_get_n_allocation_pools(query) > 0;
  if (has_pool) {
    guint their_size = 0;
    gst_query_parse_nth_allocation_pool(query, 0, nullptr, &their_size, nullptr,
                                        nullptr);
    size = std::max(size, their_size);
  }
  const stage::ObjectPtr<GstBufferPool> pool(gst_video_buffer_pool_new());
  GstStructure* config = gst_buffer_pool_get_config(pool.get());
  gst_buffer_pool_config_set_params(config, caps, size, 0, 0);
  gst_buffer_pool_config_set_allocator(config, slots_.allocator(), &params);
  gst_buffer_pool_set_config(pool.get(), config);
  // Slots are made as they are needed: what downstream keeps at least is not
  // asked for ahead.
  if (has_pool) {
    gst_query_set_nth_allocation_pool(query, 0, pool.get(), size, 0, 0);
  } else {
    gst_query_add_allocation_pool(query, pool.get(), size, 0, 0);
  }
}

}  // namespace dispatch::process
