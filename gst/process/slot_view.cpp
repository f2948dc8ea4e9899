// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/slot_view.h"

#include <cstring>
#include <utility>

using dispatch::process::MappedSlotPtr;
using dispatch::process::MemoryPtr;
using dispatch::process::ResultSlots;

namespace {

constexpr char kMemoryType[] = "GstDispatchSlotView";

// SAFETY: the memory comes first, so that a pointer to it is one to the view.
struct View {
  GstMemory memory{};
  MappedSlotPtr slot;
  bool is_writable = false;
  bool owns_slot = false;  // taken with it, and let go of with it
};

View* view_of(GstMemory* memory) { return reinterpret_cast<View*>(memory); }

// How much of `memory` a copy or a part has.
gsize bytes_from(GstMemory* memory, gssize offset, gssize size) {
  if (size >= 0) return static_cast<gsize>(size);
  const auto skipped = static_cast<gsize>(offset);
  return memory->size > skipped ? memory->size - skipped : 0;
}

}  // namespace

struct GstDispatchSlotView {
  GstAllocator parent;
  std::shared_ptr<ResultSlots>* slots;  // owned
};
struct GstDispatchSlotViewClass {
  GstAllocatorClass parent_class;
};
GType gst_dispatch_slot_view_get_type();
G_DEFINE_TYPE(GstDispatchSlotView, gst_dispatch_slot_view, GST_TYPE_ALLOCATOR);

static ResultSlots& slots_of(GstAllocator* allocator) {
  return **reinterpret_cast<GstDispatchSlotView*>(allocator)->slots;
}

// `parent` (transfer none) (nullable).
static View* make_view(GstAllocator* allocator, MappedSlotPtr slot,
                       GstMemory* parent, gsize offset, gsize size,
                       guint flags) {
  auto* const result = new View;
  const gsize maxsize = slot->bytes();
  result->slot = std::move(slot);
  gst_memory_init(&result->memory, static_cast<GstMemoryFlags>(flags),
                  allocator, parent, maxsize, 0, offset, size);
  return result;
}

static GstMemory* gst_dispatch_slot_view_alloc(GstAllocator* allocator,
                                               gsize size,
                                               GstAllocationParams* params) {
  const std::size_t page =
      dispatch::os::whole_pages(1, dispatch::os::Pages::kNormal);
  const gsize slack = params->align >= page ? params->align : 0;
  const gsize needed = slack + params->prefix + size + params->padding;
  MappedSlotPtr slot = slots_of(allocator).take(needed);
  if (!slot)
    return slots_of(allocator).will_have(needed)
               ? gst_allocator_alloc(nullptr, size, params)
               : nullptr;
  std::byte* const data = slot->mapping.data();
  const gsize bytes = slot->bytes();
  const gsize skipped = -reinterpret_cast<guintptr>(data) & params->align;
  const gsize offset = skipped + params->prefix;
  if (offset > bytes || size > bytes - offset) {  // the sum has wrapped
    slots_of(allocator).let_go(*slot);
    return nullptr;
  }
  if ((params->flags & GST_MEMORY_FLAG_ZERO_PREFIXED) != 0)
    std::memset(data, 0, offset);
  if ((params->flags & GST_MEMORY_FLAG_ZERO_PADDED) != 0)
    std::memset(data + offset + size, 0, bytes - offset - size);
  View* const result = make_view(allocator, std::move(slot), nullptr, offset,
                                 size, params->flags);
  result->memory.align = params->align;
  result->is_writable = true;
  result->owns_slot = true;
  return &result->memory;
}

static void gst_dispatch_slot_view_free(GstAllocator* allocator,
                                        GstMemory* memory) {
  View* const freed = view_of(memory);
  if (freed->owns_slot) slots_of(allocator).let_go(*freed->slot);
  delete freed;
}

// GStreamer adds the offset.
static gpointer gst_dispatch_slot_view_map(GstMemory* memory, gsize /*maxsize*/,
                                           GstMapFlags flags) {
  const View& mapped = *view_of(memory);
  if ((flags & GST_MAP_WRITE) != 0 && !mapped.is_writable) return nullptr;
  return mapped.slot->mapping.data();
}

static void gst_dispatch_slot_view_unmap(GstMemory* /*memory*/) {}

static GstMemory* gst_dispatch_slot_view_copy(GstMemory* memory, gssize offset,
                                              gssize size) {
  const gsize bytes = bytes_from(memory, offset, size);
  GstAllocationParams params;
  gst_allocation_params_init(&params);
  params.align = memory->align;
  GstMemory* const copy =
      gst_dispatch_slot_view_alloc(memory->allocator, bytes, &params);
  GstMapInfo map;
  if (copy == nullptr || !gst_memory_map(copy, &map, GST_MAP_WRITE))
    return nullptr;
  std::memcpy(map.data,
              view_of(memory)->slot->mapping.data() + memory->offset + offset,
              bytes);
  gst_memory_unmap(copy, &map);
  slots_of(memory->allocator).count_copy(bytes);
  return copy;
}

static GstMemory* gst_dispatch_slot_view_share(GstMemory* memory, gssize offset,
                                               gssize size) {
  GstMemory* const whole = memory->parent != nullptr ? memory->parent : memory;
  // Parts are always read-only.
  View* const part = make_view(
      memory->allocator, view_of(memory)->slot, whole, memory->offset + offset,
      bytes_from(memory, offset, size),
      GST_MINI_OBJECT_FLAGS(whole) | GST_MINI_OBJECT_FLAG_LOCK_READONLY);
  part->memory.align = memory->align;
  return &part->memory;
}

// Both are parts of one memory.
static gboolean gst_dispatch_slot_view_is_span(GstMemory* first,
                                               GstMemory* second,
                                               gsize* offset) {
  if (offset != nullptr) *offset = first->offset - first->parent->offset;
  return first->offset + first->size == second->offset;
}

static void gst_dispatch_slot_view_finalize(GObject* object) {
  delete reinterpret_cast<GstDispatchSlotView*>(object)->slots;
  G_OBJECT_CLASS(gst_dispatch_slot_view_parent_class)->finalize(object);
}

static void gst_dispatch_slot_view_class_init(GstDispatchSlotViewClass* klass) {
  G_OBJECT_CLASS(klass)->finalize = gst_dispatch_slot_view_finalize;
  GST_ALLOCATOR_CLASS(klass)->alloc = gst_dispatch_slot_view_alloc;
  GST_ALLOCATOR_CLASS(klass)->free = gst_dispatch_slot_view_free;
}

static void gst_dispatch_slot_view_init(GstDispatchSlotView* self) {
  GstAllocator* const allocator = &self->parent;
  allocator->mem_type = kMemoryType;
  allocator->mem_map = gst_dispatch_slot_view_map;
  allocator->mem_unmap = gst_dispatch_slot_view_unmap;
  allocator->mem_copy = gst_dispatch_slot_view_copy;
  allocator->mem_share = gst_dispatch_slot_view_share;
  allocator->mem_is_span = gst_dispatch_slot_view_is_span;
}

namespace dispatch::process {

ObjectPtr<GstAllocator> make_view_allocator(
    std::shared_ptr<ResultSlots> slots) {
  auto allocator = stage::sink_object(static_cast<GstAllocator*>(
      g_object_new(gst_dispatch_slot_view_get_type(), nullptr)));
  reinterpret_cast<GstDispatchSlotView*>(allocator.get())->slots =
      new std::shared_ptr<ResultSlots>(std::move(slots));
  return allocator;
}

MemoryPtr view(GstAllocator* allocator, MappedSlotPtr slot,
               std::uint64_t offset, std::uint64_t bytes, bool is_writable) {
  View* const result =
      make_view(allocator, std::move(slot), nullptr, offset, bytes,
                is_writable ? 0U : unsigned{GST_MEMORY_FLAG_READONLY});
  result->is_writable = is_writable;
  return MemoryPtr(&result->memory);
}

MappedSlot* slot_of(GstAllocator* allocator, GstMemory* memory) {
  return memory->allocator == allocator ? view_of(memory)->slot.get() : nullptr;
}

}  // namespace dispatch::process
