// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/cpu_allowance.h"

#include <algorithm>

namespace dispatch::core {

CpuAllowance::CpuAllowance(unsigned cpus) : cpus_(std::max(1U, cpus)) {}

unsigned CpuAllowance::take_automatic() {
  const std::lock_guard lock(mutex_);
  const unsigned left = cpus_ > taken_ ? cpus_ - taken_ : 0;
  const unsigned beyond_first = std::min(left, cpus_ - 1);
  taken_ += beyond_first;
  return 1 + beyond_first;
}

void CpuAllowance::take_named(unsigned workers) {
  const std::lock_guard lock(mutex_);
  taken_ += workers - 1;
}

void CpuAllowance::give_back(unsigned workers) {
  const std::lock_guard lock(mutex_);
  taken_ -= workers - 1;
}

}  // namespace dispatch::core
