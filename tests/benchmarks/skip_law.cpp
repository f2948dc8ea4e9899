// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The law of adaptiveskip in simulated time: what it makes of every workload,
// beside the clairvoyant optimum and the rules that others use.
//
// The workloads are in tests/core/skip_workloads.h; the rules in skip_rules.h.
// Utility: 1 for the full stage (22 ms of 33 when nothing is wrong), 0.6 for
// the lite one (9 ms) of a ladder of three rungs, 0.2 without a stage, 0 for a
// frame that is late or dropped. All of it divided by the most that can be had
// from the same costs when they are known beforehand, with as many workers.
// Rules "with rescue": what is not done by its due time leaves then without a
// stage. Nothing here depends on the machine, except for the time that a
// decision takes.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench.h"
#include "report.h"
#include "skip_optimum.h"
#include "skip_rules.h"
#include "skip_workloads.h"

namespace {

using namespace dispatch::core;

constexpr std::size_t kFrames = 2400;
constexpr double kLiteRatio = 9.0 / 22;
constexpr double kLateLimit = 0.005;
constexpr double kDecisionLimitUs = 20;

// One table.
struct Setting {
  int fps = 30;
  double budget = 2;  // frames
  int rungs = 2;      // with the one without a stage
  unsigned workers = 1;

  Duration interval() const { return Duration(1000000000 / fps); }
  Duration budget_time() const {
    return Duration(static_cast<Duration::rep>(
        budget * static_cast<double>(interval().count())));
  }
  std::string name() const {
    return std::to_string(fps) + " fps, budget " + bench::number(budget, 1) +
           " frames, " + std::to_string(rungs) + " rungs, " +
           std::to_string(workers) + (workers == 1 ? " worker" : " workers");
  }
  SkipSettings settings() const {
    SkipSettings settings;
    settings.levels = {Level{1, {}}};
    if (rungs == 3) settings.levels.push_back(Level{0.6, {}});
    return settings;
  }
  std::vector<double> ratios() const {
    return rungs == 3 ? std::vector<double>{1, kLiteRatio}
                      : std::vector<double>{1};
  }
};

struct Outcome {
  double utility = 0;
  double frames = 0;
  double late = 0;  // or dropped; not what came late
  double applied = 0;
  double switches = 0;

  void add(const std::vector<SimulatedDeparture>& departures,
           const SkipSettings& settings) {
    std::optional<unsigned> last = 0;
    for (const SimulatedDeparture& left : departures) {
      ++frames;
      const bool is_lost = left.is_late || left.is_dropped;
      if (is_lost && !left.arrived_late) ++late;
      if (!is_lost)
        utility += left.level ? settings.levels.at(*left.level).utility
                              : settings.skip_utility;
      if (left.level && !is_lost) ++applied;
      if (left.level != last) ++switches;
      last = left.level;
    }
  }
};

// The law, with the time that its decisions take.
class TimedLaw : public PolicyRule {
 public:
  explicit TimedLaw(SkipPolicy& policy) : PolicyRule(policy) {}
  std::optional<unsigned> decide(const FrameOutlook& frame) override {
    const std::int64_t begin = bench::monotonic_ns();
    const auto level = PolicyRule::decide(frame);
    spent_ += bench::monotonic_ns() - begin;
    ++decisions_;
    return level;
  }
  double microseconds() const {
    return static_cast<double>(spent_) / 1000.0 /
           std::max(1.0, static_cast<double>(decisions_));
  }

 private:
  std::int64_t spent_ = 0;
  std::int64_t decisions_ = 0;
};

// What one workload gave, over all seeds.
struct Row {
  double optimum = 0;
  std::map<std::string, Outcome> of;
  std::vector<double> decision_us;  // the mean of each seed
};

void run(const std::string& name, const SkipScenario& scenario, SkipRule& rule,
         const SkipSettings& settings, Row& row) {
  row.of[name].add(SkipSimulation(scenario, rule).run(), settings);
}

void run_law(const std::string& name, const SkipScenario& scenario,
             SkipSettings settings, Row& row) {
  settings.can_rescue = scenario.can_rescue;
  SkipPolicy policy(settings);
  TimedLaw law(policy);
  run(name, scenario, law, settings, row);
  row.decision_us.push_back(law.microseconds());
}

void run_others(SkipScenario scenario, const SkipSettings& settings,
                Duration interval, Row& row) {
  bench::GreedyRule greedy(settings);
  run("greedy, rescue", scenario, greedy, settings, row);
  bench::LookAheadRule look_ahead(settings, interval);
  run("look-ahead, rescue", scenario, look_ahead, settings, row);
  scenario.can_rescue = false;
  bench::LookAheadRule alone(settings, interval);
  run("look-ahead", scenario, alone, settings, row);
  run_law("law, no rescue", scenario, settings, row);
  bench::PlainRule plain;
  run("plain", scenario, plain, settings, row);
  scenario.max_waiting = 1;
  run("leaky 1", scenario, plain, settings, row);
  scenario.max_waiting = 0;
  run("limiter", scenario, plain, settings, row);
}

using Rows = std::vector<std::pair<std::string, Row>>;

Rows measure(const Setting& setting, int seeds) {
  Rows rows;
  const SkipSettings settings = setting.settings();
  for (int seed = 1; seed <= seeds; ++seed) {
    auto workloads =
        all_workloads(setting.interval(), kFrames, static_cast<unsigned>(seed),
                      setting.ratios());
    rows.resize(workloads.size());
    for (std::size_t i = 0; i < workloads.size(); ++i) {
      rows[i].first = workloads[i].name;
      Row& row = rows[i].second;
      SkipScenario scenario;
      scenario.frames = std::move(workloads[i].frames);
      scenario.budget = setting.budget_time();
      scenario.workers = setting.workers;
      row.optimum += SkipOptimum(scenario, settings).utility();
      run_law("law", scenario, settings, row);
      run_others(scenario, settings, setting.interval(), row);
    }
  }
  return rows;
}

const std::vector<std::string> kRules{
    "plain",          "leaky 1",        "limiter",           "look-ahead",
    "law, no rescue", "greedy, rescue", "look-ahead, rescue"};

std::string percent(double part, double all) {
  return bench::number(100 * part / all, 1);
}

// Utility of the rule over the optimum and the share of late frames.
std::string cell(const Row& row, const std::string& rule) {
  const Outcome& outcome = row.of.at(rule);
  const std::string late =
      outcome.late > 0 ? " / " + percent(outcome.late, outcome.frames) : "";
  return bench::number(outcome.utility / row.optimum, 3) + late;
}

void print(bench::Report& report, const Setting& setting, const Rows& rows) {
  std::vector<std::string> columns{"workload", "optimum"};
  columns.insert(columns.end(), kRules.begin(), kRules.end());
  for (const char* column : {"law", "applied %", "without %", "switches/100"})
    columns.emplace_back(column);
  report.table(setting.name() + ": utility over the optimum / late %", columns);
  for (const auto& [name, row] : rows) {
    const Outcome& law = row.of.at("law");
    std::vector<std::string> cells{name,
                                   bench::number(row.optimum / law.frames, 3)};
    for (const std::string& rule : kRules) cells.push_back(cell(row, rule));
    cells.push_back(cell(row, "law"));
    cells.push_back(percent(law.applied, law.frames));
    cells.push_back(percent(law.frames - law.applied, law.frames));
    cells.push_back(percent(law.switches, law.frames));
    report.row(cells);
    const std::string of = setting.name() + ", " + name + ": ";
    for (const auto& [rule, outcome] : row.of)
      report.figure(of + rule, outcome.utility / row.optimum);
  }
}

// ---- What is asked of it ---------------------------------------------------

// Utility over the optimum of one worker, with a hundredth more than is asked
// of the element: reality costs something.
using Wanted = std::map<std::string, double>;

Wanted wanted(double budget) {
  if (budget < 1.5)
    return {{"calm", 1.0},
            {"constant 1.12", 0.94},
            {"contention", 0.91},
            {"spikes 3 %", 0.93},
            {"content", 0.83}};
  if (budget < 3)
    return {{"calm", 1.0},           {"constant 1.12", 0.98},
            {"step and ramp", 0.99}, {"contention", 0.97},
            {"content", 0.96},       {"spikes 3 %", 0.95}};
  return {{"calm", 0.97},          {"constant 1.12", 0.97},
          {"step and ramp", 0.97}, {"contention", 0.97},
          {"content", 0.97},       {"spikes 3 %", 0.97}};
}

double ratio(const Row& row, const std::string& rule) {
  return row.of.at(rule).utility / row.optimum;
}

void judge(bench::Report& report, const Setting& setting, const Rows& rows) {
  const Wanted least = wanted(setting.budget);
  double late = 0;
  double law = 0;
  double greedy = 0;
  double decision = 0;
  for (const auto& [name, row] : rows) {
    const Outcome& outcome = row.of.at("law");
    late = std::max(late, outcome.late / outcome.frames);
    law += ratio(row, "law") / static_cast<double>(rows.size());
    greedy += ratio(row, "greedy, rescue") / static_cast<double>(rows.size());
    decision = std::max(decision, bench::median(row.decision_us));
    const auto found = least.find(name);
    if (found != least.end() && setting.rungs == 2 && setting.workers == 1 &&
        setting.fps == 30)
      report.at_least(setting.name() + ": " + name, ratio(row, "law"),
                      found->second);
    if (setting.workers == 2 && name.rfind("stalls", 0) == 0)
      report.at_least(setting.name() + ": " + name, ratio(row, "law"), 0.97);
  }
  report.at_least(setting.name() + ": mean of all, beside greedy", law, greedy);
  report.promise(setting.name() + ": at most 0.5 % late", late <= kLateLimit);
  report.at_most(setting.name() + ": microseconds for a decision", decision,
                 kDecisionLimitUs);
}

// Three rungs are worth more than two wherever they can be: not where a worker
// is away for many frames, which no level helps.
void compare(bench::Report& report, const Setting& setting, const Rows& of_two,
             const Rows& of_three) {
  double least = 2;
  for (std::size_t i = 0; i < of_two.size(); ++i) {
    const Outcome& two = of_two[i].second.of.at("law");
    if (two.applied / two.frames > 0.95) continue;
    least =
        std::min(least, of_three[i].second.of.at("law").utility / two.utility);
  }
  report.at_least(setting.name() + ": utility over that of two rungs, at worst",
                  least, 1);
}

// ---- Out of an overload ----------------------------------------------------

// Three times real time for ten seconds, then calm: when 95 % and 99 % of the
// frames got the full stage, counted from the end of it, in milliseconds.
struct Recovery {
  double to_95 = 0;
  double to_99 = 0;
};

// The end of the last stretch of a second that had less than `share` of full
// frames; 0: none had.
double settled(const std::vector<SimulatedDeparture>& departures,
               std::size_t from, const Setting& setting, double share) {
  const auto window = static_cast<std::size_t>(setting.fps);
  std::size_t last = from;
  for (std::size_t i = from; i + window <= departures.size(); ++i) {
    double full = 0;
    for (std::size_t k = i; k < i + window; ++k)
      full += departures[k].level == 0U ? 1 : 0;
    if (full < share * static_cast<double>(window)) last = i + 1;
  }
  return static_cast<double>(last - from) * 1000 / setting.fps;
}

Recovery recover(const Setting& setting, unsigned seed) {
  const auto overload = 10 * static_cast<std::size_t>(setting.fps);
  WorkloadMaker make(setting.interval(), 2 * overload, seed);
  std::vector<double> costs = make.constant(WorkloadMaker::kNominal);
  for (std::size_t i = 0; i < overload; ++i)
    costs[i] *= 3 / WorkloadMaker::kNominal;
  SkipScenario scenario;
  scenario.frames = make.frames(costs, setting.ratios());
  scenario.budget = setting.budget_time();
  scenario.workers = setting.workers;
  SkipPolicy policy(setting.settings());
  PolicyRule rule(policy);
  const auto& departures = SkipSimulation(scenario, rule).run();
  return {settled(departures, overload, setting, 0.95),
          settled(departures, overload, setting, 0.99)};
}

void measure_recovery(bench::Report& report, int seeds,
                      const std::vector<Setting>& settings) {
  report.table(
      "ms until 95 % and 99 % full, after 10 s of three times real "
      "time (median, most)",
      {"setting", "95 %", "most", "99 %", "most"});
  for (const Setting& setting : settings) {
    std::vector<double> to_95;
    std::vector<double> to_99;
    for (int seed = 1; seed <= seeds; ++seed) {
      const Recovery recovery = recover(setting, static_cast<unsigned>(seed));
      to_95.push_back(recovery.to_95);
      to_99.push_back(recovery.to_99);
    }
    const double most_95 = bench::percentile(to_95, 100);
    const double most_99 = bench::percentile(to_99, 100);
    report.row({setting.name(), bench::number(bench::median(to_95), 0),
                bench::number(most_95, 0),
                bench::number(bench::median(to_99), 0),
                bench::number(most_99, 0)});
    report.at_most(setting.name() + ": 95 % full within ms", most_95, 500);
    report.at_most(setting.name() + ": 99 % full within ms", most_99, 2000);
  }
}

void measure_all(bench::Report& report, int seeds) {
  std::vector<Setting> settings;
  for (const int fps : {30, 60})
    for (const double budget : {1.2, 2.0, 4.0}) {
      const Setting two{fps, budget, 2, 1};
      const Setting three{fps, budget, 3, 1};
      const Rows of_two = measure(two, seeds);
      const Rows of_three = measure(three, seeds);
      print(report, two, of_two);
      print(report, three, of_three);
      judge(report, two, of_two);
      judge(report, three, of_three);
      compare(report, three, of_two, of_three);
      settings.insert(settings.end(), {two, three});
    }
  const Setting pair{30, 2, 2, 2};
  const Rows of_pair = measure(pair, seeds);
  print(report, pair, of_pair);
  judge(report, pair, of_pair);
  measure_recovery(report, seeds, settings);
}

}  // namespace

int main(int argc, char** argv) {
  gint seeds = 20;
  const gchar* json = nullptr;
  bench::CommandLine line("- the law of adaptiveskip in simulated time");
  line.add("seeds", &seeds, "How many traces of each workload");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);
  bench::Report report("skip-law");
  measure_all(report, seeds);
  return report.finish(json);
}
