// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/skip_policy.h"

#include <algorithm>
#include <utility>

namespace dispatch::core {

namespace {

constexpr double kIntervalGain = 0.1;
// The full stage is tried when it was not measured for this long,
constexpr Duration kProbeAfter = std::chrono::milliseconds(250);
// as far as all trials together cost at most this share of a full frame for
// each frame; it is saved up for at most some frames.
constexpr double kProbeShare = 0.02;
constexpr double kMostCredit = 3;

double seconds(Duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

const char* to_string(SkipReason reason) {
  switch (reason) {
    case SkipReason::kFits:
      return "fits";
    case SkipReason::kNoDueTime:
      return "no-due-time";
    case SkipReason::kWarmUp:
      return "warm-up";
    case SkipReason::kProbe:
      return "probe";
    case SkipReason::kConsecutive:
      return "consecutive";
    case SkipReason::kIneffective:
      return "ineffective";
    case SkipReason::kTooLate:
      return "too-late";
    case SkipReason::kSpared:
      return "spared";
    case SkipReason::kCeiling:
      return "ceiling";
  }
  return "?";
}

const char* to_string(SkipPolicy::State state) {
  switch (state) {
    case SkipPolicy::State::kWarmUp:
      return "warm-up";
    case SkipPolicy::State::kNormal:
      return "normal";
    case SkipPolicy::State::kPressure:
      return "pressure";
    case SkipPolicy::State::kDegraded:
      return "degraded";
    case SkipPolicy::State::kProbe:
      return "probe";
    case SkipPolicy::State::kOpaque:
      return "opaque";
    case SkipPolicy::State::kIneffective:
      return "ineffective";
    case SkipPolicy::State::kStalled:
      return "stalled";
  }
  return "?";
}


SkipPolicy::SkipPolicy(SkipSettings settings, std::shared_ptr<CostModel> costs)
    : settings_(std::move(settings)), costs_(std::move(costs)) {
  if (!costs_) {
    std::vector<std::optional<Duration>> seeds;
    for (const Level& level : settings_.levels) seeds.push_back(level.cost);
    costs_ = std::make_shared<CostModel>(seeds);
  }
  options_.resize(levels());
  forecasts_.resize(levels());
}

unsigned SkipPolicy::levels() const {
  return static_cast<unsigned>(settings_.levels.size());
}

void SkipPolicy::on_caps() { costs_->on_caps(); }

void SkipPolicy::on_arrival(RunningTime running_time, RunningTime) {
  if (last_running_time_ && running_time > *last_running_time_) {
    const double gap = seconds(running_time - *last_running_time_);
    interval_ += interval_ == 0 ? gap : kIntervalGain * (gap - interval_);
  }
  last_running_time_ = running_time;
}

LevelVerdict SkipPolicy::verdict(std::optional<unsigned> level,
                                 SkipReason reason,
                                 const FrameOutlook& frame) const {
  LevelVerdict verdict;
  verdict.level = level;
  verdict.reason = reason;
  const auto& forecast = forecasts_.at(level.value_or(levels() - 1));
  verdict.predicted = forecast.median;
  verdict.in_time = frame.slack ? forecast.in_time(*frame.slack) : 1;
  return verdict;
}

LevelVerdict SkipPolicy::decide(const FrameOutlook& frame) {
  for (unsigned k = 0; k < levels(); ++k)
    forecasts_.at(k) = costs_->forecast(k, frame.now);
  LevelVerdict choice;
  if (!frame.slack)
    choice = verdict(0, SkipReason::kNoDueTime, frame);
  else if (!costs_->is_known(0))
    choice = verdict(0, SkipReason::kWarmUp, frame);
  else
    choice = choose(frame, weigh(frame));
  note(choice);
  return choice;
}

SkipPolicy::Worth SkipPolicy::weigh(const FrameOutlook& frame) {
  const double interval = interval_ > 0 ? interval_ : seconds(frame.fresh_slack);
  for (unsigned k = 0; k < levels(); ++k) {
    options_.at(k).utility = settings_.levels.at(k).utility;
    for (std::size_t i = 0; i < CostModel::kPoints; ++i)
      options_.at(k).costs.at(i) =
          seconds(forecasts_.at(k).costs.at(i)) / interval;
  }
  SlackValue::Terms terms;
  terms.fresh = seconds(frame.fresh_slack) / interval;
  terms.workers = std::max(1U, frame.workers);
  terms.skip_utility = settings_.skip_utility;
  terms.can_rescue = settings_.can_rescue;
  slack_value_.improve(options_, terms);
  const double slack = seconds(*frame.slack) / interval;
  Worth worth;
  worth.skip = slack_value_.of_skip(slack);
  for (const auto& option : options_)
    worth.levels.push_back(slack_value_.of_level(option, slack));
  return worth;
}

unsigned SkipPolicy::best_level(const Worth& worth) const {
  unsigned best = ceiling_;
  for (unsigned k = ceiling_; k < levels(); ++k)
    if (worth.levels.at(k) > worth.levels.at(best)) best = k;
  return best;
}

LevelVerdict SkipPolicy::choose(const FrameOutlook& frame, const Worth& worth) {
  const unsigned best = best_level(worth);
  const double most = std::max(worth.skip, worth.levels.at(best));
  probe_credit_ = std::min(kMostCredit, probe_credit_ + kProbeShare);
  const double loss = std::max(0.0, most - worth.levels.at(0));
  if ((best != 0 || worth.skip >= worth.levels.at(0)) &&
      may_probe(frame, loss)) {
    probe_credit_ -= loss;
    last_probe_ = frame.now;
    return verdict(0, SkipReason::kProbe, frame);
  }
  if (worth.levels.at(best) > worth.skip)
    return verdict(best,
                   best == ceiling_ && ceiling_ > 0 ? SkipReason::kCeiling
                                                    : SkipReason::kFits,
                   frame);
  if (settings_.max_consecutive_skips > 0 &&
      skipped_in_a_row_ >= settings_.max_consecutive_skips)
    return verdict(best, SkipReason::kConsecutive, frame);
  const bool would_fit =
      forecasts_.at(best).in_time(*frame.slack) >= 0.5;
  return verdict(std::nullopt,
                 would_fit ? SkipReason::kSpared : SkipReason::kTooLate, frame);
}

bool SkipPolicy::may_probe(const FrameOutlook& frame, double loss) const {
  const auto measured = costs_->measured_at(0);
  RunningTime last = measured.value_or(RunningTime::min());
  if (last_probe_) last = std::max(last, *last_probe_);
  const bool is_due = costs_->is_in_doubt() || last == RunningTime::min() ||
                      frame.now - last >= kProbeAfter;
  return is_due && loss <= probe_credit_;
}

void SkipPolicy::note(const LevelVerdict& verdict) {
  last_level_ = verdict.level;
  skipped_in_a_row_ = verdict.level ? 0 : skipped_in_a_row_ + 1;
}

void SkipPolicy::on_measured(unsigned level, Duration cost, RunningTime now) {
  costs_->on_measured(level, cost, now);
  state_ = State::kNormal;
}

void SkipPolicy::on_overrun(unsigned level, Duration age, RunningTime now) {
  costs_->on_overrun(level, age, now);
}

void SkipPolicy::on_left(const SkipDeparture&) {}

}  // namespace dispatch::core
