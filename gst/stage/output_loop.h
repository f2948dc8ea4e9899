// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The end of the line: one thread that waits for the oldest frame, at most
// until it is due, and lets it leave.
//
// For: having the head judged, sleeping until it can leave, and pushing its
// result, or what the late policy has instead. Not for: judging (core,
// through frame_line), how a push is made (ordered_output).
// Thread: confined to the src pad's task; start(), flush() and reset() while
// that one is paused.
// Ownership: of what is on its way from the head to downstream.
// Failure: downstream's flow goes to the line, for the next frame that comes.
//
// Lock order: src pad's stream lock, then the Section of run(). The steps take
// and return with it held, and let go of it around calls into GStreamer.
#pragma once

#include <optional>
#include <vector>

#include "stage/frame_line.h"
#include "stage/level_messages.h"
#include "stage/ordered_output.h"
#include "stage/pipeline_time.h"
#include "stage/wakes.h"

namespace dispatch::stage {

class OutputLoop {
 public:
  // `owner` and `src` (transfer none): the element, which outlives this, and
  // its src pad. The others are borrowed.
  OutputLoop(GstElement* owner, GstPad* src, const PipelineTime& time,
             FrameLine& line, Wakes& wakes, ElementTrace& trace);

  // Pushes until the line has ended.
  void run();
  // Pushes what can leave at once, on the thread that holds the section. For an
  // element whose worker runs on that thread.
  void run_at_once(Section& section) {
    while (can_step()) take_step(section);
  }

  void set_in_stage(bool is_in_stage) { output_.set_in_stage(is_in_stage); }
  void start() { has_said_no_bypass_ = false; }
  // `overtaken`: events that leave with what comes next, if they are state.
  void flush(std::vector<EventPtr> overtaken);
  void reset() { output_.reset(); }

 private:
  bool can_step();
  void take_step(Section& section);
  void wait_for_head(Section& section, const core::HeadVerdict& verdict);
  void wait_for_reports(Section& section, const core::HeadVerdict& verdict);
  std::optional<core::RunningTime> decide_wake_up(
      const core::HeadVerdict& verdict);
  void ask_downstream(Section& section);
  void release_event(Section& section);
  void release_answer();
  void release_result(Section& section);
  void release_overdue(Section& section, core::Cause cause);
  // A frame is about to leave: what is slow from here on is downstream's.
  void stamp_departure(core::FrameRecord& record) const;
  // A frame on its way from the line to downstream.
  struct Leaving {
    core::FrameRecord record;
    Stamps stamps;
    std::shared_ptr<const StickyState> sticky;
    FrameLine::Choice choice;
  };
  Leaving begin_leaving(const LineEntry& head) const;
  GstFlowReturn push_substitute(Leaving& frame, Frame original,
                                core::LatePolicy policy, bool reuses);
  void post_qos(Section& section, const Leaving& frame, core::Duration jitter);
  void tell_news(Section& section, const Leaving& frame);
  void say_no_bypass_once(core::Action instead);

  GstElement* const owner_;
  const PipelineTime& time_;
  FrameLine& line_;
  Wakes& wakes_;
  // Of the task:
  OrderedOutput output_;
  Outputs outputs_;                            // of the head, while it leaves
  std::optional<core::RunningTime> last_due_;  // of what left last
  core::Duration last_push_{};                 // how long it took
  bool has_said_no_bypass_ = false;
  LevelMessages level_messages_;
};

}  // namespace dispatch::stage
