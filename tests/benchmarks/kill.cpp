// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Worker processes that are killed while a live stream plays: who misses them?
//
// First at random: once in a while SIGKILL for one of the workers, spare ones
// among them. Then at each named place of the protocol (process/fault_point),
// where the worker kills or stops itself: one stream for each, several at a
// time. A shell between the element and the worker program sets the
// environment that says so, from a file: workers that are there from the
// beginning have an empty one, and are killed first. What happens once in the
// life of a worker is hit in half of those that replace one that was killed;
// what happens with each frame at every thirtieth.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "bench.h"
#include "family.h"
#include "live_stream.h"
#include "pipeline.h"
#include "report.h"

namespace {

namespace fs = std::filesystem;
namespace test = dispatch::test;

constexpr GstClockTime kBudget = 133 * GST_MSECOND;
constexpr GstClockTime kSettles = 2 * GST_SECOND;
constexpr GstClockTime kGone = 5 * GST_SECOND;

struct Shape {
  const char* name;
  const char* caps;
};
constexpr Shape kSmall{"320x240",
                       "video/x-raw,format=I420,width=320,height=240"};
constexpr Shape k720p{"1280x720",
                      "video/x-raw,format=I420,width=1280,height=720"};
constexpr Shape k4k{"3840x2160",
                    "video/x-raw,format=I420,width=3840,height=2160"};

// ---- Streams ---------------------------------------------------------------

std::string all_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// What runs as a worker here.
std::string worker_program() {
  bench::Pipeline pipeline("shmdispatch stage=identity max-workers=1");
  pipeline.start();
  const std::vector<pid_t> workers = test::descendants();
  if (workers.empty()) bench::fail("There is no worker process.");
  return fs::read_symlink("/proc/" + std::to_string(workers.front()) + "/exe");
}

// A stream whose workers can be told apart from those of others.
class Victim {
 public:
  Victim(const std::string& program, const Shape& shape, const char* stage)
      : mark_("DISPATCH_BENCH_STREAM=" + std::to_string(++streams)),
        faults_(fs::temp_directory_path() /
                ("dispatch-bench-" + std::to_string(getpid()) + "-" +
                 std::to_string(streams))),
        stream_({.middle = std::string("shmdispatch name=x max-workers=3 "
                                       "min-workers=2 stall-timeout=1000000000 "
                                       "latency-budget=") +
                           std::to_string(kBudget) + " stage=\"" + stage + "\"",
                 .budget = kBudget,
                 .caps = shape.caps,
                 .may_fail = true}) {
    set_faults("");
    const std::string command =
        "sh -c 'export " + mark_ + "; read -r f <" + faults_.string() +
        "; [ -z \"$f\" ] || "
        "export GST_DISPATCH_WORKER_TEST=\"$f\"; exec " +
        program + "'";
    g_object_set(stream_.element(), "worker-command", command.c_str(), nullptr);
  }
  ~Victim() { fs::remove(faults_); }
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  bench::LiveStream& stream() { return stream_; }
  const bench::LiveStream& stream() const { return stream_; }

  // Of the workers that are started from now on.
  void set_faults(const std::string& faults) {
    std::ofstream(faults_) << faults << '\n';
  }
  // Its worker processes, those that wait or start among them.
  std::vector<pid_t> workers() const {
    std::vector<pid_t> found = test::descendants();
    std::erase_if(found, [this](pid_t process) {
      const fs::path environment =
          "/proc/" + std::to_string(process) + "/environ";
      // Variables end with a NUL, which the mark need not match.
      return all_of(environment).find(mark_ + '\0') == std::string::npos;
    });
    return found;
  }

 private:
  static inline int streams = 0;
  const std::string mark_;
  const fs::path faults_;
  bench::LiveStream stream_;
};

bool is_stopped(pid_t process) {
  const std::string stat = all_of("/proc/" + std::to_string(process) + "/stat");
  return stat.find(") T ") != std::string::npos;
}

bool kill_one_of(const std::vector<pid_t>& processes,
                 std::minstd_rand& random) {
  if (processes.empty()) return false;
  std::uniform_int_distribution<std::size_t> any(0, processes.size() - 1);
  return ::kill(processes[any(random)], SIGKILL) == 0;
}

// ---- What is left over -----------------------------------------------------

// What this process has of descriptors, shared memory, threads and children.
struct Belongings {
  std::int64_t descriptors;
  std::int64_t shared_mappings;
  std::int64_t threads;
  std::int64_t children;
  bool operator<=(const Belongings& other) const {
    return descriptors <= other.descriptors &&
           shared_mappings <= other.shared_mappings &&
           children <= other.children;
  }
};

Belongings belongings() {
  std::ifstream maps("/proc/self/maps");
  std::int64_t shared = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/memfd:") != std::string::npos) shared++;
  }
  const fs::directory_iterator tasks("/proc/self/task");
  return {test::open_descriptors(getpid()), shared,
          std::distance(begin(tasks), end(tasks)),
          static_cast<std::int64_t>(test::descendants().size())};
}

// What there is once those that end have ended.
Belongings left_over(const Belongings& before) {
  const std::int64_t end_ns =
      bench::monotonic_ns() + static_cast<std::int64_t>(kGone);
  Belongings now = belongings();
  while (!(now <= before) && bench::monotonic_ns() < end_ns) {
    g_usleep(50000);
    now = belongings();
  }
  return now;
}

std::string from_to(std::int64_t before, std::int64_t after) {
  return std::to_string(before) + " -> " + std::to_string(after);
}

// ---- At random -------------------------------------------------------------

// Sums of one stream that is over.
struct Outcome {
  bench::Account account;
  double applied_percent;
  guint lost;
  std::string error;
};

Outcome outcome(const bench::LiveStream& stream) {
  const bench::Stats stats(stream.element());
  return {stream.account(), bench::applied_percent(stream),
          stats.number("workers-lost"), stream.error()};
}

Outcome kill_at_random(const std::string& program, const Shape& shape,
                       int kills, double rate) {
  Victim victim(program, shape, "teststage burn=false cost=15000000");
  bench::LiveStream& stream = victim.stream();
  std::minstd_rand random(1);
  std::uniform_real_distribution<double> around(0.5, 1.5);
  stream.start();
  stream.run_for(kSettles);
  for (int i = 0; i < kills;) {
    const double wait_s = around(random) / rate;
    if (stream.run_for(static_cast<GstClockTime>(wait_s * GST_SECOND))) break;
    if (kill_one_of(victim.workers(), random)) i++;
  }
  stream.run_for(kSettles);
  stream.finish();
  return outcome(stream);
}

std::vector<std::string> cells(const Outcome& outcome) {
  const bench::Account& account = outcome.account;
  return {std::to_string(outcome.lost),
          std::to_string(account.arrived),
          std::to_string(account.missing + account.repeated),
          std::to_string(account.out_of_order),
          bench::number(account.late_percent()),
          bench::number(outcome.applied_percent)};
}

void promise_complete(bench::Report& report, const std::string& name,
                      const Outcome& outcome) {
  report.promise(name + ": every frame left once, in order",
                 outcome.account.is_complete());
  report.promise(name + ": the stream goes on" +
                     (outcome.error.empty() ? "" : ": " + outcome.error),
                 outcome.error.empty());
}

void at_random(bench::Report& report, const std::string& program,
               const Shape& shape, int kills, double rate) {
  // What a first stream of this kind makes and keeps.
  kill_at_random(program, shape, 1, 1);
  const Belongings before = belongings();
  const Outcome killed = kill_at_random(program, shape, kills, rate);
  const Belongings after = left_over(before);

  const std::string name = shape.name;
  report.table("SIGKILL for " + std::to_string(kills) + " workers, " +
                   bench::number(rate, 1) +
                   " a second, of a stream of 30 fps, " + name,
               {"workers lost", "frames", "missing or twice", "out of order",
                "late %", "applied %"});
  report.row(cells(killed));
  report.table("this process, before and after",
               {"descriptors", "shared mappings", "threads", "children"});
  report.row({from_to(before.descriptors, after.descriptors),
              from_to(before.shared_mappings, after.shared_mappings),
              from_to(before.threads, after.threads),
              from_to(before.children, after.children)});
  promise_complete(report, name, killed);
  report.promise(name + ": no descriptor, mapping or process is left over",
                 after <= before);
  report.at_most(name + ": late %", killed.account.late_percent(), 0.5);
  report.at_least(name + ": applied %", killed.applied_percent, 98);
}

// ---- At each place ---------------------------------------------------------

struct Place {
  const char* name;
  bool is_once_in_a_life;
};
constexpr Place kPlaces[] = {{"started", true},        {"ready", true},
                             {"epoch-entered", true},  {"slot-asked", true},
                             {"command-taken", false}, {"in-stage", false},
                             {"stage-done", false},    {"before-report", false},
                             {"reported", false},      {"idle", false}};

// One stream whose workers go at one place.
class Trap {
 public:
  Trap(const std::string& program, const Place& place, const char* action)
      : place_(place),
        action_(action),
        victim_(program, kSmall,
                "teststage burn=false cost=15000000 writes=true") {}

  std::string name() const { return std::string(place_.name) + ", " + action_; }
  void start() { victim_.stream().start(); }
  void arm() {
    unarmed_ = victim_.workers();
    victim_.set_faults(std::string(place_.name) + "=" + action_ +
                       (place_.is_once_in_a_life ? ":%0.5" : ":30"));
  }
  // Those that are armed stay so.
  void disarm() { victim_.set_faults(""); }
  // What the log of lost workers says; one that is lost in its start has none.
  std::uint64_t hits() const {
    const bench::Stats stats(victim_.stream().element());
    const std::uint64_t lost = stats.number("workers-lost");
    const std::uint64_t unseen = std::max(lost, kills_) - kills_;
    return std::max(
        {victim_.stream().logged("fault point " + std::string(place_.name)),
         place_.is_once_in_a_life ? unseen : 0, stopped_.size()});
  }
  // Once a second.
  void drive(std::minstd_rand& random) {
    std::vector<pid_t> candidates = victim_.workers();
    std::ranges::copy_if(candidates, std::inserter(stopped_, stopped_.end()),
                         is_stopped);
    if (!place_.is_once_in_a_life)
      std::erase_if(candidates, [this](pid_t process) {
        return std::ranges::find(unarmed_, process) == unarmed_.end();
      });
    if (kill_one_of(candidates, random)) kills_++;
  }
  bool run_for(GstClockTime time) { return victim_.stream().run_for(time); }
  Outcome finish() {
    disarm();
    victim_.stream().run_for(kSettles);
    victim_.stream().finish();
    return outcome(victim_.stream());
  }

 private:
  const Place place_;
  const char* action_;
  Victim victim_;
  std::vector<pid_t> unarmed_;
  std::uint64_t kills_ = 0;
  std::set<pid_t> stopped_;  // that were seen so
};

void drive_all(std::vector<std::unique_ptr<Trap>>& traps, int hits,
               int most_seconds) {
  std::minstd_rand random(1);
  for (auto& trap : traps) trap->start();
  for (auto& trap : traps) trap->run_for(kSettles);
  for (auto& trap : traps) trap->arm();
  for (int second = 0; second < most_seconds; second++) {
    bool is_done = true;
    for (auto& trap : traps) {
      if (trap->run_for(0)) continue;
      if (trap->hits() >= static_cast<std::uint64_t>(hits)) {
        trap->disarm();
        continue;
      }
      is_done = false;
      trap->drive(random);
    }
    if (is_done) return;
    traps.front()->run_for(GST_SECOND);
  }
}

void judge_trap(bench::Report& report, Trap& trap, int hits) {
  const std::uint64_t hit = trap.hits();
  const Outcome outcome = trap.finish();
  std::vector<std::string> row{trap.name(), std::to_string(hit)};
  std::ranges::move(cells(outcome), std::back_inserter(row));
  report.row(std::move(row));
  promise_complete(report, trap.name(), outcome);
  report.at_least(trap.name() + ": times hit", static_cast<double>(hit), hits);
  report.at_most(trap.name() + ": late %", outcome.account.late_percent(), 0.5);
}

void at_each_place(bench::Report& report, const std::string& program, int hits,
                   int together, const char* only) {
  report.table("workers that go at one place, 30 fps, 320x240",
               {"place", "times", "workers lost", "frames", "missing or twice",
                "out of order", "late %", "applied %"});
  std::vector<std::unique_ptr<Trap>> traps;
  const auto run = [&] {
    drive_all(traps, hits, 10 + 6 * hits);
    for (auto& trap : traps) judge_trap(report, *trap, hits);
    traps.clear();
  };
  for (const char* action : {"kill", "stop"}) {
    for (const Place& place : kPlaces) {
      if (only != nullptr && std::string(only) != place.name) continue;
      traps.push_back(std::make_unique<Trap>(program, place, action));
      if (traps.size() == static_cast<std::size_t>(together)) run();
    }
  }
  if (!traps.empty()) run();
}

}  // namespace

int main(int argc, char** argv) {
  gint kills = 60;
  gint per_minute = 60;
  gint hits = 20;
  gint together = 5;
  gint with_4k = 0;
  const gchar* place = nullptr;
  const gchar* json = nullptr;
  bench::CommandLine line("Worker processes that are killed.");
  line.add("kills", &kills,
           "How many workers are killed at random; 1000 for "
           "the record");
  line.add("rate", &per_minute, "How many of them in a minute");
  line.add("4k", &with_4k, "Not 0: at random in a stream of 4K as well");
  line.add("hits", &hits, "How often each place is hit");
  line.add("together", &together, "Streams at the same time, one for a place");
  line.add("place", &place, "This place only");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);
  const rlimit no_cores{0, 0};
  setrlimit(RLIMIT_CORE, &no_cores);

  bench::Report report("kill");
  const std::string program = worker_program();
  const double rate = per_minute / 60.0;
  if (kills > 0) at_random(report, program, k720p, kills, rate);
  if (kills > 0 && with_4k != 0) at_random(report, program, k4k, kills, rate);
  if (hits > 0) at_each_place(report, program, hits, together, place);
  return report.finish(json);
}
