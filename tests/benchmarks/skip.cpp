// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What adaptiveskip is for: a live stream through a stage whose cost changes,
// and is more at times than there is time for. Who makes the most of it?
//
// For every workload, budget and seed, the same costs for everybody: the plain
// stage, what people put before it or set on it today, and our elements. A
// frame is worth 1 with the full stage, 0.6 with a cheaper one, 0.4 when an
// earlier result is shown again, 0.2 when it passes untouched, and nothing when
// it leaves more than 2 ms after its running time plus the latency upstream
// plus the budget, or never. The sum is divided by the most that anybody could
// have reached with as many workers (tests/support/optimum.h).
//
// --pin 1: costs are CPU time and everything runs on one core, one stream after
// the other: helpers bring no capacity, so that decisions are all there is.
// Keep other jobs away from that core, with `nice -n -15`. Do not give it real-
// time priority: the thread that has to let a frame go at its due time then
// waits for the one that works. --pin 0: costs are sleeps, on
// all cores, with two helpers or one; the streams of one seed run side by side.

#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench.h"
#include "live_stream.h"
#include "optimum.h"
#include "partner.h"
#include "pipeline.h"
#include "report.h"
#include "skip_candidates.h"
#include "skip_figures.h"
#include "skip_traces.h"

namespace {

constexpr GstClockTime kInterval = GST_SECOND / 30;
constexpr double kBudgets[] = {1.2, 2, 4};  // in frames
// How long a stream may take for what is left in it, beyond the budget. Who is
// behind then would not have been in time.
constexpr GstClockTime kGrace = GST_SECOND / 2;
// Of the stage behind ours that keeps up with nothing.
constexpr guint64 kDownstreamCost = 40 * GST_MSECOND;
constexpr std::size_t kMostCpus = 2;

// What adaptiveskip has to reach of the best; 0: nothing is said.
struct Wanted {
  const char* workload;
  double budget_1_2;
  double budget_2;
  double budget_4;
};
constexpr Wanted kWantedOnOneCore[] = {
    {"calm", 0, 0.99, 0.96},       {"load-1.12", 0.93, 0.97, 0.96},
    {"load-3", 0, 0.95, 0},        {"step", 0, 0.98, 0.96},
    {"ramp", 0, 0.98, 0.96},       {"contention", 0.90, 0.96, 0.96},
    {"content", 0.82, 0.95, 0.96}, {"spikes-3", 0.92, 0.94, 0.96},
};
constexpr Wanted kWantedOnTwoCores[] = {
    {"stalls-0.2", 0, 0.97, 0.97},
    {"stalls-0.5", 0, 0.97, 0.97},
    {"stalls-1.4", 0, 0.97, 0.97},
    {"stalls-2", 0, 0.97, 0.97},
};

struct Options {
  // All workloads and budgets take ten minutes without --pin, more than an hour
  // with it.
  gint seconds = 12;
  gint seeds = 1;
  gint pin = 0;
  gint helpers = 2;
  gint competitor = 0;
  const gchar* workload = nullptr;
  const gchar* budget = nullptr;
  const gchar* candidates = nullptr;
  const gchar* replay = nullptr;
  const gchar* one_case = nullptr;
  const gchar* compete_on = nullptr;
  const gchar* json = nullptr;

  std::size_t frames() const { return static_cast<std::size_t>(seconds) * 30; }
  bool is_pinned() const { return pin != 0; }
  // Of the best that could have been reached.
  unsigned workers() const {
    return is_pinned() ? 1 : static_cast<unsigned>(helpers);
  }
  // Of our elements; 0: as many as they think. On one core they bring nothing.
  unsigned most_helpers() const { return is_pinned() ? 0 : workers(); }
};

Options parse(int argc, char** argv) {
  Options options;
  bench::CommandLine line(
      "A live stream through a stage that may be too slow, with everything "
      "that "
      "skips.");
  line.add("seconds", &options.seconds, "Length of each stream");
  line.add("seeds", &options.seeds, "How many courses of each workload");
  line.add("pin", &options.pin,
           "1: costs are CPU time, all on one core; 0: sleeps, on all cores");
  line.add("helpers", &options.helpers,
           "Without --pin: 1 or 2 helpers, and workers of the best");
  line.add("competitor", &options.competitor,
           "1: a process on every core that we use wants it, too");
  line.add("workload", &options.workload, "This one only");
  line.add("budget", &options.budget, "In frames; otherwise 1.2, 2 and 4");
  line.add("candidates", &options.candidates, "Some only: plain,leaky,...");
  line.add("replay", &options.replay,
           "Costs from this file instead, in microseconds, one in a line");
  line.add("case", &options.one_case,
           "downstream: the bottleneck is behind our element");
  line.add("compete-on", &options.compete_on, "(what a competitor is told)");
  line.add("json", &options.json, "Write the figures to this file");
  line.parse(argc, argv);
  if (options.seconds < 1 || options.seeds < 1)
    bench::fail("There is nothing to measure.");
  if (options.helpers < 1 ||
      options.helpers > static_cast<gint>(dispatch::test::kMostWorkers))
    bench::fail("There may be 1 or 2 helpers.");
  return options;
}

// ---- A competitor ----------------------------------------------------------

// In a process of its own, until its standard input ends.
[[noreturn]] void compete(int cpu) {
  cpu_set_t chosen;
  CPU_ZERO(&chosen);
  CPU_SET(cpu, &chosen);
  if (sched_setaffinity(0, sizeof chosen, &chosen) != 0)
    bench::fail("Cannot set the CPU affinity.");
  bench::Partner::is_ready();
  pollfd input{STDIN_FILENO, POLLIN, 0};
  volatile unsigned work = 0;
  while (poll(&input, 1, 0) == 0)
    for (int i = 0; i < 1'000'000; i++) work = work + 1;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the program is over
  std::exit(0);
}

// ---- One stream ------------------------------------------------------------

bench::Trace trace_of(const Options& options,
                      const bench::SkipWorkload& workload, unsigned seed) {
  if (options.replay == nullptr) return workload.make(seed, options.frames());
  const bench::Trace recorded = bench::read_trace(options.replay);
  bench::Trace trace;
  for (std::size_t i = 0; i < options.frames(); i++)
    trace.push_back(recorded[i % recorded.size()]);
  return trace;
}

// The mean of the frames, if all had been known.
double optimum(const bench::Trace& trace, const bench::SkipWorkload& workload,
               const std::vector<double>& rungs, GstClockTime budget,
               unsigned workers) {
  using dispatch::core::Duration;
  dispatch::test::Workload known{.frames = {},
                                 .rungs = {},
                                 .skip_utility = bench::SkipUtilities{}.bypass,
                                 .workers = workers};
  for (std::size_t i = 0; i < trace.size(); i++) {
    const Duration arrival(static_cast<std::int64_t>(i * kInterval));
    const Duration within(static_cast<std::int64_t>(budget));
    known.frames.push_back({arrival, arrival + within});
  }
  for (std::size_t rung = 0; rung < rungs.size(); rung++) {
    const double scale = rung == 0 ? 1 : workload.lite_scale;
    dispatch::test::Rung level{.utility = rungs[rung], .costs = {}};
    for (const double cost_us : trace)
      level.costs.emplace_back(std::llround(cost_us * scale * 1000));
    known.rungs.push_back(std::move(level));
  }
  return dispatch::test::best_utility(known) /
         static_cast<double>(trace.size());
}

bench::SkipQuestion question_of(const Options& options,
                                const bench::SkipWorkload& workload,
                                const bench::SkipCandidate& candidate,
                                GstClockTime budget) {
  const auto frame_at = [&](double share) {
    return static_cast<std::size_t>(
        std::ceil(share * static_cast<double>(options.frames())));
  };
  return {.frames = options.frames(),
          .budget = budget,
          .interval = kInterval,
          .utilities = {.rungs = candidate.rungs},
          .overload_from = frame_at(workload.overload_from),
          .overload_until = frame_at(workload.overload_until)};
}

// Starts them, and gives them the time they should need.
void run(const Options& options,
         const std::vector<std::unique_ptr<bench::LiveStream>>& streams,
         GstClockTime budget) {
  for (const auto& stream : streams) stream->start();
  const GstClockTime end = options.frames() * kInterval + budget + kGrace;
  for (const auto& stream : streams) {
    const GstClockTime now = stream->running_time();
    stream->run_for(end > now ? end - now : 0);
  }
}

std::unique_ptr<bench::LiveStream> stream_of(
    const Options& options, const bench::SkipCandidate& candidate,
    const bench::SkipStage& stage, GstClockTime budget) {
  bench::LiveStream::Setup setup = candidate.setup(stage, budget);
  setup.frames = static_cast<int>(options.frames());
  setup.is_source_punctual = true;
  return std::make_unique<bench::LiveStream>(setup);
}

double wanted(const Options& options, const std::string& workload,
              double budget_frames) {
  const std::span<const Wanted> all =
      options.workers() == 1 ? std::span<const Wanted>(kWantedOnOneCore)
                             : std::span<const Wanted>(kWantedOnTwoCores);
  const auto found = std::ranges::find_if(
      all, [&](const Wanted& one) { return workload == one.workload; });
  if (found == all.end()) return 0;
  if (budget_frames == kBudgets[0]) return found->budget_1_2;
  if (budget_frames == kBudgets[1]) return found->budget_2;
  return budget_frames == kBudgets[2] ? found->budget_4 : 0;
}

// ---- All of them -----------------------------------------------------------

// What was found of one candidate with one workload and budget, by seed.
struct Found {
  std::vector<bench::SkipFigures> figures;
  std::vector<double> of_optimum;
  bool is_in_order = true;

  template <typename Figure>
  std::vector<double> all(Figure figure) const {
    std::vector<double> values;
    for (const bench::SkipFigures& one : figures)
      values.push_back(static_cast<double>(one.*figure));
    return values;
  }
  template <typename Figure>
  double median(Figure figure) const {
    return bench::median(all(figure));
  }
};

class Comparison {
 public:
  Comparison(const Options& options, const bench::SkipWorkload& workload,
             const std::vector<bench::SkipCandidate>& candidates,
             double budget_frames)
      : options_(options),
        workload_(workload),
        candidates_(candidates),
        budget_frames_(budget_frames),
        budget_(static_cast<GstClockTime>(
            std::llround(budget_frames * static_cast<double>(kInterval)))),
        found_(candidates.size()) {}

  void run_seed(unsigned seed) {
    const bench::Trace trace = trace_of(options_, workload_, seed);
    const bench::TraceFile file(trace);
    const bench::SkipStage stage{.trace_path = file.path(),
                                 .lite_scale = workload_.lite_scale,
                                 .burns = options_.is_pinned(),
                                 .most_helpers = options_.most_helpers(),
                                 .every = bench::every_of(trace, kInterval)};
    std::vector<std::unique_ptr<bench::LiveStream>> streams;
    for (std::size_t i = 0; i < candidates_.size(); i++) {
      streams.push_back(stream_of(options_, candidates_[i], stage, budget_));
      // Costs that are sleeps can be borne side by side.
      if (!options_.is_pinned() && i + 1 < candidates_.size()) continue;
      run(options_, streams, budget_);
      for (std::size_t k = 0; k < streams.size(); k++)
        note(i + 1 - streams.size() + k, *streams[k], trace);
      streams.clear();
    }
  }

  void tell(bench::Report& report) const {
    add_table(report);
    if (workload_.overload_from < workload_.overload_until)
      add_recovery(report);
    for (std::size_t i = 0; i < candidates_.size(); i++) {
      add_samples(report, i);
      if (candidates_[i].is_judged) add_targets(report, i);
    }
    add_ladder_target(report);
  }

 private:
  void note(std::size_t index, const bench::LiveStream& stream,
            const bench::Trace& trace) {
    const bench::SkipCandidate& candidate = candidates_[index];
    Found& found = found_[index];
    found.figures.push_back(bench::skip_figures(
        stream.departures(),
        question_of(options_, workload_, candidate, budget_)));
    const double best =
        optimum(trace, workload_, candidate.rungs, budget_, options_.workers());
    found.of_optimum.push_back(found.figures.back().utility / best);
    const bench::Account account = stream.account();
    found.is_in_order &= account.out_of_order + account.repeated == 0;
  }

  std::string name() const {
    return std::string(workload_.name) + ", " +
           bench::number(budget_frames_, 1) + " frames";
  }

  void add_table(bench::Report& report) const {
    report.table(
        name() + ": " + workload_.title,
        {"stream", "utility", "of the best", "late %", "applied %",
         "of it full %", "repeated %", "bypassed %", "dropped %", "p50 ms",
         "p99 ms", "worst ms", "switches %", "longest skip"});
    using Figures = bench::SkipFigures;
    for (std::size_t i = 0; i < candidates_.size(); i++) {
      const Found& found = found_[i];
      std::vector<std::string> cells{
          candidates_[i].name,
          bench::number(found.median(&Figures::utility), 3),
          bench::number(bench::median(found.of_optimum), 3)};
      for (const auto figure : {&Figures::late, &Figures::applied})
        cells.push_back(bench::number(found.median(figure), 2));
      for (const auto figure :
           {&Figures::full, &Figures::repeated, &Figures::bypassed,
            &Figures::dropped, &Figures::p50_ms, &Figures::p99_ms,
            &Figures::worst_ms, &Figures::switches})
        cells.push_back(bench::number(found.median(figure), 1));
      cells.push_back(bench::number(found.median(&Figures::longest_skip), 0));
      report.row(cells);
    }
  }

  // The worst of the seeds.
  template <typename Time>
  std::string recovery_text(const Found& found, Time time) const {
    double worst_ms = 0;
    for (const bench::SkipFigures& figures : found.figures) {
      const std::optional<double>& one = figures.recovery.*time;
      if (!one) return "never";
      worst_ms = std::max(worst_ms, *one);
    }
    return bench::number(worst_ms, 0);
  }

  void add_recovery(bench::Report& report) const {
    using Recovery = bench::SkipRecovery;
    report.table(name() + ": ms to recover, the worst of the seeds",
                 {"stream", "in time again", "95 % full", "99 % full"});
    for (std::size_t i = 0; i < candidates_.size(); i++) {
      report.row({candidates_[i].name,
                  recovery_text(found_[i], &Recovery::onset_ms),
                  recovery_text(found_[i], &Recovery::back_95_ms),
                  recovery_text(found_[i], &Recovery::back_99_ms)});
    }
  }

  void add_samples(bench::Report& report, std::size_t index) const {
    const std::string of = name() + ", " + candidates_[index].name;
    report.samples(of + ", utility of the best", found_[index].of_optimum);
    report.samples(of + ", late %",
                   found_[index].all(&bench::SkipFigures::late));
    report.samples(of + ", applied %",
                   found_[index].all(&bench::SkipFigures::applied));
    report.promise(of + ": in order, none twice", found_[index].is_in_order);
  }

  double most_late() const {
    if (options_.competitor != 0) return 2;
    return budget_frames_ < 2 ? 1 : 0.5;
  }

  void add_targets(bench::Report& report, std::size_t index) const {
    const std::string of = name() + ", " + candidates_[index].name;
    report.at_most(of + ": late %",
                   found_[index].median(&bench::SkipFigures::late),
                   most_late());
    // Only a ladder has a rung that fits where the full stage never does.
    const bool can_reach =
        !workload_.needs_ladder || candidates_[index].rungs.size() > 1;
    const double least = wanted(options_, workload_.name, budget_frames_);
    // What a competitor leaves of the CPU is not known.
    if (options_.competitor == 0 && can_reach && least > 0)
      report.at_least(of + ": utility of the best",
                      bench::median(found_[index].of_optimum), least);
  }

  const Found* found_of(const std::string& candidate) const {
    for (std::size_t i = 0; i < candidates_.size(); i++)
      if (candidate == candidates_[i].name) return &found_[i];
    return nullptr;
  }

  void add_ladder_target(bench::Report& report) const {
    const Found* two = found_of("two-rungs");
    const Found* three = found_of("three-rungs");
    if (two == nullptr || three == nullptr || !workload_.is_overload) return;
    report.at_least(name() + ": utility of three rungs over that of two",
                    three->median(&bench::SkipFigures::utility) /
                        two->median(&bench::SkipFigures::utility),
                    1);
  }

  const Options& options_;
  const bench::SkipWorkload& workload_;
  const std::vector<bench::SkipCandidate>& candidates_;
  const double budget_frames_;
  const GstClockTime budget_;
  std::vector<Found> found_;
};

// ---- The bottleneck is behind it -------------------------------------------

// What an element of ours makes of it, and says of it.
void run_downstream(bench::Report& report, const Options& options,
                    const bench::SkipCandidate& candidate, double frames) {
  const bench::SkipWorkload calm = bench::skip_workloads("calm").front();
  const bench::TraceFile file(trace_of(options, calm, 1));
  const auto budget = static_cast<GstClockTime>(
      std::llround(frames * static_cast<double>(kInterval)));
  bench::LiveStream::Setup setup =
      candidate.setup({.trace_path = file.path(),
                       .lite_scale = calm.lite_scale,
                       .burns = options.is_pinned(),
                       .most_helpers = options.most_helpers(),
                       .every = 2},
                      budget);
  setup.frames = static_cast<int>(options.frames());
  setup.is_source_punctual = true;
  setup.middle += " ! teststage name=behind burn=false cost=" +
                  std::to_string(kDownstreamCost);
  setup.sink = "fakesink sync=true qos=true enable-last-sample=false";
  bench::LiveStream stream(setup);
  stream.start();
  stream.run_for(options.frames() * kInterval + budget + kGrace);
  const bench::SkipFigures figures = bench::skip_figures(
      stream.departures(), question_of(options, calm, candidate, budget));
  report.table(std::string("bottleneck downstream, ") +
                   bench::number(frames, 1) + " frames: " + candidate.name,
               {"field", "value"});
  report.row({"(late %)", bench::number(figures.late)});
  report.row({"(applied %)", bench::number(figures.applied)});
  for (const auto& [field, value] : bench::Stats(stream.element()).fields())
    report.row({field, value});
  for (const auto& [message, count] : stream.messages())
    report.row({"(messages " + message + ")", std::to_string(count)});
}

std::vector<double> budgets_of(const Options& options) {
  if (options.budget == nullptr)
    return {std::begin(kBudgets), std::end(kBudgets)};
  const double frames = g_ascii_strtod(options.budget, nullptr);
  if (frames <= 0) bench::fail("A budget is a number of frames.");
  return {frames};
}

std::vector<bench::SkipWorkload> workloads_of(const Options& options) {
  if (options.replay == nullptr) return bench::skip_workloads(options.workload);
  bench::SkipWorkload replay = bench::skip_workloads("calm").front();
  replay.name = "replay";
  replay.title = options.replay;
  return {replay};
}

void run_all(bench::Report& report, const Options& options) {
  const auto candidates = bench::skip_candidates(options.candidates);
  const auto workloads = workloads_of(options);
  for (const bench::SkipWorkload& workload : workloads) {
    for (const double budget : budgets_of(options)) {
      Comparison comparison(options, workload, candidates, budget);
      for (gint seed = 1; seed <= options.seeds; seed++)
        comparison.run_seed(static_cast<unsigned>(seed));
      comparison.tell(report);
    }
  }
}

void run_case(bench::Report& report, const Options& options) {
  if (std::string(options.one_case) != "downstream")
    bench::fail(std::string("There is no case ") + options.one_case);
  for (const auto& candidate : bench::skip_candidates(options.candidates)) {
    if (!candidate.has_stats) continue;
    for (const double budget : budgets_of(options))
      run_downstream(report, options, candidate, budget);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.compete_on != nullptr)
    compete(static_cast<int>(g_ascii_strtoll(options.compete_on, nullptr, 10)));
  const std::vector<int> cpus =
      bench::use_cpus(options.is_pinned() ? 1 : kMostCpus);
  std::vector<std::unique_ptr<bench::Partner>> competitors;
  for (const int cpu : cpus) {
    if (options.competitor == 0) break;
    competitors.push_back(std::make_unique<bench::Partner>(
        std::vector<std::string>{"--compete-on", std::to_string(cpu)}));
  }
  bench::Report report("skip");
  if (options.one_case != nullptr)
    run_case(report, options);
  else
    run_all(report, options);
  return report.finish(options.json);
}
