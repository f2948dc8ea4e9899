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
        pid_(child.pid()),
        pidfd_(child.pidfd()),
        child_(std::move(child)) {}

  // As of core::WorkerLife; what is true now may be false at once.
  bool is_starting() const;
  bool is_ready() const;
  bool is_gone() const;
  bool may_report() const;
  bool is_believed() const;
  // Whether what it has may still be touched by it: it is there, or was left
  // while it was.
  bool may_touch() const;

  // Also when it is gone.
  int pid() const { return pid_; }
  // Readable when the process has ended.
  int pidfd() const { return pidfd_; }

  // It says that it is ready, or cannot be (`why_not`).
  void on_ready(std::optional<stage::Problem> why_not);
  // Until it has said so; says why it has not.
  std::optional<stage::Problem> wait_ready(core::MonotonicTime until);
  // It is ready and can be used: from now on its end is a loss. Or why not.
  std::optional<stage::Problem> begin_service();

  // Its end is no loss from now on.
  void end();
  // The same, unless it is being lost: that is told all the same.
  void let_go();
  void kill();
  // Kills it, because of `problem`, which is all that is told. Whether that is
  // news: of one that is not ready, wait_ready() tells, of one that ends,
  // nobody.
  [[nodiscard]] bool kill_because(const stage::Problem& problem);
  // Kills it: it is lost. `how`: "was stuck"; `problem`: what is told of one
  // that is not ready yet, or where nothing can be done without it. False:
  // somebody has killed it before, or it has ended.
  bool lose(const std::string& how, const stage::Problem& problem);
  // It can say nothing any more. What became of it is told when it has ended.
  void on_hung_up();

  struct End {
    stage::Loss loss;
    bool is_loss = false;  // nobody wanted it to end
  };
  // The process has ended; nothing if it had been left. `log`: the last lines
  // that it wrote.
  std::optional<End> on_gone(std::string log);
  // False: it is still there.
  bool wait_gone(core::MonotonicTime until);
  // It is not waited for any more, and counts as gone. Nothing if it has ended
  // meanwhile.
  struct Left {
    os::ChildProcess child;  // the caller's, from now on
    End end;
  };
  std::optional<Left> leave(std::string log);

 private:
  void kill_locked();
  End end_locked(int pid, std::string how, std::string log);

  const std::string name_;
  const int pid_;    // child_'s
  const int pidfd_;  // child_'s
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // All under mutex_:
  os::ChildProcess child_;
  core::WorkerLife life_;
  bool is_in_service_ = false;
  bool is_left_ = false;
  bool is_lost_ = false;  // it was killed, and that is to be told
  std::string how_;       // it was lost
  std::optional<stage::Problem> problem_;
};

}  // namespace dispatch::process
