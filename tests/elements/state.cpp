// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Flushes, seeks and state changes of an element, above all while something is
// blocked; and what an instance promises from its creation to its end.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <sstream>

#include "element_harness.h"
#include "farewell.h"

namespace dispatch::test {
namespace {

using Lines = std::vector<std::string>;

GstEvent* time_segment() {
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  return gst_event_new_segment(&segment);
}

// Says when the element's chain function is called; it may block there then.
class ChainWatch {
 public:
  explicit ChainWatch(GstElement* element) {
    const PadPtr pad(gst_element_get_static_pad(element, "sink"));
    gate_.attach_to_pad(pad.get());
  }
  void wait_until_called(std::size_t times) { gate_.wait_until_seen(times); }

 private:
  Gate gate_;
};

// What comes to `pad` (transfer none) waits there, until a flush, a stop, or
// the probe that is returned is removed.
gulong block(GstPad* pad) {
  return gst_pad_add_probe(
      pad, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM,
      [](GstPad*, GstPadProbeInfo* info, gpointer) {
        return (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER) != 0
                   ? GST_PAD_PROBE_OK
                   : GST_PAD_PROBE_PASS;
      },
      nullptr, nullptr);
}

// ---- Flush -----------------------------------------------------------------

TEST(Flush, EndsAChainCallThatWaitsForRoom) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=2 max-buffers=1",
              {.gate = &gate, .is_apart = true});
  ChainWatch chain(sut.element());
  auto pusher = sut.push_in_background(0, 2);
  gate.wait_until_held(0);
  chain.wait_until_called(2);
  sut.push_event(gst_event_new_flush_start());
  EXPECT_EQ(pusher.get(), GST_FLOW_FLUSHING);
  EXPECT_EQ(sut.push(2), GST_FLOW_FLUSHING);
  sut.push_event(gst_event_new_flush_stop(TRUE));
  sut.push_event(time_segment());
  EXPECT_EQ(sut.push(3), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_number(), 3U) << "by the other worker";
}

TEST(Flush, DoesNotWaitForAStuckStage) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=1", {.gate = &gate, .is_apart = true});
  sut.push_range(0, 3);
  gate.wait_until_held(0);
  sut.flush();  // returns, although the only worker is in frame 0
  EXPECT_EQ(sut.push(3), GST_FLOW_OK);
  EXPECT_EQ(gate.holding(), (std::vector<std::uint64_t>{0}));
  EXPECT_FALSE(sut.has_output());
  gate.open();
  EXPECT_EQ(sut.pull_number(), 3U);
  sut.push(4);
  EXPECT_EQ(sut.pull_number(), 4U);
  const Stats stats = sut.stats();
  EXPECT_EQ(stats["causes.flush"], 3U);
  EXPECT_EQ(stats["late-results"], 0U) << "a flush makes no late results";
}

TEST(Flush, DoesNotWaitForACopyThatChoosesItsCaps) {
  // Stands in the caps event of the first copy that has one.
  Gate caps;
  caps.hold(0);
  Harness sut("stage=\"gate at=caps\" max-workers=2",
              {.gate = &caps, .is_apart = true});
  sut.push(0);
  caps.wait_until_held(0);
  sut.flush();
  sut.push(1);
  EXPECT_EQ(sut.pull_number(), 1U);
}

TEST(Flush, EndsAPushThatIsBlockedDownstream) {
  Harness sut("stage=identity max-workers=2 max-buffers=2", {.is_apart = true});
  ChainWatch chain(sut.element());
  const PadPtr src(gst_element_get_static_pad(sut.element(), "src"));
  const gulong probe = block(src.get());
  auto pusher = sut.push_in_background(0, 4);
  chain.wait_until_called(4);
  sut.push_event(gst_event_new_flush_start());
  EXPECT_EQ(pusher.get(), GST_FLOW_FLUSHING);
  gst_pad_remove_probe(src.get(), probe);
  sut.push_event(gst_event_new_flush_stop(TRUE));
  sut.push_event(time_segment());
  EXPECT_EQ(sut.push(9), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_number(), 9U);
  EXPECT_TRUE(sut.stats().reconciles());
}

TEST(Flush, IsSeenDownstreamOnceAndBeforeWhatFollows) {
  Gate gate;
  gate.hold(1);
  Harness sut("stage=gate max-workers=2", {.gate = &gate, .is_apart = true});
  sut.push(0);
  sut.pull();
  sut.push_range(1, 3);
  gate.wait_until_held(1);
  sut.flush();
  sut.push(3);
  sut.push_eos();
  sut.out().wait_for("eos");
  EXPECT_EQ(sut.out().lines(),
            (Lines{"stream-start", "caps", "segment", "0", "flush-start",
                   "flush-stop", "segment", "3", "eos"}));
}

TEST(Flush, LeavesNoneOfTheOldFramesToTheStage) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=1", {.gate = &gate, .is_apart = true});
  sut.push_range(0, 4);
  gate.wait_until_held(0);
  sut.flush();
  sut.push(5);
  gate.open();
  EXPECT_EQ(sut.pull_number(), 5U);
  EXPECT_EQ(gate.seen(), (std::vector<std::uint64_t>{0, 5}));
}

TEST(Flush, LosesNoStickyEventButTheSegment) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=1", {.gate = &gate, .is_apart = true});
  sut.push(0);
  gate.wait_until_held(0);
  sut.out().wait_for("stream-start");
  sut.push_event(
      gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "song", nullptr)));
  sut.push_event(gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM,
                                      gst_structure_new_empty("lost")));
  sut.flush();
  gate.open();
  sut.push(1);
  sut.pull();
  EXPECT_EQ(sut.out().lines(),
            (Lines{"stream-start", "flush-start", "flush-stop", "caps",
                   "segment", "tag", "1"}));
}

TEST(Flush, MayComeManyTimesInARow) {
  Harness sut("stage=identity max-workers=3");
  for (std::uint64_t i = 0; i < 200; ++i) {
    ASSERT_EQ(sut.push_range(i * 10, i * 10 + i % 5), GST_FLOW_OK);
    sut.flush();
  }
  while (sut.has_output()) sut.pull();
  EXPECT_EQ(sut.push(7000), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_number(), 7000U);
  EXPECT_TRUE(sut.stats().reconciles());
}

TEST(Flush, ForgetsTheLastResult) {
  Gate gate;
  gate.hold(1);
  Harness sut(
      "stage=gate max-workers=1 late-policy=repeat "
      "latency-budget=30000000",
      {.gate = &gate, .is_live = true, .has_test_clock = true});
  sut.push(0);
  sut.pull();
  sut.wait_for_stat("applied", 1);
  sut.flush();
  sut.push(1);
  gate.wait_until_held(1);
  sut.crank();
  sut.wait_for_stat("dropped", 1);
  EXPECT_EQ(sut.stats()["repeated"], 0U);
}

// ---- Seeks in a pipeline ---------------------------------------------------

// What a sink gets for a seek, from the flush to EOS.
Lines lines_after_seek(const std::string& between, gdouble rate,
                       GstState state) {
  Pipeline pipeline(
      "videotestsrc ! "
      "video/x-raw,format=GRAY8,width=8,height=8,framerate=10/1 ! " +
      between + " ! fakesink name=sink sync=false");
  const Transcript sink(pipeline.pad("sink", "sink").get());
  pipeline.set_state(state);
  sink.wait_for("0");
  EXPECT_TRUE(gst_element_seek(
      pipeline.get(), rate, GST_FORMAT_TIME,
      static_cast<GstSeekFlags>(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_ACCURATE),
      GST_SEEK_TYPE_SET, GST_SECOND, GST_SEEK_TYPE_SET, 3 * GST_SECOND));
  pipeline.set_state(GST_STATE_PLAYING);
  sink.wait_for("eos");
  const Lines all = sink.lines();
  return Lines(std::find(all.begin(), all.end(), "flush-stop"), all.end());
}

class Seek : public testing::TestWithParam<GstState> {};

TEST_P(Seek, GivesWhatThePlainPipelineGives) {
  const Lines plain = lines_after_seek("identity", 1.0, GetParam());
  ASSERT_GE(plain.size(), 20U);
  EXPECT_EQ(lines_after_seek(under_test("stage=identity max-workers=3"), 1.0,
                             GetParam()),
            plain);
}

TEST_P(Seek, GivesWhatThePlainPipelineGivesBackwards) {
  const Lines plain = lines_after_seek("identity", -1.0, GetParam());
  ASSERT_GE(plain.size(), 20U);
  EXPECT_EQ(lines_after_seek(under_test("stage=identity max-workers=3"), -1.0,
                             GetParam()),
            plain);
}

INSTANTIATE_TEST_SUITE_P(From, Seek,
                         testing::Values(GST_STATE_PAUSED, GST_STATE_PLAYING),
                         [](const auto& state) {
                           return std::string(
                               gst_element_state_get_name(state.param));
                         });

// ---- EOS -------------------------------------------------------------------

TEST(Eos, DrainsIntoASynchronisedSink) {
  Pipeline pipeline(
      "videotestsrc num-buffers=12 ! "
      "video/x-raw,format=GRAY8,width=8,height=8,framerate=200/1 ! " +
      under_test("stage=identity max-workers=3") +
      " ! fakesink name=sink sync=true");
  const Transcript sink(pipeline.pad("sink", "sink").get());
  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  EXPECT_EQ(sink.lines(),
            (Lines{"stream-start", "caps", "segment", "0", "1", "2", "3", "4",
                   "5", "6", "7", "8", "9", "10", "11", "eos"}));
}

TEST(Eos, DrainsThroughTwoInARow) {
  Pipeline pipeline(
      "videotestsrc num-buffers=200 ! "
      "video/x-raw,format=GRAY8,width=8,height=8,framerate=200/1 ! " +
      under_test("stage=identity max-workers=2 ! ") +
      under_test("stage=identity max-workers=3 ! fakesink name=sink"));
  const Transcript sink(pipeline.pad("sink", "sink").get());
  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  Lines expected{"stream-start", "caps", "segment"};
  for (int i = 0; i < 200; ++i) expected.push_back(std::to_string(i));
  expected.emplace_back("eos");
  EXPECT_EQ(sink.lines(), expected);
}

TEST(Eos, DrainsOnTwoBranches) {
  Pipeline pipeline(
      "videotestsrc num-buffers=50 ! "
      "video/x-raw,format=GRAY8,width=8,height=8,framerate=200/1 ! "
      "tee name=t ! queue ! " +
      under_test("stage=identity max-workers=2 ! fakesink name=one ") +
      "t. ! queue ! " +
      under_test("stage=identity max-workers=2 ! fakesink name=two"));
  const Transcript one(pipeline.pad("one", "sink").get());
  const Transcript two(pipeline.pad("two", "sink").get());
  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  EXPECT_EQ(one.lines(), two.lines());
  EXPECT_EQ(one.lines().size(), 50U + 4);
}

// ---- Going down ------------------------------------------------------------

TEST(State, NullDoesNotWaitForAStuckStage) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=2", {.gate = &gate, .is_apart = true});
  sut.push(0);
  gate.wait_until_held(0);
  sut.set_state(GST_STATE_NULL);  // while the gate is closed
  EXPECT_EQ(workers_of(sut.element()), 0U);
  EXPECT_EQ(sut.stats()["causes.stop"], 1U);
}

TEST(State, AStuckStageIsNotInTheWayOfTheNextRun) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=1", {.gate = &gate, .is_apart = true});
  sut.push(0);
  gate.wait_until_held(0);
  sut.set_state(GST_STATE_NULL);
  sut.set_state(GST_STATE_PLAYING);
  sut.push_event(gst_event_new_stream_start("again"));
  gst_harness_set_src_caps_str(sut.get(), kAnyCaps);
  EXPECT_EQ(sut.push(1), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_number(), 1U);
  gate.open();
  EXPECT_EQ(sut.push(2), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_number(), 2U) << "the old result came between";
  EXPECT_EQ(sut.stats()["frames-in"], 2U);
}

TEST(State, NullEndsAChainCallThatWaitsForRoom) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=1 max-buffers=1",
              {.gate = &gate, .is_apart = true});
  ChainWatch chain(sut.element());
  auto pusher = sut.push_in_background(0, 2);
  gate.wait_until_held(0);
  chain.wait_until_called(2);
  sut.set_state(GST_STATE_NULL);
  EXPECT_EQ(pusher.get(), GST_FLOW_FLUSHING);
  EXPECT_EQ(sut.stats()["causes.stop"], 1U);
  EXPECT_TRUE(sut.stats().reconciles());
}

TEST(State, NullEndsAPushThatIsBlockedDownstream) {
  Harness sut("stage=identity max-workers=2", {.is_apart = true});
  const PadPtr src(gst_element_get_static_pad(sut.element(), "src"));
  block(src.get());
  sut.push_range(0, 3);
  sut.set_state(GST_STATE_NULL);
  EXPECT_TRUE(sut.stats().reconciles());
  EXPECT_EQ(sut.stats()["in-flight"], 0U);
}

TEST(State, NullEndsTheWaitForADrain) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=1", {.gate = &gate, .is_apart = true});
  sut.push(0);
  gate.wait_until_held(0);
  std::promise<void> asked;
  gst_pad_add_probe(
      sut.get()->srcpad, GST_PAD_PROBE_TYPE_QUERY_DOWNSTREAM,
      [](GstPad*, GstPadProbeInfo* info, gpointer promise) {
        if (GST_QUERY_TYPE(GST_PAD_PROBE_INFO_QUERY(info)) != GST_QUERY_DRAIN)
          return GST_PAD_PROBE_OK;
        static_cast<std::promise<void>*>(promise)->set_value();
        return GST_PAD_PROBE_REMOVE;
      },
      &asked, nullptr);
  auto answer = std::async(std::launch::async, [&] {
    const QueryPtr query(gst_query_new_drain());
    return gst_pad_peer_query(sut.get()->srcpad, query.get()) != FALSE;
  });
  asked.get_future().wait();
  sut.set_state(GST_STATE_NULL);
  EXPECT_FALSE(answer.get());
}

// ---- An instance -----------------------------------------------------------

TEST(State, AThousandAreCreatedAndDisposed) {
  Farewell elements;
  for (int i = 0; i < 1000; ++i) {
    elements.watch(new_element().get());
  }
  EXPECT_EQ(elements.gone(), 1000U);
}

TEST(State, ThreeRoundsWithTheSameInstance) {
  Harness sut("stage=identity max-workers=2", {.caps = nullptr});
  for (int round = 0; round < 3; ++round) {
    sut.set_state(GST_STATE_PLAYING);
    sut.push_event(gst_event_new_stream_start("round"));
    gst_harness_set_src_caps_str(sut.get(), kAnyCaps);
    sut.push_event(time_segment());
    EXPECT_EQ(sut.push_range(0, 20), GST_FLOW_OK);
    for (std::uint64_t i = 0; i < 20; ++i) ASSERT_EQ(sut.pull_number(), i);
    sut.push_eos();
    sut.out().wait_for("eos", static_cast<std::size_t>(round) + 1);
    sut.set_state(GST_STATE_NULL);
    EXPECT_EQ(workers_of(sut.element()), 0U);
  }
}

TEST(State, PropertiesMayChangeWhilePlaying) {
  Harness sut("stage=identity max-workers=3");
  auto pusher = sut.push_in_background(0, 2000);
  for (std::uint64_t i = 0; i < 2000; ++i) {
    if (i % 20 == 0) {
      const auto step = static_cast<guint>(i / 20);
      g_object_set(sut.element(),                                      //
                   "max-buffers", step % 9,                            //
                   "latency-budget", guint64{step % 5} * GST_MSECOND,  //
                   "late-policy", static_cast<int>(step % 4),          //
                   "deadlines", static_cast<int>(step % 3), nullptr);
    }
    ASSERT_EQ(sut.pull_number(), i);
  }
  EXPECT_EQ(pusher.get(), GST_FLOW_OK);
  sut.wait_for_stat("applied", 2000);
}

TEST(State, MaxBytesMayChangeWhilePlaying) {
  ONLY_THREADS("with processes it bounds shared memory, in whole pages");
  Harness sut("stage=identity max-workers=3");
  auto pusher = sut.push_in_background(0, 1000);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    g_object_set(sut.element(), "max-bytes", guint64{i % 3} * 100, nullptr);
    ASSERT_EQ(sut.pull_number(), i);
  }
  EXPECT_EQ(pusher.get(), GST_FLOW_OK);
  sut.wait_for_stat("applied", 1000);
}

TEST(State, PropertiesRoundTrip) {
  const ElementPtr sut = new_element();
  const std::string most = in_its_words("max-workers");
  g_object_set(sut.get(), "stage", "identity ! identity",  //
               most.c_str(), 7U,                           //
               "latency-budget", guint64{12345678},        //
               "max-buffers", 11U,                         //
               "max-bytes", guint64{1} << 40, nullptr);
  gst_util_set_object_arg(G_OBJECT(sut.get()), "stage-state", "per-stream");
  gst_util_set_object_arg(G_OBJECT(sut.get()), "late-policy", "repeat");
  gst_util_set_object_arg(G_OBJECT(sut.get()), "deadlines", "always");
  g_autofree gchar* stage = nullptr;
  guint workers = 0;
  guint64 budget = 0;
  guint buffers = 0;
  guint64 bytes = 0;
  gint state = -1;
  gint policy = -1;
  gint deadlines = -1;
  g_object_get(sut.get(), "stage", &stage, most.c_str(), &workers,
               "latency-budget", &budget, "max-buffers", &buffers, "max-bytes",
               &bytes, "stage-state", &state, "late-policy", &policy,
               "deadlines", &deadlines, nullptr);
  EXPECT_STREQ(stage, "identity ! identity");
  EXPECT_EQ(workers, 7U);
  EXPECT_EQ(budget, 12345678U);
  EXPECT_EQ(buffers, 11U);
  EXPECT_EQ(bytes, guint64{1} << 40);
  EXPECT_EQ(state, 2);
  EXPECT_EQ(policy, 1);
  EXPECT_EQ(deadlines, 1);
}

// As it is written in a launch line.
std::string text_of(const GValue* value) {
  if (G_VALUE_HOLDS_STRING(value)) return g_value_get_string(value);
  if (G_VALUE_HOLDS_DOUBLE(value)) {
    std::ostringstream text;
    text << g_value_get_double(value);
    return text.str();
  }
  g_autofree gchar* text = gst_value_serialize(value);
  return text;
}

using Default = std::pair<const char*, std::string>;

// Of those that not every element has.
std::vector<Default> own_defaults() {
  if (chooses_levels())
    return {{"num-levels", "1"},       {"max-helpers", "0"},
            {"spare-helpers", "-1"},   {"rescue", "true"},
            {"reuse", "false"},        {"max-consecutive-skips", "0"},
            {"skip-window", "0/1"},    {"target-miss-rate", "0.01"},
            {"bypass-utility", "0.2"}, {"reuse-utility", "0.4"},
            {"current-level", "0"},    {"post-messages", "true"}};
  return {{"min-workers", "1"},    {"max-workers", "0"},
          {"spare-workers", "-1"}, {"stall-timeout", "0"},
          {"restart-limit", "5"},  {"on-exhausted", "error"}};
}

TEST(State, DefaultsAreWhatTheDocumentsSay) {
  const ElementPtr sut = new_element();
  GObjectClass* klass = G_OBJECT_GET_CLASS(sut.get());
  std::vector<Default> defaults{{"stage", ""},
                                {"stage-state", "auto"},
                                {"latency-budget", "18446744073709551615"},
                                {"late-policy", "bypass"},
                                {"deadlines", "auto"},
                                {"max-buffers", "0"},
                                {"max-bytes", "0"}};
  std::ranges::copy(own_defaults(), std::back_inserter(defaults));
  for (const auto& [name, text] : defaults) {
    GValue value = G_VALUE_INIT;
    GParamSpec* spec = g_object_class_find_property(klass, name);
    ASSERT_NE(spec, nullptr) << name;
    g_value_init(&value, spec->value_type);
    g_object_get_property(G_OBJECT(sut.get()), name, &value);
    EXPECT_EQ(text_of(&value), text) << name;
    g_value_unset(&value);
  }
}

// What gst-inspect-1.0 shows of a property.
struct Shown {
  const char* name;
  const char* unit;  // a word of its text
  int mutable_in;    // GST_PARAM_MUTABLE_*
};

class Property : public testing::TestWithParam<Shown> {};

TEST_P(Property, SaysItsUnitAndWhenItMayChange) {
  const ElementPtr sut = new_element();
  GParamSpec* spec = g_object_class_find_property(G_OBJECT_GET_CLASS(sut.get()),
                                                  GetParam().name);
  ASSERT_NE(spec, nullptr);
  EXPECT_NE(std::string(g_param_spec_get_blurb(spec)).find(GetParam().unit),
            std::string::npos)
      << g_param_spec_get_blurb(spec);
  constexpr int kMutable = GST_PARAM_MUTABLE_READY | GST_PARAM_MUTABLE_PAUSED |
                           GST_PARAM_MUTABLE_PLAYING;
  EXPECT_EQ(spec->flags & kMutable, GetParam().mutable_in);
}

std::vector<Shown> own_properties() {
  if (chooses_levels())
    return {
        {"stage", "launch description", GST_PARAM_MUTABLE_READY},
        {"num-levels", "Levels", GST_PARAM_MUTABLE_READY},
        {"max-helpers", "helper threads", GST_PARAM_MUTABLE_READY},
        {"spare-helpers", "Helpers that are kept", GST_PARAM_MUTABLE_PLAYING},
        {"rescue", "due", GST_PARAM_MUTABLE_READY},
        {"reuse", "last result", GST_PARAM_MUTABLE_READY},
        {"max-consecutive-skips", "frames", GST_PARAM_MUTABLE_READY},
        {"skip-window", "frames", GST_PARAM_MUTABLE_READY},
        {"target-miss-rate", "share", GST_PARAM_MUTABLE_READY},
        {"bypass-utility", "compared with 1", GST_PARAM_MUTABLE_READY},
        {"reuse-utility", "worth", GST_PARAM_MUTABLE_READY},
        {"current-level", "left last", 0},
        {"post-messages", "level-changed", GST_PARAM_MUTABLE_PLAYING}};
  return {
      {"stage", "launch description", GST_PARAM_MUTABLE_PLAYING},
      {"min-workers", "Workers that there are", GST_PARAM_MUTABLE_READY},
      {"max-workers", "workers that work at a time", GST_PARAM_MUTABLE_READY},
      {"spare-workers", "Workers that are kept", GST_PARAM_MUTABLE_PLAYING},
      {"stall-timeout", "nanoseconds", GST_PARAM_MUTABLE_PLAYING},
      {"restart-limit", "How many workers", GST_PARAM_MUTABLE_PLAYING},
      {"on-exhausted", "restart-limit", GST_PARAM_MUTABLE_PLAYING}};
}

std::vector<Shown> all_properties() {
  std::vector<Shown> all{
      {"stage-state", "state", GST_PARAM_MUTABLE_READY},
      {"latency-budget", "nanoseconds", GST_PARAM_MUTABLE_PLAYING},
      {"late-policy", "due time", GST_PARAM_MUTABLE_PLAYING},
      {"deadlines", "due times", GST_PARAM_MUTABLE_PLAYING},
      {"max-buffers", "frames", GST_PARAM_MUTABLE_PLAYING},
      // Of shared memory it is promised before it is needed.
      {"max-bytes", "bytes",
       has_threads() ? GST_PARAM_MUTABLE_PLAYING : GST_PARAM_MUTABLE_READY},
      {"stats", "frames", 0}};
  std::ranges::copy(own_properties(), std::back_inserter(all));
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, Property, testing::ValuesIn(all_properties()),
                         [](const auto& shown) {
                           std::string name = shown.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace dispatch::test
