// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Numbers in pictures: they come out as they went in, also after what the call
// does to them, and nothing else is taken for one.
#include "frame_number.h"

#include <gtest/gtest.h>

#include <memory>

#include <gst/check/gstharness.h>

namespace dispatch::demo {
namespace {

constexpr int kWidth = 576;
constexpr int kHeight = 432;
constexpr char kCaps[] =
    "video/x-raw,format=I420,width=576,height=432,framerate=30/1";

GstVideoInfo info_of(GstVideoFormat format, int width, int height) {
  GstVideoInfo info;
  gst_video_info_set_format(&info, format, width, height);
  return info;
}

GstBuffer* make_picture(const GstVideoInfo& info, std::uint8_t grey) {
  GstBuffer* buffer =
      gst_buffer_new_allocate(nullptr, GST_VIDEO_INFO_SIZE(&info), nullptr);
  gst_buffer_memset(buffer, 0, grey, GST_VIDEO_INFO_SIZE(&info));
  return buffer;
}

// A picture of its own, unmapped and unreferenced at the end.
class Picture {
 public:
  explicit Picture(const GstVideoInfo& info, std::uint8_t grey = 90)
      : buffer_(make_picture(info, grey)) {
    gst_video_frame_map(&frame_, &info, buffer_, GST_MAP_READWRITE);
  }
  ~Picture() {
    gst_video_frame_unmap(&frame_);
    gst_buffer_unref(buffer_);
  }
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;

  GstVideoFrame* frame() { return &frame_; }
  std::uint8_t* luma() {
    return static_cast<std::uint8_t*>(GST_VIDEO_FRAME_COMP_DATA(&frame_, 0));
  }

 private:
  GstBuffer* buffer_;
  GstVideoFrame frame_{};
};

GstVideoInfo i420() { return info_of(GST_VIDEO_FORMAT_I420, kWidth, kHeight); }

TEST(FrameNumber, EachNumberIsReadAsItWasWritten) {
  Picture picture(i420());
  for (unsigned number = 0; number <= G_MAXUINT16; number += 7) {
    write_number(picture.frame(), static_cast<std::uint16_t>(number));
    ASSERT_EQ(read_number(*picture.frame()), number);
  }
}

TEST(FrameNumber, IsWrittenIntoOtherFormatsToo) {
  for (const auto format :
       {GST_VIDEO_FORMAT_Y444, GST_VIDEO_FORMAT_Y42B, GST_VIDEO_FORMAT_NV12}) {
    Picture picture(info_of(format, kWidth, kHeight));
    write_number(picture.frame(), 4711);
    EXPECT_EQ(read_number(*picture.frame()), 4711)
        << gst_video_format_to_string(format);
  }
}

TEST(FrameNumber, APictureWithoutOneHasNone) {
  for (const std::uint8_t grey : {0, 16, 90, 128, 235, 255}) {
    Picture picture(info_of(GST_VIDEO_FORMAT_I420, kWidth, kHeight), grey);
    EXPECT_EQ(read_number(*picture.frame()), std::nullopt) << int{grey};
  }
}

TEST(FrameNumber, OneWrongBlockIsNoticed) {
  for (int block = 0; block < kNumberBlocks; ++block) {
    Picture picture(i420());
    write_number(picture.frame(), 1234);
    for (int y = 0; y < kNumberBlock; ++y) {
      auto* row = picture.luma() + std::ptrdiff_t{y} * kWidth +
                  std::ptrdiff_t{block} * kNumberBlock;
      for (int x = 0; x < kNumberBlock; ++x) row[x] = row[x] > 128 ? 16 : 235;
    }
    EXPECT_EQ(read_number(*picture.frame()), std::nullopt) << block;
  }
}

TEST(FrameNumber, WhatIsNeitherDarkNorBrightIsNotRead) {
  Picture picture(i420());
  write_number(picture.frame(), 1234);
  for (int y = 0; y < kNumberBlock; ++y) {
    auto* row = picture.luma() + std::ptrdiff_t{y} * kWidth;
    for (int x = 0; x < kNumberBlock; ++x) row[x] = 128;
  }
  EXPECT_EQ(read_number(*picture.frame()), std::nullopt);
}

TEST(FrameNumber, ATooSmallPictureHasNone) {
  Picture picture(info_of(GST_VIDEO_FORMAT_I420, kNumberWidth - 2, kHeight));
  EXPECT_EQ(read_number(*picture.frame()), std::nullopt);
}

struct Teardown {
  void operator()(GstHarness* harness) const { gst_harness_teardown(harness); }
};

bool has_elements() {
  for (const char* name : {"x264enc", "avdec_h264", "gaussianblur", "smooth"}) {
    g_autoptr(GstElementFactory) factory = gst_element_factory_find(name);
    if (factory == nullptr) return false;
  }
  return true;
}

// The coding and the effects of the call, at half of its bit rate.
constexpr char kCall[] =
    "x264enc tune=zerolatency speed-preset=ultrafast bitrate=1000 threads=1 "
    "! avdec_h264 max-threads=1 ! videobalance saturation=1.3 ! videoscale "
    "! video/x-raw,width=288,height=216 ! videoconvert ! gaussianblur "
    "sigma=0.6 "
    "! videoconvert ! videoscale ! video/x-raw,width=576,height=432 "
    "! smooth filter-size=3 tolerance=16 "
    "! x264enc tune=zerolatency speed-preset=ultrafast bitrate=1000 threads=1 "
    "! avdec_h264 max-threads=1";

GstBuffer* stamped(const GstVideoInfo& info, std::uint16_t number) {
  GstBuffer* buffer = make_picture(info, 90);
  GstVideoFrame frame;
  gst_video_frame_map(&frame, &info, buffer, GST_MAP_READWRITE);
  write_number(&frame, number);
  gst_video_frame_unmap(&frame);
  GST_BUFFER_PTS(buffer) = number * (GST_SECOND / 30);
  return buffer;
}

TEST(FrameNumber, SurvivesCodingTwiceAndTheEffects) {
  if (!has_elements()) GTEST_SKIP() << "no x264enc, avdec_h264, or effects";
  const auto info = info_of(GST_VIDEO_FORMAT_I420, kWidth, kHeight);
  const std::unique_ptr<GstHarness, Teardown> call(
      gst_harness_new_parse(kCall));
  gst_harness_set_src_caps_str(call.get(), kCaps);
  constexpr std::uint16_t kFrames = 40;
  for (std::uint16_t number = 0; number < kFrames; ++number) {
    ASSERT_EQ(gst_harness_push(call.get(), stamped(info, number)), GST_FLOW_OK);
  }
  gst_harness_push_event(call.get(), gst_event_new_eos());
  for (std::uint16_t number = 0; number < kFrames; ++number) {
    g_autoptr(GstBuffer) out = gst_harness_pull(call.get());
    ASSERT_NE(out, nullptr);
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(call->sinkpad);
    EXPECT_EQ(read_number(out, caps), number);
  }
}

}  // namespace
}  // namespace dispatch::demo

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gst_init(&argc, &argv);
  return RUN_ALL_TESTS();
}
