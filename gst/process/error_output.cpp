// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/error_output.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <string_view>

#include <glib.h>

#include "os/pipe.h"

namespace dispatch::process {

namespace {

// All that a pipe holds, usually.
constexpr int kMaxReads = 16;

}  // namespace

bool ErrorOutput::read_all() {
  std::array<char, PIPE_BUF> space;
  for (int i = 0; i < kMaxReads; ++i) {
    bool is_over = false;
    const std::string_view text = os::read_some(reader_.get(), space, is_over);
    if (text.empty()) return !is_over;
    os::write_what_fits(STDERR_FILENO, text);
    const std::lock_guard lock(mutex_);
    lines_.add(text);
  }
  return true;
}

std::string ErrorOutput::last_lines() const {
  const std::lock_guard lock(mutex_);
  const std::string lines = lines_.text();
  g_autofree gchar* valid = g_utf8_make_valid(lines.c_str(), -1);
  return valid;
}

}  // namespace dispatch::process
