// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the element is for: a live stream through a stage that now and then
// stalls for much longer than the budget. Who leaves on time?
//
// For every seed, which chooses the frames that stall, one pipeline with
// workerpool and one without run side by side, all at the same time: the load
// of the stages is a sleep, so they do not take CPU from each other. A frame
// is late when it leaves more than 2 ms after its running time plus the
// latency upstream plus the budget, seen by a probe behind the stage. The
// frames of one stream are told apart and put in order by their timestamps.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench.h"
#include "pipeline.h"
#include "report.h"

namespace {

constexpr GstClockTime kBudget = 66 * GST_MSECOND;
constexpr GstClockTimeDiff kLate = 2 * GST_MSECOND;
constexpr const char* kStage =
    "teststage burn=false cost=15000000 stall=400000000 stall-percent=1 seed=";

// What leaves the stage of one pipeline. Written by its streaming thread, read
// once the stream is over.
struct Departures {
  guint64 count = 0;
  guint64 late = 0;
  guint64 out_of_order = 0;
  GstClockTimeDiff worst_ns = G_MININT64;
  GstClockTime longest_gap_ns = 0;
  GstClockTime last_pts = GST_CLOCK_TIME_NONE;
  GstClockTime last_departure = GST_CLOCK_TIME_NONE;
};

class Stream {
 public:
  Stream(const std::string& middle, int frames)
      : pipeline_("videotestsrc is-live=true pattern=black num-buffers=" +
                  std::to_string(frames) +
                  " ! video/x-raw,format=GRAY8,width=320,height=240,"
                  "framerate=30/1 ! " +
                  middle + " ! fakesink sync=true enable-last-sample=false") {
    gst_pad_add_probe(pipeline_.pad("x", "src"), GST_PAD_PROBE_TYPE_BUFFER,
                      on_departure, this, nullptr);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  bench::Pipeline& pipeline() { return pipeline_; }
  const Departures& departures() const { return departures_; }

 private:
  static GstPadProbeReturn on_departure(GstPad*, GstPadProbeInfo* info,
                                        gpointer self_pointer) {
    static_cast<Stream*>(self_pointer)->note(GST_PAD_PROBE_INFO_BUFFER(info));
    return GST_PAD_PROBE_OK;
  }

  void note(GstBuffer* frame) {
    // The timestamps of this source are running times.
    const GstClockTime pts = GST_BUFFER_PTS(frame);
    const GstClockTime now =
        gst_element_get_current_running_time(pipeline_.get());
    if (departures_.count == 0) upstream_ = upstream_latency();
    const auto behind = GST_CLOCK_DIFF(pts + upstream_ + kBudget, now);
    Departures& d = departures_;
    d.count++;
    if (behind > kLate) d.late++;
    d.worst_ns = std::max(d.worst_ns, behind);
    if (d.count > 1) {
      if (pts <= d.last_pts) d.out_of_order++;
      d.longest_gap_ns = std::max(d.longest_gap_ns, now - d.last_departure);
    }
    d.last_pts = pts;
    d.last_departure = now;
  }

  GstClockTime upstream_latency() {
    g_autoptr(GstQuery) query = gst_query_new_latency();
    GstClockTime minimum = 0;
    if (gst_pad_peer_query(pipeline_.pad("x", "sink"), query)) {
      gst_query_parse_latency(query, nullptr, &minimum, nullptr);
    }
    return minimum;
  }

  bench::Pipeline pipeline_;
  GstClockTime upstream_ = 0;
  Departures departures_;
};

guint64 stat(const GstStructure* stats, const char* name) {
  guint64 value = 0;
  if (!gst_structure_get_uint64(stats, name, &value)) {
    bench::fail(std::string("The stats have no ") + name);
  }
  return value;
}

double percent(guint64 part, guint64 whole) {
  return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

// The two pipelines of one seed.
struct Pair {
  Pair(int seed_number, int frame_count)
      : seed(seed_number),
        frames(static_cast<guint64>(frame_count)),
        plain(kStage + std::to_string(seed_number) + " name=x", frame_count),
        pool("workerpool name=x max-workers=2 latency-budget=" +
                 std::to_string(kBudget) + " stage=\"" + kStage +
                 std::to_string(seed_number) + "\"",
             frame_count) {}

  int seed;
  guint64 frames;
  Stream plain;
  Stream pool;
};

struct Shares {
  std::vector<double> late;
  std::vector<double> applied;
  std::vector<double> plain_late;
};

void add_row(bench::Report& report, const std::string& name,
             const Stream& stream, guint64 frames, double applied_percent) {
  const Departures& d = stream.departures();
  report.row({name, std::to_string(d.count),
              bench::number(percent(d.late, frames)),
              bench::number(applied_percent),
              bench::number(static_cast<double>(d.worst_ns) * 1e-6, 1),
              bench::number(static_cast<double>(d.longest_gap_ns) * 1e-6, 1)});
  report.promise(name + ": every frame left, in order",
                 d.count == frames && d.out_of_order == 0);
}

void add_pair(bench::Report& report, Pair& pair, Shares& shares) {
  const std::string seed = "seed " + std::to_string(pair.seed);
  guint64 stalls = 0;
  g_object_get(pair.plain.pipeline().element("x"), "stalls", &stalls, nullptr);
  const auto& plain = pair.plain.departures();
  shares.plain_late.push_back(percent(plain.late, pair.frames));
  add_row(report, seed + ", plain, " + std::to_string(stalls) + " stalls",
          pair.plain, pair.frames, 100);

  g_autoptr(GstStructure) stats = nullptr;
  g_object_get(pair.pool.pipeline().element("x"), "stats", &stats, nullptr);
  const guint64 applied = stat(stats, "applied");
  shares.late.push_back(percent(pair.pool.departures().late, pair.frames));
  shares.applied.push_back(percent(applied, pair.frames));
  add_row(report, seed + ", workerpool", pair.pool, pair.frames,
          shares.applied.back());
  report.promise(seed + ": the stats add up",
                 stat(stats, "frames-in") == pair.frames &&
                     applied + stat(stats, "bypassed") +
                             stat(stats, "repeated") + stat(stats, "dropped") +
                             stat(stats, "in-flight") ==
                         pair.frames);
}

}  // namespace

int main(int argc, char** argv) {
  gint frames = 900;
  gint seeds = 5;
  const gchar* json = nullptr;
  bench::CommandLine line(
      "A live stream through a stage that stalls, with and without "
      "workerpool.");
  line.add("frames", &frames, "Frames in each stream, 30 a second");
  line.add("seeds", &seeds, "How many choices of stalling frames");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);

  bench::Report report("live");
  std::vector<std::unique_ptr<Pair>> pairs;
  for (gint seed = 1; seed <= seeds; seed++) {
    pairs.push_back(std::make_unique<Pair>(seed, frames));
  }
  for (const auto& pair : pairs) {
    pair->plain.pipeline().set_state(GST_STATE_PLAYING);
    pair->pool.pipeline().set_state(GST_STATE_PLAYING);
  }
  for (const auto& pair : pairs) {
    pair->plain.pipeline().wait_for_eos();
    pair->pool.pipeline().wait_for_eos();
  }

  report.table(
      "30 fps, budget 66 ms, a stage of 15 ms that stalls 400 ms on "
      "1 % of the frames",
      {"stream", "frames", "late %", "applied %", "worst ms",
       "longest gap ms"});
  Shares shares;
  for (const auto& pair : pairs) add_pair(report, *pair, shares);
  report.samples("workerpool late %", shares.late);
  report.samples("workerpool applied %", shares.applied);
  report.samples("plain late %", shares.plain_late);
  report.at_most("late %, median of the seeds", bench::median(shares.late),
                 0.5);
  report.at_least("applied %, median of the seeds",
                  bench::median(shares.applied), 96);
  return report.finish(json);
}
