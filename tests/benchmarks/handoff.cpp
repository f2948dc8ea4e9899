// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The price of a hand-over: `identity` as the stage, beside two queues in a
// row with the same window, which also hand every frame over twice.
//
// Flood: as fast as it goes, from a source that costs next to nothing. Round:
// one frame in flight, from the push to its arrival at the sink.

#include <cstdint>
#include <string>
#include <vector>

#include "arrival.h"
#include "bench.h"
#include "pipeline.h"
#include "report.h"

namespace {

std::string pool(int window) {
  return "workerpool name=x max-workers=2 stage=identity max-buffers=" +
         std::to_string(window);
}

std::string queue(const char* name, int window) {
  return std::string("queue name=") + name +
         " max-size-bytes=0 max-size-time=0 max-size-buffers=" +
         std::to_string(window);
}

std::string queues(int window) {
  return queue("x", window) + " ! " + queue("y", window);
}

constexpr const char* kSink =
    " ! fakesink name=sink sync=false enable-last-sample=false";

struct Flood {
  std::vector<double> wall_ns;  // per frame
  std::vector<double> cpu_ns;   // per frame
};

// From a full window in PAUSED to EOS: starting up is not measured, and no
// probe sits on the way of the frames.
void flood(const std::string& middle, int frames, Flood& result) {
  bench::Pipeline pipeline(
      "fakesrc sizetype=fixed sizemax=64 filltype=nothing "
      "num-buffers=" +
      std::to_string(frames) + " ! " + middle + kSink);
  pipeline.set_state(GST_STATE_PAUSED);
  const std::int64_t begin_ns = bench::monotonic_ns();
  const std::int64_t begin_cpu_ns = bench::process_cpu_ns();
  pipeline.set_state(GST_STATE_PLAYING);
  pipeline.wait_for_eos();
  result.wall_ns.push_back(
      static_cast<double>(bench::monotonic_ns() - begin_ns) / frames);
  result.cpu_ns.push_back(
      static_cast<double>(bench::process_cpu_ns() - begin_cpu_ns) / frames);
}

struct Round {
  std::vector<double> p50_us;
  std::vector<double> p99_us;
};

void rounds(const std::string& middle, int count, Round& result) {
  bench::Pipeline pipeline(middle + kSink + " async=false");
  bench::Arrival arrival(pipeline.pad("sink", "sink"));
  pipeline.set_state(GST_STATE_PLAYING);
  bench::Feeder feeder(pipeline.pad("x", "sink"), nullptr);
  std::vector<double> round_us;
  for (int i = 0; i < count; i++) {
    GstBuffer* frame = gst_buffer_new_allocate(nullptr, 64, nullptr);
    const std::int64_t begin_ns = bench::monotonic_ns();
    feeder.push(frame);
    round_us.push_back(static_cast<double>(arrival.wait() - begin_ns) * 1e-3);
  }
  feeder.push_eos();
  pipeline.wait_for_eos();
  result.p50_us.push_back(bench::percentile(round_us, 50));
  result.p99_us.push_back(bench::percentile(round_us, 99));
}

void add_row(bench::Report& report, const std::string& what,
             const std::vector<double>& pool_values,
             const std::vector<double>& queue_values) {
  report.row({what, bench::number(bench::median(pool_values), 1),
              bench::number(bench::median(queue_values), 1),
              bench::spread(bench::ratios(pool_values, queue_values))});
  report.samples(what + ", workerpool", pool_values);
  report.samples(what + ", two queues", queue_values);
}

}  // namespace

int main(int argc, char** argv) {
  gint frames = 50000;
  gint round_count = 2000;
  gint blocks = 15;
  gint window = 16;
  const gchar* json = nullptr;
  bench::CommandLine line("The price of a hand-over, beside two queues.");
  line.add("frames", &frames, "Frames in one flood");
  line.add("rounds", &round_count, "Frames sent one at a time");
  line.add("blocks", &blocks, "How often each is measured, in turns");
  line.add("window", &window, "Frames in workerpool, and in each queue");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);

  bench::use_two_cpus();
  bench::Report report("handoff");
  Flood pool_flood;
  Flood queue_flood;
  Round pool_round;
  Round queue_round;
  for (int i = 0; i < blocks; i++) {
    flood(pool(window), frames, pool_flood);
    flood(queues(window), frames, queue_flood);
    rounds(pool(window), round_count, pool_round);
    rounds(queues(window), round_count, queue_round);
  }
  report.table("window of " + std::to_string(window) + " frames, medians of " +
                   std::to_string(blocks),
               {"what", "workerpool", "two queues", "ratio"});
  add_row(report, "flood, wall ns per frame", pool_flood.wall_ns,
          queue_flood.wall_ns);
  add_row(report, "flood, CPU ns per frame", pool_flood.cpu_ns,
          queue_flood.cpu_ns);
  add_row(report, "one in flight, p50 us", pool_round.p50_us,
          queue_round.p50_us);
  add_row(report, "one in flight, p99 us", pool_round.p99_us,
          queue_round.p99_us);
  report.at_most(
      "flood, wall time beside two queues",
      bench::median(bench::ratios(pool_flood.wall_ns, queue_flood.wall_ns)),
      1.0);
  report.at_most(
      "flood, CPU time beside two queues",
      bench::median(bench::ratios(pool_flood.cpu_ns, queue_flood.cpu_ns)), 1.0);
  return report.finish(json);
}
