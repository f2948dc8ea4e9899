// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/level_setup.h"

#include <utility>

namespace dispatch::stage {

namespace {

// What a frame is worth that gets no stage.
double skip_utility(const LevelSettings& settings, core::LatePolicy policy) {
  switch (policy) {
    case core::LatePolicy::kDrop:
      return 0;
    case core::LatePolicy::kRepeat:
      return settings.reuse_utility;
    default:
      return settings.reuse ? settings.reuse_utility : settings.bypass_utility;
  }
}

// Levels that the user did not value stand evenly between the full stage and a
// bypass.
double utility_of(const LadderLevel& level, std::size_t place,
                  std::size_t count, double bypass) {
  const double own = 1 - (1 - bypass) * static_cast<double>(place) /
                             static_cast<double>(count);
  return level.settings().utility.value_or(own);
}

// The copies of one element have the same texts and stand in the same stage.
std::string name_of(const Ladder::Levels& levels, const void* stage) {
  std::string name = std::to_string(reinterpret_cast<std::uintptr_t>(stage));
  for (const auto& level : levels)
    name += "\n" + level->prototype().description();
  return name;
}

std::shared_ptr<SharedCosts> costs_of(const Ladder::Levels& levels,
                                      const LevelSurroundings& surroundings) {
  std::vector<std::optional<core::Duration>> seeds;
  for (const auto& level : levels) seeds.push_back(level->settings().cost);
  if (surroundings.stage_of)
    return find_costs(name_of(levels, *surroundings.stage_of), seeds);
  return std::make_shared<SharedCosts>(
      std::make_shared<core::CostModel>(seeds, surroundings.slowdown));
}

}  // namespace

std::unique_ptr<LevelChooser> make_chooser(
    const Ladder& ladder, const LevelSettings& settings,
    core::LatePolicy policy, const LevelSurroundings& surroundings) {
  LevelChooser::Settings chosen;
  chosen.bypass_utility = settings.bypass_utility;
  chosen.repeat_utility = settings.reuse_utility;
  core::SkipSettings& skip = chosen.skip;
  const Ladder::Levels levels = ladder.levels();
  for (std::size_t place = 0; place < levels.size(); ++place)
    skip.levels.push_back(
        {.utility = utility_of(*levels[place], place, levels.size(),
                               settings.bypass_utility),
         .cost = levels[place]->settings().cost});
  skip.skip_utility = skip_utility(settings, policy);
  skip.max_consecutive_skips = settings.max_consecutive_skips;
  skip.applied_in_window = static_cast<unsigned>(settings.window_applied);
  skip.skip_window = static_cast<unsigned>(settings.window_frames);
  skip.target_miss_rate = settings.target_miss_rate;
  skip.can_rescue = settings.rescue && !surroundings.stage_of;
  return std::make_unique<LevelChooser>(std::move(chosen),
                                        costs_of(levels, surroundings));
}

}  // namespace dispatch::stage
