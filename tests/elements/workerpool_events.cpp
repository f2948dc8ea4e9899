// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Events and serialized queries through workerpool: each in its place between
// the frames, once, and seen by every copy that works on what comes behind it.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

#include <gst/video/video.h>

#include "workerpool_harness.h"

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

TEST(WorkerpoolEvents, StayBetweenTheirFrames) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=identity max-workers=3 max-buffers=20", {.gate = &gate});
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

TEST(WorkerpoolEvents, AnEventWithoutFramesBehindItDoesNotWait) {
  Harness sut("stage=identity max-workers=2");
  sut.push(0);
  sut.push_event(custom("last"));
  sut.out().wait_for("last");
}

TEST(WorkerpoolEvents, TheSameCapsAgainAreNotNews) {
  Harness sut("stage=identity max-workers=2");
  sut.push(0);
  sut.push_event(caps(kAnyCaps));
  sut.push(1);
  sut.push_eos();
  sut.out().wait_for("eos");
  EXPECT_EQ(sut.out().lines(),
            (Lines{"stream-start", "caps", "segment", "0", "1", "eos"}));
}

TEST(WorkerpoolEvents, EveryCopySeesWhatBelongsToItsFrame) {
  constexpr int kFrames = 600;
  std::atomic<unsigned> wrong{0};
  std::atomic<unsigned> checked{0};
  Harness sut("stage=\"identity name=look\" max-workers=4",
              {.prepare = [&](GstElement* element) {
                on_every_frame(element, [](GstBuffer* buffer) {
                  if (number_of(buffer) % 7 == 0) std::this_thread::yield();
                });
                on_each_copy(element, [&](GstBin* copy) {
                  const PadPtr pad = pad_of(copy, "look", "sink");
                  using Look = std::function<void(GstPad*, std::uint64_t)>;
                  const Look look = [&](GstPad* its_pad, std::uint64_t number) {
                    const CapsPtr now(gst_pad_get_current_caps(its_pad));
                    int of_caps = -1;
                    gst_structure_get_int(gst_caps_get_structure(now.get(), 0),
                                          "value", &of_caps);
                    const EventPtr event(gst_pad_get_sticky_event(
                        its_pad, GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, 0));
                    int of_event = -1;
                    gst_structure_get_int(gst_event_get_structure(event.get()),
                                          "value", &of_event);
                    const int frame = static_cast<int>(number);
                    if (of_caps != frame / 20 || of_event != frame / 3) ++wrong;
                    ++checked;
                  };
                  gst_pad_add_probe(
                      pad.get(), GST_PAD_PROBE_TYPE_BUFFER,
                      [](GstPad* its_pad, GstPadProbeInfo* info, gpointer fn) {
                        (*static_cast<Look*>(fn))(
                            its_pad,
                            number_of(GST_PAD_PROBE_INFO_BUFFER(info)));
                        return GST_PAD_PROBE_OK;
                      },
                      new Look(look),
                      [](gpointer fn) { delete static_cast<Look*>(fn); });
                });
              }});
  auto pusher = std::async(std::launch::async, [&] {
    for (int i = 0; i < kFrames; ++i) {
      if (i % 20 == 0) sut.push_event(caps(caps_with(i / 20)));
      if (i % 3 == 0) sut.push_event(custom_sticky("step", i / 3));
      sut.push(static_cast<std::uint64_t>(i));
    }
  });
  for (int i = 0; i < kFrames; ++i) {
    const BufferPtr buffer = sut.pull();
    ASSERT_EQ(number_of(buffer.get()), static_cast<std::uint64_t>(i));
  }
  pusher.get();
  EXPECT_EQ(checked, static_cast<unsigned>(kFrames));
  EXPECT_EQ(wrong, 0U);
}

TEST(WorkerpoolEvents, APlainCustomEventReachesTheCopyOfTheNextFrameOnce) {
  std::unique_ptr<Transcript> inside;
  Harness sut("stage=\"identity name=look\" max-workers=1",
              {.prepare = [&](GstElement* element) {
                on_each_copy(element, [&](GstBin* copy) {
                  inside = std::make_unique<Transcript>(
                      pad_of(copy, "look", "sink").get());
                });
              }});
  sut.push(0);
  sut.push_event(custom("mark"));
  sut.push(1);
  sut.push(2);
  sut.push_eos();
  sut.out().wait_for("eos");
  EXPECT_EQ(inside->lines(),
            (Lines{"stream-start", "caps", "segment", "0", "mark", "1", "2"}));
  EXPECT_EQ(sut.out().lines(), (Lines{"stream-start", "caps", "segment", "0",
                                      "mark", "1", "2", "eos"}));
}

TEST(WorkerpoolEvents, TagsOfTheStageItselfLeaveOnce) {
  Harness sut(
      "stage=\"taginject tags=\\\"title=mine\\\" ! identity\" max-workers=3");
  sut.push_range(0, 9);
  sut.push_eos();
  sut.out().wait_for("eos");
  const Lines lines = sut.out().lines();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "tag"), 1);
}

TEST(WorkerpoolEvents, EosDrainsEverything) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=identity max-workers=2", {.gate = &gate});
  sut.push_range(0, 6);
  sut.push_eos();
  gate.wait_until_holding(2);
  EXPECT_EQ(sut.out().lines(), (Lines{"stream-start"}));
  gate.open();
  sut.out().wait_for("eos");
  EXPECT_EQ(sut.out().lines(), (Lines{"stream-start", "caps", "segment", "0",
                                      "1", "2", "3", "4", "5", "eos"}));
}

TEST(WorkerpoolEvents, EosWithoutAnyFramePasses) {
  Harness sut("stage=identity max-workers=2");
  sut.push_eos();
  sut.out().wait_for("eos");
  EXPECT_EQ(sut.out().lines(), (Lines{"stream-start", "segment", "eos"}));
}

TEST(WorkerpoolEvents, ANewStreamFollowsAnOldOne) {
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

TEST(WorkerpoolEvents, OutOfBandEventsOvertake) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=identity max-workers=1", {.gate = &gate});
  sut.push(0);
  gate.wait_until_held(0);
  sut.push_event(gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM_OOB,
                                      gst_structure_new_empty("urgent")));
  sut.out().wait_for("urgent");
  EXPECT_FALSE(sut.has_output());
}

TEST(WorkerpoolEvents, AForceKeyUnitEventGoesThroughTheStageInItsPlace) {
  std::unique_ptr<Transcript> inside;
  Harness sut("stage=\"identity name=look\" max-workers=1",
              {.prepare = [&](GstElement* element) {
                on_each_copy(element, [&](GstBin* copy) {
                  inside = std::make_unique<Transcript>(
                      pad_of(copy, "look", "sink").get());
                });
              }});
  sut.push(0);
  sut.push_event(gst_video_event_new_downstream_force_key_unit(
      0, 0, 0, /*all_headers=*/TRUE, 1));
  sut.push(1);
  sut.push_eos();
  sut.out().wait_for("eos");
  const Lines expected{"0", "GstForceKeyUnit", "1"};
  const Lines within = inside->lines();
  EXPECT_EQ(Lines(within.end() - 3, within.end()), expected);
  const Lines left = sut.out().lines();
  EXPECT_EQ(Lines(left.end() - 4, left.end() - 1), expected);
}

// ---- Upstream --------------------------------------------------------------

// How many events of `type` pass the stage, from behind.
struct UpstreamCounter {
  std::atomic<unsigned> count{0};
  GstEventType type;

  explicit UpstreamCounter(GstEventType its_type) : type(its_type) {}
  void attach(GstElement* workerpool) {
    on_each_copy(workerpool, [this](GstBin* copy) {
      gst_pad_add_probe(
          pad_of(copy, "look", "src").get(), GST_PAD_PROBE_TYPE_EVENT_UPSTREAM,
          [](GstPad*, GstPadProbeInfo* info, gpointer user_data) {
            auto* self = static_cast<UpstreamCounter*>(user_data);
            if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == self->type)
              ++self->count;
            return GST_PAD_PROBE_OK;
          },
          this, nullptr);
    });
  }
};

TEST(WorkerpoolEvents, QosGoesPastTheStageAndNeverIntoIt) {
  UpstreamCounter inside(GST_EVENT_QOS);
  Harness sut("stage=\"identity name=look\" max-workers=2",
              {.prepare = [&](GstElement* e) { inside.attach(e); }});
  sut.push(0);
  sut.pull();
  gst_harness_push_upstream_event(
      sut.get(),
      gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 2.0, 5 * GST_SECOND, 0));
  const EventPtr qos = sut.pull_upstream_event(GST_EVENT_QOS);
  EXPECT_EQ(inside.count, 0U);
  // Nor does it make the stage drop: identity would obey it, as a transform.
  sut.push(1);
  EXPECT_EQ(sut.pull_number(), 1U);
}

TEST(WorkerpoolEvents, AForceKeyUnitRequestReachesTheStageAndUpstream) {
  UpstreamCounter inside(GST_EVENT_CUSTOM_UPSTREAM);
  Harness sut("stage=\"identity name=look\" max-workers=2",
              {.prepare = [&](GstElement* e) { inside.attach(e); }});
  sut.push(0);
  sut.pull();
  gst_harness_push_upstream_event(sut.get(),
                                  gst_video_event_new_upstream_force_key_unit(
                                      GST_CLOCK_TIME_NONE, TRUE, 1));
  const EventPtr request = sut.pull_upstream_event(GST_EVENT_CUSTOM_UPSTREAM);
  EXPECT_TRUE(gst_video_event_is_force_key_unit(request.get()));
  EXPECT_EQ(inside.count, 1U);
}

TEST(WorkerpoolEvents, ReconfigureRenegotiatesWithoutFlapping) {
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

TEST(WorkerpoolEvents, ANeedlessReconfigureChangesNothing) {
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

TEST(WorkerpoolEvents, ADrainQueryIsAnsweredAfterTheEarlierFramesHaveLeft) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=identity max-workers=2", {.gate = &gate});
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

TEST(WorkerpoolEvents, AFlushEndsTheWaitForADrain) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=identity max-workers=1", {.gate = &gate});
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
