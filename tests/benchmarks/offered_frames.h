// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Frames for a Feeder, in the memory that the elements behind it offer, as a
// good source makes them.
//
// For: what a hand-over costs without a copy on the way in. Not for: content;
// a frame has what was in that memory before, and every page of it was written
// at least once.
// Thread: confined to the main thread.
#pragma once

#include <cstddef>
#include <string>

#include <gst/gst.h>

#include "pipeline.h"

namespace bench {

struct FrameShape {
  const char* name;
  int width;
  int height;
  const char* format = "I420";

  std::size_t bytes() const;
  std::string caps() const;  // 30 frames per second
};

// As many as the window of an element of ours with one worker.
inline constexpr int kRoomFrames = 4;

class OfferedFrames {
 public:
  // kPlain: in memory of our own, whatever is offered.
  enum class Memory { kOffered, kPlain };
  // Asks behind `feeder`, which has sent these caps.
  OfferedFrames(Feeder& feeder, const FrameShape& shape,
                Memory memory = Memory::kOffered);
  ~OfferedFrames();
  OfferedFrames(const OfferedFrames&) = delete;
  OfferedFrames& operator=(const OfferedFrames&) = delete;

  // The next frame, with timestamps and a duration. Waits for one that comes
  // back if there are no more of the pool, or kRoomFrames in memory of an
  // allocator that was offered alone. (transfer full)
  GstBuffer* take();

 private:
  GstBufferPool* pool_ = nullptr;  // owned
  std::size_t bytes_;
  guint64 number_ = 0;
};

// Writes all bytes of a frame.
void fill(GstBuffer* frame, guint8 value);
// Reads all bytes of a frame.
guint64 add_up(GstBuffer* frame);

}  // namespace bench
