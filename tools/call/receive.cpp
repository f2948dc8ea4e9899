// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>

#include "frame_number.h"
#include "notes.h"
#include "parts.h"
#include "pipeline.h"

namespace dispatch::demo {

namespace {

GstClockTime running_time_of(GstPad* pad, GstBuffer* frame) {
  Owned<GstEvent> event(gst_pad_get_sticky_event(pad, GST_EVENT_SEGMENT, 0));
  if (event == nullptr) return GST_CLOCK_TIME_NONE;
  const GstSegment* segment = nullptr;
  gst_event_parse_segment(event.get(), &segment);
  return gst_segment_to_running_time(segment, GST_FORMAT_TIME,
                                     GST_BUFFER_PTS(frame));
}

GstPadProbeReturn on_frame(GstPad* pad, GstPadProbeInfo* info,
                           gpointer notes) noexcept {
  const auto now = monotonic_now();
  auto* frame = GST_PAD_PROBE_INFO_BUFFER(info);
  const Owned<GstCaps> caps(gst_pad_get_current_caps(pad));
  const auto number = read_number(frame, caps.get());
  static_cast<Notes*>(notes)->write(
      "%s\t%" G_GUINT64_FORMAT "\t%lld\n",
      number ? std::to_string(*number).c_str() : "-",
      running_time_of(pad, frame), now);
  return GST_PAD_PROBE_OK;
}

void note_frames(const Pipeline& pipeline, Notes* notes) {
  const auto decoder = get_element(pipeline, "decoder");
  const Owned<GstPad> pad(gst_element_get_static_pad(decoder.get(), "src"));
  gst_pad_add_probe(pad.get(), GST_PAD_PROBE_TYPE_BUFFER, on_frame, notes,
                    nullptr);
}

// Under load h264parse gives a frame without a time now and then, and mp4mux
// ends with an error at the first one.
GstPadProbeReturn on_kept(GstPad*, GstPadProbeInfo* info, gpointer) noexcept {
  const auto* frame = GST_PAD_PROBE_INFO_BUFFER(info);
  return GST_BUFFER_PTS_IS_VALID(frame) ? GST_PAD_PROBE_OK : GST_PAD_PROBE_DROP;
}

void keep_timed_frames(const Pipeline& pipeline) {
  const Owned<GstElement> keep(
      gst_bin_get_by_name(GST_BIN(pipeline.get()), "keep"));
  if (keep == nullptr) return;
  const Owned<GstPad> pad(gst_element_get_static_pad(keep.get(), "src"));
  gst_pad_add_probe(pad.get(), GST_PAD_PROBE_TYPE_BUFFER, on_kept, nullptr,
                    nullptr);
}

// The port was free a moment ago, and is taken now.
void print_port(const Pipeline& pipeline) {
  gint port = 0;
  g_object_get(get_element(pipeline, "in").get(), "port", &port, nullptr);
  printf("port %d\n", port);
  fflush(stdout);
}

}  // namespace

bool receive_video(const ReceiveJob& job) {
  Notes notes(job.notes);  // outlives the pipeline, which writes to it
  const auto pipeline = make_pipeline(job.pipeline);
  if (pipeline == nullptr || !notes.is_open()) return false;
  note_frames(pipeline, &notes);
  keep_timed_frames(pipeline);
  std::string problem;
  if (gst_element_set_state(pipeline.get(), GST_STATE_PLAYING) ==
      GST_STATE_CHANGE_FAILURE) {
    problem = hear(pipeline, std::chrono::seconds(1)).problem;
  } else {
    print_port(pipeline);
    problem = run_until_end(pipeline);
  }
  gst_element_set_state(pipeline.get(), GST_STATE_NULL);
  if (problem.empty()) return true;
  report_problem(problem);
  return false;
}

}  // namespace dispatch::demo
