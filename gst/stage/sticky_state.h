// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The sticky events that hold for a frame.
//
// For: every copy of a stage seeing what belongs to its frame, however late the
// copy takes it: a frame carries the state that held when it came, and a copy
// sends on what it has not seen yet. Not for: EOS, which is no state.
// Thread: immutable once made; shared by pointer.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/instant.h"
#include "stage/ptr.h"

namespace dispatch::stage {

class Epoch;

class StickyState {
 public:
  StickyState() = default;

  // The state after `event` (sticky, not EOS) with `epoch` in force.
  std::shared_ptr<const StickyState> with(GstEvent* event,
                                          std::shared_ptr<Epoch> epoch) const;
  // The same events in another epoch.
  std::shared_ptr<const StickyState> in_epoch(
      std::shared_ptr<Epoch> epoch) const;
  // What is left after a FLUSH_STOP: everything but the segment.
  std::shared_ptr<const StickyState> flushed() const;

  const std::vector<EventPtr>& events() const { return events_; }
  const std::shared_ptr<Epoch>& epoch() const { return epoch_; }
  GstCaps* caps() const;  // (transfer none) (nullable)

  // The running time of a buffer: of its DTS where there is one. Nothing
  // without a timestamp or a TIME segment.
  std::optional<core::RunningTime> running_time(GstBuffer* buffer) const;
  // The stream time of `pts`, or GST_CLOCK_TIME_NONE.
  GstClockTime stream_time(GstClockTime pts) const;

  bool has_segment(const GstSegment* segment) const;
  bool has_tag_list(const GstTagList* tags) const;

 private:
  StickyState(const StickyState& other);
  const GstSegment* time_segment() const;

  std::vector<EventPtr> events_;
  std::shared_ptr<Epoch> epoch_;
};

}  // namespace dispatch::stage
