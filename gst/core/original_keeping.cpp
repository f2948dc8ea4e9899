// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/original_keeping.h"

namespace dispatch::core {

HandOver OriginalKeeping::decide() const {
  const State state = state_.load(std::memory_order_relaxed);
  return state == State::kProbe || state == State::kWritesInPlace
             ? HandOver::kCopy
             : HandOver::kShared;
}

// SAFETY: relaxed order is enough; the state is a hint that guards no data.
void OriginalKeeping::on_result(HandOver how, bool same_memory) {
  const State state = state_.load(std::memory_order_relaxed);
  if (state == State::kUnknown && how == HandOver::kShared && !same_memory)
    state_.store(State::kProbe, std::memory_order_relaxed);
  if (state == State::kProbe && how == HandOver::kCopy)
    state_.store(same_memory ? State::kWritesInPlace : State::kMakesNew,
                 std::memory_order_relaxed);
}

void OriginalKeeping::reset() {
  state_.store(State::kUnknown, std::memory_order_relaxed);
}

}  // namespace dispatch::core
