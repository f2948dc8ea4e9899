// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The unit of work: one GstBuffer, or a GstBufferList that belongs together.
//
// For: passing a frame by reference without caring which of the two it is.
// Not for: looking into memory. Thread: confined; references are thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "stage/ptr.h"

namespace dispatch::stage {

// The timestamps that a substitute needs when the frame itself is gone.
struct Stamps {
  GstClockTime pts = GST_CLOCK_TIME_NONE;
  GstClockTime dts = GST_CLOCK_TIME_NONE;
  GstClockTime duration = GST_CLOCK_TIME_NONE;
  guint64 offset = GST_BUFFER_OFFSET_NONE;
  guint64 offset_end = GST_BUFFER_OFFSET_NONE;
};

class Frame {
 public:
  Frame() = default;
  // (transfer full); a list must not be empty.
  explicit Frame(GstBuffer* buffer) : object_(GST_MINI_OBJECT_CAST(buffer)) {}
  explicit Frame(GstBufferList* list) : object_(GST_MINI_OBJECT_CAST(list)) {}

  explicit operator bool() const { return object_ != nullptr; }
  GstMiniObject* get() const { return object_.get(); }
  bool is_list() const { return GST_IS_BUFFER_LIST(object_.get()); }

  Frame share() const;
  MiniObjectPtr take() { return std::move(object_); }

  GstBuffer* first() const;
  Stamps stamps() const;
  std::uint64_t bytes() const;
  bool has_flag(GstBufferFlags flag) const;  // on any of its buffers

  // Calls `fn(GstBuffer*)` (transfer none) for each buffer.
  template <typename Fn>
  void for_each(Fn fn) const {
    if (!is_list()) {
      fn(GST_BUFFER_CAST(object_.get()));
      return;
    }
    auto* list = GST_BUFFER_LIST_CAST(object_.get());
    for (guint i = 0; i < gst_buffer_list_length(list); ++i)
      fn(gst_buffer_list_get(list, i));
  }

  // Replaces each buffer by what `fn(BufferPtr) -> BufferPtr` makes of it.
  template <typename Fn>
  void map(Fn fn) {
    if (!is_list()) {
      BufferPtr buffer(GST_BUFFER_CAST(object_.release()));
      object_.reset(GST_MINI_OBJECT_CAST(fn(std::move(buffer)).release()));
      return;
    }
    GstBufferList* list = gst_buffer_list_new();
    for_each([&](GstBuffer* buffer) {
      gst_buffer_list_add(list, fn(stage::share(buffer)).release());
    });
    object_.reset(GST_MINI_OBJECT_CAST(list));
  }

 private:
  MiniObjectPtr object_;
};

// What left a stage: buffers, lists and events, in order.
using Outputs = std::vector<MiniObjectPtr>;

// The first buffer among `outputs`; null if there is none.
GstBuffer* first_buffer(const Outputs& outputs);

}  // namespace dispatch::stage
