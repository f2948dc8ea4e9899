// SPDX-License-Identifier: LGPL-2.1-or-later
//
// adaptiveskip as the stage of another element, in its threads or processes:
// there it has no threads, its due times come with the frames, and they are
// times of the machine. So a stage that takes too long has to take it really;
// nothing here depends on how fast the rest is.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "element_harness.h"
#include "stage/due_time_meta.h"

namespace dispatch::test {
namespace {

constexpr GstClockTime kUpstream = 5 * GST_MSECOND;
constexpr GstClockTime kBudget = 30 * GST_MSECOND;
// More than the budget.
constexpr auto kDear = std::chrono::milliseconds(100);
// So often is a frame offered until one is skipped: a trial of the stage comes
// between them now and then, on a slow machine often.
constexpr std::uint64_t kMostTries = 2000;

std::string inside(const std::string& skip, const std::string& properties) {
  return "stage=\"adaptiveskip " + skip + "\" " + properties;
}

HarnessOptions live(Gate& gate) {
  HarnessOptions options;
  options.gate = &gate;
  options.is_live = true;
  options.upstream_latency = kUpstream;
  options.has_test_clock = true;
  return options;
}

// The first frame of a stream runs alone until its copy has chosen its caps,
// which leave adaptiveskip with the frame.
void let_the_first_one_through(Harness& sut) {
  sut.push(0);
  EXPECT_EQ(sut.pull_number(), 0U);
  sut.wait_for_stat("applied", 1);
}

// Keeps the copy that stands at the gate with frame `number` there.
void let_it_take_long(Gate& gate, std::uint64_t number) {
  gate.wait_until_held(number);
  std::this_thread::sleep_for(kDear);
  gate.release(number);
}

TEST(SkipInside, WorksInEveryCopy) {
  Gate gate;
  Harness sut(inside("stage=gate", "max-workers=2"), {.gate = &gate});
  let_the_first_one_through(sut);
  gate.hold_all();
  sut.push_range(1, 6);
  gate.wait_until_holding(2);
  gate.open();
  EXPECT_EQ(sut.pull_numbers(5), (std::vector<std::uint64_t>{1, 2, 3, 4, 5}));
  sut.wait_for_stat("applied", 6);
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_ERROR), 0U);
}

TEST(SkipInside, TakesALadderInQuotes) {
  Harness sut(
      "stage=\"adaptiveskip num-levels=2 level0::stage=identity "
      "level1::stage=\\\"identity ! identity\\\"\" max-workers=2");
  sut.push_range(0, 4);
  EXPECT_EQ(sut.pull_numbers(4), (std::vector<std::uint64_t>{0, 1, 2, 3}));
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_ERROR), 0U);
}

TEST(SkipInside, ABadLadderIsToldAndNamed) {
  Pipeline pipeline(
      "videotestsrc num-buffers=3 ! " +
      under_test("name=sut stage=\"adaptiveskip num-levels=2 stage=identity "
                 "level1::stage=nosuchthing\" max-workers=1") +
      " ! fakesink");
  EXPECT_FALSE(pipeline.run_to_eos());
  EXPECT_NE(pipeline.error().find("level1"), std::string::npos)
      << pipeline.error();
}

TEST(SkipInside, SkipsWhatTheFrameHasNoTimeFor) {
  Gate gate;
  gate.hold(0);
  Harness sut(inside("stage=gate",
                     "max-workers=1 spare-workers=0 "
                     "latency-budget=30000000"),
              live(gate));
  sut.push(0);
  let_it_take_long(gate, 0);  // nobody moved the clock: it is not overdue
  EXPECT_EQ(sut.pull_number(), 0U);
  std::uint64_t next = 1;
  for (; next < kMostTries && gate.seen().size() == next; ++next) {
    BufferPtr frame = numbered_buffer(next);
    GST_BUFFER_PTS(frame.get()) = 0;
    sut.push(std::move(frame));
    const BufferPtr out = sut.pull();
    EXPECT_EQ(number_of(out.get()), next);
    EXPECT_TRUE(has_own_bytes(out.get()));
    EXPECT_EQ(stage::due_time_of(out.get()), nullptr);
  }
  EXPECT_LT(next, kMostTries) << "all of them got the stage";
  // To the element around it, that is what the stage made of the frame.
  sut.wait_for_stat("applied", next);
}

TEST(SkipInside, SkipsNothingWhereNothingIsDue) {
  Gate gate;
  gate.hold(0);
  Harness sut(inside("stage=gate level0::cost=10000000000", "max-workers=1"),
              {.gate = &gate});
  sut.push(0);
  let_it_take_long(gate, 0);
  EXPECT_EQ(sut.pull_number(), 0U);
  for (std::uint64_t i = 1; i < 50; ++i) {
    sut.push(i);
    EXPECT_EQ(sut.pull_number(), i);
  }
  EXPECT_EQ(gate.seen().size(), 50U);
}

// A frame that is overdue leaves the element around it; inside it is not
// rescued, and its result is of no use to anybody.
TEST(SkipInside, RescuesNothingItself) {
  Gate gate;
  gate.hold(0);
  Harness sut(inside("stage=gate",
                     "max-workers=1 spare-workers=0 "
                     "latency-budget=30000000"),
              live(gate));
  sut.push(0);
  gate.wait_until_held(0);
  EXPECT_EQ(sut.next_wait(), kUpstream + kBudget - GST_MSECOND);
  sut.crank();
  EXPECT_EQ(sut.pull_number(), 0U);
  sut.wait_for_stat("causes.overdue-running", 1);
  gate.open();
  sut.wait_for_stat("late-results", 1);
  EXPECT_FALSE(sut.has_output());
}

TEST(SkipInside, AddsNothingToTheLatency) {
  Gate gate;
  Harness sut(inside("stage=gate latency-budget=50000000",
                     "max-workers=1 latency-budget=30000000"),
              live(gate));
  sut.push(0);
  sut.pull();
  const QueryPtr query(gst_query_new_latency());
  ASSERT_TRUE(gst_pad_peer_query(sut.get()->sinkpad, query.get()));
  GstClockTime min = 0;
  gst_query_parse_latency(query.get(), nullptr, &min, nullptr);
  EXPECT_EQ(min, kUpstream + kBudget);
}

TEST(SkipInside, AFlushAndAStopEndWhatIsInside) {
  Gate gate;
  Harness sut(inside("stage=gate", "max-workers=2"), {.gate = &gate});
  let_the_first_one_through(sut);
  gate.hold_all();
  sut.push_range(1, 5);
  gate.wait_until_holding(2);
  sut.flush();
  EXPECT_EQ(sut.stats()["causes.flush"], 4U);
  sut.push_range(5, 7);
  sut.set_state(GST_STATE_NULL);
  EXPECT_EQ(sut.stats()["in-flight"], 0U);
  EXPECT_TRUE(sut.stats().reconciles());
}

}  // namespace
}  // namespace dispatch::test
