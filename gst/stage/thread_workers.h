// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The worker threads of one element, and their copies of its stage.
//
// For: building the copies inside the element, which is a bin, and starting and
// ending the threads. Not for: what the workers do (dispatcher).
// Thread: build() to finish_close() on the thread of the state change; the
// others are thread-safe. No lock is held while calling into GStreamer.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "stage/stage_prototype.h"
#include "stage/thread_worker.h"

namespace dispatch::stage {

class ThreadWorkers {
 public:
  // Called for each copy (transfer none) when it has been built.
  using SetupFn = std::function<void(GstElement* copy, unsigned number)>;

  // `bin` (transfer none): the element.
  ThreadWorkers(GstElement* bin, StagePrototype& prototype, SetupFn setup);

  // `first` is `description`, parsed once already. Copies are children of the
  // bin afterwards and follow its state.
  void build(ParsedStage first, const std::string& description, unsigned count,
             const std::shared_ptr<Negotiation>& negotiation,
             const std::shared_ptr<WorkerListener>& listener);
  void start();
  // Ends the idle threads. A copy that is busy is not waited for: it leaves the
  // bin and takes itself down when it comes back.
  void begin_close();
  // Takes the copies down that are still in the bin.
  void finish_close();

  unsigned count() const;
  std::vector<std::shared_ptr<Worker>> all() const;
  // The stage may behave differently from now on: new caps.
  void relearn();

  // Through the stage of the first worker. False without workers too.
  bool exist() const { return count() != 0; }
  bool query_input(GstQuery* query) const;   // as if it came from upstream
  bool query_output(GstQuery* query) const;  // as if it came from downstream
  bool event_at_output(EventPtr event) const;

 private:
  void add(ParsedStage stage, unsigned number,
           const std::shared_ptr<Negotiation>& negotiation,
           const std::shared_ptr<WorkerListener>& listener);
  std::shared_ptr<ThreadWorker> front() const;

  GstElement* const bin_;
  StagePrototype& prototype_;
  const SetupFn setup_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<ThreadWorker>> workers_;  // under mutex_
  std::shared_ptr<core::OriginalKeeping> keeping_;      // under mutex_
};

}  // namespace dispatch::stage
