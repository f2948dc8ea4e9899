// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Memory: is it bounded by the window, in frames and in bytes, and does it
// stay flat however long the stream is and however slow the stage?
//
// Every frame pushed gets memory of its own, whose end is counted. What is
// alive at the same time is what the element holds, plus one frame that waits
// at its door and one that downstream has in its hands.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <string>

#include "bench.h"
#include "pipeline.h"
#include "report.h"

namespace {

constexpr int kOutside = 2;  // frames at the door and downstream

// Counts the frames whose memory exists. Thread-safe; outlives its frames.
class Census {
 public:
  GstBuffer* make_frame(gsize size) {
    GstBuffer* buffer = gst_buffer_new_allocate(nullptr, size, nullptr);
    // Touched, so that it counts as resident.
    gst_buffer_memset(buffer, 0, 1, size);
    gst_mini_object_weak_ref(
        GST_MINI_OBJECT_CAST(gst_buffer_peek_memory(buffer, 0)), on_end, this);
    const std::lock_guard lock(mutex_);
    peak_ = std::max(peak_, ++alive_);
    return buffer;
  }

  int peak() const {
    const std::lock_guard lock(mutex_);
    return peak_;
  }

  int alive() const {
    const std::lock_guard lock(mutex_);
    return alive_;
  }

 private:
  static void on_end(gpointer self_pointer, GstMiniObject*) {
    auto* self = static_cast<Census*>(self_pointer);
    const std::lock_guard lock(self->mutex_);
    self->alive_--;
  }

  mutable std::mutex mutex_;
  int alive_ = 0;
  int peak_ = 0;
};

struct Result {
  int peak_frames;
  int left_over_frames;
  std::int64_t resident_at_tenth_bytes;
  std::int64_t resident_at_end_bytes;

  std::int64_t growth_bytes() const {
    return resident_at_end_bytes - resident_at_tenth_bytes;
  }
};

Result run(const std::string& middle, int frames, gsize frame_bytes) {
  Census census;
  Result result{};
  {
    bench::Pipeline pipeline(
        middle + " ! fakesink sync=false async=false enable-last-sample=false");
    pipeline.set_state(GST_STATE_PLAYING);
    bench::Feeder feeder(pipeline.pad("x", "sink"), nullptr);
    for (int i = 0; i < frames; i++) {
      if (i == frames / 10) {
        result.resident_at_tenth_bytes = bench::resident_bytes();
      }
      feeder.push(census.make_frame(frame_bytes));
    }
    result.resident_at_end_bytes = bench::resident_bytes();
    feeder.push_eos();
    pipeline.wait_for_eos();
  }
  result.peak_frames = census.peak();
  result.left_over_frames = census.alive();
  return result;
}

std::string pool(const std::string& stage, const std::string& window) {
  return "workerpool name=x max-workers=2 stage=\"" + stage + "\" " + window;
}

class Run {
 public:
  explicit Run(bench::Report& report) : report_(report) {
    report_.table(
        "memory of the frames, and of the process from a tenth of "
        "the stream to its end",
        {"what", "frames", "bytes per frame", "peak frames", "peak bytes",
         "RSS at 10 % KiB", "growth KiB"});
  }

  Result measure(const std::string& what, const std::string& middle, int frames,
                 gsize frame_bytes) {
    const Result result = run(middle, frames, frame_bytes);
    report_.row({what, std::to_string(frames), std::to_string(frame_bytes),
                 std::to_string(result.peak_frames),
                 std::to_string(result.peak_frames * frame_bytes),
                 std::to_string(result.resident_at_tenth_bytes / 1024),
                 std::to_string(result.growth_bytes() / 1024)});
    report_.figure(what + ", peak frames", result.peak_frames);
    report_.figure(what + ", growth bytes",
                   static_cast<double>(result.growth_bytes()));
    report_.promise(what + ": no frame outlives the pipeline",
                    result.left_over_frames == 0);
    return result;
  }

 private:
  bench::Report& report_;
};

// A frame that leaked 12 bytes would miss this, and so would the smallest
// block of malloc lost on every third frame.
void promise_flat(bench::Report& report, const std::string& what,
                  const Result& result) {
  report.promise(what + ": grows by less than 1 MiB",
                 result.growth_bytes() < std::int64_t{1024} * 1024);
}

}  // namespace

int main(int argc, char** argv) {
  gint frames = 100000;
  gint slow_frames = 4000;
  const gchar* json = nullptr;
  bench::CommandLine line("The memory of workerpool, beside two queues.");
  line.add("frames", &frames, "Frames in the long streams");
  line.add("slow-frames", &slow_frames, "Frames through the slow stage");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);

  bench::Report report("memory");
  Run runs(report);
  const std::string slow_stage = "teststage burn=false cost=1000000";

  promise_flat(report, "long stream",
               runs.measure("long stream", pool("identity", "max-buffers=16"),
                            frames, 16384));
  runs.measure("two queues beside it",
               "queue name=x max-size-buffers=16 max-size-bytes=0 "
               "max-size-time=0 ! queue max-size-buffers=16 max-size-bytes=0 "
               "max-size-time=0",
               frames, 16384);

  const Result in_frames =
      runs.measure("slow stage, 8 frames", pool(slow_stage, "max-buffers=8"),
                   slow_frames, 100000);
  promise_flat(report, "slow stage, 8 frames", in_frames);
  report.promise("a window of 8 frames holds 8",
                 in_frames.peak_frames <= 8 + kOutside);

  const Result in_bytes =
      runs.measure("slow stage, 1000000 bytes",
                   pool(slow_stage, "max-buffers=1000 max-bytes=1000000"),
                   slow_frames, 100000);
  promise_flat(report, "slow stage, 1000000 bytes", in_bytes);
  report.promise("a window of 1000000 bytes holds 10 frames of 100000",
                 in_bytes.peak_frames <= 10 + kOutside);

  const Result automatic =
      runs.measure("slow stage, automatic window", pool(slow_stage, ""),
                   slow_frames, 100000);
  promise_flat(report, "slow stage, automatic window", automatic);
  return report.finish(json);
}
