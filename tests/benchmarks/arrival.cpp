// SPDX-License-Identifier: LGPL-2.1-or-later
#include "arrival.h"

#include <utility>

#include "bench.h"
#include "offered_frames.h"

namespace bench {

Arrival::Arrival(GstPad* pad, Look look) : look_(look) {
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_buffer, this, nullptr);
}

std::int64_t Arrival::wait() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [this] { return arrival_ns_ != 0; });
  return std::exchange(arrival_ns_, 0);
}

void Arrival::wait_for(std::int64_t count) {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [&] { return count_ >= count; });
}

GstPadProbeReturn Arrival::on_buffer(GstPad*, GstPadProbeInfo* info,
                                     gpointer self_pointer) {
  auto* self = static_cast<Arrival*>(self_pointer);
  if (self->look_ == Look::kAtAllBytes) {
    // So that the compiler has to read them.
    volatile guint64 sum = add_up(GST_PAD_PROBE_INFO_BUFFER(info));
    (void)sum;
  }
  const std::int64_t now_ns = monotonic_ns();
  {
    const std::lock_guard lock(self->mutex_);
    self->arrival_ns_ = now_ns;
    self->count_++;
  }
  // Without the lock: who wakes would wait for it at once.
  self->arrived_.notify_one();
  return GST_PAD_PROBE_OK;
}

}  // namespace bench
