// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>

#include <cstring>

#include <gst/app/gstappsink.h>

#include "frame_number.h"
#include "parts.h"
#include "pipeline.h"

namespace dispatch::demo {

namespace {

constexpr char kDecoder[] =
    "filesrc name=file ! decodebin ! videoconvert ! video/x-raw,format=I420 ! "
    "appsink name=frames sync=false max-buffers=4";

bool save(GstSample* sample, const std::string& path) {
  const Owned<GstCaps> jpeg(gst_caps_new_empty_simple("image/jpeg"));
  g_autoptr(GError) error = nullptr;
  const Owned<GstSample> picture(gst_video_convert_sample(
      sample, jpeg.get(), GST_CLOCK_TIME_NONE, &error));
  if (picture == nullptr) {
    report_problem(text("%s: %s", path.c_str(), error->message));
    return false;
  }
  GstMapInfo bytes;
  auto* buffer = gst_sample_get_buffer(picture.get());
  if (!gst_buffer_map(buffer, &bytes, GST_MAP_READ)) return false;
  const bool is_saved = g_file_set_contents(
      path.c_str(), reinterpret_cast<const gchar*>(bytes.data),
      static_cast<gssize>(bytes.size), &error);
  gst_buffer_unmap(buffer, &bytes);
  if (!is_saved) report_problem(error->message);
  return is_saved;
}

// What was seen last while the video is gone through.
class Album {
 public:
  explicit Album(const PicturesJob& job) : job_(job) {}

  bool add(Owned<GstSample> sample) {
    const auto number = read_number(gst_sample_get_buffer(sample.get()),
                                    gst_sample_get_caps(sample.get()));
    // All that were wanted before this one show what was there until now.
    if (number && !save_until(*number)) return false;
    seen_ = std::move(sample);
    return true;
  }
  bool finish() { return save_until(G_MAXUINT); }

 private:
  bool save_until(unsigned end) {
    for (; next_ < job_.numbers.size() && job_.numbers[next_] < end; ++next_) {
      if (seen_ == nullptr) continue;
      const auto path =
          text("%s/%u.jpg", job_.folder.c_str(), job_.numbers[next_]);
      if (!save(seen_.get(), path)) return false;
    }
    return true;
  }

  const PicturesJob& job_;
  std::size_t next_ = 0;
  Owned<GstSample> seen_;
};

bool go_through(const Pipeline& decoder, Album* album) {
  const auto frames = get_element(decoder, "frames");
  auto* sink = GST_APP_SINK(frames.get());
  for (;;) {
    Owned<GstSample> sample(gst_app_sink_pull_sample(sink));
    if (sample == nullptr) return album->finish();
    if (!album->add(std::move(sample))) return false;
  }
}

}  // namespace

bool save_pictures(const PicturesJob& job) {
  const auto decoder = make_pipeline(kDecoder);
  if (decoder == nullptr) return false;
  g_object_set(get_element(decoder, "file").get(), "location",
               job.video.c_str(), nullptr);
  gst_element_set_state(decoder.get(), GST_STATE_PLAYING);
  Album album(job);
  const bool is_good = go_through(decoder, &album);
  const auto problem = hear(decoder, std::chrono::nanoseconds(0)).problem;
  if (problem.empty()) return is_good;
  report_problem(text("%s: %s", job.video.c_str(), problem.c_str()));
  return false;
}

}  // namespace dispatch::demo
