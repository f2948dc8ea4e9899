// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Buffers through an element where nothing is live: in order, by reference,
// none lost, within the window, and all of them accounted for.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>

#include "element_harness.h"

namespace dispatch::test {
namespace {

std::vector<std::uint64_t> numbers(std::uint64_t first, std::uint64_t last) {
  std::vector<std::uint64_t> all(last - first);
  std::iota(all.begin(), all.end(), first);
  return all;
}

// A stage whose cost is different for every frame.
constexpr char kUneven[] =
    "stage=\"teststage burn=false stall=300000 stall-percent=3 ! "
    "teststage burn=false stall=1000 stall-percent=30 seed=2\" ";

// Each buffer that passes `pad` (transfer none) is refused with `flow`, until
// the probe that is returned is removed.
gulong refuse_with(GstPad* pad, GstFlowReturn flow) {
  return gst_pad_add_probe(
      pad, GST_PAD_PROBE_TYPE_BUFFER,
      [](GstPad*, GstPadProbeInfo* info, gpointer its_flow) {
        gst_buffer_unref(GST_PAD_PROBE_INFO_BUFFER(info));
        GST_PAD_PROBE_INFO_FLOW_RETURN(info) =
            static_cast<GstFlowReturn>(GPOINTER_TO_INT(its_flow));
        return GST_PAD_PROBE_HANDLED;
      },
      GINT_TO_POINTER(flow), nullptr);
}

// What comes back from pushing the frame that downstream refuses with `flow`:
// where another thread pushes it, the next one brings it back.
GstFlowReturn flow_of_refused(GstFlowReturn flow) {
  return chooses_levels() ? flow : GST_FLOW_OK;
}

// ---- Order and references --------------------------------------------------

TEST(Flow, TenThousandFramesUnderRandomDelaysStayInOrder) {
  constexpr std::uint64_t kFrames = 10000;
  Harness sut(std::string(kUneven) + "max-workers=4");
  std::vector<std::atomic<const GstMemory*>> pushed(kFrames);
  auto pusher = std::async(std::launch::async, [&] {
    for (std::uint64_t i = 0; i < kFrames; ++i) {
      BufferPtr buffer = sut.frame(i);
      pushed[i] = memory_of(buffer.get());
      if (sut.push(std::move(buffer)) != GST_FLOW_OK) return false;
    }
    return true;
  });
  for (std::uint64_t i = 0; i < kFrames; ++i) {
    const BufferPtr out = sut.pull();
    ASSERT_EQ(number_of(out.get()), i);
    ASSERT_EQ(memory_of(out.get()), pushed[i])
        << "frame " << i << " was copied";
    ASSERT_TRUE(has_own_bytes(out.get())) << "frame " << i;
    ASSERT_EQ(GST_BUFFER_PTS(out.get()), i * kFrameDuration);
  }
  EXPECT_TRUE(pusher.get());
  sut.wait_for_stat("applied", kFrames);
  EXPECT_EQ(sut.stats()["copies"], 0U);
}

TEST(Flow, EveryWorkerTakesFrames) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate max-workers=3", {.gate = &gate, .is_apart = true});
  ASSERT_EQ(sut.push_range(0, 3), GST_FLOW_OK);
  gate.wait_until_holding(3);
  EXPECT_EQ(sut.stats()["workers"], 3U);
  EXPECT_FALSE(sut.has_output());
}

TEST(Flow, AnIdleWorkerStartsTheOldestFrame) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate max-workers=2 max-buffers=8",
              {.gate = &gate, .is_apart = true});
  ASSERT_EQ(sut.push_range(0, 6), GST_FLOW_OK);
  gate.wait_until_holding(2);
  gate.release(1);  // its worker goes on, 0 stays where it is
  gate.wait_until_held(2);
  gate.release(2);
  gate.wait_until_held(3);
  EXPECT_FALSE(sut.has_output());
  gate.open();
  EXPECT_EQ(sut.pull_numbers(6), numbers(0, 6));
}

TEST(Flow, AResultWaitsForEarlierFrames) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=2", {.gate = &gate, .is_apart = true});
  ASSERT_EQ(sut.push_range(0, 5), GST_FLOW_OK);
  gate.wait_until_seen(5);  // the other worker is past 1 to 3 at least
  EXPECT_FALSE(sut.has_output());
  EXPECT_EQ(sut.stats()["in-flight"], 5U);
  gate.open();
  EXPECT_EQ(sut.pull_numbers(5), numbers(0, 5));
}

TEST(Flow, ABufferListPassesByReferenceAsOneFrame) {
  using Memories = std::vector<const GstMemory*>;
  // identity would take it apart.
  Harness sut("stage=\"clocksync sync=false\" max-workers=2");
  Memories arrived;
  gst_pad_add_probe(
      sut.get()->sinkpad, GST_PAD_PROBE_TYPE_BUFFER_LIST,
      [](GstPad*, GstPadProbeInfo* info, gpointer memories) {
        GstBufferList* list = GST_PAD_PROBE_INFO_BUFFER_LIST(info);
        for (guint i = 0; i < gst_buffer_list_length(list); ++i)
          static_cast<Memories*>(memories)->push_back(
              memory_of(gst_buffer_list_get(list, i)));
        return GST_PAD_PROBE_OK;
      },
      &arrived, nullptr);
  GstBufferList* list = gst_buffer_list_new();
  Memories pushed;
  for (std::uint64_t i = 0; i < 3; ++i) {
    BufferPtr buffer = sut.frame(i);
    pushed.push_back(memory_of(buffer.get()));
    gst_buffer_list_add(list, buffer.release());
  }
  ASSERT_EQ(gst_pad_push_list(sut.get()->srcpad, list), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_numbers(3), numbers(0, 3));
  sut.wait_for_stat("applied", 1);
  EXPECT_EQ(arrived, pushed);
  EXPECT_EQ(sut.stats()["frames-in"], 1U);
  EXPECT_EQ(sut.stats()["copies"], 0U);
}

TEST(Flow, AnEmptyBufferListIsNoFrame) {
  Harness sut("stage=identity max-workers=2");
  ASSERT_EQ(gst_pad_push_list(sut.get()->srcpad, gst_buffer_list_new()),
            GST_FLOW_OK);
  ASSERT_EQ(sut.push(1), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_number(), 1U);
  EXPECT_EQ(sut.stats()["frames-in"], 1U);
}

TEST(Flow, NoReferenceIsKept) {
  Harness sut("stage=identity max-workers=2");
  const BufferPtr kept = numbered_buffer(0);
  sut.push(stage::share(kept.get()));
  sut.pull();
  sut.wait_for_stat("applied", 1);
  // The worker drops what it had after it told of the end.
  sut.push(1);
  sut.push(2);
  sut.pull_numbers(2);
  sut.set_state(GST_STATE_READY);
  EXPECT_EQ(GST_MINI_OBJECT_REFCOUNT_VALUE(kept.get()), 1);
}

// ---- How many buffers a frame gives ----------------------------------------

TEST(Flow, AFrameMayGiveNoneOrSeveralBuffers) {
  constexpr std::uint64_t kFrames = 300;
  Harness sut("stage=\"oddstage does=give-0-1-2\" max-workers=3");
  auto pusher = sut.push_in_background(0, kFrames);
  std::vector<std::uint64_t> expected;
  for (std::uint64_t i = 0; i < kFrames; ++i)
    expected.insert(expected.end(), i % 3, i);
  EXPECT_EQ(sut.pull_numbers(expected.size()), expected);
  EXPECT_EQ(pusher.get(), GST_FLOW_OK);
  // One that gives nothing has had the full stage all the same.
  sut.wait_for_stat("applied", kFrames);
  EXPECT_EQ(sut.stats()["dropped"], 0U);
}

// ---- The window ------------------------------------------------------------

// Pushes in the background, and says how many pushes have begun.
struct CountedPusher {
  explicit CountedPusher(Harness& sut, std::uint64_t count) {
    result = std::async(std::launch::async, [&sut, count, this] {
      for (std::uint64_t i = 0; i < count; ++i) {
        ++begun;
        begun.notify_all();
        if (const GstFlowReturn flow = sut.push(i); flow != GST_FLOW_OK)
          return flow;
      }
      return GST_FLOW_OK;
    });
  }
  void wait_until_begun(std::uint64_t count) {
    for (std::uint64_t now = begun; now < count; now = begun) begun.wait(now);
  }
  std::atomic<std::uint64_t> begun{0};
  std::future<GstFlowReturn> result;
};

TEST(Flow, MaxBuffersBoundsWhatIsInFlight) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate max-workers=2 max-buffers=5",
              {.gate = &gate, .is_apart = true});
  CountedPusher pusher(sut, 12);
  pusher.wait_until_begun(6);  // the sixth has to wait
  gate.wait_until_holding(2);
  EXPECT_EQ(sut.stats()["frames-in"], 5U);
  EXPECT_EQ(sut.stats()["in-flight"], 5U);
  gate.release(0);
  EXPECT_EQ(sut.pull_number(), 0U);
  pusher.wait_until_begun(7);  // one left: one more came
  EXPECT_LE(sut.stats()["in-flight"], 6U) << "five, and one that is leaving";
  gate.open();
  EXPECT_EQ(sut.pull_numbers(11), numbers(1, 12));
  EXPECT_EQ(pusher.result.get(), GST_FLOW_OK);
}

TEST(Flow, MaxBytesBoundsWhatIsInFlight) {
  ONLY_THREADS("with processes it bounds shared memory, in whole pages");
  Gate gate;
  gate.hold_all();
  // Frames of 64 bytes.
  Harness sut("stage=gate max-workers=8 max-bytes=200",
              {.gate = &gate, .is_apart = true});
  CountedPusher pusher(sut, 8);
  pusher.wait_until_begun(4);
  gate.wait_until_holding(3);
  EXPECT_EQ(sut.stats()["in-flight"], 3U);
  gate.open();
  EXPECT_EQ(sut.pull_numbers(8), numbers(0, 8));
  EXPECT_EQ(pusher.result.get(), GST_FLOW_OK);
}

TEST(Flow, AFrameLargerThanMaxBytesPassesAlone) {
  ONLY_THREADS("with processes it is a bound that nothing may pass");
  Harness sut("stage=identity max-workers=2 max-bytes=10");
  auto pusher = sut.push_in_background(0, 20);
  EXPECT_EQ(sut.pull_numbers(20), numbers(0, 20));
  EXPECT_EQ(pusher.get(), GST_FLOW_OK);
}

TEST(Flow, ALargerWindowLetsAWaitingFrameIn) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate max-workers=1 max-buffers=1",
              {.gate = &gate, .is_apart = true});
  CountedPusher pusher(sut, 3);
  pusher.wait_until_begun(2);
  g_object_set(sut.element(), "max-buffers", 3U, nullptr);
  EXPECT_EQ(pusher.result.get(), GST_FLOW_OK);
  EXPECT_EQ(sut.stats()["in-flight"], 3U);
  gate.open();
  EXPECT_EQ(sut.pull_numbers(3), numbers(0, 3));
}

TEST(Flow, NothingIsLostBehindASlowSink) {
  constexpr std::uint64_t kFrames = 60;
  Gate sink;
  Harness sut("stage=identity max-workers=2 max-buffers=4", {.is_apart = true});
  sink.attach_to_pad(sut.get()->sinkpad);
  sink.hold_all();
  CountedPusher pusher(sut, kFrames);
  sink.wait_until_held(0);
  pusher.wait_until_begun(6);  // four in the window, one at the sink
  EXPECT_LE(sut.stats()["in-flight"], 5U);
  for (std::uint64_t i = 0; i < kFrames; ++i) {
    sink.wait_until_held(i);
    sink.release(i);
    EXPECT_EQ(sut.pull_number(), i);
  }
  EXPECT_EQ(pusher.result.get(), GST_FLOW_OK);
  sut.wait_for_stat("applied", kFrames);
}

// ---- The account -----------------------------------------------------------

TEST(Flow, StatsReconcileAtAnyMoment) {
  Harness sut(std::string(kUneven) + "max-workers=4");
  std::atomic<bool> is_done{false};
  auto reader = std::async(std::launch::async, [&] {
    std::uint64_t last = 0;
    while (!is_done) {
      const Stats now = sut.stats();
      if (!now.reconciles() || now["frames-in"] < last) return false;
      last = now["frames-in"];
    }
    return true;
  });
  auto pusher = sut.push_in_background(0, 3000);
  sut.pull_numbers(3000);
  EXPECT_EQ(pusher.get(), GST_FLOW_OK);
  is_done = true;
  EXPECT_TRUE(reader.get());
}

TEST(Flow, TimesInStatsAreThoseOfTheFrames) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=2", {.gate = &gate, .is_apart = true});
  ASSERT_EQ(sut.push_range(0, 2), GST_FLOW_OK);
  gate.wait_until_held(0);
  gate.wait_until_seen(2);
  EXPECT_EQ(sut.stats()["service-time"], 0U) << "nothing was applied yet";
  constexpr auto kHeld = std::chrono::milliseconds(5);
  const auto since = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - since < kHeld)
    std::this_thread::yield();
  gate.open();
  sut.pull_numbers(2);
  sut.wait_for_stat("applied", 2);
  constexpr std::uint64_t kHeldNs = std::chrono::nanoseconds(kHeld).count();
  EXPECT_GE(sut.stats()["service-time"], kHeldNs) << "of frame 0";
  EXPECT_GT(sut.stats()["reorder-time"], 0U) << "frame 1 waited for frame 0";
}

TEST(Flow, AFlushIsTheCauseOfWhatItDiscards) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate max-workers=2", {.gate = &gate, .is_apart = true});
  ASSERT_EQ(sut.push_range(0, 4), GST_FLOW_OK);
  gate.wait_until_holding(2);
  sut.flush();
  EXPECT_EQ(sut.stats()["dropped"], 4U);
  EXPECT_EQ(sut.stats()["causes.flush"], 4U);
  EXPECT_TRUE(sut.stats().reconciles());
  gate.open();
  sut.push_range(4, 6);
  EXPECT_EQ(sut.pull_numbers(2), (std::vector<std::uint64_t>{4, 5}));
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_ERROR), 0U);
}

TEST(Flow, AStageErrorIsTheCauseAndTheFlow) {
  Harness sut("stage=\"identity error-after=1\" max-workers=1");
  ASSERT_EQ(sut.push(0), flow_of_refused(GST_FLOW_ERROR));
  sut.wait_for_stat("causes.stage-error", 1);
  EXPECT_EQ(sut.push(1), GST_FLOW_ERROR);
  EXPECT_EQ(sut.stats()["dropped"], 1U);
  EXPECT_TRUE(sut.stats().reconciles());
}

TEST(Flow, StatsBeginAnewWithEachStart) {
  Harness sut("stage=identity max-workers=2");
  sut.push(0);
  sut.pull();
  sut.set_state(GST_STATE_READY);
  sut.set_state(GST_STATE_PLAYING);
  EXPECT_EQ(sut.stats()["frames-in"], 0U);
}

// ---- What downstream returns -----------------------------------------------

class DownstreamFlow : public testing::TestWithParam<GstFlowReturn> {};

TEST_P(DownstreamFlow, ComesBackFromALaterChainCall) {
  Harness sut("stage=identity max-workers=2 max-buffers=2");
  refuse_with(sut.get()->sinkpad, GetParam());
  ASSERT_EQ(sut.push(0), flow_of_refused(GetParam()));
  sut.wait_for_stat("applied", 1);
  EXPECT_EQ(sut.push(1), GetParam());
  EXPECT_EQ(sut.push(2), GetParam());
  EXPECT_EQ(sut.stats()["frames-in"], 1U);
}

TEST_P(DownstreamFlow, EndsAWaitForRoom) {
  Gate sink;
  sink.hold(0);
  Harness sut("stage=identity max-workers=1 max-buffers=1", {.is_apart = true});
  sink.attach_to_pad(sut.get()->sinkpad);
  refuse_with(sut.get()->sinkpad, GetParam());
  CountedPusher pusher(sut, 10);
  sink.wait_until_held(0);
  pusher.wait_until_begun(3);
  sink.open();
  EXPECT_EQ(pusher.result.get(), GetParam());
  // What was under way when it came.
  sut.wait_for_stat("in-flight", 0);
  const Stats stats = sut.stats();
  EXPECT_EQ(stats["causes.downstream"], stats["frames-in"] - 1);
  EXPECT_TRUE(stats.reconciles());
}

TEST_P(DownstreamFlow, IsForgottenAfterAFlush) {
  Harness sut("stage=identity max-workers=2");
  const gulong probe = refuse_with(sut.get()->sinkpad, GetParam());
  ASSERT_EQ(sut.push(0), flow_of_refused(GetParam()));
  sut.wait_for_stat("applied", 1);
  gst_pad_remove_probe(sut.get()->sinkpad, probe);
  sut.flush();
  EXPECT_EQ(sut.push(1), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_number(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Flows, DownstreamFlow,
                         testing::Values(GST_FLOW_EOS, GST_FLOW_NOT_LINKED,
                                         GST_FLOW_NOT_NEGOTIATED,
                                         GST_FLOW_ERROR),
                         [](const auto& flow) {
                           std::string name = gst_flow_get_name(flow.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Flow, EosAfterAFatalFlowIsAnError) {
  Harness sut("stage=identity max-workers=2");
  refuse_with(sut.get()->sinkpad, GST_FLOW_NOT_LINKED);
  ASSERT_EQ(sut.push(0), flow_of_refused(GST_FLOW_NOT_LINKED));
  sut.wait_for_stat("applied", 1);
  sut.push_eos();
  const MessagePtr error = sut.messages().wait(GST_MESSAGE_ERROR);
  EXPECT_NE(Messages::text(error.get()).find("not-linked"), std::string::npos);
}

TEST(Flow, ANewSegmentGoesOnAfterDownstreamsEos) {
  Harness sut("stage=identity max-workers=2");
  const gulong probe = refuse_with(sut.get()->sinkpad, GST_FLOW_EOS);
  sut.push(0);
  sut.wait_for_stat("applied", 1);
  ASSERT_EQ(sut.push(1), GST_FLOW_EOS);
  gst_pad_remove_probe(sut.get()->sinkpad, probe);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  sut.push_event(gst_event_new_segment(&segment));
  EXPECT_EQ(sut.push(2), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_number(), 2U);
}

}  // namespace
}  // namespace dispatch::test
