// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The property `stage`: what it takes, what it refuses and how it says so, the
// settings of its elements, and what the elements of the copies say.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "hook_stage.h"
#include "recording.h"
#include "workerpool_harness.h"

namespace dispatch::test {

namespace {

const std::string kVideo =
    "videotestsrc num-buffers=6 pattern=ball ! "
    "video/x-raw,format=I420,width=32,height=24 ! identity ! ";
const std::string kSink = " ! fakesink name=out";

std::string pooled(const std::string& stage, unsigned workers = 3) {
  std::string quoted;
  for (const char c : stage) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return "workerpool name=sut max-workers=" + std::to_string(workers) +
         " stage=\"" + quoted + "\"";
}

std::vector<std::string> children_of(GstElement* bin) {
  std::vector<std::string> names;
  for (GList* l = GST_BIN_CHILDREN(bin); l != nullptr; l = l->next)
    names.emplace_back(GST_OBJECT_NAME(l->data));
  std::sort(names.begin(), names.end());
  return names;
}

// The element NAME of worker N. (transfer full) (nullable)
ElementPtr in_copy(GstElement* sut, unsigned worker, const char* name) {
  const ElementPtr copy(gst_bin_get_by_name(
      GST_BIN(sut), ("worker" + std::to_string(worker)).c_str()));
  if (!copy) return nullptr;
  return ElementPtr(gst_bin_get_by_name(GST_BIN(copy.get()), name));
}

double saturation_of(GstElement* element) {
  double value = -1;
  g_object_get(element, "saturation", &value, nullptr);
  return value;
}

void set_saturation(GstElement* sut, const char* path, double value) {
  gst_child_proxy_set(GST_CHILD_PROXY(sut), path, value, nullptr);
}

// ---- Descriptions ----------------------------------------------------------

struct Description {
  const char* name;
  const char* stage;
};
void PrintTo(const Description& description, std::ostream* stream) {
  *stream << description.stage;
}

class Accepts : public testing::TestWithParam<Description> {};

// Beside the plain pipeline with the same text in the same place.
TEST_P(Accepts, TheFramesOfThePlainPipeline) {
  const std::string stage = GetParam().stage;
  const auto plain = frames_of(kVideo + stage + kSink);
  ASSERT_EQ(plain.size(), 6U);
  EXPECT_EQ(frames_of(kVideo + pooled(stage) + kSink), plain);
}

INSTANTIATE_TEST_SUITE_P(
    Stage, Accepts,
    testing::Values(
        Description{"OneElement", "videobalance saturation=0"},
        Description{"Chain", "videoconvert ! videoflip method=clockwise"},
        Description{"LeadingCaps",
                    "video/x-raw,format=I420 ! videoflip method=clockwise"},
        Description{"TrailingCaps", "videoconvert ! video/x-raw,format=BGRx"},
        Description{"CapsAtBothEnds",
                    "video/x-raw,format=I420 ! videoconvert ! "
                    "video/x-raw,format=BGRx"},
        Description{"OnlyCaps", "video/x-raw,format=I420"},
        Description{"QuotedValue",
                    "videoconvert ! capsfilter "
                    "caps=\"video/x-raw,format=BGRx\""},
        Description{"NamedElements",
                    "videobalance name=grey saturation=0 ! identity name=x"},
        Description{"NamesOfThePorts",
                    "identity name=feeder ! identity name=collector"},
        Description{"WhiteSpace", "  videobalance\tsaturation=0\n ! identity "},
        Description{"Bin", "( videoconvert ! videobalance saturation=0 )"},
        Description{"NamedBin", "bin.( videobalance saturation=0 ! identity )"},
        Description{"BinInTheMiddle",
                    "identity ! ( videobalance saturation=0 ! identity ) ! "
                    "identity"},
        Description{"BinInFront",
                    "( videobalance saturation=0 ! identity ) ! identity"},
        Description{"BinBehind",
                    "identity ! ( videobalance saturation=0 ! identity )"},
        Description{"BinInABin", "( identity ! ( identity ! identity ) )"},
        Description{"ElementThatIsABin", "autovideoconvert"}),
    [](const auto& test) { return test.param.name; });

TEST(Stage, MayHaveAnOptionalSecondSinkPad) {
  register_hook_stages();
  const auto plain = frames_of(kVideo + "identity" + kSink);
  EXPECT_EQ(frames_of(kVideo + pooled("overlaystage") + kSink), plain);
  EXPECT_EQ(frames_of(kVideo + pooled("identity ! overlaystage") + kSink),
            plain);
}

TEST(Stage, TakesTextoverlay) {
  const stage::ObjectPtr<GstElementFactory> factory(
      gst_element_factory_find("textoverlay"));
  if (!factory) GTEST_SKIP() << "no textoverlay on this machine";
  const std::string overlay = "textoverlay text=x";
  EXPECT_EQ(frames_of(kVideo + pooled(overlay) + kSink),
            frames_of(kVideo + overlay + kSink));
}

// ---- Refusals --------------------------------------------------------------

struct Refusal {
  const char* name;
  const char* stage;
  std::vector<const char*> says;  // each of them somewhere in the message
};
void PrintTo(const Refusal& refusal, std::ostream* stream) {
  *stream << refusal.stage;
}

class Refuses : public testing::TestWithParam<Refusal> {};

TEST_P(Refuses, WithOneErrorAndWorksAfterwards) {
  register_hook_stages();
  const Refusal& refusal = GetParam();
  Pipeline pipeline(kVideo + "workerpool name=sut max-workers=3" + kSink);
  const ElementPtr sut = pipeline.by_name("sut");
  g_object_set(sut.get(), "stage", refusal.stage, nullptr);

  EXPECT_EQ(gst_element_set_state(pipeline.get(), GST_STATE_PLAYING),
            GST_STATE_CHANGE_FAILURE);

  const MessagePtr message = pipeline.wait(GST_MESSAGE_ERROR);
  EXPECT_EQ(GST_MESSAGE_SRC(message.get()), GST_OBJECT_CAST(sut.get()));
  g_autoptr(GError) error = nullptr;
  gst_message_parse_error(message.get(), &error, nullptr);
  EXPECT_TRUE(
      g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS));
  const std::string text = Messages::text(message.get());
  for (const char* part : refusal.says)
    EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
  const stage::ObjectPtr<GstBus> bus(gst_element_get_bus(pipeline.get()));
  EXPECT_FALSE(MessagePtr(gst_bus_pop_filtered(bus.get(), GST_MESSAGE_ERROR)));
  EXPECT_EQ(children_of(sut.get()), std::vector<std::string>());

  gst_element_set_state(pipeline.get(), GST_STATE_NULL);
  g_object_set(sut.get(), "stage", "identity", nullptr);
  const Recording recording(pipeline.pad("out", "sink").get());
  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  EXPECT_EQ(recording.frames().size(), 6U);
}

INSTANTIATE_TEST_SUITE_P(
    Stage, Refuses,
    testing::Values(
        Refusal{"Empty", "", {"stage", "empty", "launch description"}},
        Refusal{"White", " \t", {"stage", "empty", "launch description"}},
        Refusal{"UnknownElement", "identity ! nosuchthing", {"nosuchthing"}},
        Refusal{"UnknownProperty", "identity nosuch=1", {"nosuch", "identity"}},
        Refusal{"SyntaxError", "identity !! identity", {"syntax"}},
        Refusal{"OpenEnd", "identity !", {"syntax"}},
        Refusal{"ImpossibleCaps",
                "videoconvert ! video/x-raw,format=NOPE",
                {"videoconvert", "link"}},
        Refusal{"TwoOpenPads",
                "videoconvert videoscale",
                {"videoconvert0", "videoscale0", "'!'"}},
        Refusal{"TwoOpenPadsInABin",
                "( videoconvert videoscale )",
                {"videoconvert0", "videoscale0", "'!'"}},
        Refusal{"TwoOpenPadsInABinInFront",
                "( videoconvert videoscale ) ! identity",
                {"videoconvert0", "videoscale0"}},
        Refusal{"NoMainPad", "twinstage", {"twinstage0", "main"}},
        Refusal{"RequestPads", "tee", {"tee0", "request pads", "before or"}},
        Refusal{"RequestSinkPads", "funnel", {"funnel0", "request pads"}},
        Refusal{"LinkedRequestPads",
                "tee name=t t. ! identity",
                {"'t'", "request pads", "before or after"}},
        Refusal{"RequestPadsInABin",
                "identity ! ( tee name=t t. ! identity ) ! identity",
                {"'t'", "request pads", "before or after"}},
        Refusal{"SometimesPads", "decodebin", {"decodebin0", "adds pads"}},
        Refusal{"SometimesPadsInABin",
                "( decodebin ! identity )",
                {"decodebin0", "adds pads", "before or after"}},
        Refusal{"Source",
                "videotestsrc ! identity",
                {"videotestsrc0", "source", "before or after"}},
        Refusal{"Sink",
                "identity ! fakesink",
                {"fakesink0", "sink", "before or after"}},
        Refusal{"Queue", "queue", {"queue0", "thread", "'stage'"}},
        Refusal{"QueueBehind",
                "identity ! queue",
                {"queue0", "thread", "out of the property 'stage'"}},
        Refusal{"QueueInABin",
                "identity ! ( identity ! queue name=q ) ! identity",
                {"'q'", "thread", "out of the property 'stage'"}},
        Refusal{"QueueInABinAlone", "( identity ! queue )", {"queue0"}},
        Refusal{"Multiqueue", "multiqueue", {"multiqueue0"}},
        Refusal{"Itself", "workerpool stage=identity", {"workerpool0"}},
        Refusal{"InterCoderWithSeveralWorkers",
                "x264enc",
                {"3 workers", "x264enc0", "max-workers=1", "stage-state=none"}},
        Refusal{"InterCoderInABin",
                "( identity ! x264enc ) ! identity",
                {"3 workers", "x264enc0", "max-workers=1", "stage-state=none"}},
        Refusal{"AudioWithSeveralWorkers",
                "audioconvert",
                {"3 workers", "audioconvert0", "audio", "max-workers=1"}}),
    [](const auto& test) { return test.param.name; });

TEST(Stage, RefusesSeveralWorkersForWhatIsDeclaredPerStream) {
  Pipeline pipeline(kVideo + pooled("identity") + " stage-state=per-stream" +
                    kSink);
  EXPECT_FALSE(pipeline.run_to_eos());
  for (const char* part : {"3 workers", "per-stream", "max-workers=1"})
    EXPECT_NE(pipeline.error().find(part), std::string::npos)
        << pipeline.error();

  gst_element_set_state(pipeline.get(), GST_STATE_NULL);
  g_object_set(pipeline.by_name("sut").get(), "max-workers", 1, nullptr);
  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
}

// A refusal that only the stream can bring: the error comes from the element
// and names what was found.
std::string error_of(const std::string& launch) {
  Pipeline pipeline(launch);
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  const MessagePtr message = pipeline.wait(
      static_cast<GstMessageType>(GST_MESSAGE_ERROR | GST_MESSAGE_EOS));
  if (GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_EOS) return "none";
  EXPECT_STREQ(GST_OBJECT_NAME(GST_MESSAGE_SRC(message.get())), "sut");
  return Messages::text(message.get());
}

TEST(Stage, RefusesH264WithSeveralWorkers) {
  const std::string error =
      error_of(kVideo + "x264enc speed-preset=ultrafast ! " +
               pooled("identity") + kSink);
  EXPECT_NE(error.find("3 workers"), std::string::npos) << error;
  EXPECT_NE(error.find("video/x-h264"), std::string::npos) << error;
  EXPECT_NE(error.find("max-workers=1"), std::string::npos) << error;
}

TEST(Stage, RefusesAudioWithSeveralWorkers) {
  const std::string error =
      error_of("audiotestsrc num-buffers=3 ! " + pooled("identity") + kSink);
  EXPECT_NE(error.find("3 workers"), std::string::npos) << error;
  EXPECT_NE(error.find("audio"), std::string::npos) << error;
  EXPECT_NE(error.find("stage-state=none"), std::string::npos) << error;
}

TEST(Stage, MayBeDeclaredIndependentAgainstTheMediaType) {
  const std::string source = "audiotestsrc num-buffers=9 ! ";
  EXPECT_EQ(
      frames_of(source + pooled("identity") + " stage-state=none" + kSink),
      frames_of(source + "identity" + kSink));
}

TEST(Stage, RefusesADeltaUnitThatComesIn) {
  Harness sut("stage=identity max-workers=2");
  BufferPtr delta = numbered_buffer(0);
  GST_BUFFER_FLAG_SET(delta.get(), GST_BUFFER_FLAG_DELTA_UNIT);

  EXPECT_EQ(sut.push(std::move(delta)), GST_FLOW_ERROR);

  const MessagePtr message = sut.messages().wait(GST_MESSAGE_ERROR);
  const std::string text = Messages::text(message.get());
  EXPECT_NE(text.find("earlier frames"), std::string::npos) << text;
  EXPECT_NE(text.find("stage-state=per-stream"), std::string::npos) << text;
}

TEST(Stage, RefusesADeltaUnitThatComesOut) {
  register_hook_stages();
  HarnessOptions options;
  options.prepare = [](GstElement* element) {
    hook_copies(element, [](unsigned) {
      StageHooks hooks;
      hooks.on_buffer = [](GstElement* self, GstBuffer* buffer) {
        buffer = gst_buffer_make_writable(buffer);
        GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
        return push_on(self, buffer);
      };
      return hooks;
    });
  };
  Harness sut("stage=hookstage max-workers=1", options);

  sut.push(0);

  const MessagePtr message = sut.messages().wait(GST_MESSAGE_ERROR);
  const std::string text = Messages::text(message.get());
  EXPECT_NE(text.find("worker0"), std::string::npos) << text;
  EXPECT_NE(text.find("depends on other frames"), std::string::npos) << text;
  EXPECT_NE(text.find("stage-state=per-stream"), std::string::npos) << text;
}

// The copy of worker N gives "application/x-own,worker=N".
void choose_by_worker(GstElement* sut) {
  hook_copies(sut, [](unsigned worker) {
    StageHooks hooks;
    hooks.on_event = [worker](GstElement* self, GstEvent* event) {
      if (GST_EVENT_TYPE(event) != GST_EVENT_CAPS)
        return push_event_on(self, event);
      gst_event_unref(event);
      const CapsPtr caps(gst_caps_new_simple(
          "application/x-own", "worker", G_TYPE_INT, gint(worker), nullptr));
      return push_event_on(self, gst_event_new_caps(caps.get()));
    };
    return hooks;
  });
}

// Whether it listens to what downstream takes, as identity does for it, or not.
TEST(Stage, RefusesCopiesThatChooseDifferentCaps) {
  register_hook_stages();
  for (const char* stage :
       {"\"identity ! hookstage\"", "\"hookstage ! identity\""}) {
    Gate gate;
    gate.hold(1);
    HarnessOptions options;
    options.gate = &gate;
    options.prepare = choose_by_worker;
    Harness sut(std::string("max-workers=2 stage=") + stage, options);

    sut.push(0);  // its copy chooses
    sut.pull();
    sut.push(1);
    gate.wait_until_held(1);
    sut.push(2);

    const MessagePtr message = sut.messages().wait(GST_MESSAGE_ERROR);
    const std::string text = Messages::text(message.get());
    for (const char* part :
         {"worker1", "application/x-own, worker=(int)0", "'stage'"})
      EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
    gate.open();
    EXPECT_EQ(sut.pull_number(), 1U);
    sut.wait_for_stat("in-flight", 0);
    EXPECT_EQ(sut.push(3), GST_FLOW_NOT_NEGOTIATED);
    EXPECT_FALSE(sut.has_output());
  }
}

// ---- Names and settings ----------------------------------------------------

TEST(Stage, HasTheSameNamesInEveryCopy) {
  Harness sut(
      "stage=\"identity ! videobalance name=grey ! ( identity ! videobalance ) "
      "! identity\" max-workers=3");
  const ElementPtr first(
      gst_bin_get_by_name(GST_BIN(sut.element()), "worker0"));
  const auto names = children_of(first.get());
  EXPECT_TRUE(std::ranges::count(names, "identity0"));
  EXPECT_TRUE(std::ranges::count(names, "grey"));
  for (const char* worker : {"worker1", "worker2"}) {
    const ElementPtr copy(gst_bin_get_by_name(GST_BIN(sut.element()), worker));
    EXPECT_EQ(children_of(copy.get()), names);
    for (const char* nested : {"identity1", "videobalance0", "identity2"})
      EXPECT_TRUE(ElementPtr(gst_bin_get_by_name(GST_BIN(copy.get()), nested)))
          << nested;
  }
}

// A pipeline inside would choose a clock and a base time for itself.
TEST(Stage, IsInABin) {
  for (const char* stage :
       {"identity", "\"identity ! identity\"", "\"( identity ! identity )\""}) {
    Harness sut(std::string("max-workers=1 stage=") + stage);
    const ElementPtr copy(
        gst_bin_get_by_name(GST_BIN(sut.element()), "worker0"));
    EXPECT_STREQ(G_OBJECT_TYPE_NAME(copy.get()), "GstBin") << stage;
  }
}

TEST(Stage, NamesOfTheUserAreNotGivenToOthers) {
  // GStreamer counts for the process; "identity0" is taken before.
  const ElementPtr counted(
      stage::sink_object(gst_element_factory_make("identity", nullptr)));
  Harness sut("stage=\"identity ! identity name=identity0\" max-workers=2");
  for (unsigned worker = 0; worker < 2; ++worker) {
    EXPECT_TRUE(in_copy(sut.element(), worker, "identity0"));
    EXPECT_TRUE(in_copy(sut.element(), worker, "identity1"));
  }
}

TEST(Stage, SettingsReachAllCopiesWhenTheyAreMade) {
  HarnessOptions options;
  options.prepare = [](GstElement* element) {
    set_saturation(element, "stage::videobalance0::saturation", 0.25);
  };
  Harness sut("stage=videobalance max-workers=3", options);

  for (unsigned worker = 0; worker < 3; ++worker)
    EXPECT_EQ(
        saturation_of(in_copy(sut.element(), worker, "videobalance0").get()),
        0.25);
}

TEST(Stage, SettingsReachAllCopiesWhilePlaying) {
  Harness sut("stage=\"videobalance name=grey\" max-workers=3");
  for (const double value : {0.5, 0.125}) {
    set_saturation(sut.element(), "stage::grey::saturation", value);
    for (unsigned worker = 0; worker < 3; ++worker)
      EXPECT_EQ(saturation_of(in_copy(sut.element(), worker, "grey").get()),
                value);
  }
}

TEST(Stage, SettingsReachElementsInBins) {
  Harness sut(
      "stage=\"identity ! ( identity ! videobalance ) ! identity\" "
      "max-workers=2");
  set_saturation(sut.element(), "stage::bin0::videobalance0::saturation", 0.5);
  for (unsigned worker = 0; worker < 2; ++worker)
    EXPECT_EQ(
        saturation_of(in_copy(sut.element(), worker, "videobalance0").get()),
        0.5);
}

TEST(Stage, SettingsOutliveNull) {
  Harness sut("stage=videobalance max-workers=2");
  set_saturation(sut.element(), "stage::videobalance0::saturation", 0.5);
  for (int round = 0; round < 2; ++round) {
    sut.set_state(GST_STATE_NULL);
    sut.set_state(GST_STATE_PLAYING);
    for (unsigned worker = 0; worker < 2; ++worker)
      EXPECT_EQ(
          saturation_of(in_copy(sut.element(), worker, "videobalance0").get()),
          0.5);
  }
}

TEST(Stage, SettingsCanBeReadBack) {
  Harness sut("stage=videobalance max-workers=2");
  set_saturation(sut.element(), "stage::videobalance0::saturation", 0.5);
  double value = 0;
  gst_child_proxy_get(GST_CHILD_PROXY(sut.element()),
                      "stage::videobalance0::saturation", &value, nullptr);
  EXPECT_EQ(value, 0.5);
}

TEST(Stage, SettingsCanBeInTheLaunchLine) {
  Pipeline pipeline(kVideo + pooled("videobalance") +
                    " stage::videobalance0::saturation=0.5" + kSink);
  pipeline.set_state(GST_STATE_PAUSED);
  const ElementPtr sut = pipeline.by_name("sut");
  for (unsigned worker = 0; worker < 3; ++worker)
    EXPECT_EQ(saturation_of(in_copy(sut.get(), worker, "videobalance0").get()),
              0.5);
}

TEST(Stage, SettingsChangeWhatLeaves) {
  const auto grey = frames_of(kVideo + "videobalance saturation=0" + kSink);
  EXPECT_EQ(frames_of(kVideo + pooled("videobalance") +
                      " stage::videobalance0::saturation=0" + kSink),
            grey);
}

TEST(Stage, SettingsAreForgottenWithTheDescription) {
  Harness sut("stage=videobalance max-workers=2");
  set_saturation(sut.element(), "stage::videobalance0::saturation", 0.5);
  sut.set_state(GST_STATE_NULL);
  g_object_set(sut.element(), "stage", "identity ! videobalance", nullptr);
  sut.set_state(GST_STATE_PLAYING);
  for (unsigned worker = 0; worker < 2; ++worker)
    EXPECT_EQ(
        saturation_of(in_copy(sut.element(), worker, "videobalance0").get()),
        1.0);
}

TEST(Stage, HasNoChildWhileItCannotBeParsed) {
  const ElementPtr sut(
      stage::sink_object(gst_element_factory_make_with_properties(
          "workerpool", 0, nullptr, nullptr)));
  ASSERT_TRUE(sut);
  auto* proxy = GST_CHILD_PROXY(sut.get());
  for (const char* description : {"", "nosuchthing"}) {
    g_object_set(sut.get(), "stage", description, nullptr);
    EXPECT_EQ(gst_child_proxy_get_child_by_name(proxy, "stage"), nullptr);
    EXPECT_EQ(gst_child_proxy_get_children_count(proxy), 0U);
  }
}

TEST(Stage, CopiesCanBeLookedAtOneByOne) {
  Harness sut("stage=\"videobalance name=grey\" max-workers=2");
  auto* proxy = GST_CHILD_PROXY(sut.element());
  set_saturation(sut.element(), "worker1::grey::saturation", 0.5);
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

TEST(Stage, SetupIsSignalledForEachCopyBeforeItRuns) {
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

// ---- What the copies say ---------------------------------------------------

TEST(Stage, ErrorIsPostedOnceWithTheNumberOfTheWorker) {
  register_hook_stages();
  constexpr unsigned kWorkers = 3;
  Gate gate;
  gate.hold_all();
  HarnessOptions options;
  options.gate = &gate;
  options.prepare = [](GstElement* element) {
    hook_copies(element, [](unsigned worker) {
      StageHooks hooks;
      hooks.on_buffer = [worker](GstElement* self, GstBuffer* buffer) {
        gst_buffer_unref(buffer);
        GST_ELEMENT_ERROR(self, STREAM, DECODE, ("It broke."),
                          ("by worker %u", worker));
        return GST_FLOW_ERROR;
      };
      return hooks;
    });
  };
  Harness sut("stage=\"identity ! hookstage name=bad\" max-workers=3", options);
  sut.push_range(0, kWorkers);
  gate.wait_until_holding(kWorkers);
  gate.open();
  sut.wait_for_stat("in-flight", 0);

  const MessagePtr message = sut.messages().wait(GST_MESSAGE_ERROR);
  EXPECT_EQ(GST_MESSAGE_SRC(message.get()), GST_OBJECT_CAST(sut.element()));
  g_autoptr(GError) error = nullptr;
  g_autofree gchar* debug = nullptr;
  gst_message_parse_error(message.get(), &error, &debug);
  EXPECT_TRUE(
      g_error_matches(error, GST_STREAM_ERROR, GST_STREAM_ERROR_DECODE));
  const std::string text = error->message;
  const std::string worker =
      std::string(debug).substr(std::string(debug).find("by worker ") + 10, 1);
  EXPECT_NE(text.find("worker" + worker), std::string::npos) << text << debug;
  EXPECT_NE(text.find("'bad'"), std::string::npos) << text;
  EXPECT_NE(text.find("It broke."), std::string::npos) << text;
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_ERROR), 0U);
  EXPECT_EQ(sut.push(9), GST_FLOW_ERROR);
}

// An error of the run before does not silence the next run's.
TEST(Stage, ErrorIsPostedAgainAfterNull) {
  Harness sut("stage=\"identity error-after=1\" max-workers=1");
  for (int round = 0; round < 2; ++round) {
    sut.push(0);
    EXPECT_TRUE(sut.messages().wait(GST_MESSAGE_ERROR));
    sut.set_state(GST_STATE_NULL);
    sut.set_state(GST_STATE_PLAYING);
    gst_harness_set_src_caps_str(sut.get(), kAnyCaps);
  }
}

TEST(Stage, WarningsAndElementMessagesPass) {
  register_hook_stages();
  HarnessOptions options;
  options.prepare = [](GstElement* element) {
    hook_copies(element, [](unsigned) {
      StageHooks hooks;
      hooks.on_buffer = [](GstElement* self, GstBuffer* buffer) {
        GST_ELEMENT_WARNING(self, STREAM, DECODE, ("Looks odd."), (nullptr));
        gst_element_post_message(
            self, gst_message_new_element(GST_OBJECT_CAST(self),
                                          gst_structure_new_empty("level")));
        return push_on(self, buffer);
      };
      return hooks;
    });
  };
  Harness sut("stage=hookstage max-workers=1", options);
  sut.push(0);
  EXPECT_EQ(sut.pull_number(), 0U);

  MessagePtr message = sut.messages().wait(GST_MESSAGE_WARNING);
  EXPECT_STREQ(GST_OBJECT_NAME(GST_MESSAGE_SRC(message.get())), "hookstage0");
  message = sut.messages().wait(GST_MESSAGE_ELEMENT);
  EXPECT_TRUE(gst_message_has_name(message.get(), "level"));
}

// ---- Contexts --------------------------------------------------------------

constexpr char kTestContext[] = "test.context";

std::string domain_of(GstElement* element) {
  const stage::MiniPtr<GstContext> context(
      gst_element_get_context(element, "gst-dispatch.domain"));
  if (!context) return {};
  const GValue* domain = gst_structure_get_value(
      gst_context_get_structure(context.get()), "domain");
  g_autofree gchar* text = g_strdup_printf("%p", g_value_get_object(domain));
  return text;
}

TEST(Stage, ContextOfTheApplicationReachesEveryCopy) {
  register_hook_stages();
  std::atomic<unsigned> answered{0};
  Pipeline pipeline(kVideo + "workerpool name=sut max-workers=3" + kSink);
  const ElementPtr sut = pipeline.by_name("sut");
  g_object_set(sut.get(), "stage", "hookstage", nullptr);
  hook_copies(sut.get(), [&](unsigned) {
    StageHooks hooks;
    hooks.on_null_to_ready = [](GstElement* self) {
      gst_element_post_message(self, gst_message_new_need_context(
                                         GST_OBJECT_CAST(self), kTestContext));
    };
    hooks.on_context = [&](GstElement*, GstContext* context) {
      if (gst_context_has_context_type(context, kTestContext)) ++answered;
    };
    return hooks;
  });
  const stage::ObjectPtr<GstBus> bus(gst_element_get_bus(pipeline.get()));
  gst_bus_set_sync_handler(
      bus.get(),
      [](GstBus*, GstMessage* message, gpointer) {
        const gchar* type = nullptr;
        if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_NEED_CONTEXT &&
            gst_message_parse_context_type(message, &type) &&
            std::string(type) == kTestContext) {
          const stage::MiniPtr<GstContext> context(
              gst_context_new(kTestContext, TRUE));
          gst_element_set_context(GST_ELEMENT_CAST(GST_MESSAGE_SRC(message)),
                                  context.get());
        }
        return GST_BUS_PASS;
      },
      nullptr, nullptr);

  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  EXPECT_EQ(answered, 3U);
}

// As elements with a device do: the first one that finds nobody to ask makes a
// context, and the others get it.
TEST(Stage, ContextOfOneCopyReachesTheOthers) {
  register_hook_stages();
  std::atomic<unsigned> made{0};
  std::atomic<unsigned> got{0};
  HarnessOptions options;
  options.prepare = [&](GstElement* element) {
    hook_copies(element, [&](unsigned) {
      auto has = std::make_shared<bool>(false);
      StageHooks hooks;
      hooks.on_context = [&, has](GstElement*, GstContext* context) {
        if (!gst_context_has_context_type(context, kTestContext)) return;
        *has = true;
        ++got;
      };
      hooks.on_null_to_ready = [&, has](GstElement* self) {
        auto* object = GST_OBJECT_CAST(self);
        gst_element_post_message(
            self, gst_message_new_need_context(object, kTestContext));
        if (*has) return;
        ++made;
        gst_element_post_message(
            self, gst_message_new_have_context(
                      object, gst_context_new(kTestContext, TRUE)));
      };
      return hooks;
    });
  };
  Harness sut("stage=hookstage max-workers=3", options);
  EXPECT_EQ(made, 1U);
  EXPECT_GE(got, 2U);
}

TEST(Domain, IsSharedInOnePipeline) {
  Pipeline pipeline(
      kVideo +
      "workerpool name=a stage=identity ! ( workerpool name=b stage=identity ) "
      "! tee name=t ! queue ! workerpool name=c stage=identity ! fakesink "
      "async=false t. ! fakesink async=false "
      "videotestsrc num-buffers=1 ! workerpool name=d stage=identity ! "
      "fakesink async=false");
  pipeline.set_state(GST_STATE_PAUSED);
  const std::string domain = domain_of(pipeline.by_name("a").get());
  EXPECT_FALSE(domain.empty());
  for (const char* name : {"b", "c", "d"})
    EXPECT_EQ(domain_of(pipeline.by_name(name).get()), domain) << name;
}

TEST(Domain, IsNotSharedWithAnotherPipeline) {
  const std::string line = kVideo + pooled("identity") + kSink;
  Pipeline one(line);
  Pipeline other(line);
  one.set_state(GST_STATE_PAUSED);
  other.set_state(GST_STATE_PAUSED);
  EXPECT_NE(domain_of(one.by_name("sut").get()),
            domain_of(other.by_name("sut").get()));
}

}  // namespace

}  // namespace dispatch::test
