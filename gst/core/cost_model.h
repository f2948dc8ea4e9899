// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What each level of a ladder will cost: a distribution, from what the levels
// cost lately.
//
// For: log cost = what the level costs by itself + a slowdown that all levels
// share + an error. The slowdown follows a shift within two frames and not a
// single spike. How much of the last deviation from it is still there now is
// learned: a competitor stays for a while, a spike does not. What was begun and
// is not done counts as soon as it is known to be dear (on_overrun()). While
// nothing is measured, what was learned fades: a stage that was too slow once
// is not too slow for ever. The first cost after a silence says how much of the
// fading was true.
// Not for: deciding anything; nor for costs below 50 us, which are none.
// Thread: confined. Where several policies share one model, the lock that
// guards it is held while any of them is called.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "core/instant.h"
#include "core/shared_slowdown.h"

namespace dispatch::core {

class CostModel {
 public:
  // Costs that are equally likely, ascending.
  static constexpr std::size_t kPoints = 16;
  // Two jobs are the same when their begins differ by less.
  static constexpr Duration kSameBegin = std::chrono::milliseconds(1);
  struct Forecast {
    std::array<Duration, kPoints> costs{};
    Duration median{};

    double in_time(Duration slack) const;
    Duration quantile(double share) const;
  };

  // Of each level, how much it costs to begin with; none: not known.
  explicit CostModel(const std::vector<std::optional<Duration>>& seeds,
                     std::shared_ptr<SharedSlowdown> shared = nullptr);
  ~CostModel();
  CostModel(const CostModel&) = delete;
  CostModel& operator=(const CostModel&) = delete;

  // New caps: the next measurement of each level is of a stage that gets ready,
  // and the ones after it replace what was known.
  void on_caps();
  // A worker was done with `level` after `cost`.
  void on_measured(unsigned level, Duration cost, RunningTime now);
  // One is still busy with `level` after `age`. Again for the same begin (to
  // the nanosecond): it has given that job up, and its cost will not be known.
  void on_overrun(unsigned level, Duration age, RunningTime now);

  bool is_known(unsigned level) const;
  // Of a level that is not known: half of the one above it. Of all levels
  // unknown: zero.
  Forecast forecast(unsigned level, RunningTime now) const;
  // When `level` was last measured; none: never since the caps.
  std::optional<RunningTime> measured_at(unsigned level) const;
  // Of all levels, compared with what they cost by themselves.
  double slowdown() const;
  // The share of the costs that were at most the 95 % quantile expected, and
  // the median of |log(cost / expected median)|; of the last 64.
  double coverage() const;
  double error() const;
  // The last measurement was far cheaper than expected, and nothing has
  // confirmed it: one more tells a shift from chance.
  bool may_be_cheaper() const { return outlier_ < 0; }

 private:
  static constexpr std::size_t kSamples = 64;
  // How long a deviation lasts: the candidates, in seconds. 0: not at all.
  static constexpr std::array<double, 6> kLasting{0, 0.05, 0.15, 0.5, 1.5, 5};

  struct Nominal {
    double log_cost = 0;
    std::vector<double> first;  // log costs
    unsigned measured = 0;      // beside the first after new caps
    bool is_seeded = false;     // known without them, or from before the caps
    bool has_guess = false;     // of the first one
    bool is_warm = false;       // the first one after new caps has been
    std::optional<RunningTime> at;
  };
  struct Sample {
    double value = 0;      // log cost beside the level's own
    double center = 0;     // the slowdown before it
    double deviation = 0;  // of the sample before it, at that time
    double age = 0;        // of the sample before it, in seconds
    bool was_covered = true;
    double error = 0;  // of the median that was expected
  };
  struct Pending {
    unsigned level = 0;
    RunningTime begun{};
    std::optional<Duration> given_up_after;  // none: still busy with it
  };
  void learn(unsigned level, double log_cost, RunningTime begun,
             RunningTime now);
  bool began_to_cost(const Nominal& nominal, double cost) const;
  double own_part_of(unsigned level, double error);
  void move_slowdown(double deviation);
  void add_to_slowdown(double change);
  void judge_lasting(const Sample& sample);
  void keep(const Sample& sample);
  double expected(double center, double deviation, double age) const;
  double log_cost(unsigned level) const;
  double learned_center() const;
  double faded(RunningTime now) const;
  double foreseen(RunningTime now) const;
  void condense();

  std::vector<Nominal> nominal_;
  std::shared_ptr<SharedSlowdown> shared_;
  double own_part_ = 0;     // of the shared slowdown
  double others_seen_ = 0;  // the rest of it, at the last measurement
  double slowdown_ = 0;
  double outlier_ = 0;  // the last deviation if it was an outlier
  double shifts_ = 1;   // of dear outliers, the share that another one followed
  std::array<double, kLasting.size()> loss_{};
  std::size_t lasting_ = 0;  // the candidate in use
  double deviation_ = 0;     // of the last sample from the slowdown
  std::optional<RunningTime> last_begun_;
  std::optional<RunningTime> last_at_;
  unsigned last_level_ = 0;
  std::vector<Sample> samples_;
  std::size_t next_sample_ = 0;
  std::array<double, kPoints> points_{};  // residuals around the expected
  std::vector<Pending> pending_;
};

}  // namespace dispatch::core
