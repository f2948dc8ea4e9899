// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/restart_policy.h"

#include <algorithm>

namespace dispatch::core {

Duration RestartPolicy::next_delay(MonotonicTime now) const {
  if (!replaced_ || now - *replaced_ > kShortLife) return Duration::zero();
  return std::clamp(2 * delay_, kFirstDelay, kLongestDelay);
}

RestartPolicy::Verdict RestartPolicy::on_death(MonotonicTime now,
                                               bool was_useful) {
  if (is_exhausted_ || deaths_in_a_row_ >= limit_) {
    is_exhausted_ = true;
    return {};
  }
  ++deaths_in_a_row_;
  if (was_useful) return {true, std::max(now, replaced_.value_or(now))};
  delay_ = next_delay(now);
  replaced_ = now + delay_;
  return {true, *replaced_};
}

void RestartPolicy::reset() {
  const unsigned limit = limit_;
  *this = RestartPolicy();
  limit_ = limit;
}

}  // namespace dispatch::core
