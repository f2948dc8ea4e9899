// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How many workers of an element work at the moment; the others are parked,
// ready-made.
//
// For: as many workers as the load needs, a frame before it would be late and
// not many more, and none that does not help. The load is the arrival rate
// times what a frame costs, which is how many workers are busy on average.
//   up     at once, one at a time: to be busy for 80 % of the time; one more
//          while frames leave without their results; one more as soon as a
//          frame waits for too long, whatever the load is known to be.
//   down   slowly, one at a time, and more slowly each time that it turns out
//          to have been too early.
//   never  beyond the size at which one more worker was found not to help.
// Not for: making, waking or parking workers; nor for workers that are set
// aside, which count neither as active nor in the load.
// Thread: confined (the owner locks).
#pragma once

#include <cstdint>
#include <optional>

#include "core/arrival_rate.h"
#include "core/efficiency_trial.h"
#include "core/instant.h"
#include "core/service_cost.h"

namespace dispatch::core {

class PoolSize {
 public:
  // Both at least 1, max >= min.
  struct Limits {
    unsigned min = 1;
    unsigned max = 1;
  };

  // Why the size is what it is. The nicks of to_string() are what `stats` says.
  enum class Why : std::uint8_t {
    kMinimum,      // nothing asks for more than the minimum
    kLoad,         // the load needs it
    kWaiting,      // a frame had to wait for too long
    kRescued,      // frames leave without their results
    kMaximum,      // more would be needed, and may not be
    kInefficient,  // more would be needed, and would not help
    kResting,      // less is needed; one is parked before long
  };

  struct Facts {
    unsigned waiting = 0;           // frames that no worker has begun
    std::optional<Duration> slack;  // of the oldest of them, until it is due;
                                    // none: it has no due time
    Duration waited{};              // how long the oldest of them has waited
    unsigned idle = 0;              // active workers without a job
  };

  // The next step up comes after so many arrivals and ends, or this time.
  static constexpr unsigned kEventsBetweenSteps = 2;
  static constexpr Duration kStepTime = std::chrono::milliseconds(100);
  // How long a frame that was rescued asks for one more worker.
  static constexpr Duration kRescueMemory = std::chrono::seconds(1);
  // How long a worker has not been needed before it is parked, and the time
  // between two that are.
  static constexpr Duration kRest = std::chrono::seconds(3);
  static constexpr Duration kBetweenParkings = std::chrono::seconds(1);
  // No parking for so long after a step up that took back a step down. Doubles
  // each time; halves with every two of it that pass without.
  static constexpr Duration kShortestHold = std::chrono::seconds(10);
  static constexpr Duration kLongestHold = std::chrono::seconds(160);
  // How long efficient() is believed.
  static constexpr Duration kEfficientMemory = std::chrono::seconds(30);
  // A stage cheaper than this gains nothing from another worker: handing a
  // frame over costs about as much (core/wake_policy).
  static constexpr Duration kCheap = std::chrono::microseconds(50);
  // Without due times: from here on, a frame that waits is reason enough.
  static constexpr Duration kDear = std::chrono::milliseconds(1);

  // Holds at once: size() is clamped.
  void set_limits(const Limits& limits);

  // A frame came in.
  void on_arrival(MonotonicTime now);
  // A worker finished a frame that it had for `service`; not one that had been
  // set aside.
  void on_finished(MonotonicTime now, Duration service);
  // A frame left without its result, because none was there in time.
  void on_rescued(MonotonicTime now);

  // The size from now on. To be called after each of the above, once an idle
  // worker has taken what it could, and at next_look().
  unsigned decide(const Facts& facts, MonotonicTime now);

  unsigned size() const { return size_; }
  Why why() const { return why_; }
  // When decide() may come to another verdict although nothing happens; none:
  // never. As of the last decide().
  std::optional<MonotonicTime> next_look() const { return next_look_; }
  // A parked worker is worth having ready: the load is near the size, or what
  // it will be is not known yet.
  bool wants_spare() const;
  // How many workers are busy on average, as of the last decide(); 0: not
  // known.
  double load() const { return load_; }
  // More than this do not help, as far as is known.
  std::optional<unsigned> efficient() const;

  // As at the beginning, with the same limits.
  void reset();

 private:
  struct Need {
    unsigned workers = 1;
    Why why = Why::kMinimum;
    bool is_urgent = false;    // does not wait until the cost is known
    bool is_surprise = false;  // the workers take longer than they are known to
  };
  struct Waiting {
    bool is_too_long = false;
    bool is_urgent = false;
    bool is_surprise = false;
    std::optional<Duration> look_in;  // it will be too long then
  };

  Need judge_load(MonotonicTime now) const;
  Waiting judge_waiting(const Facts& facts, MonotonicTime now) const;
  Need judge(const Facts& facts, MonotonicTime now);
  unsigned most() const;
  void conclude_trial(MonotonicTime now);
  void grow(const Need& need, MonotonicTime now);
  void step_up(const Need& need, MonotonicTime now);
  void hold_if_it_flaps(MonotonicTime now);
  void rest(const Need& need, MonotonicTime now);
  void look_at(MonotonicTime time);

  Limits limits_;
  unsigned size_ = 1;
  Why why_ = Why::kMinimum;
  double load_ = 0;
  ArrivalRate arrivals_;
  ServiceCost cost_;
  EfficiencyTrial trial_;
  std::optional<MonotonicTime> last_rescue_;
  // When a worker can last have begun with a frame that had waited.
  std::optional<MonotonicTime> last_begin_;
  std::optional<MonotonicTime> last_up_;
  unsigned events_since_up_ = 0;
  bool is_growing_ = false;  // the last step up was a moment ago
  std::optional<MonotonicTime> unneeded_since_;
  std::optional<MonotonicTime> last_down_;
  bool was_down_ = false;  // the last step was one down
  MonotonicTime no_down_before_{};
  Duration hold_ = kShortestHold;
  std::optional<MonotonicTime> last_flap_;
  std::optional<unsigned> efficient_;
  MonotonicTime efficient_until_{};
  std::optional<MonotonicTime> next_look_;
};

const char* to_string(PoolSize::Why why);

}  // namespace dispatch::core
