// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/worker_roster.h"

#include <algorithm>
#include <utility>

namespace dispatch::stage {

void WorkerRoster::set(std::vector<std::shared_ptr<Worker>> workers) {
  workers_ = std::move(workers);
  idle_.assign(workers_.rbegin(), workers_.rend());
  wake_policy_.reset();
}

std::shared_ptr<Worker> WorkerRoster::take_idle(bool is_per_stream) {
  if (idle_.empty()) return nullptr;
  const auto place =
      is_per_stream
          ? std::find_if(idle_.begin(), idle_.end(),
                         [](const auto& idle) { return idle->number() == 0; })
          : std::prev(idle_.end());
  if (place == idle_.end()) return nullptr;
  std::shared_ptr<Worker> worker = std::move(*place);
  idle_.erase(place);
  return worker;
}

void WorkerRoster::on_finished(const Worker& worker, core::Duration service) {
  wake_policy_.on_service(service);
  const auto place =
      std::find_if(workers_.begin(), workers_.end(),
                   [&](const auto& known) { return known.get() == &worker; });
  if (place != workers_.end()) idle_.push_back(*place);
}

bool WorkerRoster::is_worth_waking() const {
  return wake_policy_.is_worth_waking(
      static_cast<unsigned>(workers_.size() - idle_.size()));
}

}  // namespace dispatch::stage
