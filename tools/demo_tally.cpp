// SPDX-License-Identifier: LGPL-2.1-or-later
#include "demo_tally.h"

#include <algorithm>

namespace dispatch::demo {

void Tally::add(std::size_t number, Nanos now, Nanos due, bool has_effect) {
  add_gap(&seen_, now);
  if (last_shown_ && number <= highest_number_) ++seen_.out_of_order;
  highest_number_ = std::max(highest_number_, number);
  last_shown_ = now;
  ++(now > due + tolerance_ ? seen_.late : seen_.on_time);
  ++(has_effect ? seen_.full_effect : seen_.originals);
}

Seen Tally::seen_at(Nanos now) const {
  Seen seen = seen_;
  add_gap(&seen, now);
  return seen;
}

void Tally::add_gap(Seen* seen, Nanos now) const {
  if (!last_shown_) return;
  const Nanos freeze = now - *last_shown_ - frame_duration_;
  if (freeze <= tolerance_) return;
  seen->frozen += freeze;
  seen->longest_freeze = std::max(seen->longest_freeze, freeze);
}

}  // namespace dispatch::demo
