// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/slot_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "process/shared_file.h"

// The allocator that slots belong to. It frees them, and tells the budget; what
// makes them is dispatch::process::SlotMaker.
struct GstDispatchSlotFdAllocator {
  GstFdAllocator parent;
  dispatch::process::SlotBudget* budget;                 // owned
  std::weak_ptr<dispatch::process::SlotSource>* copies;  // owned
  GstMemoryCopyFunction copy_to_plain;
};
struct GstDispatchSlotFdAllocatorClass {
  GstFdAllocatorClass parent_class;
};
GType gst_dispatch_slot_fd_allocator_get_type();
G_DEFINE_TYPE(GstDispatchSlotFdAllocator, gst_dispatch_slot_fd_allocator,
              GST_TYPE_FD_ALLOCATOR);

// A worker may keep mapped what it handed back. Of inputs, whose pages are
// sealed, the workers have been told.
static void give_back_pages(GstMemory* slot) {
  (void)dispatch::os::free_pages(gst_fd_memory_get_fd(slot));
}

// The parent of a part has been let go of already, but is still named.
static void gst_dispatch_slot_fd_allocator_free(GstAllocator* allocator,
                                                GstMemory* memory) {
  auto* const self = reinterpret_cast<GstDispatchSlotFdAllocator*>(allocator);
  const bool is_slot = memory->parent == nullptr;
  const gsize bytes = memory->maxsize;
  if (is_slot) give_back_pages(memory);
  GST_ALLOCATOR_CLASS(gst_dispatch_slot_fd_allocator_parent_class)
      ->free(allocator, memory);
  if (is_slot) self->budget->give_back(bytes);
}

static GstMemory* gst_dispatch_slot_fd_allocator_copy(GstMemory* memory,
                                                      gssize offset,
                                                      gssize size) {
  const auto* const self =
      reinterpret_cast<GstDispatchSlotFdAllocator*>(memory->allocator);
  const auto source = self->copies->lock();
  GstMapInfo from;
  if (!source || !gst_memory_map(memory, &from, GST_MAP_READ))
    return self->copy_to_plain(memory, offset, size);
  const auto skipped = std::min(static_cast<gsize>(offset), from.size);
  const gsize bytes = size < 0 ? from.size - skipped : static_cast<gsize>(size);
  dispatch::process::MemoryPtr copy = source->take(bytes);
  GstMapInfo to;
  const bool has_slot = copy && dispatch::process::cut(copy.get(), 0, bytes) &&
                        gst_memory_map(copy.get(), &to, GST_MAP_WRITE);
  if (has_slot) {
    std::memcpy(to.data, from.data + offset, bytes);
    gst_memory_unmap(copy.get(), &to);
  }
  gst_memory_unmap(memory, &from);
  return has_slot ? copy.release() : self->copy_to_plain(memory, offset, size);
}

static void gst_dispatch_slot_fd_allocator_finalize(GObject* object) {
  auto* const self = reinterpret_cast<GstDispatchSlotFdAllocator*>(object);
  delete self->budget;
  delete self->copies;
  G_OBJECT_CLASS(gst_dispatch_slot_fd_allocator_parent_class)->finalize(object);
}

static void gst_dispatch_slot_fd_allocator_class_init(
    GstDispatchSlotFdAllocatorClass* klass) {
  G_OBJECT_CLASS(klass)->finalize = gst_dispatch_slot_fd_allocator_finalize;
  GST_ALLOCATOR_CLASS(klass)->free = gst_dispatch_slot_fd_allocator_free;
}

static void gst_dispatch_slot_fd_allocator_init(
    GstDispatchSlotFdAllocator* self) {
  self->copies = new std::weak_ptr<dispatch::process::SlotSource>;
  GstAllocator* const allocator = GST_ALLOCATOR_CAST(self);
  self->copy_to_plain = allocator->mem_copy;
  allocator->mem_copy = gst_dispatch_slot_fd_allocator_copy;
}

namespace dispatch::process {

namespace {

constexpr char kFileName[] = "gst-dispatch-slot";

ObjectPtr<GstAllocator> make_fd_allocator(const SlotBudget& budget) {
  auto allocator = stage::sink_object(static_cast<GstAllocator*>(
      g_object_new(gst_dispatch_slot_fd_allocator_get_type(), nullptr)));
  reinterpret_cast<GstDispatchSlotFdAllocator*>(allocator.get())->budget =
      new SlotBudget(budget);
  return allocator;
}

os::Error beyond_bound(std::uint64_t bytes, std::uint64_t least,
                       const SlotBudget& budget) {
  if (budget.lacks_files()) return too_many_files();
  os::Error error = too_little(budget, least);
  error.what = std::to_string(bytes) + " more bytes are needed, " +
               std::to_string(budget.level()) + " are in use, and " +
               error.what;
  return error;
}

// The file has its pages; now the mapping has them as well.
void touch(const GstMapInfo& map) {
  const std::size_t page = os::whole_pages(1, os::Pages::kNormal);
  volatile guint8* const data = map.data;
  for (std::size_t at = 0; at < map.maxsize; at += page) data[at] = 0;
}

GQuark home_quark() {
  static const GQuark quark = g_quark_from_static_string("gst-dispatch-home");
  return quark;
}

using HomeNote = std::weak_ptr<MemoryHome>;

void free_home_note(gpointer note) { delete static_cast<HomeNote*>(note); }

// GStreamer's last unref asks whether to free (TRUE). As GstBufferPool does it
// with buffers.
gboolean dispose_memory(GstMiniObject* object) {
  const auto* const note =
      static_cast<HomeNote*>(gst_mini_object_get_qdata(object, home_quark()));
  const std::shared_ptr<MemoryHome> home = note->lock();
  if (!home) return TRUE;
  auto* const memory = reinterpret_cast<GstMemory*>(object);
  gst_memory_ref(memory);
  cut(memory, 0, memory->maxsize);
  memory->align = 0;
  GST_MINI_OBJECT_FLAGS(memory) = GST_MINI_OBJECT_FLAG_LOCKABLE;
  home->come_home(MemoryPtr(memory));
  return FALSE;
}

}  // namespace

SlotMaker::SlotMaker(const SlotBudget& budget)
    : budget_(budget), fd_allocator_(make_fd_allocator(budget)) {}

void SlotMaker::set_source_of_copies(std::weak_ptr<SlotSource> source) {
  *reinterpret_cast<GstDispatchSlotFdAllocator*>(fd_allocator_.get())->copies =
      std::move(source);
}

os::Result<MemoryPtr> SlotMaker::make(std::uint64_t bytes,
                                      core::protocol::SlotClass slot_class,
                                      os::Pages pages) {
  const std::uint64_t whole = os::whole_pages(with_spare(bytes), pages);
  if (!budget_.reserve(whole))
    return beyond_bound(whole, budget_.least_for(whole), budget_);
  return make_reserved(whole, slot_class, pages);
}

os::Result<MemoryPtr> SlotMaker::make_result(unsigned worker,
                                             std::uint64_t bytes,
                                             os::Pages pages) {
  const std::uint64_t whole = os::whole_pages(with_spare(bytes), pages);
  if (!budget_.reserve_result(worker, whole))
    return beyond_bound(whole, budget_.least_for_result(worker, whole),
                        budget_);
  return make_reserved(whole, core::protocol::SlotClass::kResult, pages);
}

os::Result<MemoryPtr> SlotMaker::make_reserved(
    std::uint64_t whole, core::protocol::SlotClass slot_class,
    os::Pages pages) {
  auto file = os::create_memfd(kFileName, whole, pages);
  if (!file) {
    budget_.give_back(whole);
    return file.error();
  }
  const int fd = file->get();
  MemoryPtr memory = wrap(file.take(), whole);

  // Mapped both ways once, this mapping serves all that come.
  GstMapInfo map;
  if (!gst_memory_map(memory.get(), &map, GST_MAP_READWRITE))
    return os::Error{ENOMEM, "cannot map a slot"};
  touch(map);
  gst_memory_unmap(memory.get(), &map);

  const bool is_input = slot_class == core::protocol::SlotClass::kInput;
  if (!os::seal(fd,
                is_input ? os::Seal::kSizeAndNoNewWriters : os::Seal::kSize))
    return os::Error{errno, "cannot seal a slot"};
  register_slot(memory.get(), slot_class);
  return memory;
}

// From here on the allocator gives the bytes back.
MemoryPtr SlotMaker::wrap(os::UniqueFd fd, std::uint64_t bytes) {
  return MemoryPtr(gst_fd_allocator_alloc(fd_allocator_.get(), fd.release(),
                                          bytes,
                                          GST_FD_MEMORY_FLAG_KEEP_MAPPED));
}

os::Error too_little(const SlotBudget& budget, std::uint64_t least) {
  return {.what = "max-bytes=" + std::to_string(budget.max_bytes()) +
                  " is too little; " + std::to_string(least) + " would do"};
}

os::Error too_many_files() {
  return {.code = EMFILE,
          .what =
              "shared memory takes no more than a quarter of the files "
              "that this process may have open"};
}

bool is_slot(GstMemory* memory) {
  return G_TYPE_CHECK_INSTANCE_TYPE(memory->allocator,
                                    gst_dispatch_slot_fd_allocator_get_type());
}

void give_home(GstMemory* memory, std::weak_ptr<MemoryHome> home) {
  auto* const object = GST_MINI_OBJECT_CAST(memory);
  gst_mini_object_set_qdata(object, home_quark(), new HomeNote(std::move(home)),
                            free_home_note);
  object->dispose = dispose_memory;
}

void let_go(MemoryPtr memory) {
  GST_MINI_OBJECT_CAST(memory.get())->dispose = nullptr;
}

bool cut(GstMemory* memory, std::uint64_t offset, std::uint64_t bytes) {
  if (offset > memory->maxsize || bytes > memory->maxsize - offset)
    return false;
  memory->offset = offset;
  memory->size = bytes;
  return true;
}

}  // namespace dispatch::process
