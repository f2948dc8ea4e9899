// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/transit_time.h"

#include <algorithm>

namespace dispatch::core {

void TransitTime::on_departure(RunningTime r, RunningTime left) {
  departures_[departed_++ % kFrames] = {r, left};
}

void TransitTime::on_qos(RunningTime r, Duration jitter, Duration total) {
  const auto end = departures_.begin() +
                   static_cast<std::ptrdiff_t>(std::min(departed_, kFrames));
  const auto known =
      std::find_if(departures_.begin(), end,
                   [r](const Departure& frame) { return frame.r == r; });
  if (known == end) return;
  // Bridges say what they like: nothing is reckoned with a jitter that no frame
  // of ours can have.
  const Duration longest = known->left - r;
  if (jitter > longest || jitter < longest - total) return;
  const Duration transit = total - (longest - jitter);
  transits_[heard_++ % kFrames] =
      jitter > Duration::zero() ? transit : std::min(transit, quantile());
}

Duration TransitTime::quantile() const {
  const std::size_t count = std::min(heard_, kFrames);
  if (count == 0) return Duration::zero();
  std::array<Duration, kFrames> sorted = transits_;
  const auto place =
      static_cast<std::ptrdiff_t>(kQuantile * static_cast<double>(count - 1));
  std::nth_element(sorted.begin(), sorted.begin() + place,
                   sorted.begin() + static_cast<std::ptrdiff_t>(count));
  return sorted[static_cast<std::size_t>(place)];
}

Duration TransitTime::reserve(Duration budget) const {
  return std::min(quantile(), budget / kMostShare);
}

void TransitTime::reset() { departed_ = heard_ = 0; }

}  // namespace dispatch::core
