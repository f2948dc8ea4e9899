// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Several shmdispatch in a row: whose memory the frames lie in, and that
// nothing is copied, mapped or touched for the first time once the stream runs.
//
// The kernel counts page faults and system calls, of all processes.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include <gst/allocators/gstfdmemory.h>

#include "element_harness.h"
#include "family.h"
#include "traced_run.h"

namespace dispatch::test {
namespace {

constexpr char kTracedOption[] = "--traced";
constexpr int kFrames = 400;
constexpr int kWarmUpFrames = 100;
constexpr int kLookedAtFrames = kFrames - kWarmUpFrames;
// The parts of a stream that are looked at one by one. A slot more is made when
// more frames than ever are under way, at any time: that is allowed in some
// parts, but not in all of them.
constexpr int kPartFrames = 25;
constexpr std::array kNames = {"a", "b", "c", "d"};
// Of a size at which memory that was just mapped costs hundreds of page faults.
constexpr char kSource[] =
    "videotestsrc name=source pattern=blue num-buffers=400 ! "
    "video/x-raw,format=I420,width=1280,height=720,framerate=30/1";

// Four elements with these properties, between a source and a sink.
std::string chain(const std::string& properties) {
  std::string text = kSource;
  for (const char* name : kNames)
    text += std::string(" ! shmdispatch max-workers=1 name=") + name + " " +
            properties;
  return text + " ! fakesink name=sink";
}

// The file that a frame lies in; 0: in none.
ino_t file_of(GstBuffer* frame) {
  GstMemory* memory = gst_buffer_peek_memory(frame, 0);
  struct stat about {};
  if (!gst_is_fd_memory(memory) ||
      fstat(gst_fd_memory_get_fd(memory), &about) != 0)
    return 0;
  return about.st_ino;
}

guint8 first_byte(GstBuffer* frame) {
  guint8 byte = 0;
  gst_buffer_extract(frame, 0, &byte, 1);
  return byte;
}

// Calls `look` for each frame that passes a pad, on its streaming thread.
template <typename Look>
class Probe {
 public:
  Probe(const PadPtr& pad, Look look) : look_(std::move(look)) {
    gst_pad_add_probe(
        pad.get(), GST_PAD_PROBE_TYPE_BUFFER,
        [](GstPad*, GstPadProbeInfo* info, gpointer self) {
          static_cast<Probe*>(self)->look_(GST_PAD_PROBE_INFO_BUFFER(info));
          return GST_PAD_PROBE_OK;
        },
        this, nullptr);
  }
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

 private:
  Look look_;
};

// What was seen of a stream, unless said: once it had warmed up.
struct Seen {
  int same_file = 0;
  std::set<ino_t> files_at_sink;
  std::map<GstClockTime, guint8> first_bytes;  // that the source wrote
  int inverted = 0;
  std::int64_t fewest_page_faults = INT64_MAX;  // in one part
  std::uint64_t copies = 0;  // in all elements, from the first frame on
};

Seen run(const std::string& launch) {
  Pipeline pipeline(launch);
  Seen seen;
  std::mutex mutex;
  std::map<GstClockTime, ino_t> sent;
  std::vector<pid_t> processes;
  std::int64_t page_faults_before = 0;
  int arrived = 0;
  const Probe at_source(pipeline.pad("source", "src"), [&](GstBuffer* frame) {
    const std::lock_guard lock(mutex);
    sent[GST_BUFFER_PTS(frame)] = file_of(frame);
    seen.first_bytes[GST_BUFFER_PTS(frame)] = first_byte(frame);
  });
  const Probe at_sink(pipeline.pad("sink", "sink"), [&](GstBuffer* frame) {
    const std::lock_guard lock(mutex);
    const ino_t file = file_of(frame);
    seen.files_at_sink.insert(file);
    if (++arrived < kWarmUpFrames) return;
    if (processes.empty()) processes = family();
    if (arrived % kPartFrames == 0) {
      const std::int64_t now = page_faults(processes).all();
      if (arrived > kWarmUpFrames)
        seen.fewest_page_faults =
            std::min(seen.fewest_page_faults, now - page_faults_before);
      page_faults_before = now;
    }
    if (arrived == kWarmUpFrames) return;
    if (file != 0 && file == sent[GST_BUFFER_PTS(frame)]) ++seen.same_file;
    const guint8 before = seen.first_bytes[GST_BUFFER_PTS(frame)];
    if ((first_byte(frame) ^ before) == 0xff) ++seen.inverted;
  });
  EXPECT_TRUE(pipeline.run_to_eos()) << pipeline.error();
  EXPECT_EQ(arrived, kFrames);
  for (const char* name : kNames) {
    const ElementPtr element(
        gst_bin_get_by_name(GST_BIN(pipeline.get()), name));
    if (element) seen.copies += Stats(element.get())["copies"];
  }
  return seen;
}

TEST(ZeroCopy, TheSourcesMemoryArrivesAtTheSink) {
  const Seen seen = run(chain("stage=identity"));
  EXPECT_EQ(seen.same_file, kLookedAtFrames);
  EXPECT_EQ(seen.copies, 0U);
}

TEST(ZeroCopy, AWorkerpoolBetweenThemPassesItOn) {
  const Seen seen = run(std::string(kSource) +
                        " ! shmdispatch name=a max-workers=2 stage=identity"
                        " ! workerpool name=b max-workers=2 stage=identity"
                        " ! shmdispatch name=c max-workers=2 stage=identity"
                        " ! workerpool name=d max-workers=2 stage=identity"
                        " ! fakesink name=sink");
  EXPECT_EQ(seen.same_file, kLookedAtFrames);
  EXPECT_EQ(seen.copies, 0U);
}

TEST(ZeroCopy, AStageThatIsNotInPlaceGivesResultSlots) {
  const Seen seen = run(chain("stage=\"videoflip video-direction=vert\""));
  EXPECT_EQ(seen.same_file, 0);
  EXPECT_EQ(seen.copies, 0U);
  EXPECT_EQ(seen.files_at_sink.count(0), 0U);
  // The window of the last element, and one that the worker writes to.
  EXPECT_LE(seen.files_at_sink.size(), 5U);
}

TEST(ZeroCopy, AStageInPlaceWritesWhereTheSourceWrote) {
  const Seen seen =
      run(chain("allow-in-place=true stage=\"teststage writes=true\""));
  EXPECT_EQ(seen.same_file, kLookedAtFrames);
  EXPECT_EQ(seen.copies, 0U);
}

TEST(ZeroCopy, AStageInPlaceHasWritten) {
  const Seen seen = run(std::string(kSource) +
                        " ! shmdispatch name=a max-workers=1 "
                        "allow-in-place=true stage=\"teststage writes=true\""
                        " ! fakesink name=sink");
  EXPECT_EQ(seen.inverted, kLookedAtFrames);
  EXPECT_EQ(seen.same_file, kLookedAtFrames);
}

// In memory that the source may still read, nothing is written.
TEST(ZeroCopy, WithoutLeaveToWriteThereIsOneCopy) {
  const Seen seen = run(std::string(kSource) +
                        " ! shmdispatch name=a max-workers=1 "
                        "stage=\"teststage writes=true\" ! fakesink name=sink");
  EXPECT_EQ(seen.same_file, 0);
  EXPECT_EQ(seen.inverted, kLookedAtFrames);
  EXPECT_EQ(seen.copies, static_cast<std::uint64_t>(kFrames));
}

class PageFaults : public testing::TestWithParam<const char*> {};

TEST_P(PageFaults, AreNotMadeByFrames) {
  const Seen seen = run(chain(GetParam()));
  // Not one for each. Other memory may be touched for the first time.
  EXPECT_LT(seen.fewest_page_faults, kPartFrames)
      << seen.copies << " copies; files " << seen.files_at_sink.size();
}

INSTANTIATE_TEST_SUITE_P(
    ZeroCopy, PageFaults,
    testing::Values("stage=identity",
                    "stage=\"videoflip video-direction=vert\"",
                    "stage=\"teststage writes=true\"",
                    "stage=\"teststage writes=true\" allow-in-place=true"));

// ---- System calls, in a traced process -------------------------------------

void run_traced_chain(const std::string& properties) {
  Pipeline pipeline(chain(properties));
  int arrived = 0;
  const Probe at_sink(pipeline.pad("sink", "sink"), [&](GstBuffer*) {
    ++arrived;
    if (arrived == kFrames) {
      end_traced_part();
    } else if (arrived >= kWarmUpFrames && arrived % kPartFrames == 0) {
      begin_traced_part();
    }
  });
  pipeline.run_to_eos();
}

class SystemCalls : public testing::TestWithParam<const char*> {};

TEST_P(SystemCalls, AreNotMadeForTheMemoryOfFrames) {
  const std::vector<std::string> calls = {
      "mmap",         "munmap",    "mremap",  "ftruncate",
      "memfd_create", "fallocate", "sendmsg", "recvmsg"};
  const TracedRun traced = run_traced({kTracedOption, GetParam()}, calls);
  if (!traced.why_not.empty()) GTEST_SKIP() << traced.why_not;
  ASSERT_EQ(traced.status, 0);
  ASSERT_EQ(traced.calls.size(), kLookedAtFrames / kPartFrames);
  // The C library maps memory for itself now and then.
  EXPECT_LT(std::ranges::min(traced.calls), kPartFrames)
      << testing::PrintToString(traced.calls);
}

INSTANTIATE_TEST_SUITE_P(
    ZeroCopy, SystemCalls,
    testing::Values("stage=identity",
                    "stage=\"videoflip video-direction=vert\""));

// What the test above rests on.
TEST(ZeroCopy, SystemCallsForEachFrameWouldBeSeen) {
  const TracedRun traced =
      run_traced({kTracedOption, "stage=identity"}, {"futex"});
  if (!traced.why_not.empty()) GTEST_SKIP() << traced.why_not;
  ASSERT_EQ(traced.status, 0);
  EXPECT_GT(std::ranges::min(traced.calls), kPartFrames);
}

}  // namespace
}  // namespace dispatch::test

// Instead of the one that the other programs share: a traced process runs no
// test.
int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  if (argc == 3 && std::strcmp(argv[1], dispatch::test::kTracedOption) == 0) {
    dispatch::test::run_traced_chain(argv[2]);
    return 0;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
