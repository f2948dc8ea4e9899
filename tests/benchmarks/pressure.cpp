// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Memory pressure: 4K frames through one stage to eight, under a limit of
// memory. What do all processes need at most, and does the limit let them live?
//
// Each way runs in a cgroup of its own, in a process of its own with all that
// it starts. As many frames are under way as there is room for; every shmsink
// has as much room as the window of an element of ours.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bench.h"
#include "family.h"
#include "memory_group.h"
#include "offered_frames.h"
#include "partner.h"
#include "passage.h"
#include "report.h"

namespace {

namespace test = dispatch::test;
using std::chrono::steady_clock;

constexpr bench::FrameShape kShape{"3840x2160", 3840, 2160};
constexpr int kStages[] = {1, 2, 4, 8};
constexpr std::chrono::seconds kPatience{60};
constexpr double kMebibyte = 1024 * 1024;

constexpr const char* kOwn = "shmdispatch";

std::vector<bench::Recipe> recipes(int stages) {
  std::vector<bench::Recipe> all = {
      bench::through_elements("workerpool", "workerpool", stages),
      bench::through_elements(kOwn, kOwn, stages), bench::through_shm(stages),
      bench::through_pipes(kShape, stages)};
  if (bench::exists("unixfdsink")) all.push_back(bench::through_unixfd(stages));
  return all;
}

// The child: waits to be put into its group, sends the frames, says so, and
// stays until it has been looked at.
int run_child(const std::string& way, int stages, int frames) {
  bench::Partner::is_ready();
  if (!bench::Partner::wait_for_line()) return 2;
  for (const bench::Recipe& recipe : recipes(stages)) {
    if (recipe.name != way) continue;
    bench::Passage passage(recipe, kShape,
                           bench::Handling{.fills = true, .reads = true});
    passage.send(frames);
    std::printf("done\n");
    std::fflush(stdout);
    bench::Partner::wait_for_line();
    return 0;
  }
  return 2;
}

struct Outcome {
  bool has_arrived = false;      // all of it
  std::int64_t share_bytes = 0;  // summed PSS, the most that was seen
  std::int64_t swap_bytes = 0;   // likewise
  std::int64_t peak_bytes = 0;
  std::int64_t kills = 0;
  std::set<pid_t> processes;  // all that were seen
};

void look(const bench::MemoryGroup& group, Outcome& outcome) {
  std::int64_t share_bytes = 0;
  for (const pid_t process : group.processes()) {
    outcome.processes.insert(process);
    if (const auto memory = test::memory_if_alive(process))
      share_bytes += memory->share_bytes;
  }
  outcome.share_bytes = std::max(outcome.share_bytes, share_bytes);
  outcome.swap_bytes = std::max(outcome.swap_bytes, group.swap_bytes());
}

Outcome run(const std::string& way, int stages, int frames,
            std::int64_t limit_bytes) {
  std::string why_not;
  auto group = bench::MemoryGroup::make(limit_bytes, why_not);
  if (!group) bench::fail(why_not);
  bench::Partner child({"--child", way, "--stages", std::to_string(stages),
                        "--frames", std::to_string(frames)});
  group->take_in(child.pid());
  child.tell("go");
  Outcome outcome;
  const auto end = steady_clock::now() + kPatience;
  for (bool is_over = false; !is_over && steady_clock::now() < end;) {
    const bench::Partner::Heard heard =
        child.listen(std::chrono::milliseconds(20));
    look(*group, outcome);
    outcome.has_arrived = heard.line == "done";
    is_over = heard.line || heard.has_ended;
  }
  outcome.peak_bytes = group->peak_bytes();
  outcome.kills = group->kills();
  group->kill_all();
  // Else the memory of this way would be missing for those that follow.
  for (const pid_t process : outcome.processes)
    bench::remove_shm_areas(process);
  return outcome;
}

std::string mebibytes(std::int64_t bytes) {
  return bench::number(static_cast<double>(bytes) / kMebibyte, 0);
}

void add(bench::Report& report, const std::string& way, int stages,
         const Outcome& free, const Outcome& limited) {
  report.row({way, std::to_string(stages), mebibytes(free.share_bytes),
              mebibytes(free.peak_bytes),
              limited.has_arrived ? "all arrived" : "did not live",
              std::to_string(limited.kills), mebibytes(limited.swap_bytes)});
  const std::string name = way + ", " + std::to_string(stages) + " stages: ";
  report.figure(name + "PSS bytes", static_cast<double>(free.share_bytes));
  report.figure(name + "charged bytes", static_cast<double>(free.peak_bytes));
  report.figure(name + "lived under the limit", limited.has_arrived ? 1 : 0);
  report.figure(name + "kills", static_cast<double>(limited.kills));
  report.figure(name + "swap bytes", static_cast<double>(limited.swap_bytes));
  report.promise(name + "without the limit, all frames arrive",
                 free.has_arrived);
  if (way == kOwn)
    report.promise(name + "all frames arrive under the limit",
                   limited.has_arrived);
}

// Says why, and nothing else, where there is no cgroup to be had.
bool has_groups(bench::Report& report) {
  std::string why_not;
  if (bench::MemoryGroup::make(std::int64_t{1} << 30, why_not)) return true;
  report.table("not measured", {"reason"});
  report.row({why_not});
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  gint frames = 60;
  gint limit_mib = 320;
  gint stages = 1;
  const gchar* json = nullptr;
  const gchar* child = nullptr;
  const gchar* partner = nullptr;
  bench::CommandLine line("4K frames under a limit of memory.");
  line.add("frames", &frames, "Frames on each way");
  line.add("limit", &limit_mib, "MiB that all processes of a way may have");
  line.add("json", &json, "Write the figures to this file");
  line.add("child", &child, "Used by the program itself");
  line.add("stages", &stages, "Used by the program itself");
  line.add("partner", &partner, "Used by the program itself");
  line.parse(argc, argv);
  if (partner != nullptr) bench::run_as_partner(partner);
  if (child != nullptr) return run_child(child, stages, frames);

  bench::Report report("pressure");
  if (!has_groups(report)) return report.finish(json);
  report.table(std::to_string(frames) + " frames of " + kShape.name +
                   " I420 (" +
                   mebibytes(static_cast<std::int64_t>(kShape.bytes())) +
                   " MiB each), limit " + std::to_string(limit_mib) + " MiB",
               {"way", "stages", "peak PSS MiB", "peak charged MiB",
                "under the limit", "kills", "swap MiB"});
  constexpr std::int64_t kNoLimitBytes = std::int64_t{8} << 30;
  const auto limit_bytes = static_cast<std::int64_t>(limit_mib * kMebibyte);
  for (const int count : kStages)
    for (const bench::Recipe& recipe : recipes(count))
      add(report, recipe.name, count,
          run(recipe.name, count, frames, kNoLimitBytes),
          run(recipe.name, count, frames, limit_bytes));
  return report.finish(json);
}
