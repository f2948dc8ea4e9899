// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/slack_value.h"

#include <algorithm>
#include <cmath>

namespace dispatch::core {

namespace {

// How much a frame is worth compared with the one before it. What is expected
// of the costs holds for a while only.
constexpr double kDiscount = 0.9;
// About so many grid points for the slacks from 0 to fresh.
constexpr double kGrid = 48;
constexpr double kFinest = 32;  // points for each frame
// A worker that is away for longer than this beyond the due time is away for
// long enough: in frames.
constexpr double kLongest = 16;

}  // namespace

// A frame that is due before the worker is free leaves without a stage, and the
// next one has one interval more.
void SlackValue::extend() {
  const double released = terms_.can_rescue ? terms_.skip_utility : 0;
  for (std::size_t i = before_; i-- > 0;)
    values_[i] =
        released +
        kDiscount * values_[std::min(i + per_frame_, values_.size() - 1)];
}

void SlackValue::resize() {
  const double fresh = std::max(0.1, terms_.fresh);
  const auto per_frame = static_cast<std::size_t>(
      std::clamp(std::floor(kGrid / fresh), 4.0, kFinest));
  const auto before = static_cast<std::size_t>(kLongest) * per_frame;
  const std::size_t size =
      before + 1 +
      static_cast<std::size_t>(
          std::ceil(std::min(fresh, kGrid) * static_cast<double>(per_frame)));
  if (per_frame == per_frame_ && size == values_.size()) return;
  per_frame_ = per_frame;
  before_ = before;
  const double guess = values_.empty() ? 0 : values_.back();
  values_.assign(size, guess);
}

double SlackValue::after(double slack) const {
  const double place = (std::min(slack, terms_.fresh) + kLongest) *
                       static_cast<double>(per_frame_);
  if (place <= 0) return values_.front();
  const auto below = static_cast<std::size_t>(place);
  if (below + 1 >= values_.size()) return values_.back();
  const double part = place - static_cast<double>(below);
  return values_[below] + part * (values_[below + 1] - values_[below]);
}

double SlackValue::of_skip(double slack) const {
  const double now = slack >= 0 || terms_.can_rescue ? terms_.skip_utility : 0;
  return now + kDiscount * after(slack + 1);
}

double SlackValue::of_level(const Option& option, double slack) const {
  const double late =
      terms_.can_rescue ? terms_.skip_utility : -terms_.miss_price;
  double sum = 0;
  for (const double cost : option.costs) {
    sum += cost <= slack ? option.utility : late;
    sum += kDiscount * after(slack + 1 - cost / terms_.workers);
  }
  return sum / kPoints;
}

// Adds to sums_, for each slack from 0 on, what follows a job of `cost`.
void SlackValue::add_job(const Option& option, double cost) {
  const double late =
      terms_.can_rescue ? terms_.skip_utility : -terms_.miss_price;
  const auto points = static_cast<double>(per_frame_);
  const double shift =
      static_cast<double>(before_) + points * (1 - cost / terms_.workers);
  const double whole = std::floor(shift);
  const double part = shift - whole;
  const auto first_in_time = static_cast<std::size_t>(
      std::min(std::ceil(cost * points), static_cast<double>(sums_.size())));
  const auto last = static_cast<std::ptrdiff_t>(values_.size()) - 1;
  const auto offset = static_cast<std::ptrdiff_t>(
      std::max(whole, -static_cast<double>(sums_.size())));
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    const auto place = std::clamp<std::ptrdiff_t>(
        offset + static_cast<std::ptrdiff_t>(i), 0, last);
    const double below = values_[static_cast<std::size_t>(place)];
    const double above =
        values_[static_cast<std::size_t>(std::min(place + 1, last))];
    sums_[i] += kDiscount * (below + part * (above - below)) +
                (i >= first_in_time ? option.utility : late);
  }
}

void SlackValue::improve(const std::vector<Option>& options,
                         const Terms& terms) {
  terms_ = terms;
  resize();
  extend();
  best_.resize(values_.size() - before_);
  for (std::size_t i = 0; i < best_.size(); ++i)
    best_[i] =
        of_skip(static_cast<double>(i) / static_cast<double>(per_frame_));
  for (const Option& option : options) {
    sums_.assign(best_.size(), 0);
    for (const double cost : option.costs) add_job(option, cost);
    for (std::size_t i = 0; i < best_.size(); ++i)
      best_[i] = std::max(best_[i], sums_[i] / kPoints);
  }
  std::copy(best_.begin(), best_.end(),
            values_.begin() + static_cast<std::ptrdiff_t>(before_));
}

}  // namespace dispatch::core
