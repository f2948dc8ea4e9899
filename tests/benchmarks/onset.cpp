// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A load that comes all at once: how soon are there enough workers for it, and
// do they go again?
//
// A live stream whose frames cost 5 ms, then for four seconds 80 ms, which
// needs three workers where one was enough, then 5 ms again. The stage inverts
// the frame, so a probe sees which frames left with their full result. The time
// is from the arrival of the first dear frame to the departure of the first
// frame from which on the next second of frames leaves on time with full
// results.
//
// With --flap: a load that stays around the threshold between two sizes, chosen
// anew every second. How often does the size change?

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "bench.h"
#include "family.h"
#include "live_stream.h"
#include "pipeline.h"
#include "report.h"

namespace {

namespace test = dispatch::test;

constexpr int kFps = 30;
constexpr GstClockTime kBudget = 133 * GST_MSECOND;
constexpr GstClockTime kCost = 5 * GST_MSECOND;
constexpr GstClockTime kDearCost = 80 * GST_MSECOND;
constexpr GstClockTime kOnset = 100 * GST_MSECOND + kDearCost;
constexpr std::uint64_t kDearFrom = 90;
constexpr std::uint64_t kDearUntil = 210;
constexpr GstClockTime kLook = 4 * GST_MSECOND;
constexpr GstClockTime kShrinksWithin = 20 * GST_SECOND;

double ms(GstClockTimeDiff time) {
  return static_cast<double>(time) / static_cast<double>(GST_MSECOND);
}

std::string pool(const std::string& element, const std::string& stage) {
  return element + " name=x min-workers=1 max-workers=6 latency-budget=" +
         std::to_string(kBudget) + " stage=\"" + stage + "\"";
}

std::string dear_stage() {
  return "teststage burn=false writes=true cost=" + std::to_string(kCost) +
         " dear-cost=" + std::to_string(kDearCost) +
         " dear-from=" + std::to_string(kDearFrom) +
         " dear-until=" + std::to_string(kDearUntil);
}

// How many workers there are at a moment, and what all processes have resident.
struct Staff {
  guint active;
  guint parked;
  std::int64_t memory_bytes;
};

Staff staff(const bench::LiveStream& stream) {
  const bench::Stats stats(stream.element());
  std::int64_t bytes = 0;
  for (const pid_t process : test::family()) {
    if (const auto memory = test::memory_if_alive(process))
      bytes += memory->share_bytes;
  }
  return {stats.number("workers"), stats.number("parked-workers"), bytes};
}

// The sizes that the element had, one after the other.
class Course {
 public:
  explicit Course(const bench::LiveStream& stream) : stream_(stream) {}

  void look() {
    const bench::Stats stats(stream_.element());
    const guint workers = stats.number("workers");
    if (!sizes_.empty() && sizes_.back().workers == workers) return;
    sizes_.push_back(
        {stream_.running_time(), workers, stats.text("workers-because")});
  }
  // "3 at 71 ms (waiting)", from `from` on, times counted from there.
  std::string text(GstClockTime from) const {
    std::string text;
    for (const Size& size : sizes_) {
      if (size.since < from) continue;
      if (!text.empty()) text += ", ";
      text += std::to_string(size.workers) + " at " +
              bench::number(ms(GST_CLOCK_DIFF(from, size.since)), 0) + " ms (" +
              size.why + ")";
    }
    return text;
  }
  std::size_t changes() const { return sizes_.size() - 1; }
  guint now() const { return sizes_.back().workers; }
  guint most() const {
    guint most = 0;
    for (const Size& size : sizes_) most = std::max(most, size.workers);
    return most;
  }

 private:
  struct Size {
    GstClockTime since;
    guint workers;
    std::string why;
  };
  const bench::LiveStream& stream_;
  std::vector<Size> sizes_;
};

void run_until(bench::LiveStream& stream, Course& course, GstClockTime until) {
  while (stream.running_time() < until) {
    stream.run_for(kLook);
    course.look();
  }
}

// ---- Onset -----------------------------------------------------------------

struct Onset {
  std::optional<double> ms;   // none: never
  std::uint64_t without = 0;  // dear frames before it, not full or not on time
  std::uint64_t afterwards = 0;  // dear frames after it
};

Onset judge(const bench::LiveStream& stream) {
  std::vector<bench::Departure> dear = stream.departures();
  std::erase_if(dear, [](const bench::Departure& departure) {
    return departure.number < kDearFrom || departure.number >= kDearUntil;
  });
  Onset onset;
  std::size_t good = 0;  // full and on time, one after the other
  for (std::size_t i = 0; i < dear.size(); i++) {
    const bool is_good = dear[i].is_changed && !dear[i].is_late();
    good = is_good ? good + 1 : 0;
    if (!onset.ms && good == kFps)
      onset.ms =
          ms(GST_CLOCK_DIFF(stream.arrival(kDearFrom), dear[i + 1 - kFps].at));
    if (is_good) continue;
    (onset.ms ? onset.afterwards : onset.without)++;
  }
  return onset;
}

std::string mebibytes(std::int64_t bytes) {
  return bench::number(static_cast<double>(bytes) / (1024.0 * 1024.0), 1);
}

std::string staff_text(const Staff& staff) {
  return std::to_string(staff.active) + " + " + std::to_string(staff.parked) +
         ", " + mebibytes(staff.memory_bytes);
}

// How long after the load the element is back at one worker; none: it is not.
std::optional<double> shrink(bench::LiveStream& stream, Course& course) {
  const GstClockTime end = stream.arrival(kDearUntil);
  while (course.now() > 1) {
    stream.run_for(kLook);
    course.look();
    if (stream.running_time() > end + kShrinksWithin) return std::nullopt;
  }
  return ms(GST_CLOCK_DIFF(end, stream.running_time())) / 1000;
}

std::string or_never(const std::optional<double>& value, int digits) {
  return value ? bench::number(*value, digits) : "never";
}

void one_onset(bench::Report& report, const std::string& element,
               std::vector<double>& onsets_ms) {
  bench::LiveStream stream(
      {.middle = pool(element, dear_stage()), .budget = kBudget});
  Course course(stream);
  stream.start();
  run_until(stream, course, (kDearFrom - kFps / 2) * GST_SECOND / kFps);
  const Staff before = staff(stream);
  run_until(stream, course, (kDearUntil - kFps / 2) * GST_SECOND / kFps);
  const Staff during = staff(stream);
  run_until(stream, course, (kDearUntil + kFps / 2) * GST_SECOND / kFps);
  const std::optional<double> shrunk_s = shrink(stream, course);
  const Staff after = staff(stream);
  stream.finish();

  const Onset onset = judge(stream);
  report.row({element, or_never(onset.ms, 0), std::to_string(onset.without),
              std::to_string(onset.afterwards), staff_text(before),
              staff_text(during), staff_text(after), or_never(shrunk_s, 1),
              course.text(stream.arrival(kDearFrom))});
  onsets_ms.push_back(onset.ms.value_or(INFINITY));
  report.promise(element + ": every frame left once, in order",
                 stream.account().is_complete());
  report.promise(element + ": it is back at one worker", shrunk_s.has_value());
}

void onsets(bench::Report& report, const std::vector<std::string>& elements,
            int turns) {
  report.table(
      "30 fps, budget 133 ms, at least one worker, 5 ms become 80 ms; workers "
      "are active + parked, then MiB of all processes",
      {"element", "onset ms", "frames without, before", "and after", "before",
       "under load", "at the end", "back after s", "sizes since the onset"});
  for (const std::string& element : elements) {
    std::vector<double> onsets_ms;
    for (int i = 0; i < turns; i++) one_onset(report, element, onsets_ms);
    report.samples(element + " onset ms", onsets_ms);
    report.at_most(element + ": onset ms, median of the turns",
                   bench::median(onsets_ms), ms(kOnset));
  }
}

// ---- Flapping --------------------------------------------------------------

// 80 % of two workers are busy at 53.3 ms; a frame costs this much more or
// less.
constexpr double kThresholdMs = 0.8 * 2 * 1000 / kFps;
constexpr double kAroundMs = 8;

void set_cost(const bench::LiveStream& stream, double cost_ms) {
  gst_child_proxy_set(
      GST_CHILD_PROXY(stream.element()), "stage::load::cost",
      static_cast<guint64>(cost_ms * static_cast<double>(GST_MSECOND)),
      nullptr);
}

void flap(bench::Report& report, const std::string& element, int minutes) {
  bench::LiveStream stream(
      {.middle = pool(element,
                      "teststage name=load burn=false writes=true "
                      "cost=53000000"),
       .budget = kBudget});
  Course course(stream);
  stream.start();
  std::minstd_rand random(1);
  std::uniform_real_distribution<double> around(-kAroundMs, kAroundMs);
  std::uint64_t crossings = 0;
  bool was_above = false;
  for (int second = 0; second < minutes * 60; second++) {
    const double off_ms = around(random);
    if (second > 0 && was_above != (off_ms > 0)) crossings++;
    was_above = off_ms > 0;
    set_cost(stream, kThresholdMs + off_ms);
    run_until(stream, course,
              (static_cast<GstClockTime>(second) + 1) * GST_SECOND);
  }
  stream.finish();
  const bench::Account account = stream.account();
  report.row({element, std::to_string(minutes), std::to_string(crossings),
              std::to_string(course.changes()), std::to_string(course.most()),
              bench::number(account.late_percent()),
              bench::number(bench::applied_percent(stream))});
  report.promise(element + ", flap: every frame left once, in order",
                 account.is_complete());
  report.at_most(element + ": changes of size, of the changes of the load",
                 static_cast<double>(course.changes()) /
                     static_cast<double>(std::max<std::uint64_t>(crossings, 1)),
                 0.2);
}

}  // namespace

int main(int argc, char** argv) {
  gint turns = 3;
  gint flap_minutes = 1;
  const gchar* element = nullptr;
  const gchar* json = nullptr;
  bench::CommandLine line("A load that comes at once, and goes.");
  line.add("turns", &turns, "How often the load comes, each in a new stream");
  line.add("flap", &flap_minutes, "Minutes of load around a threshold");
  line.add("element", &element, "Measure this one only");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);

  bench::Report report("onset");
  const std::vector<std::string> elements = bench::chosen_elements(element);
  if (turns > 0) onsets(report, elements, turns);
  if (flap_minutes > 0) {
    report.table(
        "a load that changes every second around what needs a third worker",
        {"element", "minutes", "times over the threshold, either way",
         "changes of size", "most workers", "late %", "applied %"});
    for (const std::string& name : elements) flap(report, name, flap_minutes);
  }
  return report.finish(json);
}
