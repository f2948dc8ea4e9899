// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The last lines of a text that goes on and on.
//
// For: what a process wrote before it died. Bounded, whatever it writes. Not
// for: where it comes from (process/error_output). Thread: confined.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>

namespace dispatch::core {

class LastLines {
 public:
  static constexpr std::size_t kMaxLines = 10;
  static constexpr std::size_t kMaxLineBytes = 400;  // the rest of it is cut

  // The next piece, which may end anywhere.
  void add(std::string_view text);
  // With line feeds between them, none at the end; empty ones are left out.
  std::string text() const;

 private:
  std::deque<std::string> lines_;  // the last one may go on
  bool goes_on_ = false;
};

}  // namespace dispatch::core
