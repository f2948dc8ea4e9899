// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The heart of an element: frames go in on one thread, are worked on by
// several workers, and leave in order on another thread.
//
// For: admission within the window, one FIFO from which an idle worker starts
// the oldest frame, the wait for the head of the line at most until its due
// time, and the account of every frame. What decides is in gst/core; what
// pushes is OrderedOutput. Not for: making workers or knowing what they are.
//
// Threads: submit(), push_event() and answer_serialized() on the sink pad's
// streaming thread; run_output() on the src pad's; on_finished() and
// query_downstream() on the workers', or, where ends are found in reports, on
// those two; the others on any.
// Failure: the flow that downstream or the stage returned comes back from the
// next submit().
//
// Lock order: sink or src pad's stream lock, then a Section (stage/wakes.h),
// then an Epoch's or a worker's mutex. No Section is held while pushing,
// querying or posting.
#pragma once

#include <memory>
#include <vector>

#include "core/due_time.h"
#include "core/late_policy.h"
#include "core/reorder_window.h"
#include "core/window_limits.h"
#include "stage/negotiation.h"
#include "stage/ordered_output.h"
#include "stage/pipeline_time.h"
#include "stage/questions.h"
#include "stage/wakes.h"
#include "stage/worker_roster.h"
#include "stage/workers.h"

namespace dispatch::stage {

class Dispatcher final : public WorkerListener,
                         public OrderedQuery,
                         public std::enable_shared_from_this<Dispatcher> {
 public:
  // `owner`, `src` (transfer none): the element and its src pad. The element is
  // touched by run_output() only.
  Dispatcher(GstElement* owner, GstPad* src);

  // What the user and the pipeline say. May change at any time.
  void set_late_policy(core::LatePolicy policy);
  void set_due_inputs(const core::DueTimeInputs& inputs);
  void set_window(const core::WindowLimits& limits);
  PipelineTime& time() { return time_; }
  // The clock, base time or state changed: waits are made anew.
  void recompute_waits();

  // `reports`: where the ends of jobs are found; null if the workers call
  // on_finished() themselves.
  void start(std::vector<std::shared_ptr<Worker>> workers,
             std::shared_ptr<Reports> reports);
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

  // Originals that had to be copied before they came here.
  void count_copies(std::uint64_t buffers, std::uint64_t bytes);

  core::FrameSums sums() const;
  core::WindowLimits window() const;
  GstFlowReturn flow() const;

  // WorkerListener, OrderedQuery
  void on_finished(Worker& worker, core::Sequence sequence,
                   JobResult& result) override;
  bool is_interrupting() const override;
  bool query_downstream(core::Sequence sequence, GstQuery* query,
                        Outputs& so_far) override;

 private:
  struct Entry {
    enum class Kind {
      kFrame,
      kEvent,       // goes straight to the output
      kStageEvent,  // goes through the stage
      kAllocation,  // upstream's query, answered by the stage
      kQuestion,    // upstream's query, answered by downstream
    };
    Kind kind = Kind::kFrame;
    bool is_taken = false;
    bool is_done = false;
    Worker* worker = nullptr;
    std::shared_ptr<const StickyState> sticky;
    std::vector<EventPtr> prelude;
    Frame frame;  // for the worker, until taken; then the original, if kept
    EventPtr event;
    QueryPtr allocation;
    // Borrowed from the thread that waits:
    StageQuestion* stage_question = nullptr;
    Question* question = nullptr;  // upstream's, or its worker's
    bool is_per_stream = false;
    Outputs outputs;
    GstFlowReturn flow = GST_FLOW_OK;
    Stamps stamps;
    std::uint64_t bytes = 0;
    std::optional<core::RunningTime> running_time;
    core::Duration slack_at_arrival = core::Duration::max();
    std::optional<core::MonotonicTime> due_monotonic;
    core::FrameRecord record;

    bool needs_worker() const {
      return kind != Kind::kEvent && kind != Kind::kQuestion;
    }
    void reset();
  };

  std::shared_ptr<Reports> reports() const;
  // All *_locked functions need a Section.
  bool is_ended_locked() const { return is_flushing_ || is_stopped_; }
  bool has_room_locked(std::uint64_t bytes) const;
  bool has_much_room_locked() const;
  Entry& append_locked(Entry::Kind kind,
                       const std::shared_ptr<const StickyState>& sticky);
  void stamp_arrival_locked(Entry& entry);
  bool concerns_output_locked(const Entry& head) const;
  // `awake`: of the idle workers, how many need not be woken.
  void assign_locked(unsigned awake = 0);
  bool is_left_waiting_locked(const Entry& entry, unsigned awake) const;
  Job make_job_locked(Entry& entry, core::Sequence sequence);
  std::optional<core::RunningTime> due_locked(const Entry& entry) const;
  void store_result_locked(Entry& entry, JobResult& result);
  void refuse_waiting_question_locked(Entry& entry);
  bool ask_stage_locked(Section& section, GstQuery* query,
                        const std::shared_ptr<const StickyState>& sticky);
  void discard_all_locked(core::Cause cause);
  void pop_locked();
  void interrupt_waits_locked();

  // The steps of run_output(). All take and return with `section` held and let
  // go of it around calls into GStreamer.
  void take_step(Section& section);
  void wait_for_head(Section& section, const core::HeadVerdict& verdict);
  void wait_for_reports(Section& section, const core::HeadVerdict& verdict);
  bool has_left_waiting_locked();
  std::optional<core::RunningTime> decide_wake_up(
      const core::HeadVerdict& verdict);
  void ask_downstream(Section& section);
  void release_event(Section& section);
  void release_result(Section& section);
  void release_overdue(Section& section, core::Cause cause);
  void discard_head_locked(core::Cause cause);
  void abandon_locked(Entry& head);
  core::HeadVerdict judge_head_locked(const Entry& head) const;
  // A frame is about to leave: what is slow from here on is downstream's.
  // Returns the running time at which it does.
  std::optional<core::RunningTime> stamp_departure(
      core::FrameRecord& record) const;
  // Ends a frame's account with the flow that its push returned.
  void account_locked(const core::FrameRecord& record, GstFlowReturn flow);
  // The first one that is not OK is what the next submit() returns.
  void take_flow_locked(GstFlowReturn flow);
  void say_no_bypass_once(core::Action instead);

  GstElement* const owner_;
  const PadPtr src_;
  PipelineTime time_;
  OrderedOutput output_;  // of run_output()

  mutable Wakes wakes_;
  // All need a Section:
  core::ReorderWindow<Entry> window_;
  core::FrameSums sums_;
  core::WindowLimits limits_;
  core::LatePolicy policy_ = core::LatePolicy::kBypass;
  core::DueTimeInputs due_inputs_;
  WorkerRoster workers_;
  unsigned frames_in_flight_ = 0;
  std::uint64_t bytes_in_flight_ = 0;
  GstFlowReturn flow_ = GST_FLOW_OK;
  bool is_stopped_ = true;
  bool is_flushing_ = false;
  bool is_per_stream_ = false;
  core::Sequence first_after_flush_ = 0;
  std::vector<EventPtr> prelude_;  // for the next frame's worker

  // Of run_output():
  Outputs outputs_;
  std::optional<core::RunningTime> last_due_;  // of what left last
  bool has_said_no_bypass_ = false;
};

}  // namespace dispatch::stage
