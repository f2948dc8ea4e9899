// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How often something that happens again and again is told.
//
// For: messages of one kind on the bus: the first ones of each second, and how
// many were kept back since. Not for: what they say.
// Thread: confined (the owner locks).
#pragma once

#include <optional>

#include "core/instant.h"

namespace dispatch::core {

class MessageRate {
 public:
  static constexpr unsigned kMostPerSecond = 10;

  explicit MessageRate(unsigned most_per_second = kMostPerSecond)
      : most_(most_per_second) {}

  // Whether this one may be told: then how many were not since the last one.
  std::optional<unsigned> pass(MonotonicTime now);

 private:
  unsigned most_;
  std::optional<MonotonicTime> second_begin_;
  unsigned told_ = 0;  // in this second
  unsigned kept_back_ = 0;
};

}  // namespace dispatch::core
