// SPDX-License-Identifier: LGPL-2.1-or-later
#include "notes.h"

#include <errno.h>
#include <stdio.h>

#include <chrono>
#include <cstdarg>

#include "pipeline.h"

namespace dispatch::demo {

Notes::Notes(const std::string& path) : file_(fopen(path.c_str(), "w")) {
  if (file_ != nullptr) return;
  report_problem(text("%s: %s", path.c_str(), g_strerror(errno)));
}

Notes::~Notes() {
  if (file_ != nullptr) fclose(file_);
}

void Notes::write(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(file_, format, arguments);
  va_end(arguments);
}

long long monotonic_now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

}  // namespace dispatch::demo
