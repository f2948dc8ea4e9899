// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What only shmdispatch has: its workers are processes. They may run any
// program, lie, be killed or stopped; frames lie in memory that both sides
// have, which is bounded.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <mutex>
#include <set>
#include <thread>

#include <gst/allocators/gstfdmemory.h>
#include <gst/video/video.h>

#include "core/worker_protocol.h"
#include "element_harness.h"
#include "os/memfd.h"
#include "patience.h"
#include "process/slots.h"
#include "recording.h"

namespace dispatch::test {
namespace {

using stage::ObjectPtr;

// 64 bytes, as numbered_buffer() makes them, in a format that filters change.
constexpr char kColourCaps[] =
    "video/x-raw,format=AYUV,width=4,height=4,framerate=100/1";
// Changes every frame of kColourCaps where it lies.
constexpr char kInPlaceStage[] = "stage=\"videobalance contrast=0.5\" ";
// Writes into a new buffer.
constexpr char kNewBufferStage[] = "stage=\"videoflip video-direction=horiz\" ";

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<guint8> bytes_of(GstBuffer* buffer) {
  std::vector<guint8> bytes(gst_buffer_get_size(buffer));
  if (!bytes.empty()) gst_buffer_extract(buffer, 0, bytes.data(), bytes.size());
  return bytes;
}

std::string wait_for_error(Messages& messages) {
  return Messages::text(messages.wait(GST_MESSAGE_ERROR).get());
}

// ---- Processes -------------------------------------------------------------

// A process that is still there after a SIGKILL, as one that hangs in the
// kernel: it is stopped when it is about to be gone. All on one thread.
class LastingProcess {
 public:
  explicit LastingProcess(pid_t pid) : pid_(pid) {
    lasts_ = ptrace(PTRACE_SEIZE, pid, nullptr, PTRACE_O_TRACEEXIT) == 0;
  }
  ~LastingProcess() { let_go(); }
  LastingProcess(const LastingProcess&) = delete;
  LastingProcess& operator=(const LastingProcess&) = delete;

  // False: this machine does not allow it.
  bool lasts() const { return lasts_; }
  // Kills it, if nobody else has.
  void let_go() {
    if (!std::exchange(lasts_, false)) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, __WALL);
    ptrace(PTRACE_CONT, pid_, nullptr, nullptr);
  }

 private:
  const pid_t pid_;
  bool lasts_ = false;
};

// Whether `is_true` becomes true, for what tells no one.
bool comes_true(const std::function<bool()>& is_true, int attempts = 1000) {
  for (int i = 0; i < attempts && !is_true(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return is_true();
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& each :
       std::filesystem::directory_iterator("/proc/self/fd"))
    ++count;
  return count;
}

// Some are closed by other threads, a moment later.
bool comes_down_to(std::size_t descriptors) {
  return comes_true([&] { return open_descriptors() <= descriptors; }, 500);
}

void play_anew(Harness& sut) {
  sut.set_state(GST_STATE_PLAYING);
  sut.push_event(gst_event_new_stream_start("again"));
  gst_harness_set_src_caps_str(sut.get(), kAnyCaps);
}

void play_again(Harness& sut) {
  sut.set_state(GST_STATE_NULL);
  EXPECT_EQ(workers_of(sut.element()), 0U);
  play_anew(sut);
}

TEST(Process, AKilledWorkerEndsTheStreamWithItsNumberAndHowItEnded) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=gate max-workers=2 restart-limit=0", {.gate = &gate});
  const std::vector<pid_t> pids = child_processes();
  ASSERT_EQ(pids.size(), 2U);
  sut.push_range(0, 2);
  gate.wait_until_holding(2);
  kill(pids[1], SIGKILL);
  const std::string error = wait_for_error(sut.messages());
  EXPECT_TRUE(has(error, "worker1 (process " + std::to_string(pids[1]) +
                             ") was killed by signal 9"))
      << error;
  gate.open();
  sut.wait_for_stat("in-flight", 0);
  EXPECT_EQ(sut.push(2), GST_FLOW_ERROR);
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_ERROR), 0U);
  while (sut.has_output()) sut.pull();  // of the other worker, if it was first

  play_again(sut);
  EXPECT_EQ(sut.push(3), GST_FLOW_OK);
  EXPECT_EQ(number_of(sut.pull().get()), 3U);
}

TEST(Process, AnIdleWorkerThatIsKilledIsToldToo) {
  Harness sut("stage=identity max-workers=1 restart-limit=0");
  kill(child_processes().at(0), SIGKILL);
  EXPECT_TRUE(has(wait_for_error(sut.messages()), "worker0"));
}

void run_and_kill() {
  Gate gate;
  gate.hold(1);
  Harness sut("stage=gate max-workers=2 restart-limit=0", {.gate = &gate});
  sut.push(sut.frame(0));
  sut.pull();
  sut.push(sut.frame(1));
  gate.wait_until_held(1);
  for (const pid_t pid : child_processes()) kill(pid, SIGKILL);
  wait_for_error(sut.messages());
}

TEST(Process, NothingIsLeftOfAKilledWorker) {
  run_and_kill();  // what this process opens once and keeps
  const std::size_t before = open_descriptors();
  for (int round = 0; round < 3; ++round) run_and_kill();
  EXPECT_EQ(child_processes(), std::vector<pid_t>());
  EXPECT_TRUE(comes_down_to(before)) << open_descriptors() << " > " << before;
}

// It is killed without being asked; idle, after a while.
TEST(Process, AStoppedWorkerIsNotInTheWayOfNull) {
  for (const bool is_busy : {true, false}) {
    Harness sut("stage=identity max-workers=1");
    kill(child_processes().at(0), SIGSTOP);
    if (is_busy) sut.push(0);
    sut.set_state(GST_STATE_NULL);
    EXPECT_EQ(workers_of(sut.element()), 0U);
  }
}

// ---- What the stage says ---------------------------------------------------

TEST(Process, MessagesSayWhichWorkerTheyAreFrom) {
  Gate gate;
  gate.hold_all();
  Harness sut("stage=\"gate ! oddstage does=warn\" max-workers=2",
              {.gate = &gate});
  sut.push_range(0, 2);
  gate.wait_until_holding(2);
  gate.open();
  std::set<guint> warned;
  std::set<guint> told;
  for (int i = 0; i < 4; ++i) {
    const MessagePtr message = sut.messages().wait(
        static_cast<GstMessageType>(GST_MESSAGE_WARNING | GST_MESSAGE_ELEMENT));
    guint worker = 99;
    ASSERT_TRUE(gst_structure_get_uint(gst_message_get_structure(message.get()),
                                       "worker", &worker));
    (GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_WARNING ? warned : told)
        .insert(worker);
  }
  EXPECT_EQ(warned, (std::set<guint>{0, 1}));
  EXPECT_EQ(told, (std::set<guint>{0, 1}));
}

// Lines of this process's debug log, instead of printing them.
class LogListener {
 public:
  LogListener() : threshold_(gst_debug_get_default_threshold()) {
    gst_debug_remove_log_function(gst_debug_log_default);
    gst_debug_add_log_function(on_line, this, nullptr);
    gst_debug_set_active(TRUE);
    gst_debug_set_default_threshold(GST_LEVEL_INFO);
  }
  ~LogListener() {
    gst_debug_set_default_threshold(threshold_);
    gst_debug_remove_log_function_by_data(this);
    gst_debug_add_log_function(gst_debug_log_default, nullptr, nullptr);
  }
  LogListener(const LogListener&) = delete;
  LogListener& operator=(const LogListener&) = delete;

  // Whether a line has come with both parts, or comes yet.
  bool wait_for(const std::string& one, const std::string& other) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] {
      return std::any_of(lines_.begin(), lines_.end(),
                         [&](const std::string& line) {
                           return has(line, one) && has(line, other);
                         });
    });
  }

 private:
  static void on_line(GstDebugCategory*, GstDebugLevel, const gchar*,
                      const gchar*, gint, GObject*, GstDebugMessage* message,
                      gpointer self) {
    auto& listener = *static_cast<LogListener*>(self);
    const std::lock_guard lock(listener.mutex_);
    listener.lines_.emplace_back(gst_debug_message_get(message));
    listener.changed_.notify_all();
  }

  const GstDebugLevel threshold_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;  // under mutex_
};

TEST(Process, DebugLinesOfAWorkerComeIntoTheLogOfThisProcess) {
  LogListener log;
  Harness sut("stage=\"identity name=talker\" max-workers=2");
  EXPECT_TRUE(log.wait_for("worker0", "talker"));
  EXPECT_TRUE(log.wait_for("worker1", "talker"));
}

TEST(Process, SignalsForAllOfAServiceAreForTheDispatcher) {
  Harness sut("stage=identity max-workers=1");
  for (const int signal : {SIGHUP, SIGINT, SIGTERM}) {
    kill(child_processes().at(0), signal);
    sut.push(sut.frame(signal));
    EXPECT_EQ(number_of(sut.pull().get()), static_cast<unsigned>(signal));
  }
}

TEST(Process, AWorkerLeavesTheLogFileOfThisProcessAlone) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("dispatch-log-" + std::to_string(getpid()));
  std::ofstream(path) << "of the dispatcher";
  g_setenv("GST_DEBUG_FILE", path.c_str(), TRUE);
  {
    Harness sut("stage=identity max-workers=1");
    sut.push(sut.frame(0));
    sut.pull();
  }
  g_unsetenv("GST_DEBUG_FILE");
  EXPECT_EQ(std::filesystem::file_size(path), 17U);
  std::filesystem::remove(path);
}

TEST(Process, ASettingThatChangesAllTheTimeTakesNoMoreMemory) {
  Harness sut("stage=\"identity name=each\" max-workers=1");
  const auto set = [&](int times) {
    for (int i = 0; i < times; ++i)
      gst_child_proxy_set(GST_CHILD_PROXY(sut.element()),
                          "stage::each::error-after", 100000 + i, nullptr);
    // The worker has been told of all that before it is given this.
    sut.push(sut.frame(0));
    sut.pull();
  };
  set(100);
  const std::size_t before = mallinfo2().uordblks;
  set(20000);
  EXPECT_LT(mallinfo2().uordblks, before + 1000000);
}

TEST(Process, AnOverdueFrameStopsBeforeTheNextElementOfTheStage) {
  Gate gate;
  gate.hold(0);
  Harness sut(
      "max-workers=1 latency-budget=30000000 "
      "stage=\"spy ! gate ! spy name=third ! spy name=fourth\"",
      {.gate = &gate,
       .is_live = true,
       .upstream_latency = 5 * GST_MSECOND,
       .has_test_clock = true});
  sut.push(0);
  gate.wait_until_held(0);
  sut.crank();
  EXPECT_EQ(sut.pull_number(), 0U);
  gate.open();
  sut.wait_for_stat("late-results", 1);
  sut.push(1);
  EXPECT_EQ(sut.pull_number(), 1U);
  for (Spied spied; spied.element != "fourth" || spied.what != "1";) {
    spied = next_spied(sut.messages());
    EXPECT_FALSE((spied.element == "third" || spied.element == "fourth") &&
                 spied.what == "0")
        << spied.element;
  }
}

// ---- Memory ----------------------------------------------------------------

os::FileIdentity file_of(GstBuffer* buffer) {
  GstMemory* memory = gst_buffer_peek_memory(buffer, 0);
  return gst_is_fd_memory(memory)
             ? os::identity_of(gst_fd_memory_get_fd(memory))
             : os::FileIdentity();
}

TEST(ZeroCopy, AnUnchangedFrameComesBackAsTheSameBuffer) {
  Harness sut("stage=identity max-workers=2", {.caps = kVideoCaps});
  for (std::uint64_t i = 0; i < 20; ++i) {
    BufferPtr frame = sut.frame(i);
    const GstBuffer* buffer = frame.get();
    const GstMemory* memory = memory_of(frame.get());
    EXPECT_NE(file_of(frame.get()), os::FileIdentity());
    sut.push(std::move(frame));
    const BufferPtr out = sut.pull();
    EXPECT_EQ(out.get(), buffer);
    EXPECT_EQ(memory_of(out.get()), memory);
    EXPECT_TRUE(has_own_bytes(out.get()));
  }
  EXPECT_EQ(sut.stats()["copies"], 0U);
}

TEST(ZeroCopy, AChangedFrameLiesInMemoryOfTheWorker) {
  Harness sut(std::string(kNewBufferStage) + "max-workers=1",
              {.caps = kVideoCaps});
  const BufferPtr frame = sut.frame(1);
  sut.push(stage::share(frame.get()));
  const BufferPtr out = sut.pull();
  EXPECT_NE(file_of(out.get()), os::FileIdentity());
  EXPECT_NE(file_of(out.get()), file_of(frame.get()));
  std::vector<guint8> expected = bytes_of(frame.get());
  for (auto line = expected.begin(); line != expected.end(); line += 8)
    std::reverse(line, line + 8);
  EXPECT_EQ(bytes_of(out.get()), expected);
  EXPECT_TRUE(has_own_bytes(frame.get()));
  EXPECT_EQ(sut.stats()["copies"], 0U);
}

TEST(ZeroCopy, AStageThatWritesInPlaceCostsOneCopyOfEachFrame) {
  Harness sut(std::string(kInPlaceStage) + "max-workers=1",
              {.caps = kColourCaps});
  for (std::uint64_t i = 0; i < 3; ++i) {
    const BufferPtr frame = sut.frame(i);
    sut.push(stage::share(frame.get()));
    const BufferPtr out = sut.pull();
    EXPECT_NE(file_of(out.get()), file_of(frame.get()));
    EXPECT_FALSE(has_own_bytes(out.get()));
    EXPECT_TRUE(has_own_bytes(frame.get()));
  }
  EXPECT_EQ(sut.stats()["copies"], 3U);
  EXPECT_EQ(sut.stats()["copied-bytes"], 3 * kFrameBytes);
}

TEST(ZeroCopy, AllowedInPlaceItCostsNone) {
  Harness sut(std::string(kInPlaceStage) + "max-workers=1 allow-in-place=true",
              {.caps = kColourCaps});
  for (std::uint64_t i = 0; i < 3; ++i) {
    BufferPtr frame = sut.frame(i);
    const GstMemory* memory = memory_of(frame.get());
    sut.push(std::move(frame));
    const BufferPtr out = sut.pull();
    EXPECT_EQ(memory_of(out.get()), memory);
    EXPECT_FALSE(has_own_bytes(out.get()));
  }
  EXPECT_EQ(sut.stats()["copies"], 0U);
}

// As behind a tee.
TEST(ZeroCopy, WhatSomebodyElseHasIsNeverWrittenTo) {
  Harness sut(std::string(kInPlaceStage) + "max-workers=1 allow-in-place=true",
              {.caps = kColourCaps});
  std::vector<BufferPtr> frames;
  for (std::uint64_t i = 0; i < 4; ++i) {
    frames.push_back(sut.frame(i));
    sut.push(stage::share(frames.back().get()));
    EXPECT_FALSE(has_own_bytes(sut.pull().get()));
  }
  // Only the memory is shared, not the buffer.
  BufferPtr other(gst_buffer_copy(frames.back().get()));
  sut.push(std::move(other));
  EXPECT_FALSE(has_own_bytes(sut.pull().get()));
  for (const BufferPtr& frame : frames)
    EXPECT_TRUE(has_own_bytes(frame.get())) << number_of(frame.get());
}

std::string tee_to(const char* second_branch) {
  return std::string(
             "videotestsrc num-buffers=10 pattern=ball ! "
             "video/x-raw,format=I420,width=64,height=48,framerate=30/1 ! "
             "tee name=t ! queue ! fakesink name=out async=false "
             "t. ! queue ! ") +
         second_branch + " ! fakesink async=false";
}

TEST(ZeroCopy, TheOtherBranchOfATeeSeesNoChange) {
  const std::vector<SeenFrame> expected = frames_of(tee_to("identity"));
  ASSERT_EQ(expected.size(), 10U);
  for (const char* in_place : {"true", "false"})
    EXPECT_EQ(
        difference(
            frames_of(tee_to((std::string("shmdispatch max-workers=2 stage=\""
                                          "videobalance saturation=0\" "
                                          "allow-in-place=") +
                              in_place)
                                 .c_str())),
            expected),
        "")
        << in_place;
}

constexpr char kColourSource[] =
    "videotestsrc num-buffers=20 ! "
    "video/x-raw,format=AYUV,width=64,height=48,framerate=30/1 ! ";

constexpr char kConvertsTwice[] =
    "videoconvert ! video/x-raw,format=RGBx ! videoflip video-direction=vert "
    "! videoconvert";

// videotestsrc asks for memory before the first frame.
TEST(ZeroCopy, NewBuffersOfAStageAreNotCopied) {
  for (const char* stage :
       {"videoflip video-direction=horiz", "videoflip video-direction=90r",
        "videoscale ! video/x-raw,width=32,height=24",
        "videoconvert ! video/x-raw,format=I420", kConvertsTwice}) {
    Pipeline pipeline(std::string(kColourSource) +
                      "shmdispatch name=sut max-workers=2 stage=\"" + stage +
                      "\" ! fakesink");
    EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
    const Stats stats(pipeline.by_name("sut").get());
    EXPECT_EQ(stats["applied"], 20U);
    EXPECT_EQ(stats["copies"], 0U) << stage;
  }
}

TEST(ZeroCopy, AChainCopiesNothing) {
  Pipeline pipeline(std::string(kColourSource) +
                    "shmdispatch name=a max-workers=1 stage=identity ! "
                    "shmdispatch name=b max-workers=2 stage=\"videoflip "
                    "video-direction=horiz\" ! "
                    "workerpool name=c max-workers=2 stage=identity ! "
                    "shmdispatch name=d max-workers=1 stage=\"videoflip "
                    "video-direction=90r\" ! fakesink");
  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  for (const char* name : {"a", "b", "c", "d"}) {
    const Stats stats(pipeline.by_name(name).get());
    EXPECT_EQ(stats["applied"], 20U) << name;
    EXPECT_EQ(stats["copies"], 0U) << name;
  }
}

// Whoever gets results of another one's workers offers no memory for frames,
// also when they come by way of threads.
TEST(ZeroCopy, NothingIsReservedBehindResultsOfAnotherOne) {
  for (const char* between : {"", "workerpool stage=identity ! "}) {
    Pipeline pipeline(std::string(kColourSource) +
                      "shmdispatch name=a max-workers=1 stage=\"videoflip "
                      "video-direction=horiz\" ! " +
                      between +
                      "shmdispatch name=b max-workers=1 stage=identity ! "
                      "fakesink");
    EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
    guint64 level = 1;
    g_object_get(pipeline.by_name("b").get(), "current-level-bytes", &level,
                 nullptr);
    EXPECT_EQ(level, 0U) << between;
    EXPECT_EQ(Stats(pipeline.by_name("b").get())["copies"], 0U) << between;
  }
}

// Downstream keeps more results than a worker may have slots.
TEST(ZeroCopy, ResultsBeyondTheLastSlotOfAWorkerAreCopied) {
  Harness sut(kNewBufferStage + std::string("max-workers=1"),
              {.caps = kColourCaps});
  constexpr std::uint64_t kFrames = 300;
  constexpr std::uint64_t kSlots = core::protocol::kMaxResultSlots;
  for (std::uint64_t i = 0; i < kFrames; ++i) {
    ASSERT_EQ(sut.push(sut.frame(i)), GST_FLOW_OK);
    sut.wait_for_stat("applied", i + 1);
  }
  // One slot stays with the worker.
  EXPECT_EQ(sut.stats()["copies"], kFrames - (kSlots - 1));
  for (std::uint64_t i = 0; i < kFrames; ++i)
    EXPECT_EQ(GST_BUFFER_PTS(sut.pull().get()), i * kFrameDuration);
}

// How many slots a process has mapped.
std::size_t mapped_slots(pid_t pid) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);)
    if (has(line, "gst-dispatch-slot")) ++count;
  return count;
}

// Else its pages would be in use, although they are not counted any more.
TEST(ZeroCopy, AWorkerAtRestUnmapsWhatIsGone) {
  Harness sut("stage=identity max-workers=1");
  const pid_t worker = child_processes().at(0);
  auto others = std::make_unique<process::SlotStore>();
  const BufferPtr plain = numbered_buffer(0);
  BufferPtr frame(
      gst_buffer_new_allocate(others->allocator(), kFrameBytes, nullptr));
  gst_buffer_copy_into(frame.get(), plain.get(), GST_BUFFER_COPY_METADATA, 0,
                       -1);
  ASSERT_EQ(sut.push(std::move(frame)), GST_FLOW_OK);
  sut.pull().reset();
  EXPECT_EQ(mapped_slots(worker), 1U);
  others.reset();
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (mapped_slots(worker) != 0) {
    if (std::chrono::steady_clock::now() > until) give_up("the unmapping");
    std::this_thread::yield();
  }
}

// ---- Many buffers for one frame --------------------------------------------

// In packets of 20 bytes, more than a worker may have slots.
constexpr char kPayloader[] =
    "rtpvrawpay mtu=40 ssrc=1 seqnum-offset=0 timestamp-offset=0";
constexpr char kPayloadCaps[] =
    "video/x-raw,format=UYVY,width=64,height=64,framerate=100/1";
constexpr gsize kPayloadBytes = gsize{64} * 64 * 2;

std::vector<std::vector<guint8>> payloads_of_plain_element(GstBuffer* frame) {
  GstHarness* const plain = gst_harness_new_parse(kPayloader);
  gst_harness_set_src_caps_str(plain, kPayloadCaps);
  gst_harness_push(plain, gst_buffer_ref(frame));
  std::vector<std::vector<guint8>> all;
  while (const BufferPtr out{gst_harness_try_pull(plain)})
    all.push_back(bytes_of(out.get()));
  gst_harness_teardown(plain);
  return all;
}

TEST(ManyBuffers, OfAFrameLieInOneResultSlot) {
  Harness sut("stage=\"" + std::string(kPayloader) +
                  "\" stage-state=none max-workers=1",
              {.caps = kPayloadCaps});
  for (std::uint64_t round = 0; round < 3; ++round) {
    const BufferPtr frame = numbered_buffer(round, kPayloadBytes);
    ASSERT_EQ(sut.push(stage::share(frame.get())), GST_FLOW_OK);
    sut.wait_for_stat("applied", round + 1);
    std::set<int> files;
    std::vector<std::vector<guint8>> payloads;
    while (sut.has_output()) {
      const BufferPtr out = sut.pull();
      payloads.push_back(bytes_of(out.get()));
      for (guint i = 0; i < gst_buffer_n_memory(out.get()); ++i)
        files.insert(
            gst_fd_memory_get_fd(gst_buffer_peek_memory(out.get(), i)));
    }
    EXPECT_GT(payloads.size(), 256U);
    EXPECT_LE(files.size(), 2U) << "of the frame, and of what is new";
    if (round == 0) {
      EXPECT_EQ(payloads, payloads_of_plain_element(frame.get()));
    }
  }
}

TEST(ZeroCopy, CanBeRequiredOfWhatComesIn) {
  Harness sut("stage=identity max-workers=1 require-zero-copy=true");
  EXPECT_EQ(sut.push(sut.frame(0)), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_number(), 0U);
  sut.push(1);  // in other memory
  const std::string error = wait_for_error(sut.messages());
  EXPECT_TRUE(has(error, "require-zero-copy")) << error;
  EXPECT_EQ(sut.stats()["copies"], 0U);
}

TEST(ZeroCopy, CanBeRequiredOfWhatTheStageGives) {
  Harness sut(
      std::string(kInPlaceStage) + "max-workers=1 require-zero-copy=true",
      {.caps = kColourCaps});
  sut.push(sut.frame(0));
  const std::string error = wait_for_error(sut.messages());
  EXPECT_TRUE(has(error, "worker0")) << error;
  EXPECT_TRUE(has(error, "require-zero-copy")) << error;
  EXPECT_TRUE(has(error, "allow-in-place")) << error;
}

// ---- The bound on memory ---------------------------------------------------

// 29 pages each.
constexpr char kBoundedSource[] =
    "videotestsrc num-buffers=60 ! "
    "video/x-raw,format=I420,width=320,height=240 ! shmdispatch name=sut "
    "max-workers=1 max-buffers=2 ";

std::uint64_t level_of(GstElement* element) {
  guint64 level = 0;
  g_object_get(element, "current-level-bytes", &level, nullptr);
  return level;
}

// The highest level that was seen when something left.
struct HighWater {
  GstElement* element;  // (transfer none)
  std::atomic<std::uint64_t> bytes{0};

  static GstPadProbeReturn on_buffer(GstPad*, GstPadProbeInfo*,
                                     gpointer user_data) {
    auto& self = *static_cast<HighWater*>(user_data);
    self.bytes = std::max(self.bytes.load(), level_of(self.element));
    return GST_PAD_PROBE_OK;
  }
};

// In front of a sink that keeps everything.
void expect_bounded(const std::string& stage) {
  constexpr std::uint64_t kSlot = 29ULL * 4096;
  constexpr std::uint64_t kBound = 12 * kSlot;
  Pipeline pipeline(kBoundedSource + stage +
                    "max-bytes=" + std::to_string(kBound) +
                    " ! appsink sync=false wait-on-eos=false");
  const ElementPtr element = pipeline.by_name("sut");
  HighWater high{element.get()};
  gst_pad_add_probe(pipeline.pad("sut", "src").get(), GST_PAD_PROBE_TYPE_BUFFER,
                    HighWater::on_buffer, &high, nullptr);
  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  EXPECT_LE(high.bytes, kBound);
  EXPECT_GE(high.bytes, 2 * kSlot);
  EXPECT_EQ(Stats(element.get())["applied"], 60U);
  EXPECT_GT(Stats(element.get())["copies"], 0U) << "beyond the bound";
}

TEST(MaxBytes, IsNeverExceededByResultsThatAreKept) {
  expect_bounded(kNewBufferStage);
}

// They are copied out as single ones are.
TEST(MaxBytes, HoldsForListsThatAreKept) {
  constexpr std::uint64_t kBound = 10ULL * 4096;
  for (const std::string stage : {"stage=identity ", kNewBufferStage}) {
    Harness sut(stage + "max-workers=1 max-buffers=2 max-bytes=" +
                    std::to_string(kBound),
                {.caps = kColourCaps});
    for (std::uint64_t i = 0; i < 20; ++i) {
      GstBufferList* const list = gst_buffer_list_new();
      for (const std::uint64_t number : {2 * i, 2 * i + 1})
        gst_buffer_list_add(list, numbered_buffer(number).release());
      ASSERT_EQ(gst_pad_push_list(sut.get()->srcpad, list), GST_FLOW_OK);
      sut.wait_for_stat("applied", i + 1);
      EXPECT_LE(level_of(sut.element()), kBound);
    }
    for (std::uint64_t i = 0; i < 40; ++i)
      EXPECT_EQ(GST_BUFFER_PTS(sut.pull().get()), i * kFrameDuration);
  }
}

TEST(MaxBytes, IsNeverExceededByFramesThatAreKept) {
  expect_bounded("stage=identity ");
}

// What is there at least: the frames of the window, one for each worker, and
// one result of each that there may be: of those that work, and as many that
// are set aside or wait. However they are kept, no worker goes without.
constexpr unsigned kLeastWorkers = 3;
constexpr std::uint64_t kLeastBytes =
    (2 + kLeastWorkers + 2 * kLeastWorkers) * 29ULL * 4096;

std::string with_least(const std::string& stage, std::uint64_t max_bytes,
                       const char* sink) {
  return "videotestsrc num-buffers=60 ! "
         "video/x-raw,format=I420,width=320,height=240 ! shmdispatch name=sut "
         "max-workers=" +
         std::to_string(kLeastWorkers) + " max-buffers=2 " + stage +
         "max-bytes=" + std::to_string(max_bytes) + " ! " + sink;
}

TEST(MaxBytes, ThatJustSufficesGivesEachWorkerAResult) {
  for (const char* sink : {"fakesink", "appsink sync=false wait-on-eos=false"})
    for (const char* stage :
         {kNewBufferStage, "stage=\"videobalance saturation=0\" ",
          "stage=\"videobalance saturation=0 ! videoflip "
          "video-direction=horiz\" "}) {
      Pipeline pipeline(with_least(stage, kLeastBytes, sink));
      EXPECT_TRUE(pipeline.run_to_eos()) << stage << pipeline.error();
      const ElementPtr element = pipeline.by_name("sut");
      EXPECT_EQ(Stats(element.get())["applied"], 60U) << stage << sink;
      EXPECT_LE(level_of(element.get()), kLeastBytes);
    }
}

// Downstream keeps frames themselves, not results: upstream waits for those
// that are under way.
TEST(MaxBytes, ThatJustSufficesDoesSoWhereFramesAreLetThrough) {
  Pipeline pipeline(
      with_least("stage=identity ", kLeastBytes, "queue ! fakesink sync=true"));
  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  const ElementPtr element = pipeline.by_name("sut");
  EXPECT_EQ(Stats(element.get())["applied"], 60U);
  EXPECT_LE(level_of(element.get()), kLeastBytes);
}

TEST(MaxBytes, ThatJustSufficesIsNamedWhereNothingMayBeCopied) {
  Pipeline pipeline(
      with_least(std::string("require-zero-copy=true ") + kNewBufferStage,
                 kLeastBytes, "appsink sync=false wait-on-eos=false"));
  EXPECT_FALSE(pipeline.run_to_eos());
  EXPECT_TRUE(has(pipeline.error(), "require-zero-copy")) << pipeline.error();
  EXPECT_TRUE(has(pipeline.error(), "max-bytes")) << pipeline.error();
  EXPECT_FALSE(has(pipeline.error(), "in-place")) << pipeline.error();
}

// Nothing leaves before.
TEST(MaxBytes, ThatIsTooLittleForAResultOfEachIsRefusedWithWhatWouldDo) {
  Pipeline pipeline(with_least(kNewBufferStage, kLeastBytes - 1, "fakesink"));
  EXPECT_FALSE(pipeline.run_to_eos());
  EXPECT_TRUE(
      has(pipeline.error(), "max-bytes=" + std::to_string(kLeastBytes - 1)))
      << pipeline.error();
  EXPECT_TRUE(has(pipeline.error(), std::to_string(kLeastBytes) + " would do"))
      << pipeline.error();
  EXPECT_EQ(Stats(pipeline.by_name("sut").get())["frames-in"], 0U);
}

// Upstream has memory of its own: four frames and one of the worker are copied,
// and there is a result; another one is kept for who may take its place.
TEST(MaxBytes, IsReservedBeforeTheFirstFrameThatIsCopied) {
  constexpr std::uint64_t kUsed = 6ULL * 4096;
  constexpr std::uint64_t kLeast = kUsed + 4096;
  const auto with = [](std::uint64_t max_bytes) {
    return kNewBufferStage + ("max-workers=1 max-buffers=4 max-bytes=" +
                              std::to_string(max_bytes));
  };
  Harness enough(with(kLeast), {.caps = kColourCaps});
  ASSERT_EQ(enough.push(numbered_buffer(0)), GST_FLOW_OK);
  EXPECT_GE(level_of(enough.element()), kUsed - 4096);
  enough.wait_for_stat("applied", 1);
  EXPECT_EQ(level_of(enough.element()), kUsed);

  Harness too_little(with(kLeast - 1), {.caps = kColourCaps});
  EXPECT_EQ(too_little.push(numbered_buffer(0)), GST_FLOW_ERROR);
  const std::string error = wait_for_error(too_little.messages());
  EXPECT_TRUE(has(error, "5 frames of 64 bytes")) << error;
  EXPECT_TRUE(has(error, std::to_string(kLeast) + " would do")) << error;
  EXPECT_EQ(too_little.stats()["frames-in"], 0U);
}

// What the stage makes is larger than what was kept for it.
TEST(MaxBytes, ThatIsTooLittleForLargerResultsIsRefusedBeforeTheFirst) {
  Pipeline pipeline(
      with_least("stage=\"videoscale ! video/x-raw,width=640,height=480\" ",
                 kLeastBytes, "fakesink"));
  EXPECT_FALSE(pipeline.run_to_eos());
  EXPECT_TRUE(has(pipeline.error(), "max-bytes")) << pipeline.error();
  // Of 113 pages each.
  EXPECT_TRUE(has(pipeline.error(),
                  std::to_string((5 * 29 + 6 * 113) * 4096) + " would do"))
      << pipeline.error();
  EXPECT_EQ(Stats(pipeline.by_name("sut").get())["applied"], 0U);
}

// Before there is memory for it.
TEST(MaxBytes, ThatIsTooLittleForOneFrameIsRefusedAtItsCaps) {
  Harness sut("stage=identity max-workers=2 max-bytes=1000000",
              {.caps = nullptr});
  sut.push_event(gst_event_new_stream_start("large"));
  const CapsPtr caps(gst_caps_from_string(
      "video/x-raw,format=I420,width=640,height=480,framerate=100/1"));
  sut.push_event(gst_event_new_caps(caps.get()));
  const std::string error = wait_for_error(sut.messages());
  EXPECT_TRUE(has(error, "max-bytes=1000000")) << error;
  EXPECT_TRUE(has(error, std::to_string((1 + 4) * 113 * 4096) + " would do"))
      << error;
}

TEST(MaxBytes, NothingIsHeldAfterNull) {
  Pipeline pipeline(std::string(kBoundedSource) + kNewBufferStage +
                    "! fakesink");
  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  const ElementPtr element = pipeline.by_name("sut");
  EXPECT_GT(level_of(element.get()), 0U);
  pipeline.set_state(GST_STATE_NULL);
  EXPECT_EQ(level_of(element.get()), 0U);
}

TEST(MaxBytes, ThatIsTooSmallIsAnErrorThatNamesIt) {
  Pipeline pipeline(kBoundedSource +
                    std::string("stage=identity max-bytes=100000 ! fakesink"));
  EXPECT_FALSE(pipeline.run_to_eos());
  EXPECT_TRUE(has(pipeline.error(), "max-bytes")) << pipeline.error();
}

TEST(MaxBytes, BeyondTheMachineIsAnErrorAtReady) {
  const ElementPtr element = new_element();
  Messages messages(element.get());
  g_object_set(element.get(), "stage", "identity", "max-bytes",
               guint64{1} << 60, nullptr);
  EXPECT_EQ(gst_element_set_state(element.get(), GST_STATE_READY),
            GST_STATE_CHANGE_FAILURE);
  const std::string error = wait_for_error(messages);
  EXPECT_TRUE(has(error, "max-bytes")) << error;
}

// ---- The limit on open files -----------------------------------------------

// So many more than are open; at least one. The limit is that of a worker too,
// which has less open and is to have enough.
class FewDescriptors {
 public:
  explicit FewDescriptors(std::size_t more) {
    getrlimit(RLIMIT_NOFILE, &before_);
    for (int i = 0; i < kMoreOfWorkers; ++i)
      held_.emplace_back(fcntl(0, F_DUPFD_CLOEXEC, 0));
    std::vector<os::UniqueFd> free;  // between those that are open
    while (free.size() < more) free.emplace_back(dup(0));
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(free.back().get()) + 1;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  static constexpr int kMoreOfWorkers = 64;

  rlimit before_{};
  std::vector<os::UniqueFd> held_;
};

void expect_names_the_limit(const std::string& error, const char* least) {
  EXPECT_TRUE(has(error, "Too many open files")) << error;
  EXPECT_TRUE(has(error, "RLIMIT_NOFILE, ulimit -n")) << error;
  EXPECT_TRUE(has(error, least)) << error;
  EXPECT_FALSE(has(error, "max-bytes")) << error;
  EXPECT_FALSE(has(error, "worker-command")) << error;
}

// Downstream keeps all that leaves. Three quarters of them are the
// application's.
TEST(OpenFiles, AreLeftToTheApplication) {
  constexpr std::size_t kLimit = 320;
  constexpr std::uint64_t kFrames = 200;
  for (const std::string stage : {"stage=identity ", kNewBufferStage}) {
    Harness sut(stage + "max-workers=1", {.caps = kColourCaps});
    const FewDescriptors few(kLimit - open_descriptors());
    const std::size_t before = open_descriptors();
    for (std::uint64_t i = 0; i < kFrames; ++i) {
      ASSERT_EQ(sut.push(sut.frame(i)), GST_FLOW_OK);
      sut.wait_for_stat("applied", i + 1);
    }
    EXPECT_LE(open_descriptors(), before + kLimit / 4 + 20) << stage;
    EXPECT_GE(open_descriptors(), before + kLimit / 8) << stage;
    for (std::uint64_t i = 0; i < kFrames; ++i)
      EXPECT_EQ(GST_BUFFER_PTS(sut.pull().get()), i * kFrameDuration);
  }
}

TEST(OpenFiles, ThatAreTooFewForAWorkerAreAnErrorThatNamesTheLimit) {
  const ElementPtr element = new_element();
  Messages messages(element.get());
  g_object_set(element.get(), "stage", "identity", "max-workers", 1, nullptr);
  {
    const FewDescriptors few(4);
    EXPECT_EQ(gst_element_set_state(element.get(), GST_STATE_PAUSED),
              GST_STATE_CHANGE_FAILURE);
  }
  expect_names_the_limit(wait_for_error(messages), "at least 19 ");
  gst_element_set_state(element.get(), GST_STATE_NULL);
}

// Without a pool in front: GStreamer's own need a file, too, on 1.22.
const std::string kFewFrames =
    std::string(kNewBufferStage) + "max-workers=1 max-buffers=2";

TEST(OpenFiles, ThatAreTooFewForFramesAreAnErrorThatNamesTheLimit) {
  Harness sut(kFewFrames);
  const FewDescriptors few(2);
  gst_harness_set_src_caps_str(sut.get(), kColourCaps);
  EXPECT_EQ(sut.push(numbered_buffer(0)), GST_FLOW_ERROR);
  // Three frames, and a result of each of two workers.
  expect_names_the_limit(wait_for_error(sut.messages()), "at least 19 ");
}

// Where there is just one result slot and downstream keeps it, no other one
// would come back.
TEST(OpenFiles, ThatAreJustEnoughStopNothing) {
  unsigned ran = 0;
  for (std::size_t descriptors = 2; descriptors < 8; ++descriptors) {
    Harness sut(kFewFrames, {.caps = kColourCaps});
    const FewDescriptors few(descriptors);
    auto pushed = sut.push_in_background(0, 20);
    const bool is_ok = pushed.get() == GST_FLOW_OK;
    if (is_ok) sut.wait_for_stat("applied", 20);
    if (is_ok)
      ++ran;
    else
      EXPECT_TRUE(has(wait_for_error(sut.messages()), "Too many open files"))
          << descriptors;
  }
  EXPECT_GE(ran, 2U);
}

// ---- Memory of others ------------------------------------------------------

GstMemory* foreign_memory(std::size_t bytes, bool is_sealed) {
  os::UniqueFd fd = os::create_memfd("foreign", bytes).take();
  EXPECT_TRUE(!is_sealed || os::seal(fd.get(), os::Seal::kSize));
  const ObjectPtr<GstAllocator> allocator(gst_fd_allocator_new());
  return gst_fd_allocator_alloc(allocator.get(), fd.release(), bytes,
                                GST_FD_MEMORY_FLAG_NONE);
}

GstMemory* plain_memory(std::size_t bytes) {
  return gst_allocator_alloc(nullptr, bytes, nullptr);
}

// (memories transfer full)
BufferPtr buffer_of(std::uint64_t number,
                    std::initializer_list<GstMemory*> memories) {
  BufferPtr buffer(gst_buffer_new());
  for (GstMemory* memory : memories)
    gst_buffer_append_memory(buffer.get(), memory);
  const BufferPtr numbered =
      numbered_buffer(number, gst_buffer_get_size(buffer.get()));
  const std::vector<guint8> bytes = bytes_of(numbered.get());
  if (!bytes.empty())
    gst_buffer_fill(buffer.get(), 0, bytes.data(), bytes.size());
  gst_buffer_copy_into(
      buffer.get(), numbered.get(),
      static_cast<GstBufferCopyFlags>(GST_BUFFER_COPY_TIMESTAMPS), 0,
      static_cast<gsize>(-1));
  GST_BUFFER_OFFSET(buffer.get()) = number;
  return buffer;
}

struct Origin {
  const char* name;
  std::function<BufferPtr()> make;
  std::uint64_t copies;
};

void PrintTo(const Origin& origin, std::ostream* stream) {
  *stream << origin.name;
}

class MemoryOf : public testing::TestWithParam<Origin> {};

TEST_P(MemoryOf, IsCopiedOnceWhereItHasTo) {
  Harness sut("stage=identity max-workers=1");
  BufferPtr frame = GetParam().make();
  const GstBuffer* buffer = frame.get();
  const std::vector<guint8> bytes = bytes_of(frame.get());
  EXPECT_EQ(sut.push(std::move(frame)), GST_FLOW_OK);
  const BufferPtr out = sut.pull();
  EXPECT_EQ(bytes_of(out.get()), bytes);
  EXPECT_EQ(number_of(out.get()), 5U);
  EXPECT_EQ(sut.stats()["copies"], GetParam().copies);
  EXPECT_EQ(sut.stats()["copied-bytes"], GetParam().copies * bytes.size());
  EXPECT_EQ(out.get() == buffer, GetParam().copies == 0);
}

INSTANTIATE_TEST_SUITE_P(
    Others, MemoryOf,
    testing::Values(
        Origin{"SealedFile",
               [] { return buffer_of(5, {foreign_memory(64, true)}); }, 0},
        Origin{"UnsealedFile",
               [] { return buffer_of(5, {foreign_memory(64, false)}); }, 1},
        Origin{"TheHeap", [] { return buffer_of(5, {plain_memory(64)}); }, 1},
        Origin{"TwoSealedFiles",
               [] {
                 return buffer_of(
                     5, {foreign_memory(64, true), foreign_memory(32, true)});
               },
               0},
        Origin{
            "AFileAndTheHeap",
            [] {
              return buffer_of(5, {foreign_memory(64, true), plain_memory(32)});
            },
            1},
        Origin{"Nothing", [] { return buffer_of(5, {}); }, 0}),
    [](const testing::TestParamInfo<Origin>& each) {
      return std::string(each.param.name);
    });

TEST(MemoryOfOthers, ThatNoProcessCanReachIsRefusedWithTheWayOut) {
  Harness sut("stage=identity max-workers=1", {.caps = nullptr});
  sut.push_event(gst_event_new_stream_start("gl"));
  const CapsPtr caps(gst_caps_from_string(
      "video/x-raw(memory:GLMemory),format=RGBA,width=4,height=4,"
      "framerate=100/1"));
  sut.push_event(gst_event_new_caps(caps.get()));
  const std::string error = wait_for_error(sut.messages());
  EXPECT_TRUE(has(error, "memory:GLMemory")) << error;
  EXPECT_TRUE(has(error, "gldownload")) << error;
  EXPECT_TRUE(has(error, "workerpool")) << error;
}

// ---- Identity --------------------------------------------------------------

// A meta without a form as bytes.
struct NoteMeta {
  GstMeta meta;
  gint note;
};

gboolean transform_note(GstBuffer* to, GstMeta* meta, GstBuffer*, GQuark,
                        gpointer);

const GstMetaInfo* note_info() {
  static const GstMetaInfo* const info = [] {
    static const gchar* no_tags[] = {nullptr};
    return gst_meta_register(
        gst_meta_api_type_register("TestNoteMetaAPI", no_tags), "TestNoteMeta",
        sizeof(NoteMeta),
        [](GstMeta* meta, gpointer, GstBuffer*) -> gboolean {
          reinterpret_cast<NoteMeta*>(meta)->note = 0;
          return TRUE;
        },
        nullptr, transform_note);
  }();
  return info;
}

void add_note(GstBuffer* buffer, gint note) {
  reinterpret_cast<NoteMeta*>(gst_buffer_add_meta(buffer, note_info(), nullptr))
      ->note = note;
}

gboolean transform_note(GstBuffer* to, GstMeta* meta, GstBuffer*, GQuark,
                        gpointer) {
  add_note(to, reinterpret_cast<NoteMeta*>(meta)->note);
  return TRUE;
}

gint note_of(GstBuffer* buffer) {
  GstMeta* meta = gst_buffer_get_meta(buffer, note_info()->api);
  return meta != nullptr ? reinterpret_cast<NoteMeta*>(meta)->note : -1;
}

constexpr char kCustomMeta[] = "test-custom";

// How often `buffer` has which meta.
std::multiset<std::string> metas_of(GstBuffer* buffer) {
  std::multiset<std::string> names;
  gpointer state = nullptr;
  while (GstMeta* meta = gst_buffer_iterate_meta(buffer, &state))
    names.insert(g_type_name(meta->info->type));
  return names;
}

void add_metas(GstBuffer* buffer) {
  if (gst_meta_get_info(kCustomMeta) == nullptr) {
    static const gchar* no_tags[] = {nullptr};
    gst_meta_register_custom(kCustomMeta, no_tags, nullptr, nullptr, nullptr);
  }
  add_note(buffer, 12);
  gst_structure_set(gst_custom_meta_get_structure(
                        gst_buffer_add_custom_meta(buffer, kCustomMeta)),
                    "score", G_TYPE_INT, 34, nullptr);
  const CapsPtr reference(gst_caps_new_empty_simple("timestamp/x-test"));
  gst_buffer_add_reference_timestamp_meta(buffer, reference.get(),
                                          56 * GST_SECOND, GST_SECOND);
  gst_buffer_add_video_region_of_interest_meta(buffer, "face", 1, 2, 3, 4);
}

gint score_of(GstBuffer* buffer) {
  GstCustomMeta* meta = gst_buffer_get_custom_meta(buffer, kCustomMeta);
  gint score = -1;
  if (meta != nullptr)
    gst_structure_get_int(gst_custom_meta_get_structure(meta), "score", &score);
  return score;
}

GstClockTime reference_of(GstBuffer* buffer) {
  const GstReferenceTimestampMeta* meta =
      gst_buffer_get_reference_timestamp_meta(buffer, nullptr);
  return meta != nullptr ? meta->timestamp : GST_CLOCK_TIME_NONE;
}

// A stage sees the metas: what one of them leaves out of its result is not
// there, and what it lets through is.
class MetasOf : public testing::TestWithParam<const char*> {};

TEST_P(MetasOf, AStageAreThoseOfThePlainElements) {
  const std::string stage = GetParam();
  BufferPtr frame = numbered_buffer(0);
  add_metas(frame.get());

  GstHarness* plain = gst_harness_new_parse(stage.c_str());
  gst_harness_set_src_caps_str(plain, kColourCaps);
  const BufferPtr expected(
      gst_harness_push_and_pull(plain, gst_buffer_copy_deep(frame.get())));
  gst_harness_teardown(plain);

  Harness sut("max-workers=1 stage=\"" + stage + "\"", {.caps = kColourCaps});
  BufferPtr pushed = sut.frame(0);
  add_metas(pushed.get());
  sut.push(std::move(pushed));
  const BufferPtr out = sut.pull();
  std::multiset<std::string> metas = metas_of(out.get());
  std::multiset<std::string> expected_metas = metas_of(expected.get());
  metas.erase("GstVideoMeta");  // where the pools differ
  expected_metas.erase("GstVideoMeta");
  EXPECT_EQ(metas, expected_metas);
  EXPECT_EQ(note_of(out.get()), note_of(expected.get()));
  EXPECT_EQ(score_of(out.get()), score_of(expected.get()));
  EXPECT_EQ(reference_of(out.get()), reference_of(expected.get()));
}

INSTANTIATE_TEST_SUITE_P(
    Stages, MetasOf,
    testing::Values("identity", "videoflip video-direction=horiz",
                    "videoconvert ! videobox border-alpha=0", "gamma gamma=2"));

TEST(Identity, AMetaWithoutAFormStaysWithItsFrame) {
  for (const char* stage :
       {"stage=identity ", kNewBufferStage, "stage=\"gamma gamma=2\" "}) {
    Harness sut(std::string(stage) + "max-workers=1", {.caps = kColourCaps});
    BufferPtr frame = sut.frame(3);
    add_note(frame.get(), 77);
    sut.push(std::move(frame));
    EXPECT_EQ(note_of(sut.pull().get()), 77) << stage;
  }
}

// ---- Other worker programs -------------------------------------------------

std::string script(const std::string& name, const std::string& argument = "") {
  g_autofree gchar* path = g_shell_quote((TEST_SUPPORT_DIR "/" + name).c_str());
  return std::string("python3 -B ") + path + " " + argument;
}

HarnessOptions running(const std::string& command,
                       HarnessOptions options = {}) {
  options.prepare = [command](GstElement* element) {
    g_object_set(element, "worker-command", command.c_str(), nullptr);
  };
  return options;
}

class PythonWorker : public testing::Test {
 protected:
  void SetUp() override {
    g_autofree gchar* python = g_find_program_in_path("python3");
    if (python == nullptr) GTEST_SKIP() << "there is no python3";
  }
};

// By messages, and through the shared memory.
class InvertingWorker : public PythonWorker,
                        public testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Programs, InvertingWorker,
                         testing::Values("inverting_worker.py",
                                         "ring_worker.py"),
                         [](const testing::TestParamInfo<const char*>& each) {
                           return std::string(each.param)
                               .substr(0, std::string(each.param).find('.'));
                         });

bool is_inverted(GstBuffer* buffer) {
  const BufferPtr original =
      numbered_buffer(number_of(buffer), gst_buffer_get_size(buffer));
  std::vector<guint8> expected = bytes_of(original.get());
  for (guint8& byte : expected) byte = static_cast<guint8>(~byte);
  return bytes_of(buffer) == expected;
}

// Which worker has attached its meta; 99: none.
guint inverted_by(GstBuffer* buffer) {
  guint worker = 99;
  GstCustomMeta* meta =
      gst_meta_get_info("gst-dispatch-inverted") != nullptr
          ? gst_buffer_get_custom_meta(buffer, "gst-dispatch-inverted")
          : nullptr;
  if (meta != nullptr)
    gst_structure_get_uint(gst_custom_meta_get_structure(meta), "worker",
                           &worker);
  return worker;
}

TEST_P(InvertingWorker, InvertsAllFramesInOrder) {
  Harness sut("stage=identity max-workers=1", running(script(GetParam())));
  for (std::uint64_t i = 0; i < 50; ++i) {
    ASSERT_EQ(sut.push(i), GST_FLOW_OK);
    const BufferPtr out = sut.pull();
    EXPECT_EQ(number_of(out.get()), i);
    EXPECT_TRUE(is_inverted(out.get())) << i;
    EXPECT_EQ(inverted_by(out.get()), 0U);
  }
  sut.wait_for_stat("applied", 50);
}

TEST_P(InvertingWorker, SharesFramesWithAnotherOne) {
  Harness sut("stage=identity max-workers=2", running(script(GetParam())));
  // None is done before the other one has its frame.
  for (const pid_t pid : child_processes()) kill(pid, SIGSTOP);
  sut.push_range(0, 2);
  for (const pid_t pid : child_processes()) kill(pid, SIGCONT);
  std::set<guint> by;
  for (std::uint64_t i = 0; i < 2; ++i) {
    const BufferPtr out = sut.pull();
    EXPECT_EQ(number_of(out.get()), i);
    by.insert(inverted_by(out.get()));
  }
  EXPECT_EQ(by, (std::set<guint>{0, 1}));
  auto pushed = sut.push_in_background(2, 100);
  for (std::uint64_t i = 2; i < 100; ++i) {
    const BufferPtr out = sut.pull();
    EXPECT_EQ(number_of(out.get()), i);
    EXPECT_TRUE(is_inverted(out.get())) << i;
  }
  EXPECT_EQ(pushed.get(), GST_FLOW_OK);
}

TEST_P(InvertingWorker, KeepsWhatTheOriginalHas) {
  Harness sut("stage=identity max-workers=1",
              running(script(GetParam()), {.caps = kVideoCaps}));
  BufferPtr frame = sut.frame(4);
  add_metas(frame.get());
  GST_BUFFER_DTS(frame.get()) = 5;
  GST_BUFFER_OFFSET_END(frame.get()) = 6;
  GST_BUFFER_FLAG_SET(frame.get(), GST_BUFFER_FLAG_MARKER);
  GST_BUFFER_FLAG_SET(frame.get(), GST_BUFFER_FLAG_CORRUPTED);
  std::multiset<std::string> metas = metas_of(frame.get());
  sut.push(std::move(frame));
  const BufferPtr out = sut.pull();
  EXPECT_TRUE(is_inverted(out.get()));
  EXPECT_EQ(number_of(out.get()), 4U);
  EXPECT_EQ(GST_BUFFER_PTS(out.get()), 4 * kFrameDuration);
  EXPECT_EQ(GST_BUFFER_DTS(out.get()), 5U);
  EXPECT_EQ(GST_BUFFER_DURATION(out.get()), kFrameDuration);
  EXPECT_EQ(GST_BUFFER_OFFSET_END(out.get()), 6U);
  EXPECT_TRUE(GST_BUFFER_FLAG_IS_SET(out.get(), GST_BUFFER_FLAG_MARKER));
  EXPECT_TRUE(GST_BUFFER_FLAG_IS_SET(out.get(), GST_BUFFER_FLAG_CORRUPTED));
  metas.insert("gst-dispatch-inverted");
  EXPECT_EQ(metas_of(out.get()), metas);
  EXPECT_EQ(note_of(out.get()), 12);
  EXPECT_EQ(score_of(out.get()), 34);
  EXPECT_EQ(reference_of(out.get()), 56 * GST_SECOND);
}

TEST_F(PythonWorker, AddsAndRemovesRegions) {
  Harness sut("stage=identity max-workers=1",
              running(script("region_worker.py"), {.caps = kVideoCaps}));
  for (const bool has_region : {true, false}) {
    BufferPtr frame = sut.frame(4);
    if (has_region)
      gst_buffer_add_video_region_of_interest_meta(frame.get(), "face", 9, 9, 9,
                                                   9);
    sut.push(std::move(frame));
    const BufferPtr out = sut.pull();
    EXPECT_EQ(gst_buffer_get_n_meta(out.get(),
                                    GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE),
              1U);
    const GstVideoRegionOfInterestMeta* region =
        gst_buffer_get_video_region_of_interest_meta_id(out.get(), 7);
    ASSERT_NE(region, nullptr);
    EXPECT_STREQ(g_quark_to_string(region->roi_type), "found");
    EXPECT_EQ(region->h, 4U);
  }
}

TEST_P(InvertingWorker, TakesMemoryOfAnyShape) {
  Harness sut("stage=identity max-workers=1", running(script(GetParam())));
  sut.push(buffer_of(1, {foreign_memory(64, true), foreign_memory(32, true)}));
  const BufferPtr joined = sut.pull();
  EXPECT_EQ(gst_buffer_get_size(joined.get()), 96U);
  EXPECT_TRUE(is_inverted(joined.get()));
  sut.push(buffer_of(2, {}));
  const BufferPtr empty = sut.pull();
  EXPECT_EQ(gst_buffer_n_memory(empty.get()), 0U);
  EXPECT_EQ(inverted_by(empty.get()), 0U);
  sut.push(numbered_buffer(3, 500000));
  const BufferPtr large = sut.pull();
  EXPECT_EQ(gst_buffer_get_size(large.get()), 500000U);
  EXPECT_TRUE(is_inverted(large.get()));
}

// More than it may have result slots.
TEST_P(InvertingWorker, PutsAListIntoOneResultSlot) {
  Harness sut("stage=identity max-workers=1", running(script(GetParam())));
  constexpr std::uint64_t kBuffers = 300;
  GstBufferList* const list = gst_buffer_list_new();
  for (std::uint64_t i = 0; i < kBuffers; ++i)
    gst_buffer_list_add(list, sut.frame(i).release());
  ASSERT_EQ(gst_pad_push_list(sut.get()->srcpad, list), GST_FLOW_OK);
  std::vector<BufferPtr> results;
  std::set<int> files;
  for (std::uint64_t i = 0; i < kBuffers; ++i) {
    results.push_back(sut.pull());
    EXPECT_EQ(number_of(results.back().get()), i);
    EXPECT_TRUE(is_inverted(results.back().get())) << i;
    files.insert(
        gst_fd_memory_get_fd(gst_buffer_peek_memory(results.back().get(), 0)));
  }
  EXPECT_EQ(files.size(), 1U);
}

TEST_P(InvertingWorker, FollowsNewCaps) {
  Harness sut("stage=identity max-workers=2", running(script(GetParam())));
  sut.push_range(0, 2);
  gst_harness_set_src_caps_str(sut.get(), kVideoCaps);
  sut.push_range(2, 4);
  for (std::uint64_t i = 0; i < 4; ++i)
    EXPECT_TRUE(is_inverted(sut.pull().get()));
  sut.push_eos();
  sut.out().wait_for("eos");
  std::vector<std::string> lines = sut.out().lines();
  std::erase(lines, "segment");
  EXPECT_EQ(lines, (std::vector<std::string>{"stream-start", "caps", "0", "1",
                                             "caps", "2", "3", "eos"}));
  const PadPtr src(gst_element_get_static_pad(sut.element(), "src"));
  const CapsPtr caps(gst_pad_get_current_caps(src.get()));
  const CapsPtr expected(gst_caps_from_string(kVideoCaps));
  EXPECT_TRUE(gst_caps_is_equal(caps.get(), expected.get()));
}

TEST_P(InvertingWorker, EndsWithTheElement) {
  Harness sut("stage=identity max-workers=2", running(script(GetParam())));
  for (std::uint64_t round = 0; round < 2; ++round) {
    sut.push(round);
    EXPECT_EQ(sut.pull_number(), round);
    play_again(sut);
  }
  sut.set_state(GST_STATE_NULL);
  EXPECT_EQ(child_processes(), std::vector<pid_t>());
}

// ---- Worker programs that lie ----------------------------------------------

struct Lie {
  const char* lie;
  const char* field;  // as the error calls it
  const char* program = "lying_worker.py";
};

void PrintTo(const Lie& lie, std::ostream* stream) { *stream << lie.lie; }

std::string name_of_lie(const testing::TestParamInfo<Lie>& each) {
  std::string name = each.param.lie;
  std::erase_if(name, [](char c) { return c == '_' || c == '-'; });
  return name;
}

class LyingWorker : public PythonWorker,
                    public testing::WithParamInterface<Lie> {};

TEST_P(LyingWorker, IsEndedWithTheNameOfTheField) {
  Harness sut("stage=identity max-workers=1 restart-limit=0",
              running(script(GetParam().program, GetParam().lie)));
  sut.push(0);
  const BufferPtr first = sut.pull();
  EXPECT_TRUE(is_inverted(first.get())) << "it begins honestly";
  sut.push(1);
  const std::string error = wait_for_error(sut.messages());
  EXPECT_TRUE(has(error, "worker0 broke the protocol")) << error;
  EXPECT_TRUE(has(error, std::string("'") + GetParam().field + "'")) << error;
  sut.wait_for_stat("in-flight", 0);
  EXPECT_EQ(sut.push(2), GST_FLOW_ERROR);
  EXPECT_FALSE(sut.has_output());
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_ERROR), 0U);
  sut.set_state(GST_STATE_NULL);
  EXPECT_EQ(child_processes(), std::vector<pid_t>());
}

INSTANTIATE_TEST_SUITE_P(
    About, LyingWorker,
    testing::Values(Lie{"number", "number"}, Lie{"sequence", "sequence"},
                    Lie{"start_ns", "start_ns"}, Lie{"end_ns", "end_ns"},
                    Lie{"flow", "flow"}, Lie{"flags", "flags"},
                    Lie{"payload_bytes", "payload_bytes"},
                    Lie{"copied_buffers", "copied_buffers"},
                    Lie{"copied_bytes", "copied_bytes"}, Lie{"slot", "slot"},
                    Lie{"generation", "generation"}, Lie{"owner", "owner"},
                    Lie{"offset", "offset"}, Lie{"bytes", "bytes"},
                    Lie{"memory-flags", "flags of a memory"},
                    Lie{"list", "list of fields"}, Lie{"event", "event"},
                    Lie{"meta", "kind of a meta"},
                    Lie{"one-field", "video size"},
                    Lie{"end", "event, which is neither caps nor tags"},
                    Lie{"report", "report"}, Lie{"ready", "ready"},
                    Lie{"magic", "magic"}, Lie{"bus", "message"},
                    Lie{"need-slot", "bytes"}, Lie{"enter", "epoch id"},
                    Lie{"leave", "epoch id"}, Lie{"close", "epoch id"},
                    Lie{"bind", "caps"}, Lie{"bind-nothing", "caps"},
                    Lie{"pin", "caps"}, Lie{"pin-other", "caps"},
                    Lie{"pad-query", "query"}, Lie{"pad-event", "event"},
                    Lie{"released", "number"}),
    name_of_lie);

// In the shared memory.
INSTANTIATE_TEST_SUITE_P(
    InTheRingAbout, LyingWorker,
    testing::Values(Lie{"payload", "payload", "ring_worker.py"},
                    Lie{"completed", "completed", "ring_worker.py"}),
    name_of_lie);

// ---- Worker programs that ask ----------------------------------------------

std::string broken_by(unsigned worker, const std::string& field) {
  return "worker" + std::to_string(worker) + " broke the protocol: its '" +
         field + "' is wrong";
}

void expect_may_ask(const char* how) {
  Harness sut("stage=identity max-workers=2",
              running(script("asking_worker.py", how)));
  auto pushed = sut.push_in_background(0, 20);
  for (std::uint64_t i = 0; i < 20; ++i) EXPECT_EQ(sut.pull_number(), i);
  EXPECT_EQ(pushed.get(), GST_FLOW_OK);
}

TEST_F(PythonWorker, MayAskInThePlaceOfItsFrame) { expect_may_ask("once"); }

TEST_F(PythonWorker, MayAskAfterItHasGivenItsResult) {
  expect_may_ask("after");
}

TEST_F(PythonWorker, HearsThatDownstreamRefusedWhatCameBeforeTheQuestion) {
  Harness sut("stage=identity max-workers=1",
              running(script("asking_worker.py", "after")));
  gst_pad_add_probe(
      sut.get()->sinkpad, GST_PAD_PROBE_TYPE_BUFFER,
      [](GstPad*, GstPadProbeInfo* info, gpointer) {
        gst_buffer_unref(GST_PAD_PROBE_INFO_BUFFER(info));
        GST_PAD_PROBE_INFO_FLOW_RETURN(info) = GST_FLOW_NOT_LINKED;
        return GST_PAD_PROBE_HANDLED;
      },
      nullptr, nullptr);
  sut.push(0);
  sut.wait_for_stat("in-flight", 0);
  EXPECT_EQ(sut.push(1), GST_FLOW_NOT_LINKED);
}

// The second worker asks for its frame, behind one that does not come.
void ask_behind_a_frame(Harness& sut) {
  kill(child_processes().at(0), SIGSTOP);
  sut.push_range(0, 2);
}

TEST_F(PythonWorker, ThatAsksTwiceAtOnceIsEndedAndNotInTheWayOfNull) {
  Harness sut("stage=identity max-workers=2 restart-limit=0",
              running(script("asking_worker.py", "twice")));
  ask_behind_a_frame(sut);
  const std::string error = wait_for_error(sut.messages());
  EXPECT_TRUE(has(error, broken_by(1, "query"))) << error;
  sut.set_state(GST_STATE_NULL);
  EXPECT_EQ(child_processes(), std::vector<pid_t>());
}

// The question of the second worker waits for the first one's frame, which
// needs the thread that hears of the death.
TEST_F(PythonWorker, ThatDiesWithAQuestionDoesNotStopTheOthers) {
  Harness sut("stage=identity max-workers=2 spare-workers=0",
              running(script("asking_worker.py", "dying")));
  ask_behind_a_frame(sut);
  const MessagePtr lost = sut.messages().wait_element("worker-lost");
  guint worker = 0;
  gst_structure_get_uint(gst_message_get_structure(lost.get()), "worker",
                         &worker);
  EXPECT_EQ(worker, 1U);
  kill(child_processes().at(0), SIGCONT);
  const BufferPtr out = sut.pull();
  EXPECT_EQ(number_of(out.get()), 0U);
  EXPECT_TRUE(is_inverted(out.get()));
}

TEST_F(PythonWorker, ThatAsksTooMuchIsEnded) {
  Harness sut("stage=identity max-workers=1 restart-limit=0",
              running(script("asking_worker.py", "greedily")));
  sut.push(0);
  const std::string error = wait_for_error(sut.messages());
  EXPECT_TRUE(has(error, broken_by(0, "requests"))) << error;
  sut.set_state(GST_STATE_NULL);
  EXPECT_EQ(child_processes(), std::vector<pid_t>());
}

TEST_F(PythonWorker, ThatAsksInThePlaceOfAnotherFrameIsEnded) {
  Harness sut("stage=identity max-workers=1 restart-limit=0",
              running(script("asking_worker.py", "elsewhere")));
  sut.push(0);
  const std::string error = wait_for_error(sut.messages());
  EXPECT_TRUE(has(error, broken_by(0, "query"))) << error;
}

// It may say so, but it does not say why: that must not end the stream without
// a word.
struct Failure {
  const char* lie;
  const char* words;  // of the error
};

class FailingWorker : public PythonWorker,
                      public testing::WithParamInterface<Failure> {};

TEST_P(FailingWorker, IsNamedWithItsFrame) {
  Harness sut("stage=identity max-workers=1",
              running(script("lying_worker.py", GetParam().lie)));
  sut.push(0);
  sut.pull();
  sut.push(1);
  const std::string error = wait_for_error(sut.messages());
  EXPECT_TRUE(has(error, "worker0 could not do frame ")) << error;
  EXPECT_TRUE(has(error, GetParam().words)) << error;
  sut.wait_for_stat("in-flight", 0);
  EXPECT_NE(sut.push(2), GST_FLOW_OK);
  EXPECT_NE(sut.push(3), GST_FLOW_FLUSHING) << "upstream would stop silently";
  EXPECT_EQ(sut.messages().count(GST_MESSAGE_ERROR), 0U);
}

INSTANTIATE_TEST_SUITE_P(Which, FailingWorker,
                         testing::Values(Failure{"fails", "'error'"},
                                         Failure{"refuses", "'not-negotiated'"},
                                         Failure{"flushes",
                                                 "nothing is being flushed"}),
                         [](const testing::TestParamInfo<Failure>& each) {
                           return std::string(each.param.lie);
                         });

// A frame whose memory tells when nobody has it any more.
BufferPtr watched_frame(std::uint64_t number, std::atomic<bool>& is_free) {
  GstMemory* memory = foreign_memory(64, true);
  gst_mini_object_weak_ref(
      GST_MINI_OBJECT_CAST(memory),
      [](gpointer flag, GstMiniObject*) {
        *static_cast<std::atomic<bool>*>(flag) = true;
      },
      &is_free);
  return buffer_of(number, {memory});
}

TEST_F(PythonWorker, ThatIsKilledHasItsFrameUntilItIsGone) {
  Harness sut("stage=identity max-workers=1 restart-limit=0",
              running(script("lying_worker.py", "flow")));
  sut.push(0);
  sut.pull();
  LastingProcess worker(child_processes().at(0));
  if (!worker.lasts()) GTEST_SKIP() << "ptrace is not allowed";
  std::atomic<bool> is_free{false};
  sut.push(watched_frame(1, is_free));
  wait_for_error(sut.messages());
  sut.wait_for_stat("in-flight", 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(is_free);
  worker.let_go();
  EXPECT_TRUE(comes_true([&] { return is_free.load(); }));
}

TEST_F(PythonWorker, ThatKeepsFramesWithoutEndIsEnded) {
  Harness sut("stage=identity max-workers=1 restart-limit=0",
              running(script("lying_worker.py", "keeps")));
  GstMemory* memory = foreign_memory(64, true);
  std::uint64_t number = 0;
  while (number < 2000 &&
         sut.push(buffer_of(number, {gst_memory_ref(memory)})) == GST_FLOW_OK) {
    ++number;
    while (sut.has_output()) sut.pull();  // their slots serve again
  }
  gst_memory_unref(memory);
  EXPECT_GT(number, 512U);
  const std::string error = wait_for_error(sut.messages());
  EXPECT_TRUE(has(error, "worker0 broke the protocol")) << error;
  EXPECT_TRUE(has(error, "'kept inputs'")) << error;
}

TEST(Process, OneThatCannotBeKilledDoesNotHoldUpAStop) {
  Gate gate;
  gate.hold(0);
  Harness sut("stage=gate max-workers=1", {.gate = &gate});
  LastingProcess worker(child_processes().at(0));
  if (!worker.lasts()) GTEST_SKIP() << "ptrace is not allowed";
  std::atomic<bool> is_free{false};
  sut.push(watched_frame(0, is_free));
  gate.wait_until_held(0);
  sut.set_state(GST_STATE_NULL);
  play_anew(sut);
  EXPECT_EQ(child_processes().size(), 2U) << "the new one, and the old one";
  EXPECT_FALSE(is_free) << "what a process may still look at";
  EXPECT_EQ(sut.push(1), GST_FLOW_OK);
  EXPECT_EQ(number_of(sut.pull().get()), 1U);
  worker.let_go();
  EXPECT_TRUE(
      comes_true([&] { return is_free && child_processes().size() == 1U; }));
}

// ---- Worker programs that do not start -------------------------------------

// The error of an element that runs `command`.
std::string error_of_starting(const std::string& command) {
  const ElementPtr element = new_element();
  Messages messages(element.get());
  g_object_set(element.get(), "stage", "identity", "max-workers", 2,
               "worker-command", command.c_str(), nullptr);
  EXPECT_EQ(gst_element_set_state(element.get(), GST_STATE_PAUSED),
            GST_STATE_CHANGE_FAILURE);
  std::string error = wait_for_error(messages);
  gst_element_set_state(element.get(), GST_STATE_NULL);
  EXPECT_EQ(child_processes(), std::vector<pid_t>());
  return error;
}

TEST(WorkerCommand, ThatIsNotThereIsNamed) {
  const std::string error = error_of_starting("no-such-program --option");
  EXPECT_TRUE(has(error, "no-such-program")) << error;
  EXPECT_TRUE(has(error, "No such file")) << error;
  EXPECT_TRUE(has(error, "worker-command")) << error;
}

TEST(WorkerCommand, ThatCannotBeReadIsQuoted) {
  const std::string error = error_of_starting("sh 'without an end");
  EXPECT_TRUE(has(error, "sh 'without an end")) << error;
  EXPECT_TRUE(has(error, "worker-command")) << error;
}

TEST(WorkerCommand, ThatEndsAtOnceSaysHow) {
  const std::string error = error_of_starting("sh -c 'exit 3'");
  EXPECT_TRUE(has(error, "worker0 (process ")) << error;
  EXPECT_TRUE(has(error, "exited with status 3")) << error;
}

TEST_F(PythonWorker, OfAnotherVersionIsRefused) {
  const std::string error =
      error_of_starting(script("lying_worker.py", "version"));
  EXPECT_TRUE(has(error, "worker0 speaks version 2")) << error;
  EXPECT_TRUE(has(error, "this is version 1")) << error;
}

}  // namespace
}  // namespace dispatch::test
