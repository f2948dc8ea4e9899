// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The heart of an element: frames go in on one thread, are worked on by
// several workers, and leave in order on another thread.
//
// For: what each of these threads may ask for, with the lock held while it
// does. What is shared is in its parts: the line in which frames stand
// (frame_line), the workers (worker_roster), the lock and the waits (wakes),
// what leaves (output_loop). Not for: making workers or knowing what they are.
//
// Threads: wait_for_orders() and what carries orders out on the supervisor's;
// submit(), push_event() and answer_serialized() on the sink pad's
// streaming thread; run_output() on the src pad's; on_finished() and
// query_downstream() on the workers', or, where ends are found in reports, on
// those two; the others on any.
// Ownership: of its parts; workers and reports are shared with who made them.
// Failure: the flow that downstream or the stage returned comes back from the
// next submit().
//
// Lock order: sink or src pad's stream lock, then the Section of wakes_, then
// an Epoch's, PipelineTime's or a worker's mutex. No Section is held while
// pushing, querying or posting, nor while a worker gets its job.
#pragma once

#include <memory>
#include <vector>

#include "stage/frame_line.h"
#include "stage/negotiation.h"
#include "stage/output_loop.h"
#include "stage/pipeline_time.h"
#include "stage/staffing.h"
#include "stage/wakes.h"
#include "stage/worker_roster.h"
#include "stage/workers.h"

namespace dispatch::stage {

class Dispatcher final : public WorkerListener, public OrderedQuery {
 public:
  // `owner`, `src` (transfer none): the element and its src pad. The element is
  // touched by start() and run_output() only.
  Dispatcher(GstElement* owner, GstPad* src);

  // What the user and the pipeline say. May change at any time.
  void set_late_policy(core::LatePolicy policy);
  void set_due_inputs(const core::DueTimeInputs& inputs);
  void set_window(const core::WindowLimits& limits);
  void set_staffing(const StaffingLimits& limits);
  // Before start(): who chooses levels; null: nobody, all frames get the full
  // stage. `is_in_stage`: the element is part of one; its frames bring their
  // due times.
  void set_chooser(std::unique_ptr<LevelChooser> chooser, bool is_in_stage);
  void set_reuse(bool reuses);
  void set_tells_levels(bool tells);
  // Without threads of its own the element has a worker that runs in the
  // streaming thread, which also pushes what leaves. Then a frame that has been
  // begun cannot be rescued. Between two frames, on that thread, or stopped.
  void set_has_threads(bool has_threads);
  // Frames with the caps `text` follow.
  void on_caps(const std::string& text);
  // As FrameLine::on_qos().
  core::Duration on_qos(core::RunningTime r, core::Duration jitter);
  PipelineTime& time() { return time_; }
  // The clock, base time or state changed: waits are made anew.
  void recompute_waits();

  // `reports`: where the ends of jobs are found; null if the workers call
  // on_finished() themselves.
  void start(const WorkerList& workers, std::shared_ptr<Reports> reports);
  // Ends all waits; what is in flight is discarded. The output must have ended
  // before the next start().
  void begin_stop();
  void finish_stop();

  // Stateless until told otherwise; holds for what is submitted from then on.
  void set_per_stream(bool is_per_stream);
  bool is_per_stream() const;
  bool are_due_times_applied() const;

  GstFlowReturn submit(Frame frame,
                       const std::shared_ptr<const StickyState>& sticky);
  // A serialized event in its place; `sticky` is the state with it.
  GstFlowReturn push_event(EventPtr event,
                           const std::shared_ptr<const StickyState>& sticky);
  // A serialized query: answered when everything before it has left.
  bool answer_serialized(GstQuery* query,
                         const std::shared_ptr<const StickyState>& sticky);

  void begin_flush();
  // The output must have been paused, downstream not yet be told.
  void finish_flush();

  // Pushes until a flush or a stop.
  void run_output();

  // A worker died, though nobody wanted that. Its jobs come back, or have.
  // Whether that were too many.
  bool on_worker_gone(const Worker& worker);
  // The supervisor's. Nothing: it has nothing more to do.
  std::optional<Orders> wait_for_orders();
  void end_orders();
  bool are_orders_over() const;
  void add_worker(std::shared_ptr<Worker> worker,
                  WorkerRoster::Generation generation);
  // One could not be made. Whether that were too many.
  bool on_not_made();
  void forget_worker(const Worker& worker);
  // No more workers are made: nothing waits for one any longer. `flow`: of all
  // frames from now on. False: that has been so before.
  bool give_up(GstFlowReturn flow);

  // The stage is to be replaced: an order. Its workers wait, as the next
  // generation, until begin_generation(), on the sink pad's streaming thread.
  void replace_stage(const std::string& description);
  WorkerRoster::Generation offer_workers(const WorkerList& workers);
  // False: others have been offered since.
  bool begin_generation(WorkerRoster::Generation generation,
                        bool is_per_stream);
  std::vector<unsigned> free_numbers(unsigned count) const;

  // What the element tells a trace.
  ElementTrace& trace() { return trace_; }

  // Originals that had to be copied before they came here.
  void count_copies(std::uint64_t buffers, std::uint64_t bytes);

  core::FrameSums sums() const;
  // Of the levels; nothing where none are chosen.
  std::optional<LevelFacts> levels() const;
  // How many workers there are, what they are at, and why.
  struct Staff {
    unsigned active = 0;
    unsigned parked = 0;
    unsigned set_aside = 0;
    unsigned permitted = 0;
    core::PoolSize::Why why{};
    double load = 0;
    std::optional<unsigned> efficient;
    unsigned deaths = 0;
  };
  Staff staff() const;
  unsigned permitted_workers() const;
  unsigned most_workers() const;
  core::WindowLimits window() const;
  GstFlowReturn flow() const;

  // WorkerListener, OrderedQuery
  void on_finished(Worker& worker, core::Sequence sequence,
                   JobResult& result) override;
  void on_lost(Worker& worker, Job job) override;
  bool is_interrupting() const override;
  bool has_frames() const override;
  bool query_downstream(core::Sequence sequence, GstQuery* query,
                        Outputs& so_far) override;

 private:
  std::shared_ptr<Reports> reports() const;
  void settle(Section& section);
  bool ask_stage(Section& section, GstQuery* query,
                 const std::shared_ptr<const StickyState>& sticky);

  GstElement* const owner_;
  PipelineTime time_;
  mutable Wakes wakes_;
  ElementTrace trace_;
  // All three need a Section:
  WorkerRoster workers_;
  Staffing staffing_;
  FrameLine line_;
  OutputLoop output_;  // of run_output()
  std::unique_ptr<LevelChooser> chooser_;
  bool has_threads_ = true;
  bool are_orders_over_ = false;
};

}  // namespace dispatch::stage
