// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What happened to one frame in one element, and the sums of it.
//
// For: the one account of a frame from which `stats`, the debug log and traces
// are made, so that they cannot disagree. Every frame that did not get
// the full stage has exactly one cause in it.
// Not for: keeping records; they are values that pass through.
// Thread: confined (the owner locks).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/instant.h"

namespace dispatch::core {

// Counts frames and events of one element in the order of their arrival. Never
// reused, not even after a flush.
using Sequence = std::uint64_t;

// What left the element for a frame. The nicks of to_string() are the names of
// the fields in `stats`.
enum class Action : std::uint8_t {
  kApplied,   // the result of the stage
  kBypassed,  // the original frame
  kRepeated,  // the last result, re-stamped
  kDropped,   // nothing
};
inline constexpr std::size_t kActionCount = 4;

// Why a frame did not get the full stage.
enum class Cause : std::uint8_t {
  kNone,            // it did
  kOverdueWaiting,  // due before a worker was free for it
  kOverdueRunning,  // due while the stage was still busy with it
  kArrivedLate,     // it was already due when it came
  kFlush,           // discarded by a flush
  kStop,            // discarded because the element stopped
  kDownstream,      // downstream had returned a flow that ends the stream
  kStageError,      // the stage returned an error, or refused the frame
  kStalled,         // its worker is stuck: many younger results were ready
  kWorkerLost,      // the worker that had it died
  kNoWorkers,       // the workers died too often: none is started any more
  kPredictedLate,   // the full stage would not have been done in time
  kSpared,          // it might have been, at the cost of the frames behind it
  kCeiling,         // the ceiling of the levels is below the full stage
};
inline constexpr std::size_t kCauseCount = 14;
// Rungs of a ladder that have a stage, at most.
inline constexpr unsigned kMostLevels = 16;

const char* to_string(Action action);
const char* to_string(Cause cause);

struct FrameRecord {
  Sequence sequence = 0;
  MonotonicTime arrival{};    // entered the element
  MonotonicTime taken{};      // a worker was given it; zero: none was
  MonotonicTime start{};      // a worker began with it; zero: none did
  MonotonicTime end{};        // the worker was done; zero: it was not
  MonotonicTime departure{};  // left the element
  std::optional<RunningTime> running_time;  // none: it has no timestamp
  std::optional<RunningTime> left;          // departure, while PLAYING
  std::optional<RunningTime> due;
  std::optional<MonotonicTime> due_monotonic;  // the same, as of departure
  std::optional<Duration> slack;               // when it came
  std::optional<unsigned> worker;
  std::optional<int> process;  // its id, if the worker is another one
  unsigned level = 0;          // that the worker was given: 0 is the full stage
  // If it is late: how long downstream kept the output with the one before.
  Duration blocked{};
  Duration push{};  // how long downstream had what left
  Action action = Action::kDropped;
  Cause cause = Cause::kNone;
  bool late = false;  // left more than kLateAfter after the due time
};

// "Late" is more than this after the due time: what a release ahead of the due
// time (kReleaseAhead) and an ordinary wake-up cannot explain.
inline constexpr Duration kLateAfter = std::chrono::milliseconds(2);

// Frames are released this much before their due time, because waits on a clock
// overshoot.
inline constexpr Duration kReleaseAhead = std::chrono::milliseconds(1);

// The sums of the records of one element. At any moment
//   frames_in == applied + bypassed + repeated + dropped + in_flight.
class FrameSums {
 public:
  void on_arrival() { ++frames_in_; }
  void on_departure(const FrameRecord& record);
  void on_late_result() { ++late_results_; }
  void on_copies(std::uint64_t buffers, std::uint64_t bytes);

  std::uint64_t frames_in() const { return frames_in_; }
  std::uint64_t in_flight() const;
  std::uint64_t count(Action action) const;
  std::uint64_t count(Cause cause) const;
  // Frames that left with the result of this level.
  std::uint64_t applied_at(unsigned level) const { return levels_.at(level); }
  std::uint64_t late() const { return late_; }
  std::uint64_t late_results() const { return late_results_; }
  std::uint64_t copies() const { return copies_; }
  std::uint64_t copied_bytes() const { return copied_bytes_; }
  // Sums over applied frames: waiting for a worker, on the way to it, in the
  // stage, waiting for older frames.
  Duration queue_time() const { return queue_time_; }
  Duration hand_over_time() const { return hand_over_time_; }
  Duration service_time() const { return service_time_; }
  Duration reorder_time() const { return reorder_time_; }

 private:
  std::uint64_t frames_in_ = 0;
  std::array<std::uint64_t, kActionCount> actions_{};
  std::array<std::uint64_t, kCauseCount> causes_{};
  std::array<std::uint64_t, kMostLevels> levels_{};
  std::uint64_t late_ = 0;
  std::uint64_t late_results_ = 0;
  std::uint64_t copies_ = 0;
  std::uint64_t copied_bytes_ = 0;
  Duration queue_time_{};
  Duration hand_over_time_{};
  Duration service_time_{};
  Duration reorder_time_{};
};

}  // namespace dispatch::core
