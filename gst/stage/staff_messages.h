// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the user is told of workers that come, go, hang and die.
//
// For: element messages with fields, documented in docs/elements/workers.md,
// and their rate: of each kind so many in a second, with the number that was
// kept back. A trace gets them all. Not for: errors and warnings
// (stage_element). Thread: thread-safe. No lock is held while posting.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "core/message_rate.h"
#include "stage/element_trace.h"
#include "stage/staffing.h"
#include "stage/workers.h"

namespace dispatch::stage {

class StaffMessages {
 public:
  // `element` (transfer none) and `trace` (borrowed) outlive this.
  StaffMessages(GstElement* element, ElementTrace& trace)
      : element_(element), trace_(trace) {}

  void post(const StaffingNews& news);
  void post_lost(const Worker& worker, const Loss& loss);
  void post_started(const Worker& worker);
  void post_not_started(const Problem& problem);
  void post_replaced(const std::string& description);

 private:
  void post(GstStructure* fields);  // (transfer full)

  GstElement* const element_;
  ElementTrace& trace_;
  std::mutex mutex_;
  std::map<std::string, core::MessageRate> rates_;  // by name; under mutex_
};

}  // namespace dispatch::stage
