// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A file with a line for each frame.
//
// For: what the parts of a call tell the one who compares them.
// Thread: one at a time; GStreamer's threads come one after the other.
// Failure: a file that cannot be opened is said on stderr.
#pragma once

#include <string>

#include <glib.h>

namespace dispatch::demo {

class Notes {
 public:
  explicit Notes(const std::string& path);
  ~Notes();
  Notes(const Notes&) = delete;
  Notes& operator=(const Notes&) = delete;

  bool is_open() const { return file_ != nullptr; }
  void write(const char* format, ...) G_GNUC_PRINTF(2, 3);

 private:
  FILE* file_;
};

// CLOCK_MONOTONIC in nanoseconds.
long long monotonic_now();

}  // namespace dispatch::demo
