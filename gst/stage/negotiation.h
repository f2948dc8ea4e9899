// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Caps and allocation of several copies of one stage.
//
// For: making copies that negotiate at different times come to one result. The
// first output caps of an epoch bind all copies; otherwise they would choose
// differently and the stream would flap. One copy negotiates at a time; one
// gets downstream's pool. Not for: caps events in the stream (ordered_output).
//
// An epoch lasts from one CAPS or RECONFIGURE to the next. Frames carry theirs
// in their sticky state, so that frames of two epochs can be in flight.
// Thread: thread-safe.
//
// Lock order: the Dispatcher's lock before Epoch's mutex. No lock is held while
// calling into GStreamer.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "core/frame_record.h"
#include "stage/frame.h"
#include "stage/ptr.h"

namespace dispatch::stage {

//
// In a worker process an epoch is the image of the dispatcher's: the virtual
// functions go there.
class Epoch {
 public:
  // `caps` (transfer none) (nullable): the input caps. `pin`: the stage's
  // output caps are to be the input caps if stage and downstream take them.
  // `allowed`: what all levels of a copy can give; null: there is only one.
  Epoch(GstCaps* caps, bool pin, CapsPtr allowed = nullptr)
      : caps_(share(caps)), pin_(pin), allowed_(std::move(allowed)) {}
  virtual ~Epoch() = default;
  Epoch(const Epoch&) = delete;
  Epoch& operator=(const Epoch&) = delete;

  GstCaps* caps() const { return caps_.get(); }        // (transfer none)
  GstCaps* allowed() const { return allowed_.get(); }  // (transfer none)

  // A copy begins its first frame of this epoch. Blocks while another one
  // negotiates. False: interrupted.
  enum class Entry { kNegotiate, kBound, kInterrupted };
  virtual Entry enter(const void* copy) { return enter_unless(copy, nullptr); }
  // The same; interrupted as well once `is_over` (nullable) is true, which has
  // to be followed by look_again().
  Entry enter_unless(const void* copy, const std::atomic<bool>* is_over);
  // The copy is done with that frame, bound or not.
  virtual void leave(const void* copy, bool succeeded);
  // Lets the next copy negotiate although this one has not bound the epoch.
  void pass_on();
  // Ends waits in enter() and ask_allocation(), of all copies.
  void interrupt();
  // Ends the waits in enter_unless() whose `is_over` has become true.
  void look_again();

  // False once the stage is known to change the caps: then a frame cannot leave
  // instead of its result.
  bool may_bypass() const;

  // Output caps of `copy`. The first ones bind all; that copy may change its
  // mind until the first buffer, when someone calls close(). False: the epoch
  // is bound to other caps.
  virtual bool bind(const void* copy, GstCaps* caps);
  virtual void close();
  virtual void set_pinned(GstCaps* caps);
  bool wants_pin() const { return pin_; }

  // What `copy` may choose: the bound caps, else the pinned ones, else null.
  // The copy that bound the epoch still has the choice until close().
  CapsPtr required(const void* copy) const;
  // What the output caps are or will be, if that is known.
  CapsPtr output_caps() const;

  // Downstream's answer to the first ALLOCATION query of a copy. kAsk: whoever
  // asks downstream, and calls set_allocation() or give_up_allocation() then.
  // Blocks while an older frame asks. A frame that is older than the one that
  // asks asks as well: the answer waits for its turn.
  enum class Allocation { kAsk, kKnown, kInterrupted };
  Allocation ask_allocation(core::Sequence sequence);
  // `answer` (transfer none). False: there was one, which stays.
  bool set_allocation(GstQuery* answer);
  // There was no answer: whoever waits for it asks for itself.
  void give_up_allocation(core::Sequence sequence);
  QueryPtr allocation() const;  // null: not known
  // What downstream takes of frames that go past the stage, where the stage has
  // not asked.
  void set_original_allocation(GstQuery* answer);  // (transfer none) (nullable)
  // Whether downstream takes buffers with metas of this API.
  bool takes_meta(GType api) const;

 private:
  enum class Gate { kFree, kHeld, kOpen };
  const CapsPtr caps_;
  const bool pin_;
  const CapsPtr allowed_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Gate gate_ = Gate::kFree;
  const void* holder_ = nullptr;
  unsigned interrupts_ = 0;
  CapsPtr pinned_;
  CapsPtr bound_;
  const void* binder_ = nullptr;
  bool is_closed_ = false;
  bool may_bypass_ = true;
  std::optional<core::Sequence> asker_;
  QueryPtr allocation_;
  QueryPtr original_allocation_;
};

// Adds what `from` answers to `to`: both are ALLOCATION queries. The pools
// themselves only with `with_pools`; their sizes always. (gst_query_copy()
// would make two queries over one list.)
void copy_allocation(GstQuery* from, GstQuery* to, bool with_pools);

// Fields of this prefix in an ALLOCATION query say of what upstream gives what
// GStreamer has no words for. A stage that passes the query on passes them on.
inline constexpr char kOwnFields[] = "gst-dispatch-";

// An ALLOCATION query that asks what `query` (transfer none) asks, without
// answers so far.
QueryPtr new_allocation_like(GstQuery* query);

// Asks downstream in the place of a frame in the stream. Implemented by the
// dispatcher.
class OrderedQuery {
 public:
  virtual ~OrderedQuery() = default;
  // Blocks until everything before `sequence` has left, `so_far` (what the
  // stage gave before it asked; taken out) has been pushed and the query has
  // been answered. False if it was not, was interrupted, or is a second one for
  // the same frame at the same time; or the frame has ended.
  virtual bool query_downstream(core::Sequence sequence, GstQuery* query,
                                Outputs& so_far) = 0;
};

// Answers the queries that leave the copies.
class Negotiation {
 public:
  // `sink` and `src` (transfer none) are the pads of the element.
  Negotiation(GstPad* sink, GstPad* src);

  void set_ordered_query(std::weak_ptr<OrderedQuery> ordered);
  // Buffers that may be in flight at once: window and workers.
  void set_depth(unsigned buffers) { depth_ = buffers; }
  unsigned depth() const { return depth_; }

  // Finds what `epoch` can be pinned to; `stage_src` (transfer none) is the
  // open src pad of the copy that negotiates.
  void pin(Epoch& epoch, GstPad* stage_src);

  // From inside a job of `epoch`:
  bool caps_at_output(const Epoch& epoch, const void* copy, GstQuery* query);
  bool accept_caps_at_output(const Epoch& epoch, const void* copy,
                             GstQuery* query);
  // `is_upstreams`: the stage passes on what upstream asks.
  bool allocation_at_output(Epoch& epoch, core::Sequence sequence,
                            GstQuery* query, bool is_upstreams,
                            Outputs& so_far);
  bool serialized_at_output(core::Sequence sequence, GstQuery* query,
                            Outputs& so_far);

  // Makes the stage's answer to upstream's ALLOCATION query true for all that
  // happens here: more buffers are in flight, and a frame may go past the
  // stage.
  void complete_upstream_allocation(Epoch& epoch, core::Sequence sequence,
                                    GstQuery* query, Outputs& so_far);

  // From anywhere:
  bool query_downstream(GstQuery* query);
  bool query_upstream(GstQuery* query);
  bool event_upstream(EventPtr event);

 private:
  const PadPtr sink_;
  const PadPtr src_;
  std::mutex mutex_;
  std::weak_ptr<OrderedQuery> ordered_;
  std::atomic<unsigned> depth_{1};
};

}  // namespace dispatch::stage
