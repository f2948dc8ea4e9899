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
// Thread: confined (the owner locks). Policies that share a cost model are
// guarded by one lock together.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/cost_model.h"
#include "core/instant.h"
#include "core/level_ceiling.h"
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

class SkipPolicy {
 public:
  using State = LevelCeiling::State;

  // To change the level that frames get has to be worth this much, where both
  // levels are possible: a picture that changes its quality all the time looks
  // worse than either.
  static constexpr double kSwitchCost = 0.05;
  // A level that does not fit is tried all the same: when it has not been
  // measured for kFirstPause, then twice as long each time, up to kFreePause
  // where nothing is lost by it, up to kLongestPause otherwise (and not before
  // kFreePause then).
  static constexpr Duration kFirstPause = std::chrono::milliseconds(50);
  static constexpr Duration kFreePause = std::chrono::milliseconds(200);
  static constexpr Duration kLongestPause = std::chrono::seconds(30);
  // All trials together cost at most this share of a frame for each frame; it
  // is saved up for at most so many frames.
  static constexpr double kProbeShare = 0.01;
  static constexpr double kMostCredit = 3;
  // What is lost in this much is lost by rounding.
  static constexpr double kFreeLoss = 0.01;
  // All workers are stuck when the last of them has been for so many times what
  // the full stage costs, and this long.
  static constexpr int kStuckCosts = 10;
  static constexpr Duration kStuckAtLeast = std::chrono::milliseconds(500);

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
  // Again for the same begin (to the nanosecond): the worker has given it up.
  void on_overrun(unsigned level, Duration age, RunningTime now);
  void on_left(const SkipDeparture& departure);

  State state() const { return loop_.state(); }
  // The best level allowed now.
  unsigned ceiling() const { return loop_.ceiling(); }

  // For stats and messages.
  LevelCeiling::Why why() const { return loop_.why(); }
  LevelCeiling::Culprit culprit() const { return loop_.culprit(); }
  double miss_price() const { return loop_.miss_price(); }
  unsigned ceiling_changes() const { return loop_.ceiling_changes(); }
  // Of the levels, compared with what they cost by themselves.
  double slowdown() const { return costs_->slowdown(); }
  // As of the last decide(); none: not known.
  std::optional<Duration> expected_cost(unsigned level) const;
  // The share of the costs that were no more than the 95 % quantile expected;
  // the median of the relative error. Of the last 64.
  double coverage() const { return costs_->coverage(); }
  double prediction_error() const { return costs_->error(); }
  // Frames that left without a stage, one after the other: now, and at most.
  unsigned run_without_stage() const { return run_; }
  unsigned longest_run_without_stage() const { return longest_run_; }
  // How often a frame left with another level than the one before it.
  std::uint64_t switches() const { return switches_; }

 private:
  // Of a level that is not expected to fit.
  struct Trial {
    RunningTime last = RunningTime::min();
    Duration pause = kFirstPause;  // until the next one
  };
  // A level, or none, with all that follows from it.
  struct Worth {
    double skip = 0;
    std::vector<double> levels;
  };

  unsigned levels() const;
  double interval(const FrameOutlook& frame) const;
  void tell_loop(const FrameOutlook& frame);
  void weigh(const FrameOutlook& frame);
  LevelVerdict choose(const FrameOutlook& frame);
  LevelVerdict verdict(std::optional<unsigned> level, SkipReason reason,
                       const FrameOutlook& frame) const;
  unsigned best_level() const;
  bool is_worth_it(unsigned level, const FrameOutlook& frame) const;
  std::optional<unsigned> level_to_probe(const FrameOutlook& frame,
                                         std::optional<unsigned> best) const;
  bool is_probe_due(unsigned level, double loss, RunningTime now) const;
  void begin_probe(unsigned level, double loss, RunningTime now);
  bool has_to_apply() const;
  std::optional<unsigned> level_to_force(const FrameOutlook& frame) const;
  bool is_fast_enough(const FrameOutlook& frame) const;
  void note(const LevelVerdict& verdict);
  void look_for_stuck(RunningTime now);

  SkipSettings settings_;
  std::shared_ptr<CostModel> costs_;
  SlackValue slack_value_;
  LevelCeiling loop_;
  std::vector<SlackValue::Option> options_;
  std::vector<CostModel::Forecast> forecasts_;  // as of the last decide()
  Worth worth_;                                 // the same
  double interval_ = 0;  // seconds, between frames; 0: not known
  std::optional<RunningTime> last_running_time_;
  unsigned workers_ = 1;
  std::vector<RunningTime> overdue_;    // when the jobs began whose frames left
  std::optional<unsigned> last_stage_;  // the last level that a frame got
  // Verdicts: frames since one got a stage; of the last ones which did.
  unsigned since_stage_ = 0;
  std::vector<bool> window_;
  std::size_t next_in_window_ = 0;
  double probe_credit_ = kMostCredit;
  std::vector<Trial> trials_;  // by level
  // Departures.
  unsigned run_ = 0;
  unsigned longest_run_ = 0;
  std::uint64_t switches_ = 0;
  std::optional<std::optional<unsigned>> last_left_;
};

}  // namespace dispatch::core
