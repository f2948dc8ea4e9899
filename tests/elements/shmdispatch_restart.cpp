// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Worker processes that die or hang while frames flow: what becomes of their
// frames, and who comes in their place.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "element_harness.h"

namespace dispatch::test {
namespace {

using Numbers = std::vector<std::uint64_t>;

void signal_all(int number) {
  for (const pid_t worker : child_processes()) kill(worker, number);
}

bool is_stopped(pid_t worker) {
  std::ifstream stat("/proc/" + std::to_string(worker) + "/stat");
  std::string field;
  stat >> field >> field >> field;  // pid, name, state
  return field == "T";
}

void stop_all() {
  signal_all(SIGSTOP);
  for (const pid_t worker : child_processes())
    while (!is_stopped(worker)) g_usleep(1000);
}

std::string text_of(GstMessage* message, const char* field) {
  const gchar* text =
      gst_structure_get_string(gst_message_get_structure(message), field);
  return text != nullptr ? text : "";
}

// A frame that depends on earlier ones.
BufferPtr delta(std::uint64_t number) {
  BufferPtr buffer = numbered_buffer(number);
  GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_DELTA_UNIT);
  return buffer;
}

// ---- Death -----------------------------------------------------------------

TEST(Restart, TheFrameOfAKilledWorkerIsDoneByAnother) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=\"gate ! teststage writes=true\" max-workers=1",
              {.gate = &gate});
  sut.push_range(0, 3);
  gate.wait_until_held(0);
  const pid_t first = child_processes().at(0);
  kill(first, SIGKILL);
  const MessagePtr lost = sut.messages().wait_element("worker-lost");
  guint worker = 7;
  gst_structure_get_uint(gst_message_get_structure(lost.get()), "worker",
                         &worker);
  EXPECT_EQ(worker, 0U);
  EXPECT_NE(text_of(lost.get(), "reason").find("signal 9"), std::string::npos);
  gint pid = 0;
  gst_structure_get_int(gst_message_get_structure(lost.get()), "pid", &pid);
  EXPECT_EQ(pid, first);
  gate.open();
  for (const std::uint64_t number : {0U, 1U, 2U}) {
    const BufferPtr out = sut.pull();
    EXPECT_EQ(number_of(out.get()), number);
    EXPECT_FALSE(has_own_bytes(out.get())) << "the stage did it";
  }
  sut.wait_for_stat("applied", 3);
  EXPECT_EQ(sut.stats()["workers-lost"], 1U);
  EXPECT_TRUE(sut.stats().reconciles());
  EXPECT_EQ(sut.messages().poll(GST_MESSAGE_ERROR), nullptr);
}

TEST(Restart, AllWorkersAtOnceAreReplaced) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate max-workers=3", {.gate = &gate});
  sut.push_range(0, 5);
  gate.wait_until_holding(3);
  signal_all(SIGKILL);
  sut.wait_for_stat("workers-lost", 3);
  gate.open();
  EXPECT_EQ(sut.pull_numbers(5), (Numbers{0, 1, 2, 3, 4}));
  sut.wait_for_stat("applied", 5);
}

TEST(Restart, AnIdleWorkerIsReplacedToo) {
  Harness sut("stage=identity max-workers=1");
  sut.push(0);
  sut.pull();
  kill(child_processes().at(0), SIGKILL);
  sut.messages().wait_element("worker-lost");
  sut.push(1);
  EXPECT_EQ(sut.pull_number(), 1U);
}

TEST(Restart, ANewWorkerHasWhatHadBeenSetOnTheStage) {
  Harness sut("stage=\"teststage name=t\" max-workers=1");
  gst_child_proxy_set(GST_CHILD_PROXY(sut.element()), "stage::t::writes", TRUE,
                      nullptr);
  kill(child_processes().at(0), SIGKILL);
  sut.messages().wait_element("worker-lost");
  sut.push(0);
  EXPECT_FALSE(has_own_bytes(sut.pull().get()));
}

TEST(Restart, AFrameThatEndsTwoWorkersIsLeftOut) {
  Harness sut("stage=\"teststage writes=true abort-every=4\" max-workers=2");
  sut.push_range(1, 9);
  for (std::uint64_t number = 1; number < 9; ++number) {
    const BufferPtr out = sut.pull();
    EXPECT_EQ(number_of(out.get()), number);
    EXPECT_EQ(has_own_bytes(out.get()), number % 4 == 0) << number;
  }
  const MessagePtr message = sut.messages().wait_element("frame-given-up");
  guint lost = 0;
  gst_structure_get_uint(gst_message_get_structure(message.get()),
                         "workers-lost", &lost);
  EXPECT_EQ(lost, 2U);
  sut.wait_for_stat("bypassed", 2);
  EXPECT_EQ(sut.stats()["causes.worker-lost"], 2U);
  EXPECT_EQ(sut.stats()["applied"], 6U);
  EXPECT_EQ(sut.stats()["workers-lost"], 4U);
}

TEST(Restart, EosFollowsTheFramesOfAWorkerThatDied) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate max-workers=1", {.gate = &gate});
  sut.push_range(0, 2);
  gate.wait_until_held(0);
  sut.push_eos();
  signal_all(SIGKILL);
  sut.wait_for_stat("workers-lost", 1);
  gate.open();
  sut.out().wait_for("eos");
  EXPECT_EQ(sut.pull_numbers(2), (Numbers{0, 1}));
}

// ---- Too often -------------------------------------------------------------

TEST(Restart, AStageThatAlwaysDiesEndsTheStreamWithAnError) {
  Harness sut(
      "stage=\"teststage abort-every=1\" max-workers=1 restart-limit=1");
  sut.push_range(1, 4);
  const MessagePtr error = sut.messages().wait(GST_MESSAGE_ERROR);
  EXPECT_NE(Messages::text(error.get()).find("signal 6"), std::string::npos)
      << Messages::text(error.get());
  EXPECT_EQ(sut.push(4), GST_FLOW_ERROR);
}

TEST(Restart, OrLeavesTheStageOut) {
  Harness sut(
      "stage=\"teststage writes=true abort-every=1\" max-workers=1 "
      "restart-limit=1 on-exhausted=bypass");
  sut.push_range(1, 4);
  for (const std::uint64_t number : {1U, 2U, 3U}) {
    const BufferPtr out = sut.pull();
    EXPECT_EQ(number_of(out.get()), number);
    EXPECT_TRUE(has_own_bytes(out.get()));
  }
  const MessagePtr warning = sut.messages().wait(GST_MESSAGE_WARNING);
  EXPECT_NE(Messages::text(warning.get()).find("left out"), std::string::npos);
  sut.push(4);
  EXPECT_EQ(sut.pull_number(), 4U);
  sut.push_eos();
  sut.out().wait_for("eos");
  EXPECT_EQ(sut.messages().poll(GST_MESSAGE_ERROR), nullptr);
}

TEST(Restart, AnotherStageEndsBeingLeftOut) {
  Harness sut(
      "stage=\"teststage abort-every=1\" max-workers=1 restart-limit=0 "
      "on-exhausted=bypass");
  sut.push(1);
  sut.pull();
  g_object_set(sut.element(), "stage", "teststage writes=true", nullptr);
  sut.messages().wait_element("stage-replaced");
  sut.push(2);
  EXPECT_FALSE(has_own_bytes(sut.pull().get()));
}

// ---- With state ------------------------------------------------------------

TEST(Restart, AStageWithStateGoesOnAtTheNextKeyFrame) {
  Gate gate;
  gate.hold(1);
  Harness sut("stage=gate stage-state=per-stream max-workers=1",
              {.gate = &gate});
  sut.push(0);
  EXPECT_EQ(sut.pull_number(), 0U);
  sut.push(delta(1));
  sut.push(delta(2));
  gate.wait_until_held(1);
  signal_all(SIGKILL);
  sut.messages().wait_element("key-frame-awaited");
  const EventPtr event = sut.pull_upstream_event(GST_EVENT_CUSTOM_UPSTREAM);
  EXPECT_TRUE(gst_event_has_name(event.get(), "GstForceKeyUnit"));
  gate.open();
  sut.push(delta(3));
  sut.push(4);
  sut.push(delta(5));
  sut.out().wait_for("5");
  sut.wait_for_stat("applied", 3);
  EXPECT_EQ(sut.stats()["causes.worker-lost"], 3U);
}

// ---- Hanging ---------------------------------------------------------------

TEST(Restart, AWorkerThatHangsForTooLongIsKilled) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=1 stall-timeout=50000000",
              {.gate = &gate});
  sut.push(0);
  gate.wait_until_held(0);
  sut.messages().wait_element("worker-stuck");
  const MessagePtr lost = sut.messages().wait_element("worker-lost");
  EXPECT_NE(text_of(lost.get(), "reason").find("stuck"), std::string::npos)
      << text_of(lost.get(), "reason");
  gate.release(0);  // the second one is let through
  EXPECT_EQ(sut.pull_number(), 0U);
  sut.wait_for_stat("applied", 1);
}

TEST(Restart, AWorkerThatIsStoppedIsKilled) {
  Harness sut("stage=identity max-workers=1 stall-timeout=100000000");
  sut.push(0);
  sut.pull();
  stop_all();
  sut.push(1);
  sut.messages().wait_element("worker-lost");
  EXPECT_EQ(sut.pull_number(), 1U);
}

TEST(Restart, NothingIsLeftBehind) {
  const auto files = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                         std::filesystem::directory_iterator());
  };
  { const Harness once("stage=identity"); }  // what stays open for good
  const auto before = files();
  {
    Harness sut("stage=identity max-workers=2");
    for (std::uint64_t number = 0; number < 20; ++number) {
      sut.push(number);
      EXPECT_EQ(sut.pull_number(), number);
      if (number % 5 != 4) continue;
      kill(child_processes().at(0), SIGKILL);
      sut.wait_for_stat("workers-lost", (number + 1) / 5);
    }
  }
  EXPECT_EQ(child_processes(), std::vector<pid_t>());
  EXPECT_EQ(files(), before);
}

}  // namespace
}  // namespace dispatch::test
