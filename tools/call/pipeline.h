// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What all parts of the call need around their pipelines.
//
// For: making pipelines and hearing how they end. The demo uses the elements as
// any application does: through properties, signals and messages alone.
// Not for: what is in the pipelines; pipelines.py has that.
// Thread: confined, unless said otherwise.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <gst/gst.h>

namespace dispatch::demo {

struct Unref {
  void operator()(gpointer object) const { gst_object_unref(object); }
  void operator()(GstSample* sample) const { gst_sample_unref(sample); }
  void operator()(GstBuffer* buffer) const { gst_buffer_unref(buffer); }
  void operator()(GstCaps* caps) const { gst_caps_unref(caps); }
  void operator()(GstEvent* event) const { gst_event_unref(event); }
  void operator()(GstMessage* message) const { gst_message_unref(message); }
};
template <typename T>
using Owned = std::unique_ptr<T, Unref>;

// Goes to NULL before the last reference goes, as GStreamer demands.
struct StopAndUnref {
  void operator()(GstElement* pipeline) const {
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
  }
};
using Pipeline = std::unique_ptr<GstElement, StopAndUnref>;

// printf into a string.
std::string text(const char* format, ...) G_GNUC_PRINTF(1, 2);

// Says on stderr what went wrong. Thread-safe.
void report_problem(const std::string& problem);

// Makes a pipeline out of a launch description. Null, and said on stderr, if
// that is not possible.
Pipeline make_pipeline(const std::string& description);

// The element `name` of a pipeline that has it.
Owned<GstElement> get_element(const Pipeline& pipeline, const char* name);

// What a pipeline's bus said.
struct Report {
  bool ended = false;   // EOS has come out of all sinks
  std::string problem;  // what went wrong, in one or two lines; empty: nothing
};
// Waits at most `patience` for the end or an error. When an element's latency
// has changed, all sinks are told, as an application has to.
Report hear(const Pipeline& pipeline, std::chrono::nanoseconds patience);

// Waits for the end or an error. When standard input is closed, which is how
// the one who started this process says that it is over, the stream is ended in
// order, so that files are complete. Returns the problem, empty if there was
// none.
std::string run_until_end(const Pipeline& pipeline);

// Whether standard input is closed.
bool is_told_to_end();

}  // namespace dispatch::demo
