// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/frame.h"

namespace dispatch::stage {

Frame Frame::share() const {
  Frame other;
  other.object_ = stage::share(object_.get());
  return other;
}

GstBuffer* Frame::first() const {
  if (!is_list()) return GST_BUFFER_CAST(object_.get());
  return gst_buffer_list_get(GST_BUFFER_LIST_CAST(object_.get()), 0);
}

Stamps Frame::stamps() const {
  GstBuffer* buffer = first();
  return {GST_BUFFER_PTS(buffer), GST_BUFFER_DTS(buffer),
          GST_BUFFER_DURATION(buffer), GST_BUFFER_OFFSET(buffer),
          GST_BUFFER_OFFSET_END(buffer)};
}

std::uint64_t Frame::bytes() const {
  std::uint64_t sum = 0;
  for_each([&](GstBuffer* buffer) { sum += gst_buffer_get_size(buffer); });
  return sum;
}

bool Frame::has_flag(GstBufferFlags flag) const {
  bool found = false;
  for_each([&](GstBuffer* buffer) {
    found = found || GST_BUFFER_FLAG_IS_SET(buffer, flag);
  });
  return found;
}

GstBuffer* first_buffer(const Outputs& outputs) {
  for (const MiniObjectPtr& item : outputs) {
    if (GST_IS_BUFFER(item.get())) return GST_BUFFER_CAST(item.get());
    if (GST_IS_BUFFER_LIST(item.get()))
      return gst_buffer_list_get(GST_BUFFER_LIST_CAST(item.get()), 0);
  }
  return nullptr;
}

}  // namespace dispatch::stage
