// SPDX-License-Identifier: LGPL-2.1-or-later
#include "demo_pipeline.h"

#include <stdio.h>
#include <unistd.h>

#include <cstdarg>
#include <cstring>

namespace dispatch::demo {

namespace {

struct PackagedElement {
  const char* element;
  const char* where;
};
constexpr char kCore[] = "the package libgstreamer1.0-0";
constexpr char kBase[] = "the package gstreamer1.0-plugins-base";
constexpr char kGood[] = "the package gstreamer1.0-plugins-good";
constexpr char kBad[] = "the package gstreamer1.0-plugins-bad";
constexpr char kUgly[] = "the package gstreamer1.0-plugins-ugly";
constexpr char kOurs[] =
    "this project: run the demo with `meson devenv -C builddir`, or set "
    "GST_PLUGIN_PATH to the folder of libgstworkerpool.so";

// All elements of the demo, with Debian's packages. The file's own demuxer and
// decoder are found by decodebin.
constexpr PackagedElement kElements[] = {
    {"fakesink", kCore},    {"filesink", kCore},     {"filesrc", kCore},
    {"identity", kCore},    {"queue", kCore},        {"appsink", kBase},
    {"appsrc", kBase},      {"decodebin", kBase},    {"videoconvert", kBase},
    {"videoscale", kBase},  {"videobalance", kGood}, {"mp4mux", kGood},
    {"gaussianblur", kBad}, {"x264enc", kUgly},      {"workerpool", kOurs},
};

const char* find_cure(const GError* error, const char* details) {
  if (g_error_matches(error, GST_CORE_ERROR, GST_CORE_ERROR_MISSING_PLUGIN) ||
      g_error_matches(error, GST_STREAM_ERROR,
                      GST_STREAM_ERROR_CODEC_NOT_FOUND)) {
    return "\n  Install more decoders: packages gstreamer1.0-libav, "
           "gstreamer1.0-plugins-good and -bad.";
  }
  if (g_error_matches(error, GST_STREAM_ERROR, GST_STREAM_ERROR_WRONG_TYPE) ||
      g_error_matches(error, GST_STREAM_ERROR,
                      GST_STREAM_ERROR_TYPE_NOT_FOUND)) {
    return "\n  Is it a video file?";
  }
  if (std::strstr(details, "not-linked") != nullptr) {
    return "\n  Is there a video in the file?";
  }
  return "";
}

std::string describe_error(GstMessage* message) {
  g_autoptr(GError) error = nullptr;
  g_autofree gchar* details = nullptr;
  gst_message_parse_error(message, &error, &details);
  const char* all = details != nullptr ? details : "";
  // Its first line is a place in GStreamer's sources.
  const char* more = std::strchr(all, '\n');
  return text("%s: %s%s%s", GST_MESSAGE_SRC_NAME(message), error->message,
              more != nullptr ? more : "", find_cure(error, all));
}

constexpr std::uint64_t kMultiplier = 0x9e3779b97f4a7c15;

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * kMultiplier;
  return hash ^ (hash >> 29);
}

std::uint64_t hash_row(std::uint64_t hash, const std::uint8_t* row,
                       std::size_t size) {
  while (size > 0) {
    std::uint64_t word = 0;
    const std::size_t part = size < sizeof word ? size : sizeof word;
    std::memcpy(&word, row, part);
    hash = mix(hash, word);
    row += part;
    size -= part;
  }
  return hash;
}

std::uint64_t hash_component(std::uint64_t hash, const GstVideoFrame& frame,
                             guint component) {
  const auto* row = static_cast<const std::uint8_t*>(
      GST_VIDEO_FRAME_COMP_DATA(&frame, component));
  const auto stride = GST_VIDEO_FRAME_COMP_STRIDE(&frame, component);
  const std::size_t row_size =
      static_cast<std::size_t>(GST_VIDEO_FRAME_COMP_WIDTH(&frame, component)) *
      GST_VIDEO_FRAME_COMP_PSTRIDE(&frame, component);
  const auto rows = GST_VIDEO_FRAME_COMP_HEIGHT(&frame, component);
  for (int y = 0; y < rows; ++y, row += stride) {
    hash = hash_row(hash, row, row_size);
  }
  return hash;
}

}  // namespace

std::string text(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree gchar* made = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  return made;
}

void report_problem(const std::string& problem) {
  fprintf(stderr, "gst-dispatch-demo: %s\n", problem.c_str());
}

bool check_elements() {
  bool all_there = true;
  for (const auto& [element, where] : kElements) {
    Owned<GstElementFactory> factory(gst_element_factory_find(element));
    if (factory != nullptr) continue;
    report_problem(
        text("there is no element \"%s\". It comes from %s.", element, where));
    all_there = false;
  }
  return all_there;
}

Pipeline make_pipeline(const std::string& description) {
  g_autoptr(GError) error = nullptr;
  GstElement* pipeline = gst_parse_launch_full(
      description.c_str(), nullptr, GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (pipeline != nullptr) {
    return Pipeline(GST_ELEMENT(gst_object_ref_sink(pipeline)));
  }
  report_problem(text("cannot make the pipeline: %s\n  %s", error->message,
                      description.c_str()));
  return nullptr;
}

Owned<GstElement> get_element(const Pipeline& pipeline, const char* name) {
  Owned<GstElement> element(gst_bin_get_by_name(GST_BIN(pipeline.get()), name));
  g_assert(element != nullptr);
  return element;
}

Report hear(const Pipeline& pipeline, std::chrono::nanoseconds patience) {
  Owned<GstBus> bus(gst_element_get_bus(pipeline.get()));
  Owned<GstMessage> message(gst_bus_timed_pop_filtered(
      bus.get(), static_cast<GstClockTime>(patience.count()),
      static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR)));
  if (message == nullptr) return {};
  if (GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_EOS) return {true, {}};
  return {false, describe_error(message.get())};
}

std::optional<std::uint64_t> hash_picture(const GstVideoInfo& info,
                                          GstBuffer* frame) {
  GstVideoFrame mapped;
  if (!gst_video_frame_map(&mapped, &info, frame, GST_MAP_READ)) return {};
  std::uint64_t hash = kMultiplier;
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS(&mapped); ++c) {
    hash = hash_component(hash, mapped, c);
  }
  gst_video_frame_unmap(&mapped);
  return hash;
}

ProgressLine::ProgressLine() : in_place_(isatty(STDOUT_FILENO) == 1) {}

void ProgressLine::show(const std::string& line) {
  if (in_place_) {
    // Back to the first column, and clear what is left of a longer line.
    printf("\r%s\x1b[K", line.c_str());
    is_open_ = true;
  } else {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::seconds(2);
    printf("%s\n", line.c_str());
  }
  fflush(stdout);
}

void ProgressLine::finish() {
  if (is_open_) printf("\n");
  fflush(stdout);
  is_open_ = false;
}

}  // namespace dispatch::demo
