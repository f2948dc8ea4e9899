// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the time that a frame leaves over is worth to the frames after it.
//
// For: choosing between a level for this frame and more time for the next ones.
// A worker that becomes free with so much slack for the oldest frame decides;
// what it decides takes until it is free again, with another slack for the next
// frame: a semi-Markov decision process, solved by value iteration on a grid of
// slacks, one sweep for each decision, so that it follows the costs.
// Not for: predicting costs (cost_model). All times are in frame intervals.
// Thread: confined (the owner locks).
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace dispatch::core {

class SlackValue {
 public:
  // Costs that are equally likely, ascending, for each level.
  static constexpr std::size_t kPoints = 16;
  struct Option {
    double utility = 1;
    std::array<double, kPoints> costs{};
  };
  struct Terms {
    double fresh = 2;  // the slack of a frame that has just come
    unsigned workers = 1;
    double skip_utility = 0.2;
    bool can_rescue = true;  // what is late leaves in time without a stage;
    double miss_price = 1;   // else it is late, and costs this much
  };

  // One sweep. `options`: by level.
  void improve(const std::vector<Option>& options, const Terms& terms);
  // What it is worth, with all that follows, to give a frame with `slack` this
  // level; to skip it. As of the last improve().
  double of_level(const Option& option, double slack) const;
  double of_skip(double slack) const;

 private:
  void resize();
  double after(double slack) const;
  void extend();
  void add_job(const Option& option, double cost);

  Terms terms_;
  std::size_t per_frame_ = 0;  // grid points
  std::size_t before_ = 0;     // grid points below slack 0
  std::vector<double> values_;
  // Of the sweep that is under way, from slack 0 on.
  std::vector<double> sums_;
  std::vector<double> best_;
};

}  // namespace dispatch::core
