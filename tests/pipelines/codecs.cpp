// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An element among real coders: every buffer that arrives is that of the plain
// pipeline, by bytes, timestamps and caps.
#include <gtest/gtest.h>

#include "element_harness.h"
#include "recording.h"

namespace dispatch::test {

namespace {

// Whole blocks without padding, in which coders leave what was there.
const std::string kPictures =
    "videotestsrc num-buffers=40 pattern=ball ! "
    "video/x-raw,format=I420,width=112,height=80,framerate=30/1 ! ";
const std::string kSink = " ! fakesink name=out";

// gaussianblur leaves the alpha of its AYUV as it was.
constexpr char kBlur[] =
    "videoconvert ! gaussianblur sigma=2 ! videoconvert ! "
    "video/x-raw,format=I420";
// With other settings x264enc does not give the same twice.
constexpr char kH264[] =
    "x264enc threads=1 mb-tree=false ! h264parse ! avdec_h264 ! ";

struct Chain {
  const char* name;
  const char* before;
  const char* stage;
  const char* behind;
  // Several frames of one buffer are as many buffers here.
  std::size_t frames = 40;
};
void PrintTo(const Chain& chain, std::ostream* stream) {
  *stream << chain.before << "[" << chain.stage << "]" << chain.behind;
}

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

class Codecs : public testing::TestWithParam<Chain> {};

TEST_P(Codecs, GiveTheFramesOfThePlainPipeline) {
  const Chain& chain = GetParam();
  const std::string before = kPictures + chain.before;
  const std::string behind = chain.behind + kSink;
  const auto plain = frames_of(before + chain.stage + behind);
  ASSERT_EQ(plain.size(), chain.frames);
  const std::string stage = "stage=" + quoted(chain.stage) + " ";
  for (const char* settings :
       {"max-workers=3", "max-workers=2 max-buffers=2"}) {
    std::string line = before;
    line.append(under_test(stage + settings)).append(behind);
    EXPECT_EQ(difference(frames_of(line), plain), "") << settings;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Pipelines, Codecs,
    testing::Values(
        Chain{"JpegDecoder", "jpegenc ! ", "jpegdec", ""},
        Chain{"JpegEncoder", "", "jpegenc quality=70", ""},
        Chain{"PngEncoder", "videoconvert ! video/x-raw,format=RGB ! ",
              "pngenc", ""},
        Chain{"PngThereAndBack", "", "videoconvert ! pngenc ! pngdec", ""},
        Chain{"JpegWorkJpeg", "jpegenc ! ",
              "jpegdec ! videoconvert ! gaussianblur sigma=2 ! videoconvert ! "
              "video/x-raw,format=I420 ! jpegenc",
              ""},
        Chain{"H264InFront", kH264, kBlur, ""},
        Chain{"H264InFrontInPlace", kH264, "teststage writes=true", ""},
        Chain{"H264Behind", "", kBlur, " ! x264enc threads=1 mb-tree=false"},
        Chain{"H264OnBothSides", kH264,
              "videoconvert ! videobalance saturation=0 ! videoconvert",
              " ! x264enc threads=1 mb-tree=false ! h264parse"},
        Chain{"Mpeg4InFrontJpegBehind", "avenc_mpeg4 ! avdec_mpeg4 ! ",
              "videoflip method=clockwise", " ! jpegenc"}),
    [](const auto& test) { return test.param.name; });

// ---- Neighbours ------------------------------------------------------------

// The frames are shared with the other branch, and the stage writes in place.
TEST(Pipelines, TeeInFrontShowsNoChangedFrame) {
  const std::string branches = kPictures + "tee name=t ";
  const auto untouched = frames_of(kPictures + "identity" + kSink);
  Pipeline pipeline(
      branches + "t. ! queue ! " +
      under_test("max-workers=3 stage=\"teststage writes=true\"") +
      " ! fakesink name=changed t. ! queue ! fakesink name=out");
  const Recording changed(pipeline.pad("changed", "sink").get());
  const Recording other(pipeline.pad("out", "sink").get());
  ASSERT_TRUE(pipeline.run_to_eos()) << pipeline.error();

  EXPECT_EQ(difference(other.frames(), untouched), "");
  EXPECT_EQ(difference(changed.frames(),
                       frames_of(kPictures + "teststage writes=true" + kSink)),
            "");
}

// The same where the original is kept for a bypass. Which frames are done in
// time is up to the machine: each one is changed as a whole, or not at all.
TEST(Pipelines, TeeInFrontShowsNoChangedFrameLive) {
  const std::string source =
      "videotestsrc is-live=true num-buffers=20 pattern=red ! "
      "video/x-raw,format=I420,width=112,height=80,framerate=100/1 ! ";
  Pipeline pipeline(
      source +
      "tee name=t "
      "t. ! queue ! " +
      under_test("max-workers=3 stage=\"teststage writes=true\"") +
      " ! fakesink name=changed t. ! queue ! fakesink name=out");
  const Recording changed(pipeline.pad("changed", "sink").get());
  const Recording other(pipeline.pad("out", "sink").get());
  ASSERT_TRUE(pipeline.run_to_eos()) << pipeline.error();

  const auto inverted = frames_of(
      "videotestsrc num-buffers=1 pattern=red ! "
      "video/x-raw,format=I420,width=112,height=80,framerate=100/1 ! "
      "teststage writes=true" +
      kSink);
  ASSERT_EQ(inverted.size(), 1U);
  ASSERT_EQ(other.frames().size(), 20U);
  const std::uint64_t original = other.frames().front().hash;
  EXPECT_NE(original, inverted.front().hash);
  for (const SeenFrame& frame : other.frames()) EXPECT_EQ(frame.hash, original);
  for (const SeenFrame& frame : changed.frames())
    EXPECT_TRUE(frame.hash == original || frame.hash == inverted.front().hash);
}

TEST(Pipelines, TwoInARowGiveTheFramesOfThePlainPipeline) {
  const std::string blur = kBlur;
  const std::string flip = "videoflip method=clockwise ! jpegenc";
  EXPECT_EQ(
      frames_of(kPictures + under_test("max-workers=2 stage=" + quoted(blur)) +
                " ! " + under_test("max-workers=3 stage=" + quoted(flip)) +
                kSink),
      frames_of(kPictures + blur + " ! " + flip + kSink));
}

TEST(Pipelines, OneInEachBranchGivesTheFramesOfThePlainPipeline) {
  const std::string flip = "videoflip method=clockwise";
  Pipeline pipeline(kPictures + "tee name=t t. ! queue ! " +
                    under_test("max-workers=2 stage=jpegenc") +
                    " ! fakesink name=a t. ! queue ! " +
                    under_test("max-workers=2 stage=" + quoted(flip)) +
                    " ! fakesink name=b");
  const Recording a(pipeline.pad("a", "sink").get());
  const Recording b(pipeline.pad("b", "sink").get());
  ASSERT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  EXPECT_EQ(difference(a.frames(), frames_of(kPictures + "jpegenc" + kSink)),
            "");
  EXPECT_EQ(difference(b.frames(), frames_of(kPictures + flip + kSink)), "");
}

// Audio beside video, into one file: both streams whole. (Before it runs,
// the element does not say what its stage gives: the muxer has to be told.)
TEST(Pipelines, MuxerBehindGetsBothStreams) {
  const auto line = [](const std::string& encode, const std::string& change) {
    return "matroskamux name=m ! fakesink name=out " + kPictures + encode +
           " ! queue ! image/jpeg ! m.video_0 "
           "audiotestsrc num-buffers=60 samplesperbuffer=1000 ! "
           "audio/x-raw,format=S16LE,layout=interleaved ! " +
           change + " ! queue ! audio/x-raw ! m.audio_0";
  };
  EXPECT_EQ(frames_of(line(under_test("max-workers=3 stage=jpegenc"),
                           under_test("stage=volume")))
                .size(),
            frames_of(line("jpegenc", "volume")).size());
}

}  // namespace

}  // namespace dispatch::test
