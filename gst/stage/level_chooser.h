// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which level a frame of an element gets that may skip: between the line of
// frames and core/skip_policy, which decides.
//
// For: telling the policy what the line sees (arrivals, what each worker is
// busy with and for how long, departures), asking it, and keeping the news of
// it for the user. Not for: deciding; frames and their order (frame_line).
// Times are running times where the element is in a pipeline, and times of this
// machine where it is part of a stage; an element has the one or the other.
// Thread: confined to the Section of the line. The costs are shared with other
// elements and have a lock of their own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/frame_record.h"
#include "core/skip_policy.h"
#include "stage/shared_costs.h"
#include "stage/worker.h"

namespace dispatch::stage {

// What is told of levels: another one left than before, or the policy is in
// another state.
struct LevelNews {
  enum class Kind : std::uint8_t { kLevel, kState };
  Kind kind = Kind::kLevel;
  core::Sequence frame = 0;
  unsigned from = 0;  // levels; as many as there are: no stage
  unsigned to = 0;
  double utility = 0;  // of what left
  const char* reason = "";
  std::optional<core::Duration> slack;  // when it was chosen
  core::Duration predicted{};           // median cost
  core::Duration cost{};                // that the stage had; 0: none
  const char* state = "";
  const char* because = "";  // of the state
  const char* culprit = "";  // who is late, as far as is known
};

// What of levels is in `stats`.
struct LevelFacts {
  unsigned levels = 1;
  unsigned current = 0;  // of the frame that left last; levels: no stage
  unsigned ceiling = 0;
  const char* state = "";
  const char* because = "";  // of the state
  const char* culprit = "";  // who is late
  std::uint64_t switches = 0;
  unsigned ceiling_changes = 0;
  unsigned longest_skip_run = 0;         // frames
  double slowdown = 1;                   // of all levels, of what they cost
  double miss_price = 1;                 // of a frame that is late
  double coverage = 0;                   // costs that the 95 % quantile covered
  double prediction_error = 0;           // relative, the median
  std::vector<core::Duration> expected;  // cost of each level; 0: not known
};

// Why a frame does not get the full stage; kNone: it does.
core::Cause cause_of(const core::LevelVerdict& verdict);

class LevelChooser {
 public:
  struct Settings {
    core::SkipSettings skip;
    double bypass_utility = 0;
    double repeat_utility = 0;
  };
  LevelChooser(Settings settings, std::shared_ptr<SharedCosts> costs);

  // The caps `text` come: costs are learned anew, unless they are known of
  // these.
  void on_caps(const std::string& text);
  // `slack`: until its result has to be there; none: it has no due time.
  void on_arrival(core::RunningTime running_time, core::RunningTime now,
                  std::optional<core::Duration> slack);
  // `may_skip`: it may get no stage; else it gets the cheapest level instead.
  core::LevelVerdict choose(std::optional<core::Duration> slack,
                            unsigned workers, bool may_skip,
                            core::RunningTime now);
  // `worker` begins with `level`. Whether frames went past that level since it
  // was last used. Here and below no `now`: time stands still, and what it
  // takes is not measured.
  bool on_begun(const Worker& worker, unsigned level,
                std::optional<core::RunningTime> now);
  // How a job ended.
  enum class Ending : std::uint8_t {
    kDone,
    kAbandoned,   // perhaps half-way: its frame had left
    kInterrupted  // by a flush or an error
  };
  // It is done. Returns what the full stage would have cost it, as far as is
  // known.
  core::Duration on_finished(const Worker& worker, Ending ending,
                             core::Duration service,
                             std::optional<core::RunningTime> now);
  // Its frame left without its result.
  void on_overrun(const Worker& worker, std::optional<core::RunningTime> now);
  // `verdict`: none if no worker was ever free for it.
  void on_left(const core::FrameRecord& record,
               const std::optional<core::LevelVerdict>& verdict,
               std::optional<core::Duration> slack, core::RunningTime now);

  // Once each.
  std::optional<LevelNews> take_news();

  // What a frame is worth that left like this, 0 to 1.
  double utility_of(const core::FrameRecord& record) const;
  unsigned levels() const {
    return static_cast<unsigned>(settings_.skip.levels.size());
  }
  LevelFacts facts() const;

 private:
  struct Begun {
    unsigned level = 0;
    std::optional<core::RunningTime> at;
  };
  core::Duration as_full(unsigned level, core::Duration cost) const;
  void note_level(const core::FrameRecord& record,
                  const std::optional<core::LevelVerdict>& verdict,
                  std::optional<core::Duration> slack);
  void note_state(const core::FrameRecord& record);

  const Settings settings_;
  const std::shared_ptr<SharedCosts> costs_;
  // Calls that touch the costs need the mutex of costs_.
  core::SkipPolicy policy_;
  std::map<const Worker*, Begun> begun_;
  std::vector<bool> has_gap_;  // for each level: frames went past it
  std::optional<core::Duration> fresh_slack_;
  unsigned current_level_ = 0;
  core::SkipPolicy::State told_state_ = core::SkipPolicy::State::kWarmUp;
  std::vector<LevelNews> news_;
};

}  // namespace dispatch::stage
