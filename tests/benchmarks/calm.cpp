// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Calm: nothing goes wrong, nothing is busy. What does an element of ours add
// to the latency of a live frame, and to the CPU time per frame? Beside one
// `queue`, two in a row, and nothing.
//
// Two cases: `identity` as the stage of small frames, where handing over is all
// there is; and a cheap stage that works in place on frames of 1920x1080, where
// the original is kept for as long as it may have to leave instead. The time is
// taken by a probe before the element and one behind it, matched by the
// timestamp of the frame.

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "bench.h"
#include "pipeline.h"
#include "report.h"

namespace {

constexpr int kBlocks = 5;            // the median is over these
constexpr double kMostAddedUs = 200;  // target

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

// What passes, through what, in blocks of so many frames.
struct Case {
  const char* name;
  const char* title;
  const char* format;
  const char* stage;
};
constexpr Case kCases[] = {
    {"small", "64x64, identity", "format=GRAY8,width=64,height=64", "identity"},
    {"large", "1920x1080, a stage that writes in place",
     "format=I420,width=1920,height=1080",
     "teststage burn=true cost=500000 mark=1"},
};

struct Pace {
  gint frames = 150;  // in one block
  gint rate = 60;     // in a second
};

// One thing between source and sink, and what was measured of it.
struct Subject {
  std::string name;
  const char* first;  // the element of the description that frames enter
  const char* last;
  std::string middle;
  std::vector<double> p50_us{};
  std::vector<double> p99_us{};
  std::vector<double> cpu_us{};  // per frame, of the whole process
};

// The stage alone, then beside the others.
std::vector<Subject> subjects_of(const Case& a_case) {
  const std::string stage = a_case.stage;
  std::vector<Subject> subjects{
      {"the stage alone", "x", "x", stage + " name=x"},
      {"a queue before it", "x", "y", "queue name=x ! " + stage + " name=y"},
      {"a queue at both sides", "x", "y",
       "queue name=x ! " + stage + " ! queue name=y"},
  };
  const std::string common =
      " name=x latency-budget=66000000 stage=\"" + stage + "\"";
  if (bench::exists("workerpool"))
    subjects.push_back(
        {"workerpool", "x", "x", "workerpool max-workers=2" + common});
  if (bench::exists("adaptiveskip"))
    subjects.push_back({"adaptiveskip", "x", "x", "adaptiveskip" + common});
  return subjects;
}

void measure(Subject& subject, const Case& a_case, const Pace& pace) {
  Transit transit;
  bench::Pipeline pipeline(
      "videotestsrc is-live=true pattern=black num-buffers=" +
      std::to_string(pace.frames) + " ! video/x-raw," + a_case.format +
      ",framerate=" + std::to_string(pace.rate) + "/1 ! " + subject.middle +
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
  subject.cpu_us.push_back(cpu_ns * 1e-3 / pace.frames);
  subject.p50_us.push_back(bench::percentile(transit.times_us(), 50));
  subject.p99_us.push_back(bench::percentile(transit.times_us(), 99));
}

// Block by block.
std::vector<double> added(const std::vector<double>& with,
                          const std::vector<double>& without) {
  std::vector<double> more;
  for (std::size_t i = 0; i < with.size(); i++)
    more.push_back(with[i] - without[i]);
  return more;
}

void add_row(bench::Report& report, const Case& a_case, const Subject& subject,
             const Subject& alone) {
  const std::vector<double> p50_us = added(subject.p50_us, alone.p50_us);
  const std::vector<double> p99_us = added(subject.p99_us, alone.p99_us);
  const std::vector<double> cpu_us = added(subject.cpu_us, alone.cpu_us);
  report.row({subject.name, bench::spread(subject.p50_us, 0),
              bench::spread(subject.p99_us, 0),
              bench::number(bench::median(p50_us), 0),
              bench::number(bench::median(p99_us), 0),
              bench::number(bench::median(subject.cpu_us), 0),
              bench::number(bench::median(cpu_us), 0)});
  const std::string name = std::string(a_case.name) + ", " + subject.name;
  report.samples(name + ", p50 us", subject.p50_us);
  report.samples(name + ", p99 us", subject.p99_us);
  report.samples(name + ", added p50 us", p50_us);
  report.samples(name + ", CPU us per frame", subject.cpu_us);
  if (subject.name == "adaptiveskip")
    report.at_most(name + ": added p50 us", bench::median(p50_us),
                   kMostAddedUs);
}

void run(bench::Report& report, const Case& a_case, const Pace& pace) {
  std::vector<Subject> subjects = subjects_of(a_case);
  for (int i = 0; i < kBlocks; i++)
    for (Subject& subject : subjects) measure(subject, a_case, pace);
  report.table(std::string(a_case.title) + ", " + std::to_string(pace.rate) +
                   " fps live, medians of " + std::to_string(kBlocks) +
                   " blocks of " + std::to_string(pace.frames) + " frames",
               {"element", "p50 us", "p99 us", "added p50", "added p99",
                "CPU us per frame", "of it added"});
  for (const Subject& subject : subjects)
    add_row(report, a_case, subject, subjects[0]);
  for (std::size_t i = 3; i < subjects.size(); i++)
    report.figure(
        std::string(a_case.name) + ", " + subjects[i].name +
            ", p50 beside two queues",
        bench::median(bench::ratios(subjects[i].p50_us, subjects[2].p50_us)));
}

}  // namespace

int main(int argc, char** argv) {
  Pace pace;
  const gchar* only = nullptr;
  const gchar* json = nullptr;
  bench::CommandLine line("What our elements cost when nothing goes wrong.");
  line.add("frames", &pace.frames, "Frames in one block");
  line.add("rate", &pace.rate, "Frames per second");
  line.add("case", &only, "One of small, large only");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);

  bench::Report report("calm");
  bool is_known = false;
  for (const Case& a_case : kCases) {
    if (only != nullptr && std::string(only) != a_case.name) continue;
    is_known = true;
    run(report, a_case, pace);
  }
  if (!is_known) bench::fail(std::string("There is no case ") + only);
  return report.finish(json);
}
