// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What writing a trace costs for a frame: small frames go through our three
// elements in a row as fast as they can, without a tracer, with ours, and with
// the one that GStreamer has for the time that frames take in elements.
//
// Which tracers there are is decided when GStreamer starts, so each measurement
// is a child process of this program, in turns. A frame costs the stages
// nothing, so what is added to it is what the trace costs.

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
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

constexpr bench::FrameShape kShape{"64x64", 64, 64, "GRAY8"};
constexpr int kWarmUpFrames = 500;
constexpr const char* kElements[] = {"adaptiveskip", "workerpool",
                                     "shmdispatch"};

// ---- The child -------------------------------------------------------------

std::string description() {
  std::string line;
  for (const char* element : kElements)
    line.append(element).append(" name=").append(element).append(
        " stage=identity ! ");
  return line +
         "fakesink name=sink sync=false async=false "
         "enable-last-sample=false";
}

// The memory is shared by all frames: the source is to cost nothing.
void push_frames(bench::Feeder& feeder, GstBuffer* frame, int count) {
  for (int i = 0; i < count; i++) feeder.push(gst_buffer_copy(frame));
}

// Ready, wait for a line, work, print nanoseconds of the clock and of the CPUs.
int run_child(int frames) {
  // Worker processes log here, not into the file.
  if (g_getenv("GST_DEBUG_FILE") != nullptr &&
      std::freopen("/dev/null", "w", stderr) == nullptr)
    bench::fail("Cannot open /dev/null.");
  bench::Pipeline pipeline(description());
  pipeline.set_state(GST_STATE_PLAYING);
  bench::Feeder feeder(pipeline.pad(kElements[0], "sink"),
                       kShape.caps().c_str());
  GstBuffer* frame = bench::OfferedFrames(feeder, kShape).take();
  push_frames(feeder, frame, kWarmUpFrames);
  const std::vector<pid_t> processes = test::family();
  bench::Partner::is_ready();
  if (!bench::Partner::wait_for_line()) bench::fail("Not started.");

  const std::int64_t begin_ns = bench::monotonic_ns();
  const std::int64_t begin_cpu_ns = test::cpu_ns(processes);
  push_frames(feeder, frame, frames);
  const std::int64_t cpu_ns = test::cpu_ns(processes) - begin_cpu_ns;
  std::printf("%lld %lld\n",
              static_cast<long long>(bench::monotonic_ns() - begin_ns),
              static_cast<long long>(cpu_ns));
  std::fflush(stdout);
  feeder.push_eos();
  pipeline.wait_for_eos();
  pipeline.set_state(GST_STATE_NULL);
  gst_buffer_unref(frame);
  return 0;
}

// ---- The parent ------------------------------------------------------------

// A way to trace, and what was measured of it. In the environment FILE stands
// for the file that is written; without it nothing is.
struct Way {
  const char* name;
  const char* tracers;
  const char* debug;
  std::vector<double> wall_ns{};  // per frame, like the others
  std::vector<double> cpu_ns{};
  std::vector<double> bytes{};
};

void set_or_unset(const char* variable, std::string value,
                  const std::string& file) {
  if (const auto at = value.find("FILE"); at != std::string::npos)
    value.replace(at, 4, file);
  if (value.empty())
    g_unsetenv(variable);
  else
    g_setenv(variable, value.c_str(), TRUE);
}

std::string empty_file() {
  gchar* path = nullptr;
  g_autoptr(GError) error = nullptr;
  const int descriptor = g_file_open_tmp("trace-XXXXXX", &path, &error);
  if (descriptor < 0) bench::fail(error->message);
  close(descriptor);
  std::string result = path;
  g_free(path);
  return result;
}

double bytes_of(const std::string& file) {
  struct stat found {};
  return stat(file.c_str(), &found) == 0 ? static_cast<double>(found.st_size)
                                         : 0;
}

void measure(Way& way, int frames) {
  const std::string file = empty_file();
  set_or_unset("GST_TRACERS", way.tracers, file);
  set_or_unset("GST_DEBUG", way.debug, file);
  set_or_unset("GST_DEBUG_FILE", *way.debug == '\0' ? "" : "FILE", file);
  {
    bench::Partner child({"--child", "1", "--frames", std::to_string(frames)});
    child.tell("go");
    std::istringstream line(child.next_line());
    double wall_ns = 0;
    double cpu_ns = 0;
    if (!(line >> wall_ns >> cpu_ns)) bench::fail("A child failed.");
    way.wall_ns.push_back(wall_ns / frames);
    way.cpu_ns.push_back(cpu_ns / frames);
  }
  way.bytes.push_back(bytes_of(file) / (frames + kWarmUpFrames));
  unlink(file.c_str());
}

bool has_tracer(const char* name) {
  GstPluginFeature* feature = gst_registry_find_feature(
      gst_registry_get(), name, GST_TYPE_TRACER_FACTORY);
  if (feature != nullptr) gst_object_unref(feature);
  return feature != nullptr;
}

std::vector<Way> ways_to_measure(bench::Report& report) {
  std::vector<Way> ways{{"no tracer", "", ""}};
  const auto add = [&](const char* feature, const Way& way) {
    if (has_tracer(feature)) {
      ways.push_back(way);
      return;
    }
    report.table("not measured", {"way", "reason"});
    report.row({way.name, std::string("no tracer here: GStreamer finds none "
                                      "that is called ") +
                              feature});
  };
  add("dispatch", {"dispatch, ours", "dispatch(file=FILE)", ""});
  add("latency", {"GStreamer's latency tracer, into its log",
                  "latency(flags=element)", "GST_TRACER:7"});
  return ways;
}

// Turn by turn.
std::vector<double> added(const std::vector<double>& with,
                          const std::vector<double>& without) {
  std::vector<double> more;
  for (std::size_t i = 0; i < with.size(); i++)
    more.push_back(with[i] - without[i]);
  return more;
}

void add_rows(bench::Report& report, const std::vector<Way>& ways) {
  const Way& none = ways.front();
  for (const Way& way : ways) {
    report.row({way.name, bench::number(bench::median(way.wall_ns), 0),
                bench::spread(bench::ratios(way.wall_ns, none.wall_ns)),
                bench::number(bench::median(way.cpu_ns), 0),
                bench::spread(bench::ratios(way.cpu_ns, none.cpu_ns)),
                bench::number(bench::median(added(way.cpu_ns, none.cpu_ns)), 0),
                bench::number(bench::median(way.bytes), 0)});
    const std::string name = way.name;
    report.samples(name + ", wall ns per frame", way.wall_ns);
    report.samples(name + ", CPU ns per frame", way.cpu_ns);
    report.samples(name + ", bytes per frame", way.bytes);
  }
}

}  // namespace

int main(int argc, char** argv) {
  gint frames = 20000;
  gint turns = 9;
  gint child = 0;
  const gchar* json = nullptr;
  bench::CommandLine line("What a trace costs for a frame.");
  line.add("frames", &frames, "Frames in one measurement");
  line.add("turns", &turns, "Measurements of each way, in turns");
  line.add("json", &json, "Write the figures to this file");
  line.add("child", &child, "Used by the program itself");
  line.parse(argc, argv);
  if (child != 0) return run_child(frames);

  bench::use_two_cpus();
  bench::Report report("trace");
  std::vector<Way> ways = ways_to_measure(report);
  for (gint i = 0; i < turns; i++)
    for (Way& way : ways) measure(way, frames);
  report.table(
      std::to_string(frames) +
          " frames of 64x64 through adaptiveskip, "
          "workerpool and shmdispatch, medians of " +
          std::to_string(turns),
      {"tracer", "wall ns per frame", "beside none", "CPU ns per frame",
       "beside none", "CPU ns added", "bytes written per frame"});
  add_rows(report, ways);
  return report.finish(json);
}
