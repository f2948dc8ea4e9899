// SPDX-License-Identifier: LGPL-2.1-or-later
#include "demo_fast.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <limits>
#include <mutex>
#include <vector>

namespace dispatch::demo {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

constexpr char kStage[] = "videoconvert ! gaussianblur sigma=3 ! videoconvert";
// Encoding is not what is shown here: with this preset the blur is by far the
// main cost.
constexpr char kEncoder[] = "x264enc speed-preset=ultrafast";

// Both limits keep the demo short. The second one is for slow machines and
// large pictures; what the plain pipeline has done by then is the whole job.
constexpr std::size_t kMaxFrames = 500;
constexpr std::chrono::seconds kMaxPlainTime{28};
// Other programs disturb the figures if they use more of the cores than this
// while less than this is idle.
constexpr double kDisturbance = 0.1;
// Nothing moves for this long: something hangs.
constexpr std::chrono::seconds kPatience{60};

// One frame as it goes into the encoder.
struct Mark {
  GstClockTime pts = GST_CLOCK_TIME_NONE;
  std::optional<std::uint64_t> hash;

  bool operator==(const Mark&) const = default;
};

// Looks at what goes into the encoder. Thread-safe: the streaming thread adds,
// the main thread reads.
class Tap {
 public:
  void add(GstPad* pad, GstBuffer* frame) {
    const Mark mark{GST_BUFFER_PTS(frame), hash(pad, frame)};
    const std::lock_guard lock(mutex_);
    marks_.push_back(mark);
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return marks_.size();
  }
  std::vector<Mark> take() {
    const std::lock_guard lock(mutex_);
    return std::move(marks_);
  }

 private:
  static std::optional<std::uint64_t> hash(GstPad* pad, GstBuffer* frame) {
    Owned<GstCaps> caps(gst_pad_get_current_caps(pad));
    GstVideoInfo info;
    if (caps == nullptr || !gst_video_info_from_caps(&info, caps.get())) {
      return {};
    }
    return hash_picture(info, frame);
  }

  mutable std::mutex mutex_;
  std::vector<Mark> marks_;
};

// Ends the stream before the stage after so many frames or so much time.
// Streaming thread only.
class Limit {
 public:
  Limit(std::size_t frames, Clock::time_point end)
      : frames_(frames), end_(end) {}

  bool is_reached() {
    return count_ >= frames_ || (count_ > 0 && Clock::now() >= end_);
  }
  void count() { ++count_; }

 private:
  const std::size_t frames_;
  const Clock::time_point end_;
  std::size_t count_ = 0;
};

GstPadProbeReturn on_before_stage(GstPad* pad, GstPadProbeInfo*,
                                  gpointer limit_data) noexcept {
  auto* limit = static_cast<Limit*>(limit_data);
  if (!limit->is_reached()) {
    limit->count();
    return GST_PAD_PROBE_OK;
  }
  // From now on the pad answers EOS to what still comes.
  gst_pad_push_event(pad, gst_event_new_eos());
  return GST_PAD_PROBE_DROP;
}

GstPadProbeReturn on_before_encoder(GstPad* pad, GstPadProbeInfo* info,
                                    gpointer tap) noexcept {
  static_cast<Tap*>(tap)->add(pad, GST_PAD_PROBE_INFO_BUFFER(info));
  return GST_PAD_PROBE_OK;
}

void add_probe(const Pipeline& pipeline, const char* element,
               const char* pad_name, GstPadProbeCallback callback,
               gpointer data) {
  const auto owner = get_element(pipeline, element);
  Owned<GstPad> pad(gst_element_get_static_pad(owner.get(), pad_name));
  gst_pad_add_probe(pad.get(), GST_PAD_PROBE_TYPE_BUFFER, callback, data,
                    nullptr);
}

// CPU time so far; differences of two readings count.
struct CpuTime {
  Seconds own{};   // this process, all its threads
  Seconds all{};   // everything that runs on this machine, and what it does not
                   // get from its host
  Seconds idle{};  // all cores
};

Seconds own_cpu_time() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return Seconds(static_cast<double>(t.tv_sec) +
                   static_cast<double>(t.tv_usec) * 1e-6);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

CpuTime read_cpu_time() {
  const Seconds tick(1.0 / static_cast<double>(sysconf(_SC_CLK_TCK)));
  double user = 0;
  double nice = 0;
  double system = 0;
  double idle = 0;
  double io_wait = 0;
  double irq = 0;
  double soft_irq = 0;
  double steal = 0;
  std::ifstream stat("/proc/stat");
  stat.ignore(std::numeric_limits<std::streamsize>::max(), ' ');
  stat >> user >> nice >> system >> idle >> io_wait >> irq >> soft_irq >> steal;
  return {own_cpu_time(),
          (user + nice + system + irq + soft_irq + steal) * tick,
          (idle + io_wait) * tick};
}

CpuTime operator-(const CpuTime& a, const CpuTime& b) {
  return {a.own - b.own, a.all - b.all, a.idle - b.idle};
}

struct Result {
  std::vector<Mark> marks;
  Seconds wall{};
  CpuTime cpu;
  guint workers = 0;
  std::string mp4;
};

// The same format on both sides of the stage, so that both pipelines hand the
// encoder the same thing.
Pipeline make_transcoder(const Job& job, const std::string& stage,
                         const std::string& mp4) {
  auto pipeline = make_pipeline(text(
      "filesrc name=file ! decodebin ! videoconvert ! "
      "capsfilter name=before caps=video/x-raw,format=I420 ! %s ! "
      "video/x-raw,format=I420 ! %s name=encoder ! mp4mux ! filesink name=mp4",
      stage.c_str(), kEncoder));
  if (pipeline == nullptr) return nullptr;
  g_object_set(get_element(pipeline, "file").get(), "location",
               job.video.c_str(), nullptr);
  g_object_set(get_element(pipeline, "mp4").get(), "location", mp4.c_str(),
               nullptr);
  return pipeline;
}

// Waits for the end. Returns the problem, empty if there was none.
std::string watch(const Pipeline& pipeline, const char* name, const Tap& tap,
                  std::size_t frames) {
  ProgressLine progress;
  std::size_t last_count = 0;
  auto last_change = Clock::now();
  for (;;) {
    const auto report = hear(pipeline, std::chrono::milliseconds(200));
    const auto count = tap.count();
    progress.show(text("  %-10s  %zu of %zu frames", name, count, frames));
    if (count != last_count) last_change = Clock::now();
    last_count = count;
    const bool hangs = Clock::now() - last_change > kPatience;
    if (!report.ended && report.problem.empty() && !hangs) continue;
    progress.finish();
    if (report.ended) return {};
    if (!report.problem.empty()) return report.problem;
    return text("the %s pipeline hangs: no frame for %d s after frame %zu",
                name, static_cast<int>(kPatience.count()), count);
  }
}

guint read_workers(const Pipeline& pipeline) {
  Owned<GstElement> pool(gst_bin_get_by_name(GST_BIN(pipeline.get()), "pool"));
  if (pool == nullptr) return 0;
  GstStructure* stats = nullptr;
  g_object_get(pool.get(), "stats", &stats, nullptr);
  const Owned<GstStructure> owned(stats);
  guint workers = 0;
  gst_structure_get_uint(stats, "workers", &workers);
  return workers;
}

std::optional<Result> transcode(const Job& job, const char* name,
                                const std::string& stage, std::size_t frames,
                                Clock::time_point end) {
  g_autofree gchar* base = g_path_get_basename(job.video.c_str());
  Result result;
  result.mp4 = text("%s/%s.%s.mp4", job.output_dir.c_str(), base, name);
  Tap tap;
  const auto start = Clock::now();
  const auto cpu_before = read_cpu_time();
  Limit limit(frames, end);
  const auto pipeline = make_transcoder(job, stage, result.mp4);
  if (pipeline == nullptr) return {};
  add_probe(pipeline, "before", "src", on_before_stage, &limit);
  add_probe(pipeline, "encoder", "sink", on_before_encoder, &tap);
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  const auto problem = watch(pipeline, name, tap, frames);
  result.wall = Clock::now() - start;
  result.cpu = read_cpu_time() - cpu_before;
  result.workers = read_workers(pipeline);
  result.marks = tap.take();
  if (problem.empty()) return result;
  report_problem(text("%s: %s", job.video.c_str(), problem.c_str()));
  return {};
}

bool are_in_order(const std::vector<Mark>& marks) {
  return std::adjacent_find(marks.begin(), marks.end(),
                            [](const Mark& a, const Mark& b) {
                              return a.pts >= b.pts;
                            }) == marks.end();
}

// The first frame in which both differ, or nothing.
std::optional<std::size_t> find_difference(const std::vector<Mark>& a,
                                           const std::vector<Mark>& b) {
  const auto at = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (at.first == a.end() && at.second == b.end()) return {};
  return static_cast<std::size_t>(at.first - a.begin());
}

bool check_equality(const Result& plain, const Result& pool) {
  if (plain.marks.empty()) {
    report_problem("no frame came out of the video");
    return false;
  }
  if (!are_in_order(pool.marks)) {
    report_problem("workerpool's frames are not in order");
    return false;
  }
  const auto difference = find_difference(plain.marks, pool.marks);
  if (!difference) return true;
  report_problem(
      text("the pipelines differ from frame %zu on (%zu frames out "
           "of the plain pipeline, %zu out of workerpool)",
           *difference, plain.marks.size(), pool.marks.size()));
  return false;
}

double cores_used(const Result& result) { return result.cpu.own / result.wall; }

// Cores that other programs took from a run, 0 if they did not disturb it.
double cores_taken(const Result& result) {
  const double others = (result.cpu.all - result.cpu.own) / result.wall;
  const double idle = result.cpu.idle / result.wall;
  return others > kDisturbance && idle < kDisturbance ? others : 0;
}

void print_row(const char* name, const Result& result) {
  const auto frames = static_cast<double>(result.marks.size());
  printf("  %-12s %7.1f s %10.1f %12.2f   %s\n", name, result.wall.count(),
         frames / result.wall.count(), cores_used(result), result.mp4.c_str());
}

// What the speed-up may be at most, or why it means little here.
void print_bound(const Result& plain, const Result& pool) {
  const double taken = std::max(cores_taken(plain), cores_taken(pool));
  if (taken > 0) {
    printf(
        "Other programs took up to %.1f cores meanwhile, so this figure means "
        "little: try\nagain on a quiet machine.\n",
        taken);
    return;
  }
  const double cores = g_get_num_processors();
  printf(
      "The %.0f cores here allow %.2f times at most: the encoder's own threads "
      "use them in\nthe plain pipeline already.\n",
      cores, std::clamp(cores / cores_used(plain), 1.0, cores));
}

void print_result(const Result& plain, const Result& pool) {
  printf("\n  %-12s %9s %10s %12s   %s\n", "", "wall time", "frames/s",
         "cores used", "file");
  print_row("plain", plain);
  print_row("workerpool", pool);
  printf(
      "\nFast: all %zu frames are equal and in order, and workerpool with %u "
      "workers\n"
      "took %.1f s instead of %.1f s: %.2f times as fast.\n",
      plain.marks.size(), pool.workers, pool.wall.count(), plain.wall.count(),
      plain.wall / pool.wall);
  print_bound(plain, pool);
}

bool make_output_dir(const Job& job) {
  if (g_mkdir_with_parents(job.output_dir.c_str(), 0755) == 0) return true;
  report_problem(
      text("cannot make the folder %s: %s. Name another one with "
           "--output-dir.",
           job.output_dir.c_str(), g_strerror(errno)));
  return false;
}

}  // namespace

bool run_fast(const Job& job) {
  if (!make_output_dir(job)) return false;
  printf(
      "Fast: decode, blur, encode to MP4, at full speed. At most %zu "
      "frames.\n\n"
      "  plain       ... ! STAGE ! %s ! ...\n"
      "  workerpool  ... ! workerpool stage=\"STAGE\" ! %s ! ...\n"
      "  with STAGE  %s\n\n",
      kMaxFrames, kEncoder, kEncoder, kStage);
  const auto plain =
      transcode(job, "plain", kStage, kMaxFrames, Clock::now() + kMaxPlainTime);
  if (!plain) return false;
  const auto pool = transcode(job, "workerpool",
                              text("workerpool name=pool stage=\"%s\"", kStage),
                              plain->marks.size(), Clock::time_point::max());
  if (!pool || !check_equality(*plain, *pool)) return false;
  print_result(*plain, *pool);
  return true;
}

}  // namespace dispatch::demo
