// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Another stage while a live stream plays, again and again: does the picture
// stop, and does anything stay behind?
//
// Two descriptions in turns; one inverts the frame, so a probe sees which of
// them a frame got. The next one is set as soon as the first frame of the last
// one has left. Gaps are compared with those of the undisturbed stream before.

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "bench.h"
#include "family.h"
#include "live_stream.h"
#include "pipeline.h"
#include "report.h"

namespace {

namespace test = dispatch::test;

constexpr int kFps = 60;
constexpr GstClockTime kBudget = 100 * GST_MSECOND;
constexpr GstClockTime kUndisturbed = 3 * GST_SECOND;
constexpr GstClockTime kPatience = 10 * GST_SECOND;
constexpr const char* kStages[] = {
    "teststage burn=false cost=5000000 writes=false",
    "teststage burn=false cost=5000000 writes=true"};
// A replacement that leaked 1 KiB would miss this in a thousand.
constexpr std::int64_t kFlatBytes = std::int64_t{1024} * 1024;

double ms(GstClockTime time) {
  return static_cast<double>(time) / static_cast<double>(GST_MSECOND);
}

// What this process has at one moment.
struct State {
  std::int64_t own_bytes;
  std::int64_t descriptors;
  std::int64_t threads;
  std::int64_t mappings;
  std::size_t children;
};

State state() {
  const test::Memory memory = test::memory(getpid());
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return {memory.resident_bytes - memory.resident_shared_bytes,
          test::open_descriptors(getpid()),
          std::distance(begin(tasks), end(tasks)), test::mappings(getpid()),
          test::descendants().size()};
}

// Whether the stage took over; how long that took goes to took_ms.
bool replace(bench::LiveStream& stream, bool inverts,
             std::vector<double>& took_ms) {
  const GstClockTime begin = stream.running_time();
  g_object_set(stream.element(), "stage", kStages[inverts ? 1 : 0], nullptr);
  while (stream.is_last_changed() != inverts) {
    stream.run_for(2 * GST_MSECOND);
    if (stream.running_time() > begin + kPatience) return false;
  }
  took_ms.push_back(ms(stream.running_time() - begin));
  return true;
}

// The states after a tenth of the replacements and after all.
struct Run {
  std::vector<double> took_ms;
  State early;
  State late;
  GstClockTime gap_before;
  GstClockTime gap_during;
  bench::Account account;
  double applied_percent;
};

Run run(const std::string& element, int replacements) {
  bench::LiveStream stream(
      {.middle = element + " name=x max-workers=2 latency-budget=" +
                 std::to_string(kBudget) + " stage=\"" + kStages[0] + "\"",
       .budget = kBudget,
       .fps = kFps});
  stream.start();
  stream.run_for(kUndisturbed);
  const GstClockTime begin = stream.running_time();
  Run run{};
  for (int i = 0; i < replacements; i++) {
    if (!replace(stream, i % 2 == 0, run.took_ms)) break;
    if (i == replacements / 10) run.early = state();
  }
  run.late = state();
  const GstClockTime end = stream.running_time();
  stream.finish();
  run.account = stream.account();
  run.applied_percent = bench::applied_percent(stream);
  const auto departures = stream.departures();
  // The first frames come while the workers still start.
  run.gap_before = bench::longest_gap(departures, kUndisturbed / 3, begin);
  run.gap_during = bench::longest_gap(departures, begin, end);
  return run;
}

std::string from_to(std::int64_t before, std::int64_t after) {
  return std::to_string(before) + " -> " + std::to_string(after);
}

void add_stream(bench::Report& report, const std::string& element,
                const Run& run) {
  const bench::Account& account = run.account;
  report.row({element, std::to_string(run.took_ms.size()),
              bench::number(bench::percentile(run.took_ms, 50), 0) + ", " +
                  bench::number(bench::percentile(run.took_ms, 99), 0),
              std::to_string(account.missing), std::to_string(account.repeated),
              std::to_string(account.out_of_order),
              bench::number(account.late_percent()),
              bench::number(run.applied_percent),
              bench::number(ms(run.gap_before), 1),
              bench::number(ms(run.gap_during), 1)});
}

void add_state(bench::Report& report, const std::string& element,
               const Run& run) {
  const State& early = run.early;
  const State& late = run.late;
  report.row({element, from_to(early.own_bytes / 1024, late.own_bytes / 1024),
              from_to(early.descriptors, late.descriptors),
              from_to(early.threads, late.threads),
              from_to(early.mappings, late.mappings),
              from_to(static_cast<std::int64_t>(early.children),
                      static_cast<std::int64_t>(late.children)),
              std::to_string(test::descendants().size())});
}

void judge(bench::Report& report, const std::string& element, const Run& run,
           int replacements) {
  report.promise(element + ": each stage took over",
                 run.took_ms.size() == static_cast<std::size_t>(replacements));
  report.promise(element + ": every frame left once, in order",
                 run.account.is_complete());
  report.promise(element + ": memory grows by less than 1 MiB",
                 run.late.own_bytes - run.early.own_bytes < kFlatBytes);
  report.promise(element + ": no descriptors are left behind",
                 run.late.descriptors - run.early.descriptors < 10);
  report.promise(element + ": no threads are left behind",
                 run.late.threads - run.early.threads < 5);
  report.promise(element + ": no process is left at the end",
                 test::descendants().empty());
  report.at_most(element +
                     ": longest gap while it is replaced, ms above that "
                     "before",
                 ms(run.gap_during) - ms(run.gap_before), 1000.0 / kFps);
  report.figure(element + ", gap before ms", ms(run.gap_before));
  report.figure(element + ", gap during ms", ms(run.gap_during));
  report.samples(element + ", took ms", run.took_ms);
}

}  // namespace

int main(int argc, char** argv) {
  gint replacements = 1000;
  const gchar* element = nullptr;
  const gchar* json = nullptr;
  bench::CommandLine line("Another stage, again and again, while playing.");
  line.add("replacements", &replacements, "How often the stage is replaced");
  line.add("element", &element, "Measure this one only");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);

  bench::Report report("replace");
  std::vector<std::pair<std::string, Run>> runs;
  for (const std::string& name : bench::chosen_elements(element))
    runs.emplace_back(name, run(name, replacements));
  report.table("60 fps, two stages in turns",
               {"element", "replaced", "took ms p50, p99", "missing",
                "repeated", "out of order", "late %", "applied %",
                "longest gap before ms", "and while it is replaced"});
  for (const auto& [name, run] : runs) add_stream(report, name, run);
  report.table("this process, from a tenth of the replacements to all",
               {"element", "own memory KiB", "descriptors", "threads",
                "mappings", "children", "children after NULL"});
  for (const auto& [name, run] : runs) {
    add_state(report, name, run);
    judge(report, name, run, replacements);
  }
  return report.finish(json);
}
