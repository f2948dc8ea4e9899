// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pipeline.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include <cstdarg>
#include <cstring>
#include <optional>

namespace dispatch::demo {

namespace {

constexpr std::chrono::milliseconds kLookAround{100};
// The end of the stream has to be through by then.
constexpr std::chrono::seconds kPatience{10};

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

}  // namespace

std::string text(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  g_autofree gchar* made = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  return made;
}

void report_problem(const std::string& problem) {
  fprintf(stderr, "gst-dispatch-call: %s\n", problem.c_str());
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
      static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR |
                                  GST_MESSAGE_LATENCY)));
  if (message == nullptr) return {};
  if (GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_LATENCY) {
    gst_bin_recalculate_latency(GST_BIN(pipeline.get()));
    return {};
  }
  if (GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_EOS) return {true, {}};
  return {false, describe_error(message.get())};
}

bool is_told_to_end() {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  if (poll(&input, 1, 0) <= 0) return false;
  char ignored = 0;
  return read(STDIN_FILENO, &ignored, 1) <= 0;
}

std::string run_until_end(const Pipeline& pipeline) {
  std::optional<std::chrono::steady_clock::time_point> end;
  for (;;) {
    const auto report = hear(pipeline, kLookAround);
    if (report.ended || !report.problem.empty()) return report.problem;
    const auto now = std::chrono::steady_clock::now();
    if (end && now > *end) return "the stream does not end";
    if (end || !is_told_to_end()) continue;
    gst_element_send_event(pipeline.get(), gst_event_new_eos());
    end = now + kPatience;
  }
}

}  // namespace dispatch::demo
