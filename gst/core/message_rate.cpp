// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/message_rate.h"

#include <utility>

namespace dispatch::core {

std::optional<unsigned> MessageRate::pass(MonotonicTime now) {
  if (!second_begin_ || now - *second_begin_ >= std::chrono::seconds(1)) {
    second_begin_ = now;
    told_ = 0;
  }
  if (told_ == most_) {
    ++kept_back_;
    return std::nullopt;
  }
  ++told_;
  return std::exchange(kept_back_, 0);
}

}  // namespace dispatch::core
