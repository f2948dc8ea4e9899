// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Events and serialized queries through an element: each in its place between
// the frames, once, and seen by every copy that works on what comes behind it.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>

#include <gst/video/video.h>

#include "element_harness.h"

namespace dispatch::test {
namespace {

using Lines = std::vector<std::string>;

GstEvent* custom(const char* name) {
  return gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM,
                              gst_structure_new_empty(name));
}

GstEvent* custom_sticky(const char* name, int value = 0) {
  return gst_event_new_custom(
      GST_EVENT_CUSTOM_DOWNSTREAM_STICKY,
      gst_structure_new(name, "value", G_TYPE_INT, value, nullptr));
}

GstEvent* title(const char* text) {
  return gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, text, nullptr));
}

GstEvent* segment(double rate = 1.0) {
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.rate = rate;
  return gst_event_new_segment(&segment);
}

GstEvent* caps(const std::string& text) {
  const CapsPtr caps(gst_caps_from_string(text.c_str()));
  return gst_event_new_caps(caps.get());
}

std::string caps_with(int value) {
  return std::string(kAnyCaps) + ",value=" + std::to_string(value);
}

// ---- Downstream ------------------------------------------------------------

TEST(Events, StayBetweenTheirFrames) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=3 max-buffers=20",
              {.gate = &gate, .is_apart = true});
  sut.push(0);
  sut.push_event(custom("plain"));
  sut.push(1);
  sut.push_event(custom_sticky("sticky"));
  sut.push(2);
  sut.push_event(title("song"));
  sut.push(3);
  sut.push_event(gst_event_new_gap(4 * kFrameDuration, kFrameDuration));
  sut.push(5);
  sut.push_event(segment());
  sut.push(6);
  sut.push_event(caps(caps_with(1)));
  sut.push_event(custom("after-caps"));
  sut.push(7);
  gate.wait_until_seen(8 - 1);
  sut.out().wait_for("stream-start");
  EXPECT_EQ(sut.out().lines(), (Lines{"stream-start"}))
      << "something passed a frame that is not done";
  gate.open();
  sut.push_eos();
  sut.out().wait_for("eos");
  EXPECT_EQ(sut.out().lines(),
            (Lines{"stream-start", "caps", "segment", "0", "plain", "1",
                   "sticky", "2", "tag", "3", "gap", "5", "segment", "6",
                   "caps", "after-caps", "7", "eos"}));
}

TEST(Events, AnEventWithoutFramesBehindItDoesNotWait) {
  Harness sut("stage=identity max-workers=2");
  sut.push(0);
  sut.push_event(custom("last"));
  sut.out().wait_for("last");
}

TEST(Events, TheSameCapsAgainAreNotNews) {
  Harness sut("stage=identity max-workers=2");
  sut.push(0);
  sut.push_event(caps(kAnyCaps));
  sut.push(1);
  sut.push_eos();
  sut.out().wait_for("eos");
  EXPECT_EQ(sut.out().lines(),
            (Lines{"stream-start", "caps", "segment", "0", "1", "eos"}));
}

TEST(Events, EveryCopySeesWhatBelongsToItsFrame) {
  constexpr int kFrames = 600;
  Harness sut(
      "stage=\"teststage burn=false stall=100000 stall-percent=15 ! spy\" "
      "max-workers=4");
  auto pusher = std::async(std::launch::async, [&] {
    for (int i = 0; i < kFrames; ++i) {
      if (i % 20 == 0) sut.push_event(caps(caps_with(i / 20)));
      if (i % 3 == 0) sut.push_event(custom_sticky("step", i / 3));
      sut.push(static_cast<std::uint64_t>(i));
    }
  });
  for (std::uint64_t i = 0; i < kFrames; ++i) ASSERT_EQ(sut.pull_number(), i);
  pusher.get();
  for (int checked = 0; checked < kFrames;) {
    const Spied spied = next_spied(sut.messages());
    if (!spied.is_frame) continue;
    const int frame = std::stoi(spied.what);
    const auto value = [](int number) {
      return "value=(int)" + std::to_string(number);
    };
    ASSERT_TRUE(spied.caps.ends_with(value(frame / 20))) << spied.caps;
    ASSERT_EQ(spied.sticky, "step, " + value(frame / 3) + ";");
    ++checked;
  }
}

TEST(Events, APlainCustomEventReachesTheCopyOfTheNextFrameOnce) {
  Harness sut("stage=spy max-workers=1");
  sut.push(0);
  sut.push_event(custom("mark"));
  sut.push(1);
  sut.push(2);
  sut.push_eos();
  sut.out().wait_for("eos");
  EXPECT_EQ(lines_of(spied_until(sut.messages(), "2")),
            (Lines{"stream-start", "caps", "segment", "0", "mark", "1", "2"}));
  EXPECT_EQ(sut.out().lines(), (Lines{"stream-start", "caps", "segment", "0",
                                      "mark", "1", "2", "eos"}));
}

TEST(Events, TagsOfTheStageItselfLeaveOnce) {
  Harness sut(
      "stage=\"taginject tags=\\\"title=mine\\\" ! identity\" max-workers=3");
  sut.push_range(0, 9);
  sut.push_eos();
  sut.out().wait_for("eos");
  const Lines lines = sut.out().lines();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "tag"), 1);
}

TEST(Events, EosDrainsEverything) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate max-workers=2", {.gate = &gate, .is_apart = true});
  sut.push_range(0, 6);
  sut.push_eos();
  gate.wait_until_holding(2);
  sut.out().wait_for("stream-start");
  EXPECT_EQ(sut.out().lines(), (Lines{"stream-start"}));
  gate.open();
  sut.out().wait_for("eos");
  EXPECT_EQ(sut.out().lines(), (Lines{"stream-start", "caps", "segment", "0",
                                      "1", "2", "3", "4", "5", "eos"}));
}

TEST(Events, EosWithoutAnyFramePasses) {
  Harness sut("stage=identity max-workers=2");
  sut.push_eos();
  sut.out().wait_for("eos");
  EXPECT_EQ(sut.out().lines(), (Lines{"stream-start", "segment", "eos"}));
}

TEST(Events, ANewStreamFollowsAnOldOne) {
  Harness sut("stage=identity max-workers=2");
  sut.push(0);
  sut.push_eos();
  sut.push_event(gst_event_new_stream_start("second"));
  sut.push_event(caps(kAnyCaps));
  sut.push_event(segment());
  sut.push(1);
  sut.push_eos();
  sut.out().wait_for("eos", 2);
  EXPECT_EQ(sut.out().lines(),
            (Lines{"stream-start", "caps", "segment", "0", "eos",
                   "stream-start", "segment", "1", "eos"}))
      << "the caps still hold";
}

TEST(Events, OutOfBandEventsOvertake) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=1", {.gate = &gate, .is_apart = true});
  sut.push(0);
  gate.wait_until_held(0);
  sut.push_event(gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM_OOB,
                                      gst_structure_new_empty("urgent")));
  sut.out().wait_for("urgent");
  EXPECT_FALSE(sut.has_output());
}

TEST(Events, AForceKeyUnitEventGoesThroughTheStageInItsPlace) {
  Harness sut("stage=spy max-workers=1");
  sut.push(0);
  sut.push_event(gst_video_event_new_downstream_force_key_unit(
      0, 0, 0, /*all_headers=*/TRUE, 1));
  sut.push(1);
  sut.push_eos();
  sut.out().wait_for("eos");
  const Lines expected{"0", "GstForceKeyUnit", "1"};
  const Lines within = lines_of(spied_until(sut.messages(), "1"));
  EXPECT_EQ(Lines(within.end() - 3, within.end()), expected);
  const Lines left = sut.out().lines();
  EXPECT_EQ(Lines(left.end() - 4, left.end() - 1), expected);
}

// ---- Upstream --------------------------------------------------------------

// Nor does it make the stage drop: the spy would obey it, as a filter.
TEST(Events, QosGoesPastTheStageAndNeverIntoIt) {
  Harness sut("stage=spy max-workers=1");
  sut.push(0);
  sut.pull();
  gst_harness_push_upstream_event(
      sut.get(),
      gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, 5 * GST_SECOND, 0));
  const EventPtr qos = sut.pull_upstream_event(GST_EVENT_QOS);
  sut.push(1);
  EXPECT_EQ(sut.pull_number(), 1U);
  const Lines inside = lines_of(spied_until(sut.messages(), "1"));
  EXPECT_EQ(std::count(inside.begin(), inside.end(), "qos"), 0);
}

TEST(Events, AForceKeyUnitRequestReachesTheStageAndUpstream) {
  Harness sut("stage=spy max-workers=2");
  sut.push(0);
  sut.pull();
  gst_harness_push_upstream_event(sut.get(),
                                  gst_video_event_new_upstream_force_key_unit(
                                      GST_CLOCK_TIME_NONE, TRUE, 1));
  const EventPtr request = sut.pull_upstream_event(GST_EVENT_CUSTOM_UPSTREAM);
  EXPECT_TRUE(gst_video_event_is_force_key_unit(request.get()));
  sut.push(1);
  sut.pull();
  const std::vector<Spied> inside = spied_until(sut.messages(), "1");
  EXPECT_EQ(std::ranges::count_if(inside,
                                  [](const Spied& spied) {
                                    return spied.is_upstream &&
                                           spied.what == "GstForceKeyUnit";
                                  }),
            1);
}

TEST(Events, ReconfigureRenegotiatesWithoutFlapping) {
  Harness sut("stage=videoconvert max-workers=3", {.caps = kVideoCaps});
  gst_harness_set_sink_caps_str(sut.get(), "video/x-raw,format=GRAY8");
  sut.push_range(0, 9);
  sut.pull_numbers(9);
  // Sends RECONFIGURE.
  gst_harness_set_sink_caps_str(sut.get(), "video/x-raw,format=RGBA");
  auto pusher = sut.push_in_background(9, 60);
  for (std::uint64_t i = 9; i < 60; ++i) {
    const BufferPtr buffer = sut.pull();
    ASSERT_EQ(number_of(buffer.get()), i);
    ASSERT_EQ(gst_buffer_get_size(buffer.get()), 8U * 8 * 4) << i;
  }
  EXPECT_EQ(pusher.get(), GST_FLOW_OK);
  const Lines lines = sut.out().lines();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "caps"), 2);
}

TEST(Events, ANeedlessReconfigureChangesNothing) {
  Harness sut("stage=videoconvert max-workers=3", {.caps = kVideoCaps});
  for (std::uint64_t i = 0; i < 30; ++i) {
    if (i % 5 == 4)
      gst_harness_push_upstream_event(sut.get(), gst_event_new_reconfigure());
    sut.push(i);
  }
  sut.push_eos();
  sut.out().wait_for("eos");
  const Lines lines = sut.out().lines();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "caps"), 1);
  EXPECT_EQ(lines.size(), 30U + 4);
}

// ---- Serialized queries ----------------------------------------------------

TEST(Events, ADrainQueryIsAnsweredAfterTheEarlierFramesHaveLeft) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate max-workers=2", {.gate = &gate, .is_apart = true});
  std::atomic<int> left_before{-1};
  struct Facts {
    GstHarness* harness;
    std::atomic<int>* left_before;
  } facts{sut.get(), &left_before};
  gst_pad_add_probe(
      sut.get()->sinkpad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM,
      [](GstPad*, GstPadProbeInfo* info, gpointer user_data) {
        if (GST_QUERY_TYPE(GST_PAD_PROBE_INFO_QUERY(info)) != GST_QUERY_DRAIN)
          return GST_PAD_PROBE_OK;
        auto* its = static_cast<Facts*>(user_data);
        *its->left_before =
            static_cast<int>(gst_harness_buffers_received(its->harness));
        return GST_PAD_PROBE_HANDLED;  // answered
      },
      &facts, nullptr);
  sut.push_range(0, 4);
  gate.wait_until_holding(2);
  auto answer = std::async(std::launch::async, [&] {
    const QueryPtr query(gst_query_new_drain());
    return gst_pad_peer_query(sut.get()->srcpad, query.get()) != FALSE;
  });
  EXPECT_EQ(left_before, -1);
  gate.open();
  EXPECT_TRUE(answer.get());
  EXPECT_EQ(left_before, 4);
}

TEST(Events, AFlushEndsTheWaitForADrain) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate max-workers=1", {.gate = &gate, .is_apart = true});
  std::promise<void> asked;
  gst_pad_add_probe(
      sut.get()->srcpad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM,
      [](GstPad*, GstPadProbeInfo* info, gpointer user_data) {
        if (GST_QUERY_TYPE(GST_PAD_PROBE_INFO_QUERY(info)) == GST_QUERY_DRAIN)
          static_cast<std::promise<void>*>(user_data)->set_value();
        return GST_PAD_PROBE_REMOVE;
      },
      &asked, nullptr);
  sut.push(0);
  gate.wait_until_held(0);
  auto answer = std::async(std::launch::async, [&] {
    const QueryPtr query(gst_query_new_drain());
    return gst_pad_peer_query(sut.get()->srcpad, query.get()) != FALSE;
  });
  asked.get_future().wait();
  sut.push_event(gst_event_new_flush_start());
  EXPECT_FALSE(answer.get());
  sut.push_event(gst_event_new_flush_stop(TRUE));
}

}  // namespace
}  // namespace dispatch::test
