// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sixteen workers: do they do the work of sixteen?
//
// A stage that sleeps needs no CPU, so it shows what the element itself costs:
// small frames in a pipeline that is not live, beside one worker of the same
// element. Once with sixteen workers from the start, once with as many as the
// element comes to want. The whole stream has the start and the growing in it,
// its second half has not.

#include <cmath>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "bench.h"
#include "pipeline.h"
#include "report.h"

namespace {

constexpr guint kWorkers = 16;
constexpr const char* kStage = "teststage burn=false cost=50000000";

struct Rates {
  double whole_fps;
  double second_half_fps;
  double grown_after_s;  // NaN: the size was never sixteen
  guint workers;         // at the end
  std::string why;
};

// The times at which frames leave.
class Departures {
 public:
  explicit Departures(GstPad* pad) {
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_buffer, this, nullptr);
  }
  Departures(const Departures&) = delete;
  Departures& operator=(const Departures&) = delete;

  std::vector<std::int64_t> times_ns() const {
    const std::lock_guard lock(mutex_);
    return times_ns_;
  }

 private:
  static GstPadProbeReturn on_buffer(GstPad*, GstPadProbeInfo*,
                                     gpointer self_pointer) {
    auto* self = static_cast<Departures*>(self_pointer);
    const std::lock_guard lock(self->mutex_);
    self->times_ns_.push_back(bench::monotonic_ns());
    return GST_PAD_PROBE_OK;
  }

  mutable std::mutex mutex_;
  std::vector<std::int64_t> times_ns_;
};

double per_second(std::size_t frames, std::int64_t time_ns) {
  return static_cast<double>(frames) * 1e9 / static_cast<double>(time_ns);
}

// Until the end of the stream; returns after how long all workers worked.
double watch(const bench::Pipeline& pipeline, std::int64_t begin_ns) {
  g_autoptr(GstBus) bus = gst_element_get_bus(pipeline.get());
  double grown_after_s = std::nan("");
  while (true) {
    g_autoptr(GstMessage) message = gst_bus_timed_pop_filtered(
        bus, 10 * GST_MSECOND,
        static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
    if (message != nullptr && GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS)
      return grown_after_s;
    if (message != nullptr) bench::fail("The stage failed.");
    const bench::Stats stats(pipeline.element("x"));
    if (std::isnan(grown_after_s) && stats.number("workers") == kWorkers)
      grown_after_s =
          static_cast<double>(bench::monotonic_ns() - begin_ns) / 1e9;
  }
}

Rates measure(const std::string& element, const std::string& properties,
              int frames) {
  bench::Pipeline pipeline(
      "videotestsrc pattern=black num-buffers=" + std::to_string(frames) +
      " ! video/x-raw,format=GRAY8,width=64,height=48 ! " + element +
      " name=x stage=\"" + kStage + "\" " + properties +
      " ! fakesink sync=false async=false enable-last-sample=false");
  const Departures departures(pipeline.pad("x", "src"));
  const std::int64_t begin_ns = bench::monotonic_ns();
  pipeline.start();
  const double grown_after_s = watch(pipeline, begin_ns);
  const std::vector<std::int64_t> times_ns = departures.times_ns();
  if (times_ns.size() != static_cast<std::size_t>(frames))
    bench::fail("Frames got lost.");
  const bench::Stats stats(pipeline.element("x"));
  // The last one of the first half: results leave sixteen at a time.
  const std::size_t half = times_ns.size() / 2 - 1;
  return {.whole_fps = per_second(times_ns.size(), times_ns.back() - begin_ns),
          .second_half_fps = per_second(times_ns.size() - 1 - half,
                                        times_ns.back() - times_ns[half]),
          .grown_after_s = grown_after_s,
          .workers = stats.number("workers"),
          .why = stats.text("workers-because")};
}

void add(bench::Report& report, const std::string& name, const Rates& rates,
         const Rates& one) {
  const double whole = rates.whole_fps / one.second_half_fps;
  const double second_half = rates.second_half_fps / one.second_half_fps;
  report.row({name, bench::number(whole), bench::number(second_half),
              bench::number(rates.grown_after_s), std::to_string(rates.workers),
              rates.why});
  report.figure(name + ", whole stream", whole);
  report.figure(name + ", second half", second_half);
  report.at_least(name + ": throughput of the second half beside one worker",
                  second_half, 15);
}

}  // namespace

int main(int argc, char** argv) {
  gint frames = 3200;
  const gchar* element = nullptr;
  const gchar* json = nullptr;
  bench::CommandLine line("Sixteen workers beside one.");
  line.add("frames", &frames, "Frames for sixteen workers");
  line.add("element", &element, "Measure this one only");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);

  bench::Report report("scale");
  report.table("a stage that sleeps 50 ms, beside one worker",
               {"element", "whole stream", "second half", "all work after s",
                "workers", "why"});
  const std::string up_to = "max-workers=" + std::to_string(kWorkers);
  const std::string always = up_to + " min-workers=" + std::to_string(kWorkers);
  for (const std::string& name : bench::chosen_elements(element)) {
    const Rates one = measure(name, "max-workers=1", frames / 64);
    add(report, name + ", sixteen from the start",
        measure(name, always, frames), one);
    add(report, name + ", as many as it wants, up to sixteen",
        measure(name, up_to, frames), one);
  }
  return report.finish(json);
}
