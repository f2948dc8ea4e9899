// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/stage_state.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace dispatch::core {

namespace {

bool starts_with(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Coded video in which every frame stands alone.
constexpr std::array<std::string_view, 8> kIntraVideo = {
    "video/x-jpeg",     "video/x-prores",  "video/x-dv",  "video/x-dnxhd",
    "video/x-cineform", "video/x-huffyuv", "video/x-raw", "video/x-bayer"};

// Whether one buffer of this type can be worked on without its neighbours.
bool is_independent(std::string_view media) {
  if (starts_with(media, "audio/")) return false;
  if (!starts_with(media, "video/")) return true;
  return std::find(kIntraVideo.begin(), kIntraVideo.end(), media) !=
         kIntraVideo.end();
}

// Parsers, (de)muxers and (de)payloaders join, split or count; what
// they hold back shows nowhere.
bool is_reframer(std::string_view klass) {
  for (const char* word : {"Parser", "muxer", "Muxer", "ayloader"})
    if (contains(klass, word)) return true;
  return false;
}

// An empty list is a template of any caps: nothing is known of it.
bool all_independent(const std::vector<std::string>& media) {
  return !media.empty() &&
         std::all_of(media.begin(), media.end(),
                     [](const auto& name) { return is_independent(name); });
}

StageStateVerdict recognise(const ElementFacts& element) {
  if (contains(element.klass, "Audio"))
    return {true, element.name + " works on audio"};
  if (is_reframer(element.klass))
    return {true, element.name + " joins or splits frames"};
  if (is_coder(element) && !(all_independent(element.sink_media) &&
                             all_independent(element.src_media)))
    return {true, element.name + " codes between frames"};
  return {};
}

}  // namespace

bool stands_alone(const std::string& media) {
  return starts_with(media, "image/") || media == "audio/x-raw" ||
         (starts_with(media, "video/") && is_independent(media));
}

bool is_coder(const ElementFacts& element) {
  return contains(element.klass, "Encoder") ||
         contains(element.klass, "Decoder");
}

StageStateVerdict recognise_from_elements(
    const std::vector<ElementFacts>& elements) {
  for (const ElementFacts& element : elements) {
    StageStateVerdict verdict = recognise(element);
    if (verdict.is_per_stream) return verdict;
  }
  return {};
}

StageStateVerdict recognise_from_media(const std::string& media) {
  if (is_independent(media)) return {};
  if (starts_with(media, "audio/")) return {true, "the stream is audio"};
  return {true, "the stream is " + media + ", coded between frames"};
}

}  // namespace dispatch::core
