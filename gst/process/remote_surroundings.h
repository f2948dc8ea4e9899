// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The world around a stage, as seen from inside a worker process.
//
// For: a StageCopy that runs here as it does in a thread of the dispatcher's
// process: its epochs and the pads at its two ends are images of those there,
// and what it asks of them goes through the channel
// (process/stage_requests answers). Not for: frames.
// Thread: as the classes that it stands in for.
#pragma once

#include <memory>

#include "process/channel.h"
#include "process/report_writer.h"
#include "process/worker_slots.h"
#include "stage/negotiation.h"

namespace dispatch::process {

class RemoteEpoch final : public stage::Epoch {
 public:
  RemoteEpoch(std::shared_ptr<Channel> channel, std::uint64_t id, GstCaps* caps,
              bool pin)
      : Epoch(caps, pin), channel_(std::move(channel)), id_(id) {}

  std::uint64_t id() const { return id_; }

  Entry enter(const void* copy) override;
  void leave(const void* copy, bool succeeded) override;
  bool bind(const void* copy, GstCaps* caps) override;
  void close() override;
  void set_pinned(GstCaps* caps) override;

 private:
  const std::shared_ptr<Channel> channel_;
  const std::uint64_t id_;
  bool is_negotiating_ = false;  // of the thread in the stage
};

class RemoteSurroundings final
    : public stage::OrderedQuery,
      public std::enable_shared_from_this<RemoteSurroundings> {
 public:
  RemoteSurroundings(std::shared_ptr<Channel> channel, WorkerSlots& slots,
                     ReportWriter& writer);
  ~RemoteSurroundings() override;

  // For the StageCopy.
  std::shared_ptr<stage::Negotiation> negotiation();

  // The stage is there. Elements that are being linked ask for their caps to be
  // chosen anew, which before means nothing to a stream that others work on.
  void open() { is_open_ = true; }

  // What runs from now on: for its queries. `upstreams` (borrowed) (nullable):
  // the query that upstream asks the stage; others are the stage's own.
  void begin(std::uint64_t epoch_id, const GstQuery* upstreams);

  // Answers CAPS queries that leave the stage on this thread with `caps` (null:
  // they are asked again), as long as it lives.
  class PeerCaps {
   public:
    explicit PeerCaps(GstCaps* caps);
    ~PeerCaps();
    PeerCaps(const PeerCaps&) = delete;
    PeerCaps& operator=(const PeerCaps&) = delete;
  };

  // OrderedQuery: what downstream says; of memory, result slots come first.
  bool query_downstream(core::Sequence sequence, GstQuery* query,
                        stage::Outputs& so_far) override;

 private:
  static gboolean on_query(GstPad* pad, GstObject*, GstQuery* query);
  static gboolean on_event(GstPad* pad, GstObject*, GstEvent* event);
  bool ask(GstQuery* query, bool is_downstream);
  void offer_slots(GstQuery* query);

  const std::shared_ptr<Channel> channel_;
  WorkerSlots& slots_;
  ReportWriter& writer_;
  // The ends of the element there; the stage's side of each.
  stage::PadPtr upstream_;
  stage::PadPtr sink_;
  stage::PadPtr src_;
  stage::PadPtr downstream_;
  std::shared_ptr<stage::Negotiation> negotiation_;
  std::atomic<bool> is_open_{false};
  // Of the thread in the stage:
  std::uint64_t epoch_id_ = 0;
  const GstQuery* upstreams_query_ = nullptr;
};

}  // namespace dispatch::process
