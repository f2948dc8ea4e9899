// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/last_lines.h"

#include <algorithm>

namespace dispatch::core {

void LastLines::add(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end != 0) {
      if (!goes_on_) lines_.emplace_back();
      goes_on_ = true;
      std::string& line = lines_.back();
      line.append(text.substr(0, std::min(end, kMaxLineBytes - line.size())));
    }
    if (end == text.size()) break;
    goes_on_ = false;
    text.remove_prefix(end + 1);
  }
  while (lines_.size() > kMaxLines) lines_.pop_front();
}

std::string LastLines::text() const {
  std::string all;
  for (const std::string& line : lines_) {
    if (!all.empty()) all += '\n';
    all += line;
  }
  return all;
}

}  // namespace dispatch::core
