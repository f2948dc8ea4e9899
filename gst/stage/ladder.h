// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The levels of an element that have a stage: what each of them runs, is worth
// and costs.
//
// For: what the user says of them. An element without levels has one, the full
// stage. Not for: choosing one (core/skip_policy), running it (stage_copy).
// Thread: thread-safe.
// Ownership: a level lives as long as the ladder or somebody else holds it.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/frame_record.h"
#include "core/instant.h"
#include "stage/stage_prototype.h"

namespace dispatch::stage {

class LadderLevel {
 public:
  // What the user said; not what is in force.
  struct Settings {
    std::optional<double> utility;       // none: by its place in the ladder
    std::optional<core::Duration> cost;  // none: measured
  };

  StagePrototype& prototype() { return prototype_; }
  Settings settings() const;
  void set(const Settings& settings);

 private:
  StagePrototype prototype_;
  mutable std::mutex mutex_;
  Settings settings_;  // under mutex_
};

class Ladder {
 public:
  static constexpr unsigned kMostLevels = core::kMostLevels;
  using Levels = std::vector<std::shared_ptr<LadderLevel>>;

  Ladder();

  // `count` of 1 to kMostLevels. Those that stay are what they were.
  void resize(unsigned count);
  // The first one is the full stage.
  Levels levels() const;
  LadderLevel& full() const { return *full_; }

 private:
  const std::shared_ptr<LadderLevel> full_;
  mutable std::mutex mutex_;
  Levels levels_;  // under mutex_
};

}  // namespace dispatch::stage
