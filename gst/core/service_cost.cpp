// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/service_cost.h"

#include <algorithm>

namespace dispatch::core {

void ServiceCost::on_finished(Duration service) {
  ring_.at(next_) = service;
  next_ = (next_ + 1) % kFrames;
  count_ = std::min(count_ + 1, kFrames);
  per_frame_ = judge();
}

Duration ServiceCost::service(std::size_t ago) const {
  return ring_.at((next_ + kFrames - 1 - ago) % kFrames);
}

Duration ServiceCost::most() const {
  std::array<Duration, kFrames> sorted{};
  for (std::size_t i = 0; i < count_; ++i) sorted.at(i) = service(i);
  auto* const middle = sorted.begin() + (count_ - 1) / 2;
  std::nth_element(sorted.begin(), middle, sorted.begin() + count_);
  return kOutlier * *middle;
}

Duration ServiceCost::mean(std::size_t first_ago, std::size_t count) const {
  const Duration most_each = most();
  Duration sum{};
  for (std::size_t i = first_ago; i < first_ago + count; ++i)
    sum += std::min(most_each, service(i));
  return sum / static_cast<Duration::rep>(count);
}

Duration ServiceCost::recent() const {
  std::array<Duration, kRecent> sorted{};
  for (std::size_t i = 0; i < kRecent; ++i) sorted.at(i) = service(i);
  std::nth_element(sorted.begin(), sorted.begin() + 1, sorted.end());
  return sorted.at(1);
}

Duration ServiceCost::judge() const {
  const Duration usual = mean(0, count_);
  return count_ < kRecent ? usual : std::max(usual, recent());
}

bool ServiceCost::is_steady() const {
  if (!is_known_well()) return false;
  const Duration now = mean(0, kRecent);
  const Duration before = mean(kRecent, count_ - kRecent);
  return now * 2 <= before * 3 && before * 2 <= now * 3;
}

}  // namespace dispatch::core
