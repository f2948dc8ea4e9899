// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>

#include <chrono>

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>

#include "frame_number.h"
#include "notes.h"
#include "parts.h"
#include "pipeline.h"

namespace dispatch::demo {

namespace {

constexpr int kFrameRate = 30;
// Encoder and decoder are at work when the first frame is due.
constexpr GstClockTime kLeadTime = 500 * GST_MSECOND;

constexpr char kDecoder[] =
    "filesrc name=file ! decodebin ! videoconvert ! videoscale ! "
    "video/x-raw,format=I420,width=576,height=432,pixel-aspect-ratio=1/1 ! "
    "appsink name=frames sync=false max-buffers=30";

// The frames of a file, as fast as they are asked for, without an end.
class Film {
 public:
  explicit Film(const std::string& video) : decoder_(make_pipeline(kDecoder)) {
    if (decoder_ == nullptr) return;
    frames_ = get_element(decoder_, "frames");
    g_object_set(get_element(decoder_, "file").get(), "location", video.c_str(),
                 nullptr);
    gst_element_set_state(decoder_.get(), GST_STATE_PLAYING);
  }

  // Null at an error, which is `problem` then, and when it is told to end.
  Owned<GstSample> next() {
    while (decoder_ != nullptr && !is_told_to_end()) {
      Owned<GstSample> sample(gst_app_sink_try_pull_sample(
          GST_APP_SINK(frames_.get()), 100 * GST_MSECOND));
      if (sample != nullptr) {
        has_frames_ = true;
        return sample;
      }
      problem = hear_problem();
      if (!problem.empty()) return nullptr;
    }
    return nullptr;
  }

  std::string problem;

 private:
  std::string hear_problem() {
    if (!gst_app_sink_is_eos(GST_APP_SINK(frames_.get()))) {
      return hear(decoder_, std::chrono::nanoseconds(0)).problem;
    }
    if (!has_frames_) return "there is no video in it";
    const bool is_rewound = gst_element_seek_simple(
        decoder_.get(), GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, 0);
    return is_rewound ? "" : "it is too short, and cannot be played again";
  }

  Pipeline decoder_;
  Owned<GstElement> frames_;
  bool has_frames_ = false;
};

// Puts stamped frames into a pipeline at their times.
class Camera {
 public:
  Camera(const Pipeline& pipeline, Notes* notes)
      : source_(get_element(pipeline, "camera")), notes_(notes) {
    g_object_set(source_.get(), "is-live", TRUE, "format", GST_FORMAT_TIME,
                 nullptr);
    gst_pipeline_use_clock(GST_PIPELINE(pipeline.get()), clock_.get());
    gst_element_set_start_time(pipeline.get(), GST_CLOCK_TIME_NONE);
    gst_element_set_base_time(pipeline.get(), base_);
  }

  bool send(GstSample* sample, std::size_t number) {
    if (caps_ == nullptr) set_caps(sample);
    auto frame = stamp(sample, number);
    if (frame == nullptr) return false;
    const auto time = timestamp_of(number);
    GST_BUFFER_PTS(frame.get()) = time;
    GST_BUFFER_DTS(frame.get()) = GST_CLOCK_TIME_NONE;
    GST_BUFFER_DURATION(frame.get()) = timestamp_of(number + 1) - time;
    wait_for(base_ + time);
    notes_->write("%zu\t%lld\n", number, monotonic_now());
    return gst_app_src_push_buffer(GST_APP_SRC(source_.get()),
                                   frame.release()) == GST_FLOW_OK;
  }

  void end_of_stream() {
    gst_app_src_end_of_stream(GST_APP_SRC(source_.get()));
  }

 private:
  static GstClockTime timestamp_of(std::size_t number) {
    return gst_util_uint64_scale_int(number, GST_SECOND, kFrameRate);
  }

  void set_caps(GstSample* sample) {
    caps_.reset(gst_caps_copy(gst_sample_get_caps(sample)));
    gst_caps_set_simple(caps_.get(), "framerate", GST_TYPE_FRACTION, kFrameRate,
                        1, nullptr);
    gst_video_info_from_caps(&info_, caps_.get());
    gst_app_src_set_caps(GST_APP_SRC(source_.get()), caps_.get());
  }

  Owned<GstBuffer> stamp(GstSample* sample, std::size_t number) const {
    Owned<GstBuffer> frame(gst_buffer_copy_deep(gst_sample_get_buffer(sample)));
    GstVideoFrame mapped;
    if (!gst_video_frame_map(&mapped, &info_, frame.get(), GST_MAP_READWRITE)) {
      return nullptr;
    }
    write_number(&mapped, static_cast<std::uint16_t>(number));
    gst_video_frame_unmap(&mapped);
    return frame;
  }

  void wait_for(GstClockTime time) {
    const GstClockID id = gst_clock_new_single_shot_id(clock_.get(), time);
    gst_clock_id_wait(id, nullptr);
    gst_clock_id_unref(id);
  }

  const Owned<GstClock> clock_{gst_system_clock_obtain()};
  const GstClockTime base_ = gst_clock_get_time(clock_.get()) + kLeadTime;
  Owned<GstElement> source_;
  Owned<GstCaps> caps_;
  GstVideoInfo info_{};
  Notes* const notes_;
};

void announce() {
  printf("sending\n");
  fflush(stdout);
}

bool fail(const std::string& video, const std::string& problem) {
  report_problem(text("%s: %s", video.c_str(), problem.c_str()));
  return false;
}

}  // namespace

bool send_video(const SendJob& job) {
  const auto pipeline = make_pipeline(job.pipeline);
  Notes notes(job.notes);
  if (pipeline == nullptr || !notes.is_open()) return false;
  Film film(job.video);
  Camera camera(pipeline, &notes);
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  for (std::size_t number = 0; number < job.frames; ++number) {
    const auto sample = film.next();
    if (sample == nullptr) break;
    if (!camera.send(sample.get(), number)) break;
    if (number == 0) announce();
  }
  camera.end_of_stream();
  const auto problem = run_until_end(pipeline);
  if (!film.problem.empty()) return fail(job.video, film.problem);
  return problem.empty() || fail("sending", problem);
}

}  // namespace dispatch::demo
