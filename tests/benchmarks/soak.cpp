// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A long stream through worker processes: do memory and descriptors of all
// processes stay as they are?
//
// They are looked at after a tenth of the stream and at its end. What is
// resident is told apart: slots, which the element counts itself, and all else.

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench.h"
#include "family.h"
#include "offered_frames.h"
#include "pipeline.h"
#include "report.h"

namespace {

namespace test = dispatch::test;

constexpr bench::FrameShape kShape{"1920x1080", 1920, 1080};
// A frame that leaked 12 bytes would miss this in the long stream.
constexpr std::int64_t kFlatBytes = std::int64_t{1024} * 1024;

struct Stream {
  const char* name;
  const char* properties;
  int frames_of_hundred;  // of those of the longest stream
};

constexpr Stream kStreams[] = {
    {"identity", "stage=identity", 100},
    {"in place", "stage=\"teststage writes=true\" allow-in-place=true", 10},
    {"result slots", "stage=\"teststage writes=true\"", 10},
};

// One process at one moment.
struct State {
  pid_t process;
  std::int64_t own_bytes;
  std::int64_t slot_bytes;
  std::int64_t descriptors;
  std::int64_t mappings;
};

std::vector<State> states() {
  std::vector<State> all;
  for (const pid_t process : test::family()) {
    const test::Memory memory = test::memory(process);
    all.push_back({process,
                   memory.resident_bytes - memory.resident_shared_bytes,
                   memory.resident_shared_bytes,
                   test::open_descriptors(process), test::mappings(process)});
  }
  return all;
}

guint64 level_bytes(const bench::Pipeline& pipeline) {
  guint64 bytes = 0;
  g_object_get(pipeline.element("x"), "current-level-bytes", &bytes, nullptr);
  return bytes;
}

// Slots for inputs: for each place in the window, and for each worker. Slots
// for results: likewise, but each worker's are its own, and it may have been
// the faster one for a window's length.
guint64 most_bytes(const bench::Pipeline& pipeline) {
  GstStructure* stats = nullptr;
  g_object_get(pipeline.element("x"), "stats", &stats, nullptr);
  guint window = 0;
  guint workers = 0;
  if (!gst_structure_get(stats, "max-buffers", G_TYPE_UINT, &window, "workers",
                         G_TYPE_UINT, &workers, nullptr))
    bench::fail("The stats have no window.");
  gst_structure_free(stats);
  const guint64 page = static_cast<guint64>(sysconf(_SC_PAGESIZE));
  const guint64 slots = (window + workers) + workers * (window + 1);
  return slots * (kShape.bytes() + page);
}

std::string from_to(std::int64_t before, std::int64_t after) {
  return std::to_string(before) + " -> " + std::to_string(after);
}

void add_process(bench::Report& report, const std::string& stream,
                 const std::string& process, const State& before,
                 const State& after) {
  report.row({stream, process,
              from_to(before.own_bytes / 1024, after.own_bytes / 1024),
              from_to(before.slot_bytes / 1024, after.slot_bytes / 1024),
              from_to(before.descriptors, after.descriptors),
              from_to(before.mappings, after.mappings)});
  const std::string name = stream + ", " + process + ": ";
  report.figure(name + "growth bytes",
                static_cast<double>(after.own_bytes - before.own_bytes));
  report.promise(name + "grows by less than 1 MiB",
                 after.own_bytes - before.own_bytes < kFlatBytes);
}

void run(bench::Report& report, const Stream& stream, int frames) {
  bench::Pipeline pipeline(
      std::string("shmdispatch name=x max-workers=2 ") + stream.properties +
      " ! fakesink sync=false async=false enable-last-sample=false");
  pipeline.start();
  bench::Feeder feeder(pipeline.pad("x", "sink"), kShape.caps().c_str());
  bench::OfferedFrames offered(feeder, kShape);
  const auto push = [&](int count) {
    for (int i = 0; i < count; i++) feeder.push(offered.take());
  };
  push(frames / 10);
  const std::vector<State> before = states();
  push(frames - frames / 10);
  const std::vector<State> after = states();
  const guint64 level = level_bytes(pipeline);
  const guint64 most = most_bytes(pipeline);
  feeder.push_eos();
  pipeline.wait_for_eos();

  const std::string name =
      std::string(stream.name) + ", " + std::to_string(frames) + " frames";
  report.promise(name + ": the same processes", before.size() == after.size());
  for (std::size_t i = 0; i < std::min(before.size(), after.size()); i++) {
    const std::string process =
        i == 0 ? "dispatcher" : "worker " + std::to_string(i - 1);
    add_process(report, name, process, before[i], after[i]);
    std::string promise = name;
    promise.append(", ").append(process).append(
        ": no descriptors are left behind");
    // A slot more is one descriptor more, until all are there that the window
    // needs.
    report.promise(promise,
                   std::abs(after[i].descriptors - before[i].descriptors) < 10);
  }
  report.promise(name + ": the shared memory stays within its window",
                 level <= most);
}

}  // namespace

int main(int argc, char** argv) {
  gint frames = 100000;
  const gchar* json = nullptr;
  bench::CommandLine line(
      "Memory and descriptors of a long stream through worker processes.");
  line.add("frames", &frames, "Frames in the longest stream");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);

  bench::Report report("soak");
  report.table(
      std::string(kShape.name) + " I420, from a tenth of the stream to its end",
      {"stream", "process", "own memory KiB", "slots KiB", "descriptors",
       "mappings"});
  for (const Stream& stream : kStreams)
    run(report, stream, frames / 100 * stream.frames_of_hundred);
  return report.finish(json);
}
