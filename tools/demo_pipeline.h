// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What both parts of the demo need around their pipelines.
//
// For: making pipelines, hearing how they end, telling frames apart by their
// picture, and talking to a terminal. The demo uses the elements as any
// application does: through properties, signals and messages alone.
// Not for: what the parts show.
// Thread: confined, unless said otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <gst/gst.h>
#include <gst/video/video.h>

namespace dispatch::demo {

struct Unref {
  void operator()(gpointer object) const { gst_object_unref(object); }
  void operator()(GstSample* sample) const { gst_sample_unref(sample); }
  void operator()(GstBuffer* buffer) const { gst_buffer_unref(buffer); }
  void operator()(GstCaps* caps) const { gst_caps_unref(caps); }
  void operator()(GstMessage* message) const { gst_message_unref(message); }
  void operator()(GstStructure* stats) const { gst_structure_free(stats); }
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

// What was asked for on the command line.
struct Job {
  std::string video;
  std::string output_dir;
};

// printf into a string.
std::string text(const char* format, ...) G_GNUC_PRINTF(1, 2);

// Says on stderr what went wrong. Thread-safe.
void report_problem(const std::string& problem);

// Whether all elements of the demo can be made here; says which package brings
// the missing ones.
bool check_elements();

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
// Waits at most `patience` for the end or an error.
Report hear(const Pipeline& pipeline, std::chrono::nanoseconds patience);

// A number for the visible picture of a frame: equal for equal pixels, also
// when the memory is laid out differently. Nothing if the frame cannot be read.
// Thread-safe.
std::optional<std::uint64_t> hash_picture(const GstVideoInfo& info,
                                          GstBuffer* frame);

// A line of progress: on a terminal it is updated in place, elsewhere a new one
// is written every two seconds.
class ProgressLine {
 public:
  ProgressLine();
  void show(const std::string& line);
  // What is printed next begins on a line of its own.
  void finish();

 private:
  const bool in_place_;
  bool is_open_ = false;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace dispatch::demo
