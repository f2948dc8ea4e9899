// SPDX-License-Identifier: LGPL-2.1-or-later
//
// workerpool under storms: everything at once, many times, in no chosen order.
// What must hold is that nothing hangs, crashes, comes out of order or is lost
// from the account. Bounded in rounds; some seconds each.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "workerpool_harness.h"

namespace dispatch::test {
namespace {

// Each thread its own sequence, the same in every run.
class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  unsigned below(unsigned end) {
    return static_cast<unsigned>(engine_() % end);
  }
  // Lets others run for a moment that is different each time.
  void dawdle() {
    for (unsigned i = below(30); i > 0; --i) std::this_thread::yield();
  }

 private:
  std::minstd_rand engine_;
};

// A stage that takes its time now and then.
void take_a_while(GstElement* workerpool) {
  on_every_frame(workerpool, [](GstBuffer* buffer) {
    const std::uint64_t number = number_of(buffer);
    if (number % 5 == 0) std::this_thread::yield();
    if (number % 41 == 0)
      std::this_thread::sleep_for(std::chrono::microseconds(300));
  });
}

// Pushes until the flow is not OK, and returns it.
GstFlowReturn push_until_stopped(Harness& sut) {
  GstFlowReturn flow = GST_FLOW_OK;
  for (std::uint64_t i = 0; flow == GST_FLOW_OK; ++i) flow = sut.push(i);
  return flow;
}

struct Stage {
  const char* name;
  const char* properties;
};

class WorkerpoolStorm : public testing::TestWithParam<Stage> {};

TEST_P(WorkerpoolStorm, OfStatesAgainstAPusher) {
  Harness sut(GetParam().properties,
              {.prepare = take_a_while, .caps = nullptr});
  Random random(1);
  for (int round = 0; round < 1500; ++round) {
    sut.set_state(GST_STATE_PLAYING);
    auto pusher = std::async(std::launch::async, [&] {
      sut.push_event(gst_event_new_stream_start("storm"));
      gst_harness_set_src_caps_str(sut.get(), kVideoCaps);
      return push_until_stopped(sut);
    });
    random.dawdle();
    if (random.below(2) == 0) sut.set_state(GST_STATE_PAUSED);
    if (random.below(2) == 0) {
      sut.set_state(GST_STATE_PLAYING);
      random.dawdle();
    }
    gst_element_set_state(
        sut.element(), random.below(2) == 0 ? GST_STATE_NULL : GST_STATE_READY);
    ASSERT_EQ(pusher.get(), GST_FLOW_FLUSHING);
    ASSERT_TRUE(sut.stats().reconciles());
    ASSERT_EQ(sut.stats()["in-flight"], 0U);
    while (sut.has_output()) sut.pull();
    sut.messages().count(GST_MESSAGE_ANY);
  }
}

TEST_P(WorkerpoolStorm, OfFlushesAgainstAPusher) {
  Harness sut(GetParam().properties,
              {.prepare = take_a_while, .caps = kVideoCaps});
  GstPad* source = sut.get()->srcpad;
  std::atomic<bool> is_over{false};
  std::atomic<unsigned> wrong{0};
  auto pusher = std::async(std::launch::async, [&] {
    std::uint64_t number = 0;
    while (!is_over) {
      // As the task of a source holds it.
      GST_PAD_STREAM_LOCK(source);
      const GstFlowReturn flow = sut.push(number++);
      GST_PAD_STREAM_UNLOCK(source);
      if (flow == GST_FLOW_FLUSHING) std::this_thread::yield();
      if (flow != GST_FLOW_OK && flow != GST_FLOW_FLUSHING) ++wrong;
    }
    return number;
  });
  std::uint64_t next = 0;
  Random random(2);
  for (int round = 0; round < 8000; ++round) {
    sut.push_event(gst_event_new_flush_start());
    GST_PAD_STREAM_LOCK(source);
    sut.push_event(gst_event_new_flush_stop(TRUE));
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    sut.push_event(gst_event_new_segment(&segment));
    GST_PAD_STREAM_UNLOCK(source);
    random.dawdle();
    while (sut.has_output()) {
      const std::uint64_t number = sut.pull_number();
      ASSERT_GE(number, next);
      next = number + 1;
    }
  }
  is_over = true;
  const std::uint64_t last = pusher.get();
  EXPECT_EQ(wrong, 0U);
  ASSERT_EQ(sut.push(last), GST_FLOW_OK);
  while (sut.pull_number() != last) {
  }
  sut.wait_for_stat("in-flight", 0);
  EXPECT_TRUE(sut.stats().reconciles());
}

TEST_P(WorkerpoolStorm, OfPropertiesAndEventsAgainstAPusher) {
  Harness sut(GetParam().properties,
              {.prepare = take_a_while, .caps = kVideoCaps});
  std::atomic<bool> is_over{false};
  auto meddler = std::async(std::launch::async, [&] {
    Random random(3);
    while (!is_over) {
      g_object_set(sut.element(),                                             //
                   "max-buffers", random.below(9),                            //
                   "max-bytes", guint64{random.below(3)} * 100,               //
                   "latency-budget", guint64{random.below(5)} * GST_MSECOND,  //
                   "late-policy", static_cast<int>(random.below(4)), nullptr);
      gst_harness_push_upstream_event(sut.get(), gst_event_new_reconfigure());
      gst_harness_push_upstream_event(
          sut.get(), gst_event_new_latency(random.below(50) * GST_MSECOND));
      const QueryPtr query(gst_query_new_latency());
      gst_pad_peer_query(sut.get()->sinkpad, query.get());
      sut.stats();
      random.dawdle();
    }
  });
  constexpr std::uint64_t kFrames = 20000;
  auto pusher = std::async(std::launch::async, [&] {
    for (std::uint64_t i = 0; i < kFrames; ++i) {
      if (i % 50 == 0)
        gst_harness_set_src_caps_str(
            sut.get(), i % 100 == 0 ? kVideoCaps
                                    : "video/x-raw,format=GRAY8,width=16,"
                                      "height=4,framerate=100/1");
      if (sut.push(i) != GST_FLOW_OK) return i;
    }
    return kFrames;
  });
  for (std::uint64_t i = 0; i < kFrames; ++i) ASSERT_EQ(sut.pull_number(), i);
  EXPECT_EQ(pusher.get(), kFrames);
  is_over = true;
  meddler.get();
}

INSTANTIATE_TEST_SUITE_P(
    With, WorkerpoolStorm,
    testing::Values(
        Stage{"OneWorker", "stage=identity max-workers=1 max-buffers=2"},
        Stage{"FourWorkers", "stage=identity max-workers=4"},
        Stage{"ARealStage", "stage=\"videoconvert ! identity\" max-workers=3"}),
    [](const auto& stage) { return std::string(stage.param.name); });

// A stage that asks downstream before it says its caps must not make an older
// frame wait for a younger one.
TEST(WorkerpoolStorms, OfCapsWithAStageThatAsksFirst) {
  Harness sut("stage=\"identity name=ask\" max-workers=4",
              {.prepare = [](GstElement* element) {
                take_a_while(element);
                on_each_copy(element, [](GstBin* copy) {
                  gst_pad_add_probe(
                      pad_of(copy, "ask", "src").get(),
                      GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
                      [](GstPad* pad, GstPadProbeInfo* info, gpointer) {
                        if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) !=
                            GST_EVENT_CAPS)
                          return GST_PAD_PROBE_OK;
                        const QueryPtr drain(gst_query_new_drain());
                        gst_pad_peer_query(pad, drain.get());
                        return GST_PAD_PROBE_OK;
                      },
                      nullptr, nullptr);
                });
              }});
  constexpr std::uint64_t kFrames = 12000;
  auto pusher = std::async(std::launch::async, [&] {
    for (std::uint64_t i = 0; i < kFrames; ++i) {
      if (i % 6 == 0) {
        const std::string caps =
            std::string(kAnyCaps) + ",n=" + std::to_string(i);
        gst_harness_set_src_caps_str(sut.get(), caps.c_str());
      }
      sut.push(i);
    }
  });
  for (std::uint64_t i = 0; i < kFrames; ++i) ASSERT_EQ(sut.pull_number(), i);
  pusher.get();
}

// ---- Pipelines -------------------------------------------------------------

TEST(WorkerpoolStorms, OfStatesOfAPipeline) {
  Pipeline pipeline(
      "videotestsrc is-live=true ! "
      "video/x-raw,format=GRAY8,width=8,height=8,framerate=300/1 ! "
      "workerpool stage=identity max-workers=2 ! "
      "workerpool stage=\"videoconvert ! identity\" max-workers=2 ! "
      "fakesink sync=true");
  Random random(4);
  for (int round = 0; round < 2000; ++round) {
    const auto state = static_cast<GstState>(GST_STATE_NULL + random.below(4));
    ASSERT_NE(gst_element_set_state(pipeline.get(), state),
              GST_STATE_CHANGE_FAILURE);
    random.dawdle();
  }
}

TEST(WorkerpoolStorms, OfSeeksInAPipeline) {
  Pipeline pipeline(
      "videotestsrc ! "
      "video/x-raw,format=GRAY8,width=8,height=8,framerate=300/1 ! "
      "workerpool stage=identity max-workers=3 ! queue ! "
      "workerpool stage=\"videoconvert ! identity\" max-workers=2 ! "
      "fakesink name=sink sync=false");
  const Transcript sink(pipeline.pad("sink", "sink").get());
  pipeline.set_state(GST_STATE_PLAYING);
  Random random(5);
  for (int round = 0; round < 1500; ++round) {
    const gdouble rate = random.below(3) == 0 ? -1.0 : 1.0;
    const GstClockTime start = random.below(9) * GST_SECOND;
    ASSERT_TRUE(gst_element_seek(pipeline.get(), rate, GST_FORMAT_TIME,
                                 GST_SEEK_FLAG_FLUSH, GST_SEEK_TYPE_SET, start,
                                 GST_SEEK_TYPE_SET, start + GST_SECOND));
    random.dawdle();
  }
  sink.wait_for("eos");
}

TEST(WorkerpoolStorms, OfInstances) {
  std::vector<std::future<bool>> threads;
  for (unsigned seed = 0; seed < 3; ++seed)
    threads.push_back(std::async(std::launch::async, [seed] {
      Random random(seed);
      for (int round = 0; round < 200; ++round) {
        Harness sut("stage=identity max-workers=2");
        const std::uint64_t count = random.below(30);
        if (sut.push_range(0, count) != GST_FLOW_OK) return false;
        // Every other one dies with frames inside.
        if (round % 2 == 0) sut.pull_numbers(count);
      }
      return true;
    }));
  for (std::future<bool>& thread : threads) EXPECT_TRUE(thread.get());
}

}  // namespace
}  // namespace dispatch::test
