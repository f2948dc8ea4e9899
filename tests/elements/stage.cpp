// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The property `stage`: what it takes, what it refuses and how it says so, the
// settings of its elements, and what the elements of the copies say.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "element_harness.h"
#include "recording.h"

namespace dispatch::test {

namespace {

const std::string kVideo =
    "videotestsrc num-buffers=6 pattern=ball ! "
    "video/x-raw,format=I420,width=32,height=24 ! identity ! ";
const std::string kSink = " ! fakesink name=out";

// The element under test, "sut", with that stage.
std::string with_stage(const std::string& stage, unsigned workers = 3) {
  std::string quoted;
  for (const char c : stage) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return under_test("name=sut max-workers=" + std::to_string(workers) +
                    " stage=\"" + quoted + "\"");
}

// Sends a frame through each of `workers` copies, whose stage has a gate, and
// returns what the `spies` behind it tell of it, by copy.
std::map<std::string, std::vector<Spied>> spied_in_each(Harness& sut,
                                                        Gate& gate,
                                                        unsigned workers,
                                                        unsigned spies = 1) {
  const std::uint64_t first = gate.seen().size();
  gate.hold_all();
  sut.push_range(first, first + workers);
  gate.wait_until_holding(workers);
  gate.open();
  sut.pull_numbers(workers);
  std::map<std::string, std::vector<Spied>> by_copy;
  for (unsigned told = 0; told < workers * spies;) {
    Spied spied = next_spied(sut.messages());
    if (!spied.is_frame) continue;
    by_copy[spied.copy].push_back(std::move(spied));
    ++told;
  }
  return by_copy;
}

// The property `mark` of the spy in each copy, if it is the same in all.
int mark_in_each(Harness& sut, Gate& gate, unsigned workers) {
  const auto by_copy = spied_in_each(sut, gate, workers);
  EXPECT_EQ(by_copy.size(), workers);
  const int mark = by_copy.begin()->second.front().mark;
  for (const auto& [copy, all] : by_copy) EXPECT_EQ(all.front().mark, mark);
  return mark;
}

void set_mark(GstElement* sut, const char* path, int mark) {
  gst_child_proxy_set(GST_CHILD_PROXY(sut), path, mark, nullptr);
}

// A new run, as far as the first frame.
void start_again(Harness& sut) {
  sut.set_state(GST_STATE_PLAYING);
  sut.push_event(gst_event_new_stream_start("again"));
  gst_harness_set_src_caps_str(sut.get(), kAnyCaps);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  sut.push_event(gst_event_new_segment(&segment));
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
  EXPECT_EQ(frames_of(kVideo + with_stage(stage) + kSink), plain);
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
        Description{"ElementThatIsABin", "autovideoconvert"},
        // Its caps are video without a size that GStreamer knows.
        Description{"PicturesThatAreNotRaw", "videoconvert ! rgb2bayer"}),
    [](const auto& test) { return test.param.name; });

TEST(Stage, MayHaveAnOptionalSecondSinkPad) {
  const auto plain = frames_of(kVideo + "identity" + kSink);
  EXPECT_EQ(frames_of(kVideo + with_stage("overlaystage") + kSink), plain);
  EXPECT_EQ(frames_of(kVideo + with_stage("identity ! overlaystage") + kSink),
            plain);
}

TEST(Stage, TakesTextoverlay) {
  const stage::ObjectPtr<GstElementFactory> factory(
      gst_element_factory_find("textoverlay"));
  if (!factory) GTEST_SKIP() << "no textoverlay on this machine";
  const std::string overlay = "textoverlay text=x";
  EXPECT_EQ(frames_of(kVideo + with_stage(overlay) + kSink),
            frames_of(kVideo + overlay + kSink));
}

// ---- Refusals --------------------------------------------------------------

// One error from the element with each of `says` in it, no worker left, and the
// element works afterwards.
void expect_refusal(const std::string& stage,
                    const std::vector<std::string>& says) {
  Pipeline pipeline(kVideo + under_test("name=sut max-workers=3") + kSink);
  const ElementPtr sut = pipeline.by_name("sut");
  g_object_set(sut.get(), "stage", stage.c_str(), nullptr);

  EXPECT_EQ(gst_element_set_state(pipeline.get(), GST_STATE_PLAYING),
            GST_STATE_CHANGE_FAILURE);

  const MessagePtr message = pipeline.wait(GST_MESSAGE_ERROR);
  EXPECT_EQ(GST_MESSAGE_SRC(message.get()), GST_OBJECT_CAST(sut.get()));
  g_autoptr(GError) error = nullptr;
  gst_message_parse_error(message.get(), &error, nullptr);
  EXPECT_TRUE(
      g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_SETTINGS));
  const std::string text = Messages::text(message.get());
  for (const std::string& part : says)
    EXPECT_NE(text.find(in_its_words(part)), std::string::npos)
        << part << " in: " << text;
  const stage::ObjectPtr<GstBus> bus(gst_element_get_bus(pipeline.get()));
  EXPECT_FALSE(MessagePtr(gst_bus_pop_filtered(bus.get(), GST_MESSAGE_ERROR)));
  EXPECT_EQ(workers_of(sut.get()), 0U);

  gst_element_set_state(pipeline.get(), GST_STATE_NULL);
  g_object_set(sut.get(), "stage", "identity", nullptr);
  const Recording recording(pipeline.pad("out", "sink").get());
  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  EXPECT_EQ(recording.frames().size(), 6U);
}

struct Refusal {
  const char* name;
  const char* stage;
  std::vector<std::string> says;
};
void PrintTo(const Refusal& refusal, std::ostream* stream) {
  *stream << refusal.stage;
}

class Refuses : public testing::TestWithParam<Refusal> {};

TEST_P(Refuses, WithOneErrorAndWorksAfterwards) {
  expect_refusal(GetParam().stage, GetParam().says);
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

TEST(Stage, RefusesTheElementItself) {
  NOT_WITH_LEVELS("inside a stage it has no threads, and may stand there");
  expect_refusal(under_test("stage=identity"), {element_under_test() + "0"});
}

TEST(Stage, RefusesSeveralWorkersForWhatIsDeclaredPerStream) {
  Pipeline pipeline(kVideo + with_stage("identity") +
                    " stage-state=per-stream" + kSink);
  EXPECT_FALSE(pipeline.run_to_eos());
  const std::string most = in_its_words("max-workers");
  for (const std::string& part :
       {in_its_words("3 workers"), std::string("per-stream"), most + "=1"})
    EXPECT_NE(pipeline.error().find(part), std::string::npos)
        << pipeline.error();

  gst_element_set_state(pipeline.get(), GST_STATE_NULL);
  g_object_set(pipeline.by_name("sut").get(), most.c_str(), 1, nullptr);
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
               with_stage("identity") + kSink);
  EXPECT_NE(error.find(in_its_words("3 workers")), std::string::npos) << error;
  EXPECT_NE(error.find("video/x-h264"), std::string::npos) << error;
  EXPECT_NE(error.find(in_its_words("max-workers=1")), std::string::npos)
      << error;
}

TEST(Stage, RefusesAudioWithSeveralWorkers) {
  const std::string error = error_of("audiotestsrc num-buffers=3 ! " +
                                     with_stage("identity") + kSink);
  EXPECT_NE(error.find(in_its_words("3 workers")), std::string::npos) << error;
  EXPECT_NE(error.find("audio"), std::string::npos) << error;
  EXPECT_NE(error.find("stage-state=none"), std::string::npos) << error;
}

TEST(Stage, MayBeDeclaredIndependentAgainstTheMediaType) {
  const std::string source = "audiotestsrc num-buffers=9 ! ";
  EXPECT_EQ(
      frames_of(source + with_stage("identity") + " stage-state=none" + kSink),
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
  Harness sut("stage=\"oddstage does=mark-delta\" max-workers=1");

  sut.push(0);

  const MessagePtr message = sut.messages().wait(GST_MESSAGE_ERROR);
  const std::string text = Messages::text(message.get());
  EXPECT_NE(text.find("worker0"), std::string::npos) << text;
  EXPECT_NE(text.find("depends on other frames"), std::string::npos) << text;
  EXPECT_NE(text.find("stage-state=per-stream"), std::string::npos) << text;
}

// Whether it listens to what downstream takes, as the gate does for it, or not.
TEST(Stage, RefusesCopiesThatChooseDifferentCaps) {
  for (const char* stage : {"\"gate ! oddstage does=choose-caps\"",
                            "\"oddstage does=choose-caps ! gate\""}) {
    Gate gate;
    gate.hold(1);
    // With "bypass" the first caps would be those that come.
    Harness sut(std::string("max-workers=2 late-policy=wait stage=") + stage,
                {.gate = &gate, .is_apart = true});

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

std::set<std::string> names_of(const std::vector<Spied>& all) {
  std::set<std::string> names;
  for (const Spied& spied : all) names.insert(spied.element);
  return names;
}

TEST(Stage, HasTheSameNamesInEveryCopy) {
  Gate gate;
  Harness sut(
      "stage=\"gate ! spy ! spy name=grey ! ( identity ! spy ) ! spy\" "
      "max-workers=3",
      {.gate = &gate, .is_apart = true});
  const std::set<std::string> expected = {"spy0", "grey", "spy1", "spy2"};
  for (const auto& [copy, all] : spied_in_each(sut, gate, 3, 4))
    EXPECT_EQ(names_of(all), expected) << copy;
}

TEST(Stage, NamesOfTheUserAreNotGivenToOthers) {
  // GStreamer counts for the process; "spy0" is taken before.
  const ElementPtr counted(
      stage::sink_object(gst_element_factory_make("spy", nullptr)));
  Gate gate;
  Harness sut("stage=\"gate ! spy ! spy name=spy0\" max-workers=2",
              {.gate = &gate, .is_apart = true});
  const std::set<std::string> expected = {"spy0", "spy1"};
  for (const auto& [copy, all] : spied_in_each(sut, gate, 2, 2))
    EXPECT_EQ(names_of(all), expected) << copy;
}

TEST(Stage, SettingsReachAllCopiesWhenTheyAreMade) {
  Gate gate;
  Harness sut(
      "stage=\"gate ! spy\" max-workers=3",
      {.gate = &gate, .is_apart = true, .prepare = [](GstElement* element) {
         set_mark(element, "stage::spy0::mark", 25);
       }});
  EXPECT_EQ(mark_in_each(sut, gate, 3), 25);
}

TEST(Stage, SettingsReachAllCopiesWhilePlaying) {
  Gate gate;
  Harness sut("stage=\"gate ! spy name=grey\" max-workers=3",
              {.gate = &gate, .is_apart = true});
  for (const int mark : {5, 125}) {
    set_mark(sut.element(), "stage::grey::mark", mark);
    EXPECT_EQ(mark_in_each(sut, gate, 3), mark);
  }
}

TEST(Stage, SettingsReachElementsInBins) {
  Gate gate;
  Harness sut("stage=\"gate ! ( identity ! spy ) ! identity\" max-workers=2",
              {.gate = &gate, .is_apart = true});
  set_mark(sut.element(), "stage::bin0::spy0::mark", 5);
  EXPECT_EQ(mark_in_each(sut, gate, 2), 5);
}

TEST(Stage, SettingsOutliveNull) {
  Gate gate;
  Harness sut("stage=\"gate ! spy\" max-workers=2",
              {.gate = &gate, .is_apart = true});
  set_mark(sut.element(), "stage::spy0::mark", 5);
  for (int round = 0; round < 2; ++round) {
    sut.set_state(GST_STATE_NULL);
    start_again(sut);
    EXPECT_EQ(mark_in_each(sut, gate, 2), 5);
  }
}

TEST(Stage, SettingsCanBeReadBack) {
  Harness sut("stage=videobalance max-workers=2");
  gst_child_proxy_set(GST_CHILD_PROXY(sut.element()),
                      "stage::videobalance0::saturation", 0.5, nullptr);
  double value = 0;
  gst_child_proxy_get(GST_CHILD_PROXY(sut.element()),
                      "stage::videobalance0::saturation", &value, nullptr);
  EXPECT_EQ(value, 0.5);
}

TEST(Stage, SettingsCanBeInTheLaunchLine) {
  Pipeline pipeline(kVideo + with_stage("spy") + " stage::spy0::mark=5" +
                    kSink);
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  const MessagePtr message = pipeline.wait(GST_MESSAGE_ELEMENT);
  int mark = 0;
  gst_structure_get_int(gst_message_get_structure(message.get()), "mark",
                        &mark);
  EXPECT_EQ(mark, 5);
}

TEST(Stage, SettingsChangeWhatLeaves) {
  const auto grey = frames_of(kVideo + "videobalance saturation=0" + kSink);
  EXPECT_EQ(frames_of(kVideo + with_stage("videobalance") +
                      " stage::videobalance0::saturation=0" + kSink),
            grey);
}

TEST(Stage, SettingsAreForgottenWithTheDescription) {
  Gate gate;
  Harness sut("stage=\"gate ! spy\" max-workers=2",
              {.gate = &gate, .is_apart = true});
  set_mark(sut.element(), "stage::spy0::mark", 5);
  sut.set_state(GST_STATE_NULL);
  g_object_set(sut.element(), "stage", "gate ! identity ! spy", nullptr);
  start_again(sut);
  EXPECT_EQ(mark_in_each(sut, gate, 2), 0);
}

TEST(Stage, HasNoChildWhileItCannotBeParsed) {
  const ElementPtr sut = new_element();
  auto* proxy = GST_CHILD_PROXY(sut.get());
  for (const char* description : {"", "nosuchthing"}) {
    g_object_set(sut.get(), "stage", description, nullptr);
    EXPECT_EQ(gst_child_proxy_get_child_by_name(proxy, "stage"), nullptr);
    // Its levels are there in any case.
    EXPECT_EQ(gst_child_proxy_get_children_count(proxy),
              chooses_levels() ? 1U : 0U);
  }
}

// ---- What the copies say ---------------------------------------------------

TEST(Stage, ErrorIsPostedOnceWithTheNumberOfTheWorker) {
  constexpr unsigned kWorkers = 3;
  Gate gate;
  gate.hold_all();
  Harness sut("stage=\"gate ! oddstage name=bad does=fail\" max-workers=3",
              {.gate = &gate, .is_apart = true});
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

// Whether `message` says from which element it comes: by itself in a thread, in
// words from a process.
void expect_from_stage(GstMessage* message, const char* element) {
  if (has_threads()) {
    EXPECT_STREQ(GST_OBJECT_NAME(GST_MESSAGE_SRC(message)), element);
    return;
  }
  const GstStructure* structure = gst_message_get_structure(message);
  guint worker = 99;
  EXPECT_TRUE(gst_structure_get_uint(structure, "worker", &worker));
  EXPECT_EQ(worker, 0U);
  EXPECT_STREQ(gst_structure_get_string(structure, "element"), element);
}

TEST(Stage, WarningsAndElementMessagesPass) {
  Harness sut("stage=\"oddstage does=warn\" max-workers=1");
  sut.push(0);
  EXPECT_EQ(sut.pull_number(), 0U);

  MessagePtr message = sut.messages().wait(GST_MESSAGE_WARNING);
  EXPECT_NE(Messages::text(message.get()).find("Looks odd."),
            std::string::npos);
  expect_from_stage(message.get(), "oddstage0");
  message = sut.messages().wait(GST_MESSAGE_ELEMENT);
  EXPECT_TRUE(gst_message_has_name(message.get(), "level"));
  expect_from_stage(message.get(), "oddstage0");
}

// ---- The domain ------------------------------------------------------------

std::string domain_of(GstElement* element) {
  const stage::MiniPtr<GstContext> context(
      gst_element_get_context(element, "gst-dispatch.domain"));
  if (!context) return {};
  const GValue* domain = gst_structure_get_value(
      gst_context_get_structure(context.get()), "domain");
  g_autofree gchar* text = g_strdup_printf("%p", g_value_get_object(domain));
  return text;
}

TEST(Domain, IsSharedInOnePipeline) {
  const auto named = [](const char* name) {
    return under_test(std::string("stage=identity max-workers=1 name=") + name);
  };
  Pipeline pipeline(kVideo + named("a") + " ! ( " + named("b") +
                    " ) ! tee name=t ! queue ! " + named("c") +
                    " ! fakesink async=false t. ! fakesink async=false "
                    "videotestsrc num-buffers=1 ! " +
                    named("d") + " ! fakesink async=false");
  pipeline.set_state(GST_STATE_PAUSED);
  const std::string domain = domain_of(pipeline.by_name("a").get());
  EXPECT_FALSE(domain.empty());
  for (const char* name : {"b", "c", "d"})
    EXPECT_EQ(domain_of(pipeline.by_name(name).get()), domain) << name;
}

TEST(Domain, IsNotSharedWithAnotherPipeline) {
  const std::string line = kVideo + with_stage("identity") + kSink;
  Pipeline one(line);
  Pipeline other(line);
  one.set_state(GST_STATE_PAUSED);
  other.set_state(GST_STATE_PAUSED);
  EXPECT_NE(domain_of(one.by_name("sut").get()),
            domain_of(other.by_name("sut").get()));
}

}  // namespace

}  // namespace dispatch::test
