// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What to do with the oldest frame of an element: the verdict of the ordered
// output.
//
// For: deciding, from plain facts and the time now, whether the head leaves
// with its result, leaves without it, or is waited for.
// Not for: pushing, waiting, or keeping frames.
// Thread: immutable functions.
#pragma once

#include <cstdint>
#include <optional>

#include "core/frame_record.h"
#include "core/instant.h"

namespace dispatch::core {

// What leaves at the due time when the result is not there (`late-policy`).
enum class LatePolicy : std::uint8_t { kBypass, kRepeat, kDrop, kWait };

// What is known of the frame at the head when its turn has come.
struct HeadFacts {
  bool is_done = false;     // its result is there
  bool is_started = false;  // a worker has begun with it
  // Other than kNone: no result of it will come.
  Cause lost = Cause::kNone;
  std::optional<RunningTime> due;  // none: it is waited for without end
  // How long before `due` it came; negative: it was already due.
  Duration slack_at_arrival{};
  // The evidence that its worker is stuck, not slow; for a head that is started
  // and has a due time.
  unsigned younger_done = 0;  // results that wait behind it
  unsigned workers = 0;       // that are active; 0: the evidence is not judged
  Duration busy_for{};        // how long its worker has had it
  // What a frame takes on average; none: not known, nor is the evidence judged.
  std::optional<Duration> mean_service;
};

// A head leaves before its due time as stalled when there are this many younger
// results for each worker,
inline constexpr unsigned kStalledResults = 2;
// and its worker has had it for so many times the mean. With many workers the
// younger results come within two services, and a frame may take that;
inline constexpr int kStalledServices = 3;
// and for longer than the system keeps a thread from a busy CPU: the others
// finish any number of frames of a cheap stage while one of them is held up by
// nothing else. A budget shorter than this is left to the due time.
inline constexpr Duration kStalledAtLeast = std::chrono::milliseconds(20);

struct HeadVerdict {
  enum class Kind : std::uint8_t {
    kRelease,    // it leaves with its result
    kOverdue,    // it leaves by the late policy, because of `cause`
    kWait,       // until its result comes
    kWaitUntil,  // until its result comes, at most until `until`
  };
  Kind kind = Kind::kWait;
  Cause cause = Cause::kNone;
  RunningTime until{};
};

// `now` is needed only for a frame with a due time. A frame is released
// kReleaseAhead before it is due, or as stalled (above); `until` is the earlier
// one of the two as far as time alone decides. More younger results are a
// reason to ask again.
HeadVerdict decide_head(const HeadFacts& head, LatePolicy policy,
                        std::optional<RunningTime> now);

// What can leave in place of a result.
struct Substitutes {
  bool can_bypass = false;  // same caps, and a layout that downstream takes
  bool can_repeat = false;  // there is a last result of the same caps
};

// The policy's own action, or the next best that is possible:
// bypass, then repeat, then drop. `reuse`: to repeat is better than to bypass.
Action decide_substitute(LatePolicy policy, const Substitutes& possible,
                         bool reuse = false);

// Whether a frame that leaves at `now` counts as late.
bool is_late(std::optional<RunningTime> due, std::optional<RunningTime> now);

}  // namespace dispatch::core
