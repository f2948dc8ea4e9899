// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/efficiency_trial.h"

#include <algorithm>
#include <cmath>

namespace dispatch::core {

namespace {

// A frame counts as so many times the mean at most: one that stalls says
// nothing of the workers.
constexpr double kOutlier = 3;
// A sample stands for the recent past: what is older fades.
constexpr unsigned kMostFrames = 128;

}  // namespace

void EfficiencyTrial::Sample::add(double cost) {
  if (count > 0) cost = std::min(cost, kOutlier * mean);
  if (count >= kMostFrames) {
    count /= 2;
    squares /= 2;
  }
  ++count;
  const double off = cost - mean;
  mean += off / count;
  squares += off * (cost - mean);
}

double EfficiencyTrial::Sample::error() const {
  if (count < 2) return mean;
  return 2 * std::sqrt(squares / (count - 1) / count);
}

void EfficiencyTrial::on_size(unsigned size, bool is_comparable) {
  before_.reset();
  more_.reset();
  if (is_comparable && now_.count >= kToPass) before_ = now_;
  size_ = size;
  to_skip_ = size * kTransient;
  now_ = {};
}

void EfficiencyTrial::on_step_back(unsigned size) {
  const Sample more = now_;
  const double cheap = before_ ? before_->mean : more.mean;
  on_size(size, /*is_comparable=*/false);
  more_ = more;
  cheap_ = cheap;
}

void EfficiencyTrial::on_finished(Duration service) {
  if (to_skip_ > 0) {
    --to_skip_;
    return;
  }
  now_.add(static_cast<double>(service.count()));
}

double EfficiencyTrial::gain(double before, double now) const {
  if (now <= 0) return 1;
  return size_ * before / now - (size_ - 1);
}

bool EfficiencyTrial::is_known_well() const {
  return now_.count >= kToPass &&
         (now_.error() * size_ <= kLeastGain * now_.mean ||
          now_.count >= size_ + kToEnd);
}

EfficiencyTrial::Verdict EfficiencyTrial::verdict() const {
  if (!before_) return is_known_well() ? Verdict::kHelps : Verdict::kOpen;
  if (now_.count < kToPass) return Verdict::kOpen;
  const double at_worst =
      gain(before_->mean - before_->error(), now_.mean + now_.error());
  if (at_worst >= kLeastGain) return Verdict::kHelps;
  if (now_.count < size_ + kToFail) return Verdict::kOpen;
  const double at_best =
      gain(before_->mean + before_->error(), now_.mean - now_.error());
  if (at_best < kLeastGain) return Verdict::kDoesNotHelp;
  if (now_.count < size_ + kToEnd) return Verdict::kOpen;
  return gain(before_->mean, now_.mean) >= kLeastGain ? Verdict::kHelps
                                                      : Verdict::kDoesNotHelp;
}

bool EfficiencyTrial::was_wrong() const {
  return more_ && now_.count >= kToFail &&
         now_.mean > (cheap_ + more_->mean) / 2;
}

}  // namespace dispatch::core
