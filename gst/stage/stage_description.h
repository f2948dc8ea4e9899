// SPDX-License-Identifier: LGPL-2.1-or-later
//
// From the text of the property `stage` to the elements of one copy.
//
// For: parsing a launch description, checking that it can serve as a stage (one
// open sink pad, one open src pad, nothing that appears later) and naming its
// elements alike in every copy. Not for: running it (stage/stage_copy).
// Thread: thread-safe functions.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/stage_state.h"
#include "stage/ptr.h"

namespace dispatch::stage {

struct StageError {
  std::string message;  // names the culprit and the way out
};

struct ParsedStage {
  ElementPtr bin;  // holds the elements; nothing of it is ghosted
  PadPtr open_sink;
  PadPtr open_src;
  std::vector<core::ElementFacts> facts;
};

// Leading and trailing caps are legal. Elements without a name in the
// description get one that depends only on their place in it ("identity0").
std::variant<ParsedStage, StageError> parse_stage(
    const std::string& description);

}  // namespace dispatch::stage
