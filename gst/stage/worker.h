// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The asynchronous, cancellable interface to something that runs one copy of a
// stage: a thread here, a process elsewhere.
//
// For: the dispatcher, to which all workers are the same: it hands over a job,
// is told of its end, and may say before that that it no longer wants it.
// Not for: order, due times, late policy; those are the dispatcher's.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/frame_record.h"
#include "core/instant.h"
#include "stage/frame.h"
#include "stage/sticky_state.h"

namespace dispatch::stage {

// What a worker is to do. Owned by the worker until it is done.
struct Job {
  core::Sequence sequence = 0;
  std::shared_ptr<const StickyState> sticky;
  std::vector<EventPtr> prelude;  // serialized events just before the frame
  // One of the three:
  Frame frame;
  EventPtr event;  // per-stream stages see every serialized event
  QueryPtr query;
  // The original may still be needed: it must stay as it is.
  bool keep_original = false;
  // Everything that leaves the copy is part of the stream, events too.
  bool is_per_stream = false;
  std::optional<core::MonotonicTime> due;
  unsigned level = 0;  // of the worker's ladder: 0 is the full stage
  // Frames went past the level since it was last used.
  bool is_after_gap = false;
  // Of one that comes back by on_lost(): the worker may have begun with it.
  bool may_have_begun = true;
};

struct JobResult {
  Outputs outputs;
  GstFlowReturn flow = GST_FLOW_OK;
  QueryPtr answer;  // the job's query, if the stage answered it
  std::uint64_t copied_buffers = 0;  // originals copied before the stage
  std::uint64_t copied_bytes = 0;
  core::MonotonicTime start{};
  core::MonotonicTime end{};

  void reset() {
    outputs.clear();
    flow = GST_FLOW_OK;
    answer.reset();
    copied_buffers = copied_bytes = 0;
  }
};

// Thread-safe in all methods. None of them blocks on the stage.
class Worker {
 public:
  virtual ~Worker() = default;

  virtual unsigned number() const = 0;
  // The id of its process, if that is another one than the element's.
  virtual std::optional<int> process() const { return std::nullopt; }
  // Only while it has no job.
  virtual void submit(Job job) = 0;
  // The result of that job is not wanted any more: end it as soon as possible.
  // The end is still told.
  virtual void abandon(core::Sequence sequence) = 0;
  // Ends what blocks inside the stage. Before its next job the worker brings
  // its stage back to a flowing state.
  virtual void flush() = 0;
  // Ends it by force: what it has comes back by WorkerListener::on_lost(), and
  // the host is told. False: it cannot be, it is a thread.
  virtual bool kill(const std::string& why) { return false; }
  // It does nothing any more: a job that it gets comes back by
  // WorkerListener::on_lost(). True before the host is told of its end.
  virtual bool has_ended() const { return false; }
};

// What a worker tells. Called on the worker's own thread, no lock held.
class WorkerListener {
 public:
  virtual ~WorkerListener() = default;

  // May take what it needs out of `result`. The worker is free for a new job
  // when this is called, and may be handed one within the call.
  virtual void on_finished(Worker& worker, core::Sequence sequence,
                           JobResult& result) = 0;
  // The worker came to an end with this job; it is not told of as finished. Its
  // frame is as it came; an empty one: the stage may have written to it.
  virtual void on_lost(Worker& worker, Job job) = 0;
  // A flush or a stop goes on: a job may end with FLUSHING.
  virtual bool is_interrupting() const = 0;
  // Something is under way: it waits for a worker, is with one, or waits to
  // leave.
  virtual bool has_frames() const = 0;
};

}  // namespace dispatch::stage
