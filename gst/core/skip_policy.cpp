// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/skip_policy.h"

#include <algorithm>
#include <utility>

namespace dispatch::core {

namespace {

static_assert(CostModel::kPoints == SlackValue::kPoints);

constexpr double kIntervalGain = 0.1;
// A gap in the timestamps longer than this many seconds is a pause or a jump,
// unless frames come about as slowly.
constexpr double kLongestGap = 1;
constexpr double kLongerGap = 2;
// A level is expected to be done in time when it is as likely as not.
constexpr double kLikely = 0.5;

double seconds(Duration time) {
  return std::chrono::duration<double>(time).count();
}

std::shared_ptr<CostModel> costs_of(const SkipSettings& settings) {
  std::vector<std::optional<Duration>> seeds;
  for (const Level& level : settings.levels) seeds.push_back(level.cost);
  return std::make_shared<CostModel>(seeds);
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

SkipPolicy::SkipPolicy(SkipSettings settings, std::shared_ptr<CostModel> costs)
    : settings_(std::move(settings)),
      costs_(costs ? std::move(costs) : costs_of(settings_)),
      loop_(levels(), settings_.target_miss_rate),
      options_(levels()),
      forecasts_(levels()),
      window_(settings_.skip_window, true),
      trials_(levels()) {
  worth_.levels.resize(levels());
}

unsigned SkipPolicy::levels() const {
  return static_cast<unsigned>(settings_.levels.size());
}

// ---- What happens ----------------------------------------------------------

void SkipPolicy::on_caps() {
  costs_->on_caps();
  loop_.on_caps();
}

void SkipPolicy::on_arrival(RunningTime running_time, RunningTime now) {
  if (last_running_time_ && running_time > *last_running_time_) {
    const double gap = std::min(seconds(running_time - *last_running_time_),
                                std::max(kLongestGap, kLongerGap * interval_));
    interval_ += interval_ == 0 ? gap : kIntervalGain * (gap - interval_);
  }
  last_running_time_ = running_time;
  look_for_stuck(now);
}

void SkipPolicy::on_measured(unsigned level, Duration cost, RunningTime now) {
  costs_->on_measured(level, cost, now);
  std::erase_if(overdue_, [&](RunningTime begun) {
    return std::chrono::abs(now - cost - begun) < CostModel::kSameBegin;
  });
}

void SkipPolicy::on_overrun(unsigned level, Duration age, RunningTime now) {
  costs_->on_overrun(level, age, now);
  if (std::erase(overdue_, now - age) > 0) return;
  if (overdue_.size() == workers_) overdue_.erase(overdue_.begin());
  overdue_.push_back(now - age);
}

void SkipPolicy::look_for_stuck(RunningTime now) {
  if (overdue_.size() < workers_) return;
  const RunningTime last = *std::max_element(overdue_.begin(), overdue_.end());
  const Duration most =
      std::max(kStuckAtLeast, kStuckCosts * forecasts_.front().median);
  if (now - last >= most) loop_.on_stuck();
}

void SkipPolicy::on_left(const SkipDeparture& departure) {
  loop_.on_left(departure);
  run_ = departure.level ? 0 : run_ + 1;
  longest_run_ = std::max(longest_run_, run_);
  if (last_left_ && *last_left_ != departure.level) ++switches_;
  last_left_ = departure.level;
  // What was to get a stage has not.
  if (departure.was_rescued) ++since_stage_;
  look_for_stuck(departure.now);
}

std::optional<Duration> SkipPolicy::expected_cost(unsigned level) const {
  if (!costs_->is_known(level)) return std::nullopt;
  return forecasts_.at(level).median;
}

// ---- The verdict -----------------------------------------------------------

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
  workers_ = std::max(1U, frame.workers);
  // There is a worker for it.
  if (overdue_.size() >= workers_) overdue_.clear();
  for (unsigned k = 0; k < levels(); ++k)
    forecasts_.at(k) = costs_->forecast(k, frame.now);
  tell_loop(frame);
  LevelVerdict choice;
  if (!frame.slack)
    choice = verdict(0, SkipReason::kNoDueTime, frame);
  else if (!costs_->is_known(0))
    choice = verdict(0, SkipReason::kWarmUp, frame);
  else
    choice = choose(frame);
  note(choice);
  return choice;
}

void SkipPolicy::tell_loop(const FrameOutlook& frame) {
  const unsigned best = loop_.ceiling();
  const auto with_margin = std::chrono::duration_cast<Duration>(
      frame.fresh_slack / LevelCeiling::kMargin);
  LevelCeiling::Outlook outlook;
  outlook.now = frame.now;
  outlook.has_due_time = frame.slack.has_value();
  outlook.is_known = costs_->is_known(0);
  outlook.fits = forecasts_.at(best).in_time(frame.fresh_slack) >= kLikely;
  outlook.fits_above = best > 0 && forecasts_.at(best - 1).in_time(
                                       with_margin) >= LevelCeiling::kSure;
  outlook.interval = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(interval(frame)));
  loop_.on_outlook(outlook);
}

double SkipPolicy::interval(const FrameOutlook& frame) const {
  return interval_ > 0 ? interval_ : std::max(1e-3, seconds(frame.fresh_slack));
}

void SkipPolicy::weigh(const FrameOutlook& frame) {
  const double interval = this->interval(frame);
  for (unsigned k = 0; k < levels(); ++k) {
    options_.at(k).utility = settings_.levels.at(k).utility;
    for (std::size_t i = 0; i < CostModel::kPoints; ++i)
      options_.at(k).costs.at(i) =
          seconds(forecasts_.at(k).costs.at(i)) / interval;
  }
  SlackValue::Terms terms;
  terms.fresh = seconds(frame.fresh_slack) / interval;
  terms.workers = workers_;
  terms.skip_utility = settings_.skip_utility;
  terms.can_rescue = settings_.can_rescue;
  terms.miss_price = loop_.miss_price();
  slack_value_.improve(options_, terms);
  const double slack = seconds(*frame.slack) / interval;
  worth_.skip = slack_value_.of_skip(slack);
  for (unsigned k = 0; k < levels(); ++k)
    worth_.levels.at(k) = slack_value_.of_level(options_.at(k), slack);
}

unsigned SkipPolicy::best_level() const {
  // To stay has to be worth something.
  const bool may_stay =
      last_stage_ && worth_.levels.at(*last_stage_) > worth_.skip;
  const auto value = [&](unsigned k) {
    const bool is_switch = may_stay && k != *last_stage_;
    return worth_.levels.at(k) - (is_switch ? kSwitchCost : 0);
  };
  unsigned best = loop_.ceiling();
  for (unsigned k = best; k < levels(); ++k)
    if (value(k) > value(best)) best = k;
  return best;
}

// What cannot be done in time is never better than going past the stage.
bool SkipPolicy::is_worth_it(unsigned level, const FrameOutlook& frame) const {
  return worth_.levels.at(level) > worth_.skip &&
         forecasts_.at(level).in_time(*frame.slack) > 0;
}

LevelVerdict SkipPolicy::choose(const FrameOutlook& frame) {
  weigh(frame);
  if (loop_.state() == State::kIneffective && is_fast_enough(frame))
    return verdict(0, SkipReason::kIneffective, frame);
  probe_credit_ = std::min(kMostCredit, probe_credit_ + kProbeShare);
  const unsigned best = best_level();
  const std::optional<unsigned> chosen =
      is_worth_it(best, frame) ? std::optional(best) : std::nullopt;
  if (const auto probed = level_to_probe(frame, chosen)) {
    const double most = chosen ? worth_.levels.at(best) : worth_.skip;
    begin_probe(*probed, most - worth_.levels.at(*probed), frame.now);
    return verdict(probed, SkipReason::kProbe, frame);
  }
  if (chosen) {
    const bool is_held = best > 0 && best == loop_.ceiling();
    return verdict(best, is_held ? SkipReason::kCeiling : SkipReason::kFits,
                   frame);
  }
  if (has_to_apply())
    if (const auto forced = level_to_force(frame))
      return verdict(forced, SkipReason::kConsecutive, frame);
  const bool would_fit = forecasts_.at(best).in_time(*frame.slack) >= kLikely;
  return verdict(std::nullopt,
                 would_fit ? SkipReason::kSpared : SkipReason::kTooLate, frame);
}

bool SkipPolicy::is_fast_enough(const FrameOutlook& frame) const {
  return seconds(forecasts_.front().median) <= interval(frame) * workers_;
}

// ---- What does not fit -----------------------------------------------------

// Of the levels above the one chosen, the one that was not measured for
// longest.
std::optional<unsigned> SkipPolicy::level_to_probe(
    const FrameOutlook& frame, std::optional<unsigned> best) const {
  // With the most slack it says the most, and is the likeliest to be of use.
  if (*frame.slack < frame.fresh_slack / 4 * 3) return std::nullopt;
  const double most = best ? worth_.levels.at(*best) : worth_.skip;
  std::optional<unsigned> oldest;
  RunningTime oldest_time = RunningTime::max();
  for (unsigned k = 0; k < best.value_or(levels()); ++k) {
    // What fits is going to be measured without a trial, before long.
    const bool is_closed = k < loop_.ceiling();
    if (!is_closed && forecasts_.at(k).in_time(frame.fresh_slack) >= kLikely)
      continue;
    if (!is_probe_due(k, most - worth_.levels.at(k), frame.now)) continue;
    const RunningTime last =
        std::max(trials_.at(k).last,
                 costs_->measured_at(k).value_or(RunningTime::min()));
    if (last >= oldest_time) continue;
    oldest = k;
    oldest_time = last;
  }
  return oldest;
}

bool SkipPolicy::is_probe_due(unsigned level, double loss,
                              RunningTime now) const {
  const Trial& trial = trials_.at(level);
  const auto measured = costs_->measured_at(level);
  if (loss > kFreeLoss && loss > probe_credit_) return false;
  if (!measured && trial.last == RunningTime::min()) return true;
  // Far cheaper than expected, the last time: once more, and it is certain.
  if (costs_->may_be_cheaper()) return true;
  const RunningTime last =
      std::max(trial.last, measured.value_or(RunningTime::min()));
  const Duration pause =
      loss > kFreeLoss ? std::max(trial.pause, kFreePause) : trial.pause;
  return now - last >= pause;
}

void SkipPolicy::begin_probe(unsigned level, double loss, RunningTime now) {
  Trial& trial = trials_.at(level);
  trial.last = now;
  const bool is_free = loss <= kFreeLoss;
  if (!is_free) probe_credit_ -= loss;
  const Duration longest = is_free ? kFreePause : kLongestPause;
  trial.pause = std::max(trial.pause, std::min(2 * trial.pause, longest));
}

bool SkipPolicy::has_to_apply() const {
  if (settings_.max_consecutive_skips > 0 &&
      since_stage_ >= settings_.max_consecutive_skips)
    return true;
  const unsigned wanted = settings_.applied_in_window;
  if (wanted == 0 || window_.empty()) return false;
  // Evenly spaced.
  const auto spacing = (window_.size() + wanted - 1) / wanted;
  if (since_stage_ + 1 >= spacing && since_stage_ > 0) return true;
  // With this frame instead of the oldest one.
  auto applied = std::count(window_.begin(), window_.end(), true);
  if (window_.at(next_in_window_)) --applied;
  return applied < static_cast<long>(wanted);
}

// The likeliest to be done in time; none: the next frame has a chance, this one
// has not.
std::optional<unsigned> SkipPolicy::level_to_force(
    const FrameOutlook& frame) const {
  unsigned best = loop_.ceiling();
  bool has_chance_later = false;
  for (unsigned k = best; k < levels(); ++k) {
    const auto& forecast = forecasts_.at(k);
    has_chance_later |= forecast.in_time(frame.fresh_slack) > 0;
    if (forecast.in_time(*frame.slack) >
        forecasts_.at(best).in_time(*frame.slack))
      best = k;
  }
  const bool has_chance = forecasts_.at(best).in_time(*frame.slack) > 0;
  if (settings_.can_rescue && !has_chance && has_chance_later)
    return std::nullopt;
  // Without any, the cheapest one.
  return has_chance ? best : levels() - 1;
}

void SkipPolicy::note(const LevelVerdict& verdict) {
  since_stage_ = verdict.level ? 0 : since_stage_ + 1;
  if (!window_.empty()) {
    window_.at(next_in_window_) = verdict.level.has_value();
    next_in_window_ = (next_in_window_ + 1) % window_.size();
  }
  if (!verdict.level) return;
  last_stage_ = verdict.level;
  if (verdict.reason == SkipReason::kFits)
    trials_.at(*verdict.level).pause = kFirstPause;
}

}  // namespace dispatch::core
