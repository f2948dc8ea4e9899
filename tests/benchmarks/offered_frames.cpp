// SPDX-License-Identifier: LGPL-2.1-or-later
#include "offered_frames.h"

#include <cstdint>
#include <cstring>
#include <vector>

#include <gst/video/video.h>

#include "bench.h"

namespace bench {

namespace {

constexpr int kFramesPerSecond = 30;

// The pool that was offered, else one of ours over the allocator that was
// offered, else one over plain memory. (transfer full)
GstBufferPool* choose_pool(GstQuery* query, GstCaps* caps, guint bytes) {
  GstBufferPool* pool = nullptr;
  guint size = bytes;
  guint least = 0;
  guint most = 0;
  if (gst_query_get_n_allocation_pools(query) > 0)
    gst_query_parse_nth_allocation_pool(query, 0, &pool, &size, &least, &most);
  GstAllocator* allocator = nullptr;
  GstAllocationParams params;
  gst_allocation_params_init(&params);
  if (gst_query_get_n_allocation_params(query) > 0)
    gst_query_parse_nth_allocation_param(query, 0, &allocator, &params);
  if (pool == nullptr) {
    pool = gst_video_buffer_pool_new();
    // The allocator of shmsink gives plain memory once its area is full.
    // shmsink would wait for room to copy such a frame, forever: the pool keeps
    // the whole area.
    if (allocator != nullptr) most = kRoomFrames;
  }
  GstStructure* config = gst_buffer_pool_get_config(pool);
  gst_buffer_pool_config_set_params(config, caps, size, least, most);
  gst_buffer_pool_config_set_allocator(config, allocator, &params);
  if (!gst_buffer_pool_set_config(pool, config) ||
      !gst_buffer_pool_set_active(pool, TRUE))
    fail("The offered pool cannot be used.");
  if (allocator != nullptr) gst_object_unref(allocator);
  return pool;
}

GstBuffer* acquire(GstBufferPool* pool) {
  GstBuffer* buffer = nullptr;
  if (gst_buffer_pool_acquire_buffer(pool, &buffer, nullptr) != GST_FLOW_OK)
    fail("The pool gives no frame.");
  return buffer;
}

}  // namespace

std::size_t FrameShape::bytes() const {
  GstVideoInfo info;
  if (!gst_video_info_set_format(&info, gst_video_format_from_string(format),
                                 static_cast<guint>(width),
                                 static_cast<guint>(height)))
    fail(std::string("No such format: ") + format);
  return info.size;
}

std::string FrameShape::caps() const {
  return std::string("video/x-raw,format=") + format +
         ",width=" + std::to_string(width) +
         ",height=" + std::to_string(height) +
         ",framerate=" + std::to_string(kFramesPerSecond) + "/1";
}

OfferedFrames::OfferedFrames(Feeder& feeder, const FrameShape& shape,
                             Memory memory)
    : bytes_(shape.bytes()) {
  g_autoptr(GstCaps) caps = gst_caps_from_string(shape.caps().c_str());
  g_autoptr(GstQuery) query = gst_query_new_allocation(caps, TRUE);
  // A stage may need to be asked all the same.
  gst_pad_peer_query(feeder.pad(), query);
  if (memory == Memory::kPlain) {
    gst_query_unref(query);
    query = gst_query_new_allocation(caps, TRUE);
  }
  pool_ = choose_pool(query, caps, static_cast<guint>(bytes_));
  // Two frames are in use at the most: the last one may still be on its way
  // back.
  std::vector<GstBuffer*> all{acquire(pool_), acquire(pool_)};
  for (GstBuffer* frame : all) {
    fill(frame, 1);
    gst_buffer_unref(frame);
  }
}

OfferedFrames::~OfferedFrames() {
  gst_buffer_pool_set_active(pool_, FALSE);
  gst_object_unref(pool_);
}

GstBuffer* OfferedFrames::take() {
  GstBuffer* frame = acquire(pool_);
  GST_BUFFER_PTS(frame) =
      gst_util_uint64_scale(number_++, GST_SECOND, kFramesPerSecond);
  GST_BUFFER_DURATION(frame) = GST_SECOND / kFramesPerSecond;
  return frame;
}

void fill(GstBuffer* frame, guint8 value) {
  GstMapInfo map;
  if (!gst_buffer_map(frame, &map, GST_MAP_WRITE)) fail("Cannot write.");
  std::memset(map.data, value, map.size);
  gst_buffer_unmap(frame, &map);
}

guint64 add_up(GstBuffer* frame) {
  GstMapInfo map;
  if (!gst_buffer_map(frame, &map, GST_MAP_READ)) fail("Cannot read.");
  guint64 sum = 0;
  gsize at = 0;
  for (; at + sizeof sum <= map.size; at += sizeof sum) {
    guint64 word = 0;
    std::memcpy(&word, map.data + at, sizeof word);
    sum += word;
  }
  for (; at < map.size; at++) sum += map.data[at];
  gst_buffer_unmap(frame, &map);
  return sum;
}

}  // namespace bench
