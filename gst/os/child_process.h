// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A process of ours, from its start to its end.
//
// For: running a worker program with one inherited socket, being told of its
// end by a descriptor that becomes readable (pidfd), ending it. Not for: what
// is said over the socket. Thread: confined, but kill() is thread-safe.
// Ownership: nobody else in this process may reap it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "os/result.h"
#include "os/unique_fd.h"

namespace dispatch::os {

class ChildProcess {
 public:
  ChildProcess() = default;
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  // Kills what still runs, and waits for it.
  ~ChildProcess();

  // Runs `argv` (found on our PATH if it has no slash) with `environment`
  // (NAME, value) added to ours or in place of it. `inherited` (borrowed)
  // becomes the child's descriptor `as`; all other descriptors but 0 to 2 are
  // closed in it. `errors` (borrowed) becomes its standard error; below 0: ours
  // is. No signal is blocked in it, and SIGPIPE ends it.
  // The error of a program that cannot be run names it.
  static Result<ChildProcess> spawn(
      const std::vector<std::string>& argv,
      const std::vector<std::pair<std::string, std::string>>& environment,
      int inherited, int as, int errors = -1);

  int pid() const { return pid_; }
  // Readable when it has ended.
  int pidfd() const { return pidfd_.get(); }
  void kill() const;  // SIGKILL

  // How it ended, in words: "exited with status 3", "was killed by signal 11
  // (Segmentation fault)". Waits until it has; reaps it. Once.
  std::string wait();

 private:
  int pid_ = -1;
  UniqueFd pidfd_;
};

}  // namespace dispatch::os
