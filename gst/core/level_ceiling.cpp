// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/level_ceiling.h"

#include <algorithm>

namespace dispatch::core {

namespace {

// How much one late frame adds to the price of the next.
constexpr double kPriceStep = 0.5;
// Misses in this many times the target are pressure.
constexpr double kManyMisses = 3;

double share(unsigned part, unsigned all) {
  return all == 0 ? 0 : static_cast<double>(part) / all;
}

}  // namespace

const char* to_string(LevelCeiling::State state) {
  switch (state) {
    case LevelCeiling::State::kWarmUp:
      return "warm-up";
    case LevelCeiling::State::kNormal:
      return "normal";
    case LevelCeiling::State::kPressure:
      return "pressure";
    case LevelCeiling::State::kDegraded:
      return "degraded";
    case LevelCeiling::State::kProbe:
      return "probe";
    case LevelCeiling::State::kOpaque:
      return "opaque";
    case LevelCeiling::State::kIneffective:
      return "ineffective";
    case LevelCeiling::State::kStalled:
      return "stalled";
  }
  return "?";
}

const char* to_string(LevelCeiling::Why why) {
  switch (why) {
    case LevelCeiling::Why::kBeginning:
      return "beginning";
    case LevelCeiling::Why::kKnown:
      return "known";
    case LevelCeiling::Why::kStanding:
      return "standing";
    case LevelCeiling::Why::kMisses:
      return "misses";
    case LevelCeiling::Why::kCalm:
      return "calm";
    case LevelCeiling::Why::kExpected:
      return "expected";
    case LevelCeiling::Why::kHeld:
      return "held";
    case LevelCeiling::Why::kNoDueTime:
      return "no-due-time";
    case LevelCeiling::Why::kNoUse:
      return "no-use";
    case LevelCeiling::Why::kTriedAgain:
      return "tried-again";
    case LevelCeiling::Why::kStuck:
      return "stuck";
  }
  return "?";
}

const char* to_string(LevelCeiling::Culprit culprit) {
  switch (culprit) {
    case LevelCeiling::Culprit::kNobody:
      return "nobody";
    case LevelCeiling::Culprit::kStage:
      return "stage";
    case LevelCeiling::Culprit::kDownstream:
      return "downstream";
    case LevelCeiling::Culprit::kUpstream:
      return "upstream";
  }
  return "?";
}

LevelCeiling::LevelCeiling(unsigned levels, double target)
    : levels_(levels), target_(target) {}

void LevelCeiling::enter(State state, Why why) {
  if (state == state_) return;
  state_ = state;
  why_ = why;
  ++transitions_;
}

void LevelCeiling::on_caps() {
  enter(State::kWarmUp, Why::kBeginning);
  unfit_since_.reset();
  missed_before_.reset();
  tally_ = Tally();
}

void LevelCeiling::on_stuck() { enter(State::kStalled, Why::kStuck); }

// ---- The level -------------------------------------------------------------

LevelCeiling::State LevelCeiling::at_rest() const {
  return ceiling_ > 0 ? State::kDegraded : State::kNormal;
}

void LevelCeiling::on_outlook(const Outlook& outlook) {
  interval_ = outlook.interval;
  if (!outlook.has_due_time) {
    unfit_since_.reset();
    enter(State::kOpaque, Why::kNoDueTime);
    return;
  }
  if (!outlook.is_known) {
    enter(State::kWarmUp, Why::kBeginning);
    return;
  }
  if (state_ == State::kIneffective) {
    if (outlook.now < ineffective_until_) return;
    unfit_since_.reset();
    enter(at_rest(), Why::kTriedAgain);
  }
  if (state_ == State::kWarmUp || state_ == State::kOpaque ||
      state_ == State::kStalled)
    enter(at_rest(), Why::kKnown);
  track_fit(outlook);
  open_or_close(outlook);
}

void LevelCeiling::track_fit(const Outlook& outlook) {
  if (outlook.fits)
    unfit_since_.reset();
  else if (!unfit_since_)
    unfit_since_ = outlook.now;
  const bool is_standing =
      unfit_since_ && outlook.now - *unfit_since_ >=
                          std::max(kPressureTime, kPressureFrames * interval_);
  if (state_ == State::kPressure) {
    if (outlook.fits && !is_missing_) enter(at_rest(), Why::kCalm);
  } else if (is_standing || is_missing_) {
    if (state_ != State::kProbe)
      enter(State::kPressure, is_standing ? Why::kStanding : Why::kMisses);
  }
}

void LevelCeiling::move(int step, RunningTime now) {
  ceiling_ = static_cast<unsigned>(static_cast<int>(ceiling_) + step);
  ++ceiling_changes_;
  changed_ = now;
  unfit_since_.reset();
}

void LevelCeiling::back_off(Duration& wait) {
  wait =
      wait == Duration::zero() ? kFirstWait : std::min(2 * wait, kLongestWait);
}

void LevelCeiling::open_or_close(const Outlook& outlook) {
  const RunningTime now = outlook.now;
  const bool may_move = !changed_ || now - *changed_ >= kDwell;
  if (opened_ && now - *opened_ >= kProbeTime) {
    opened_.reset();
    if (state_ == State::kProbe) enter(at_rest(), Why::kHeld);
  }
  if (failed_ && now - *failed_ >= wait_ + kForget) {
    failed_.reset();
    wait_ = Duration::zero();
  }
  if (unfit_since_ && now - *unfit_since_ >= kDwell && may_move &&
      ceiling_ + 1 < levels_) {
    if (opened_) {
      back_off(wait_);
      failed_ = now;
      opened_.reset();
    }
    move(1, now);
    enter(State::kDegraded, Why::kStanding);
  } else if (ceiling_ > 0 && outlook.fits_above &&
             !(failed_ && now - *failed_ < wait_)) {
    opened_ = now;
    move(-1, now);
    enter(State::kProbe, Why::kExpected);
  }
}

// ---- Late frames -----------------------------------------------------------

void LevelCeiling::on_left(const SkipDeparture& departure) {
  const bool is_miss = departure.is_late && !departure.arrived_late;
  miss_price_ =
      std::clamp(miss_price_ + kPriceStep * ((is_miss ? 1.0 : 0.0) - target_),
                 kLowestPrice, kHighestPrice);
  if (tally_.frames == 0) tally_.begun = departure.now;
  ++tally_.frames;
  if (departure.is_late) ++tally_.late;
  if (departure.arrived_late) ++tally_.arrived_late;
  if (departure.level != 0U) ++tally_.shed;
  tally_.blocked += departure.blocked;
  if (tally_.frames == kJudged) judge_tally(departure.now);
}

void LevelCeiling::judge_tally(RunningTime now) {
  const Tally tally = tally_;
  tally_ = Tally();
  // Frames that leave all at once have waited for the same thing: how it was
  // with them says nothing about those that follow.
  if (2 * (now - tally.begun) < interval_ * static_cast<int>(kJudged)) return;
  find_culprit(tally);
  const double late = share(tally.late, tally.frames);
  is_missing_ = culprit_ != Culprit::kUpstream && late > kManyMisses * target_;
  if (late < kLeastShare || culprit_ == Culprit::kUpstream) {
    missed_before_.reset();
    if (state_ != State::kIneffective || late > 0) return;
    // Whoever was late is not any more.
    ineffective_wait_ = kFirstWait;
    unfit_since_.reset();
    enter(at_rest(), Why::kCalm);
    return;
  }
  const bool is_shedding = share(tally.shed, tally.frames) >= kLeastShare;
  if (state_ == State::kIneffective || state_ == State::kOpaque) return;
  if (!missed_before_ || !is_shedding) {
    missed_before_ = late;
    return;
  }
  if (late <= kHelps * *missed_before_) return;
  missed_before_.reset();
  ineffective_until_ = now + ineffective_wait_;
  back_off(ineffective_wait_);
  if (ceiling_ > 0) move(-static_cast<int>(ceiling_), now);
  enter(State::kIneffective, Why::kNoUse);
}

// Downstream that blocks makes frames come late, too: it is asked for first.
void LevelCeiling::find_culprit(const Tally& tally) {
  if (tally.late == 0)
    culprit_ = Culprit::kNobody;
  else if (tally.blocked > Duration::zero() &&
           2 * tally.blocked >= interval_ * static_cast<int>(tally.frames))
    culprit_ = Culprit::kDownstream;
  else if (2 * tally.arrived_late >= tally.late)
    culprit_ = Culprit::kUpstream;
  else
    culprit_ = Culprit::kStage;
}

}  // namespace dispatch::core
