// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The places in a worker process at which a test can end or stop it.
//
// For: tests of what the element does about it: the worker program does to
// itself what the environment variable GST_DISPATCH_WORKER_TEST says
// (docs/design/worker-protocol.md). Not for: anything else; without the
// variable a place costs one load.
// Thread: thread-safe after arm_fault_points().
#pragma once

#include <atomic>
#include <string>

namespace dispatch::process {

enum class FaultPoint : unsigned {
  kStarted,       // before anything is read
  kReady,         // it has said that it is
  kCommandTaken,  // nothing is done for it yet
  kEpochEntered,  // it may have to negotiate
  kInStage,       // the stage has the frame, below its first pad
  kStageDone,     // the results are in its own hands
  kSlotAsked,     // it has been given a slot
  kBeforeReport,  // the payload is written, the count is not
  kReported,      // the count is written, the bell is not rung
  kIdle,          // about to sleep
};

// Reads the variable. False: it cannot be read; `wrong` names the part.
bool arm_fault_points(std::string& wrong);

namespace fault_point_detail {
inline std::atomic<unsigned> armed{0};  // a bit for each point
void pass(FaultPoint point);
}  // namespace fault_point_detail

inline bool is_armed(FaultPoint point) {
  // SAFETY: relaxed; set before there are other threads.
  return (fault_point_detail::armed.load(std::memory_order_relaxed) &
          (1U << static_cast<unsigned>(point))) != 0;
}

inline void pass(FaultPoint point) {
  if (is_armed(point)) [[unlikely]]
    fault_point_detail::pass(point);
}

}  // namespace dispatch::process
