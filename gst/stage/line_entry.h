// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What stands in the line: a frame, an event or a query, and what has become of
// it so far.
//
// For: making a job of it, and taking the result. Not for: order, due times,
// the late policy (frame_line).
// Thread: confined (the owner locks).
// Ownership: of what came and of what is to leave. Workers and questions are
// borrowed: a worker is on the roster as long as it has an entry, which it
// loses when it is done or dies; a question is on the stack of the thread that
// waits.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/frame_record.h"
#include "core/instant.h"
#include "core/skip_policy.h"
#include "stage/frame.h"
#include "stage/questions.h"
#include "stage/sticky_state.h"
#include "stage/worker.h"

namespace dispatch::stage {

struct LineEntry {
  enum class Kind {
    kFrame,
    kEvent,          // goes straight to the output
    kStageEvent,     // goes through the stage
    kQuestion,       // upstream's query, answered by downstream
    kStageQuestion,  // upstream's query, answered by the stage
  };
  Kind kind = Kind::kFrame;
  bool is_taken = false;  // by a worker, if it needs one
  bool is_done = false;   // the worker has returned it
  // It leaves without a result, whatever the late policy waits for.
  core::Cause lost = core::Cause::kNone;
  unsigned deaths = 0;           // of workers that had begun with it
  bool has_left_partly = false;  // a part of its result has been pushed
  unsigned generation = 0;       // of the workers that it is for
  Worker* worker = nullptr;      // that has it
  std::shared_ptr<const StickyState> sticky;
  std::vector<EventPtr> prelude;
  Frame frame;  // for the worker, until taken; then the original, if kept
  EventPtr event;
  QueryPtr allocation;
  Question* question = nullptr;  // upstream's, or its worker's
  StageQuestion* stage_question = nullptr;
  bool is_per_stream = false;
  Outputs outputs;
  GstFlowReturn flow = GST_FLOW_OK;
  Stamps stamps;
  std::uint64_t bytes = 0;
  std::optional<core::RunningTime> running_time;
  core::Duration slack_at_arrival = core::Duration::max();
  std::optional<core::MonotonicTime> due_monotonic;
  // It came with a due time, which the whole stage around has for it.
  bool came_with_due = false;
  // Where levels are chosen: what was, when a worker was free for it, and the
  // slack that it had then.
  std::optional<core::LevelVerdict> verdict;
  std::optional<core::Duration> slack;
  core::FrameRecord record;

  // Back to a new one, which keeps its capacity.
  void reset();

  bool needs_worker() const {
    return kind != Kind::kEvent && kind != Kind::kQuestion && !is_lost();
  }
  bool is_lost() const { return lost != core::Cause::kNone; }
  // What the worker is to do; moves what only the worker needs.
  Job make_job(bool keep_original);
  // Takes what it needs out of `result`.
  void store(JobResult& result);
  // The worker died: what it had of `job` is here again, and no worker has it.
  void give_back(Job job);
  // Refuses the question, if there is one whose turn has not come.
  void refuse_waiting_question(Wakes& wakes);
};

}  // namespace dispatch::stage
