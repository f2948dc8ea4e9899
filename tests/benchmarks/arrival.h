// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The pushing thread waits until frames have arrived.
//
// Thread: the waits on one thread; the arrivals come on any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include <gst/gst.h>

namespace bench {

// Takes the time when a frame passes a pad, then wakes the waiting thread.
class Arrival {
 public:
  enum class Look { kAway, kAtAllBytes };
  // With kAtAllBytes, a frame has arrived when all its bytes have been read.
  explicit Arrival(GstPad* pad, Look look = Look::kAway);
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;

  // With one frame in flight: when it arrived, in monotonic_ns().
  std::int64_t wait();
  // Until so many have arrived since the beginning.
  void wait_for(std::int64_t count);

 private:
  static GstPadProbeReturn on_buffer(GstPad*, GstPadProbeInfo* info,
                                     gpointer self_pointer);

  const Look look_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::int64_t arrival_ns_ = 0;
  std::int64_t count_ = 0;
};

}  // namespace bench
