// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/field_pairing.h"

#include <string_view>

#include <gst/video/video.h>

namespace dispatch::stage {

namespace {

bool is_top(GstBuffer* buffer) { return GST_VIDEO_BUFFER_IS_TOP_FIELD(buffer); }

}  // namespace

bool are_fields(GstCaps* caps) {
  if (caps == nullptr || gst_caps_get_size(caps) == 0) return false;
  const gchar* mode = gst_structure_get_string(gst_caps_get_structure(caps, 0),
                                               "interlace-mode");
  return mode != nullptr && std::string_view(mode) == "alternate";
}

FieldPairing::Frames FieldPairing::add(BufferPtr buffer) {
  Frames frames;
  if (!is_alternate_) {
    frames.complete = Frame(buffer.release());
    return frames;
  }
  if (!waiting_) {
    waiting_ = std::move(buffer);
    return frames;
  }
  if (is_top(waiting_.get()) == is_top(buffer.get())) {
    frames.lonely = take_waiting();
    waiting_ = std::move(buffer);
    return frames;
  }
  GstBufferList* pair = gst_buffer_list_new_sized(2);
  gst_buffer_list_add(pair, waiting_.release());
  gst_buffer_list_add(pair, buffer.release());
  frames.complete = Frame(pair);
  return frames;
}

std::optional<Frame> FieldPairing::take_waiting() {
  if (!waiting_) return std::nullopt;
  return Frame(waiting_.release());
}

}  // namespace dispatch::stage
