// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What an element knows and declares about latency.
//
// For: gathering the inputs of due times (upstream's LATENCY answer, the
// LATENCY event, the budget) and answering the LATENCY query. The arithmetic is
// core/due_time and core/latency_budget. Not for: clocks, waits.
// Thread: thread-safe. No lock is held while querying.
#pragma once

#include <mutex>
#include <optional>

#include "core/due_time.h"
#include "core/latency_budget.h"
#include "stage/domain.h"

namespace dispatch::stage {

class LatencyAccount {
 public:
  // `sink`, `src` (transfer none): the pads of the element.
  LatencyAccount(DomainMember& domain, GstPad* sink, GstPad* src);

  // none: automatic. Holds from the next refresh_budget() on.
  void set_budget(std::optional<core::Duration> budget);
  void set_deadlines(core::Deadlines deadlines);
  bool is_automatic() const;

  // Each returns whether the budget has changed: a LATENCY message is due.
  bool on_caps(GstCaps* caps);
  bool refresh_budget();
  void on_latency_event(GstEvent* event);
  // What is kept for the way to the sink. Whether that is news.
  bool set_transit(core::Duration transit);
  // Asks upstream again whether it is live and how late.
  void refresh_upstream();
  void reset();

  core::DueTimeInputs due_inputs() const;
  core::Duration budget() const;
  std::optional<core::Duration> frame_duration() const;

  // `query`: a LATENCY query that upstream has answered.
  void add_own(GstQuery* query, unsigned window_frames);

 private:
  DomainMember& domain_;
  const PadPtr sink_;
  const PadPtr src_;
  mutable std::mutex mutex_;
  std::optional<core::Duration> fixed_budget_;
  std::optional<core::Duration> frame_duration_;
  core::DueTimeInputs inputs_;
};

}  // namespace dispatch::stage
