// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The line in which frames stand, with the events and queries between them:
// from where they are let in until they leave, oldest first.
//
// For: what the threads of an element share: what has room; one FIFO from which
// an idle worker takes the oldest frame; when the head is due; and the account
// of every frame. Not for: threads and their waits (dispatcher, output_loop),
// pushing (ordered_output). What decides is in gst/core.
// Thread: confined: everything but making one needs a Section of its Wakes.
// What the line has for other threads to do, it says to the Wakes.
// Ownership: of what stands in it; what leaves is moved out of the head.
// Failure: the flow that downstream or the stage returned is kept for the next
// frame that comes.
//
// Lock order: within the Section it takes an Epoch's and PipelineTime's lock,
// and a worker's, to abandon a frame.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/due_time.h"
#include "core/late_policy.h"
#include "core/reorder_window.h"
#include "core/transit_time.h"
#include "core/window_limits.h"
#include "stage/element_trace.h"
#include "stage/level_chooser.h"
#include "stage/line_entry.h"
#include "stage/pipeline_time.h"
#include "stage/staffing.h"
#include "stage/wakes.h"
#include "stage/worker_roster.h"

namespace dispatch::stage {

class FrameLine {
 public:
  // What was chosen for a frame, if that has been.
  struct Choice {
    std::optional<core::LevelVerdict> verdict;
    std::optional<core::Duration> slack;
  };

  // All are borrowed. `owner`: the element, for its name in the log.
  FrameLine(GstElement* owner, const PipelineTime& time, WorkerRoster& workers,
            Staffing& staffing, Wakes& wakes, ElementTrace& trace);

  void set_late_policy(core::LatePolicy policy) { policy_ = policy; }
  void set_due_inputs(const core::DueTimeInputs& inputs);
  void set_limits(const core::WindowLimits& limits) { limits_ = limits; }
  void set_per_stream(bool is_per_stream);
  // Who chooses the levels (borrowed); null: all frames get the full stage.
  void set_chooser(LevelChooser* chooser) { chooser_ = chooser; }
  // The element is part of a stage: due times come with the frames.
  void set_in_stage(bool is_in_stage) { is_in_stage_ = is_in_stage; }
  // The last result is shown again instead of a bypass.
  void set_reuse(bool reuses) { reuses_ = reuses; }
  bool reuses() const { return reuses_; }
  // A result that came after its frame had left, if it is the newest one: to be
  // shown in place of a later frame. Once.
  BufferPtr take_late_result() { return std::move(late_result_); }
  // Of levels the bus is told.
  void set_tells_levels(bool tells) { tells_levels_ = tells; }
  bool tells_levels() const { return tells_levels_; }
  // False: a frame that a worker has begun with is waited for.
  void set_rescue(bool can_rescue) { can_rescue_ = can_rescue; }
  core::LatePolicy late_policy() const { return policy_; }
  const core::DueTimeInputs& due_inputs() const { return due_inputs_; }
  const core::WindowLimits& limits() const { return limits_; }
  bool is_per_stream() const { return is_per_stream_; }

  // Ended from begin_*() to start() or finish_flush(): nothing comes in, no
  // worker gets anything, and all waits for what stands here end.
  bool is_ended() const { return is_flushing_ || is_stopped_; }
  void start();
  void begin_stop();
  void finish_stop();
  void begin_flush();
  // Returns the events that have been overtaken; some of them are state.
  std::vector<EventPtr> finish_flush();

  // In. Only while it has not ended.
  bool has_room(std::uint64_t bytes) const;
  // `bytes`: of the frame.
  void add_frame(Frame frame, std::uint64_t bytes,
                 const std::shared_ptr<const StickyState>& sticky);
  void add_event(EventPtr event,
                 const std::shared_ptr<const StickyState>& sticky);
  void add_question(Question& question,
                    const std::shared_ptr<const StickyState>& sticky);
  // `query` (transfer none): what is asked; it is left as it is.
  core::Sequence add_stage_question(
      StageQuestion& question, GstQuery* query,
      const std::shared_ptr<const StickyState>& sticky);

  // Frames with other caps follow.
  void on_caps(const std::string& text);

  // Through the workers.
  void on_finished(const Worker& worker, core::Sequence sequence,
                   JobResult& result);
  // The worker died with the job. Another one gets what it had, unless it ended
  // two of them.
  void on_lost(const Worker& worker, Job job);
  // The host was told of the end of a worker, which is still on the roster.
  void on_worker_gone(const Worker& worker);
  // A worker has come, or there may be more of them to work.
  void on_worker_added() { assign(); }
  void review(core::MonotonicTime now);
  // The workers that were offered as this generation do what comes from now on,
  // for which the stage is `is_per_stream` or not. False: others have been
  // offered since.
  bool begin_generation(WorkerRoster::Generation generation,
                        bool is_per_stream);
  // No more workers come: nothing waits for one any longer. False: that has
  // been so before.
  bool give_up();
  // A frame waits for a running worker although another one is idle.
  bool has_left_waiting();
  // It has waited long enough.
  void assign_left_waiting() { assign(workers_.idle_count()); }
  LineEntry* find(core::Sequence sequence) { return window_.find(sequence); }

  // Out. head() and what is said of it: while it is not empty.
  bool is_empty() const { return window_.is_empty(); }
  LineEntry& head() { return window_.front(); }
  core::HeadVerdict judge_head();
  std::optional<core::RunningTime> due_of(const LineEntry& entry) const;
  // The head leaves; what it has to give has been taken out.
  void pop();
  // Nobody wants the result of the head any more.
  // Its worker is set aside; that is news if it `is_overdue`.
  void abandon_head(bool is_overdue);
  void discard_head(core::Cause cause);

  // Ends a frame's account with the flow that its push returned.
  void account(const core::FrameRecord& record, GstFlowReturn flow,
               const Choice& choice = {});
  void count_copies(std::uint64_t buffers, std::uint64_t bytes) {
    sums_.on_copies(buffers, bytes);
  }
  const core::FrameSums& sums() const { return sums_; }
  // A sink says that the frame `r` was so late; returns what is to be kept for
  // the way to it.
  core::Duration on_qos(core::RunningTime r, core::Duration jitter);
  // The first one that is not OK ends the stream, until a flush or a new one.
  void take_flow(GstFlowReturn flow);
  LevelChooser* chooser() const { return chooser_; }
  GstFlowReturn flow() const { return flow_; }

 private:
  bool has_much_room() const;
  LineEntry& append(LineEntry::Kind kind,
                    const std::shared_ptr<const StickyState>& sticky);
  void stamp_arrival(LineEntry& entry);
  void tell_arrival(const LineEntry& entry);
  bool concerns_output(const LineEntry& head) const;
  // `awake`: of the idle workers, how many need not be woken.
  void assign(unsigned awake = 0);
  bool assign(LineEntry& entry, unsigned& awake);
  bool choose_level(LineEntry& entry);
  std::optional<core::Duration> slack_of(const LineEntry& entry) const;
  std::optional<core::RunningTime> measuring_time();
  core::RunningTime level_time();
  LineEntry* oldest_waiting();
  Staffing::Facts staffing_facts(core::MonotonicTime now);
  bool has_earlier_generation() const {
    return window_.base() < generation_begin_;
  }
  void lose(LineEntry& entry, core::Cause cause);
  void end_earlier_generations();
  LevelChooser::Ending ending_of(core::Sequence sequence,
                                 const JobResult& result);
  void keep_late_result(core::Sequence sequence, Outputs& outputs);
  bool may_be_stalled(const LineEntry& head) const;
  void await_key_unit(const LineEntry& entry);
  bool is_key_unit_missing(const LineEntry& entry);
  bool is_left_waiting(const LineEntry& entry) const;
  bool has_to_keep_original(const LineEntry& entry) const;
  void hand_over(LineEntry& entry, std::shared_ptr<Worker> worker,
                 core::MonotonicTime now);
  void pass_on_prelude(LineEntry& entry);
  void interrupt_waits();
  void discard_all(core::Cause cause);
  void trace_counts();

  GstElement* const owner_;
  const PipelineTime& time_;
  WorkerRoster& workers_;
  Staffing& staffing_;
  Wakes& wakes_;
  ElementTrace& trace_;

  core::WindowLimits limits_;
  core::LatePolicy policy_ = core::LatePolicy::kBypass;
  core::DueTimeInputs due_inputs_;
  bool is_per_stream_ = false;
  LevelChooser* chooser_ = nullptr;
  core::RunningTime level_time_{};
  core::Duration level_time_skew_{};  // of running time
  bool is_in_stage_ = false;
  bool can_rescue_ = true;
  bool reuses_ = false;
  bool tells_levels_ = true;

  core::ReorderWindow<LineEntry> window_;
  std::vector<EventPtr> prelude_;  // for the next frame's worker
  unsigned frames_in_flight_ = 0;
  unsigned waiting_frames_ = 0;          // that no worker has
  unsigned done_frames_ = 0;             // that wait to leave
  core::Sequence generation_begin_ = 0;  // the first of the present one
  // A stage with state was lost: what depends on earlier frames is of no use.
  bool awaits_key_unit_ = false;
  bool earlier_awaits_key_unit_ = false;  // the earlier generation
  bool has_asked_key_unit_ = false;
  bool is_given_up_ = false;
  std::uint64_t bytes_in_flight_ = 0;
  core::Sequence first_after_flush_ = 0;
  bool is_stopped_ = true;
  bool is_flushing_ = false;

  core::Sequence last_applied_ = 0;  // whose result is the newest one
  BufferPtr late_result_;
  core::FrameSums sums_;
  core::TransitTime transit_;
  GstFlowReturn flow_ = GST_FLOW_OK;
};

}  // namespace dispatch::stage
