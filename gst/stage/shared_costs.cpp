// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/shared_costs.h"

#include <map>

namespace dispatch::stage {

std::shared_ptr<SharedCosts> find_costs(
    const std::string& name,
    const std::vector<std::optional<core::Duration>>& seeds) {
  // Never destroyed: elements may outlive static destruction.
  static auto* mutex = new std::mutex;
  static auto* known = new std::map<std::string, std::weak_ptr<SharedCosts>>;
  const std::lock_guard lock(*mutex);
  std::erase_if(*known, [](const auto& item) { return item.second.expired(); });
  std::weak_ptr<SharedCosts>& place = (*known)[name];
  std::shared_ptr<SharedCosts> costs = place.lock();
  if (!costs) {
    costs =
        std::make_shared<SharedCosts>(std::make_shared<core::CostModel>(seeds));
    place = costs;
  }
  return costs;
}

}  // namespace dispatch::stage
