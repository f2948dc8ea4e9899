// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The slow loop of adaptiveskip: which mode it is in, and the best level that
// frames may get.
//
// For: closing a level that has not fitted for a second, so that the pattern
// does not flicker, and opening it again once it is expected to fit; noticing
// that frames leave late although fewer get the full stage (then somebody else
// is late, and the full stage is given back); the price of a late frame.
//   down   when the best level allowed would not have fitted even a frame that
//          had just come, for a second; one level, at most once a second; never
//          the last one.
//   up     as soon as the next level is expected to fit with room to spare; for
//          good when it has held for two seconds. Each time that it does not,
//          the next time comes later.
// Not for: the choice within the levels allowed (skip_policy), nor for learning
// what a closed level costs: skip_policy tries it now and then.
// Thread: confined (the owner locks).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/instant.h"

namespace dispatch::core {

// How a frame left.
struct SkipDeparture {
  RunningTime now{};
  std::optional<unsigned> level;  // that it got; none: none
  bool is_late = false;           // left after its due time
  bool was_rescued = false;       // a worker had begun with it, in vain
  bool arrived_late = false;      // it was due before it came: not our fault
  // How long downstream kept us before this one could be pushed.
  Duration blocked{};
};

class LevelCeiling {
 public:
  enum class State : std::uint8_t {
    kWarmUp,
    kNormal,
    kPressure,  // the best level allowed does not fit at the moment
    kDegraded,
    kProbe,        // a level has been opened, to see whether it holds
    kOpaque,       // frames have no due times
    kIneffective,  // skipping does not help: somebody else is late
    kStalled,      // every worker is stuck
  };
  // Why the state is what it is.
  enum class Why : std::uint8_t {
    kBeginning,   // nothing is known yet
    kKnown,       // costs are known
    kStanding,    // the level has not fitted for a while
    kMisses,      // too many frames leave late
    kCalm,        // it fits
    kExpected,    // a better level is expected to fit
    kHeld,        // a better level has fitted since it was opened
    kNoDueTime,   // frames have no due times
    kNoUse,       // as many frames leave late as before
    kTriedAgain,  // it was of no use a while ago
    kStuck,       // no worker has come back
  };
  // Who makes frames leave late.
  enum class Culprit : std::uint8_t { kNobody, kStage, kDownstream, kUpstream };

  // The level has not fitted for so long, or so many frames: pressure;
  static constexpr Duration kPressureTime = std::chrono::milliseconds(250);
  static constexpr int kPressureFrames = 8;
  // for so long: it is closed, which happens at most as often.
  static constexpr Duration kDwell = std::chrono::seconds(1);
  // A level that was opened and had to be closed within kProbeTime is not
  // opened again for kFirstWait, then twice as long each time; after kForget
  // without that, the beginning again.
  static constexpr Duration kProbeTime = std::chrono::seconds(2);
  static constexpr Duration kFirstWait = std::chrono::seconds(1);
  static constexpr Duration kLongestWait = std::chrono::seconds(30);
  static constexpr Duration kForget = std::chrono::seconds(30);
  // What is expected to be done in time so often, if it took so much longer,
  // is opened.
  static constexpr double kSure = 0.75;
  static constexpr double kMargin = 1.05;
  // Frames after which it is judged whether shedding helps: it does when a
  // third fewer are late than before. Looked at where a third are late.
  static constexpr unsigned kJudged = 15;
  static constexpr double kLeastShare = 1.0 / 3;
  static constexpr double kHelps = 2.0 / 3;
  // The price of a late frame stays within these: on costs that nobody can
  // predict it would grow without end, and help nothing.
  static constexpr double kLowestPrice = 0.3;
  static constexpr double kHighestPrice = 3;

  // `levels`: at least 1. `target`: the share of frames that may be late.
  LevelCeiling(unsigned levels, double target);

  // What is expected of a frame that has just come.
  struct Outlook {
    RunningTime now{};
    bool has_due_time = false;
    bool is_known = false;    // what the full stage costs
    bool fits = false;        // the best level allowed would be in time
    bool fits_above = false;  // the one above it would, with room to spare
    Duration interval{};      // between frames
  };
  void on_outlook(const Outlook& outlook);
  void on_left(const SkipDeparture& departure);
  // Every worker is stuck, until the next on_outlook().
  void on_stuck();
  void on_caps();

  State state() const { return state_; }
  Why why() const { return why_; }
  unsigned ceiling() const { return ceiling_; }
  Culprit culprit() const { return culprit_; }
  double miss_price() const { return miss_price_; }
  // Counts from the beginning.
  unsigned transitions() const { return transitions_; }
  unsigned ceiling_changes() const { return ceiling_changes_; }

 private:
  // Frames that left, up to kJudged.
  struct Tally {
    RunningTime begun{};
    unsigned frames = 0;
    unsigned late = 0;
    unsigned arrived_late = 0;
    unsigned shed = 0;  // got less than the full stage
    Duration blocked{};
  };

  void enter(State state, Why why);
  void move(int step, RunningTime now);
  void track_fit(const Outlook& outlook);
  void open_or_close(const Outlook& outlook);
  void back_off(Duration& wait);
  State at_rest() const;
  void judge_tally(RunningTime now);
  void find_culprit(const Tally& tally);

  unsigned levels_;
  double target_;
  State state_ = State::kWarmUp;
  Why why_ = Why::kBeginning;
  unsigned ceiling_ = 0;
  Culprit culprit_ = Culprit::kNobody;
  double miss_price_ = 1;
  unsigned transitions_ = 0;
  unsigned ceiling_changes_ = 0;
  Duration interval_{};
  std::optional<RunningTime> unfit_since_;
  std::optional<RunningTime> changed_;  // the ceiling
  std::optional<RunningTime> opened_;   // a level, on trial
  std::optional<RunningTime> failed_;   // a level that was opened
  Duration wait_{};                     // after a failure
  Tally tally_;
  std::optional<double> missed_before_;  // the share, when shedding began
  RunningTime ineffective_until_{};
  Duration ineffective_wait_ = kFirstWait;
  bool is_missing_ = false;  // too many, of the last tally
};
const char* to_string(LevelCeiling::State state);
const char* to_string(LevelCeiling::Why why);
const char* to_string(LevelCeiling::Culprit culprit);

}  // namespace dispatch::core
