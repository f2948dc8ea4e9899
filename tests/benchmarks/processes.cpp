// SPDX-License-Identifier: LGPL-2.1-or-later
//
// There and back with one frame in flight: what does it cost to hand a frame to
// another process, or thread, and to get it back?
//
// Beside each other: what GStreamer has, workerpool, shmdispatch, and the floor
// (floor.h). All ways, at all sizes, are there during the whole run and take
// turns, a few frames each, so that what disturbs the machine disturbs all of
// them. The best turn of each is compared: it was disturbed least.
//
// The source takes frames from the pool that it is offered, and pushes the next
// one when the sink has got the last one: at once (flood), or a thirtieth of a
// second after the last one (paced). The payload is left alone, or written by
// the source (not in the latency), inverted by the stage and read by the sink
// (both in the latency).

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench.h"
#include "floor.h"
#include "partner.h"
#include "passage.h"
#include "report.h"

namespace {

using bench::FrameShape;
using bench::Turns;

constexpr FrameShape kShapes[] = {{"320x240", 320, 240},
                                  {"640x480", 640, 480},
                                  {"1280x720", 1280, 720},
                                  {"1920x1080", 1920, 1080},
                                  {"3840x2160", 3840, 2160}};
constexpr auto kPace = std::chrono::nanoseconds(1'000'000'000 / 30);

constexpr int kWarmUpFrames = 10;

enum class Payload { kUntouched, kTouched };

constexpr const char* kFloor = "floor";
constexpr const char* kThreadedFloor = "floor with an output thread";
constexpr const char* kShmDispatch = "shmdispatch";

bench::Recipe spinning(const std::string& own, int spin_us) {
  return {"shmdispatch spin=" + std::to_string(spin_us) + " us",
          own + " spin=" + std::to_string(spin_us * 1000) + bench::kSink};
}

std::vector<bench::Recipe> recipes(Payload payload) {
  const std::string stage =
      payload == Payload::kTouched ? "teststage writes=true" : "identity";
  const std::string sink = bench::kSink;
  const std::string own =
      "shmdispatch name=x max-workers=1 stage=\"" + stage + "\"";
  std::vector<bench::Recipe> all = {
      {"no hop", stage + " name=x" + sink},
      {"two queues", "queue name=x ! " + stage + " ! queue" + sink},
      {"workerpool",
       "workerpool name=x max-workers=1 stage=\"" + stage + "\"" + sink},
      {"shmsink, shmsrc",
       "shmsink name=x socket-path=DIR/there shm-size=ROOM sync=false "
       "async=false",
       {"shmsrc socket-path=DIR/there ! CAPS ! " + stage +
        " ! shmsink socket-path=DIR/back shm-size=ROOM sync=false async=false"},
       "shmsrc socket-path=DIR/back ! CAPS" + sink},
      {kShmDispatch, own + sink},
  };
  // What the stage writes lies in memory without a descriptor, which the sink
  // on the way back does not take.
  if (bench::exists("unixfdsink") && payload == Payload::kUntouched)
    all.push_back(
        {"unixfdsink, unixfdsrc",
         "unixfdsink name=x socket-path=DIR/there sync=false async=false",
         {"unixfdsrc socket-path=DIR/there ! " + stage +
          " ! unixfdsink socket-path=DIR/back sync=false async=false"},
         "unixfdsrc socket-path=DIR/back" + sink});
  if (payload == Payload::kTouched) {
    all.push_back(
        {"shmdispatch in place", own + " allow-in-place=true" + sink});
    return all;
  }
  for (const int spin_us : {20, 50, 100}) all.push_back(spinning(own, spin_us));
  all.push_back({kFloor, "benchfloor name=x" + sink});
  all.push_back({kThreadedFloor, "benchfloor name=x threaded=true" + sink});
  return all;
}

using Ways = std::vector<std::unique_ptr<bench::Passage>>;

Ways make_ways(const FrameShape& shape, Payload payload) {
  const bool is_touched = payload == Payload::kTouched;
  Ways ways;
  for (const bench::Recipe& recipe : recipes(payload))
    ways.push_back(std::make_unique<bench::Passage>(
        recipe, shape,
        bench::Handling{.fills = is_touched, .reads = is_touched}));
  return ways;
}

// The frames of one way are a thirtieth of a second apart; the others have
// their turns in between.
std::vector<Turns> pace(Ways& ways, int turns, int frames) {
  std::vector<Turns> all(ways.size());
  const auto gap = kPace / static_cast<int>(ways.size());
  auto next = std::chrono::steady_clock::now();
  for (int turn = 0; turn < turns; turn++) {
    std::vector<std::vector<double>> latency_us(ways.size());
    std::vector<std::int64_t> cpu_ns(ways.size(), 0);
    for (int frame = 0; frame < frames; frame++) {
      for (std::size_t i = 0; i < ways.size(); i++) {
        next += gap;
        std::this_thread::sleep_until(next);
        // Nothing but this way runs until the next one has its turn.
        const std::int64_t begin_cpu_ns = ways[i]->cpu_ns();
        latency_us[i].push_back(ways[i]->send_one_us());
        std::this_thread::sleep_until(next + gap / 2);
        cpu_ns[i] += ways[i]->cpu_ns() - begin_cpu_ns;
      }
    }
    for (std::size_t i = 0; i < ways.size(); i++) {
      all[i].add(latency_us[i], cpu_ns[i]);
    }
  }
  return all;
}

// What was found of all ways at one size; the best turns.
struct Found {
  const FrameShape* shape;
  std::vector<std::string> names;
  std::vector<Turns> series;

  const Turns& of(const std::string& name) const {
    const auto place = std::find(names.begin(), names.end(), name);
    if (place == names.end()) bench::fail("There is no way called " + name);
    return series[static_cast<std::size_t>(place - names.begin())];
  }
};

using Measure = double (*)(const Turns&);

void add_table(bench::Report& report, const std::string& title,
               const std::vector<Found>& found, Measure measure,
               const char* base) {
  std::vector<std::string> columns{"way"};
  for (const Found& at : found) columns.emplace_back(at.shape->name);
  report.table(title, columns);
  for (std::size_t i = 0; i < found.front().names.size(); i++) {
    std::vector<std::string> cells{found.front().names[i]};
    for (const Found& at : found) {
      const double value = measure(at.series[i]);
      cells.push_back(bench::number(value, 1) + " (" +
                      bench::number(value / measure(at.of(base))) + ")");
    }
    report.row(cells);
  }
}

double p50(const Turns& series) { return series.best_p50_us(); }
double p99(const Turns& series) { return bench::median(series.p99_us); }
double cpu(const Turns& series) { return series.best_cpu_us(); }

void add_targets(bench::Report& report, const std::string& pace_name,
                 const std::vector<Found>& found) {
  for (const Found& at : found) {
    const Turns& own = at.of(kShmDispatch);
    const std::string where = pace_name + ", " + at.shape->name + ": ";
    for (const char* floor : {kFloor, kThreadedFloor}) {
      report.at_most(where + "latency beside the " + floor,
                     p50(own) / p50(at.of(floor)), 1.5);
      report.at_most(where + "CPU beside the " + floor,
                     cpu(own) / cpu(at.of(floor)), 1.5);
    }
  }
  if (found.size() < 2) return;
  const Turns& smallest = found.front().of(kShmDispatch);
  const Turns& largest = found.back().of(kShmDispatch);
  report.at_most(pace_name + ": latency, largest beside smallest",
                 p50(largest) / p50(smallest), 1.15);
  report.at_most(pace_name + ": CPU, largest beside smallest",
                 cpu(largest) / cpu(smallest), 1.15);
}

void add_found(bench::Report& report, const std::string& what, Payload payload,
               const std::vector<Found>& found) {
  const bool is_touched = payload == Payload::kTouched;
  const char* base = is_touched ? "no hop" : kThreadedFloor;
  const std::string beside = std::string(" (beside '") + base + "')";
  add_table(report, what + ": latency p50 us, best turn" + beside, found, p50,
            base);
  add_table(report, what + ": latency p99 us, median turn" + beside, found, p99,
            base);
  add_table(report, what + ": CPU us per frame, best turn" + beside, found, cpu,
            base);
  for (const Found& at : found) {
    for (std::size_t i = 0; i < at.names.size(); i++) {
      const std::string name =
          what + ", " + at.shape->name + ", " + at.names[i] + ", ";
      report.samples(name + "p50 us", at.series[i].p50_us);
      report.samples(name + "p99 us", at.series[i].p99_us);
      report.samples(name + "CPU us", at.series[i].cpu_us);
    }
  }
  if (!is_touched) add_targets(report, what, found);
}

struct Lengths {
  gint flood_turns = 20;
  gint flood_frames = 200;
  gint paced_turns = 3;
  gint paced_frames = 30;
};

// All ways at one size.
struct AtSize {
  const FrameShape* shape;
  Ways ways;
  std::vector<Turns> flooded{};
  std::vector<Turns> paced{};

  Found found(const std::vector<Turns>& series) const {
    Found result{shape, {}, series};
    for (const auto& way : ways) result.names.push_back(way->name());
    return result;
  }
};

std::vector<AtSize> make_all(Payload payload, const std::string& only) {
  std::vector<AtSize> all;
  for (const FrameShape& shape : kShapes) {
    if (!only.empty() && only != shape.name) continue;
    all.push_back({&shape, make_ways(shape, payload)});
    all.back().flooded.resize(all.back().ways.size());
    for (const auto& way : all.back().ways)
      for (int i = 0; i < kWarmUpFrames; i++) way->send_one_us();
  }
  if (all.empty()) bench::fail("No such size: " + only);
  return all;
}

void measure(bench::Report& report, Payload payload, const Lengths& lengths,
             const std::string& only) {
  std::vector<AtSize> all = make_all(payload, only);
  for (int turn = 0; turn < lengths.flood_turns; turn++)
    for (AtSize& at : all)
      for (std::size_t i = 0; i < at.ways.size(); i++)
        bench::take_turn(*at.ways[i], lengths.flood_frames, at.flooded[i]);
  for (AtSize& at : all)
    at.paced = pace(at.ways, lengths.paced_turns, lengths.paced_frames);

  std::vector<Found> flooded;
  std::vector<Found> paced;
  for (const AtSize& at : all) {
    flooded.push_back(at.found(at.flooded));
    paced.push_back(at.found(at.paced));
  }
  const std::string what =
      payload == Payload::kTouched ? "read and written" : "untouched";
  add_found(report, what + ", flood", payload, flooded);
  add_found(report, what + ", 30 fps", payload, paced);
}

}  // namespace

int main(int argc, char** argv) {
  Lengths lengths;
  const gchar* json = nullptr;
  const gchar* partner = nullptr;
  const gchar* only = "";
  bench::CommandLine line(
      "There and back between processes, one frame in flight.");
  line.add("turns", &lengths.flood_turns,
           "Turns of each way, as fast as it goes");
  line.add("frames", &lengths.flood_frames, "Frames in one such turn");
  line.add("paced-turns", &lengths.paced_turns, "Turns of each way at 30 fps");
  line.add("paced-frames", &lengths.paced_frames, "Frames in one such turn");
  line.add("only", &only, "One frame size, such as 1920x1080");
  line.add("json", &json, "Write the figures to this file");
  line.add("partner", &partner, "Used by the program itself");
  line.parse(argc, argv);
  if (partner != nullptr) bench::run_as_partner(partner);

  bench::register_floor();
  bench::use_two_cpus();
  bench::Report report("processes");
  report.table("not measured", {"way", "reason"});
  if (!bench::exists("unixfdsink"))
    report.row({"unixfdsink, unixfdsrc", "GStreamer is older than 1.24"});
  else
    report.row({"unixfdsink, unixfdsrc, read and written",
                "takes only memory with a descriptor back"});
  measure(report, Payload::kUntouched, lengths, only);
  measure(report, Payload::kTouched, lengths, only);
  return report.finish(json);
}
