// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A live source out of a video file, and the pipelines that show it.
//
// For: handing the same frames at the same moments to two pipelines, and
// counting what comes out on their screens.
// Not for: what is between source and screen.
// Thread: main thread, unless said otherwise.
#pragma once

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "demo_pipeline.h"
#include "demo_tally.h"

namespace dispatch::demo {

inline constexpr std::size_t kFrames = 750;
inline constexpr std::size_t kFrameRate = 30;
inline constexpr Nanos kFrameDuration{1'000'000'000 / Nanos::rep{kFrameRate}};
inline constexpr Nanos kLength = kFrameDuration * Nanos::rep{kFrames};
// The feeder may hand a frame over this much after its timestamp.
inline constexpr Nanos kSourceLatency = std::chrono::milliseconds(10);
// What is later, or stands still longer, than this does not count as on time.
inline constexpr Nanos kTolerance = kFrameDuration / 2;

inline GstClockTime to_gst(Nanos time) {
  return static_cast<GstClockTime>(time.count());
}

// The number of a frame that the feeder has handed over.
std::size_t number_of(GstBuffer* frame);

// Hashes of the frames before the stage. The feeder sets one before it hands
// its frame over, the screens read it after; the pipelines' queues are between.
using Originals = std::vector<std::uint64_t>;

// One of the two pipelines, from "appsrc name=camera" to "fakesink
// name=screen", and what its viewer saw.
class Side {
 public:
  Side(const std::string& description, const Originals& originals);

  bool is_made() const { return pipeline_ != nullptr; }
  const Pipeline& pipeline() const { return pipeline_; }

  // Running time begins at `base` of the system clock.
  void start(GstClockTime base);
  void set_latency(Nanos latency);

  // Feeder thread.
  void set_caps(GstCaps* caps);
  void hand_over(Owned<GstBuffer> frame);
  void end_of_stream();

  // Thread-safe.
  Seen seen() const;
  Seen seen_now() const;
  // How long after its timestamp a frame is due on the screen.
  Nanos latency() const;

 private:
  static void on_shown(GstElement*, GstBuffer* frame, GstPad* pad,
                       gpointer self) noexcept;
  void tally(GstBuffer* frame, GstPad* pad);
  bool has_effect(GstBuffer* frame, std::size_t number, GstPad* pad) const;
  Nanos now() const;  // running time

  const Originals& originals_;
  const Owned<GstClock> clock_{gst_system_clock_obtain()};
  GstClockTime base_ = 0;
  Owned<GstElement> camera_;
  Owned<GstElement> screen_;
  mutable std::mutex mutex_;
  Tally tally_{kFrameDuration, kTolerance};  // guarded by mutex_
  Pipeline pipeline_;  // last: it goes first, and with it all callbacks
};

// Decodes the video and hands every frame at its time to both sides, from a
// thread of its own: a camera with two viewers.
class Feeder {
 public:
  Feeder(const Job& job, Originals* originals);
  ~Feeder();

  bool is_made() const { return decoder_ != nullptr; }
  const Pipeline& decoder() const { return decoder_; }
  // Both sides have to outlive this.
  void start(GstClockTime base, Side* plain, Side* pool);
  // Frames that were handed over so far. Thread-safe.
  std::size_t fed() const { return fed_; }
  // Frames that were handed over later than promised. Thread-safe.
  std::size_t overslept() const { return overslept_; }

 private:
  void feed(GstClockTime base, Side* plain, Side* pool);
  Owned<GstSample> pull();
  void prepare(GstSample* sample, Side* plain, Side* pool);
  void wait_for(GstClockTime time);
  static Owned<GstBuffer> copy(GstSample* sample, std::size_t number);

  Originals* const originals_;
  Pipeline decoder_;
  Owned<GstElement> frames_;
  Owned<GstCaps> caps_;
  GstVideoInfo info_{};
  std::atomic<bool> stop_ = false;
  std::atomic<std::size_t> fed_ = 0;
  std::atomic<std::size_t> overslept_ = 0;
  const Owned<GstClock> clock_{gst_system_clock_obtain()};
  std::thread thread_;
};

}  // namespace dispatch::demo
