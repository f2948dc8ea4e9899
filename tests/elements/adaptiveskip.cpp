// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What only adaptiveskip has: levels and how they are chosen for a frame, what
// leaves when there is no time for any, and what is told of it. On a clock that
// moves only when the test says so; a level costs what the clock moves while a
// gate holds it. What the law chooses when it is a close call is tested beside
// the law (tests/core/skip_policy.cpp); here nothing is close.
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "element_harness.h"
#include "farewell.h"
#include "recording.h"
#include "stage/due_time_meta.h"

namespace dispatch::test {
namespace {

using Numbers = std::vector<std::uint64_t>;
using Lines = std::vector<std::string>;

constexpr GstClockTime kBudget = 30 * GST_MSECOND;
constexpr GstClockTime kAhead = GST_MSECOND;       // of the release
constexpr GstClockTime kDear = 100 * GST_MSECOND;  // too much for the budget
constexpr std::uint64_t kDearFrames = kDear / kFrameDuration;

constexpr GstClockTime release_of(std::uint64_t number) {
  return number * kFrameDuration + kBudget - kAhead;
}

// What one copy of a level gets, as it comes to its first element.
struct Taken {
  std::uint64_t number = 0;
  unsigned helper = 0;
  unsigned level = 0;
  bool is_discont = false;
};

// Thread-safe. Outlives the element.
class LevelWatch {
 public:
  void watch(GstElement* element) {
    g_signal_connect(element, "stage-setup", G_CALLBACK(on_setup), this);
  }
  std::vector<Taken> all() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }
  Numbers of_level(unsigned level) const {
    Numbers numbers;
    for (const Taken& taken : all())
      if (taken.level == level) numbers.push_back(taken.number);
    return numbers;
  }

 private:
  struct Place {
    LevelWatch* self;
    unsigned helper;
    unsigned level;
  };

  static void on_setup(GstElement*, GstElement* copy, guint helper, guint level,
                       gpointer self) {
    const ElementPtr feeder(
        gst_bin_get_by_name(GST_BIN(copy), "dispatch-feeder"));
    const PadPtr pad(gst_element_get_static_pad(feeder.get(), "src"));
    gst_pad_add_probe(
        pad.get(), GST_PAD_PROBE_TYPE_BUFFER, on_buffer,
        new Place{static_cast<LevelWatch*>(self), helper, level},
        [](gpointer place) { delete static_cast<Place*>(place); });
  }
  static GstPadProbeReturn on_buffer(GstPad*, GstPadProbeInfo* info,
                                     gpointer user_data) {
    const auto& [self, helper, level] = *static_cast<Place*>(user_data);
    GstBuffer* buffer = GST_PAD_PROBE_INFO_BUFFER(info);
    const std::lock_guard lock(self->mutex_);
    self->all_.push_back(
        {number_of(buffer), helper, level,
         GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT) != FALSE});
    return GST_PAD_PROBE_OK;
  }

  mutable std::mutex mutex_;
  std::vector<Taken> all_;
};

// Live, with a budget of 30 ms and one helper, which is not replaced while it
// is stuck.
class Live : public Harness {
 public:
  Live(Gate& gate, const std::string& properties, const char* caps = kAnyCaps,
       LevelWatch* watch = nullptr)
      : Harness("latency-budget=30000000 max-helpers=1 spare-helpers=0 " +
                    properties,
                options(gate, caps, watch)),
        gate_(gate) {}

  // Frame `number` comes when it is made, and the full stage takes kDear for
  // it, which is noticed; its original leaves before that.
  void push_dear(std::uint64_t number) {
    const std::uint64_t late = stats()["late-results"];
    gate_.hold(number);
    set_time(number * kFrameDuration);
    push(number);
    gate_.wait_until_held(number);
    crank();
    wait_for_stat("in-flight", 0);
    set_time(number * kFrameDuration + kDear);
    gate_.release(number);
    wait_for_stat("late-results", late + 1);
  }
  // Until nobody expects the full stage to be in time any more. Returns the
  // number of the frame that would come next, while it stays so.
  std::uint64_t make_dear(std::uint64_t first) {
    constexpr std::uint64_t kApart = 3 * kDearFrames;  // each one is tried
    constexpr std::uint64_t kTimes = 4;
    for (std::uint64_t i = 0; i < kTimes; ++i) push_dear(first + i * kApart);
    wait_for_stat("in-flight", 0);
    return first + (kTimes - 1) * kApart + kDearFrames;
  }

 private:
  static HarnessOptions options(Gate& gate, const char* caps,
                                LevelWatch* watch) {
    HarnessOptions options;
    options.gate = &gate;
    options.is_live = true;
    options.has_test_clock = true;
    options.caps = caps;
    if (watch != nullptr)
      options.prepare = [watch](GstElement* element) { watch->watch(element); };
    return options;
  }

  Gate& gate_;
};

guint current_level(Harness& sut) {
  guint level = 0;
  g_object_get(sut.element(), "current-level", &level, nullptr);
  return level;
}

int quality_of(GstMessage* qos) {
  gint quality = -1;
  gst_message_parse_qos_values(qos, nullptr, nullptr, &quality);
  return quality;
}

void drop_messages(Harness& sut) { sut.messages().count(GST_MESSAGE_ANY); }

// ---- Past the stage --------------------------------------------------------

TEST(Adaptiveskip, AFrameForWhichThereIsNoTimeGoesPastTheStageAtOnce) {
  Gate gate;
  LevelWatch levels;
  Live sut(gate, "stage=gate", kAnyCaps, &levels);
  const std::uint64_t next = sut.make_dear(0);
  const Stats before = sut.stats();
  const auto taken = levels.all().size();
  BufferPtr original = sut.frame(next);
  const GstMemory* memory = memory_of(original.get());
  while (sut.has_output()) sut.pull();
  sut.push(std::move(original));
  const BufferPtr out = sut.pull();  // nobody moved the clock
  EXPECT_EQ(memory_of(out.get()), memory);
  EXPECT_EQ(number_of(out.get()), next);
  sut.wait_for_stat("in-flight", 0);
  const Stats stats = sut.stats();
  EXPECT_EQ(stats["causes.predicted-late"],
            before["causes.predicted-late"] + 1);
  EXPECT_EQ(stats["bypassed"], before["bypassed"] + 1);
  EXPECT_EQ(stats["late"], 0U);
  EXPECT_TRUE(stats.reconciles());
  EXPECT_EQ(levels.all().size(), taken) << "the stage saw it";
  EXPECT_EQ(current_level(sut), 1U);
}

TEST(Adaptiveskip, TheStageComesBackWhenItFits) {
  Gate gate;
  Live sut(gate, "stage=gate");
  std::uint64_t next = sut.make_dear(0);
  const std::uint64_t end = next + 200;  // two seconds
  for (; next < end && sut.stats()["applied"] < 10; ++next) {
    sut.set_time(next * kFrameDuration);
    sut.push(next);
    sut.wait_for_stat("in-flight", 0);
  }
  EXPECT_LT(next, end);
  // And stays.
  const std::uint64_t applied = sut.stats()["applied"];
  for (std::uint64_t i = 0; i < 20; ++i) {
    sut.set_time((next + i) * kFrameDuration);
    sut.push(next + i);
    sut.wait_for_stat("in-flight", 0);
  }
  EXPECT_EQ(sut.stats()["applied"], applied + 20);
  EXPECT_EQ(current_level(sut), 0U);
}

TEST(Adaptiveskip, ASkippedFrameIsToldWithItsTrueQuality) {
  for (const auto& [properties, quality] :
       std::vector<std::pair<std::string, int>>{{"", 200000},
                                                {"bypass-utility=0.5", 500000},
                                                {"late-policy=drop", 0}}) {
    Gate gate;
    Live sut(gate, "stage=gate " + properties);
    const std::uint64_t next = sut.make_dear(0);
    drop_messages(sut);
    sut.push(next);
    const MessagePtr message = sut.messages().wait(GST_MESSAGE_QOS);
    EXPECT_EQ(quality_of(message.get()), quality) << properties;
    guint64 running = 0;
    gst_message_parse_qos(message.get(), nullptr, &running, nullptr, nullptr,
                          nullptr);
    EXPECT_EQ(running, next * kFrameDuration);
  }
}

TEST(Adaptiveskip, ALevelThatChangesIsToldWithTheReason) {
  Gate gate;
  Live sut(gate, "stage=gate");
  sut.push(0);
  sut.pull();
  sut.wait_for_stat("applied", 1);
  drop_messages(sut);
  gate.hold(1);
  sut.push(1);
  gate.wait_until_held(1);
  sut.crank();
  const MessagePtr message = sut.messages().wait_element("level-changed");
  EXPECT_EQ(GST_MESSAGE_SRC(message.get()), GST_OBJECT_CAST(sut.element()));
  const GstStructure* fields = gst_message_get_structure(message.get());
  guint64 frame = 0;
  guint from = 9;
  guint level = 9;
  gdouble utility = 0;
  guint64 predicted = 1;
  guint64 cost = 1;
  gint64 slack = 0;
  EXPECT_TRUE(gst_structure_get(
      fields, "frame", G_TYPE_UINT64, &frame, "from", G_TYPE_UINT, &from,
      "level", G_TYPE_UINT, &level, "utility", G_TYPE_DOUBLE, &utility,
      "predicted-cost", G_TYPE_UINT64, &predicted, "cost", G_TYPE_UINT64, &cost,
      "slack", G_TYPE_INT64, &slack, nullptr));
  EXPECT_EQ(from, 0U);
  EXPECT_EQ(level, 1U);
  EXPECT_EQ(utility, 0.2);
  EXPECT_STREQ(gst_structure_get_string(fields, "reason"), "overdue-running");
  EXPECT_EQ(slack, static_cast<gint64>(release_of(1)));  // the clock stood at 0
  EXPECT_EQ(cost, 0U) << "it is not known yet";
}

TEST(Adaptiveskip, PostsNoElementMessagesWithoutPostMessages) {
  Gate gate;
  Live sut(gate, "stage=gate post-messages=false");
  const std::uint64_t next = sut.make_dear(0);
  sut.push(next);
  sut.wait_for_stat("in-flight", 0);
  while (const MessagePtr message = sut.messages().poll(GST_MESSAGE_ELEMENT)) {
    EXPECT_FALSE(gst_message_has_name(message.get(), "level-changed"));
    EXPECT_FALSE(gst_message_has_name(message.get(), "skip-state-changed"));
  }
}

// ---- Rescue ----------------------------------------------------------------

TEST(Adaptiveskip, AFrameIsRescuedAndASpareHelperTakesTheNext) {
  constexpr std::uint64_t kInGoodTime = 20;
  Gate gate;
  gate.hold(0);
  LevelWatch levels;
  Live sut(gate, "stage=gate max-helpers=2 spare-helpers=1", kAnyCaps, &levels);
  BufferPtr original = sut.frame(0);
  const GstMemory* memory = memory_of(original.get());
  sut.push(std::move(original));
  gate.wait_until_held(0);
  EXPECT_EQ(sut.next_wait(), release_of(0));
  sut.crank();
  EXPECT_EQ(memory_of(sut.pull().get()), memory);
  sut.wait_for_stat("causes.overdue-running", 1);
  EXPECT_EQ(sut.stats()["late"], 0U);
  sut.push(kInGoodTime);
  EXPECT_EQ(sut.pull_number(), kInGoodTime);
  sut.wait_for_stat("applied", 1);
  const std::vector<Taken> taken = levels.all();
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_NE(taken[1].helper, taken[0].helper);
  EXPECT_EQ(gate.holding(), (Numbers{0}));
  EXPECT_EQ(sut.stats()["late-results"], 0U);
  gate.open();
  sut.wait_for_stat("late-results", 1);
  EXPECT_FALSE(sut.has_output()) << "the result that came too late";
  EXPECT_TRUE(sut.stats().reconciles());
}

TEST(Adaptiveskip, WithoutRescueTheStreamingThreadRunsTheStage) {
  Gate gate;
  gate.hold(0);
  Live sut(gate, "stage=gate rescue=false");
  auto pusher = sut.push_in_background(0, 1);
  gate.wait_until_held(0);
  sut.set_time(kDear);
  EXPECT_FALSE(sut.has_output());
  gate.open();
  EXPECT_EQ(pusher.get(), GST_FLOW_OK);
  EXPECT_TRUE(sut.has_output()) << "the same call pushes it";
  EXPECT_EQ(sut.pull_number(), 0U);
  EXPECT_EQ(sut.stats()["applied"], 1U);
  EXPECT_EQ(sut.stats()["late"], 1U);
  // What comes behind it is not begun in vain.
  sut.push(kDearFrames);
  EXPECT_EQ(sut.pull_number(), kDearFrames);
  EXPECT_EQ(sut.stats()["causes.predicted-late"], 1U);
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_STREAM_STATUS), 0U);
}

TEST(Adaptiveskip, HasThreadsOnlyWhereFramesCanBeRescued) {
  const auto statuses_of = [](const char* properties, bool is_live) {
    Harness sut(std::string("stage=identity ") + properties,
                {.is_live = is_live, .has_test_clock = true});
    sut.push_range(0, 3);
    sut.pull_numbers(3);
    sut.wait_for_stat("applied", 3);
    return sut.messages().count(GST_MESSAGE_STREAM_STATUS);
  };
  EXPECT_EQ(statuses_of("", false), 0U);
  EXPECT_EQ(statuses_of("rescue=false", true), 0U);
  EXPECT_EQ(statuses_of("deadlines=never", true), 0U);
  EXPECT_EQ(statuses_of("stage-state=per-stream", true), 0U);
  EXPECT_GT(statuses_of("", true), 0U);
}

TEST(Adaptiveskip, DueTimesThatComeWhilePlayingAreKept) {
  Gate gate;
  Live sut(gate, "stage=gate deadlines=never");
  sut.push(0);
  EXPECT_EQ(sut.pull_number(), 0U);
  gst_util_set_object_arg(G_OBJECT(sut.element()), "deadlines", "auto");
  gate.hold(1);
  sut.push(1);
  gate.wait_until_held(1);
  EXPECT_EQ(sut.next_wait(), release_of(1));
  sut.crank();
  EXPECT_EQ(sut.pull_number(), 1U);
  sut.wait_for_stat("bypassed", 1);
}

// ---- Never -----------------------------------------------------------------

// Levels that are said to take a second.
TEST(Adaptiveskip, NothingIsSkippedWhereNothingIsDue) {
  struct Case {
    const char* properties;
    bool is_live;
  };
  for (const auto& [properties, is_live] :
       {Case{"", false}, Case{"deadlines=never", true},
        Case{"deadlines=never rescue=false", true},
        Case{"stage-state=per-stream", true}}) {
    Harness sut(std::string("stage=identity level0::cost=1000000000 "
                            "latency-budget=30000000 ") +
                    properties,
                {.is_live = is_live, .has_test_clock = true});
    sut.set_time(10 * GST_SECOND);
    sut.push_range(0, 20);
    sut.pull_numbers(20);
    sut.wait_for_stat("applied", 20);
    EXPECT_EQ(sut.stats()["late"], 0U) << properties;
    EXPECT_EQ(sut.messages().count(GST_MESSAGE_QOS), 0U) << properties;
  }
}

TEST(Adaptiveskip, AudioIsPerStreamAndNotSkipped) {
  Gate gate;
  gate.hold(0);
  Live sut(gate, "stage=gate max-helpers=0",
           "audio/x-raw,format=S16LE,rate=3200,channels=1,layout=interleaved");
  EXPECT_EQ(sut.stats()["deadlines-active"], 0U);
  auto pusher = sut.push_in_background(0, 3);
  gate.wait_until_held(0);
  sut.set_time(GST_SECOND);
  gate.open();
  EXPECT_EQ(sut.pull_numbers(3), (Numbers{0, 1, 2}));
  EXPECT_EQ(pusher.get(), GST_FLOW_OK);
  EXPECT_EQ(sut.stats()["applied"], 3U);
}

TEST(Adaptiveskip, WhatIsCodedBetweenFramesIsPerStreamAndNotSkipped) {
  Gate gate;
  Live sut(gate, "stage=gate max-helpers=0",
           "video/x-h264,stream-format=byte-stream,alignment=au,"
           "framerate=100/1");
  EXPECT_EQ(sut.stats()["deadlines-active"], 0U);
  sut.set_time(GST_SECOND);
  for (std::uint64_t i = 0; i < 5; ++i) {
    BufferPtr frame = numbered_buffer(i);
    if (i > 0) GST_BUFFER_FLAG_SET(frame.get(), GST_BUFFER_FLAG_DELTA_UNIT);
    EXPECT_EQ(sut.push(std::move(frame)), GST_FLOW_OK);
  }
  sut.pull_numbers(5);
  EXPECT_EQ(sut.stats()["applied"], 5U);
}

// ---- What leaves instead ---------------------------------------------------

TEST(Adaptiveskip, ReuseShowsTheLastResultAgain) {
  Gate gate;
  Live sut(gate, "stage=gate reuse=true");
  sut.push(0);
  const BufferPtr first = sut.pull();
  sut.wait_for_stat("applied", 1);
  const std::uint64_t next = sut.make_dear(1);
  while (sut.has_output()) sut.pull();
  drop_messages(sut);
  BufferPtr original = sut.frame(next);
  const GstMemory* memory = memory_of(original.get());
  sut.push(std::move(original));
  const BufferPtr again = sut.pull();
  // A later one, which came too late for its own frame.
  EXPECT_NE(memory_of(again.get()), memory_of(first.get()));
  EXPECT_NE(memory_of(again.get()), memory);
  EXPECT_EQ(GST_BUFFER_PTS(again.get()), next * kFrameDuration);
  sut.wait_for_stat("in-flight", 0);
  EXPECT_EQ(sut.stats()["repeated"], sut.stats()["frames-in"] - 1);
  EXPECT_EQ(quality_of(sut.messages().wait(GST_MESSAGE_QOS).get()), 400000);
}

TEST(Adaptiveskip, ReuseWithoutALastResultLetsTheFramePast) {
  Gate gate;
  gate.hold(0);
  Live sut(gate, "stage=gate reuse=true");
  sut.push(0);
  gate.wait_until_held(0);
  sut.crank();
  EXPECT_EQ(sut.pull_number(), 0U);
  sut.wait_for_stat("bypassed", 1);
}

TEST(Adaptiveskip, LatePolicyRepeatRepeatsWhatIsSkipped) {
  Gate gate;
  Live sut(gate, "stage=gate late-policy=repeat");
  sut.push(0);
  const BufferPtr first = sut.pull();
  sut.wait_for_stat("applied", 1);
  const std::uint64_t next = sut.make_dear(1);
  while (sut.has_output()) sut.pull();
  sut.push(next);
  EXPECT_EQ(memory_of(sut.pull().get()), memory_of(first.get()));
  sut.wait_for_stat("in-flight", 0);
  EXPECT_GE(sut.stats()["causes.predicted-late"], 1U);
}

TEST(Adaptiveskip, LatePolicyDropLeavesAGapForWhatIsSkipped) {
  Gate gate;
  Live sut(gate, "stage=gate late-policy=drop", kVideoCaps);
  sut.push(0);
  sut.pull();
  sut.wait_for_stat("applied", 1);
  const std::uint64_t next = sut.make_dear(1);
  const std::size_t before = sut.out().lines().size();
  sut.push(next);
  sut.wait_for_stat("in-flight", 0);
  const Lines lines = sut.out().lines();
  EXPECT_EQ(Lines(lines.begin() + static_cast<long>(before), lines.end()),
            (Lines{"gap"}));
  EXPECT_FALSE(sut.has_output());
  EXPECT_GE(sut.stats()["causes.predicted-late"], 1U);
  EXPECT_EQ(sut.stats()["dropped"], sut.stats()["frames-in"] - 1);
}

TEST(Adaptiveskip, ABufferListIsSkippedAsAWhole) {
  Gate gate;
  Live sut(gate, "stage=gate");
  const std::uint64_t next = sut.make_dear(0);
  while (sut.has_output()) sut.pull();
  const std::uint64_t before = sut.stats()["frames-in"];
  GstBufferList* list = gst_buffer_list_new();
  for (std::uint64_t i = 0; i < 3; ++i)
    gst_buffer_list_add(list, numbered_buffer(next + i).release());
  ASSERT_EQ(gst_pad_push_list(sut.get()->srcpad, list), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_numbers(3), (Numbers{next, next + 1, next + 2}));
  sut.wait_for_stat("in-flight", 0);
  EXPECT_EQ(sut.stats()["frames-in"], before + 1);
  EXPECT_EQ(sut.stats()["causes.predicted-late"], 1U);
}

// ---- Wishes ----------------------------------------------------------------

// Which of 12 frames in a row get the stage, which takes a second and so has no
// chance; they come faster than it is tried for its own sake.
Numbers applied_of_twelve(const char* properties) {
  Gate gate;
  LevelWatch levels;
  Live sut(gate, std::string("stage=gate rescue=false ") + properties, kAnyCaps,
           &levels);
  gate.hold(0);
  auto pusher = sut.push_in_background(0, 1);
  gate.wait_until_held(0);
  sut.set_time(GST_SECOND);
  gate.open();
  pusher.get();
  constexpr std::uint64_t kFirst = GST_SECOND / kFrameDuration;
  sut.push_range(kFirst, kFirst + 12);
  Numbers applied;
  for (const std::uint64_t number : levels.of_level(0))
    if (number >= kFirst) applied.push_back(number - kFirst);
  return applied;
}

TEST(Adaptiveskip, NeverSkipsMoreThanMaxConsecutiveSkips) {
  EXPECT_EQ(applied_of_twelve(""), (Numbers{}));
  const Numbers applied = applied_of_twelve("max-consecutive-skips=3");
  ASSERT_GE(applied.size(), 1U);
  EXPECT_LE(applied.front(), 3U);
}

TEST(Adaptiveskip, GivesSoManyOfAWindowAStage) {
  const Numbers applied = applied_of_twelve("skip-window=1/3");
  ASSERT_GE(applied.size(), 1U);
  EXPECT_LE(applied.front(), 2U);
}

// ---- Order -----------------------------------------------------------------

TEST(Adaptiveskip, EventsKeepTheirPlaceAroundSkippedFrames) {
  Gate gate;
  Live sut(gate, "stage=gate");
  const std::uint64_t next = sut.make_dear(0);
  const std::size_t before = sut.out().lines().size();
  sut.push_event(gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM,
                                      gst_structure_new_empty("mark")));
  sut.push(next);
  sut.push_event(
      gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "song", nullptr)));
  sut.push(next + 1);
  sut.push_event(
      gst_event_new_gap((next + 2) * kFrameDuration, kFrameDuration));
  sut.push(next + 3);
  gst_harness_set_src_caps_str(sut.get(),
                               "application/x-test,framerate=100/1,new=true");
  sut.push_eos();
  sut.out().wait_for("eos");
  const Lines lines = sut.out().lines();
  const auto number = [&](std::uint64_t i) { return std::to_string(next + i); };
  const Lines ours(lines.begin() + static_cast<long>(before), lines.end());
  EXPECT_EQ(ours, (Lines{"mark", number(0), "tag", number(1), "gap", number(3),
                         "segment", "eos"}))
      << "new caps leave with a frame";
}

TEST(Adaptiveskip, NothingOvertakesAFrameThatIsWorkedOn) {
  Gate gate;
  gate.hold(0);
  Live sut(gate, "stage=gate");
  sut.push(0);
  gate.wait_until_held(0);
  sut.push_range(1, 3);  // no helper is free
  EXPECT_FALSE(sut.has_output());
  sut.next_wait();
  sut.pass_time_to(release_of(2));
  EXPECT_EQ(sut.pull_numbers(3), (Numbers{0, 1, 2}));
  sut.wait_for_stat("bypassed", 3);
  EXPECT_EQ(sut.stats()["causes.overdue-running"], 1U);
  EXPECT_EQ(sut.stats()["causes.overdue-waiting"], 2U);
  EXPECT_TRUE(sut.stats().reconciles());
}

TEST(Adaptiveskip, AFlushForgetsFramesAndNotWhatTheStageCosts) {
  Gate gate;
  Live sut(gate, "stage=gate");
  const std::uint64_t next = sut.make_dear(0);
  sut.flush();
  while (sut.has_output()) sut.pull();
  sut.push(next);
  EXPECT_EQ(sut.pull_number(), next);
  sut.wait_for_stat("causes.predicted-late", 1);
}

// The running time begins again, and the trials do not wait for the old one.
TEST(Adaptiveskip, TheStageComesBackAfterASeek) {
  Gate gate;
  Live sut(gate, "stage=gate");
  const GstClockTime base = sut.make_dear(0) * kFrameDuration + GST_SECOND;
  sut.flush();
  sut.set_state(GST_STATE_PAUSED);
  sut.set_time(base);
  gst_element_set_base_time(sut.element(), base);
  sut.set_state(GST_STATE_PLAYING);
  for (std::uint64_t number = 0; number < 50; ++number) {
    sut.set_time(base + number * kFrameDuration);
    sut.push(number);
    sut.wait_for_stat("in-flight", 0);
  }
  EXPECT_GE(sut.stats()["applied"], 20U);
}

// ---- A ladder --------------------------------------------------------------

constexpr char kTwoLevels[] =
    "num-levels=2 level0::stage=gate level1::stage=identity "
    "level1::cost=1000000 ";

TEST(Adaptiveskip, ACheaperLevelTakesWhatTheFullStageHasNoTimeFor) {
  Gate gate;
  LevelWatch levels;
  Live sut(gate, kTwoLevels, kAnyCaps, &levels);
  const std::uint64_t next = sut.make_dear(0);
  drop_messages(sut);
  const Stats before = sut.stats();
  for (std::uint64_t i = 0; i < 3; ++i) sut.push(next + i);
  sut.wait_for_stat("in-flight", 0);
  const Stats stats = sut.stats();
  EXPECT_EQ(stats["applied"], before["applied"] + 3);
  EXPECT_EQ(stats["levels.level1"], before["levels.level1"] + 3);
  EXPECT_EQ(stats["causes.predicted-late"] + stats["causes.ceiling"] +
                stats["causes.spared"],
            before["causes.predicted-late"] + before["causes.ceiling"] +
                before["causes.spared"] + 3)
      << "a frame of a cheaper level says why";
  EXPECT_TRUE(stats.reconciles());
  EXPECT_EQ(current_level(sut), 1U);
  // Halfway between the full stage and a bypass.
  EXPECT_EQ(quality_of(sut.messages().wait(GST_MESSAGE_QOS).get()), 600000);
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_QOS), 0U)
      << "once, not for each frame";
}

TEST(Adaptiveskip, ALevelThatIsEnteredAgainSeesADiscontinuity) {
  Gate gate;
  LevelWatch levels;
  Live sut(gate, kTwoLevels, kAnyCaps, &levels);
  const std::uint64_t next = sut.make_dear(0);
  for (std::uint64_t i = 0; i < 3; ++i) sut.push(next + i);
  sut.wait_for_stat("in-flight", 0);
  bool was_here[2] = {true, true};
  std::uint64_t entered = 0;
  for (const Taken& taken : levels.all()) {
    const unsigned level = taken.level;
    // Nothing goes past both levels here.
    const bool is_entered = !was_here[level];
    if (is_entered) ++entered;
    EXPECT_EQ(taken.is_discont, is_entered)
        << "level " << level << ", frame " << taken.number;
    was_here[level] = true;
    was_here[1 - level] = false;
  }
  EXPECT_GE(entered, 1U);
  while (sut.has_output())
    EXPECT_FALSE(
        GST_BUFFER_FLAG_IS_SET(sut.pull().get(), GST_BUFFER_FLAG_DISCONT));
}

TEST(Adaptiveskip, UtilitiesSayWhatALevelIsWorth) {
  Gate gate;
  Live sut(gate, std::string(kTwoLevels) + "level1::utility=0.75");
  const std::uint64_t next = sut.make_dear(0);
  drop_messages(sut);
  sut.push(next);
  EXPECT_EQ(quality_of(sut.messages().wait(GST_MESSAGE_QOS).get()), 750000);
}

// In any order, in a launch line too.
TEST(Adaptiveskip, SettingsReachTheCopiesOfTheirLevel) {
  Gate gate;
  Live sut(gate,
           "num-levels=2 level0::stage=\"gate ! spy\" level1::stage=spy "
           "level1::cost=1000000 stage::spy0::mark=5 "
           "level1::stage::spy0::mark=7");
  const std::uint64_t next = sut.make_dear(0);
  sut.push(next);
  sut.wait_for_stat("in-flight", 0);
  std::set<std::pair<std::string, int>> marks;
  while (const MessagePtr message = sut.messages().poll(GST_MESSAGE_ELEMENT)) {
    if (!gst_message_has_name(message.get(), "spied")) continue;
    const GstStructure* fields = gst_message_get_structure(message.get());
    int mark = 0;
    gst_structure_get_int(fields, "mark", &mark);
    marks.emplace(gst_structure_get_string(fields, "copy"), mark);
  }
  EXPECT_EQ(marks, (std::set<std::pair<std::string, int>>{
                       {"worker0", 5}, {"worker0-level1", 7}}));
}

TEST(Adaptiveskip, TheShortFormIsLevel0) {
  const ElementPtr sut = new_element();
  auto* proxy = GST_CHILD_PROXY(sut.get());
  g_object_set(sut.get(), "stage", "identity", nullptr);
  g_autofree gchar* stage = nullptr;
  gst_child_proxy_get(proxy, "level0::stage", &stage, nullptr);
  EXPECT_STREQ(stage, "identity");
  gst_child_proxy_set(proxy, "level0::stage", "videobalance", nullptr);
  g_autofree gchar* again = nullptr;
  g_object_get(sut.get(), "stage", &again, nullptr);
  EXPECT_STREQ(again, "videobalance");
}

TEST(Adaptiveskip, LevelsAreChildrenThatComeAndGo) {
  const ElementPtr sut = new_element();
  auto* proxy = GST_CHILD_PROXY(sut.get());
  const auto has = [&](const char* name) {
    return stage::ObjectPtr<GObject>(
               gst_child_proxy_get_child_by_name(proxy, name)) != nullptr;
  };
  EXPECT_TRUE(has("level0"));
  EXPECT_FALSE(has("level1"));
  g_object_set(sut.get(), "num-levels", 3U, nullptr);
  gst_child_proxy_set(proxy, "level2::utility", 0.4, "level2::cost", guint64{7},
                      nullptr);
  EXPECT_EQ(gst_child_proxy_get_children_count(proxy), 3U);
  g_object_set(sut.get(), "num-levels", 2U, nullptr);
  EXPECT_FALSE(has("level2"));
  EXPECT_TRUE(has("level1"));
  g_object_set(sut.get(), "num-levels", 3U, nullptr);
  gdouble utility = 0;
  guint64 cost = 1;
  gst_child_proxy_get(proxy, "level2::utility", &utility, "level2::cost", &cost,
                      nullptr);
  EXPECT_EQ(utility, -1) << "a new one";
  EXPECT_EQ(cost, 0U);
}

// ---- Bad ladders -----------------------------------------------------------

constexpr char kSource[] =
    "videotestsrc num-buffers=3 ! "
    "video/x-raw,format=GRAY8,width=8,height=8 ! identity ! ";

struct BadLadder {
  const char* name;
  const char* properties;
  std::vector<std::string> says;
};
void PrintTo(const BadLadder& bad, std::ostream* stream) {
  *stream << bad.name;
}

class Refuses : public testing::TestWithParam<BadLadder> {};

TEST_P(Refuses, ALadderWithAnErrorThatNamesTheLevel) {
  Pipeline pipeline(std::string(kSource) + "adaptiveskip name=sut " +
                    GetParam().properties + " ! fakesink");
  EXPECT_FALSE(pipeline.run_to_eos());
  for (const std::string& part : GetParam().says)
    EXPECT_NE(pipeline.error().find(part), std::string::npos)
        << part << " in: " << pipeline.error();
}

INSTANTIATE_TEST_SUITE_P(
    Adaptiveskip, Refuses,
    testing::Values(
        BadLadder{"Unparsable",
                  "num-levels=2 stage=identity level1::stage=nosuchthing",
                  {"level1", "nosuchthing"}},
        BadLadder{"Empty", "num-levels=2 stage=identity", {"level1", "empty"}},
        BadLadder{"FullStageEmpty",
                  "num-levels=2 level1::stage=identity",
                  {"stage", "empty"}},
        BadLadder{"Thread",
                  "num-levels=2 stage=identity level1::stage=queue",
                  {"queue", "thread"}},
        BadLadder{"State",
                  "num-levels=2 stage=identity level1::stage=x264enc",
                  {"level1", "x264enc", "stage-state=none"}},
        BadLadder{"StateOfTheFullStage",
                  "num-levels=2 stage=x264enc level1::stage=identity",
                  {"level0", "x264enc", "stage-state=none"}},
        BadLadder{"DifferentCaps",
                  "num-levels=2 "
                  "stage=\"videoconvert ! video/x-raw,format=RGB\" "
                  "level1::stage=\"videoconvert ! video/x-raw,format=BGR\"",
                  {"Level 1", "RGB", "BGR", "same caps"}},
        BadLadder{"DoesNotTakeTheInput",
                  "num-levels=2 stage=videoconvert "
                  "level1::stage=\"video/x-raw,format=RGB ! identity\"",
                  {"Level 1", "does not take", "GRAY8"}}),
    [](const auto& test) { return test.param.name; });

TEST(Adaptiveskip, LevelsThatCanGiveTheSameCapsGiveThem) {
  Gate gate;
  Live sut(gate,
           "num-levels=2 level0::stage=\"gate ! videoconvert\" "
           "level1::stage=\"videoconvert ! video/x-raw,format=RGB\" "
           "level1::cost=1000000",
           kVideoCaps);
  const Recording recording(sut.get()->sinkpad);
  const std::uint64_t next = sut.make_dear(0);
  sut.push(next);
  sut.wait_for_stat("in-flight", 0);
  EXPECT_GE(sut.stats()["levels.level1"], 1U);
  for (const SeenFrame& frame : recording.frames()) {
    EXPECT_EQ(frame.caps, recording.frames().front().caps);
    EXPECT_EQ(frame.size, 8U * 8 * 3);
  }
}

// ---- Stuck -----------------------------------------------------------------

void watch_copies(GstElement* element, Farewell& copies) {
  g_signal_connect(element, "stage-setup",
                   G_CALLBACK(+[](GstElement*, GstElement* copy, guint, guint,
                                  gpointer farewell) {
                     static_cast<Farewell*>(farewell)->watch(copy);
                   }),
                   &copies);
}

TEST(Adaptiveskip, AllLevelsOfAStuckHelperGoWhenItComesBack) {
  Gate gate;
  gate.hold(0);
  Farewell copies;
  Harness sut(
      std::string(kTwoLevels) + "max-helpers=1 spare-helpers=0",
      {.gate = &gate, .is_apart = true, .prepare = [&](GstElement* element) {
         watch_copies(element, copies);
       }});
  sut.push(0);
  gate.wait_until_held(0);
  sut.set_state(GST_STATE_NULL);
  sut.messages().count(GST_MESSAGE_ANY);  // they hold their senders
  EXPECT_EQ(copies.gone(), 0U);
  EXPECT_EQ(workers_of(sut.element()), 0U);
  sut.set_state(GST_STATE_PLAYING);
  gate.open();
  copies.wait_for(2);
}

// ---- In pipelines ----------------------------------------------------------

TEST(Adaptiveskip, TwoInARowAndBehindATeeGiveThePlainFrames) {
  const std::string source =
      "videotestsrc num-buffers=30 pattern=ball ! "
      "video/x-raw,format=I420,width=32,height=24,framerate=30/1 ! ";
  const std::string stage = "videobalance saturation=0";
  const std::string skip = "adaptiveskip stage=\"" + stage + "\"";
  const auto plain =
      frames_of(source + stage + " ! " + stage + " ! fakesink name=out");
  ASSERT_EQ(plain.size(), 30U);
  EXPECT_EQ(frames_of(source + skip + " ! " + skip + " ! fakesink name=out"),
            plain);
  EXPECT_EQ(
      frames_of(source + "tee name=t ! queue ! " + skip + " ! " + stage +
                " ! fakesink name=out t. ! queue ! " + skip + " ! fakesink"),
      plain);
}

// The stage changes nothing: whether it had time or not makes no difference.
TEST(Adaptiveskip, LosesNoFrameOfALiveSource) {
  const std::string source =
      "videotestsrc is-live=true num-buffers=20 ! "
      "video/x-raw,format=GRAY8,width=8,height=8,framerate=200/1 ! ";
  const std::string skip = "adaptiveskip stage=identity";
  EXPECT_EQ(
      frames_of(source + skip + " ! " + skip + " ! fakesink name=out sync=true")
          .size(),
      20U);
}

}  // namespace
}  // namespace dispatch::test
