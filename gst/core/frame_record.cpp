// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/frame_record.h"

#include <numeric>

namespace dispatch::core {

const char* to_string(Action action) {
  switch (action) {
    case Action::kApplied:
      return "applied";
    case Action::kBypassed:
      return "bypassed";
    case Action::kRepeated:
      return "repeated";
    case Action::kDropped:
      return "dropped";
  }
  return "?";
}

const char* to_string(Cause cause) {
  switch (cause) {
    case Cause::kNone:
      return "none";
    case Cause::kOverdueWaiting:
      return "overdue-waiting";
    case Cause::kOverdueRunning:
      return "overdue-running";
    case Cause::kArrivedLate:
      return "arrived-late";
    case Cause::kFlush:
      return "flush";
    case Cause::kStop:
      return "stop";
    case Cause::kDownstream:
      return "downstream";
    case Cause::kStageError:
      return "stage-error";
    case Cause::kStalled:
      return "stalled";
    case Cause::kWorkerLost:
      return "worker-lost";
    case Cause::kNoWorkers:
      return "no-workers";
    case Cause::kPredictedLate:
      return "predicted-late";
    case Cause::kSpared:
      return "spared";
    case Cause::kCeiling:
      return "ceiling";
  }
  return "?";
}

void FrameSums::on_departure(const FrameRecord& record) {
  ++actions_[static_cast<std::size_t>(record.action)];
  ++causes_[static_cast<std::size_t>(record.cause)];
  if (record.late) ++late_;
  if (record.action != Action::kApplied) return;
  ++levels_.at(record.level);
  queue_time_ += record.taken - record.arrival;
  hand_over_time_ += record.start - record.taken;
  service_time_ += record.end - record.start;
  reorder_time_ += record.departure - record.end;
}

void FrameSums::on_copies(std::uint64_t buffers, std::uint64_t bytes) {
  copies_ += buffers;
  copied_bytes_ += bytes;
}

std::uint64_t FrameSums::in_flight() const {
  return frames_in_ -
         std::accumulate(actions_.begin(), actions_.end(), std::uint64_t{0});
}

std::uint64_t FrameSums::count(Action action) const {
  return actions_[static_cast<std::size_t>(action)];
}

std::uint64_t FrameSums::count(Cause cause) const {
  return causes_[static_cast<std::size_t>(cause)];
}

}  // namespace dispatch::core
