// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/late_policy.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;
using Kind = HeadVerdict::Kind;

constexpr RunningTime at(Duration time) { return RunningTime(time); }

// Due at 100 ms; it came 66 ms before that, and a worker is busy with it.
HeadFacts running_head() {
  HeadFacts head;
  head.is_started = true;
  head.due = at(100ms);
  head.slack_at_arrival = 66ms;
  return head;
}

HeadFacts waiting_head() {
  HeadFacts head = running_head();
  head.is_started = false;
  return head;
}

HeadFacts done_head() {
  HeadFacts head = running_head();
  head.is_done = true;
  return head;
}

// Started 30 ms ago by one of three workers in a stage that takes 10 ms, with
// just enough younger results behind it.
HeadFacts stalled_head() {
  HeadFacts head = running_head();
  head.younger_done = 6;
  head.workers = 3;
  head.busy_for = 30ms;
  head.mean_service = 10ms;
  return head;
}

TEST(LatePolicy, HeadWithAResultLeavesWithIt) {
  const HeadVerdict verdict =
      decide_head(done_head(), LatePolicy::kBypass, at(50ms));
  EXPECT_EQ(verdict.kind, Kind::kRelease);
  EXPECT_EQ(verdict.cause, Cause::kNone);
}

TEST(LatePolicy, HeadWithAResultLeavesWithItThoughOverdue) {
  const HeadVerdict verdict =
      decide_head(done_head(), LatePolicy::kDrop, at(500ms));
  EXPECT_EQ(verdict.kind, Kind::kRelease);
  EXPECT_EQ(verdict.cause, Cause::kNone);
}

TEST(LatePolicy, HeadWithAResultLeavesWithoutATimeOfThePipeline) {
  EXPECT_EQ(decide_head(done_head(), LatePolicy::kBypass, {}).kind,
            Kind::kRelease);
}

TEST(LatePolicy, HeadWithAResultLeavesWhenThePolicyIsToWait) {
  EXPECT_EQ(decide_head(done_head(), LatePolicy::kWait, at(50ms)).kind,
            Kind::kRelease);
}

TEST(LatePolicy, HeadWithoutDueTimeIsWaitedForWithoutEnd) {
  HeadFacts head = running_head();
  head.due.reset();
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(500ms)).kind,
            Kind::kWait);
}

TEST(LatePolicy, HeadIsWaitedForWithoutEndWhileThePipelineHasNoTime) {
  EXPECT_EQ(decide_head(running_head(), LatePolicy::kBypass, {}).kind,
            Kind::kWait);
}

TEST(LatePolicy, HeadIsWaitedForWithoutEndWhenThePolicyIsToWait) {
  EXPECT_EQ(decide_head(running_head(), LatePolicy::kWait, at(500ms)).kind,
            Kind::kWait);
}

TEST(LatePolicy, HeadIsWaitedForUntilOneMillisecondBeforeItIsDue) {
  const HeadVerdict verdict =
      decide_head(running_head(), LatePolicy::kBypass, at(50ms));
  EXPECT_EQ(verdict.kind, Kind::kWaitUntil);
  EXPECT_EQ(verdict.until, at(99ms));
  EXPECT_EQ(verdict.cause, Cause::kNone);
}

TEST(LatePolicy, HeadIsWaitedForInTheLastNanosecondBeforeItsRelease) {
  const HeadVerdict verdict =
      decide_head(running_head(), LatePolicy::kBypass, at(99ms - 1ns));
  EXPECT_EQ(verdict.kind, Kind::kWaitUntil);
  EXPECT_EQ(verdict.until, at(99ms));
}

TEST(LatePolicy, OverdueHeadLeavesOneMillisecondBeforeItIsDue) {
  EXPECT_EQ(decide_head(running_head(), LatePolicy::kBypass, at(99ms)).kind,
            Kind::kOverdue);
}

TEST(LatePolicy, OverdueHeadLeavesLongAfterItWasDue) {
  EXPECT_EQ(decide_head(running_head(), LatePolicy::kBypass, at(9999ms)).kind,
            Kind::kOverdue);
}

TEST(LatePolicy, OverdueHeadLeavesUnderEveryPolicyButWait) {
  for (const LatePolicy policy :
       {LatePolicy::kBypass, LatePolicy::kRepeat, LatePolicy::kDrop})
    EXPECT_EQ(decide_head(running_head(), policy, at(100ms)).kind,
              Kind::kOverdue)
        << static_cast<int>(policy);
}

TEST(LatePolicy, HeadIsJudgedByTheTimeOfTheNegativePart) {
  HeadFacts head = running_head();
  head.due = at(-100ms);
  EXPECT_EQ(decide_head(head, LatePolicy::kDrop, at(-102ms)).until, at(-101ms));
  EXPECT_EQ(decide_head(head, LatePolicy::kDrop, at(-101ms)).kind,
            Kind::kOverdue);
}

TEST(LatePolicy, OverdueInAWorkerIsCalledRunning) {
  EXPECT_EQ(decide_head(running_head(), LatePolicy::kBypass, at(100ms)).cause,
            Cause::kOverdueRunning);
}

TEST(LatePolicy, OverdueBeforeAWorkerWasFreeIsCalledWaiting) {
  EXPECT_EQ(decide_head(waiting_head(), LatePolicy::kBypass, at(100ms)).cause,
            Cause::kOverdueWaiting);
}

TEST(LatePolicy, FrameThatCameAfterItsDueTimeArrivedLate) {
  HeadFacts head = waiting_head();
  head.slack_at_arrival = -5ms;
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(105ms)).cause,
            Cause::kArrivedLate);
}

TEST(LatePolicy, FrameThatCameAtItsReleaseArrivedLate) {
  HeadFacts head = waiting_head();
  head.slack_at_arrival = 1ms;
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(99ms)).cause,
            Cause::kArrivedLate);
}

TEST(LatePolicy, FrameThatCameJustBeforeItsReleaseDidNotArriveLate) {
  HeadFacts head = waiting_head();
  head.slack_at_arrival = 1ms + 1ns;
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(99ms)).cause,
            Cause::kOverdueWaiting);
}

TEST(LatePolicy, FrameThatArrivedLateIsCalledSoInAWorkerToo) {
  HeadFacts head = running_head();
  head.slack_at_arrival = 0ms;
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(100ms)).cause,
            Cause::kArrivedLate);
}

constexpr Substitutes kBoth{.can_bypass = true, .can_repeat = true};
constexpr Substitutes kOnlyBypass{.can_bypass = true, .can_repeat = false};
constexpr Substitutes kOnlyRepeat{.can_bypass = false, .can_repeat = true};
constexpr Substitutes kNeither{};

TEST(LatePolicy, HeadWithManyYoungerResultsLeavesBeforeItsDueTime) {
  const HeadVerdict verdict =
      decide_head(stalled_head(), LatePolicy::kBypass, at(50ms));
  EXPECT_EQ(verdict.kind, Kind::kOverdue);
  EXPECT_EQ(verdict.cause, Cause::kStalled);
}

TEST(LatePolicy, HeadWithFewYoungerResultsIsWaitedFor) {
  HeadFacts head = stalled_head();
  head.younger_done = 5;
  const HeadVerdict verdict = decide_head(head, LatePolicy::kBypass, at(50ms));
  EXPECT_EQ(verdict.kind, Kind::kWaitUntil);
  EXPECT_EQ(verdict.until, at(99ms));
}

TEST(LatePolicy, HeadWhoseWorkerHasHadItForAShortTimeIsWaitedForALittle) {
  HeadFacts head = stalled_head();
  head.busy_for = 30ms - 1ns;
  const HeadVerdict verdict = decide_head(head, LatePolicy::kBypass, at(50ms));
  EXPECT_EQ(verdict.kind, Kind::kWaitUntil);
  EXPECT_EQ(verdict.until, at(50ms + 1ns));
}

TEST(LatePolicy, HeadOfACheapStageIsNotStalledWhenItsThreadMerelyHasNoCpu) {
  HeadFacts head = stalled_head();
  head.mean_service = 1ms;
  head.younger_done = 1000;
  head.busy_for = 20ms - 1ns;
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(50ms)).until,
            at(50ms + 1ns));
  head.busy_for = 20ms;
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(50ms)).cause,
            Cause::kStalled);
}

TEST(LatePolicy, HeadIsWaitedForNoLongerThanItsDueTimeByTheEvidence) {
  HeadFacts head = stalled_head();
  head.mean_service = 900ms;
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(50ms)).until, at(99ms));
}

TEST(LatePolicy, HeadThatIsDueIsOverdueNotStalled) {
  EXPECT_EQ(decide_head(stalled_head(), LatePolicy::kBypass, at(99ms)).cause,
            Cause::kOverdueRunning);
}

TEST(LatePolicy, HeadThatNoWorkerHasBegunIsNotStalled) {
  HeadFacts head = stalled_head();
  head.is_started = false;
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(50ms)).until, at(99ms));
}

TEST(LatePolicy, EvidenceNeedsWorkersAndAMean) {
  HeadFacts head = stalled_head();
  head.workers = 0;
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(50ms)).until, at(99ms));
  head = stalled_head();
  head.mean_service.reset();
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(50ms)).until, at(99ms));
}

TEST(LatePolicy, StalledHeadWithAResultLeavesWithIt) {
  HeadFacts head = stalled_head();
  head.is_done = true;
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(50ms)).kind,
            Kind::kRelease);
}

TEST(LatePolicy, StalledHeadIsWaitedForWhenThePolicyIsToWait) {
  EXPECT_EQ(decide_head(stalled_head(), LatePolicy::kWait, at(50ms)).kind,
            Kind::kWait);
}

TEST(LatePolicy, StalledHeadWithoutADueTimeIsWaitedFor) {
  HeadFacts head = stalled_head();
  head.due.reset();
  EXPECT_EQ(decide_head(head, LatePolicy::kBypass, at(50ms)).kind, Kind::kWait);
}

TEST(LatePolicy, BypassBypasses) {
  EXPECT_EQ(decide_substitute(LatePolicy::kBypass, kBoth), Action::kBypassed);
  EXPECT_EQ(decide_substitute(LatePolicy::kBypass, kOnlyBypass),
            Action::kBypassed);
}

TEST(LatePolicy, BypassThatIsImpossibleRepeats) {
  EXPECT_EQ(decide_substitute(LatePolicy::kBypass, kOnlyRepeat),
            Action::kRepeated);
}

TEST(LatePolicy, BypassWithNothingPossibleDrops) {
  EXPECT_EQ(decide_substitute(LatePolicy::kBypass, kNeither), Action::kDropped);
}

TEST(LatePolicy, RepeatRepeats) {
  EXPECT_EQ(decide_substitute(LatePolicy::kRepeat, kBoth), Action::kRepeated);
  EXPECT_EQ(decide_substitute(LatePolicy::kRepeat, kOnlyRepeat),
            Action::kRepeated);
}

// The original of a blurred face must not be seen instead.
TEST(LatePolicy, RepeatThatIsImpossibleDropsAndNeverBypasses) {
  EXPECT_EQ(decide_substitute(LatePolicy::kRepeat, kOnlyBypass),
            Action::kDropped);
  EXPECT_EQ(decide_substitute(LatePolicy::kRepeat, kNeither), Action::kDropped);
}

TEST(LatePolicy, DropDropsWhateverIsPossible) {
  for (const Substitutes& possible :
       {kBoth, kOnlyBypass, kOnlyRepeat, kNeither})
    EXPECT_EQ(decide_substitute(LatePolicy::kDrop, possible), Action::kDropped);
}

TEST(LatePolicy, FrameThatLeavesTwoMillisecondsAfterIsNotLate) {
  EXPECT_FALSE(is_late(at(100ms), at(102ms)));
}

TEST(LatePolicy, FrameThatLeavesMoreThanTwoMillisecondsAfterIsLate) {
  EXPECT_TRUE(is_late(at(100ms), at(102ms + 1ns)));
}

TEST(LatePolicy, FrameThatLeavesBeforeItIsDueIsNotLate) {
  EXPECT_FALSE(is_late(at(100ms), at(99ms)));
}

TEST(LatePolicy, FrameWithoutDueTimeIsNeverLate) {
  EXPECT_FALSE(is_late({}, at(9999ms)));
}

TEST(LatePolicy, FrameIsNotLateWhileThePipelineHasNoTime) {
  EXPECT_FALSE(is_late(at(100ms), {}));
}

}  // namespace
}  // namespace dispatch::core
