// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/toc_codec.h"

#include <string>

#include "core/field_list.h"
#include "process/field_builder.h"
#include "process/structure_text.h"
#include "process/value_types.h"

namespace dispatch::process {

namespace {

using EntryPtr = stage::MiniPtr<GstTocEntry>;

// Editions, chapters and parts of these need four.
constexpr unsigned kMaxDepth = 16;

// False: a field that is there is wrong.
bool read_tags(std::span<const std::byte> list, TagListPtr& tags) {
  const auto field = find(list, TocTag::kTags);
  if (!field) return true;
  tags = parse_tags(field->text());
  return tags != nullptr;
}

void add_entries(const GList* entries, unsigned depth, FieldBuilder& to);

Bytes encode_entry(const GstTocEntry* entry, unsigned depth) {
  FieldBuilder list;
  list.add_text(TocTag::kUid, gst_toc_entry_get_uid(entry));
  TocEntryRecord record;
  record.type = gst_toc_entry_get_entry_type(entry);
  gst_toc_entry_get_start_stop_times(entry, &record.start, &record.stop);
  GstTocLoopType loop = GST_TOC_LOOP_NONE;
  gst_toc_entry_get_loop(entry, &loop, &record.repeat_count);
  record.loop_type = loop;
  list.add_struct(TocTag::kRecord, record);
  if (GstTagList* tags = gst_toc_entry_get_tags(entry))
    list.add_text(TocTag::kTags, text_of(tags));
  add_entries(gst_toc_entry_get_sub_entries(entry), depth + 1, list);
  return list.take();
}

void add_entries(const GList* entries, unsigned depth, FieldBuilder& to) {
  if (depth == kMaxDepth) return;
  for (const GList* item = entries; item != nullptr; item = item->next)
    to.add_bytes(
        TocTag::kEntry,
        encode_entry(static_cast<const GstTocEntry*>(item->data), depth));
}

EntryPtr decode_entry(std::span<const std::byte> bytes, unsigned depth);

// Calls `append` with each entry in `bytes`. False: one of them is wrong.
template <typename Append>
bool read_entries(std::span<const std::byte> bytes, unsigned depth,
                  Append append) {
  core::FieldReader reader(bytes);
  while (const auto field = reader.next()) {
    if (static_cast<TocTag>(field->tag) != TocTag::kEntry) continue;
    EntryPtr entry = decode_entry(field->value, depth);
    if (!entry) return false;
    append(entry.release());
  }
  return !reader.is_broken();
}

EntryPtr decode_entry(std::span<const std::byte> bytes, unsigned depth) {
  if (depth == kMaxDepth) return nullptr;
  const auto uid = find(bytes, TocTag::kUid);
  const auto record = find_struct<TocEntryRecord>(bytes, TocTag::kRecord);
  if (!uid || !is_text(uid->text()) || !record ||
      !is_value_of(GST_TYPE_TOC_ENTRY_TYPE, record->type) ||
      !is_value_of(GST_TYPE_TOC_LOOP_TYPE, record->loop_type))
    return nullptr;
  TagListPtr tags;
  if (!read_tags(bytes, tags)) return nullptr;

  EntryPtr entry(gst_toc_entry_new(static_cast<GstTocEntryType>(record->type),
                                   std::string(uid->text()).c_str()));
  gst_toc_entry_set_start_stop_times(entry.get(), record->start, record->stop);
  gst_toc_entry_set_loop(entry.get(),
                         static_cast<GstTocLoopType>(record->loop_type),
                         record->repeat_count);
  if (tags) gst_toc_entry_set_tags(entry.get(), tags.release());
  const bool is_complete =
      read_entries(bytes, depth + 1, [&](GstTocEntry* sub_entry) {
        gst_toc_entry_append_sub_entry(entry.get(), sub_entry);
      });
  return is_complete ? std::move(entry) : nullptr;
}

}  // namespace

Bytes encode_toc(const GstToc* toc, bool is_updated) {
  FieldBuilder list;
  list.add_number(TocTag::kScope,
                  static_cast<std::uint64_t>(gst_toc_get_scope(toc)));
  list.add_number(TocTag::kIsUpdated, is_updated ? 1 : 0);
  if (GstTagList* tags = gst_toc_get_tags(toc))
    list.add_text(TocTag::kTags, text_of(tags));
  add_entries(gst_toc_get_entries(toc), 0, list);
  return list.take();
}

std::optional<DecodedToc> decode_toc(std::span<const std::byte> bytes) {
  const auto scope = find_number(bytes, TocTag::kScope);
  const auto updated = find_number(bytes, TocTag::kIsUpdated);
  if (!scope || !updated ||
      (*scope != GST_TOC_SCOPE_GLOBAL && *scope != GST_TOC_SCOPE_CURRENT))
    return std::nullopt;
  TagListPtr tags;
  if (!read_tags(bytes, tags)) return std::nullopt;

  DecodedToc result;
  result.toc.reset(gst_toc_new(static_cast<GstTocScope>(*scope)));
  result.is_updated = *updated != 0;
  if (tags) gst_toc_set_tags(result.toc.get(), tags.release());
  const bool is_complete = read_entries(bytes, 0, [&](GstTocEntry* entry) {
    gst_toc_append_entry(result.toc.get(), entry);
  });
  if (!is_complete) return std::nullopt;
  return result;
}

}  // namespace dispatch::process
