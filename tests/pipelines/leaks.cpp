// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whether anything of GStreamer's is alive at the end, whatever the end was.
//
// Each test runs this program again, with GStreamer's `leaks` tracer, for one
// scenario; the tracer reports when GStreamer is shut down.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <map>

#include "element_harness.h"
#include "farewell.h"

namespace dispatch::test {

namespace {

constexpr char kScenarioOption[] = "--scenario";
constexpr char kElementOption[] = "--element=";
constexpr char kVideo[] =
    "videotestsrc num-buffers=30 ! "
    "video/x-raw,format=I420,width=112,height=80,framerate=30/1 ! ";

// ---- Scenarios, in a process of their own ----------------------------------

void play(const std::string& rest) { Pipeline(kVideo + rest).run_to_eos(); }

void leak() { gst_buffer_ref(numbered_buffer(0).get()); }

void run_to_the_end() {
  play(
      under_test("max-workers=3 stage=\"videoconvert ! gaussianblur ! "
                 "videoconvert\" ! fakesink"));
}

void run_with_coders() {
  play("x264enc ! h264parse ! avdec_h264 ! " +
       under_test("max-workers=2 stage=\"videoconvert ! jpegenc\" ! ") +
       under_test("max-workers=2 stage=jpegdec ! x264enc ! fakesink"));
}

void run_a_stage_with_state() {
  play(under_test("stage=\"x264enc ! h264parse\" ! fakesink"));
}

void run_a_stage_with_settings() {
  play(
      under_test("max-workers=3 stage=\"( videobalance name=look ) ! "
                 "identity\" stage::look::saturation=0.5 ! fakesink"));
}

void refuse() {
  for (const char* stage :
       {"", "nosuchthing", "videoconvert videoscale", "tee", "decodebin",
        "identity ! queue", "( identity ! queue )", "fakesink", "x264enc"}) {
    Pipeline pipeline(std::string(kVideo) +
                      under_test("name=sut max-workers=3 ! fakesink"));
    g_object_set(pipeline.by_name("sut").get(), "stage", stage, nullptr);
    pipeline.run_to_eos();
  }
}

void fail_in_the_stage() {
  play(under_test("max-workers=3 stage=\"identity error-after=5\" ! fakesink"));
}

void fail_downstream() {
  play(
      under_test("max-workers=3 stage=identity ! identity error-after=5 ! "
                 "fakesink"));
}

void seek() {
  Pipeline pipeline(std::string(kVideo) +
                    under_test("max-workers=3 stage=\"videoconvert ! "
                               "gaussianblur ! videoconvert\" ! fakesink"));
  pipeline.set_state(GST_STATE_PAUSED);
  for (gint64 i = 0; i < 10; ++i) {
    gst_element_seek_simple(pipeline.get(), GST_FORMAT_TIME,
                            GST_SEEK_FLAG_FLUSH, i * 20 * GST_MSECOND);
    pipeline.set_state(i % 2 == 0 ? GST_STATE_PLAYING : GST_STATE_PAUSED);
  }
  pipeline.run_to_eos();
}

void flush_with_copies_busy() {
  Gate gate;
  gate.hold_all();
  Harness sut("max-workers=2 stage=gate", {.gate = &gate, .is_apart = true});
  sut.push_range(0, 4);
  gate.wait_until_holding(1);
  sut.flush();
  gate.open();
  sut.push_range(4, 8);
  sut.pull();
}

void change_caps_in_flight() {
  Harness sut("max-workers=3 stage=\"identity ! videoflip method=clockwise\"",
              {.caps = nullptr});
  for (std::uint64_t i = 0; i < 20; ++i) {
    gst_harness_set_src_caps_str(
        sut.get(), i % 2 == 0 ? kVideoCaps
                              : "video/x-raw,format=GRAY8,width=16,height=4,"
                                "framerate=100/1");
    sut.push(i);
  }
  sut.pull_numbers(20);
}

void substitute(const char* policy) {
  Gate gate;
  HarnessOptions options;
  options.gate = &gate;
  options.is_live = options.has_test_clock = true;
  options.caps = kVideoCaps;
  Harness sut(std::string("max-workers=3 latency-budget=20000000 "
                          "stage=\"teststage writes=true ! gate\" "
                          "late-policy=") +
                  policy,
              options);
  sut.push(0);
  sut.wait_for_stat("applied", 1);
  gate.hold_all();
  sut.push_range(1, 3);
  gate.wait_until_holding(2);
  sut.crank();
  sut.crank();
  sut.wait_for_stat("in-flight", 0);
  gate.open();
  sut.wait_for_stat("late-results", 2);
}

void substitute_in_all_ways() {
  for (const char* policy : {"bypass", "repeat", "drop"}) substitute(policy);
}

// A copy in a thread goes on after NULL, and takes itself down.
void stop_while_stuck() {
  Farewell copies;
  {
    Gate gate;
    gate.hold_all();
    HarnessOptions options{.gate = &gate, .is_apart = true};
    if (has_threads())
      options.prepare = [&](GstElement* element) {
        // Elements differ in what follows the copy.
        g_signal_connect_swapped(
            element, "stage-setup",
            G_CALLBACK(+[](gpointer farewell, GstElement* copy) {
              static_cast<Farewell*>(farewell)->watch(copy);
            }),
            &copies);
      };
    Harness sut("max-workers=1 stage=gate", options);
    sut.push_range(0, 3);
    gate.wait_until_holding(1);
    sut.set_state(GST_STATE_NULL);
  }
  if (has_threads()) copies.wait_for(1);
}

void stop_with_frames_in_flight() {
  for (int i = 0; i < 20; ++i) {
    Harness sut("max-workers=3 stage=identity", {.caps = kVideoCaps});
    sut.push_range(0, 10);
  }
}

void start_again_and_again() {
  Pipeline pipeline(std::string(kVideo) +
                    under_test("max-workers=2 stage=videoconvert ! fakesink"));
  for (int i = 0; i < 10; ++i) {
    pipeline.run_to_eos();
    gst_element_set_state(pipeline.get(), GST_STATE_NULL);
  }
}

void ask_for_children() {
  const ElementPtr sut = new_element();
  for (const char* stage :
       {"", "identity", "nosuchthing", "identity ! queue"}) {
    g_object_set(sut.get(), "stage", stage, nullptr);
    auto* proxy = GST_CHILD_PROXY(sut.get());
    const guint count = gst_child_proxy_get_children_count(proxy);
    for (guint i = 0; i < count; ++i)
      gst_object_unref(gst_child_proxy_get_child_by_index(proxy, i));
  }
}

// A good one that is used, stuck and flushed, and bad ones.
void climb_ladders() {
  Gate gate;
  {
    HarnessOptions options{.gate = &gate, .is_apart = true};
    options.caps = kVideoCaps;
    options.prepare = [](GstElement* element) {
      gst_child_proxy_set(GST_CHILD_PROXY(element), "level1::stage",
                          "videoconvert", nullptr);
    };
    Harness sut("num-levels=2 stage=gate max-workers=2", options);
    sut.push(0);
    sut.wait_for_stat("applied", 1);
    gate.hold_all();
    sut.push_range(1, 3);
    gate.wait_until_holding(1);
    sut.flush();
    gate.open();
    sut.push(3);
    sut.wait_for_stat("in-flight", 0);
  }
  for (const char* level :
       {"", "nosuchthing", "queue", "x264enc", "video/x-raw,format=RGB",
        "videoconvert ! video/x-raw,format=RGB"}) {
    Pipeline pipeline(std::string(kVideo) +
                      under_test("name=sut num-levels=2 "
                                 "stage=\"video/x-raw,format=I420\" ! "
                                 "fakesink"));
    // In the launch line it would leak in GStreamer 1.22, with any element.
    gst_child_proxy_set(GST_CHILD_PROXY(pipeline.by_name("sut").get()),
                        "level1::stage", level, nullptr);
    pipeline.run_to_eos();
  }
}

using Scenarios = std::map<std::string, void (*)()>;
const Scenarios& scenarios() {
  static Scenarios all = {
      {"Leak", leak},
      {"RunToTheEnd", run_to_the_end},
      {"RunWithCoders", run_with_coders},
      {"RunAStageWithState", run_a_stage_with_state},
      {"RunAStageWithSettings", run_a_stage_with_settings},
      {"Refuse", refuse},
      {"FailInTheStage", fail_in_the_stage},
      {"FailDownstream", fail_downstream},
      {"Seek", seek},
      {"FlushWithCopiesBusy", flush_with_copies_busy},
      {"ChangeCapsInFlight", change_caps_in_flight},
      {"SubstituteInAllWays", substitute_in_all_ways},
      {"StopWhileStuck", stop_while_stuck},
      {"StopWithFramesInFlight", stop_with_frames_in_flight},
      {"StartAgainAndAgain", start_again_and_again},
      {"AskForChildren", ask_for_children}};
  if (chooses_levels()) all.emplace("ClimbLadders", climb_ladders);
  return all;
}

// ---- Tests, in a process without GStreamer ---------------------------------

struct Report {
  int status = -1;  // of the process
  std::string alive;
  std::string output;
};

// A line of the tracer's report, and none about its format. What is in front of
// it may be torn off: several processes write at a time.
bool is_alive(const std::string& line) {
  return line.find("object-alive, type-name=") != std::string::npos &&
         line.find("type-name=(string)%s") == std::string::npos;
}

Report run_scenario(const std::string& name) {
  const std::string command =
      "GST_TRACERS=leaks GST_DEBUG=GST_TRACER:7 GST_DEBUG_NO_COLOR=1 exec "
      "/proc/" +
      std::to_string(getpid()) + "/exe " + kElementOption +
      element_under_test() + " " + kScenarioOption + " " + name + " 2>&1";
  Report report;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return report;
  std::array<char, 4096> line{};
  while (fgets(line.data(), line.size(), pipe) != nullptr) {
    report.output += line.data();
    if (is_alive(line.data())) report.alive += line.data();
  }
  report.status = pclose(pipe);
  return report;
}

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const auto& [name, run] : scenarios())
    if (name != "Leak") names.push_back(name);
  return names;
}

class Leaks : public testing::TestWithParam<std::string> {};

TEST_P(Leaks, LeaveNothingAlive) {
  const Report report = run_scenario(GetParam());
  EXPECT_EQ(report.status, 0) << report.output;
  EXPECT_EQ(report.alive, "");
}

INSTANTIATE_TEST_SUITE_P(Pipelines, Leaks, testing::ValuesIn(names()),
                         [](const auto& test) { return test.param; });

TEST(Pipelines, ALeakWouldBeSeen) {
  const Report report = run_scenario("Leak");
  EXPECT_EQ(report.status, 0) << report.output;
  EXPECT_NE(report.alive.find("GstBuffer"), std::string::npos) << report.output;
}

}  // namespace

}  // namespace dispatch::test

// Instead of the one that the other programs share.
int main(int argc, char** argv) {
  using dispatch::test::kScenarioOption;
  dispatch::test::read_element_under_test(argc, argv);
  if (argc == 3 && std::strcmp(argv[1], kScenarioOption) == 0) {
    dispatch::test::prepare_gates();
    gst_init(nullptr, nullptr);
    dispatch::test::scenarios().at(argv[2])();
    gst_deinit();
    return 0;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
