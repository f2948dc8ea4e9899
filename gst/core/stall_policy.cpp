// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/stall_policy.h"

#include <algorithm>
#include <numeric>

namespace dispatch::core {

void StallPolicy::on_finished(Duration service) {
  services_.at(next_) = service;
  next_ = (next_ + 1) % kRemembered;
  count_ = std::min(count_ + 1, kRemembered);
}

std::optional<Duration> StallPolicy::timeout(std::optional<Duration> named,
                                             bool has_due_times) const {
  if (named) return named;
  if (!has_due_times) return std::nullopt;
  if (count_ == 0) return kFirstTimeout;
  return std::max(kShortestTimeout, kTolerance * longest_ordinary());
}

std::optional<Duration> StallPolicy::mean_service() const {
  if (count_ == 0) return std::nullopt;
  const auto* end = services_.begin() + count_;
  return std::accumulate(services_.begin(), end, Duration::zero()) /
         static_cast<Duration::rep>(count_);
}

Duration StallPolicy::longest_ordinary() const {
  std::array<Duration, kRemembered> sorted = services_;
  const std::size_t rank = (count_ * 99 + 99) / 100 - 1;
  std::nth_element(sorted.begin(), sorted.begin() + rank,
                   sorted.begin() + count_);
  return sorted.at(rank);
}

}  // namespace dispatch::core
