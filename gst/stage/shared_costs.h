// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the levels of a ladder cost, where several elements learn it together:
// those that are copies of one, in the workers of the element around.
//
// For: finding the costs of the same ladder in this process. Not for: learning
// them (core/cost_model).
// Thread: finding is thread-safe; the costs are under their mutex.
// Ownership: shared by those who use them.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/cost_model.h"

namespace dispatch::stage {

struct SharedCosts {
  explicit SharedCosts(std::shared_ptr<core::CostModel> costs)
      : model(std::move(costs)) {}
  // Whether these are other caps than those that the costs are of.
  bool take_caps(const std::string& text) {
    return std::exchange(caps, text) != text;
  }

  std::mutex mutex;
  std::string caps;                              // under mutex
  const std::shared_ptr<core::CostModel> model;  // under mutex
};

// Of the ladder `name`, the same for the same name as long as somebody uses it.
std::shared_ptr<SharedCosts> find_costs(
    const std::string& name,
    const std::vector<std::optional<core::Duration>>& seeds);

}  // namespace dispatch::stage
