// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/wake_policy.h"

namespace dispatch::core {

void WakePolicy::on_service(Duration service) {
  mean_ = is_known_ ? mean_ + (service - mean_) / kWeight : service;
  is_known_ = true;
}

bool WakePolicy::is_worth_waking(unsigned running) const {
  return running == 0 || !is_known_ || mean_ >= kWakeCost;
}

}  // namespace dispatch::core
