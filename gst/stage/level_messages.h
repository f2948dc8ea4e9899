// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the user is told of levels: element messages with fields, documented in
// docs/elements/adaptiveskip.md.
//
// For: their fields, and their rate: one a second for each reason, with the
// number that was kept back. A trace gets them all. Not for: QOS messages
// (output_loop).
// Thread: confined to the output. No lock is held while posting.
#pragma once

#include <map>
#include <string>

#include "core/message_rate.h"
#include "stage/element_trace.h"
#include "stage/level_chooser.h"
#include "stage/ptr.h"

namespace dispatch::stage {

class LevelMessages {
 public:
  // `element` (transfer none) and `trace` (borrowed) outlive this.
  LevelMessages(GstElement* element, ElementTrace& trace)
      : element_(element), trace_(trace) {}

  // On the bus only if it `may_post`.
  void post(const LevelNews& news, bool may_post);

 private:
  void post(const std::string& key, const GstStructure* fields);

  GstElement* const element_;
  ElementTrace& trace_;
  std::map<std::string, core::MessageRate> rates_;  // by name and reason
};

}  // namespace dispatch::stage
