// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/late_policy.h"

#include <algorithm>

namespace dispatch::core {

namespace {

Cause overdue_cause(const HeadFacts& head) {
  if (head.slack_at_arrival <= kReleaseAhead) return Cause::kArrivedLate;
  return head.is_started ? Cause::kOverdueRunning : Cause::kOverdueWaiting;
}

// From when on the head counts as stalled, if it stays as it is; none: not for
// what is known of it.
std::optional<RunningTime> stalled_from(const HeadFacts& head,
                                        RunningTime now) {
  if (!head.is_started || head.workers == 0 || !head.mean_service ||
      head.younger_done < kStalledResults * head.workers)
    return std::nullopt;
  const Duration patience =
      std::max(kStalledAtLeast, kStalledServices * *head.mean_service);
  return now + (patience - head.busy_for);
}

}  // namespace

HeadVerdict decide_head(const HeadFacts& head, LatePolicy policy,
                        std::optional<RunningTime> now) {
  using Kind = HeadVerdict::Kind;
  if (head.is_done) return {Kind::kRelease, Cause::kNone, {}};
  if (head.lost != Cause::kNone) return {Kind::kOverdue, head.lost, {}};
  if (!head.due || !now || policy == LatePolicy::kWait)
    return {Kind::kWait, Cause::kNone, {}};
  const RunningTime release = *head.due - kReleaseAhead;
  if (*now >= release) return {Kind::kOverdue, overdue_cause(head), {}};
  const auto stalled = stalled_from(head, *now);
  if (stalled && *now >= *stalled) return {Kind::kOverdue, Cause::kStalled, {}};
  return {Kind::kWaitUntil, Cause::kNone,
          std::min(release, stalled.value_or(release))};
}

Action decide_substitute(LatePolicy policy, const Substitutes& possible,
                         bool reuse) {
  if (reuse && policy == LatePolicy::kBypass && possible.can_repeat)
    return Action::kRepeated;
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
