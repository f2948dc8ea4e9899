// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A stage that aborts on one frame in five hundred, however often that frame is
// tried: what becomes of the stream?
//
// In a plain pipeline the program ends with the stage, so that one runs as a
// child of this one. With shmdispatch a frame is tried twice, then goes past
// the stage, it alone. Not live: the wall time is beside that of the same stage
// that does not abort. Live: who is late meanwhile?

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bench.h"
#include "live_stream.h"
#include "pipeline.h"
#include "report.h"

namespace {

constexpr GstClockTime kBudget = 133 * GST_MSECOND;
constexpr const char* kCaps = "video/x-raw,format=GRAY8,width=320,height=240";
constexpr const char* kStage = "teststage burn=false cost=10000000 writes=true";

std::string stage(int every) {
  return std::string(kStage) + " abort-every=" + std::to_string(every);
}

std::string workers(int every) {
  return "shmdispatch name=x max-workers=3 latency-budget=" +
         std::to_string(kBudget) + " stage=\"" + stage(every) + "\"";
}

// The frames on which the stage aborts, out of `frames` from 0 on.
std::uint64_t aborts(int frames, int every) {
  return static_cast<std::uint64_t>((frames - 1) / every);
}

// ---- Not live --------------------------------------------------------------

// What came out of one pipeline.
struct Outcome {
  std::uint64_t frames = 0;
  std::uint64_t changed = 0;  // with the result of the stage
  double wall_s = 0;
};

GstPadProbeReturn count(GstPad*, GstPadProbeInfo* info, gpointer pointer) {
  auto* outcome = static_cast<Outcome*>(pointer);
  guint8 byte = 0;
  gst_buffer_extract(GST_PAD_PROBE_INFO_BUFFER(info), 0, &byte, 1);
  outcome->frames++;
  // Black is 16; inverted it is not.
  if (byte != 16) outcome->changed++;
  return GST_PAD_PROBE_OK;
}

Outcome run_file(const std::string& middle, int frames) {
  Outcome outcome;
  bench::Pipeline pipeline(
      "videotestsrc pattern=black num-buffers=" + std::to_string(frames) +
      " ! " + kCaps + ",framerate=30/1 ! " + middle +
      " ! fakesink name=sink sync=false enable-last-sample=false");
  gst_pad_add_probe(pipeline.pad("sink", "sink"), GST_PAD_PROBE_TYPE_BUFFER,
                    count, &outcome, nullptr);
  const std::int64_t begin_ns = bench::monotonic_ns();
  pipeline.start();
  pipeline.wait_for_eos();
  outcome.wall_s = static_cast<double>(bench::monotonic_ns() - begin_ns) / 1e9;
  return outcome;
}

// How the plain pipeline ends; as a child, because its program ends with it.
std::string run_plain(int frames, int every) {
  const std::string description =
      "gst-launch-1.0 -q videotestsrc pattern=black num-buffers=" +
      std::to_string(frames) + " ! " + kCaps + ",framerate=30/1 ! " +
      stage(every) + " ! fakesink sync=false 2>/dev/null";
  const pid_t child = fork();
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", ("exec " + description).c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child)
    bench::fail("The plain pipeline cannot be run.");
  if (WIFSIGNALED(status))
    return "ended by signal " + std::to_string(WTERMSIG(status));
  return "exited with " + std::to_string(WEXITSTATUS(status));
}

void not_live(bench::Report& report, int frames, int every) {
  const std::string plain = run_plain(frames, every);
  const Outcome calm = run_file(workers(0), frames);
  const Outcome flaky = run_file(workers(every), frames);
  const std::uint64_t wrong = aborts(frames, every);
  report.table(
      "a stage of 10 ms that aborts on one frame in " + std::to_string(every) +
          ", not live",
      {"pipeline", "frames", "with the stage", "wall s", "beside no abort"});
  report.row({"plain: " + plain, "-", "-", "-", "-"});
  const auto add = [&](const char* name, const Outcome& outcome) {
    report.row({name, std::to_string(outcome.frames),
                std::to_string(outcome.changed), bench::number(outcome.wall_s),
                bench::number(outcome.wall_s / calm.wall_s)});
  };
  add("shmdispatch, a stage that does not abort", calm);
  add("shmdispatch", flaky);
  report.promise("plain: the stream ends", plain.starts_with("ended"));
  report.promise(
      "not live: all frames but those of the aborts have the full result",
      flaky.frames == static_cast<std::uint64_t>(frames) &&
          flaky.changed == flaky.frames - wrong);
  report.figure("wall time beside no abort", flaky.wall_s / calm.wall_s);
}

// ---- Live ------------------------------------------------------------------

void live(bench::Report& report, int frames, int every) {
  bench::LiveStream stream({.middle = workers(every),
                            .budget = kBudget,
                            .frames = frames,
                            .may_fail = true});
  stream.start();
  stream.finish();
  const bench::Account account = stream.account();
  const std::uint64_t wrong = aborts(frames, every);
  const std::uint64_t applied = bench::Stats(stream.element()).count("applied");
  report.table("live, 30 fps, budget 133 ms",
               {"element", "frames", "aborts", "missing or twice",
                "without the stage", "late %", "given up"});
  const auto given_up = stream.messages().find("frame-given-up");
  report.row(
      {"shmdispatch", std::to_string(account.arrived), std::to_string(wrong),
       std::to_string(account.missing + account.repeated),
       std::to_string(account.arrived - applied),
       bench::number(account.late_percent()),
       std::to_string(given_up == stream.messages().end() ? 0
                                                          : given_up->second)});
  report.promise("live: the stream goes on to its end, in order" +
                     (stream.error().empty() ? "" : ": " + stream.error()),
                 stream.error().empty() && account.is_complete());
  report.at_most("live: late %", account.late_percent(), 0.5);
  report.at_most("live: frames without the stage, beyond those of the aborts",
                 static_cast<double>(account.arrived - applied) -
                     static_cast<double>(wrong),
                 static_cast<double>(frames) / 100);
}

}  // namespace

int main(int argc, char** argv) {
  gint frames = 3000;
  gint live_frames = 1600;
  gint every = 500;
  const gchar* json = nullptr;
  bench::CommandLine line("A stage that aborts now and then.");
  line.add("frames", &frames, "Frames that are not live");
  line.add("live-frames", &live_frames, "Frames that are, 30 a second");
  line.add("every", &every, "It aborts on one frame in so many");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);
  const rlimit no_cores{0, 0};
  setrlimit(RLIMIT_CORE, &no_cores);

  bench::Report report("flaky");
  not_live(report, frames, every);
  live(report, live_frames, every);
  return report.finish(json);
}
