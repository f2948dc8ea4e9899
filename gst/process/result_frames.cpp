// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/result_frames.h"

#include <algorithm>
#include <cstring>

#include "process/meta_codec.h"
#include "process/slot_memory.h"

namespace dispatch::process {

namespace protocol = core::protocol;

namespace {

bool is_same(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

bool has_same_memories(const ParsedBuffer& a, const ParsedBuffer& b) {
  return std::equal(a.memories.begin(), a.memories.end(), b.memories.begin(),
                    b.memories.end(), [](const auto& x, const auto& y) {
                      return x.slot == y.slot && x.generation == y.generation &&
                             x.offset == y.offset && x.bytes == y.bytes;
                    });
}

bool has_same_record(const ParsedBuffer& a, const ParsedBuffer& b) {
  const protocol::BufferRecord& x = a.record;
  const protocol::BufferRecord& y = b.record;
  return x.pts == y.pts && x.dts == y.dts && x.duration == y.duration &&
         x.offset == y.offset && x.offset_end == y.offset_end &&
         x.flags == y.flags;
}

bool has_same_metas(const ParsedBuffer& a, const ParsedBuffer& b) {
  return std::equal(a.metas.begin(), a.metas.end(), b.metas.begin(),
                    b.metas.end(), is_same);
}

// A meta that did not go to the stage stays true of its result if the result
// has the format of the original, or if it says nothing of the format. One that
// speaks of the memory is true of that memory only.
bool still_holds(const GstMetaInfo* info, bool keeps_caps, bool keeps_memory) {
  const gchar* const* tags = gst_meta_api_type_get_tags(info->api);
  if (tags == nullptr || tags[0] == nullptr) return true;
  const bool is_of_memory =
      g_strv_contains(tags, GST_META_TAG_MEMORY_STR) ||
      g_strv_contains(tags, GST_META_TAG_MEMORY_REFERENCE_STR);
  if (is_of_memory) return keeps_memory;
  return keeps_caps;
}

void copy_kept_metas(GstBuffer* from, GstBuffer* to, bool keeps_caps,
                     bool keeps_memory) {
  gpointer state = nullptr;
  while (GstMeta* meta = gst_buffer_iterate_meta(from, &state)) {
    const GstMetaInfo* info = meta->info;
    if (is_sent(meta, from) || info->transform_func == nullptr) continue;
    if (!still_holds(info, keeps_caps, keeps_memory)) continue;
    GstMetaTransformCopy copy{FALSE, 0, static_cast<gsize>(-1)};
    info->transform_func(to, meta, from, _gst_meta_transform_copy, &copy);
  }
}

// Not by the memory's own function, which prefers another slot.
MemoryPtr plain_copy(GstMemory* memory) {
  GstMapInfo from;
  if (!gst_memory_map(memory, &from, GST_MAP_READ)) return nullptr;
  MemoryPtr copy(gst_allocator_alloc(nullptr, from.size, nullptr));
  GstMapInfo to;
  if (copy && gst_memory_map(copy.get(), &to, GST_MAP_WRITE)) {
    std::copy_n(from.data, from.size, to.data);
    gst_memory_unmap(copy.get(), &to);
  }
  gst_memory_unmap(memory, &from);
  return copy;
}

}  // namespace

BufferPtr make_result(const ParsedBuffer& parsed, GstBuffer* original,
                      const ParsedBuffer* sent, const ResultFormat& format,
                      const FindMemoryFn& find, std::string& wrong) {
  const bool keeps_memory = sent != nullptr && has_same_memories(parsed, *sent);
  if (keeps_memory && has_same_record(parsed, *sent) &&
      has_same_metas(parsed, *sent))
    return stage::share(original);

  BufferPtr result(gst_buffer_new());
  for (const protocol::MemoryRecord& record : parsed.memories) {
    MemoryPtr memory = find(record);
    if (!memory) {
      if (wrong.empty()) wrong = "memory";
      return nullptr;
    }
    gst_buffer_append_memory(result.get(), memory.release());
  }
  apply(parsed.record, result.get());
  for (const std::span<const std::byte> meta : parsed.metas)
    if (const char* field =
            read_meta(result.get(), meta,
                      format.are_fields ? PictureMemory::kOfOneField
                                        : PictureMemory::kWhole)) {
      wrong = field;
      return nullptr;
    }
  if (original != nullptr)
    copy_kept_metas(original, result.get(), format.keeps_caps, keeps_memory);
  return result;
}

BufferPtr out_of_slots(BufferPtr buffer) {
  bool has_copied = false;
  BufferPtr result(gst_buffer_new());
  for (guint i = 0; i < gst_buffer_n_memory(buffer.get()); ++i) {
    MemoryPtr memory(gst_buffer_get_memory(buffer.get(), i));
    if (is_slot(memory.get())) {
      memory = plain_copy(memory.get());
      if (!memory) return buffer;
      has_copied = true;
    }
    gst_buffer_append_memory(result.get(), memory.release());
  }
  if (!has_copied) return buffer;
  gst_buffer_copy_into(result.get(), buffer.get(),
                       static_cast<GstBufferCopyFlags>(
                           GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS),
                       0, -1);
  copy_metas(buffer.get(), result.get());
  return result;
}

}  // namespace dispatch::process
