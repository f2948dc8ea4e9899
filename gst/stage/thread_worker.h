// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A worker that is a thread, or the thread that gives it its jobs.
//
// For: running one copy of each level of a ladder, mostly of one stage. Once
// start() was called, on a GstTask of the first copy's feeder pad, so that
// STREAM_STATUS messages let applications set its priority or bring their own
// threads; before that, in submit(). Not for: choosing what to run.
//
// A thread cannot be killed. finish() lets go of one that is busy: it stays
// alive by itself, tells nobody, and takes its copies down when it comes back.
//
// Thread: thread-safe, but start() and finish() from one thread, and start()
// not while a job runs.
// Lock order: the Dispatcher's lock before this one's.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "stage/stage_copy.h"
#include "stage/worker.h"

namespace dispatch::stage {

class ThreadWorker final : public Worker,
                           public std::enable_shared_from_this<ThreadWorker> {
 public:
  // A copy of each level, the full stage first.
  using Copies = std::vector<std::unique_ptr<StageCopy>>;
  ThreadWorker(Copies copies, std::shared_ptr<WorkerListener> listener);

  const Copies& copies() const { return copies_; }
  StageCopy& full() const { return *copies_.front(); }

  // The copies' bins must be in PAUSED or PLAYING. False: no thread to be had.
  bool start();
  // Ends an idle thread and returns true. A busy one is set aside and false is
  // returned: the caller takes the copies' bins out of its own bin and forgets
  // about the worker. Never waits for the stage.
  bool finish();

  unsigned number() const override { return full().number(); }
  void submit(Job job) override;
  void abandon(core::Sequence sequence) override;
  void flush() override;

 private:
  static void loop(gpointer self);
  bool wait_for_job();
  void run();
  void end_set_aside();

  const Copies copies_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // All under mutex_:
  std::shared_ptr<WorkerListener> listener_;  // null once set aside
  std::optional<Job> next_;
  bool has_thread_ = false;
  bool is_busy_ = false;
  bool is_waiting_ = false;
  bool is_stopping_ = false;
  std::shared_ptr<ThreadWorker> self_;  // while set aside
  // Of the thread that runs the job:
  Job job_;
  JobResult result_;
};

}  // namespace dispatch::stage
