// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Workers that come and go while frames flow, and a stage that is replaced.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "element_harness.h"

namespace dispatch::test {
namespace {

using Numbers = std::vector<std::uint64_t>;

constexpr GstClockTime kUpstream = 5 * GST_MSECOND;
constexpr GstClockTime kBudget = 30 * GST_MSECOND;

// When frame `number` leaves at the latest.
constexpr GstClockTime release_of(std::uint64_t number) {
  return number * kFrameDuration + kUpstream + kBudget - GST_MSECOND;
}

class Live : public Harness {
 public:
  explicit Live(Gate& gate, const std::string& properties)
      : Harness("stage=gate latency-budget=30000000 " + properties,
                {.gate = &gate,
                 .is_live = true,
                 .upstream_latency = kUpstream,
                 .has_test_clock = true}) {}
};

guint uint_of(GstMessage* message, const char* field) {
  guint value = G_MAXUINT;
  gst_structure_get_uint(gst_message_get_structure(message), field, &value);
  return value;
}

std::string text_of(GstMessage* message, const char* field) {
  const gchar* text =
      gst_structure_get_string(gst_message_get_structure(message), field);
  return text != nullptr ? text : "";
}

std::string stage_of(GstElement* element) {
  g_autofree gchar* stage = nullptr;
  g_object_get(element, "stage", &stage, nullptr);
  return stage;
}

void set_stage(Harness& sut, const std::string& stage) {
  g_object_set(sut.element(), "stage", stage.c_str(), nullptr);
}

void replace_stage(Harness& sut, const std::string& stage) {
  set_stage(sut, stage);
  MessagePtr message;
  do {
    message = sut.messages().wait_element("stage-replaced");
  } while (text_of(message.get(), "stage") != stage);
}

// ---- More and fewer --------------------------------------------------------

TEST(Staff, BeginsWithTheMinimumAndGrowsWhenFramesWait) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate min-workers=1 max-workers=3", {.gate = &gate});
  EXPECT_EQ(sut.stats()["workers"], 1U);
  sut.push_range(0, 6);
  gate.wait_until_holding(3);
  EXPECT_EQ(sut.stats()["workers"], 3U);
  gate.open();
  EXPECT_EQ(sut.pull_numbers(6), (Numbers{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(sut.stats()["workers"], 3U) << "it does not shrink at once";
}

TEST(Staff, OneThatComesIsTold) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate min-workers=1 max-workers=2", {.gate = &gate});
  sut.push_range(0, 2);
  const MessagePtr message = sut.messages().wait_element("worker-started");
  EXPECT_EQ(uint_of(message.get(), "worker"), 1U);
  gate.open();
}

TEST(Staff, HasNoMoreWorkersThanItsMaximum) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate min-workers=1 max-workers=2", {.gate = &gate});
  sut.push_range(0, 5);
  gate.wait_until_holding(2);
  sut.wait_for_stat("workers", 2);
  gate.release(0);
  EXPECT_EQ(sut.pull_number(), 0U);
  gate.wait_until_holding(2);
  EXPECT_EQ(gate.seen().size(), 3U);
  gate.open();
}

TEST(Staff, ShrinksWhenNothingComes) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate min-workers=1 max-workers=2", {.gate = &gate});
  sut.push_range(0, 4);
  gate.wait_until_holding(2);
  gate.open();
  sut.pull_numbers(4);
  sut.wait_for_stat("workers", 1);
}

TEST(Staff, AnotherMaximumIsForTheNextStart) {
  Harness sut("stage=identity min-workers=1 max-workers=1");
  g_object_set(sut.element(), "max-workers", 3, "spare-workers", 0, nullptr);
  EXPECT_EQ(sut.stats()["permitted-workers"], 1U);
  sut.set_state(GST_STATE_READY);
  sut.set_state(GST_STATE_PLAYING);
  EXPECT_EQ(sut.stats()["permitted-workers"], 3U);
}

TEST(Staff, AMinimumAboveTheMaximumIsTheMaximum) {
  Harness sut("stage=identity min-workers=4 max-workers=2");
  EXPECT_EQ(workers_of(sut.element()), 2U);
}

TEST(Staff, ANewWorkerHasWhatHadBeenSetOnTheStage) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=\"gate ! teststage name=t\" min-workers=1 max-workers=2",
              {.gate = &gate});
  gst_child_proxy_set(GST_CHILD_PROXY(sut.element()), "stage::t::writes", TRUE,
                      nullptr);
  sut.push_range(0, 2);
  gate.wait_until_holding(2);
  gate.open();
  for (int i = 0; i < 2; ++i)
    EXPECT_FALSE(has_own_bytes(sut.pull().get())) << "frame " << i;
}

// ---- Set aside -------------------------------------------------------------

TEST(Staff, ASpareTakesOverFromOneThatIsStuck) {
  Gate gate;
  gate.hold(0);
  Live sut(gate, "max-workers=1 spare-workers=1");
  sut.wait_for_stat("parked-workers", 1);
  sut.push(0);
  gate.wait_until_held(0);
  sut.crank();
  EXPECT_EQ(sut.pull_number(), 0U);
  const MessagePtr message = sut.messages().wait_element("worker-set-aside");
  EXPECT_EQ(uint_of(message.get(), "worker"), 0U);
  sut.push(1);
  EXPECT_EQ(sut.pull_number(), 1U);
  sut.wait_for_stat("applied", 1);
  EXPECT_EQ(sut.stats()["set-aside-workers"], 1U);
  EXPECT_EQ(gate.holding(), Numbers{0}) << "it is still stuck";

  gate.open();
  sut.wait_for_stat("set-aside-workers", 0);
  sut.wait_for_stat("late-results", 1);
  sut.push(2);
  EXPECT_EQ(sut.pull_number(), 2U);
}

TEST(Staff, WithoutASpareOneIsMade) {
  Gate gate;
  gate.hold(0);
  Live sut(gate, "max-workers=1 spare-workers=0");
  sut.push(0);
  gate.wait_until_held(0);
  sut.crank();
  EXPECT_EQ(sut.pull_number(), 0U);
  sut.push(1);
  EXPECT_EQ(sut.pull_number(), 1U);
  sut.wait_for_stat("applied", 1);
  gate.open();
}

TEST(Staff, AllTogetherAreAtMostTwiceTheMaximum) {
  Gate gate;
  gate.hold_all();
  Live sut(gate, "max-workers=1 spare-workers=1");
  sut.wait_for_stat("parked-workers", 1);
  sut.push(0);
  gate.wait_until_held(0);
  sut.push(1);
  sut.crank();  // frame 0 leaves, the spare has frame 1
  EXPECT_EQ(sut.pull_number(), 0U);
  gate.wait_until_holding(2);
  sut.push(2);
  sut.pass_time_to(release_of(2));
  EXPECT_EQ(sut.pull_numbers(2), (Numbers{1, 2}));
  sut.wait_for_stat("bypassed", 3);
  EXPECT_EQ(sut.stats()["causes.overdue-waiting"], 1U);
  EXPECT_EQ(workers_of(sut.element()), 2U);
  gate.open();
}

TEST(Staff, AFlushIsFollowedByFramesThoughTheOnlyWorkerIsStuck) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=1", {.gate = &gate});
  sut.push(0);
  gate.wait_until_held(0);
  sut.flush();
  sut.push(1);
  EXPECT_EQ(sut.pull_number(), 1U);
  EXPECT_EQ(gate.holding(), Numbers{0});
  gate.open();
}

// ---- Another stage ---------------------------------------------------------

TEST(Staff, AStageIsReplacedBetweenTwoFrames) {
  Harness sut("stage=teststage max-workers=2");
  sut.push(0);
  EXPECT_TRUE(has_own_bytes(sut.pull().get()));
  replace_stage(sut, "teststage writes=true");
  sut.push(1);
  EXPECT_FALSE(has_own_bytes(sut.pull().get()));
  EXPECT_EQ(stage_of(sut.element()), "teststage writes=true");
}

TEST(Staff, FramesThatCameBeforeGetTheStageBefore) {
  Gate gate;
  gate.hold(0);
  gate.hold(1);
  Harness sut("stage=\"gate ! teststage writes=true\" max-workers=1",
              {.gate = &gate});
  sut.push_range(0, 2);  // one is with the worker, one waits for it
  gate.wait_until_held(0);
  replace_stage(sut, "teststage");
  sut.push(2);  // is done before the others
  gate.open();
  for (const std::uint64_t number : {0U, 1U, 2U}) {
    const BufferPtr out = sut.pull();
    EXPECT_EQ(number_of(out.get()), number);
    EXPECT_EQ(has_own_bytes(out.get()), number == 2) << "frame " << number;
  }
  sut.wait_for_stat("applied", 3);
  EXPECT_TRUE(sut.stats().reconciles());
}

TEST(Staff, TheWorkersOfTheStageBeforeGo) {
  Harness sut("stage=teststage max-workers=2");
  sut.push(0);
  sut.pull();
  replace_stage(sut, "teststage writes=true");
  sut.push(1);
  sut.pull();
  while (workers_of(sut.element()) > 2) g_usleep(1000);
}

TEST(Staff, WhatChangesTheCapsReplacesWhatDoesNot) {
  Harness sut("stage=identity max-workers=2", {.caps = kVideoCaps});
  sut.push(0);
  sut.pull();
  replace_stage(sut, "videoscale ! video/x-raw,width=4,height=4");
  sut.push(1);
  sut.out().wait_for("caps", 2);
  sut.out().wait_for("1");
}

TEST(Staff, AFrameThatIsLateForTheNextStageIsNotLost) {
  Gate gate;
  Live sut(gate, "max-workers=1");
  sut.push(0);
  EXPECT_EQ(sut.pull_number(), 0U);
  replace_stage(sut, "gate name=next");
  sut.set_time(release_of(2));
  sut.push(1);
  EXPECT_EQ(sut.pull_number(), 1U);
}

TEST(Staff, AStageThatCannotBeParsedLeavesTheOneBefore) {
  Harness sut("stage=teststage max-workers=1");
  set_stage(sut, "nosuchelement");
  const MessagePtr warning = sut.messages().wait(GST_MESSAGE_WARNING);
  const std::string text = Messages::text(warning.get());
  EXPECT_NE(text.find("stays as it was"), std::string::npos) << text;
  EXPECT_NE(text.find("nosuchelement"), std::string::npos) << text;
  EXPECT_EQ(stage_of(sut.element()), "teststage");
  sut.push(0);
  EXPECT_TRUE(has_own_bytes(sut.pull().get()));
}

TEST(Staff, AStageThatDoesNotStartLeavesTheOneBefore) {
  Harness sut("stage=teststage max-workers=1");
  set_stage(sut, "filesrc-is-no-filter");
  sut.messages().wait(GST_MESSAGE_WARNING);
  set_stage(sut, "queue");
  const MessagePtr warning = sut.messages().wait(GST_MESSAGE_WARNING);
  const std::string text = Messages::text(warning.get());
  EXPECT_NE(text.find("thread of its own"), std::string::npos) << text;
  sut.push(0);
  EXPECT_TRUE(has_own_bytes(sut.pull().get()));
  EXPECT_EQ(sut.messages().poll(GST_MESSAGE_ERROR), nullptr);
}

TEST(Staff, SeveralWorkersAreNoPlaceForAStageWithState) {
  Harness sut("stage=identity max-workers=2", {.caps = kVideoCaps});
  set_stage(sut, "x264enc");
  const MessagePtr warning = sut.messages().wait(GST_MESSAGE_WARNING);
  EXPECT_NE(Messages::text(warning.get()).find("max-workers=1"),
            std::string::npos);
}

TEST(Staff, PropertiesAreThoseOfTheStageThatWasSetLast) {
  Harness sut("stage=\"teststage name=one\" max-workers=1");
  replace_stage(sut, "teststage name=two");
  gst_child_proxy_set(GST_CHILD_PROXY(sut.element()), "stage::two::writes",
                      TRUE, nullptr);
  sut.push(0);
  EXPECT_FALSE(has_own_bytes(sut.pull().get()));
}

TEST(Staff, WhatWasSetOnTheStageBeforeIsNotSetOnTheNextOne) {
  Harness sut("stage=\"teststage name=t\" max-workers=1");
  gst_child_proxy_set(GST_CHILD_PROXY(sut.element()), "stage::t::writes", TRUE,
                      nullptr);
  replace_stage(sut, "identity ! teststage name=t");
  sut.push(0);
  EXPECT_TRUE(has_own_bytes(sut.pull().get()));
}

TEST(Staff, WhatIsSetOnAStageThatFailsDoesNotTouchTheOneBefore) {
  Harness sut("stage=\"teststage name=t writes=true\" max-workers=1");
  set_stage(sut, "queue name=t");
  sut.messages().wait(GST_MESSAGE_WARNING);
  gboolean writes = FALSE;
  gst_child_proxy_get(GST_CHILD_PROXY(sut.element()), "stage::t::writes",
                      &writes, nullptr);
  EXPECT_TRUE(writes);
}

TEST(Staff, OfManyStagesTheLastOneStays) {
  Harness sut("stage=teststage max-workers=2");
  for (int i = 0; i < 20; ++i) {
    set_stage(sut, i % 2 == 0 ? "teststage writes=true" : "teststage");
    sut.push(static_cast<std::uint64_t>(i));
    EXPECT_EQ(sut.pull_number(), static_cast<std::uint64_t>(i));
  }
  replace_stage(sut, "teststage writes=true name=last");
  sut.push(20);
  EXPECT_FALSE(has_own_bytes(sut.pull().get()));
}

TEST(Staff, AStageThatIsSetWhileStoppedIsThereAtTheNextStart) {
  Harness sut("stage=teststage max-workers=1");
  replace_stage(sut, "teststage writes=true");
  sut.set_state(GST_STATE_READY);
  set_stage(sut, "identity");
  EXPECT_EQ(stage_of(sut.element()), "identity");
}

TEST(Staff, StopsWhileAStageIsBeingReplaced) {
  for (int i = 0; i < 10; ++i) {
    Harness sut("stage=teststage max-workers=2");
    sut.push(0);
    set_stage(sut, "teststage writes=true");
  }
}

}  // namespace
}  // namespace dispatch::test
