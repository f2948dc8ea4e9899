// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A heavy stage: do workerpool and shmdispatch on two cores come near two
// processes that share nothing and do half the frames each?
//
// Every measurement runs in child processes of this program, which build their
// pipeline, warm it up, say that they are ready and then wait to be started
// together. The input is one frame of noise in the memory that is offered,
// pushed again and again by reference, so that it costs nothing on any side.

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "bench.h"
#include "family.h"
#include "offered_frames.h"
#include "partner.h"
#include "pipeline.h"
#include "report.h"

namespace {

namespace test = dispatch::test;

constexpr bench::FrameShape kShape{"1280x720", 1280, 720, "AYUV"};
constexpr const char* kStage = "gaussianblur sigma=3";
constexpr int kWarmUpFrames = 8;

// What one child did, in nanoseconds of CLOCK_MONOTONIC and of CPU time, that
// of its worker processes with it.
struct ChildTimes {
  std::int64_t begin_ns;
  std::int64_t end_ns;
  std::int64_t cpu_ns;
};

// Counts the frames that arrive and lets the main thread wait for them.
// Thread-safe.
class Arrivals {
 public:
  explicit Arrivals(GstPad* pad) {
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_buffer, this, nullptr);
  }

  void wait_for(int count) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [&] { return count_ >= count; });
  }

 private:
  static GstPadProbeReturn on_buffer(GstPad*, GstPadProbeInfo*,
                                     gpointer self_pointer) {
    auto* self = static_cast<Arrivals*>(self_pointer);
    const std::lock_guard lock(self->mutex_);
    self->count_++;
    self->arrived_.notify_one();
    return GST_PAD_PROBE_OK;
  }

  std::mutex mutex_;
  std::condition_variable arrived_;
  int count_ = 0;
};

GstBuffer* make_noise(bench::Feeder& feeder) {
  GstBuffer* buffer = bench::OfferedFrames(feeder, kShape).take();
  GstMapInfo map;
  if (!gst_buffer_map(buffer, &map, GST_MAP_WRITE)) {
    bench::fail("Cannot write to a frame.");
  }
  std::mt19937 random(1);
  for (gsize i = 0; i + sizeof(std::uint32_t) <= map.size;
       i += sizeof(std::uint32_t)) {
    const std::uint32_t word = random();
    std::memcpy(map.data + i, &word, sizeof word);
  }
  gst_buffer_unmap(buffer, &map);
  return buffer;
}

void push_frames(bench::Feeder& feeder, GstBuffer* noise, int first,
                 int count) {
  for (int i = first; i < first + count; i++) {
    GstBuffer* frame = gst_buffer_copy(noise);  // shares the memory
    GST_BUFFER_PTS(frame) = gst_util_uint64_scale(i, GST_SECOND, 30);
    GST_BUFFER_DURATION(frame) = GST_SECOND / 30;
    feeder.push(frame);
  }
}

std::string description(const std::string& side) {
  const std::string sink =
      " ! fakesink name=sink sync=false async=false enable-last-sample=false";
  if (side == "plain") return std::string(kStage) + " name=x" + sink;
  return side + " name=x min-workers=2 max-workers=2 stage=\"" + kStage + "\"" +
         sink;
}

// The child: ready, wait for a line, work, print the times.
int run_child(const std::string& side, int frames) {
  bench::Pipeline pipeline(description(side));
  Arrivals arrivals(pipeline.pad("sink", "sink"));
  pipeline.set_state(GST_STATE_PLAYING);
  bench::Feeder feeder(pipeline.pad("x", "sink"), kShape.caps().c_str());
  GstBuffer* noise = make_noise(feeder);
  push_frames(feeder, noise, 0, kWarmUpFrames);
  arrivals.wait_for(kWarmUpFrames);
  const std::vector<pid_t> processes = test::family();

  bench::Partner::is_ready();
  if (!bench::Partner::wait_for_line()) bench::fail("Not started.");

  const ChildTimes before{bench::monotonic_ns(), 0, test::cpu_ns(processes)};
  push_frames(feeder, noise, kWarmUpFrames, frames);
  arrivals.wait_for(kWarmUpFrames + frames);
  std::printf("%lld %lld %lld\n", static_cast<long long>(before.begin_ns),
              static_cast<long long>(bench::monotonic_ns()),
              static_cast<long long>(test::cpu_ns(processes) - before.cpu_ns));
  std::fflush(stdout);
  feeder.push_eos();
  pipeline.wait_for_eos();
  gst_buffer_unref(noise);
  return 0;
}

ChildTimes times_of(bench::Partner& child) {
  std::istringstream line(child.next_line());
  ChildTimes times{};
  if (!(line >> times.begin_ns >> times.end_ns >> times.cpu_ns))
    bench::fail("A child failed.");
  return times;
}

struct Sample {
  double wall_s;
  double cpu_s;
};

// Starts the children together: from the first start to the last end.
Sample measure(const std::string& side, unsigned children, unsigned frames) {
  std::vector<std::unique_ptr<bench::Partner>> running;
  running.reserve(children);
  for (unsigned i = 0; i < children; i++) {
    running.push_back(std::make_unique<bench::Partner>(std::vector<std::string>{
        "--child", side, "--frames", std::to_string(frames / children)}));
  }
  for (const auto& child : running) child->tell("go");
  ChildTimes total{INT64_MAX, 0, 0};
  for (const auto& child : running) {
    const ChildTimes times = times_of(*child);
    total.begin_ns = std::min(total.begin_ns, times.begin_ns);
    total.end_ns = std::max(total.end_ns, times.end_ns);
    total.cpu_ns += times.cpu_ns;
  }
  return {static_cast<double>(total.end_ns - total.begin_ns) * 1e-9,
          static_cast<double>(total.cpu_ns) * 1e-9};
}

struct Series {
  std::vector<double> wall_s;
  std::vector<double> cpu_s;

  void add(const Sample& sample) {
    wall_s.push_back(sample.wall_s);
    cpu_s.push_back(sample.cpu_s);
  }
};

void add_row(bench::Report& report, const char* name, const Series& series,
             const Series& base) {
  report.row({name, bench::number(bench::median(series.wall_s)),
              bench::spread(bench::ratios(series.wall_s, base.wall_s), 3),
              bench::number(bench::median(series.cpu_s)),
              bench::spread(bench::ratios(series.cpu_s, base.cpu_s), 3)});
  report.samples(std::string(name) + " wall s", series.wall_s);
  report.samples(std::string(name) + " cpu s", series.cpu_s);
}

}  // namespace

int main(int argc, char** argv) {
  gint frames = 120;
  gint repeats = 5;
  const gchar* json = nullptr;
  const gchar* child = nullptr;
  bench::CommandLine line(
      "A heavy stage in workerpool and shmdispatch, beside two processes that "
      "share nothing.");
  line.add("frames", &frames, "Frames in one measurement");
  line.add("repeats", &repeats, "Measurements of each side");
  line.add("json", &json, "Write the figures to this file");
  line.add("child", &child, "Used by the program itself");
  line.parse(argc, argv);
  if (child != nullptr) return run_child(child, frames);

  bench::use_two_cpus();
  const bool has_processes = bench::exists("shmdispatch");
  bench::Report report("blur");
  Series threads;
  Series processes;
  Series two;
  Series one;
  for (gint i = 0; i < repeats; i++) {
    threads.add(measure("workerpool", 1, frames));
    if (has_processes) processes.add(measure("shmdispatch", 1, frames));
    two.add(measure("plain", 2, frames));
    // Only to show what there is to gain.
    if (i == 0) one.add(measure("plain", 1, frames));
  }
  report.table(std::to_string(frames) + " frames of 1280x720 AYUV through " +
                   kStage + ", medians of " + std::to_string(repeats),
               {"side", "wall s", "wall / two processes", "CPU s",
                "CPU / two processes"});
  add_row(report, "workerpool, two workers", threads, two);
  if (has_processes)
    add_row(report, "shmdispatch, two workers", processes, two);
  add_row(report, "two plain processes", two, two);
  add_row(report, "one plain process", one, two);
  report.at_most("workerpool, wall time beside two plain processes",
                 bench::median(bench::ratios(threads.wall_s, two.wall_s)),
                 1.05);
  if (has_processes)
    report.at_most("shmdispatch, wall time beside two plain processes",
                   bench::median(bench::ratios(processes.wall_s, two.wall_s)),
                   1.08);
  return report.finish(json);
}
