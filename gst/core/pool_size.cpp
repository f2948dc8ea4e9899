// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/pool_size.h"

#include <algorithm>
#include <cmath>

namespace dispatch::core {

namespace {

constexpr double kBusyShare = 0.8;
constexpr double kSpareShare = 0.6;
// While more than the minimum work: how often to see whether frames still come.
constexpr Duration kLookAgain = std::chrono::seconds(1);

Duration budget_of(const PoolSize::Facts& facts) {
  return facts.waited + facts.slack.value_or(Duration::zero());
}

// A worker that has a frame for longer than this is in for a surprise; what is
// a small part of the budget does not matter.
Duration surprise_after(Duration cost, Duration budget) {
  return std::max(cost + cost / 4, budget / 8);
}

}  // namespace

const char* to_string(PoolSize::Why why) {
  switch (why) {
    case PoolSize::Why::kMinimum:
      return "minimum";
    case PoolSize::Why::kLoad:
      return "load";
    case PoolSize::Why::kWaiting:
      return "waiting";
    case PoolSize::Why::kRescued:
      return "rescued";
    case PoolSize::Why::kMaximum:
      return "maximum";
    case PoolSize::Why::kInefficient:
      return "inefficient";
    case PoolSize::Why::kResting:
      return "resting";
  }
  return "?";
}

// ---- What happens ----------------------------------------------------------

void PoolSize::set_limits(const Limits& limits) {
  limits_ = limits;
  const unsigned size = std::clamp(size_, limits.min, limits.max);
  if (size == size_) return;
  size_ = size;
  trial_.on_size(size_, /*is_comparable=*/false);
}

void PoolSize::on_arrival(MonotonicTime now) {
  arrivals_.on_arrival(now);
  ++events_since_up_;
}

void PoolSize::on_finished(MonotonicTime now, Duration service) {
  last_begin_ = now;
  cost_.on_finished(service);
  trial_.on_finished(service);
  ++events_since_up_;
}

void PoolSize::on_rescued(MonotonicTime now) {
  last_rescue_ = now;
  last_begin_ = now;
}

void PoolSize::reset() {
  const Limits limits = limits_;
  *this = PoolSize();
  set_limits(limits);
}

// ---- What is needed --------------------------------------------------------

PoolSize::Need PoolSize::judge_load(MonotonicTime now) const {
  Need need;
  need.workers = limits_.min;
  if (cost_.per_frame().value_or(kCheap) < kCheap) return need;
  const auto busy =
      static_cast<unsigned>(std::min(1e6, std::ceil(load_ / kBusyShare)));
  if (busy > need.workers) {
    need.workers = busy;
    need.why = Why::kLoad;
  }
  const bool is_rescuing = last_rescue_ && now - *last_rescue_ < kRescueMemory;
  need.is_urgent = is_rescuing;
  if (is_rescuing && std::max(1U, busy) + 1 > need.workers) {
    need.workers = std::max(1U, busy) + 1;
    need.why = Why::kRescued;
  }
  return need;
}

PoolSize::Waiting PoolSize::judge_waiting(const Facts& facts,
                                          MonotonicTime now) const {
  Waiting verdict;
  if (facts.waiting == 0 || facts.idle > 0) return verdict;
  const std::optional<Duration> cost = cost_.per_frame();
  // The first frame: it may be stuck for all that is known.
  if (!cost && size_ == limits_.min) {
    verdict.is_too_long = verdict.is_surprise = true;
    return verdict;
  }
  const Duration no_end_for = last_begin_ ? now - *last_begin_ : facts.waited;
  if (!facts.slack) {
    // What one more brings is not known before frames have ended; where they
    // take this long, that is not waited for.
    verdict.is_urgent = no_end_for >= kStepTime;
    verdict.is_too_long = verdict.is_urgent || (cost && *cost >= kDear);
    if (!verdict.is_urgent && size_ < most())
      verdict.look_in = kStepTime - no_end_for;
    return verdict;
  }
  const Duration budget = budget_of(facts);
  // A single frame does not fit: no number of workers helps it.
  if (cost && *cost >= budget) return verdict;
  const Duration surprise =
      cost ? surprise_after(*cost, budget) : Duration::max();
  const Duration expected = cost.value_or(Duration::zero()) / size_;
  const Duration longest =
      std::min(budget / 2, budget - cost.value_or(Duration::zero()));
  // All workers have been busy for so long with what they have now.
  const Duration busy = std::min(facts.waited, no_end_for);
  verdict.is_urgent = true;
  verdict.is_surprise = !cost || busy >= surprise;
  verdict.is_too_long =
      busy >= surprise || facts.waited >= longest || expected > longest;
  if (!verdict.is_too_long)
    verdict.look_in = std::min(surprise - busy, longest - facts.waited);
  return verdict;
}

PoolSize::Need PoolSize::judge(const Facts& facts, MonotonicTime now) {
  Need need = judge_load(now);
  const Waiting waiting = judge_waiting(facts, now);
  if (waiting.look_in) look_at(now + *waiting.look_in);
  if (!waiting.is_too_long) return need;
  // What the load asks for may be more, and sooner.
  if (need.workers <= size_) need.why = Why::kWaiting;
  need.workers = std::max(need.workers, size_ + 1);
  need.is_urgent |= waiting.is_urgent || waiting.is_surprise;
  need.is_surprise = waiting.is_surprise;
  return need;
}

// ---- The size --------------------------------------------------------------

unsigned PoolSize::decide(const Facts& facts, MonotonicTime now) {
  next_look_.reset();
  load_ = arrivals_.per_second(now) *
          std::chrono::duration<double>(
              cost_.per_frame().value_or(Duration::zero()))
              .count();
  conclude_trial(now);
  const Need need = judge(facts, now);
  if (need.workers < size_) {
    rest(need, now);
  } else {
    unneeded_since_.reset();
    why_ = need.why;
    if (need.workers > size_) grow(need, now);
  }
  if (size_ > limits_.min) look_at(now + kLookAgain);
  is_growing_ = last_up_ && now - *last_up_ < kRescueMemory;
  return size_;
}

unsigned PoolSize::most() const {
  return std::clamp(efficient_.value_or(limits_.max), limits_.min, limits_.max);
}

void PoolSize::conclude_trial(MonotonicTime now) {
  if (efficient_ && (now >= efficient_until_ || trial_.was_wrong()))
    efficient_.reset();
  if (size_ == limits_.min ||
      trial_.verdict() != EfficiencyTrial::Verdict::kDoesNotHelp)
    return;
  --size_;
  trial_.on_step_back(size_);
  efficient_ = size_;
  efficient_until_ = now + kEfficientMemory;
}

void PoolSize::grow(const Need& need, MonotonicTime now) {
  if (size_ >= most()) {
    const bool is_held = most() < limits_.max;
    why_ = is_held ? Why::kInefficient : Why::kMaximum;
    if (is_held) look_at(efficient_until_);
    return;
  }
  const bool is_paced = !last_up_ || events_since_up_ >= kEventsBetweenSteps ||
                        now - *last_up_ >= kStepTime;
  if (!is_paced) {
    look_at(*last_up_ + kStepTime);
    return;
  }
  // What it costs with this many workers is to be known first.
  const bool is_known = cost_.is_known_well() &&
                        trial_.verdict() != EfficiencyTrial::Verdict::kOpen;
  if (!need.is_urgent && !is_known) return;
  step_up(need, now);
}

void PoolSize::step_up(const Need& need, MonotonicTime now) {
  hold_if_it_flaps(now);
  ++size_;
  last_begin_ = now;
  trial_.on_size(size_, !need.is_surprise && cost_.is_steady());
  last_up_ = now;
  events_since_up_ = 0;
  if (size_ < most()) look_at(now + kStepTime);
}

void PoolSize::hold_if_it_flaps(MonotonicTime now) {
  if (!was_down_) return;
  was_down_ = false;
  if (last_flap_) {
    Duration calm = now - *last_flap_;
    hold_ = std::min(2 * hold_, kLongestHold);
    while (hold_ > kShortestHold && calm >= 2 * hold_) {
      calm -= 2 * hold_;
      hold_ = std::max(hold_ / 2, kShortestHold);
    }
  }
  last_flap_ = now;
  no_down_before_ = now + hold_;
}

void PoolSize::rest(const Need& need, MonotonicTime now) {
  if (!unneeded_since_) unneeded_since_ = now;
  MonotonicTime from = std::max(*unneeded_since_ + kRest, no_down_before_);
  if (last_down_) from = std::max(from, *last_down_ + kBetweenParkings);
  if (now < from) {
    why_ = Why::kResting;
    look_at(from);
    return;
  }
  --size_;
  trial_.on_size(size_, /*is_comparable=*/false);
  last_down_ = now;
  was_down_ = true;
  why_ = size_ > need.workers ? Why::kResting : need.why;
  if (size_ > need.workers) look_at(now + kBetweenParkings);
}

void PoolSize::look_at(MonotonicTime time) {
  if (!next_look_ || time < *next_look_) next_look_ = time;
}

std::optional<unsigned> PoolSize::efficient() const { return efficient_; }

bool PoolSize::wants_spare() const {
  if (size_ >= most()) return false;
  return is_growing_ || !cost_.is_known_well() || load_ > kSpareShare * size_;
}

}  // namespace dispatch::core
