// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Where a worker process is between its start and its end.
//
//   starting --on_ready()--> ready --end()--> ending
//       |                      |                |
//       +------------- kill() -+----------------+--> killed
//       |                      |                |       |
//       +----------------------+--- on_gone() --+-------+--> gone
//
// For: what may still be read of it, and whether its end is news.
// Not for: the process itself (os/child_process). Thread: confined.
#pragma once

namespace dispatch::core {

class WorkerLife {
 public:
  bool is_starting() const { return state_ == State::kStarting; }
  bool is_ready() const { return state_ == State::kReady; }
  bool is_gone() const { return state_ == State::kGone; }
  // Nobody has told it to end, nor has it ended.
  bool is_wanted() const { return is_starting() || is_ready(); }
  // What it has not done yet may still come.
  bool may_report() const { return is_wanted() || state_ == State::kEnding; }
  // What it wrote is read. That holds for what is left of one that died by
  // itself, and for nothing of one that was killed.
  bool is_believed() const { return is_believed_; }

  // It says that it is ready. False: it may not, having said so before.
  bool on_ready();
  // It is told to end, or has said that it will.
  void end();
  // It breaks a rule, or there is no time to let it end. False: it was killed
  // before, or is gone.
  bool kill();
  // Its process is there no more. Whether that is news: nobody wanted it to end
  // while it was ready.
  bool on_gone();

 private:
  enum class State { kStarting, kReady, kEnding, kKilled, kGone };
  State state_ = State::kStarting;
  bool is_believed_ = true;
};

}  // namespace dispatch::core
