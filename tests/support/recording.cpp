// SPDX-License-Identifier: LGPL-2.1-or-later
#include "recording.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <string_view>

#include "element_harness.h"

namespace dispatch::test {

namespace {

constexpr char kBuffers[] = "buffers";

std::uint64_t hash_of(GstBuffer* buffer) {
  GstMapInfo map;
  if (!gst_buffer_map(buffer, &map, GST_MAP_READ)) give_up("a frame to map");
  const std::uint64_t hash = std::hash<std::string_view>()(
      {reinterpret_cast<const char*>(map.data), map.size});
  gst_buffer_unmap(buffer, &map);
  return hash;
}

std::string caps_of(GstPad* pad) {
  const CapsPtr caps(gst_pad_get_current_caps(pad));
  if (!caps) return {};
  g_autofree gchar* text = gst_caps_to_string(caps.get());
  return text;
}

SeenFrame seen(GstPad* pad, GstBuffer* buffer) {
  return {GST_BUFFER_PTS(buffer),
          GST_BUFFER_DTS(buffer),
          GST_BUFFER_DURATION(buffer),
          GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT) != FALSE,
          gst_buffer_get_size(buffer),
          hash_of(buffer),
          caps_of(pad)};
}

}  // namespace

void PrintTo(const SeenFrame& frame, std::ostream* stream) {
  const auto time = [](GstClockTime value) {
    return GST_CLOCK_TIME_IS_VALID(value) ? std::to_string(value) : "none";
  };
  *stream << "pts " << time(frame.pts) << " dts " << time(frame.dts)
          << " duration " << time(frame.duration)
          << (frame.is_delta ? " delta" : "") << ", " << frame.size
          << " bytes, hash " << frame.hash << ", " << frame.caps;
}

struct Recording::State {
  mutable std::mutex mutex;
  std::vector<SeenFrame> frames;   // under mutex
  std::vector<std::string> shape;  // under mutex

  void add_frame(SeenFrame frame) {
    const std::lock_guard lock(mutex);
    frames.push_back(std::move(frame));
    if (shape.empty() || shape.back() != kBuffers) shape.emplace_back(kBuffers);
  }
  void add_event(GstEvent* event) {
    const std::lock_guard lock(mutex);
    shape.emplace_back(GST_EVENT_TYPE_NAME(event));
  }
  void add(GstPad* pad, GstPadProbeInfo* info) {
    if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER) {
      add_frame(seen(pad, GST_PAD_PROBE_INFO_BUFFER(info)));
    } else if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER_LIST) {
      GstBufferList* list = GST_PAD_PROBE_INFO_BUFFER_LIST(info);
      for (guint i = 0; i < gst_buffer_list_length(list); ++i)
        add_frame(seen(pad, gst_buffer_list_get(list, i)));
    } else {
      add_event(GST_PAD_PROBE_INFO_EVENT(info));
    }
  }
};

Recording::Recording(GstPad* pad) : state_(std::make_shared<State>()) {
  using Shared = std::shared_ptr<State>;
  gst_pad_add_probe(
      pad,
      static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_BUFFER |
                                   GST_PAD_PROBE_TYPE_BUFFER_LIST |
                                   GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM),
      [](GstPad* self, GstPadProbeInfo* info, gpointer user_data) {
        (*static_cast<Shared*>(user_data))->add(self, info);
        return GST_PAD_PROBE_OK;
      },
      new Shared(state_),
      [](gpointer user_data) { delete static_cast<Shared*>(user_data); });
}

std::vector<SeenFrame> Recording::frames() const {
  const std::lock_guard lock(state_->mutex);
  return state_->frames;
}

std::vector<std::string> Recording::shape() const {
  const std::lock_guard lock(state_->mutex);
  return state_->shape;
}

std::string difference(const std::vector<SeenFrame>& actual,
                       const std::vector<SeenFrame>& expected) {
  const auto [own, other] = std::mismatch(actual.begin(), actual.end(),
                                          expected.begin(), expected.end());
  if (own == actual.end() && other == expected.end()) return {};
  const auto text = [](auto frame, auto end) {
    return frame == end ? "nothing" : testing::PrintToString(*frame);
  };
  return "frame " + std::to_string(own - actual.begin()) + " is\n  " +
         text(own, actual.end()) + "\nand should be\n  " +
         text(other, expected.end());
}

std::vector<SeenFrame> frames_of(const std::string& launch) {
  Pipeline pipeline(launch);
  const Recording recording(pipeline.pad("out", "sink").get());
  if (!pipeline.run_to_eos())
    ADD_FAILURE() << launch << ": " << pipeline.error();
  return recording.frames();
}

}  // namespace dispatch::test
