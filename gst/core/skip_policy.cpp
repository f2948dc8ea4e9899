// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/skip_policy.h"

#include <algorithm>
#include <utility>

namespace dispatch::core {

namespace {

constexpr double kIntervalGain = 0.1;
// The full stage is tried when it was not measured for this long,
// as far as all trials together cost at most this share of a full frame for
// each frame; it is saved up for at most some frames.
constexpr double kProbeShare = 0.01;
constexpr double kMostCredit = 3;
// One that costs something is not repeated as soon.
#ifndef SW
#define SW 0.0
#endif
constexpr double kSwitchCost = SW;
constexpr double kFreeLoss = 0.01;
constexpr Duration kLongestPause = std::chrono::seconds(30);

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
  trials_.resize(levels());
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
  // To stay has to be worth something.
  const bool may_stay = last_stage_ && worth.levels.at(*last_stage_) > worth.skip;
  const auto value = [&](unsigned k) {
    const bool is_switch = may_stay && k != *last_stage_;
    return worth.levels.at(k) - (is_switch ? kSwitchCost : 0);
  };
  unsigned best = ceiling_;
  for (unsigned k = ceiling_; k < levels(); ++k)
    if (value(k) > value(best)) best = k;
  return best;
}

LevelVerdict SkipPolicy::choose(const FrameOutlook& frame, const Worth& worth) {
  const unsigned best = best_level(worth);
  // What cannot be done in time is never better than going past the stage.
  const bool is_worth_it = worth.levels.at(best) > worth.skip &&
                           forecasts_.at(best).in_time(*frame.slack) > 0;
  probe_credit_ = std::min(kMostCredit, probe_credit_ + kProbeShare);
  const std::optional<unsigned> chosen =
      is_worth_it ? std::optional(best) : std::nullopt;
  if (const auto probed = level_to_probe(frame, worth, chosen)) {
    const double most = std::max(worth.skip, worth.levels.at(best));
    begin_probe(*probed, most - worth.levels.at(*probed), frame.now);
    return verdict(probed, SkipReason::kProbe, frame);
  }
  if (is_worth_it) {
    const bool is_held = best == ceiling_ && ceiling_ > 0;
    return verdict(best, is_held ? SkipReason::kCeiling : SkipReason::kFits,
                   frame);
  }
  if (settings_.max_consecutive_skips > 0 &&
      skipped_in_a_row_ >= settings_.max_consecutive_skips)
    return verdict(best, SkipReason::kConsecutive, frame);
  const bool would_fit = forecasts_.at(best).in_time(*frame.slack) >= 0.5;
  return verdict(std::nullopt,
                 would_fit ? SkipReason::kSpared : SkipReason::kTooLate, frame);
}

// Of the levels above what fits, the one that was not measured for longest.
std::optional<unsigned> SkipPolicy::level_to_probe(
    const FrameOutlook& frame, const Worth& worth,
    std::optional<unsigned> best) const {
  if (*frame.slack < frame.fresh_slack / 4 * 3) return std::nullopt;
  const double most =
      best ? std::max(worth.skip, worth.levels.at(*best)) : worth.skip;
  std::optional<unsigned> oldest;
  RunningTime oldest_time = RunningTime::max();
  for (unsigned k = 0; k < best.value_or(levels()); ++k) {
    // What fits is going to be measured without a trial, before long.
    if (forecasts_.at(k).in_time(frame.fresh_slack) >= 0.5) continue;
    const RunningTime last =
        std::max(trials_.at(k).last,
                 costs_->measured_at(k).value_or(RunningTime::min()));
    const bool is_due = last == RunningTime::min() ||
                        costs_->may_be_cheaper() ||
                        frame.now - last >= trials_.at(k).pause;
    if (!is_due || most - worth.levels.at(k) > probe_credit_) continue;
    if (last >= oldest_time) continue;
    oldest = k;
    oldest_time = last;
  }
  return oldest;
}

void SkipPolicy::begin_probe(unsigned level, double loss, RunningTime now) {
  Trial& trial = trials_.at(level);
  trial.last = now;
  if (loss <= kFreeLoss) return;
  probe_credit_ -= loss;
  trial.pause = std::min(2 * trial.pause, kLongestPause);
}

void SkipPolicy::note(const LevelVerdict& verdict) {
  if (verdict.level && verdict.reason == SkipReason::kFits)
    trials_.at(*verdict.level).pause = kProbeAfter;
  last_level_ = verdict.level;
  if (verdict.level) last_stage_ = verdict.level;
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
