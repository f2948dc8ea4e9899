// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/due_time_meta.h"

namespace dispatch::stage {

namespace {

gboolean init_meta(GstMeta* meta, gpointer, GstBuffer*) {
  reinterpret_cast<GstDispatchDueTimeMeta*>(meta)->monotonic_ns = 0;
  return TRUE;
}

// The due time stays true whatever is done to the picture.
gboolean transform_meta(GstBuffer* dest, GstMeta* meta, GstBuffer*, GQuark,
                        gpointer) {
  const auto* due = reinterpret_cast<GstDispatchDueTimeMeta*>(meta);
  set_due_time(dest, core::MonotonicTime(core::Duration(due->monotonic_ns)));
  return TRUE;
}

}  // namespace

GType due_time_meta_api_type() {
  static const GType type = [] {
    static const gchar* tags[] = {nullptr};
    return gst_meta_api_type_register("GstDispatchDueTimeMetaAPI", tags);
  }();
  return type;
}

const GstMetaInfo* due_time_meta_info() {
  static const GstMetaInfo* info = gst_meta_register(
      due_time_meta_api_type(), "GstDispatchDueTimeMeta",
      sizeof(GstDispatchDueTimeMeta), init_meta, nullptr, transform_meta);
  return info;
}

void set_due_time(GstBuffer* buffer, core::MonotonicTime due) {
  auto* meta = reinterpret_cast<GstDispatchDueTimeMeta*>(
      gst_buffer_get_meta(buffer, due_time_meta_api_type()));
  if (meta == nullptr)
    meta = reinterpret_cast<GstDispatchDueTimeMeta*>(
        gst_buffer_add_meta(buffer, due_time_meta_info(), nullptr));
  meta->monotonic_ns = core::to_ns(due);
}

const GstDispatchDueTimeMeta* due_time_of(GstBuffer* buffer) {
  return reinterpret_cast<const GstDispatchDueTimeMeta*>(
      gst_buffer_get_meta(buffer, due_time_meta_api_type()));
}

BufferPtr without_due_time(BufferPtr buffer) {
  if (due_time_of(buffer.get()) == nullptr) return buffer;
  buffer.reset(gst_buffer_make_writable(buffer.release()));
  gst_buffer_remove_meta(
      buffer.get(),
      gst_buffer_get_meta(buffer.get(), due_time_meta_api_type()));
  return buffer;
}

}  // namespace dispatch::stage
