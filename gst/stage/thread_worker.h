// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A worker that is a thread.
//
// For: running one copy of a stage on a GstTask of the copy's feeder pad, so
// that STREAM_STATUS messages let applications set its priority or bring their
// own threads. Not for: choosing what to run.
//
// A thread cannot be killed. set_aside() lets go of one that is busy: it stays
// alive by itself, tells nobody, and takes its copy down when it comes back.
//
// Thread: thread-safe, but start() and finish() from one thread.
// Lock order: the Dispatcher's lock before this one's.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "stage/stage_copy.h"
#include "stage/worker.h"

namespace dispatch::stage {

class ThreadWorker final : public Worker,
                           public std::enable_shared_from_this<ThreadWorker> {
 public:
  ThreadWorker(std::unique_ptr<StageCopy> copy,
               std::shared_ptr<WorkerListener> listener);

  StageCopy& copy() { return *copy_; }

  // The copy's bin must be in PAUSED or PLAYING. False: no thread to be had.
  bool start();
  // Ends an idle thread and returns true. A busy one is set aside and false is
  // returned: the caller takes the copy's bin out of its own bin and forgets
  // about the worker. Never waits for the stage.
  bool finish();

  unsigned number() const override { return copy_->number(); }
  void submit(Job job) override;
  void abandon(core::Sequence sequence) override;
  void flush() override;

 private:
  static void loop(gpointer self);
  bool wait_for_job();
  void end_set_aside();

  const std::unique_ptr<StageCopy> copy_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // All under mutex_:
  std::shared_ptr<WorkerListener> listener_;  // null once set aside
  std::optional<Job> next_;
  bool is_busy_ = false;
  bool is_waiting_ = false;
  bool is_stopping_ = false;
  std::shared_ptr<ThreadWorker> self_;  // while set aside
  // Of the thread:
  Job job_;
  JobResult result_;
};

}  // namespace dispatch::stage
