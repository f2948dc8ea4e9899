// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the test elements that stand in stages have in common.
//
// For: saying where they stand and what passes them. Thread: thread-safe.
#pragma once

#include <string>
#include <string_view>

#include <gst/gst.h>

namespace dispatch::test {

// "segment"; a custom event has the name of its structure.
inline const char* name_of(GstEvent* event) {
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_CUSTOM_DOWNSTREAM:
    case GST_EVENT_CUSTOM_DOWNSTREAM_OOB:
    case GST_EVENT_CUSTOM_DOWNSTREAM_STICKY:
    case GST_EVENT_CUSTOM_UPSTREAM:
    case GST_EVENT_CUSTOM_BOTH:
      return gst_structure_get_name(gst_event_get_structure(event));
    default:
      return GST_EVENT_TYPE_NAME(event);
  }
}

// The name of the copy in which `element` (transfer none) stands: "worker2".
// Empty outside of a stage.
inline std::string copy_of(GstElement* element) {
  constexpr std::string_view kCopy = "worker";
  for (GstObject* object = GST_OBJECT_PARENT(element); object != nullptr;
       object = GST_OBJECT_PARENT(object))
    if (std::string_view(GST_OBJECT_NAME(object)).starts_with(kCopy))
      return GST_OBJECT_NAME(object);
  return {};
}

}  // namespace dispatch::test
