// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the elements are for: a live stream through a stage that now and then
// takes much longer than the budget. Who leaves on time?
//
// For every seed, which chooses the frames that stall, one pipeline without any
// of our elements and one with each run side by side, all at the same time: the
// load of the stages is a sleep, so they do not take CPU from each other. A
// frame is late when it leaves more than 2 ms after its running time plus the
// latency upstream plus the budget, seen by a probe behind the stage.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench.h"
#include "live_stream.h"
#include "pipeline.h"
#include "report.h"

namespace {

// A stage, and what is wanted of it.
struct Case {
  const char* name;
  const char* title;
  const char* stage;
  GstClockTime budget;
  const char* workers;
  double applied_percent;  // target
};
constexpr Case kCases[] = {
    {"short",
     "30 fps, budget 66 ms, a stage of 15 ms that stalls 400 ms on 1 % of the "
     "frames",
     "teststage burn=false cost=15000000 stall=400000000 stall-percent=1",
     66 * GST_MSECOND, "max-workers=2", 96},
    {"stalls",
     "30 fps, budget 66 ms, a stage of 15 ms that stalls 1.4 s on 0.5 % of the "
     "frames",
     "teststage burn=false cost=15000000 stall=1385000000 stall-percent=0.5",
     66 * GST_MSECOND, "max-workers=2", 99},
    {"spikes",
     "30 fps, budget 133 ms, a stage of 55 ms that takes 250 ms on 3 % of the "
     "frames",
     "teststage burn=false cost=55000000 stall=195000000 stall-percent=3",
     133 * GST_MSECOND, "max-workers=4", 95},
};
constexpr double kLatePercent = 0.5;  // target

std::string stage_of(const Case& a_case, int seed) {
  return std::string(a_case.stage) + " seed=" + std::to_string(seed);
}

// One seed: the pipeline without our elements first.
struct Streams {
  int seed;
  std::vector<std::unique_ptr<bench::LiveStream>> all;
};

Streams streams_of(const Case& a_case, const std::vector<std::string>& elements,
                   int seed, int frames) {
  const std::string stage = stage_of(a_case, seed);
  Streams streams{seed, {}};
  const auto add = [&](const std::string& middle) {
    streams.all.push_back(
        std::make_unique<bench::LiveStream>(bench::LiveStream::Setup{
            .middle = middle, .budget = a_case.budget, .frames = frames}));
  };
  add(stage + " name=x");
  const std::string properties =
      std::string(" name=x ") + a_case.workers +
      " latency-budget=" + std::to_string(a_case.budget) + " stage=\"" + stage +
      "\"";
  for (const std::string& element : elements) add(element + properties);
  return streams;
}

double ms(GstClockTimeDiff time) { return static_cast<double>(time) * 1e-6; }

void add_row(bench::Report& report, const std::string& name,
             const bench::Account& account, double applied_percent) {
  report.row({name, std::to_string(account.left),
              bench::number(account.late_percent()),
              bench::number(applied_percent),
              bench::number(ms(account.worst), 1),
              bench::number(
                  ms(static_cast<GstClockTimeDiff>(account.longest_gap)), 1)});
  report.promise(name + ": every frame left, in order", account.is_complete());
}

struct Shares {
  std::vector<double> late;
  std::vector<double> applied;
};

void add_ours(bench::Report& report, const std::string& name,
              const bench::LiveStream& stream, Shares& shares) {
  const bench::Account account = stream.account();
  shares.late.push_back(account.late_percent());
  shares.applied.push_back(bench::applied_percent(stream));
  add_row(report, name, account, shares.applied.back());
  const bench::Stats stats(stream.element());
  report.promise(name + ": the stats add up",
                 stats.count("frames-in") == account.arrived &&
                     stats.count("applied") + stats.count("bypassed") +
                             stats.count("repeated") + stats.count("dropped") +
                             stats.count("in-flight") ==
                         account.arrived);
}

void run(bench::Report& report, const Case& a_case,
         const std::vector<std::string>& elements, int seeds, int frames) {
  std::vector<Streams> all;
  for (int seed = 1; seed <= seeds; seed++)
    all.push_back(streams_of(a_case, elements, seed, frames));
  for (const Streams& streams : all)
    for (const auto& stream : streams.all) stream->start();
  for (const Streams& streams : all)
    for (const auto& stream : streams.all) stream->finish();

  report.table(a_case.title, {"stream", "frames", "late %", "applied %",
                              "worst ms", "longest gap ms"});
  std::vector<double> plain_late;
  std::vector<Shares> shares(elements.size());
  for (const Streams& streams : all) {
    const std::string seed =
        std::string(a_case.name) + ", seed " + std::to_string(streams.seed);
    guint64 stalls = 0;
    g_object_get(streams.all[0]->element(), "stalls", &stalls, nullptr);
    add_row(report, seed + ", plain, " + std::to_string(stalls) + " stalls",
            streams.all[0]->account(), 100);
    plain_late.push_back(streams.all[0]->account().late_percent());
    for (std::size_t i = 0; i < elements.size(); i++)
      add_ours(report, seed + ", " + elements[i], *streams.all[i + 1],
               shares[i]);
  }
  report.samples(std::string(a_case.name) + ", plain, late %", plain_late);
  for (std::size_t i = 0; i < elements.size(); i++) {
    const std::string name = std::string(a_case.name) + ", " + elements[i];
    report.samples(name + ", late %", shares[i].late);
    report.samples(name + ", applied %", shares[i].applied);
    report.at_most(name + ": late %, median of the seeds",
                   bench::median(shares[i].late), kLatePercent);
    report.at_least(name + ": applied %, median of the seeds",
                    bench::median(shares[i].applied), a_case.applied_percent);
  }
}

}  // namespace

int main(int argc, char** argv) {
  gint frames = 900;
  gint seeds = 5;
  const gchar* only = nullptr;
  const gchar* element = nullptr;
  const gchar* json = nullptr;
  bench::CommandLine line(
      "A live stream through a stage that stalls, with and without our "
      "elements.");
  line.add("frames", &frames, "Frames in each stream, 30 a second");
  line.add("seeds", &seeds, "How many choices of stalling frames");
  line.add("case", &only, "One of short, stalls, spikes only");
  line.add("element", &element, "Measure this one only");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);

  bench::Report report("live");
  const std::vector<std::string> elements = bench::chosen_elements(element);
  bool is_known = only == nullptr;
  for (const Case& a_case : kCases) {
    if (only != nullptr && std::string(only) != a_case.name) continue;
    is_known = true;
    run(report, a_case, elements, seeds, frames);
  }
  if (!is_known) bench::fail(std::string("There is no case ") + only);
  return report.finish(json);
}
