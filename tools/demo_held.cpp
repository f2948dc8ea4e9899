// SPDX-License-Identifier: LGPL-2.1-or-later
#include "demo_held.h"

#include <stdio.h>

#include <algorithm>
#include <thread>

#include "demo_live.h"

namespace dispatch::demo {

namespace {

using std::chrono::milliseconds;

// A prime number, so that the stalls fall anywhere in a second.
constexpr std::size_t kStallEvery = 97;
constexpr std::size_t kStalls = (kFrames - 1) / kStallEvery;
constexpr std::chrono::seconds kStall{1};

constexpr Nanos kBudget = milliseconds(100);
// Both pipelines are running when the first frame is due.
constexpr Nanos kLeadTime = milliseconds(500);
// Without the end of the stream so long after the last frame, something hangs.
constexpr Nanos kPatience = std::chrono::seconds(15);

// Grey and a little brighter: no frame is equal to its original.
constexpr char kStage[] =
    "identity name=stall ! videobalance saturation=0 brightness=0.1";
// A screen that shows every frame, late ones too, and asks for no more latency
// than the pipeline has.
constexpr char kScreen[] =
    "queue ! fakesink name=screen sync=true qos=false processing-deadline=0 "
    "signal-handoffs=true";

double to_seconds(Nanos time) {
  return std::chrono::duration<double>(time).count();
}

// What goes wrong in the stage now and then.
void on_stage_frame(GstElement*, GstBuffer* frame, gpointer) noexcept {
  const auto number = number_of(frame);
  if (number > 0 && number % kStallEvery == 0) {
    std::this_thread::sleep_for(kStall);
  }
}

void make_stall(GstElement* bin) {
  Owned<GstElement> stall(gst_bin_get_by_name(GST_BIN(bin), "stall"));
  g_signal_connect(stall.get(), "handoff", G_CALLBACK(on_stage_frame), nullptr);
}

void on_stage_setup(GstElement*, GstElement* copy, guint, gpointer) noexcept {
  make_stall(copy);
}

std::string describe_pool() {
  return text(
      "workerpool name=pool max-workers=2 latency-budget=%" G_GUINT64_FORMAT
      " late-policy=bypass stage=\"%s\"",
      to_gst(kBudget), kStage);
}

// Everything that runs, in the order in which it has to go away.
struct Show {
  explicit Show(const Job& job)
      : originals(kFrames),
        plain(text("appsrc name=camera ! %s ! %s", kStage, kScreen), originals),
        pool(text("appsrc name=camera ! %s ! %s", describe_pool().c_str(),
                  kScreen),
             originals),
        feeder(job, &originals) {}

  bool is_made() const {
    return plain.is_made() && pool.is_made() && feeder.is_made();
  }

  Originals originals;
  Side plain;
  Side pool;
  Owned<GstElement> pool_element;
  Feeder feeder;
};

void start(Show* show) {
  make_stall(show->plain.pipeline().get());
  show->pool_element = get_element(show->pool.pipeline(), "pool");
  g_signal_connect(show->pool_element.get(), "stage-setup",
                   G_CALLBACK(on_stage_setup), nullptr);
  // Nothing in the plain pipeline asks for the latency that workerpool may use:
  // it gets the same by hand.
  show->plain.set_latency(kSourceLatency + kBudget);

  Owned<GstClock> clock(gst_system_clock_obtain());
  const auto base = gst_clock_get_time(clock.get()) + to_gst(kLeadTime);
  show->plain.start(base);
  show->pool.start(base);
  show->feeder.start(base, &show->plain, &show->pool);
}

std::string describe_moment(const Seen& plain, const Seen& pool, Nanos now) {
  const auto half = [](const Seen& seen) {
    return text("%9zu %6zu %8.1f s", seen.on_time, seen.late,
                to_seconds(seen.frozen));
  };
  return text("  %5.1f s %s  %s", to_seconds(now), half(plain).c_str(),
              half(pool).c_str());
}

std::string describe_hang(const Show& show) {
  return text(
      "the stream does not end; %zu (plain) and %zu (workerpool) of %zu "
      "frames were shown",
      show.plain.seen().shown(), show.pool.seen().shown(), kFrames);
}

void print_head() {
  printf("%9s %27s  %27s\n", "", "plain pipeline", "workerpool");
  printf("%9s %9s %6s %10s  %9s %6s %10s\n", "", "on time", "late", "frozen",
         "on time", "late", "frozen");
}

// Waits until both sides have ended. Returns the problem, empty if there was
// none.
std::string watch(const Show& show) {
  print_head();
  ProgressLine progress;
  const auto start = std::chrono::steady_clock::now();
  Report plain;
  Report pool;
  Report decoder;
  for (;;) {
    if (!plain.ended) plain = hear(show.plain.pipeline(), milliseconds(50));
    if (!pool.ended) pool = hear(show.pool.pipeline(), milliseconds(50));
    decoder = hear(show.feeder.decoder(), Nanos(0));
    const Nanos now = std::chrono::steady_clock::now() - start;
    progress.show(
        describe_moment(plain.ended ? show.plain.seen() : show.plain.seen_now(),
                        pool.ended ? show.pool.seen() : show.pool.seen_now(),
                        std::min(now, kLength)));
    auto problem = plain.problem + pool.problem + decoder.problem;
    const bool hangs = now > kLength + kPatience;
    const bool ended = plain.ended && pool.ended;
    if (!ended && problem.empty() && !hangs) continue;
    progress.finish();
    if (!problem.empty()) return problem;
    if (ended && show.feeder.fed() == kFrames) return {};
    if (ended) return "there is no video in it that can be read to its end";
    return describe_hang(show);
  }
}

void print_counts(const char* what, std::size_t plain, std::size_t pool) {
  printf("  %-26s %15zu %14zu\n", what, plain, pool);
}

void print_times(const char* what, Nanos plain, Nanos pool) {
  printf("  %-26s %13.2f s %12.2f s\n", what, to_seconds(plain),
         to_seconds(pool));
}

void print_result(const Seen& plain, const Seen& pool) {
  printf("\n  %-26s %15s %14s\n", "", "plain pipeline", "workerpool");
  print_counts("shown on time", plain.on_time, pool.on_time);
  print_counts("shown late", plain.late, pool.late);
  print_counts("not shown", kFrames - plain.shown(), kFrames - pool.shown());
  print_counts("with the full effect", plain.full_effect, pool.full_effect);
  print_counts("original shown instead", plain.originals, pool.originals);
  print_times("picture frozen", plain.frozen, pool.frozen);
  print_times("longest freeze", plain.longest_freeze, pool.longest_freeze);
  printf(
      "\nHeld: the stage stalled %zu times for a second. The plain pipeline "
      "stood still\n"
      "for %.1f s and showed %zu of %zu frames on time; workerpool stood "
      "still for\n"
      "%.1f s and showed %zu of %zu on time, %zu of them without the effect.\n",
      kStalls, to_seconds(plain.frozen), plain.on_time, kFrames,
      to_seconds(pool.frozen), pool.on_time, kFrames, pool.originals);
}

// Whether workerpool's own account is what was seen on the screen.
bool check_account(const Show& show, const Seen& seen) {
  GstStructure* stats = nullptr;
  g_object_get(show.pool_element.get(), "stats", &stats, nullptr);
  const Owned<GstStructure> owned(stats);
  const auto read = [stats](const char* field) {
    guint64 value = 0;
    gst_structure_get_uint64(stats, field, &value);
    return value;
  };
  if (read("frames-in") == kFrames && read("applied") == seen.full_effect &&
      read("bypassed") == seen.originals) {
    return true;
  }
  g_autofree gchar* account = gst_structure_to_string(stats);
  report_problem(
      text("workerpool's account is not what was seen:\n  %s", account));
  return false;
}

bool check_held(const Show& show) {
  const auto seen = show.pool.seen();
  if (seen.shown() != kFrames || seen.out_of_order > 0) {
    report_problem(text("workerpool lost %zu frames and put %zu out of order",
                        kFrames - seen.shown(), seen.out_of_order));
    return false;
  }
  if (show.plain.latency() != show.pool.latency()) {
    report_problem(
        text("the comparison is not fair: the plain pipeline may "
             "use %.0f ms, workerpool's %.0f ms",
             to_seconds(show.plain.latency()) * 1e3,
             to_seconds(show.pool.latency()) * 1e3));
    return false;
  }
  return check_account(show, seen);
}

}  // namespace

bool run_held(const Job& job) {
  Show show(job);
  if (!show.is_made()) return false;
  printf(
      "Held: a live video, %zu frames per second; on every %zuth frame the "
      "stage\n"
      "stalls for a second. Both pipelines run at the same time, %.0f ms after "
      "the\n"
      "source. A frame that is shown more than %.0f ms after that is late.\n\n"
      "  plain       ... ! STAGE ! ...\n"
      "  workerpool  ... ! workerpool latency-budget=%" G_GUINT64_FORMAT
      " stage=\"STAGE\" ! ...\n"
      "  with STAGE  %s\n\n",
      kFrameRate, kStallEvery, to_seconds(kSourceLatency + kBudget) * 1e3,
      to_seconds(kTolerance) * 1e3, to_gst(kBudget), kStage);
  start(&show);
  const auto problem = watch(show);
  if (!problem.empty()) {
    report_problem(text("%s: %s", job.video.c_str(), problem.c_str()));
    return false;
  }
  print_result(show.plain.seen(), show.pool.seen());
  if (show.feeder.overslept() > 0) {
    printf("(The machine was busy: %zu frames came late out of the source.)\n",
           show.feeder.overslept());
  }
  return check_held(show);
}

}  // namespace dispatch::demo
