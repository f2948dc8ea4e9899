// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A file that several processes append to, and that the first of them begins
// anew.
//
// For: a log that is whole whoever crashes: what was written stays, in whole
// pieces. Not for: what is in it. Thread: confined.
//
// Who writes holds a shared lock (flock) on the file. Who finds it unlocked is
// the first one: it empties the file and writes the beginning.
#pragma once

#include <string>
#include <string_view>

#include "os/result.h"
#include "os/unique_fd.h"

namespace dispatch::os {

class AppendFile {
 public:
  // `begin`: what the file begins with.
  static Result<AppendFile> open(const std::string& path,
                                 std::string_view begin);

  // All of it, or an errno value that says why not; 0: it is written. Blocks
  // for as long as the disk does, and up to a second for who reads a pipe. A
  // pipe whose reader has left raises SIGPIPE.
  int append(std::string_view text);

 private:
  explicit AppendFile(UniqueFd fd) : fd_(std::move(fd)) {}

  UniqueFd fd_;
};

}  // namespace dispatch::os
