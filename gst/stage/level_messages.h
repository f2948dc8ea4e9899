// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the user is told of levels: element messages with fields, documented in
// docs/elements/adaptiveskip.md.
//
// For: their fields, and their rate: one a second for each reason, with the
// number that was kept back. Not for: QOS messages (output_loop).
// Thread: confined to the output. No lock is held while posting.
#pragma once

#include <map>
#include <string>

#include "core/message_rate.h"
#include "stage/level_chooser.h"
#include "stage/ptr.h"

namespace dispatch::stage {

class LevelMessages {
 public:
  // `element` (transfer none) outlives this.
  explicit LevelMessages(GstElement* element) : element_(element) {}

  void post(const LevelNews& news);

 private:
  GstElement* const element_;
  std::map<std::string, core::MessageRate> rates_;  // by name and reason
};

}  // namespace dispatch::stage
