// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/slot_pool.h"

#include <cstring>
#include <utility>

#include <gst/video/gstvideopool.h>

using dispatch::process::MemoryPtr;
using dispatch::process::ObjectPtr;
using dispatch::process::SlotSupply;

// ---- The allocator ---------------------------------------------------------

struct GstDispatchSlotAllocator {
  GstAllocator parent;
  std::shared_ptr<SlotSupply>* supply;  // owned
};
struct GstDispatchSlotAllocatorClass {
  GstAllocatorClass parent_class;
};
GType gst_dispatch_slot_allocator_get_type();
G_DEFINE_TYPE(GstDispatchSlotAllocator, gst_dispatch_slot_allocator,
              GST_TYPE_ALLOCATOR);

static SlotSupply& supply_of(gpointer allocator) {
  return **static_cast<GstDispatchSlotAllocator*>(allocator)->supply;
}

// The zeros that are asked for around the frame; a slot that was used before
// has others there.
static void clear_around(GstMemory* memory, GstMemoryFlags flags) {
  const bool zero_prefix = (flags & GST_MEMORY_FLAG_ZERO_PREFIXED) != 0;
  const bool zero_padding = (flags & GST_MEMORY_FLAG_ZERO_PADDED) != 0;
  GstMapInfo map;
  if ((!zero_prefix && !zero_padding) ||
      !gst_memory_map(memory, &map, GST_MAP_WRITE))
    return;
  if (zero_prefix) std::memset(map.data - memory->offset, 0, memory->offset);
  if (zero_padding) std::memset(map.data + map.size, 0, map.maxsize - map.size);
  gst_memory_unmap(memory, &map);
}

// (transfer full) (nullable)
static GstMemory* take_slot(GstAllocator* allocator, gsize size,
                            const GstAllocationParams& params) {
  // A slot is aligned to a page, and to no more than that.
  const std::size_t page =
      dispatch::os::whole_pages(1, dispatch::os::Pages::kNormal);
  if (params.align >= page) return nullptr;
  MemoryPtr memory =
      supply_of(allocator).take(dispatch::process::bytes_with(params, size));
  if (!memory || !dispatch::process::cut(memory.get(), params.prefix, size))
    return nullptr;
  memory->align = params.align;
  clear_around(memory.get(), params.flags);
  GST_MINI_OBJECT_FLAG_SET(memory.get(), params.flags);
  return memory.release();
}

static GstMemory* gst_dispatch_slot_allocator_alloc(
    GstAllocator* allocator, gsize size, GstAllocationParams* params) {
  GstMemory* const memory = take_slot(allocator, size, *params);
  return memory != nullptr ? memory
                           : gst_allocator_alloc(nullptr, size, params);
}

static void gst_dispatch_slot_allocator_finalize(GObject* object) {
  delete reinterpret_cast<GstDispatchSlotAllocator*>(object)->supply;
  G_OBJECT_CLASS(gst_dispatch_slot_allocator_parent_class)->finalize(object);
}

static void gst_dispatch_slot_allocator_class_init(
    GstDispatchSlotAllocatorClass* klass) {
  G_OBJECT_CLASS(klass)->finalize = gst_dispatch_slot_allocator_finalize;
  GST_ALLOCATOR_CLASS(klass)->alloc = gst_dispatch_slot_allocator_alloc;
}

static void gst_dispatch_slot_allocator_init(
    GstDispatchSlotAllocator* /*self*/) {}

// ---- The pools -------------------------------------------------------------

// Two types, over the pool for raw video and over the plain one, of the same
// functions.
struct GstDispatchVideoSlotPool {
  GstVideoBufferPool parent;
  GstAllocator* allocator;  // owned
};
struct GstDispatchVideoSlotPoolClass {
  GstVideoBufferPoolClass parent_class;
};
GType gst_dispatch_video_slot_pool_get_type();
G_DEFINE_TYPE(GstDispatchVideoSlotPool, gst_dispatch_video_slot_pool,
              GST_TYPE_VIDEO_BUFFER_POOL);

struct GstDispatchSlotPool {
  GstBufferPool parent;
  GstAllocator* allocator;  // owned
};
struct GstDispatchSlotPoolClass {
  GstBufferPoolClass parent_class;
};
GType gst_dispatch_slot_pool_get_type();
G_DEFINE_TYPE(GstDispatchSlotPool, gst_dispatch_slot_pool,
              GST_TYPE_BUFFER_POOL);

namespace {

template <typename Pool>
struct PoolParent;
template <>
struct PoolParent<GstDispatchVideoSlotPool> {
  static gpointer get() { return gst_dispatch_video_slot_pool_parent_class; }
};
template <>
struct PoolParent<GstDispatchSlotPool> {
  static gpointer get() { return gst_dispatch_slot_pool_parent_class; }
};

// Elements write the allocator that they have, or none, into the
// configuration.
template <typename Pool>
gboolean set_config(GstBufferPool* pool, GstStructure* config) {
  GstAllocator* const allocator = reinterpret_cast<Pool*>(pool)->allocator;
  GstAllocationParams params;
  gst_allocation_params_init(&params);
  gst_buffer_pool_config_get_allocator(config, nullptr, &params);
  gst_buffer_pool_config_set_allocator(config, allocator, &params);
  if (!GST_BUFFER_POOL_CLASS(PoolParent<Pool>::get())->set_config(pool, config))
    return FALSE;

  // What it has become: an alignment may have made the frames larger. What
  // cannot be had now is plain memory later.
  guint bytes = 0;
  guint min_buffers = 0;
  gst_buffer_pool_config_get_params(config, nullptr, &bytes, &min_buffers,
                                    nullptr);
  gst_buffer_pool_config_get_allocator(config, nullptr, &params);
  (void)supply_of(allocator).promise(
      dispatch::process::bytes_with(params, bytes), min_buffers);
  return TRUE;
}

gboolean start(GstBufferPool* /*pool*/) { return TRUE; }

template <typename Pool>
void release_buffer(GstBufferPool* pool, GstBuffer* buffer) {
  for (guint i = 0; i < gst_buffer_n_memory(buffer); ++i)
    if (!dispatch::process::is_slot(gst_buffer_peek_memory(buffer, i)))
      GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_TAG_MEMORY);
  GST_BUFFER_POOL_CLASS(PoolParent<Pool>::get())->release_buffer(pool, buffer);
}

template <typename Pool>
void finalize(GObject* object) {
  gst_object_unref(reinterpret_cast<Pool*>(object)->allocator);
  G_OBJECT_CLASS(PoolParent<Pool>::get())->finalize(object);
}

template <typename Pool>
void init_class(gpointer klass) {
  G_OBJECT_CLASS(klass)->finalize = finalize<Pool>;
  auto* const pool_class = GST_BUFFER_POOL_CLASS(klass);
  pool_class->set_config = set_config<Pool>;
  pool_class->start = start;
  pool_class->release_buffer = release_buffer<Pool>;
}

template <typename Pool>
ObjectPtr<GstBufferPool> make_pool(GType type, GstAllocator* allocator) {
  auto pool = dispatch::stage::sink_object(
      static_cast<GstBufferPool*>(g_object_new(type, nullptr)));
  reinterpret_cast<Pool*>(pool.get())->allocator =
      static_cast<GstAllocator*>(gst_object_ref(allocator));
  return pool;
}

}  // namespace

static void gst_dispatch_video_slot_pool_class_init(
    GstDispatchVideoSlotPoolClass* klass) {
  init_class<GstDispatchVideoSlotPool>(klass);
}
static void gst_dispatch_video_slot_pool_init(
    GstDispatchVideoSlotPool* /*self*/) {}

static void gst_dispatch_slot_pool_class_init(GstDispatchSlotPoolClass* klass) {
  init_class<GstDispatchSlotPool>(klass);
}
static void gst_dispatch_slot_pool_init(GstDispatchSlotPool* /*self*/) {}

// ---- For the others --------------------------------------------------------

namespace dispatch::process {

ObjectPtr<GstAllocator> make_slot_allocator(
    std::shared_ptr<SlotSupply> supply) {
  auto allocator = stage::sink_object(static_cast<GstAllocator*>(
      g_object_new(gst_dispatch_slot_allocator_get_type(), nullptr)));
  reinterpret_cast<GstDispatchSlotAllocator*>(allocator.get())->supply =
      new std::shared_ptr<SlotSupply>(std::move(supply));
  return allocator;
}

// gst_video_info_from_caps() takes coded frames as well; they have no planes.
static bool is_raw_video(GstCaps* caps) {
  return gst_structure_has_name(gst_caps_get_structure(caps, 0), "video/x-raw");
}

ObjectPtr<GstBufferPool> make_slot_pool(GstAllocator* allocator, GstCaps* caps,
                                        unsigned bytes, unsigned min_buffers,
                                        const GstAllocationParams& params) {
  auto pool = is_raw_video(caps)
                  ? make_pool<GstDispatchVideoSlotPool>(
                        gst_dispatch_video_slot_pool_get_type(), allocator)
                  : make_pool<GstDispatchSlotPool>(
                        gst_dispatch_slot_pool_get_type(), allocator);
  GstStructure* const config = gst_buffer_pool_get_config(pool.get());
  gst_buffer_pool_config_set_params(config, caps, bytes, min_buffers, 0);
  gst_buffer_pool_config_set_allocator(config, allocator, &params);
  gst_buffer_pool_set_config(pool.get(), config);
  return pool;
}

MemoryPtr take_unused_slot(GstBufferPool* pool, std::uint64_t bytes) {
  const bool is_ours =
      pool != nullptr &&
      (G_TYPE_CHECK_INSTANCE_TYPE(pool,
                                  gst_dispatch_video_slot_pool_get_type()) ||
       G_TYPE_CHECK_INSTANCE_TYPE(pool, gst_dispatch_slot_pool_get_type()));
  if (!is_ours) return nullptr;
  GstBuffer* acquired = nullptr;
  GstBufferPoolAcquireParams params{};
  params.flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT;
  if (gst_buffer_pool_acquire_buffer(pool, &acquired, &params) != GST_FLOW_OK)
    return nullptr;
  const BufferPtr buffer(acquired);
  MemoryPtr memory(gst_buffer_get_memory(buffer.get(), 0));
  if (!memory || !is_slot(memory.get()) || memory->maxsize < with_spare(bytes))
    return nullptr;
  // The pool forgets a buffer without its memory.
  gst_buffer_remove_all_memory(buffer.get());
  return memory;
}

std::uint64_t bytes_with(const GstAllocationParams& params,
                         std::uint64_t bytes) {
  return params.prefix + bytes + params.padding;
}

}  // namespace dispatch::process
