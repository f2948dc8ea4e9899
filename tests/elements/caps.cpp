// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What an element negotiates: caps and ALLOCATION through its stage, in both
// directions, for several copies at once; and frames of unusual make.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>

#include <gst/video/video.h>

#include "element_harness.h"
#include "recording.h"

namespace dispatch::test {

namespace {

using PoolPtr = stage::ObjectPtr<GstBufferPool>;

CapsPtr caps_from(const char* text) {
  return CapsPtr(gst_caps_from_string(text));
}

std::string text_of(const CapsPtr& caps) {
  if (!caps) return "none";
  g_autofree gchar* text = gst_caps_to_string(caps.get());
  return text;
}

std::string format_at(GstPad* pad) {
  const CapsPtr caps(gst_pad_get_current_caps(pad));
  if (!caps) return "none";
  const gchar* format =
      gst_structure_get_string(gst_caps_get_structure(caps.get(), 0), "format");
  return format != nullptr ? format : "none";
}

// Frames of 8x8 pixels in `format`, with timestamps.
BufferPtr picture(std::uint64_t number, GstVideoFormat format, int side = 8) {
  GstVideoInfo info;
  gst_video_info_set_format(&info, format, static_cast<guint>(side),
                            static_cast<guint>(side));
  return numbered_buffer(number, GST_VIDEO_INFO_SIZE(&info));
}

std::string video_caps(const char* format, int side = 8) {
  return std::string("video/x-raw,format=") + format +
         ",width=" + std::to_string(side) + ",height=" + std::to_string(side) +
         ",framerate=100/1";
}

HarnessOptions live() {
  HarnessOptions options;
  options.is_live = true;
  options.has_test_clock = true;
  return options;
}

// Pushes frames first ... first + workers. The first one of an epoch runs
// alone; then every one of `workers` copies has one.
void spread_over_copies(Harness& sut, Gate& gate, std::uint64_t first,
                        unsigned workers, GstVideoFormat format) {
  const std::uint64_t before = sut.stats()["applied"];
  sut.push(picture(first, format));
  sut.wait_for_stat("applied", before + 1);
  gate.hold_all();
  for (std::uint64_t i = 1; i <= workers; ++i)
    sut.push(picture(first + i, format));
  gate.wait_until_holding(workers);
  gate.open();
  sut.wait_for_stat("applied", before + 1 + workers);
}

std::size_t count(const std::vector<std::string>& shape, const char* what) {
  return static_cast<std::size_t>(std::count(shape.begin(), shape.end(), what));
}

// ---- CAPS and ACCEPT_CAPS queries ------------------------------------------

struct Asked {
  CapsPtr at_sink;
  CapsPtr at_src;
};

// What the two ends of an element say, in a harness whose ends take `sink_caps`
// and give `src_caps`.
Asked ask_caps(GstHarness* harness, const char* filter) {
  const CapsPtr wanted = filter != nullptr ? caps_from(filter) : nullptr;
  return {CapsPtr(gst_pad_peer_query_caps(harness->srcpad, wanted.get())),
          CapsPtr(gst_pad_peer_query_caps(harness->sinkpad, wanted.get()))};
}

constexpr char kVideoConvert[] = "videoconvert";

TEST(Caps, QueriesGoThroughTheStageInBothDirections) {
  GstHarness* plain = gst_harness_new_parse(kVideoConvert);
  HarnessOptions options;
  options.caps = nullptr;
  Harness sut(std::string("max-workers=2 stage=") + kVideoConvert, options);
  for (GstHarness* harness : {plain, sut.get()}) {
    gst_harness_set_sink_caps_str(
        harness, "video/x-raw,format={NV12,RGB},width=8,height=[4,16]");
    gst_harness_set_src_caps_str(harness, video_caps("I420").c_str());
  }
  for (const char* filter :
       {static_cast<const char*>(nullptr), "video/x-raw,format=RGB",
        "video/x-raw,height=[10,100]", "audio/x-raw"}) {
    const Asked expected = ask_caps(plain, filter);
    const Asked actual = ask_caps(sut.get(), filter);
    EXPECT_TRUE(gst_caps_is_equal(actual.at_sink.get(), expected.at_sink.get()))
        << text_of(actual.at_sink) << "\n"
        << text_of(expected.at_sink);
    EXPECT_TRUE(gst_caps_is_equal(actual.at_src.get(), expected.at_src.get()))
        << text_of(actual.at_src) << "\n"
        << text_of(expected.at_src);
  }
  gst_harness_teardown(plain);
}

TEST(Caps, AnythingGoesWhileThereAreNoCopies) {
  HarnessOptions options;
  options.caps = nullptr;
  Harness sut("stage=videoconvert", options);
  for (const GstState state : {GST_STATE_READY, GST_STATE_NULL}) {
    sut.set_state(state);
    Asked asked = ask_caps(sut.get(), nullptr);
    EXPECT_TRUE(gst_caps_is_any(asked.at_sink.get()));
    EXPECT_TRUE(gst_caps_is_any(asked.at_src.get()));
    asked = ask_caps(sut.get(), "video/x-raw,format=RGB");
    EXPECT_EQ(text_of(asked.at_sink), "video/x-raw, format=(string)RGB");
    EXPECT_EQ(text_of(asked.at_src), "video/x-raw, format=(string)RGB");
  }
}

TEST(Caps, AcceptCapsGoesThroughTheStage) {
  Harness sut("max-workers=2 stage=\"videoconvert ! video/x-raw,format=RGB\"",
              {.caps = nullptr});
  const auto accepts = [](GstPad* pad, const std::string& caps) {
    return gst_pad_peer_query_accept_caps(pad, caps_from(caps.c_str()).get()) !=
           FALSE;
  };
  EXPECT_TRUE(accepts(sut.get()->srcpad, video_caps("I420")));
  EXPECT_FALSE(accepts(sut.get()->srcpad, "application/x-test"));
  EXPECT_TRUE(accepts(sut.get()->sinkpad, video_caps("RGB")));
  EXPECT_FALSE(accepts(sut.get()->sinkpad, video_caps("I420")));
}

// Upstream chooses by what is behind the stage.
TEST(Caps, FixatesASourceByWhatTheStageAndDownstreamTake) {
  const std::string ends[2] = {
      "videotestsrc num-buffers=3 ! ",
      " ! video/x-raw,width=48,height=36,format=NV12 ! fakesink name=out"};
  EXPECT_EQ(
      frames_of(ends[0] + under_test("max-workers=2 stage=identity") + ends[1]),
      frames_of(ends[0] + "identity" + ends[1]));
}

// ---- Output caps -----------------------------------------------------------

constexpr char kBlur[] =
    "\"videoconvert ! gaussianblur ! videoconvert\" max-workers=2 ";

// The format that leaves for I420 in, with a downstream that likes NV12 more.
std::string format_out(const std::string& properties, HarnessOptions options) {
  options.caps = nullptr;
  Harness sut("stage=" + properties, options);
  gst_harness_set_caps_str(sut.get(), video_caps("I420").c_str(),
                           "video/x-raw,format=NV12;video/x-raw,format=I420");
  sut.push(picture(0, GST_VIDEO_FORMAT_I420));
  sut.pull();
  return format_at(sut.get()->sinkpad);
}

TEST(Caps, OutputIsPinnedToTheInputWhereAFrameMayGoPastTheStage) {
  EXPECT_EQ(format_out(kBlur, live()), "I420");
}

TEST(Caps, OutputIsNotPinnedElsewhere) {
  GstHarness* plain =
      gst_harness_new_parse("videoconvert ! gaussianblur ! videoconvert");
  gst_harness_set_caps_str(plain, video_caps("I420").c_str(),
                           "video/x-raw,format=NV12;video/x-raw,format=I420");
  gst_harness_push(plain, picture(0, GST_VIDEO_FORMAT_I420).release());
  gst_buffer_unref(gst_harness_pull(plain));
  const std::string expected = format_at(plain->sinkpad);
  gst_harness_teardown(plain);
  EXPECT_EQ(expected, "NV12");

  EXPECT_EQ(format_out(kBlur, {}), expected);
  for (const char* policy : {"wait", "repeat", "drop"})
    EXPECT_EQ(format_out(std::string(kBlur) + "late-policy=" + policy, live()),
              expected)
        << policy;
  EXPECT_EQ(format_out(std::string(kBlur) + "deadlines=never", live()),
            expected);
}

TEST(Caps, OutputIsNotPinnedToWhatDownstreamDoesNotTake) {
  HarnessOptions options = live();
  options.caps = nullptr;
  Harness sut(std::string("stage=") + kBlur, options);
  gst_harness_set_caps_str(sut.get(), video_caps("I420").c_str(),
                           "video/x-raw,format=RGB");
  sut.push(picture(0, GST_VIDEO_FORMAT_I420));
  sut.pull();
  EXPECT_EQ(format_at(sut.get()->sinkpad), "RGB");
}

// Downstream likes something else every time it is asked.
TEST(Caps, FirstOutputCapsBindAllCopies) {
  constexpr unsigned kWorkers = 3;
  Gate gate;
  Harness sut("max-workers=3 stage=\"gate ! videoconvert\"",
              {.gate = &gate, .is_apart = true, .caps = nullptr});
  std::atomic<unsigned> asked{0};
  gst_pad_add_probe(
      sut.get()->sinkpad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM,
      [](GstPad*, GstPadProbeInfo* info, gpointer user_data) {
        GstQuery* query = GST_PAD_PROBE_INFO_QUERY(info);
        if (GST_QUERY_TYPE(query) != GST_QUERY_CAPS) return GST_PAD_PROBE_OK;
        const bool is_odd =
            (*static_cast<std::atomic<unsigned>*>(user_data))++ % 2 == 1;
        const CapsPtr liked = caps_from(
            is_odd ? "video/x-raw,format=NV12;video/x-raw,format=GRAY8"
                   : "video/x-raw,format=GRAY8;video/x-raw,format=NV12");
        GstCaps* filter = nullptr;
        gst_query_parse_caps(query, &filter);
        const CapsPtr answer(filter != nullptr ? gst_caps_intersect_full(
                                                     liked.get(), filter,
                                                     GST_CAPS_INTERSECT_FIRST)
                                               : gst_caps_ref(liked.get()));
        gst_query_set_caps_result(query, answer.get());
        return GST_PAD_PROBE_HANDLED;
      },
      &asked, nullptr);
  const Recording recording(sut.get()->sinkpad);
  gst_harness_set_src_caps_str(sut.get(), video_caps("RGB").c_str());
  spread_over_copies(sut, gate, 0, kWorkers, GST_VIDEO_FORMAT_RGB);
  for (std::uint64_t i = 1 + kWorkers; i < 20; ++i)
    sut.push(picture(i, GST_VIDEO_FORMAT_RGB));
  sut.pull_numbers(20);

  EXPECT_GE(asked, 2U);
  EXPECT_EQ(count(recording.shape(), "caps"), 1U);
  const auto frames = recording.frames();
  for (const SeenFrame& frame : frames) {
    EXPECT_EQ(frame.caps, frames.front().caps);
    EXPECT_EQ(frame.size, frames.front().size);
  }
}

TEST(Caps, ReconfigureLetsAllCopiesChooseAgain) {
  constexpr unsigned kWorkers = 2;
  Gate gate;
  Harness sut("max-workers=2 stage=\"gate ! videoconvert\"",
              {.gate = &gate, .is_apart = true, .caps = nullptr});
  gst_harness_set_caps_str(sut.get(), video_caps("RGB").c_str(),
                           video_caps("I420").c_str());
  const Recording recording(sut.get()->sinkpad);
  spread_over_copies(sut, gate, 0, kWorkers, GST_VIDEO_FORMAT_RGB);
  EXPECT_EQ(format_at(sut.get()->sinkpad), "I420");

  // Sends RECONFIGURE.
  gst_harness_set_sink_caps_str(sut.get(), video_caps("GRAY8").c_str());
  spread_over_copies(sut, gate, 3, kWorkers, GST_VIDEO_FORMAT_RGB);

  EXPECT_EQ(format_at(sut.get()->sinkpad), "GRAY8");
  const auto frames = recording.frames();
  ASSERT_EQ(frames.size(), 6U);
  for (std::size_t i = 0; i < frames.size(); ++i)
    EXPECT_EQ(frames[i].size, i < 3 ? 8U * 8 * 3 / 2 : 8U * 8) << i;
}

TEST(Caps, EachFrameLeavesUnderTheCapsItCameWith) {
  constexpr std::uint64_t kFrames = 24;
  Gate gate;
  gate.hold_all();
  Harness sut(
      "max-workers=3 max-buffers=100 stage=\"gate ! videoflip "
      "method=horizontal-flip\"",
      {.gate = &gate, .is_apart = true, .caps = nullptr});
  const Recording recording(sut.get()->sinkpad);
  for (std::uint64_t i = 0; i < kFrames; ++i) {
    const int side = i % 4 < 2 ? 8 : 16;
    if (i % 2 == 0)
      gst_harness_set_src_caps_str(sut.get(),
                                   video_caps("GRAY8", side).c_str());
    sut.push(picture(i, GST_VIDEO_FORMAT_GRAY8, side));
  }
  // The other copies may wait in front of the gate: for the answer to the
  // ALLOCATION query with which newer videoflips follow their caps.
  gate.wait_until_holding(1);
  gate.open();
  sut.pull_numbers(kFrames);

  const auto frames = recording.frames();
  ASSERT_EQ(frames.size(), kFrames);
  for (std::uint64_t i = 0; i < kFrames; ++i) {
    const bool is_small = i % 4 < 2;
    EXPECT_EQ(frames[i].pts, i * kFrameDuration);
    EXPECT_EQ(frames[i].size, is_small ? 64U : 256U) << i;
    EXPECT_NE(frames[i].caps.find(is_small ? "width=(int)8," : "width=(int)16"),
              std::string::npos)
        << i << frames[i].caps;
  }
  EXPECT_EQ(count(recording.shape(), "caps"), kFrames / 2);
}

TEST(Caps, SameCapsAgainAreNoNews) {
  Harness sut("max-workers=2 stage=identity", {.caps = kVideoCaps});
  const Recording recording(sut.get()->sinkpad);
  for (std::uint64_t i = 0; i < 6; ++i) {
    gst_harness_set_src_caps_str(sut.get(), kVideoCaps);
    sut.push(i);
  }
  sut.pull_numbers(6);
  EXPECT_EQ(count(recording.shape(), "caps"), 1U);
}

// What the stage itself changes, in one copy.
TEST(Caps, WhatTheStageCannotTakeIsNotNegotiated) {
  Harness sut("max-workers=2 stage=\"video/x-raw,format=RGB\"",
              {.caps = nullptr});
  gst_harness_set_src_caps_str(sut.get(), video_caps("GRAY8").c_str());
  sut.push(picture(0, GST_VIDEO_FORMAT_GRAY8));
  sut.wait_for_stat("in-flight", 0);
  EXPECT_EQ(sut.push(picture(1, GST_VIDEO_FORMAT_GRAY8)),
            GST_FLOW_NOT_NEGOTIATED);
}

// ---- ALLOCATION ------------------------------------------------------------

struct Proposal {
  guint min = 0;
  guint max = 0;
  bool has_pool = true;
  bool has_video_meta = false;
  std::atomic<unsigned> asked{0};
};

PoolPtr new_pool(GstCaps* caps, guint size, guint min, guint max) {
  PoolPtr pool(gst_buffer_pool_new());
  GstStructure* config = gst_buffer_pool_get_config(pool.get());
  gst_buffer_pool_config_set_params(config, caps, size, min, max);
  gst_buffer_pool_set_config(pool.get(), config);
  return pool;
}

void propose(GstQuery* query, const Proposal& proposal) {
  GstCaps* caps = nullptr;
  gst_query_parse_allocation(query, &caps, nullptr);
  GstVideoInfo info;
  const guint size = gst_video_info_from_caps(&info, caps)
                         ? static_cast<guint>(GST_VIDEO_INFO_SIZE(&info))
                         : 64;
  const PoolPtr pool = new_pool(caps, size, proposal.min, proposal.max);
  gst_query_add_allocation_pool(query, proposal.has_pool ? pool.get() : nullptr,
                                size, proposal.min, proposal.max);
  if (proposal.has_video_meta)
    gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr);
}

// What downstream of the harness answers.
void propose_downstream(Harness& sut, Proposal& proposal) {
  gst_pad_add_probe(
      sut.get()->sinkpad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM,
      [](GstPad*, GstPadProbeInfo* info, gpointer user_data) {
        GstQuery* query = GST_PAD_PROBE_INFO_QUERY(info);
        if (GST_QUERY_TYPE(query) != GST_QUERY_ALLOCATION)
          return GST_PAD_PROBE_OK;
        auto& own = *static_cast<Proposal*>(user_data);
        ++own.asked;
        propose(query, own);
        return GST_PAD_PROBE_HANDLED;
      },
      &proposal, nullptr);
}

struct Answer {
  bool is_answered = false;
  bool has_pool = false;
  guint size = 0;
  guint min = 0;
  guint max = 0;
  bool has_video_meta = false;
};

Answer parse_answer(GstQuery* query) {
  Answer answer;
  answer.is_answered = true;
  answer.has_video_meta = gst_query_find_allocation_meta(
                              query, GST_VIDEO_META_API_TYPE, nullptr) != FALSE;
  if (gst_query_get_n_allocation_pools(query) == 0) return answer;
  GstBufferPool* pool = nullptr;
  gst_query_parse_nth_allocation_pool(query, 0, &pool, &answer.size,
                                      &answer.min, &answer.max);
  answer.has_pool = pool != nullptr;
  if (pool != nullptr) gst_object_unref(pool);
  return answer;
}

// What upstream of the harness gets.
Answer ask_allocation(Harness& sut, const char* caps) {
  const QueryPtr query(gst_query_new_allocation(caps_from(caps).get(), TRUE));
  if (!gst_pad_peer_query(sut.get()->srcpad, query.get())) return {};
  return parse_answer(query.get());
}

guint depth_of(Harness& sut) {
  const Stats stats = sut.stats();
  return static_cast<guint>(stats["max-buffers"] + stats["workers"]);
}

TEST(Allocation, UpstreamIsAnsweredThroughTheStage) {
  Harness sut("max-workers=2 max-buffers=5 stage=identity",
              {.caps = kVideoCaps});
  Proposal proposal{.min = 2, .has_video_meta = true};
  propose_downstream(sut, proposal);

  const Answer answer = ask_allocation(sut, kVideoCaps);

  EXPECT_TRUE(answer.is_answered);
  EXPECT_TRUE(answer.has_pool);
  EXPECT_TRUE(answer.has_video_meta);
  EXPECT_EQ(answer.size, 64U);
  EXPECT_EQ(answer.min, 2 + depth_of(sut));
  EXPECT_EQ(answer.max, 0U);
  EXPECT_EQ(proposal.asked, 1U);
}

TEST(Allocation, UpstreamIsAnsweredByAStageWithAnAnswerOfItsOwn) {
  Harness sut(
      "max-workers=2 max-buffers=5 "
      "stage=\"oddstage does=offer-pool min-buffers=3 video-meta=true\"",
      {.caps = kVideoCaps});
  const Answer answer = ask_allocation(sut, kVideoCaps);
  EXPECT_TRUE(answer.has_pool);
  EXPECT_EQ(answer.min, 3 + depth_of(sut));
  EXPECT_TRUE(answer.has_video_meta);
}

TEST(Allocation, APoolThatIsTooSmallForTheWindowIsTakenOut) {
  Harness sut("max-workers=2 max-buffers=5 stage=identity",
              {.caps = kVideoCaps});
  Proposal proposal{.min = 2};
  propose_downstream(sut, proposal);
  const guint enough = proposal.min + depth_of(sut);
  for (const guint max : {3U, enough - 1, enough}) {
    proposal.max = max;
    gst_harness_push_upstream_event(sut.get(), gst_event_new_reconfigure());
    sut.push(0);
    sut.pull();
    const Answer answer = ask_allocation(sut, kVideoCaps);
    // Processes get a pool of the element's own, in front.
    const bool is_offered = has_threads() && max >= enough;
    EXPECT_EQ(answer.has_pool, is_offered || !has_threads()) << max;
    EXPECT_EQ(answer.max, is_offered ? max : 0) << max;
    EXPECT_EQ(answer.min, enough) << max;
  }
}

// Downstream is not even asked before, though a copy has nothing to do.
TEST(Allocation, UpstreamIsAnsweredAfterTheEarlierFramesHaveLeft) {
  struct Seen {
    std::atomic<unsigned> left{0};
    std::atomic<unsigned> left_when_asked{0};
  } seen;
  Gate gate;
  gate.hold(1);
  Harness sut("max-workers=2 stage=gate",
              {.gate = &gate, .is_apart = true, .caps = kVideoCaps});
  gst_pad_add_probe(
      sut.get()->sinkpad,
      static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_BUFFER |
                                   GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM),
      [](GstPad*, GstPadProbeInfo* info, gpointer user_data) {
        auto& own = *static_cast<Seen*>(user_data);
        if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER) {
          ++own.left;
        } else if (GST_QUERY_TYPE(GST_PAD_PROBE_INFO_QUERY(info)) ==
                   GST_QUERY_ALLOCATION) {
          own.left_when_asked = own.left.load();
        }
        return GST_PAD_PROBE_OK;
      },
      &seen, nullptr);
  sut.push_range(0, 4);
  gate.wait_until_held(1);
  auto left_when_answered = std::async(std::launch::async, [&] {
    ask_allocation(sut, kVideoCaps);
    return seen.left.load();
  });
  // The other copy is done with its frames, and has time for a question.
  gate.wait_until_seen(4);
  for (int i = 0; i < 1000; ++i) sut.stats();
  gate.open();

  EXPECT_EQ(left_when_answered.get(), 4U);
  EXPECT_EQ(seen.left_when_asked, 4U);
}

struct MetaCase {
  const char* name;
  bool is_live;
  bool stage_takes_it;
  bool downstream_takes_it;
  bool is_offered;
};
void PrintTo(const MetaCase& meta, std::ostream* stream) {
  *stream << meta.name;
}

class VideoMeta : public testing::TestWithParam<MetaCase> {};

TEST_P(VideoMeta, IsOfferedWhereItCanBeKept) {
  const MetaCase& meta = GetParam();
  HarnessOptions options = meta.is_live ? live() : HarnessOptions();
  options.caps = kVideoCaps;
  Harness sut(std::string("max-workers=2 stage=\"oddstage does=offer-pool ") +
                  (meta.stage_takes_it ? "video-meta=true\"" : "\""),
              options);
  Proposal proposal{.has_video_meta = meta.downstream_takes_it};
  propose_downstream(sut, proposal);

  EXPECT_EQ(ask_allocation(sut, kVideoCaps).has_video_meta, meta.is_offered);
}

INSTANTIATE_TEST_SUITE_P(
    Allocation, VideoMeta,
    testing::Values(MetaCase{"LiveBothTakeIt", true, true, true, true},
                    MetaCase{"LiveOnlyTheStage", true, true, false, false},
                    MetaCase{"LiveOnlyDownstream", true, false, true, false},
                    MetaCase{"NotLiveOnlyTheStage", false, true, false, true},
                    MetaCase{"NotLiveOnlyDownstream", false, false, true,
                             false}),
    [](const auto& test) { return test.param.name; });

TEST(Allocation, PoolOfDownstreamGoesToOneCopy) {
  constexpr unsigned kWorkers = 3;
  Gate gate;
  Harness sut("max-workers=3 stage=\"oddstage does=ask-for-pool ! gate\"",
              {.gate = &gate, .is_apart = true, .caps = nullptr});
  Proposal proposal{.min = 2};
  propose_downstream(sut, proposal);
  gst_harness_set_src_caps_str(sut.get(), kVideoCaps);
  spread_over_copies(sut, gate, 0, kWorkers, GST_VIDEO_FORMAT_GRAY8);

  EXPECT_EQ(proposal.asked, 1U);
  unsigned pools = 0;
  for (unsigned i = 0; i < kWorkers; ++i) {
    const MessagePtr answer = sut.messages().wait_element("pool-answer");
    gboolean has_pool = FALSE;
    guint size = 0;
    gst_structure_get(gst_message_get_structure(answer.get()), "has-pool",
                      G_TYPE_BOOLEAN, &has_pool, "size", G_TYPE_UINT, &size,
                      nullptr);
    if (has_pool) ++pools;
    EXPECT_EQ(size, 64U);
  }
  // A process makes its own.
  EXPECT_EQ(pools, has_threads() ? 1 : kWorkers);
}

// Downstream has three buffers and gives none back.
TEST(Allocation, ASmallPoolDownstreamStopsNothing) {
  constexpr std::uint64_t kFrames = 40;
  Gate gate;
  Harness sut("max-workers=3 stage=\"gate ! videoconvert\"",
              {.gate = &gate, .is_apart = true, .caps = nullptr});
  Proposal proposal{.min = 3, .max = 3};
  propose_downstream(sut, proposal);
  gst_harness_set_caps_str(sut.get(), video_caps("RGB").c_str(),
                           video_caps("I420").c_str());
  spread_over_copies(sut, gate, 0, 3, GST_VIDEO_FORMAT_RGB);
  for (std::uint64_t i = 4; i < kFrames; ++i)
    EXPECT_EQ(sut.push(picture(i, GST_VIDEO_FORMAT_RGB)), GST_FLOW_OK);
  sut.wait_for_stat("applied", kFrames);
  EXPECT_GE(proposal.asked, 1U);
}

// ---- Layouts and bypass ----------------------------------------------------

// GRAY8 8x8 with rows of 16 bytes, as the meta says.
BufferPtr padded_picture(std::uint64_t number) {
  BufferPtr buffer = numbered_buffer(number, 128);
  gsize offset[GST_VIDEO_MAX_PLANES] = {0};
  gint stride[GST_VIDEO_MAX_PLANES] = {16};
  gst_buffer_add_video_meta_full(buffer.get(), GST_VIDEO_FRAME_FLAG_NONE,
                                 GST_VIDEO_FORMAT_GRAY8, 8, 8, 1, offset,
                                 stride);
  return buffer;
}

BufferPtr tight_picture(std::uint64_t number) {
  BufferPtr buffer = numbered_buffer(number, 64);
  gst_buffer_add_video_meta(buffer.get(), GST_VIDEO_FRAME_FLAG_NONE,
                            GST_VIDEO_FORMAT_GRAY8, 8, 8);
  return buffer;
}

// Frame 0 gets its result, `late` does not.
void push_one_in_time_and(BufferPtr late, Harness& sut, Gate& gate) {
  gate.hold(1);
  sut.push(0);
  sut.wait_for_stat("applied", 1);
  sut.push(std::move(late));
  gate.wait_until_held(1);
  sut.crank();
  sut.wait_for_stat("in-flight", 0);
}

TEST(Bypass, NeedsALayoutThatDownstreamTakes) {
  Gate gate;
  HarnessOptions options = live();
  options.gate = &gate;
  options.caps = kVideoCaps;
  Harness sut("max-workers=2 stage=gate latency-budget=20000000", options);
  Proposal proposal;
  propose_downstream(sut, proposal);
  ask_allocation(sut, kVideoCaps);

  push_one_in_time_and(padded_picture(1), sut, gate);

  EXPECT_EQ(sut.stats()["bypassed"], 0U);
  EXPECT_EQ(sut.stats()["repeated"] + sut.stats()["dropped"], 1U);
  EXPECT_TRUE(sut.messages().wait(GST_MESSAGE_WARNING));
  gate.open();
}

TEST(Bypass, TakesAnyLayoutThatDownstreamTakes) {
  Gate gate;
  HarnessOptions options = live();
  options.gate = &gate;
  options.caps = kVideoCaps;
  Harness sut("max-workers=2 stage=gate latency-budget=20000000", options);
  Proposal proposal{.has_video_meta = true};
  propose_downstream(sut, proposal);
  ask_allocation(sut, kVideoCaps);

  push_one_in_time_and(padded_picture(1), sut, gate);

  EXPECT_EQ(sut.stats()["bypassed"], 1U);
  gate.open();
}

// The answer is true also where the stage gave it alone.
TEST(Bypass, TakesTheLayoutThatWasOfferedUpstream) {
  Gate gate;
  HarnessOptions options = live();
  options.gate = &gate;
  options.caps = kVideoCaps;
  Harness sut(
      "max-workers=2 latency-budget=20000000 "
      "stage=\"oddstage does=offer-pool video-meta=true ! gate\"",
      options);
  Proposal proposal{.has_video_meta = true};
  propose_downstream(sut, proposal);
  ASSERT_TRUE(ask_allocation(sut, kVideoCaps).has_video_meta);

  push_one_in_time_and(padded_picture(1), sut, gate);

  EXPECT_EQ(sut.stats()["bypassed"], 1U);
  gate.open();
}

TEST(Bypass, TakesAPlainLayoutInAnyCase) {
  Gate gate;
  HarnessOptions options = live();
  options.gate = &gate;
  options.caps = kVideoCaps;
  Harness sut("max-workers=2 stage=gate latency-budget=20000000", options);

  push_one_in_time_and(tight_picture(1), sut, gate);

  EXPECT_EQ(sut.stats()["bypassed"], 1U);
  gate.open();
}

TEST(Bypass, IsNotPossibleWhereTheStageChangesTheCaps) {
  Gate gate;
  HarnessOptions options = live();
  options.gate = &gate;
  options.caps = kVideoCaps;
  Harness sut(
      "max-workers=2 latency-budget=20000000 "
      "stage=\"gate ! videoconvert ! video/x-raw,format=RGB\"",
      options);

  push_one_in_time_and(numbered_buffer(1), sut, gate);

  EXPECT_EQ(sut.stats()["bypassed"], 0U);
  EXPECT_EQ(sut.stats()["repeated"], 1U);
  EXPECT_TRUE(sut.messages().wait(GST_MESSAGE_WARNING));
  gate.open();
}

// ---- Fields ----------------------------------------------------------------

constexpr char kFieldCaps[] =
    "video/x-raw(format:Interlaced),format=GRAY8,width=8,height=16,"
    "interlace-mode=alternate,framerate=50/1";

BufferPtr field(std::uint64_t number, bool is_top) {
  BufferPtr buffer = numbered_buffer(number);
  GST_BUFFER_FLAG_SET(buffer.get(), is_top
                                        ? GST_VIDEO_BUFFER_FLAG_TOP_FIELD
                                        : GST_VIDEO_BUFFER_FLAG_BOTTOM_FIELD);
  return buffer;
}

TEST(Fields, OfOnePictureAreOneFrame) {
  Harness sut("max-workers=2 stage=identity", {.caps = kFieldCaps});
  const Recording recording(sut.get()->sinkpad);
  for (std::uint64_t i = 0; i < 8; ++i) sut.push(field(i, i % 2 == 0));
  EXPECT_EQ(sut.pull_numbers(8),
            (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  sut.wait_for_stat("frames-in", 4);
  EXPECT_EQ(recording.frames().size(), 8U);
}

TEST(Fields, LeaveAloneWhenTheOtherOneIsMissing) {
  Harness sut("max-workers=2 stage=identity", {.caps = kFieldCaps});
  sut.push(field(0, true));
  sut.push(field(1, true));
  sut.push(field(2, false));
  sut.push(field(3, true));
  sut.push_eos();
  EXPECT_EQ(sut.pull_numbers(4), (std::vector<std::uint64_t>{0, 1, 2, 3}));
  EXPECT_EQ(sut.stats()["frames-in"], 3U);
}

TEST(Fields, GoPastTheStageTogether) {
  Gate gate;
  gate.hold_all();
  HarnessOptions options = live();
  options.gate = &gate;
  options.caps = kFieldCaps;
  Harness sut("max-workers=2 stage=gate latency-budget=20000000", options);
  sut.push(field(0, true));
  sut.push(field(1, false));
  gate.wait_until_holding(1);
  sut.crank();
  EXPECT_EQ(sut.pull_numbers(2), (std::vector<std::uint64_t>{0, 1}));
  sut.wait_for_stat("bypassed", 1);
  gate.open();
}

TEST(Fields, LeaveWithTheBytesOfThePlainPipeline) {
  const std::string ends[2] = {
      "videotestsrc num-buffers=12 ! video/x-raw,format=I420,width=32,"
      "height=32,framerate=50/1 ! interlace field-pattern=1:1 ! "
      "video/x-raw(format:Interlaced),interlace-mode=alternate ! ",
      " ! fakesink name=out"};
  const auto plain = frames_of(ends[0] + "identity" + ends[1]);
  EXPECT_GT(plain.size(), 0U);
  EXPECT_EQ(
      frames_of(ends[0] + under_test("max-workers=3 stage=identity") + ends[1]),
      plain);
}

// ---- Buffers of unusual make -----------------------------------------------

// The same in four memories: parts of `whole`'s, or copies of them.
BufferPtr in_pieces(const BufferPtr& whole, bool is_copy) {
  const auto how = static_cast<GstBufferCopyFlags>(
      GST_BUFFER_COPY_MEMORY | (is_copy ? GST_BUFFER_COPY_DEEP : 0));
  BufferPtr buffer(gst_buffer_new());
  for (gsize at = 0; at < kFrameBytes; at += kFrameBytes / 4) {
    const BufferPtr piece(
        gst_buffer_copy_region(whole.get(), how, at, kFrameBytes / 4));
    gst_buffer_append_memory(buffer.get(),
                             gst_buffer_get_memory(piece.get(), 0));
  }
  gst_buffer_copy_into(buffer.get(), whole.get(), GST_BUFFER_COPY_TIMESTAMPS, 0,
                       -1);
  return buffer;
}

TEST(Buffers, OfSeveralMemoriesPassAsTheyAre) {
  Harness sut("max-workers=3 stage=identity", {.caps = kVideoCaps});
  for (std::uint64_t i = 0; i < 9; ++i)
    sut.push(in_pieces(sut.frame(i), /*is_copy=*/false));
  for (std::uint64_t i = 0; i < 9; ++i) {
    const BufferPtr buffer = sut.pull();
    EXPECT_EQ(number_of(buffer.get()), i);
    EXPECT_EQ(gst_buffer_n_memory(buffer.get()), 4U);
    EXPECT_TRUE(has_own_bytes(buffer.get()));
  }
}

// The stage writes in place while the original may be needed.
TEST(Buffers, OfSeveralMemoriesAreKeptForABypass) {
  Gate gate;
  HarnessOptions options = live();
  options.gate = &gate;
  options.caps = kVideoCaps;
  Harness sut(
      "max-workers=2 latency-budget=20000000 "
      "stage=\"teststage writes=true ! gate\"",
      options);
  // What the stage does to its frames is learned from the first ones.
  gate.hold(3);
  for (std::uint64_t i = 0; i < 4; ++i)
    sut.push(in_pieces(numbered_buffer(i), /*is_copy=*/true));
  gate.wait_until_held(3);
  for (std::uint64_t i = 0; i < 3; ++i) {
    const BufferPtr buffer = sut.pull();
    EXPECT_EQ(number_of(buffer.get()), i);
    EXPECT_FALSE(has_own_bytes(buffer.get()));
  }
  sut.crank();
  const BufferPtr original = sut.pull();
  EXPECT_EQ(number_of(original.get()), 3U);
  sut.wait_for_stat("bypassed", 1);
  EXPECT_TRUE(has_own_bytes(original.get()));
  gate.open();
}

BufferPtr timeless(std::uint64_t number) {
  BufferPtr buffer = numbered_buffer(number);
  GST_BUFFER_PTS(buffer.get()) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DURATION(buffer.get()) = GST_CLOCK_TIME_NONE;
  return buffer;
}

TEST(Buffers, WithoutTimestampsKeepTheirOrder) {
  Gate gate;
  gate.hold(0);
  Harness sut("max-workers=3 stage=gate", {.gate = &gate, .is_apart = true});
  for (std::uint64_t i = 0; i < 8; ++i) sut.push(timeless(i));
  gate.open();
  EXPECT_EQ(sut.pull_numbers(8),
            (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(Buffers, WithoutTimestampsAreWaitedForAlsoLive) {
  Gate gate;
  gate.hold(0);
  HarnessOptions options = live();
  options.gate = &gate;
  Harness sut("max-workers=2 stage=gate latency-budget=20000000", options);
  sut.push(timeless(0));
  gate.wait_until_held(0);
  sut.set_time(10 * GST_SECOND);
  gate.open();
  EXPECT_EQ(sut.pull_number(), 0U);
  sut.wait_for_stat("applied", 1);
}

// ---- Stages with state -----------------------------------------------------

TEST(PerStream, AudioIsThatOfThePlainPipelineWithOneWorker) {
  const std::string ends[2] = {
      "audiotestsrc num-buffers=20 wave=sine ! audio/x-raw,rate=48000 ! ",
      " ! fakesink name=out"};
  const std::string stage =
      "audioresample ! audio/x-raw,rate=44100 ! audioecho delay=50000000 "
      "intensity=0.5";
  const auto plain = frames_of(ends[0] + "identity ! " + stage + ends[1]);
  EXPECT_GE(plain.size(), 20U);
  EXPECT_EQ(
      frames_of(ends[0] + under_test("stage=\"" + stage + "\"") + ends[1]),
      plain);
}

TEST(PerStream, HasOneWorkerAndNoDueTimes) {
  Harness sut("stage=audioconvert", {.is_live = true, .caps = nullptr});
  EXPECT_EQ(sut.stats()["workers"], 1U);
  EXPECT_EQ(sut.stats()["deadlines-active"], 0U);
}

// What the encoder holds back comes at the end. (x264enc does not give the same
// twice with mb-tree.)
TEST(PerStream, EncodersAreDrainedAtTheEnd) {
  const std::string ends[2] = {
      "videotestsrc num-buffers=50 pattern=ball ! "
      "video/x-raw,format=I420,width=64,height=48,framerate=30/1 ! ",
      " ! fakesink name=out"};
  for (const std::string stage :
       {"x264enc threads=1 mb-tree=false rc-lookahead=20 bframes=2",
        "avenc_mpeg4 max-bframes=2",
        "x264enc threads=1 mb-tree=false ! h264parse"}) {
    const auto plain = frames_of(ends[0] + stage + ends[1]);
    ASSERT_EQ(plain.size(), 50U) << stage;
    EXPECT_EQ(
        frames_of(ends[0] + under_test("stage=\"" + stage + "\"") + ends[1]),
        plain)
        << stage;
  }
}

std::vector<std::string> transcript_of(Harness& sut) {
  const Transcript transcript(sut.get()->sinkpad);
  gst_harness_set_src_caps_str(sut.get(), kAnyCaps);
  sut.push(0);
  sut.push_event(gst_event_new_gap(kFrameDuration, kFrameDuration));
  sut.push(2);
  sut.push_event(gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM,
                                      gst_structure_new_empty("custom")));
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.base = 3 * kFrameDuration;
  sut.push_event(gst_event_new_segment(&segment));
  sut.push_event(
      gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "title", nullptr)));
  sut.push(3);
  sut.push_eos();
  transcript.wait_for("eos");
  // The start of the stream may have left before the transcript began.
  std::vector<std::string> lines = transcript.lines();
  std::erase(lines, "stream-start");
  return lines;
}

TEST(PerStream, EventsKeepTheirPlace) {
  Harness sut("stage=\"identity ! identity\" stage-state=per-stream",
              {.caps = nullptr});
  const std::vector<std::string> expected = {
      "caps",   "segment", "0",   "gap", "2",
      "custom", "segment", "tag", "3",   "eos"};
  EXPECT_EQ(transcript_of(sut), expected);
}

// Nothing is skipped, however late.
TEST(PerStream, FramesAreWaitedForAlsoLive) {
  Gate gate;
  gate.hold(0);
  HarnessOptions options = live();
  options.gate = &gate;
  Harness sut("stage=gate stage-state=per-stream latency-budget=20000000",
              options);
  auto pusher = sut.push_in_background(0, 3);
  gate.wait_until_held(0);
  sut.set_time(10 * GST_SECOND);
  gate.open();
  EXPECT_EQ(sut.pull_numbers(3), (std::vector<std::uint64_t>{0, 1, 2}));
  sut.wait_for_stat("applied", 3);
}

}  // namespace

}  // namespace dispatch::test
