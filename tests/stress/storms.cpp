// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An element under storms: everything at once, many times, in no chosen order.
// What must hold is that nothing hangs, crashes, comes out of order or is lost
// from the account. Bounded in rounds; some seconds each.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "element_harness.h"

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

// Takes its time now and then.
#define SLOW "teststage burn=false stall=300000 stall-percent=3"

// A process takes longer to start than a thread: fewer rounds of the same.
int rounds_of_starts(int with_threads) {
  constexpr int kSlower = 20;
  return has_threads() ? with_threads : with_threads / kSlower;
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
  bool is_apart = true;  // see HarnessOptions
};

class Storm : public testing::TestWithParam<Stage> {};

TEST_P(Storm, OfStatesAgainstAPusher) {
  Harness sut(GetParam().properties,
              {.is_apart = GetParam().is_apart, .caps = nullptr});
  Random random(1);
  for (int round = rounds_of_starts(1500); round > 0; --round) {
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

TEST_P(Storm, OfFlushesAgainstAPusher) {
  Harness sut(GetParam().properties,
              {.is_apart = GetParam().is_apart, .caps = kVideoCaps});
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

TEST_P(Storm, OfPropertiesAndEventsAgainstAPusher) {
  Harness sut(GetParam().properties,
              {.is_apart = GetParam().is_apart, .caps = kVideoCaps});
  std::atomic<bool> is_over{false};
  auto meddler = std::async(std::launch::async, [&] {
    Random random(3);
    while (!is_over) {
      g_object_set(sut.element(),                                             //
                   "max-buffers", random.below(9),                            //
                   "latency-budget", guint64{random.below(5)} * GST_MSECOND,  //
                   "late-policy", static_cast<int>(random.below(4)), nullptr);
      // Of shared memory, so few bytes would be none at all.
      if (has_threads())
        g_object_set(sut.element(), "max-bytes", guint64{random.below(3)} * 100,
                     nullptr);
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

std::vector<Stage> stages() {
  std::vector<Stage> all{
      {"OneWorker", "stage=\"" SLOW "\" max-workers=1 max-buffers=2"},
      {"FourWorkers", "stage=\"" SLOW "\" max-workers=4"},
      {"ARealStage", "stage=\"videoconvert ! " SLOW "\" max-workers=3"}};
  if (!chooses_levels()) return all;
  all.push_back({"TheStreamingThread", "stage=\"" SLOW "\" max-buffers=2",
                 /*is_apart=*/false});
  all.push_back({"ALadder", "num-levels=2 level0::stage=\"" SLOW
                            "\" level1::stage=identity max-workers=2"});
  return all;
}

INSTANTIATE_TEST_SUITE_P(With, Storm, testing::ValuesIn(stages()),
                         [](const auto& stage) {
                           return std::string(stage.param.name);
                         });

// A stage that asks downstream before it says its caps must not make an older
// frame wait for a younger one.
TEST(Storms, OfCapsWithAStageThatAsksFirst) {
  Harness sut("stage=\"oddstage does=drain-at-caps ! " SLOW "\" max-workers=4");
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

TEST(Storms, OfStatesOfAPipeline) {
  Pipeline pipeline(
      "videotestsrc is-live=true ! "
      "video/x-raw,format=GRAY8,width=8,height=8,framerate=300/1 ! " +
      under_test("stage=identity max-workers=2 ! ") +
      under_test("stage=\"videoconvert ! identity\" max-workers=2 ! ") +
      "fakesink sync=true");
  Random random(4);
  for (int round = rounds_of_starts(2000); round > 0; --round) {
    const auto state = static_cast<GstState>(GST_STATE_NULL + random.below(4));
    ASSERT_NE(gst_element_set_state(pipeline.get(), state),
              GST_STATE_CHANGE_FAILURE);
    random.dawdle();
  }
}

TEST(Storms, OfSeeksInAPipeline) {
  Pipeline pipeline(
      "videotestsrc ! "
      "video/x-raw,format=GRAY8,width=8,height=8,framerate=300/1 ! " +
      under_test("stage=identity max-workers=3 ! queue ! ") +
      under_test("stage=\"videoconvert ! identity\" max-workers=2 ! ") +
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

TEST(Storms, OfInstances) {
  std::vector<std::future<bool>> threads;
  for (unsigned seed = 0; seed < 3; ++seed)
    threads.push_back(std::async(std::launch::async, [seed] {
      Random random(seed);
      for (int round = rounds_of_starts(200); round > 0; --round) {
        Harness sut("stage=identity max-workers=2", {.is_apart = true});
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
