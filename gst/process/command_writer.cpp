// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/command_writer.h"

#include <utility>

#include "process/frame_codec.h"

namespace dispatch::process {

namespace protocol = core::protocol;
using stage::Job;

namespace {

// Whether nobody else would see what is written into it.
bool is_exclusive(const Job& job) {
  if (job.keep_original || job.frame.is_list()) return false;
  GstBuffer* buffer = job.frame.first();
  return gst_buffer_is_writable(buffer) &&
         gst_buffer_is_all_memory_writable(buffer);
}

void add(core::FieldWriter& to, protocol::PayloadTag tag, const Bytes& bytes) {
  to.add(tag, std::span<const std::byte>(bytes));
}

}  // namespace

bool CommandWriter::write(InFlight& flight, std::span<std::byte> space) {
  core::FieldWriter to(space);
  bool is_reachable = write_once(flight, to);
  flight.payload = to.written();
  if (to.has_overflowed()) {
    flight.big.resize(to.needed());
    core::FieldWriter again{std::span<std::byte>(flight.big)};
    is_reachable = write_once(flight, again);
    flight.payload = flight.big;
  }
  if (flight.job.sticky != state_) {
    state_ = flight.job.sticky;
    events_ = std::exchange(next_events_, {});
  }
  return is_reachable;
}

bool CommandWriter::write_once(InFlight& flight, core::FieldWriter& to) {
  const Job& job = flight.job;
  flight.inputs.clear();
  if (job.sticky != state_) write_state(job, to);
  for (const stage::EventPtr& event : job.prelude)
    add(to, protocol::kEvent, encode_event(event.get()));
  bool is_reachable = true;
  if (job.frame) {
    const bool may_write = is_exclusive(job);
    is_reachable = write_frame(
        job.frame,
        [&](GstMemory* memory) {
          const auto record = slots_.name_input(memory, may_write);
          if (!record) return record;
          flight.inputs.push_back({{record->slot, record->generation}, memory});
          flight.is_writable |= (record->flags & protocol::kWritable) != 0;
          return record;
        },
        to);
  }
  if (job.event) add(to, protocol::kEvent, encode_event(job.event.get()));
  if (job.query) add(to, protocol::kQuery, encode_query(job.query.get()));
  return is_reachable;
}

// Events that the worker has are named, the others sent.
void CommandWriter::write_state(const Job& job, core::FieldWriter& to) {
  MessageFields fields;
  const std::shared_ptr<stage::Epoch>& epoch = job.sticky->epoch();
  fields.add_number(protocol::kFieldEpochId, requests_.number_of(epoch));
  fields.add_number(protocol::kFieldPin, epoch->wants_pin() ? 1 : 0);
  add_caps(fields, protocol::kFieldCaps, epoch->caps());
  next_events_.clear();
  for (const stage::EventPtr& event : job.sticky->events()) {
    const auto found = events_.find(event.get());
    const bool is_new = found == events_.end();
    const std::uint64_t id = is_new ? ++last_event_id_ : found->second;
    next_events_[event.get()] = id;
    fields.add_number(protocol::kFieldEventId, id);
    if (is_new)
      fields.add_bytes(protocol::kFieldEvent, encode_event(event.get()));
  }
  add(to, protocol::kState, fields.bytes());
}

}  // namespace dispatch::process
