// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/stage_state.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

const ElementFacts kBlur{
    "gaussianblur0", "Filter/Effect/Video", {"video/x-raw"}, {"video/x-raw"}};
const ElementFacts kX264{
    "x264enc0", "Codec/Encoder/Video", {"video/x-raw"}, {"video/x-h264"}};

ElementFacts decoder_of(const std::string& media) {
  return {"dec", "Codec/Decoder/Video", {media}, {"video/x-raw"}};
}

bool is_per_stream(const ElementFacts& element) {
  return recognise_from_elements({element}).is_per_stream;
}

TEST(StageState, FilterOfVideoHasNone) {
  const StageStateVerdict verdict = recognise_from_elements({kBlur});
  EXPECT_FALSE(verdict.is_per_stream);
  EXPECT_EQ(verdict.reason, "");
}

TEST(StageState, StageWithoutElementsHasNone) {
  EXPECT_FALSE(recognise_from_elements({}).is_per_stream);
}

TEST(StageState, EncoderBetweenFramesIsPerStream) {
  const StageStateVerdict verdict = recognise_from_elements({kX264});
  EXPECT_TRUE(verdict.is_per_stream);
  EXPECT_EQ(verdict.reason, "x264enc0 codes between frames");
}

TEST(StageState, DecoderBetweenFramesIsPerStream) {
  EXPECT_TRUE(is_per_stream(decoder_of("video/x-h264")));
}

TEST(StageState, EncoderOfImagesHasNone) {
  EXPECT_FALSE(is_per_stream(
      {"jpegenc0", "Codec/Encoder/Image", {"video/x-raw"}, {"image/jpeg"}}));
}

TEST(StageState, DecoderOfImagesHasNone) {
  EXPECT_FALSE(is_per_stream(
      {"pngdec0", "Codec/Decoder/Image", {"image/png"}, {"video/x-raw"}}));
}

TEST(StageState, DecoderOfVideoWhoseFramesStandAloneHasNone) {
  for (const char* media :
       {"video/x-jpeg", "video/x-prores", "video/x-dv", "video/x-dnxhd",
        "video/x-cineform", "video/x-huffyuv", "video/x-bayer"})
    EXPECT_FALSE(is_per_stream(decoder_of(media))) << media;
}

TEST(StageState, DecoderOfSeveralMediaIsPerStreamIfOneIsCodedBetweenFrames) {
  ElementFacts element = decoder_of("video/x-prores");
  element.sink_media.emplace_back("video/x-vp9");
  EXPECT_TRUE(is_per_stream(element));
}

TEST(StageState, DecoderOfAnyCapsIsPerStream) {
  EXPECT_TRUE(is_per_stream({"decodebin0", "Generic/Bin/Decoder", {}, {}}));
}

TEST(StageState, DecoderToAnyCapsIsPerStream) {
  ElementFacts element = decoder_of("video/x-prores");
  element.src_media.clear();
  EXPECT_TRUE(is_per_stream(element));
}

TEST(StageState, FilterOfAnyCapsHasNone) {
  EXPECT_FALSE(is_per_stream({"identity0", "Generic", {}, {}}));
}

TEST(StageState, FilterOfCodedVideoHasNoneByItself) {
  EXPECT_FALSE(is_per_stream(
      {"tagger0", "Formatter/Metadata", {"video/x-h264"}, {"video/x-h264"}}));
}

TEST(StageState, ParserIsPerStream) {
  const StageStateVerdict verdict =
      recognise_from_elements({{"jpegparse0",
                                "Video/Codec/Parser/Image",
                                {"image/jpeg"},
                                {"image/jpeg"}}});
  EXPECT_TRUE(verdict.is_per_stream);
  EXPECT_EQ(verdict.reason, "jpegparse0 joins or splits frames");
}

TEST(StageState, DemuxerIsPerStream) {
  EXPECT_TRUE(is_per_stream(
      {"id3demux0", "Codec/Demuxer/Metadata", {"application/x-id3"}, {}}));
}

TEST(StageState, FilterOfAudioIsPerStream) {
  const StageStateVerdict verdict =
      recognise_from_elements({{"audioecho0",
                                "Filter/Effect/Audio",
                                {"audio/x-raw"},
                                {"audio/x-raw"}}});
  EXPECT_TRUE(verdict.is_per_stream);
  EXPECT_EQ(verdict.reason, "audioecho0 works on audio");
}

TEST(StageState, OneElementWithStateMakesTheStagePerStream) {
  const StageStateVerdict verdict =
      recognise_from_elements({kBlur, kX264, kBlur});
  EXPECT_TRUE(verdict.is_per_stream);
  EXPECT_EQ(verdict.reason, "x264enc0 codes between frames");
}

TEST(StageState, FirstElementWithStateIsTheOneNamed) {
  ElementFacts second = kX264;
  second.name = "x264enc1";
  EXPECT_EQ(recognise_from_elements({kX264, second}).reason,
            "x264enc0 codes between frames");
}

TEST(StageState, StreamOfRawVideoHasNone) {
  const StageStateVerdict verdict = recognise_from_media("video/x-raw");
  EXPECT_FALSE(verdict.is_per_stream);
  EXPECT_EQ(verdict.reason, "");
}

TEST(StageState, StreamOfImagesHasNone) {
  EXPECT_FALSE(recognise_from_media("image/jpeg").is_per_stream);
}

TEST(StageState, StreamOfVideoWhoseFramesStandAloneHasNone) {
  EXPECT_FALSE(recognise_from_media("video/x-prores").is_per_stream);
}

TEST(StageState, StreamOfDataHasNone) {
  EXPECT_FALSE(recognise_from_media("application/x-data").is_per_stream);
}

TEST(StageState, StreamOfCodedVideoIsPerStream) {
  const StageStateVerdict verdict = recognise_from_media("video/x-h264");
  EXPECT_TRUE(verdict.is_per_stream);
  EXPECT_EQ(verdict.reason, "the stream is video/x-h264, coded between frames");
}

TEST(StageState, StreamOfUnknownVideoIsPerStream) {
  EXPECT_TRUE(recognise_from_media("video/x-raw-like").is_per_stream);
}

TEST(StageState, StreamOfRawAudioIsPerStream) {
  const StageStateVerdict verdict = recognise_from_media("audio/x-raw");
  EXPECT_TRUE(verdict.is_per_stream);
  EXPECT_EQ(verdict.reason, "the stream is audio");
}

}  // namespace
}  // namespace dispatch::core
