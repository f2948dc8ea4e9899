// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/level_chooser.h"

#include <algorithm>
#include <utility>

namespace dispatch::stage {

namespace {

// Of the slack of frames that have just come, over some eight of them.
constexpr int kSlackSmoothing = 8;

bool was_rescued(const core::FrameRecord& record) {
  return record.cause == core::Cause::kOverdueRunning ||
         record.cause == core::Cause::kStalled;
}

bool is_applied(const core::FrameRecord& record) {
  return record.action == core::Action::kApplied;
}

}  // namespace

core::Cause cause_of(const core::LevelVerdict& verdict) {
  if (verdict.level == 0U) return core::Cause::kNone;
  switch (verdict.reason) {
    case core::SkipReason::kSpared:
      return core::Cause::kSpared;
    case core::SkipReason::kCeiling:
      return core::Cause::kCeiling;
    default:
      return core::Cause::kPredictedLate;
  }
}

LevelChooser::LevelChooser(Settings settings,
                           std::shared_ptr<SharedCosts> costs)
    : settings_(std::move(settings)),
      costs_(std::move(costs)),
      policy_(settings_.skip, costs_->model),
      has_gap_(settings_.skip.levels.size(), false) {}

void LevelChooser::on_caps(const std::string& text) {
  // What is under way is of the old ones.
  for (auto& [worker, begun] : begun_) begun.at.reset();
  const std::lock_guard lock(costs_->mutex);
  if (costs_->take_caps(text)) policy_.on_caps();
}

void LevelChooser::on_arrival(core::RunningTime running_time,
                              core::RunningTime now,
                              std::optional<core::Duration> slack) {
  policy_.on_arrival(running_time, now);  // touches no costs
  if (!slack) return;
  if (!fresh_slack_) fresh_slack_ = *slack;
  *fresh_slack_ += (*slack - *fresh_slack_) / kSlackSmoothing;
}

core::LevelVerdict LevelChooser::choose(std::optional<core::Duration> slack,
                                        unsigned workers, bool may_skip,
                                        core::RunningTime now) {
  const core::FrameOutlook frame{
      .now = now,
      .slack = slack,
      .fresh_slack = fresh_slack_.value_or(slack.value_or(core::Duration())),
      .workers = std::max(1U, workers)};
  core::LevelVerdict verdict;
  {
    const std::lock_guard lock(costs_->mutex);
    verdict = policy_.decide(frame);
  }
  if (!verdict.level && !may_skip) verdict.level = levels() - 1;
  for (unsigned level = 0; level < levels(); ++level)
    if (verdict.level != level) has_gap_[level] = true;
  return verdict;
}

bool LevelChooser::on_begun(const Worker& worker, unsigned level,
                            std::optional<core::RunningTime> now) {
  begun_[&worker] = {level, now};
  const bool has_gap = has_gap_.at(level);
  has_gap_[level] = false;
  return has_gap;
}

core::Duration LevelChooser::on_finished(const Worker& worker, Ending ending,
                                         core::Duration service,
                                         std::optional<core::RunningTime> now) {
  const auto begun = begun_.find(&worker);
  if (begun == begun_.end()) return service;
  const auto [level, at] = begun->second;
  begun_.erase(begun);
  const std::lock_guard lock(costs_->mutex);
  if (now && at && ending == Ending::kDone)
    policy_.on_measured(level, *now - *at, *now);
  else if (now && at && ending == Ending::kAbandoned)
    policy_.on_overrun(level, *now - *at, *now);
  return as_full(level, service);
}

// What the full stage would have cost in place of `level`.
core::Duration LevelChooser::as_full(unsigned level,
                                     core::Duration cost) const {
  const std::optional<core::Duration> own = policy_.expected_cost(level);
  const std::optional<core::Duration> full = policy_.expected_cost(0);
  if (level == 0 || !own || !full || *own <= core::Duration::zero())
    return cost;
  const double ratio = std::chrono::duration<double>(*full) /
                       std::chrono::duration<double>(*own);
  return std::chrono::duration_cast<core::Duration>(cost * ratio);
}

void LevelChooser::on_overrun(const Worker& worker,
                              std::optional<core::RunningTime> now) {
  const auto begun = begun_.find(&worker);
  if (begun == begun_.end() || !begun->second.at || !now) return;
  const std::lock_guard lock(costs_->mutex);
  policy_.on_overrun(begun->second.level, *now - *begun->second.at, *now);
}

void LevelChooser::on_left(const core::FrameRecord& record,
                           const std::optional<core::LevelVerdict>& verdict,
                           std::optional<core::Duration> slack,
                           core::RunningTime now) {
  if (!verdict) std::fill(has_gap_.begin(), has_gap_.end(), true);
  core::SkipDeparture departure;
  departure.now = now;
  if (is_applied(record)) departure.level = record.level;
  departure.is_late = record.late;
  departure.was_rescued = was_rescued(record);
  departure.arrived_late = record.cause == core::Cause::kArrivedLate;
  departure.blocked = record.blocked;
  policy_.on_left(departure);
  note_level(record, verdict, slack);
  note_state(record);
}

void LevelChooser::note_level(const core::FrameRecord& record,
                              const std::optional<core::LevelVerdict>& verdict,
                              std::optional<core::Duration> slack) {
  const unsigned level = is_applied(record) ? record.level : levels();
  const unsigned before = std::exchange(current_level_, level);
  if (level == before) return;
  LevelNews news;
  news.frame = record.sequence;
  news.from = before;
  news.to = level;
  news.utility = utility_of(record);
  // What was chosen is not what left where it took too long.
  const bool is_as_chosen = verdict && (is_applied(record) || !verdict->level);
  news.reason = is_as_chosen ? core::to_string(verdict->reason)
                             : core::to_string(record.cause);
  news.slack = slack;
  if (verdict) news.predicted = verdict->predicted;
  if (is_applied(record)) news.cost = record.end - record.start;
  news_.push_back(news);
}

void LevelChooser::note_state(const core::FrameRecord& record) {
  const core::SkipPolicy::State state = policy_.state();
  if (std::exchange(told_state_, state) == state) return;
  LevelNews news;
  news.kind = LevelNews::Kind::kState;
  news.frame = record.sequence;
  news.state = core::to_string(state);
  news.because = core::to_string(policy_.why());
  news.culprit = core::to_string(policy_.culprit());
  news_.push_back(news);
}

std::optional<LevelNews> LevelChooser::take_news() {
  if (news_.empty()) return std::nullopt;
  LevelNews first = news_.front();
  news_.erase(news_.begin());
  return first;
}

LevelFacts LevelChooser::facts() const {
  const std::lock_guard lock(costs_->mutex);
  LevelFacts facts{.levels = levels(),
                   .current = current_level_,
                   .ceiling = policy_.ceiling(),
                   .state = core::to_string(policy_.state()),
                   .because = core::to_string(policy_.why()),
                   .culprit = core::to_string(policy_.culprit()),
                   .switches = policy_.switches(),
                   .ceiling_changes = policy_.ceiling_changes(),
                   .longest_skip_run = policy_.longest_run_without_stage(),
                   .slowdown = policy_.slowdown(),
                   .miss_price = policy_.miss_price(),
                   .coverage = policy_.coverage(),
                   .prediction_error = policy_.prediction_error(),
                   .expected = {}};
  for (unsigned level = 0; level < levels(); ++level)
    facts.expected.push_back(
        policy_.expected_cost(level).value_or(core::Duration()));
  return facts;
}

double LevelChooser::utility_of(const core::FrameRecord& record) const {
  switch (record.action) {
    case core::Action::kApplied:
      return settings_.skip.levels.at(record.level).utility;
    case core::Action::kBypassed:
      return settings_.bypass_utility;
    case core::Action::kRepeated:
      return settings_.repeat_utility;
    case core::Action::kDropped:
      return 0;
  }
  return 0;
}

}  // namespace dispatch::stage
