// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whether the frames of a stream may go through a stage independently.
//
// For: recognising from an element's class and from media types that a stage
// carries state from frame to frame. Not for: stages whose state shows nowhere
// (`deinterlace`, `effectv`); those are for the user to name.
// Thread: immutable functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dispatch::core {

// The property `stage-state`.
enum class StageState : std::uint8_t {
  kAuto,       // recognise it
  kNone,       // frames are independent
  kPerStream,  // one worker, in order, nothing is ever skipped
};

// What is known of one element of a stage.
struct ElementFacts {
  std::string name;
  std::string klass;  // element metadata, such as "Codec/Encoder/Image"
  // Names of the media types of its pad templates' caps.
  std::vector<std::string> sink_media;
  std::vector<std::string> src_media;
};

struct StageStateVerdict {
  bool is_per_stream = false;
  std::string reason;  // a clause for messages: "x264enc codes between frames"
};

// From the elements alone, before any caps are known.
StageStateVerdict recognise_from_elements(
    const std::vector<ElementFacts>& elements);

// Whether every frame of this media type is known to stand alone: raw or
// intra-coded. Such media may carry DELTA_UNIT without meaning it (PNG does).
bool stands_alone(const std::string& media);

// Whether the element is an encoder or decoder: it owes each input its output.
bool is_coder(const ElementFacts& element);

// From the media type of the input caps.
StageStateVerdict recognise_from_media(const std::string& media);

}  // namespace dispatch::core
