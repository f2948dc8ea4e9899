// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the stage in a worker process asks of the world around it, answered as
// if the stage were here.
//
// For: caps epochs and the queries and events that leave a stage, which all go
// to the same Epoch and Negotiation as those of a thread. Not for: what is
// asked of the stage (process/process_worker).
// Thread: thread-safe. The answers may block as the functions that they call
// do; a flush or stop interrupts those.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "process/channel.h"
#include "stage/negotiation.h"

namespace dispatch::process {

class StageRequests {
 public:
  // `copy`: who asks, for the epochs.
  StageRequests(std::shared_ptr<stage::Negotiation> negotiation,
                const void* copy)
      : negotiation_(std::move(negotiation)), copy_(copy) {}

  // Nothing is answered any more: ends what this worker waits for in an epoch,
  // and lets go of one that it negotiates. Other workers go on.
  void close();

  // The worker will be told of this epoch: under which number.
  std::uint64_t number_of(const std::shared_ptr<stage::Epoch>& epoch);

  // `wrong`: the name of a field that is missing, or cannot be what it is; else
  // as it was.
  MessageFields enter_epoch(const IncomingMessage& request, std::string& wrong);
  MessageFields bind_epoch(const IncomingMessage& request, std::string& wrong);
  void leave_epoch(const IncomingMessage& message, std::string& wrong);
  void close_epoch(const IncomingMessage& message, std::string& wrong);
  void pin_epoch(const IncomingMessage& message, std::string& wrong);
  // `so_far`: what the stage gave before it asked; taken out if it was pushed.
  MessageFields pad_query(const IncomingMessage& request,
                          stage::Outputs& so_far, std::string& wrong);
  MessageFields pad_event(const IncomingMessage& request, std::string& wrong);

 private:
  std::shared_ptr<stage::Epoch> epoch_of(const IncomingMessage& message,
                                         std::string& wrong) const;
  bool answer(const IncomingMessage& request, stage::Epoch* epoch,
              GstQuery* query, stage::Outputs& so_far);

  const std::shared_ptr<stage::Negotiation> negotiation_;
  const void* const copy_;
  std::atomic<bool> is_closed_{false};
  mutable std::mutex mutex_;
  // Of frames in flight; under mutex_.
  std::map<std::uint64_t, std::shared_ptr<stage::Epoch>> epochs_;
  std::uint64_t last_number_ = 0;
};

// Whether an ALLOCATION query (transfer none) comes from the stage of another
// element with worker processes: what it gives lies in slots already.
bool has_result_slots(GstQuery* query);

// Caps as text in a field; null without it.
stage::CapsPtr caps_of(const IncomingMessage& message,
                       core::protocol::FieldTag tag);
void add_caps(MessageFields& fields, core::protocol::FieldTag tag,
              GstCaps* caps);  // (transfer none) (nullable)

}  // namespace dispatch::process
