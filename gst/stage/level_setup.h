// SPDX-License-Identifier: LGPL-2.1-or-later
//
// From what the user says of levels to what chooses them.
//
// For: filling in what was left to be found out. Not for: choosing
// (level_chooser), the levels themselves (ladder).
// Thread: thread-safe functions.
#pragma once

#include <memory>

#include "core/late_policy.h"
#include "stage/ladder.h"
#include "stage/level_chooser.h"

namespace dispatch::stage {

// The properties of an element that chooses levels, as the user set them.
struct LevelSettings {
  bool rescue = true;
  bool reuse = false;
  guint max_consecutive_skips = 0;  // 0: as many as it takes
  gint window_applied = 0;          // of window_frames; 0: no such wish
  gint window_frames = 1;
  gdouble target_miss_rate = 0.01;
  gdouble bypass_utility = 0.2;
  gdouble reuse_utility = 0.4;
  bool post_messages = true;
};

// Where the element stands.
struct LevelSurroundings {
  // Part of a stage: whose. Copies of one element share what they learn.
  std::optional<const void*> stage_of;
  // Of the pipeline; null: of none, or part of a stage.
  std::shared_ptr<core::SharedSlowdown> slowdown;
};

std::unique_ptr<LevelChooser> make_chooser(
    const Ladder& ladder, const LevelSettings& settings,
    core::LatePolicy policy, const LevelSurroundings& surroundings);

}  // namespace dispatch::stage
