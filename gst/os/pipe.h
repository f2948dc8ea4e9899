// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A pipe that makes nobody wait.
//
// For: what a child process writes to its standard error: neither the child nor
// whoever reads waits for the other one; what does not fit is lost. Not for:
// what has to arrive. Thread: confined.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "os/result.h"
#include "os/unique_fd.h"

namespace dispatch::os {

// Closed on exec, and without waiting, both of them.
struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};
Result<Pipe> make_pipe();

// The part of `space` that has been filled. Empty: there is nothing now;
// `is_over` (out): nor will there ever be.
std::string_view read_some(int fd, std::span<char> space, bool& is_over);

// As much of one page as can be written without waiting; the rest is lost.
void write_what_fits(int fd, std::string_view text);

}  // namespace dispatch::os
