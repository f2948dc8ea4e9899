// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Owning pointers for what GStreamer counts references of.
//
// For: ownership that the type says: a *Ptr by value is a transfer, a raw
// pointer is a borrow for the call. Not for: local C references in shells,
// where g_autoptr does as well.
// Thread: as the pointed-to object's reference count: thread-safe.
#pragma once

#include <memory>

#include <gst/gst.h>

namespace dispatch::stage {

struct MiniObjectUnref {
  template <typename T>
  void operator()(T* object) const {
    gst_mini_object_unref(GST_MINI_OBJECT_CAST(object));
  }
};
struct ObjectUnref {
  void operator()(gpointer object) const { gst_object_unref(object); }
};
struct ClockIdUnref {
  void operator()(gpointer id) const { gst_clock_id_unref(id); }
};

template <typename T>
using MiniPtr = std::unique_ptr<T, MiniObjectUnref>;
using MiniObjectPtr = MiniPtr<GstMiniObject>;
using BufferPtr = MiniPtr<GstBuffer>;
using EventPtr = MiniPtr<GstEvent>;
using CapsPtr = MiniPtr<GstCaps>;
using QueryPtr = MiniPtr<GstQuery>;
using MessagePtr = MiniPtr<GstMessage>;

template <typename T>
using ObjectPtr = std::unique_ptr<T, ObjectUnref>;
using ElementPtr = ObjectPtr<GstElement>;
using PadPtr = ObjectPtr<GstPad>;
using ClockIdPtr = std::unique_ptr<void, ClockIdUnref>;

// One more reference to what someone else owns. `object` may be null.
template <typename T>
MiniPtr<T> share(T* object) {
  if (object != nullptr) gst_mini_object_ref(GST_MINI_OBJECT_CAST(object));
  return MiniPtr<T>(object);
}
template <typename T>
ObjectPtr<T> share_object(T* object) {
  if (object != nullptr) gst_object_ref(object);
  return ObjectPtr<T>(object);
}
// For what is created with a floating reference.
template <typename T>
ObjectPtr<T> sink_object(T* object) {
  if (object != nullptr) gst_object_ref_sink(object);
  return ObjectPtr<T>(object);
}

}  // namespace dispatch::stage
