// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/arrival_rate.h"

#include <algorithm>

namespace dispatch::core {

void ArrivalRate::on_arrival(MonotonicTime now) {
  if (count_ > 0 && now - arrival(0) > kGap) count_ = 0;
  ring_.at(next_) = now;
  next_ = (next_ + 1) % kRemembered;
  count_ = std::min(count_ + 1, kRemembered);
}

MonotonicTime ArrivalRate::arrival(std::size_t ago) const {
  return ring_.at((next_ + kRemembered - 1 - ago) % kRemembered);
}

std::optional<MonotonicTime> ArrivalRate::last() const {
  if (count_ == 0) return std::nullopt;
  return arrival(0);
}

// The fewest that are long enough together. Asked for with each frame: halving
// the rest finds them in a few looks where frames come by the thousand.
std::size_t ArrivalRate::intervals() const {
  std::size_t most = count_ - 1;
  std::size_t fewest = std::min(kIntervals, most);
  while (fewest < most) {
    const std::size_t middle = (fewest + most) / 2;
    if (arrival(0) - arrival(middle) < kShortestSpan)
      fewest = middle + 1;
    else
      most = middle;
  }
  return fewest;
}

double ArrivalRate::per_second(MonotonicTime now) const {
  if (count_ < 2) return 0;
  const std::size_t intervals = this->intervals();
  Duration span = arrival(0) - arrival(intervals);
  // A full ring is no burst.
  if (count_ < kRemembered) span = std::max(span, kShortestSpan);
  span = std::max(span, Duration(1));
  const auto n = static_cast<double>(intervals);
  const double usual = std::chrono::duration<double>(span).count();
  const double since = std::chrono::duration<double>(now - arrival(0)).count();
  // Once the next one is overdue the time without it counts as an interval.
  if (since > usual / n) return (n + 1) / (usual + since);
  return n / usual;
}

}  // namespace dispatch::core
