// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The life of one worker process, for all threads that have to do with it.
//
// For: the process itself and core/worker_life under one lock: waiting until
// it is ready or gone, killing it, and why it came to an end, in words. Not
// for: telling anybody (process/process_worker), what it said
// (process/worker_messages) or wrote (process/job_exchange).
// Thread: thread-safe. Its mutex is the innermost one: no other is taken while
// it is held.
// Failure: of the process, as a stage::Problem; the first one stays.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>

#include "core/instant.h"
#include "core/worker_life.h"
#include "os/child_process.h"
#include "stage/workers.h"

namespace dispatch::process {

class ProcessLife {
 public:
  // `name`: "worker0", for the problems.
  ProcessLife(std::string name, os::ChildProcess child)
      : name_(std::move(name)),
        pidfd_(child.pidfd()),
        child_(std::move(child)) {}

  // As of core::WorkerLife; what is true now may be false at once.
  bool is_starting() const;
  bool is_ready() const;
  bool is_gone() const;
  bool may_report() const;
  bool is_believed() const;

  // Readable when the process has ended.
  int pidfd() const { return pidfd_; }

  // It says that it is ready, or cannot be (`why_not`).
  void on_ready(std::optional<stage::Problem> why_not);
  // Until it has said so; says why it has not.
  std::optional<stage::Problem> wait_ready(core::MonotonicTime until);

  // Its end is no problem from now on.
  void end();
  void kill();
  // Kills it, because of `problem`. Whether that is news: of one that is not
  // ready, wait_ready() tells, of one that ends, nobody.
  [[nodiscard]] bool kill_because(const stage::Problem& problem);
  // It can say nothing any more. What became of it is told when it has ended.
  void on_hung_up();

  // The process has ended; nothing if it had been left.
  struct End {
    std::string how;                     // for the log
    std::optional<stage::Problem> news;  // nobody wanted it to end
  };
  std::optional<End> on_gone();
  // False: it is still there.
  bool wait_gone(core::MonotonicTime until);
  // It is not waited for any more, and counts as gone: the caller's, from now
  // on. Nothing if it has ended meanwhile.
  std::optional<os::ChildProcess> leave();

 private:
  void kill_locked();

  const std::string name_;
  const int pidfd_;  // child_'s
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // All under mutex_:
  os::ChildProcess child_;
  core::WorkerLife life_;
  std::optional<stage::Problem> problem_;
};

}  // namespace dispatch::process
