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

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <glib/gstdio.h>

#include "arrival.h"
#include "bench.h"
#include "family.h"
#include "floor.h"
#include "offered_frames.h"
#include "partner.h"
#include "pipeline.h"
#include "report.h"

namespace {

using bench::FrameShape;

constexpr FrameShape kShapes[] = {{"320x240", 320, 240},
                                  {"640x480", 640, 480},
                                  {"1280x720", 1280, 720},
                                  {"1920x1080", 1920, 1080},
                                  {"3840x2160", 3840, 2160}};
constexpr auto kPace = std::chrono::nanoseconds(1'000'000'000 / 30);

constexpr int kWarmUpFrames = 10;

constexpr const char* kSink =
    " ! fakesink name=sink sync=false async=false enable-last-sample=false";

enum class Payload { kUntouched, kTouched };

struct Recipe {
  const char* name;
  // A description with an element x that is fed and, unless there are others,
  // the sink. STAGE and CAPS stand for what they say, THERE and BACK for paths
  // of sockets, ROOM for bytes of shared memory.
  std::string front;
  std::string partner{};  // in another process
  std::string back{};
};

constexpr const char* kFloor = "floor";
constexpr const char* kThreadedFloor = "floor with an output thread";
constexpr const char* kShmDispatch = "shmdispatch";

std::string shmdispatch(const std::string& properties) {
  return "shmdispatch name=x max-workers=1 stage=\"STAGE\" " + properties +
         kSink;
}

std::vector<Recipe> recipes(Payload payload) {
  std::vector<Recipe> all = {
      {"no hop", std::string("STAGE name=x") + kSink},
      {"two queues", std::string("queue name=x ! STAGE ! queue") + kSink},
      {"workerpool",
       std::string("workerpool name=x max-workers=1 stage=\"STAGE\"") + kSink},
      {"shmsink, shmsrc",
       "shmsink name=x socket-path=THERE shm-size=ROOM sync=false async=false",
       "shmsrc socket-path=THERE ! CAPS ! STAGE ! shmsink socket-path=BACK "
       "shm-size=ROOM sync=false async=false",
       std::string("shmsrc socket-path=BACK ! CAPS") + kSink},
      {"unixfdsink, unixfdsrc",
       "unixfdsink name=x socket-path=THERE sync=false async=false",
       "unixfdsrc socket-path=THERE ! STAGE ! unixfdsink socket-path=BACK "
       "sync=false async=false",
       std::string("unixfdsrc socket-path=BACK") + kSink},
      {kShmDispatch, shmdispatch("")},
  };
  if (payload == Payload::kTouched) {
    all.push_back({"shmdispatch in place", shmdispatch("allow-in-place=true")});
    return all;
  }
  all.push_back({"shmdispatch spin=20 us", shmdispatch("spin=20000")});
  all.push_back({"shmdispatch spin=50 us", shmdispatch("spin=50000")});
  all.push_back({"shmdispatch spin=100 us", shmdispatch("spin=100000")});
  all.push_back({kFloor, std::string("benchfloor name=x") + kSink});
  all.push_back(
      {kThreadedFloor, std::string("benchfloor name=x threaded=true") + kSink});
  return all;
}

std::string replaced(std::string text, const std::string& word,
                     const std::string& by) {
  for (auto at = text.find(word); at != std::string::npos;
       at = text.find(word, at + by.size()))
    text.replace(at, word.size(), by);
  return text;
}

// A directory for sockets, which goes with its owner.
class SocketDirectory {
 public:
  SocketDirectory() {
    g_autoptr(GError) error = nullptr;
    path_ = g_dir_make_tmp("bench-XXXXXX", &error);
    if (path_ == nullptr) bench::fail(error->message);
  }
  ~SocketDirectory() {
    for (const std::string& name : {there(), back()}) g_remove(name.c_str());
    g_rmdir(path_);
    g_free(path_);
  }
  SocketDirectory(const SocketDirectory&) = delete;
  SocketDirectory& operator=(const SocketDirectory&) = delete;

  std::string there() const { return std::string(path_) + "/there"; }
  std::string back() const { return std::string(path_) + "/back"; }

 private:
  gchar* path_;  // owned
};

// The turns of one way.
struct Series {
  std::vector<double> p50_us;  // of each turn
  std::vector<double> p99_us;
  std::vector<double> cpu_us;  // per frame, of all processes
};

// One way there and back, at one frame size.
class Way {
 public:
  Way(const Recipe& recipe, const FrameShape& shape, Payload payload)
      : name_(recipe.name), payload_(payload), shape_(shape) {
    const std::vector<pid_t> others = dispatch::test::family();
    front_ = make_pipeline(recipe.front);
    front_->start();
    if (!recipe.partner.empty()) {
      partner_ = std::make_unique<bench::Partner>(
          std::vector<std::string>{"--partner", filled_in(recipe.partner)});
      back_ = make_pipeline(recipe.back);
      back_->start();
    }
    processes_ = dispatch::test::added(dispatch::test::family(), others);
    processes_.push_back(getpid());
    const auto look = payload == Payload::kTouched
                          ? bench::Arrival::Look::kAtAllBytes
                          : bench::Arrival::Look::kAway;
    arrival_ = std::make_unique<bench::Arrival>(
        (back_ ? back_ : front_)->pad("sink", "sink"), look);
    feeder_ = std::make_unique<bench::Feeder>(front_->pad("x", "sink"),
                                              shape.caps().c_str());
    frames_ = std::make_unique<bench::OfferedFrames>(*feeder_, shape);
  }

  const std::string& name() const { return name_; }

  // From the push to the arrival.
  double send_one_us() {
    GstBuffer* frame = frames_->take();
    if (payload_ == Payload::kTouched) bench::fill(frame, ++last_value_);
    const std::int64_t begin_ns = bench::monotonic_ns();
    feeder_->push(frame);
    return static_cast<double>(arrival_->wait() - begin_ns) * 1e-3;
  }

  std::int64_t cpu_ns() const { return dispatch::test::cpu_ns(processes_); }

 private:
  std::string filled_in(std::string text) const {
    text = replaced(
        text, "STAGE",
        payload_ == Payload::kTouched ? "teststage writes=true" : "identity");
    text = replaced(text, "CAPS", shape_.caps());
    text = replaced(text, "THERE", sockets_.there());
    text = replaced(text, "BACK", sockets_.back());
    return replaced(text, "ROOM", std::to_string(shape_.bytes() * 8));
  }

  std::unique_ptr<bench::Pipeline> make_pipeline(const std::string& text) {
    return std::make_unique<bench::Pipeline>(filled_in(text));
  }

  const std::string name_;
  const Payload payload_;
  const FrameShape& shape_;
  SocketDirectory sockets_;
  guint8 last_value_ = 0;
  std::unique_ptr<bench::Pipeline> front_;
  std::unique_ptr<bench::Partner> partner_;
  std::unique_ptr<bench::Pipeline> back_;  // null: the front has the sink
  std::vector<pid_t> processes_;
  std::unique_ptr<bench::Arrival> arrival_;
  std::unique_ptr<bench::Feeder> feeder_;
  std::unique_ptr<bench::OfferedFrames> frames_;
};

std::vector<std::unique_ptr<Way>> make_ways(const FrameShape& shape,
                                            Payload payload) {
  std::vector<std::unique_ptr<Way>> ways;
  for (const Recipe& recipe : recipes(payload)) {
    if (recipe.front.starts_with("unixfdsink") && !bench::exists("unixfdsink"))
      continue;
    ways.push_back(std::make_unique<Way>(recipe, shape, payload));
  }
  return ways;
}

void flood_turn(Way& way, int frames, Series& series) {
  std::vector<double> latency_us;
  const std::int64_t begin_cpu_ns = way.cpu_ns();
  for (int i = 0; i < frames; i++) latency_us.push_back(way.send_one_us());
  const auto cpu_ns = static_cast<double>(way.cpu_ns() - begin_cpu_ns);
  series.p50_us.push_back(bench::percentile(latency_us, 50));
  series.p99_us.push_back(bench::percentile(latency_us, 99));
  series.cpu_us.push_back(cpu_ns * 1e-3 / frames);
}

// The frames of one way are a thirtieth of a second apart; the others have
// their turns in between.
std::vector<Series> pace(std::vector<std::unique_ptr<Way>>& ways, int turns,
                         int frames) {
  std::vector<Series> all(ways.size());
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
      all[i].p50_us.push_back(bench::percentile(latency_us[i], 50));
      all[i].p99_us.push_back(bench::percentile(latency_us[i], 99));
      all[i].cpu_us.push_back(static_cast<double>(cpu_ns[i]) * 1e-3 / frames);
    }
  }
  return all;
}

double least(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

// What was found of all ways at one size; the best turns.
struct Found {
  const FrameShape* shape;
  std::vector<std::string> names;
  std::vector<Series> series;

  const Series& of(const std::string& name) const {
    const auto place = std::find(names.begin(), names.end(), name);
    if (place == names.end()) bench::fail("There is no way called " + name);
    return series[static_cast<std::size_t>(place - names.begin())];
  }
};

using Measure = double (*)(const Series&);

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

double p50(const Series& series) { return least(series.p50_us); }
double p99(const Series& series) { return bench::median(series.p99_us); }
double cpu(const Series& series) { return least(series.cpu_us); }

void add_targets(bench::Report& report, const std::string& pace_name,
                 const std::vector<Found>& found) {
  for (const Found& at : found) {
    const Series& own = at.of(kShmDispatch);
    const std::string where = pace_name + ", " + at.shape->name + ": ";
    for (const char* floor : {kFloor, kThreadedFloor}) {
      report.at_most(where + "latency beside the " + floor,
                     p50(own) / p50(at.of(floor)), 1.5);
      report.at_most(where + "CPU beside the " + floor,
                     cpu(own) / cpu(at.of(floor)), 1.5);
    }
  }
  if (found.size() < 2) return;
  const Series& smallest = found.front().of(kShmDispatch);
  const Series& largest = found.back().of(kShmDispatch);
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
  std::vector<std::unique_ptr<Way>> ways;
  std::vector<Series> flooded{};
  std::vector<Series> paced{};

  Found found(const std::vector<Series>& series) const {
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
        flood_turn(*at.ways[i], lengths.flood_frames, at.flooded[i]);
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
  if (partner != nullptr) return bench::run_as_partner(partner);

  bench::register_floor();
  bench::use_two_cpus();
  bench::Report report("processes");
  measure(report, Payload::kUntouched, lengths, only);
  measure(report, Payload::kTouched, lengths, only);
  return report.finish(json);
}
