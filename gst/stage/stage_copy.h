// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One copy of a stage.
//
// For: running one job after the other through one instance of the stage's
// elements and collecting what comes out. A thread and a worker process run a
// stage with this same code. Not for: threads, order, due times.
//
// The elements sit in a bin, between two ports that are elements of our own:
//
//   bin "worker0":   [feeder]src -> stage's elements -> sink[collector]
//
// so that states, names, contexts and dot dumps work as in any bin.
// A frame is complete when its chain call returns. What an element pushes at
// any other time comes from a thread of its own, and is refused.
//
// Thread: run() on one thread at a time. flush(), abandon() and the accessors
// are thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "core/original_keeping.h"
#include "stage/negotiation.h"
#include "stage/stage_description.h"
#include "stage/worker.h"

namespace dispatch::stage {

// Whether `element` is a port of a copy and no element of the stage.
bool is_port(GstElement* element);
// Whose stage `element` is part of, as an identity; null in a worker process.
// Nothing: of none.
std::optional<const void*> stage_around(GstElement* element);

// The name of the bin of a copy: "worker0", or "worker0-level1".
std::string copy_name(unsigned worker, unsigned level);

class StageCopy {
 public:
  // Of worker `number`, for the level `level` of its ladder. `keeping` is
  // shared by all copies of a stage.
  StageCopy(ParsedStage stage, unsigned number, unsigned level,
            std::shared_ptr<Negotiation> negotiation,
            std::shared_ptr<core::OriginalKeeping> keeping);
  ~StageCopy();
  StageCopy(const StageCopy&) = delete;
  StageCopy& operator=(const StageCopy&) = delete;

  unsigned number() const { return number_; }
  GstElement* bin() const { return bin_.get(); }          // (transfer none)
  GstPad* feeder() const { return feeder_.get(); }        // (transfer none)
  GstPad* collector() const { return collector_.get(); }  // (transfer none)

  // Runs the job to its end; fills `result`, whose containers are reused.
  void run(Job& job, JobResult& result);

  // The stage is to drop the frames up to and including `sequence` at its next
  // element.
  void abandon(core::Sequence sequence);

  // Where else it is said which frames to drop: one past the last of them, as
  // abandon() says. For a worker process; before the first run(). (borrowed)
  void watch_abandoned(const std::atomic<core::Sequence>* end) {
    watched_end_ = end;
  }

  // The caps that may leave it for frames of the caps `input`; empty if it does
  // not take them. One thread at a time.
  CapsPtr possible_output(GstCaps* input);

  // Ends what blocks inside. The next run() sets the copy flowing again.
  void flush();

  // What the pads and probes of the ports call. The first four come on the
  // stage's threads, the last on any.
  GstFlowReturn collect(MiniObjectPtr item);
  void collect_event(EventPtr event);
  bool query_at_output(GstQuery* query);
  bool is_abandoned() const;
  bool query_at_input(GstQuery* query);
  bool event_at_input(EventPtr event);

 private:
  void build(ParsedStage stage);
  void drop_abandoned_between(GstElement* stage);
  void start_flowing();
  Epoch::Entry enter_epoch(const Job& job);
  void renegotiate();
  void send_state(const StickyState& state);
  GstFlowReturn push_frame(Job& job, JobResult& result);
  Frame hand_over(Job& job, core::HandOver how, JobResult& result);
  BufferPtr copy_to_recycled(GstBuffer* original);
  bool holds_back(const Outputs& outputs);
  GstFlowReturn refuse_holding_back();
  static void take_off_discont(Outputs& outputs);
  bool run_query(Job& job);
  void take_off_due_times(Outputs& outputs);
  bool is_running_here() const;
  GstCaps* present_input() const;
  void collect_caps(GstEvent* event);
  void bind_for_good();
  void check_segment(GstEvent* event);
  void say_disagreement(const Epoch& epoch);

  const unsigned number_;
  const unsigned level_;
  const std::shared_ptr<Negotiation> negotiation_;
  const std::shared_ptr<core::OriginalKeeping> keeping_;
  bool has_coder_ = false;
  ElementPtr bin_;
  PadPtr feeder_;
  PadPtr collector_;
  PadPtr stage_src_;  // the stage's own open src pad

  // One past the last abandoned sequence.
  std::atomic<core::Sequence> abandoned_end_{0};
  const std::atomic<core::Sequence>* watched_end_ = &abandoned_end_;
  std::atomic<bool> needs_flush_stop_{false};
  std::atomic<std::thread::id> runner_{};  // inside run(), the thread in it
  // Inside possible_output(), the thread in it, and what it asks about.
  std::atomic<std::thread::id> asker_{};
  CapsPtr asked_input_;

  // The rest belongs to the thread in run().
  Job* job_ = nullptr;
  JobResult* result_ = nullptr;
  bool has_conflicting_caps_ = false;
  bool has_failed_ = false;  // for good: an error has been posted
  bool is_first_frame_ = true;
  bool is_first_buffer_ = true;   // of the epoch
  std::shared_ptr<Epoch> epoch_;  // of the last job
  std::shared_ptr<const StickyState> sent_state_;
  std::vector<EventPtr> sent_;  // sticky events that the stage has
  CapsPtr output_caps_;         // the last that it sent
  ObjectPtr<GstBufferPool> copies_;
  gsize copies_size_ = 0;
  bool sends_reconfigure_ = false;
};

}  // namespace dispatch::stage
