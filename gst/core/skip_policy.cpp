// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/skip_policy.h"

#include <utility>

namespace dispatch::core {

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

SkipPolicy::SkipPolicy(SkipSettings settings) : settings_(std::move(settings)) {
  for (const Level& level : settings_.levels) costs_.push_back(level.cost);
}

void SkipPolicy::on_caps() { state_ = State::kWarmUp; }

void SkipPolicy::on_arrival(RunningTime, RunningTime) {}

std::optional<Duration> SkipPolicy::expected(unsigned level) const {
  return costs_.at(level);
}

LevelVerdict SkipPolicy::decide(const FrameOutlook& frame) {
  LevelVerdict verdict;
  verdict.level = 0;
  verdict.predicted = expected(0).value_or(Duration::zero());
  if (!frame.slack) {
    verdict.reason = SkipReason::kNoDueTime;
    return verdict;
  }
  if (state_ == State::kWarmUp) {
    verdict.reason = SkipReason::kWarmUp;
    return verdict;
  }
  for (unsigned level = 0; level < costs_.size(); ++level) {
    // Of a level that was never measured the one above it tells the most.
    const Duration cost = expected(level).value_or(verdict.predicted);
    verdict.predicted = cost;
    verdict.level = level;
    if (cost <= *frame.slack) return verdict;
  }
  verdict.level.reset();
  verdict.reason = SkipReason::kTooLate;
  verdict.in_time = 0;
  return verdict;
}

void SkipPolicy::on_measured(unsigned level, Duration cost, RunningTime) {
  costs_.at(level) = cost;
  state_ = State::kNormal;
}

void SkipPolicy::on_overrun(unsigned level, Duration age, RunningTime) {
  if (costs_.at(level).value_or(Duration::zero()) < age) costs_.at(level) = age;
}

void SkipPolicy::on_left(const SkipDeparture&) {}

}  // namespace dispatch::core
