// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/cpu_allowance.h"

#include <algorithm>

namespace dispatch::core {

CpuAllowance::CpuAllowance(unsigned cpus) : cpus_(std::max(1U, cpus)) {}

bool CpuAllowance::take() {
  const std::lock_guard lock(mutex_);
  if (taken_ >= cpus_) return false;
  ++taken_;
  return true;
}

void CpuAllowance::count() {
  const std::lock_guard lock(mutex_);
  ++taken_;
}

void CpuAllowance::give_back(unsigned cpus) {
  const std::lock_guard lock(mutex_);
  taken_ -= cpus;
}

unsigned CpuAllowance::left() const {
  const std::lock_guard lock(mutex_);
  return taken_ < cpus_ ? cpus_ - taken_ : 0;
}

void AllowanceShare::set_limits(unsigned min, unsigned max) {
  min_ = std::max(1U, min);
  max_ = max == 0 ? 0 : std::max(min_, max);
}

unsigned AllowanceShare::permitted() const {
  if (max_ != 0) return max_;
  return std::max(min_,
                  std::min(1 + taken_ + allowance_.left(), allowance_.cpus()));
}

unsigned AllowanceShare::resize(unsigned workers) {
  resize_to(std::clamp(workers, min_, permitted()));
  return taken_ + 1;
}

// What the user names is had in any case.
void AllowanceShare::resize_to(unsigned workers) {
  const unsigned named = max_ != 0 ? max_ : min_;
  while (taken_ + 1 < workers) {
    if (taken_ + 1 < named)
      allowance_.count();
    else if (!allowance_.take())
      return;
    ++taken_;
  }
  if (taken_ + 1 > workers) {
    allowance_.give_back(taken_ + 1 - workers);
    taken_ = workers - 1;
  }
}

}  // namespace dispatch::core
