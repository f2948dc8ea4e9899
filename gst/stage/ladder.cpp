// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/ladder.h"

#include <algorithm>

namespace dispatch::stage {

LadderLevel::Settings LadderLevel::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

void LadderLevel::set(const Settings& settings) {
  const std::lock_guard lock(mutex_);
  settings_ = settings;
}

Ladder::Ladder() : full_(std::make_shared<LadderLevel>()), levels_{full_} {}

void Ladder::resize(unsigned count) {
  const std::lock_guard lock(mutex_);
  count = std::clamp(count, 1U, kMostLevels);
  if (count < levels_.size()) levels_.resize(count);
  while (levels_.size() < count)
    levels_.push_back(std::make_shared<LadderLevel>());
}

Ladder::Levels Ladder::levels() const {
  const std::lock_guard lock(mutex_);
  return levels_;
}

}  // namespace dispatch::stage
