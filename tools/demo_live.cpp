// SPDX-License-Identifier: LGPL-2.1-or-later
#include "demo_live.h"

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/base/gstbasesink.h>

namespace dispatch::demo {

namespace {

GstClockTime timestamp_of(std::size_t number) {
  return gst_util_uint64_scale_int(GST_SECOND, static_cast<gint>(number),
                                   kFrameRate);
}

}  // namespace

std::size_t number_of(GstBuffer* frame) {
  return gst_util_uint64_scale_round(GST_BUFFER_PTS(frame), kFrameRate,
                                     GST_SECOND);
}

Side::Side(const std::string& description, const Originals& originals)
    : originals_(originals), pipeline_(make_pipeline(description)) {
  if (pipeline_ == nullptr) return;
  camera_ = get_element(pipeline_, "camera");
  screen_ = get_element(pipeline_, "screen");
  g_object_set(camera_.get(), "is-live", TRUE, "format", GST_FORMAT_TIME,
               "min-latency", static_cast<gint64>(kSourceLatency.count()),
               "max-bytes", guint64{0}, nullptr);
  g_signal_connect(screen_.get(), "handoff", G_CALLBACK(on_shown), this);
}

void Side::start(GstClockTime base) {
  base_ = base;
  gst_pipeline_use_clock(GST_PIPELINE(pipeline_.get()), clock_.get());
  gst_element_set_start_time(pipeline_.get(), GST_CLOCK_TIME_NONE);
  gst_element_set_base_time(pipeline_.get(), base);
  gst_element_set_state(pipeline_.get(), GST_STATE_PLAYING);
}

void Side::set_latency(Nanos latency) {
  gst_pipeline_set_latency(GST_PIPELINE(pipeline_.get()), to_gst(latency));
}

void Side::set_caps(GstCaps* caps) {
  gst_app_src_set_caps(GST_APP_SRC(camera_.get()), caps);
}

void Side::hand_over(Owned<GstBuffer> frame) {
  gst_app_src_push_buffer(GST_APP_SRC(camera_.get()), frame.release());
}

void Side::end_of_stream() {
  gst_app_src_end_of_stream(GST_APP_SRC(camera_.get()));
}

Seen Side::seen() const {
  const std::lock_guard lock(mutex_);
  return tally_.seen();
}

Seen Side::seen_now() const {
  const std::lock_guard lock(mutex_);
  return tally_.seen_at(now());
}

Nanos Side::latency() const {
  return Nanos(gst_base_sink_get_latency(GST_BASE_SINK(screen_.get())));
}

void Side::on_shown(GstElement*, GstBuffer* frame, GstPad* pad,
                    gpointer self) noexcept {
  static_cast<Side*>(self)->tally(frame, pad);
}

void Side::tally(GstBuffer* frame, GstPad* pad) {
  const auto shown = now();
  const auto due = Nanos(GST_BUFFER_PTS(frame)) + latency();
  const auto number = number_of(frame);
  const bool effect = has_effect(frame, number, pad);
  const std::lock_guard lock(mutex_);
  tally_.add(number, shown, due, effect);
}

bool Side::has_effect(GstBuffer* frame, std::size_t number, GstPad* pad) const {
  Owned<GstCaps> caps(gst_pad_get_current_caps(pad));
  GstVideoInfo info;
  return gst_video_info_from_caps(&info, caps.get()) &&
         hash_picture(info, frame) != originals_.at(number);
}

Nanos Side::now() const {
  return Nanos(GST_CLOCK_DIFF(base_, gst_clock_get_time(clock_.get())));
}

Feeder::Feeder(const Job& job, Originals* originals)
    : originals_(originals),
      decoder_(make_pipeline(
          "filesrc name=file ! decodebin ! videoconvert ! videoscale ! "
          "video/x-raw,format=I420,width=[1,1280],height=[1,720] ! "
          "appsink name=frames sync=false max-buffers=30")) {
  if (decoder_ == nullptr) return;
  frames_ = get_element(decoder_, "frames");
  g_object_set(get_element(decoder_, "file").get(), "location",
               job.video.c_str(), nullptr);
}

Feeder::~Feeder() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void Feeder::start(GstClockTime base, Side* plain, Side* pool) {
  gst_element_set_state(decoder_.get(), GST_STATE_PLAYING);
  thread_ = std::thread(&Feeder::feed, this, base, plain, pool);
}

void Feeder::feed(GstClockTime base, Side* plain, Side* pool) {
  while (fed_ < kFrames) {
    const auto sample = pull();
    if (sample == nullptr) break;
    prepare(sample.get(), plain, pool);
    auto for_plain = copy(sample.get(), fed_);
    auto for_pool = copy(sample.get(), fed_);
    wait_for(base + timestamp_of(fed_));
    plain->hand_over(std::move(for_plain));
    pool->hand_over(std::move(for_pool));
    ++fed_;
  }
  plain->end_of_stream();
  pool->end_of_stream();
}

// The next frame. A video that is too short begins again. Null if there is
// none, or at stop.
Owned<GstSample> Feeder::pull() {
  auto* sink = GST_APP_SINK(frames_.get());
  const auto rewind = [this] {
    return gst_element_seek_simple(decoder_.get(), GST_FORMAT_TIME,
                                   GST_SEEK_FLAG_FLUSH, 0);
  };
  while (!stop_) {
    Owned<GstSample> sample(gst_app_sink_try_pull_sample(
        sink, to_gst(std::chrono::milliseconds(100))));
    if (sample != nullptr) return sample;
    if (!gst_app_sink_is_eos(sink)) continue;
    if (fed_ == 0 || !rewind()) return nullptr;
  }
  return nullptr;
}

void Feeder::prepare(GstSample* sample, Side* plain, Side* pool) {
  if (caps_ == nullptr) {
    caps_.reset(gst_caps_copy(gst_sample_get_caps(sample)));
    gst_caps_set_simple(caps_.get(), "framerate", GST_TYPE_FRACTION,
                        static_cast<gint>(kFrameRate), 1, nullptr);
    gst_video_info_from_caps(&info_, caps_.get());
    plain->set_caps(caps_.get());
    pool->set_caps(caps_.get());
  }
  originals_->at(fed_) =
      hash_picture(info_, gst_sample_get_buffer(sample)).value_or(0);
}

void Feeder::wait_for(GstClockTime time) {
  const GstClockID id = gst_clock_new_single_shot_id(clock_.get(), time);
  gst_clock_id_wait(id, nullptr);
  gst_clock_id_unref(id);
  const auto now = gst_clock_get_time(clock_.get());
  if (now > time + to_gst(kSourceLatency)) ++overslept_;
}

// Memory of its own for each side, as if there were two cameras.
Owned<GstBuffer> Feeder::copy(GstSample* sample, std::size_t number) {
  Owned<GstBuffer> frame(gst_buffer_copy_deep(gst_sample_get_buffer(sample)));
  GST_BUFFER_PTS(frame.get()) = timestamp_of(number);
  GST_BUFFER_DTS(frame.get()) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DURATION(frame.get()) = to_gst(kFrameDuration);
  return frame;
}

}  // namespace dispatch::demo
