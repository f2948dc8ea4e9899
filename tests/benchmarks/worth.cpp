// SPDX-License-Identifier: LGPL-2.1-or-later
//
// When is skipping one memcpy worth it? What a frame costs on its way through
// some stages in a row, against its size and their number: in threads, in
// processes without a copy, in processes with one copy for each stage, and in
// processes with a pipe between them.
//
// The source writes all bytes of a frame, the sink reads them, and the stages
// leave them alone: beside the same without a hop, what is more is the cost of
// handing over. One frame is in flight. The ways take turns, everything is done
// again in several rounds with new processes, and the best turn of each counts.
//
// plot.py makes pictures of the JSON.

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "bench.h"
#include "offered_frames.h"
#include "partner.h"
#include "passage.h"
#include "report.h"

namespace {

using bench::FrameShape;
using bench::Turns;

// Two below VGA, to see where a copy is cheap.
constexpr FrameShape kShapes[] = {
    {"160x120", 160, 120},     {"320x240", 320, 240},
    {"640x480", 640, 480},     {"1280x720", 1280, 720},
    {"1920x1080", 1920, 1080}, {"3840x2160", 3840, 2160}};
constexpr int kStages[] = {1, 2, 4, 8};
constexpr int kWarmUpFrames = 10;

constexpr const char* kNoHop = "no hop";
constexpr const char* kThreads = "threads";
constexpr const char* kNoCopy = "processes, no copy";
constexpr const char* kOneCopy = "processes, a copy per stage";
constexpr const char* kPipe = "processes, pipes";

struct Way {
  bench::Recipe recipe;
  bool is_offered;
};

// Memory that no other process can reach is brought into shared memory by each
// element; what leaves one unchanged is the original again.
std::vector<Way> ways(const FrameShape& shape, int stages) {
  bench::Recipe pipes = bench::through_pipes(shape, stages);
  pipes.name = kPipe;
  return {{{kNoHop, std::string("identity name=x") + bench::kSink}, true},
          {bench::through_elements(kThreads, "workerpool", stages), true},
          {bench::through_elements(kNoCopy, "shmdispatch", stages), true},
          {bench::through_elements(kOneCopy, "shmdispatch", stages), false},
          {pipes, true}};
}

// At one size, through one number of stages.
struct Point {
  std::string name;
  const FrameShape* shape;
  int stages;
  std::vector<std::string> ways{};
  std::vector<Turns> turns{};

  const Turns& of(const std::string& way) const {
    const auto place = std::find(ways.begin(), ways.end(), way);
    return turns.at(static_cast<std::size_t>(place - ways.begin()));
  }
  double cpu_us(const std::string& way) const { return of(way).best_cpu_us(); }
  double latency_us(const std::string& way) const {
    return of(way).best_p50_us();
  }
};

void measure(Point& point, int turns, int frames) {
  std::vector<std::unique_ptr<bench::Passage>> passages;
  point.ways.clear();
  for (const Way& way : ways(*point.shape, point.stages)) {
    passages.push_back(std::make_unique<bench::Passage>(
        way.recipe, *point.shape,
        bench::Handling{
            .fills = true, .reads = true, .is_offered = way.is_offered}));
    point.ways.push_back(way.recipe.name);
    for (int i = 0; i < kWarmUpFrames; i++) passages.back()->send_one_us();
  }
  point.turns.resize(passages.size());
  for (int turn = 0; turn < turns; turn++)
    for (std::size_t i = 0; i < passages.size(); i++)
      bench::take_turn(*passages[i], frames, point.turns[i]);
}

std::vector<Point> all_points() {
  std::vector<Point> points;
  for (const FrameShape& shape : kShapes)
    for (const int stages : kStages)
      points.push_back({std::string(shape.name) + ", " +
                            std::to_string(stages) +
                            (stages == 1 ? " stage" : " stages"),
                        &shape, stages});
  return points;
}

constexpr const char* kWays[] = {kNoHop, kThreads, kNoCopy, kOneCopy, kPipe};

using Cost = double (Point::*)(const std::string& way) const;

void add_table(bench::Report& report, const std::string& title, Cost cost,
               const std::vector<Point>& points) {
  std::vector<std::string> columns{"frame, stages"};
  columns.insert(columns.end(), std::begin(kWays), std::end(kWays));
  for (const char* way : {kThreads, kOneCopy, kPipe})
    columns.push_back(std::string(way) + " / no copy");
  report.table(title, columns);
  for (const Point& point : points) {
    std::vector<std::string> cells{point.name};
    for (const char* way : kWays)
      cells.push_back(bench::number((point.*cost)(way), 0));
    for (const char* way : {kThreads, kOneCopy, kPipe})
      cells.push_back(
          bench::number((point.*cost)(way) / (point.*cost)(kNoCopy)));
    report.row(cells);
  }
}

void add_figures(bench::Report& report, const Point& point) {
  for (const char* way : kWays) {
    const std::string name = point.name + ", " + way;
    report.figure(name + ": CPU us", point.cpu_us(way));
    report.figure(name + ": latency us", point.latency_us(way));
  }
}

}  // namespace

int main(int argc, char** argv) {
  gint rounds = 3;
  gint turns = 4;
  gint frames = 20;
  const gchar* json = nullptr;
  const gchar* partner = nullptr;
  bench::CommandLine line("When is skipping one memcpy worth it?");
  line.add("rounds", &rounds, "How often everything is done");
  line.add("turns", &turns, "Turns of each way in a round");
  line.add("frames", &frames, "Frames in one turn");
  line.add("json", &json, "Write the figures to this file");
  line.add("partner", &partner, "Used by the program itself");
  line.parse(argc, argv);
  if (partner != nullptr) bench::run_as_partner(partner);

  bench::use_two_cpus();
  bench::Report report("worth");
  std::vector<Point> points = all_points();
  for (gint round = 0; round < rounds; round++)
    for (Point& point : points) measure(point, turns, frames);
  for (const Point& point : points) add_figures(report, point);
  add_table(report, "CPU us per frame, of all processes", &Point::cpu_us,
            points);
  add_table(report, "latency us", &Point::latency_us, points);
  return report.finish(json);
}
