// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Calm: nothing goes wrong, nothing is busy. What does the element add to the
// latency of a live frame, and to the CPU time per frame? Beside one `queue`,
// two in a row, and nothing.
//
// The stage is `identity`. The time is taken by a probe before the element and
// one behind it, matched by the timestamp of the frame.

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "bench.h"
#include "pipeline.h"
#include "report.h"

namespace {

constexpr int kBlocks = 5;  // the median is over these

// Matches what goes in with what comes out. Thread-safe.
class Transit {
 public:
  void enter(GstClockTime pts, std::int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    inside_[pts] = now_ns;
  }

  void leave(GstClockTime pts, std::int64_t now_ns) {
    const std::lock_guard lock(mutex_);
    const auto entry = inside_.extract(pts);
    if (entry.empty()) bench::fail("A frame came from nowhere.");
    times_us_.push_back(static_cast<double>(now_ns - entry.mapped()) * 1e-3);
  }

  std::vector<double> times_us() const {
    const std::lock_guard lock(mutex_);
    return times_us_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<GstClockTime, std::int64_t> inside_;
  std::vector<double> times_us_;
};

GstPadProbeReturn on_enter(GstPad*, GstPadProbeInfo* info,
                           gpointer transit_pointer) {
  static_cast<Transit*>(transit_pointer)
      ->enter(GST_BUFFER_PTS(GST_PAD_PROBE_INFO_BUFFER(info)),
              bench::monotonic_ns());
  return GST_PAD_PROBE_OK;
}

GstPadProbeReturn on_leave(GstPad*, GstPadProbeInfo* info,
                           gpointer transit_pointer) {
  const std::int64_t now_ns = bench::monotonic_ns();
  static_cast<Transit*>(transit_pointer)
      ->leave(GST_BUFFER_PTS(GST_PAD_PROBE_INFO_BUFFER(info)), now_ns);
  return GST_PAD_PROBE_OK;
}

// One thing between source and sink, and what was measured of it.
struct Subject {
  const char* name;
  const char* first;  // the element of the description that frames enter
  const char* last;
  std::string middle;
  std::vector<double> p50_us{};
  std::vector<double> p99_us{};
  std::vector<double> cpu_us{};  // per frame, of the whole process
};

void measure(Subject& subject, int frames, int rate) {
  Transit transit;
  bench::Pipeline pipeline(
      "videotestsrc is-live=true pattern=black num-buffers=" +
      std::to_string(frames) +
      " ! video/x-raw,format=GRAY8,width=64,height=64,framerate=" +
      std::to_string(rate) + "/1 ! " + subject.middle +
      " ! fakesink sync=false enable-last-sample=false");
  gst_pad_add_probe(pipeline.pad(subject.first, "sink"),
                    GST_PAD_PROBE_TYPE_BUFFER, on_enter, &transit, nullptr);
  gst_pad_add_probe(pipeline.pad(subject.last, "src"),
                    GST_PAD_PROBE_TYPE_BUFFER, on_leave, &transit, nullptr);
  pipeline.set_state(GST_STATE_PAUSED);
  const std::int64_t begin_cpu_ns = bench::process_cpu_ns();
  pipeline.set_state(GST_STATE_PLAYING);
  pipeline.wait_for_eos();
  const auto cpu_ns =
      static_cast<double>(bench::process_cpu_ns() - begin_cpu_ns);
  subject.cpu_us.push_back(cpu_ns * 1e-3 / frames);
  subject.p50_us.push_back(bench::percentile(transit.times_us(), 50));
  subject.p99_us.push_back(bench::percentile(transit.times_us(), 99));
}

void add_row(bench::Report& report, const Subject& subject,
             const Subject& nothing) {
  std::vector<double> added_us;
  for (std::size_t i = 0; i < subject.cpu_us.size(); i++) {
    added_us.push_back(subject.cpu_us[i] - nothing.cpu_us[i]);
  }
  report.row({subject.name, bench::spread(subject.p50_us, 0),
              bench::spread(subject.p99_us, 0),
              bench::number(bench::median(subject.cpu_us), 0),
              bench::number(bench::median(added_us), 0)});
  const std::string name = subject.name;
  report.samples(name + " p50 us", subject.p50_us);
  report.samples(name + " p99 us", subject.p99_us);
  report.samples(name + " CPU us per frame", subject.cpu_us);
}

}  // namespace

int main(int argc, char** argv) {
  gint frames = 150;
  gint rate = 60;
  const gchar* json = nullptr;
  bench::CommandLine line("What workerpool costs when nothing goes wrong.");
  line.add("frames", &frames, "Frames in one block");
  line.add("rate", &rate, "Frames per second");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);

  bench::Report report("calm");
  Subject subjects[] = {
      {"workerpool", "x", "x",
       "workerpool name=x max-workers=2 stage=identity "
       "latency-budget=66000000"},
      {"queue", "x", "x", "queue name=x"},
      {"two queues", "x", "y", "queue name=x ! queue name=y"},
      {"identity alone", "x", "x", "identity name=x"},
  };
  for (int i = 0; i < kBlocks; i++) {
    for (Subject& subject : subjects) measure(subject, frames, rate);
  }
  report.table(
      std::to_string(rate) + " fps live, medians of " +
          std::to_string(kBlocks) + " blocks of " + std::to_string(frames) +
          " frames",
      {"element", "p50 us", "p99 us", "CPU us per frame", "of it added"});
  for (const Subject& subject : subjects) {
    add_row(report, subject, subjects[3]);
  }
  report.figure(
      "p50 beside two queues",
      bench::median(bench::ratios(subjects[0].p50_us, subjects[2].p50_us)));
  return report.finish(json);
}
