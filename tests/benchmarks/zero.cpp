// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A chain of four elements in its steady state: copies, page faults and
// mappings, of all processes, as the kernel counts them, and whose memory
// arrives at the sink.
//
// Each chain runs twice: as it is, for the page faults, and under strace, for
// the system calls. Warming up is not looked at.

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gst/allocators/gstfdmemory.h>

#include "arrival.h"
#include "bench.h"
#include "family.h"
#include "offered_frames.h"
#include "pipeline.h"
#include "report.h"
#include "traced_run.h"

namespace {

namespace test = dispatch::test;

constexpr bench::FrameShape kShape{"1920x1080", 1920, 1080};
constexpr int kWarmUpFrames = 100;
constexpr const char* kElements[] = {"x", "b", "c", "d"};
const std::vector<std::string> kMappingCalls = {"mmap", "munmap", "mremap"};

struct Chain {
  const char* name;
  const char* first;   // the element x, and c; b and d too, unless:
  const char* second;  // b and d
  bool passes_on;      // the source's memory has to arrive at the sink
};

constexpr Chain kChains[] = {
    {"identity", "shmdispatch max-workers=1 stage=identity", nullptr, true},
    {"identity, two workers", "shmdispatch max-workers=2 stage=identity",
     nullptr, true},
    {"identity, workerpool between", "shmdispatch max-workers=1 stage=identity",
     "workerpool max-workers=1 stage=identity", true},
    {"in place",
     "shmdispatch max-workers=1 allow-in-place=true "
     "stage=\"teststage writes=true\"",
     nullptr, true},
    {"not in place",
     "shmdispatch max-workers=1 stage=\"videoflip video-direction=vert\"",
     nullptr, false},
};

std::string description(const Chain& chain) {
  std::string text;
  for (const char* name : kElements) {
    const bool is_second = *name == 'b' || *name == 'd';
    text += is_second && chain.second != nullptr ? chain.second : chain.first;
    text += std::string(" name=") + name + " ! ";
  }
  return text +
         "fakesink name=sink sync=false async=false enable-last-sample=false";
}

// The file that the frame lies in; 0: in none.
ino_t file_of(GstBuffer* frame) {
  GstMemory* memory = gst_buffer_peek_memory(frame, 0);
  struct stat about {};
  if (!gst_is_fd_memory(memory) ||
      fstat(gst_fd_memory_get_fd(memory), &about) != 0)
    return 0;
  return about.st_ino;
}

// One chain that runs, with one frame in flight.
class Run {
 public:
  explicit Run(const Chain& chain) : pipeline_(description(chain)) {
    pipeline_.start();
    gst_pad_add_probe(pipeline_.pad("sink", "sink"), GST_PAD_PROBE_TYPE_BUFFER,
                      on_arrival, this, nullptr);
    arrival_.emplace(pipeline_.pad("sink", "sink"));
    feeder_.emplace(pipeline_.pad("x", "sink"), kShape.caps().c_str());
    frames_.emplace(*feeder_, kShape);
    push(kWarmUpFrames);
    files_at_sink.clear();
    same_file = 0;
  }

  void push(int count) {
    for (int i = 0; i < count; i++) {
      GstBuffer* frame = frames_->take();
      const ino_t file = file_of(frame);
      feeder_->push(frame);
      arrival_->wait();
      if (file != 0 && file == arrived_file_) same_file++;
      files_at_sink.insert(arrived_file_);
    }
  }

  std::uint64_t copies() const {
    std::uint64_t sum = 0;
    for (const char* name : kElements) {
      GstStructure* stats = nullptr;
      g_object_get(pipeline_.element(name), "stats", &stats, nullptr);
      guint64 copies = 0;
      if (!gst_structure_get_uint64(stats, "copies", &copies))
        bench::fail("The stats have no copies.");
      gst_structure_free(stats);
      sum += copies;
    }
    return sum;
  }

  // In frames, for each element that has any: "2.0 1.0".
  std::string shared_memory() const {
    std::string text;
    for (const char* name : kElements) {
      GstElement* element = pipeline_.element(name);
      if (g_object_class_find_property(G_OBJECT_GET_CLASS(element),
                                       "current-level-bytes") == nullptr)
        continue;
      guint64 bytes = 0;
      g_object_get(element, "current-level-bytes", &bytes, nullptr);
      text += bench::number(static_cast<double>(bytes) /
                                static_cast<double>(kShape.bytes()),
                            1) +
              " ";
    }
    return text;
  }

  std::set<ino_t> files_at_sink;
  int same_file = 0;

 private:
  // Before that of the arrival, on the same thread.
  static GstPadProbeReturn on_arrival(GstPad*, GstPadProbeInfo* info,
                                      gpointer self) {
    static_cast<Run*>(self)->arrived_file_ =
        file_of(GST_PAD_PROBE_INFO_BUFFER(info));
    return GST_PAD_PROBE_OK;
  }

  bench::Pipeline pipeline_;
  ino_t arrived_file_ = 0;
  std::optional<bench::Arrival> arrival_;
  std::optional<bench::Feeder> feeder_;
  std::optional<bench::OfferedFrames> frames_;
};

int run_traced_part(const std::string& name, int frames) {
  for (const Chain& chain : kChains) {
    if (name != chain.name) continue;
    Run run(chain);
    test::begin_traced_part();
    run.push(frames);
    test::end_traced_part();
    return 0;
  }
  return 2;
}

struct Mapped {
  std::string text;
  bool is_none = true;
};

Mapped count_mappings(const Chain& chain, int frames) {
  const test::TracedRun traced = test::run_traced(
      {"--traced", chain.name, "--frames", std::to_string(frames)},
      kMappingCalls);
  if (!traced.why_not.empty()) return {"not counted: " + traced.why_not};
  if (traced.status != 0) bench::fail("A traced chain failed.");
  const int sum = traced.calls.at(0);
  // What the C library maps for itself now and then is far from one a frame.
  return {bench::number(static_cast<double>(sum) / frames, 3),
          sum * 10 < frames};
}

void measure(bench::Report& report, const Chain& chain, int frames) {
  Run run(chain);
  const auto processes = test::family();
  const test::Faults before = test::page_faults(processes);
  run.push(frames);
  const test::Faults after = test::page_faults(processes);
  const auto faults = static_cast<double>(after.all() - before.all());
  const Mapped mapped = count_mappings(chain, frames);
  report.row({chain.name, std::to_string(run.copies()),
              bench::number(faults / frames, 3), mapped.text,
              std::to_string(run.same_file * 100 / frames) + " %",
              std::to_string(run.files_at_sink.size()), run.shared_memory()});

  const std::string name = std::string(chain.name) + ": ";
  report.figure(name + "page faults per frame", faults / frames);
  report.promise(name + "no copy", run.copies() == 0);
  // A frame that is mapped anew has hundreds of pages.
  report.promise(name + "no page faults", faults * 10 < frames);
  report.promise(name + "nothing mapped", mapped.is_none);
  if (chain.passes_on)
    report.promise(name + "the source's memory arrives",
                   run.same_file == frames);
}

}  // namespace

int main(int argc, char** argv) {
  gint frames = 1000;
  const gchar* json = nullptr;
  const gchar* traced = nullptr;
  bench::CommandLine line(
      "Copies, page faults and mappings of a chain of four elements.");
  line.add("frames", &frames, "Frames that are looked at, of each chain");
  line.add("json", &json, "Write the figures to this file");
  line.add("traced", &traced, "Used by the program itself");
  line.parse(argc, argv);
  if (traced != nullptr) return run_traced_part(traced, frames);

  bench::Report report("zero");
  report.table(std::string("chains of four, ") + kShape.name + " I420, " +
                   std::to_string(frames) + " frames after " +
                   std::to_string(kWarmUpFrames),
               {"chain", "copies", "page faults per frame",
                "mappings per frame", "source's memory at the sink",
                "memfds at the sink", "shared memory in frames"});
  for (const Chain& chain : kChains) measure(report, chain, frames);
  return report.finish(json);
}
