// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/late_policy.h"

namespace dispatch::core {

namespace {

Cause overdue_cause(const HeadFacts& head) {
  if (head.slack_at_arrival <= kReleaseAhead) return Cause::kArrivedLate;
  return head.is_started ? Cause::kOverdueRunning : Cause::kOverdueWaiting;
}

}  // namespace

HeadVerdict decide_head(const HeadFacts& head, LatePolicy policy,
                        std::optional<RunningTime> now) {
  using Kind = HeadVerdict::Kind;
  if (head.is_done) return {Kind::kRelease, Cause::kNone, {}};
  if (!head.due || !now || policy == LatePolicy::kWait)
    return {Kind::kWait, Cause::kNone, {}};
  const RunningTime release = *head.due - kReleaseAhead;
  if (*now >= release) return {Kind::kOverdue, overdue_cause(head), {}};
  return {Kind::kWaitUntil, Cause::kNone, release};
}

Action decide_substitute(LatePolicy policy, const Substitutes& possible) {
  if (policy == LatePolicy::kBypass && possible.can_bypass)
    return Action::kBypassed;
  if (policy != LatePolicy::kDrop && possible.can_repeat)
    return Action::kRepeated;
  return Action::kDropped;
}

bool is_late(std::optional<RunningTime> due, std::optional<RunningTime> now) {
  return due && now && *now > *due + kLateAfter;
}

}  // namespace dispatch::core
