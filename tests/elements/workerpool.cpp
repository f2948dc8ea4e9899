// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What only workerpool has: its copies are bins inside it, in this process. An
// application can look at them and set them up, and they share contexts; one
// that is stuck outlives the run, and even the element.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>

#include "element_harness.h"
#include "farewell.h"
#include "recording.h"

namespace dispatch::test {
namespace {

void watch_copies(GstElement* workerpool, Farewell& copies) {
  g_signal_connect(
      workerpool, "stage-setup",
      G_CALLBACK(+[](GstElement*, GstElement* copy, guint, gpointer farewell) {
        static_cast<Farewell*>(farewell)->watch(copy);
      }),
      &copies);
}

// ---- Copies that are stuck -------------------------------------------------

TEST(Workerpool, AStuckCopyGoesWhenItComesBack) {
  Gate gate;
  gate.hold(0);
  Farewell copies;
  Harness sut("stage=gate max-workers=2",
              {.gate = &gate, .prepare = [&](GstElement* element) {
                 watch_copies(element, copies);
               }});
  sut.push(0);
  gate.wait_until_held(0);
  sut.set_state(GST_STATE_NULL);          // while the gate is closed
  sut.messages().count(GST_MESSAGE_ANY);  // they hold their senders
  copies.wait_for(1);                     // the idle one
  EXPECT_EQ(gate.holding(), (std::vector<std::uint64_t>{0}));
  EXPECT_EQ(copies.gone(), 1U);
  gate.open();
  copies.wait_for(2);
}

TEST(Workerpool, MayDieBeforeItsStuckCopy) {
  Gate gate;
  gate.hold(0);
  Farewell copies;
  Farewell elements;
  {
    Harness sut("stage=gate max-workers=1",
                {.gate = &gate, .prepare = [&](GstElement* element) {
                   elements.watch(element);
                   watch_copies(element, copies);
                 }});
    sut.push(0);
    gate.wait_until_held(0);
  }
  elements.wait_for(1);
  EXPECT_EQ(copies.gone(), 0U);
  gate.open();
  copies.wait_for(1);
}

TEST(Workerpool, AStuckCopyOfTheRunBeforeGoesInTheNextOne) {
  Gate gate;
  gate.hold(0);
  Farewell copies;
  Harness sut("stage=gate max-workers=1",
              {.gate = &gate, .prepare = [&](GstElement* element) {
                 watch_copies(element, copies);
               }});
  sut.push(0);
  gate.wait_until_held(0);
  sut.set_state(GST_STATE_NULL);
  sut.messages().count(GST_MESSAGE_ANY);  // they hold their senders
  sut.set_state(GST_STATE_PLAYING);
  sut.push_event(gst_event_new_stream_start("again"));
  gst_harness_set_src_caps_str(sut.get(), kAnyCaps);
  EXPECT_EQ(sut.push(1), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_number(), 1U);
  gate.open();
  copies.wait_for(1);
  EXPECT_EQ(sut.push(2), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_number(), 2U) << "the old result came between";
  EXPECT_EQ(sut.stats()["frames-in"], 2U);
}

// ---- Looking at the copies -------------------------------------------------

// A pipeline inside would choose a clock and a base time for itself.
TEST(Workerpool, CopiesAreBins) {
  for (const char* stage :
       {"identity", "\"identity ! identity\"", "\"( identity ! identity )\""}) {
    Harness sut(std::string("max-workers=1 stage=") + stage);
    const ElementPtr copy(
        gst_bin_get_by_name(GST_BIN(sut.element()), "worker0"));
    EXPECT_STREQ(G_OBJECT_TYPE_NAME(copy.get()), "GstBin") << stage;
  }
}

TEST(Workerpool, CopiesCanBeLookedAtOneByOne) {
  Harness sut("stage=\"videobalance name=grey\" max-workers=2");
  auto* proxy = GST_CHILD_PROXY(sut.element());
  gst_child_proxy_set(proxy, "worker1::grey::saturation", 0.5, nullptr);
  double values[2] = {0, 0};
  gst_child_proxy_get(proxy, "worker0::grey::saturation", &values[0],
                      "worker1::grey::saturation", &values[1], nullptr);
  EXPECT_EQ(values[0], 1.0);
  EXPECT_EQ(values[1], 0.5);
  // The stage and the two copies.
  EXPECT_EQ(gst_child_proxy_get_children_count(proxy), 3U);
  std::set<std::string> names;
  for (guint i = 0; i < 3; ++i) {
    const stage::ObjectPtr<GstObject> child(
        GST_OBJECT_CAST(gst_child_proxy_get_child_by_index(proxy, i)));
    ASSERT_TRUE(child);
    names.insert(GST_OBJECT_NAME(child.get()));
  }
  EXPECT_EQ(names, (std::set<std::string>{"stage", "worker0", "worker1"}));
}

TEST(Workerpool, SetupIsSignalledForEachCopyBeforeItRuns) {
  std::vector<std::pair<std::string, guint>> setups;
  HarnessOptions options;
  options.prepare = [&](GstElement* element) {
    g_signal_connect(element, "stage-setup",
                     G_CALLBACK(+[](GstElement*, GstElement* copy, guint worker,
                                    gpointer user_data) {
                       EXPECT_EQ(GST_STATE(copy), GST_STATE_NULL);
                       EXPECT_TRUE(ElementPtr(
                           gst_bin_get_by_name(GST_BIN(copy), "identity0")));
                       static_cast<decltype(setups)*>(user_data)->emplace_back(
                           GST_OBJECT_NAME(copy), worker);
                     }),
                     &setups);
  };
  Harness sut("stage=identity max-workers=3", options);
  const decltype(setups) expected = {
      {"worker0", 0}, {"worker1", 1}, {"worker2", 2}};
  EXPECT_EQ(setups, expected);

  setups.clear();
  sut.set_state(GST_STATE_NULL);
  sut.set_state(GST_STATE_PLAYING);
  EXPECT_EQ(setups, expected);
}

// ---- Contexts --------------------------------------------------------------

// Counts how often a stage says that a context has come to it, and gives one to
// whoever needs it. As an application does, on the bus.
class ContextGiver {
 public:
  explicit ContextGiver(GstElement* pipeline) {
    const stage::ObjectPtr<GstBus> bus(gst_element_get_bus(pipeline));
    gst_bus_set_sync_handler(bus.get(), on_message, this, nullptr);
  }
  unsigned came() const { return came_; }

 private:
  static GstBusSyncReply on_message(GstBus*, GstMessage* message,
                                    gpointer self) {
    const gchar* type = nullptr;
    if (gst_message_has_name(message, "context-came"))
      ++static_cast<ContextGiver*>(self)->came_;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_NEED_CONTEXT &&
        gst_message_parse_context_type(message, &type) != FALSE &&
        std::string_view(type) == "test.context") {
      const stage::MiniPtr<GstContext> context(gst_context_new(type, TRUE));
      gst_element_set_context(GST_ELEMENT_CAST(GST_MESSAGE_SRC(message)),
                              context.get());
    }
    return GST_BUS_PASS;
  }

  std::atomic<unsigned> came_{0};
};

TEST(Workerpool, AContextOfTheApplicationReachesEveryCopy) {
  Pipeline pipeline(
      "videotestsrc num-buffers=6 ! workerpool min-workers=3 max-workers=3 "
      "stage=\"oddstage does=need-context\" ! fakesink");
  const ContextGiver application(pipeline.get());
  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  EXPECT_EQ(application.came(), 3U);
}

// The first copy that finds nobody to ask makes a context, and the others get
// it.
TEST(Workerpool, AContextOfOneCopyReachesTheOthers) {
  Harness sut("stage=\"oddstage does=make-context\" max-workers=3");
  unsigned made = 0;
  unsigned came = 0;
  while (const MessagePtr message = sut.messages().poll(GST_MESSAGE_ELEMENT)) {
    if (gst_message_has_name(message.get(), "context-made")) ++made;
    if (gst_message_has_name(message.get(), "context-came")) ++came;
  }
  EXPECT_EQ(made, 1U);
  EXPECT_GE(came, 2U);
}

}  // namespace
}  // namespace dispatch::test
