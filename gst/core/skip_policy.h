// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which level of its ladder a frame gets, or whether it goes past the stage:
// the law of adaptiveskip. docs/design/skip-policy.md has its reasons.
//
// For: the verdict about one frame when a worker is free for it, from what the
// levels cost lately and how long the frame has; and the slow loop above it,
// which moves the ceiling. What costs are expected is cost_model's; what a time
// is worth to the frames that follow is slack_value's; the slow loop is
// level_ceiling's.
// Not for: what leaves when no worker is free by the due time (core/late_policy
// decides that for all elements), how many workers there are (pool_size).
// Thread: confined (the owner locks).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/cost_model.h"
#include "core/instant.h"
#include "core/slack_value.h"

namespace dispatch::core {

// A rung of the ladder that has a stage. Number 0 is the full stage; each one
// after it is cheaper and worth less.
struct Level {
  double utility = 1;            // in (0, 1]
  std::optional<Duration> cost;  // to begin with; none: learned
};

struct SkipSettings {
  std::vector<Level> levels;
  // What a frame is worth that does not get a stage: of a bypass, or of the
  // last result shown again.
  double skip_utility = 0.2;
  // Never more than this many frames without a stage, one after the other;
  // 0: as many as it takes.
  unsigned max_consecutive_skips = 0;
  // Of `skip_window` frames at least `applied_in_window` get a stage, as far as
  // it can be; 0: no such wish.
  unsigned applied_in_window = 0;
  unsigned skip_window = 0;
  double target_miss_rate = 0.01;
  // A frame that takes too long leaves at its due time all the same.
  bool can_rescue = true;
};

// What is known of a frame that a worker could begin with now. Times are of any
// one clock that only grows; the same one in all calls.
struct FrameOutlook {
  RunningTime now{};
  // Until the result has to be there; none: it has no due time, and gets the
  // full stage.
  std::optional<Duration> slack;
  // The slack of a frame that has just come, at a source that is in time.
  Duration fresh_slack{};
  unsigned workers = 1;  // that work
};

enum class SkipReason : std::uint8_t {
  kFits,  // expected to be done in time
  kNoDueTime,
  kWarmUp,       // not enough is known yet
  kProbe,        // to learn what a level costs now
  kConsecutive,  // so many have been skipped that this one is not
  kIneffective,  // skipping did not help
  kTooLate,      // nothing would be done in time
  kSpared,       // it may be done, but the frames that follow are worth more
  kCeiling,      // fits, at the highest level that the slow loop allows
};
const char* to_string(SkipReason reason);

struct LevelVerdict {
  std::optional<unsigned> level;  // none: it gets no stage
  SkipReason reason = SkipReason::kFits;
  Duration predicted{};  // the median cost of the level; of the
                         // cheapest one where there is none
  double in_time = 1;    // how likely it is done in time
};

// How a frame left.
struct SkipDeparture {
  RunningTime now{};
  std::optional<unsigned> level;  // that it got; none: none
  bool is_late = false;           // left after its due time
  bool was_rescued = false;       // a worker had begun with it, in vain
  bool arrived_late = false;      // it was due before it came: not our fault
  // How long downstream kept us before this one could be pushed.
  Duration blocked{};
};

class SkipPolicy {
 public:
  static constexpr Duration kProbeAfter = std::chrono::milliseconds(250);
  enum class State : std::uint8_t {
    kWarmUp,
    kNormal,
    kPressure,
    kDegraded,
    kProbe,
    kOpaque,       // frames have no due times
    kIneffective,  // skipping does not help: somebody else is late
    kStalled,      // every worker is stuck
  };

  // `costs`: what the ladder costs, where several policies of the same ladder
  // share it; none: its own.
  explicit SkipPolicy(SkipSettings settings,
                      std::shared_ptr<CostModel> costs = nullptr);

  // New caps: costs are learned anew, from what they were.
  void on_caps();
  void on_arrival(RunningTime running_time, RunningTime now);
  // To be carried out: a level that it names is begun now.
  LevelVerdict decide(const FrameOutlook& frame);
  // A worker was done with `level` after `cost`; also long after its frame
  // left.
  void on_measured(unsigned level, Duration cost, RunningTime now);
  // The frame of a worker that is still busy with `level` after `age` has left.
  void on_overrun(unsigned level, Duration age, RunningTime now);
  void on_left(const SkipDeparture& departure);

  State state() const { return state_; }
  unsigned ceiling() const { return ceiling_; }  // the best level allowed now

 private:
  // Of a level that is not expected to fit.
  struct Trial {
    RunningTime last = RunningTime::min();
    Duration pause = kProbeAfter;  // until the next one
  };
  struct Worth {
    double skip = 0;
    std::vector<double> levels;
  };

  unsigned levels() const;
  Worth weigh(const FrameOutlook& frame);
  LevelVerdict choose(const FrameOutlook& frame, const Worth& worth);
  LevelVerdict verdict(std::optional<unsigned> level, SkipReason reason,
                       const FrameOutlook& frame) const;
  unsigned best_level(const Worth& worth) const;
  std::optional<unsigned> level_to_probe(const FrameOutlook& frame,
                                         const Worth& worth,
                                         std::optional<unsigned> best) const;
  void begin_probe(unsigned level, double loss, RunningTime now);
  void note(const LevelVerdict& verdict);

  SkipSettings settings_;
  std::shared_ptr<CostModel> costs_;
  SlackValue slack_value_;
  std::vector<SlackValue::Option> options_;
  std::vector<CostModel::Forecast> forecasts_;
  double interval_ = 0;  // seconds, between frames
  std::optional<RunningTime> last_running_time_;
  State state_ = State::kWarmUp;
  unsigned ceiling_ = 0;
  std::optional<unsigned> last_level_;
  unsigned skipped_in_a_row_ = 0;
  std::optional<unsigned> last_stage_;
  double probe_credit_ = 0;
  std::vector<Trial> trials_;  // by level
};
const char* to_string(SkipPolicy::State state);

}  // namespace dispatch::core
