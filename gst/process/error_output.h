// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a worker process writes to its standard error.
//
// For: passing it on to ours, unchanged, and keeping the last lines, which may
// say why it died. Neither the process nor the reader ever waits: what one
// cannot take at once is lost. Not for: the debug log (process/worker_log).
// Thread: read_all() on one thread at a time; last_lines() on any.
#pragma once

#include <mutex>
#include <string>

#include "core/last_lines.h"
#include "os/unique_fd.h"

namespace dispatch::process {

class ErrorOutput {
 public:
  // `reader`: of an os::Pipe.
  explicit ErrorOutput(os::UniqueFd reader) : reader_(std::move(reader)) {}

  int fd() const { return reader_.get(); }
  // What is there, but not without end: others are read on that thread too.
  // False: nothing more can come.
  bool read_all();
  // Valid UTF-8.
  std::string last_lines() const;

 private:
  const os::UniqueFd reader_;
  mutable std::mutex mutex_;
  core::LastLines lines_;  // under mutex_
};

}  // namespace dispatch::process
