// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The rules that the law of adaptiveskip is compared with.
//
// For: what others do (no shedding, a leaky queue of one, a limiter that takes
// what comes when it is idle), and the best causal rules with the cost model
// that the law began with: a shared slowdown that moves slowly, faster with a
// second outlier in a row, and by 3 % a frame while nothing is measured.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <vector>

#include "skip_simulation.h"

namespace bench {

using dispatch::core::Duration;
using dispatch::core::FrameOutlook;
using dispatch::core::RunningTime;
using dispatch::core::SkipDeparture;
using dispatch::core::SkipRule;
using dispatch::core::SkipSettings;

// Every frame, whatever happens.
class PlainRule : public SkipRule {
 public:
  std::optional<unsigned> decide(const FrameOutlook&) override { return 0U; }
};

// The slowdown of all levels, and what the costs were beside it.
class SimpleCosts {
 public:
  explicit SimpleCosts(std::size_t levels) : nominal_(levels) {}

  void on_measured(unsigned level, Duration cost) {
    const double x = std::log(static_cast<double>(cost.count()));
    silent_ = 0;
    if (!nominal_[level]) nominal_[level] = x - slowdown_;
    const double error = x - *nominal_[level] - slowdown_;
    const bool is_outlier = std::fabs(error) > 0.45;
    const bool is_second = is_outlier && error * last_outlier_ > 0;
    const double gain = is_second ? 0.6 : is_outlier ? 0.06 : 0.12;
    last_outlier_ = is_outlier ? error : 0;
    slowdown_ += gain * std::clamp(error, -1.2, 1.2);
    errors_.push_back(error);
    if (errors_.size() > 64) errors_.pop_front();
  }
  void on_frame() {
    if (++silent_ > 15) slowdown_ -= 0.03;
  }
  bool knows(unsigned level) const { return nominal_[level].has_value(); }
  double median(unsigned level) const {
    return std::exp(*nominal_[level] + slowdown_);
  }
  double in_time(unsigned level, double slack) const {
    if (slack <= 0) return 0;
    const double room = std::log(slack) - *nominal_[level] - slowdown_;
    const auto fit = std::count_if(errors_.begin(), errors_.end(),
                                   [&](double error) { return error <= room; });
    return static_cast<double>(fit) / static_cast<double>(errors_.size());
  }

 private:
  std::vector<std::optional<double>> nominal_;
  double slowdown_ = 0;
  double last_outlier_ = 0;
  std::deque<double> errors_;
  unsigned silent_ = 0;
};

class CostRule : public SkipRule {
 public:
  explicit CostRule(SkipSettings settings)
      : settings_(std::move(settings)), costs_(settings_.levels.size()) {}
  void on_measured(unsigned level, Duration cost, RunningTime) override {
    costs_.on_measured(level, cost);
  }
  void on_left(const SkipDeparture&) override { costs_.on_frame(); }

 protected:
  unsigned levels() const {
    return static_cast<unsigned>(settings_.levels.size());
  }
  std::optional<unsigned> unknown() const {
    for (unsigned k = 0; k < levels(); ++k)
      if (!costs_.knows(k)) return k;
    return std::nullopt;
  }
  const SkipSettings& settings() const { return settings_; }
  const SimpleCosts& costs() const { return costs_; }

 private:
  SkipSettings settings_;
  SimpleCosts costs_;
};

// The best level whose expected cost fits.
class GreedyRule : public CostRule {
 public:
  using CostRule::CostRule;
  std::optional<unsigned> decide(const FrameOutlook& frame) override {
    if (const auto level = unknown()) return level;
    for (unsigned k = 0; k < levels(); ++k)
      if (costs().median(k) <= static_cast<double>(frame.slack->count()))
        return k;
    return std::nullopt;
  }
};

// The most expected utility of this frame and, greedily, of the next three.
class LookAheadRule : public CostRule {
 public:
  LookAheadRule(const SkipSettings& settings, Duration interval)
      : CostRule(settings), interval_(static_cast<double>(interval.count())) {}

  std::optional<unsigned> decide(const FrameOutlook& frame) override {
    if (const auto level = unknown()) return level;
    fresh_ = static_cast<double>(frame.fresh_slack.count());
    const Choice choice =
        best(static_cast<double>(frame.slack->count()), /*frames=*/4);
    if (choice.level != last_) last_ = choice.level;
    return choice.level;
  }
  void on_left(const SkipDeparture& left) override {
    CostRule::on_left(left);
    miss_price_ = std::clamp(
        miss_price_ + 0.5 * ((left.is_late ? 1 : 0) - 0.01), 0.3, 3.0);
  }

 private:
  struct Choice {
    std::optional<unsigned> level;
    double worth = 0;
  };
  // What is known to be best by itself is taken for the frames that follow.
  Choice best(double slack, int frames) const {
    Choice choice;
    choice.worth = settings().skip_utility - switch_cost(std::nullopt) +
                   follow(slack, frames);
    for (unsigned k = 0; k < levels(); ++k) {
      const double fit = costs().in_time(k, slack);
      const double worth = settings().levels[k].utility * fit -
                           miss_price_ * (1 - fit) - switch_cost(k) +
                           follow(slack - costs().median(k), frames);
      if (worth > choice.worth) choice = {k, worth};
    }
    return choice;
  }
  double follow(double slack, int frames) const {
    double sum = 0;
    for (int i = 1; i < frames; ++i) {
      slack = std::min(slack + interval_, fresh_);
      double most = settings().skip_utility;
      double cost = 0;
      for (unsigned k = 0; k < levels(); ++k) {
        const double fit = costs().in_time(k, slack);
        const double worth =
            settings().levels[k].utility * fit - miss_price_ * (1 - fit);
        if (worth > most) {
          most = worth;
          cost = costs().median(k);
        }
      }
      sum += most;
      slack -= cost;
    }
    return sum;
  }
  double switch_cost(std::optional<unsigned> level) const {
    return level == last_ ? 0 : 0.15;
  }

  double interval_;
  double fresh_ = 0;
  double miss_price_ = 1;
  std::optional<unsigned> last_;
};

}  // namespace bench
