// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The queries of process/event_codec.h.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gst/audio/audio.h>
#include <gst/video/video.h>

#include "core/field_list.h"
#include "process/event_codec.h"
#include "process/field_builder.h"
#include "process/known_fields.h"
#include "process/structure_text.h"
#include "process/value_types.h"

namespace dispatch::process {

namespace {

using stage::CapsPtr;
using stage::ObjectPtr;
using stage::QueryPtr;

// What may be asked of an allocator, in bytes: more than a picture needs around
// it, and no more than a picture.
constexpr std::uint64_t kMaxAlign = (1U << 20) - 1;
constexpr std::uint64_t kMaxAround = 1U << 24;
// Entries of one kind in an ALLOCATION query.
constexpr std::size_t kMaxEntries = 256;

bool add_caps(QueryTag tag, const GstCaps* caps, FieldBuilder& to) {
  if (caps == nullptr) return true;
  const auto text = text_of(caps);
  if (text) to.add_text(tag, *text);
  return text.has_value();
}

// Caps that are missing are null. False: those that are there are none.
bool read_caps(std::span<const std::byte> list, QueryTag tag, CapsPtr& caps) {
  const auto field = find(list, tag);
  if (!field) return true;
  caps = parse_caps(field->text());
  return caps != nullptr;
}

// ---- CAPS and ACCEPT_CAPS --------------------------------------------------

bool add_caps_query(GstQuery* query, FieldBuilder& to) {
  GstCaps* filter = nullptr;
  GstCaps* result = nullptr;
  gst_query_parse_caps(query, &filter);
  gst_query_parse_caps_result(query, &result);
  return add_caps(QueryTag::kCaps, filter, to) &&
         add_caps(QueryTag::kResultCaps, result, to);
}

QueryPtr caps_query(std::span<const std::byte> list) {
  CapsPtr filter;
  CapsPtr result;
  if (!read_caps(list, QueryTag::kCaps, filter) ||
      !read_caps(list, QueryTag::kResultCaps, result))
    return nullptr;
  QueryPtr query(gst_query_new_caps(filter.get()));
  if (result) gst_query_set_caps_result(query.get(), result.get());
  return query;
}

bool add_accept_caps_query(GstQuery* query, FieldBuilder& to) {
  GstCaps* caps = nullptr;
  gboolean result = FALSE;
  gst_query_parse_accept_caps(query, &caps);
  gst_query_parse_accept_caps_result(query, &result);
  to.add_number(QueryTag::kResult, result != FALSE ? 1 : 0);
  return caps != nullptr && add_caps(QueryTag::kCaps, caps, to);
}

QueryPtr accept_caps_query(std::span<const std::byte> list) {
  CapsPtr caps;
  const auto result = find_number(list, QueryTag::kResult);
  if (!read_caps(list, QueryTag::kCaps, caps) || !caps ||
      !gst_caps_is_fixed(caps.get()) || !result)
    return nullptr;
  QueryPtr query(gst_query_new_accept_caps(caps.get()));
  gst_query_set_accept_caps_result(query.get(), *result != 0 ? TRUE : FALSE);
  return query;
}

// ---- ALLOCATION ------------------------------------------------------------

// Names of APIs are known to a process when their types are. `quark` of the
// tags that each API has, though it may be an empty list.
GType meta_api_of(std::string_view name) {
  for (GType (*known)() :
       {gst_video_meta_api_get_type, gst_video_crop_meta_api_get_type,
        gst_video_overlay_composition_meta_api_get_type,
        gst_video_region_of_interest_meta_api_get_type,
        gst_audio_meta_api_get_type, gst_reference_timestamp_meta_api_get_type})
    known();
  const GType type = g_type_from_name(std::string(name).c_str());
  static const GQuark tags = g_quark_from_static_string("tags");
  const bool is_api = type != 0 && g_type_get_qdata(type, tags) != nullptr;
  return is_api ? type : G_TYPE_INVALID;
}

bool add_metas(GstQuery* query, FieldBuilder& to) {
  const guint count = gst_query_get_n_allocation_metas(query);
  for (guint i = 0; i < count; ++i) {
    const GstStructure* parameters = nullptr;
    const GType api =
        gst_query_parse_nth_allocation_meta(query, i, &parameters);
    std::optional<std::string> text;
    if (parameters != nullptr) text = text_of(parameters);
    // One that asks for what cannot be said is not offered.
    if (parameters != nullptr && !text) continue;
    to.add_text(QueryTag::kMeta, g_type_name(api));
    if (text) to.add_text(QueryTag::kMetaParameters, *text);
  }
  return true;
}

bool add_allocation_query(GstQuery* query, FieldBuilder& to) {
  // Even the reading functions write to a query that has no lists yet.
  const QueryPtr own(gst_query_copy(query));
  query = own.get();
  GstCaps* caps = nullptr;
  gboolean need_pool = FALSE;
  gst_query_parse_allocation(query, &caps, &need_pool);
  if (!add_caps(QueryTag::kCaps, caps, to)) return false;
  to.add_number(QueryTag::kNeedPool, need_pool != FALSE ? 1 : 0);
  add_metas(query, to);
  for (guint i = 0; i < gst_query_get_n_allocation_pools(query); ++i) {
    PoolRecord record;
    gst_query_parse_nth_allocation_pool(query, i, nullptr, &record.size,
                                        &record.min_buffers,
                                        &record.max_buffers);
    to.add_struct(QueryTag::kPool, record);
  }
  for (guint i = 0; i < gst_query_get_n_allocation_params(query); ++i) {
    GstAllocationParams params;
    gst_query_parse_nth_allocation_param(query, i, nullptr, &params);
    to.add_struct(
        QueryTag::kAllocation,
        AllocationRecord{static_cast<std::uint32_t>(params.flags), 0,
                         params.align, params.prefix, params.padding});
  }
  return true;
}

bool is_allocation(const AllocationRecord& record) {
  return record.align <= kMaxAlign &&
         (record.align & (record.align + 1)) == 0 &&
         record.prefix <= kMaxAround && record.padding <= kMaxAround;
}

bool add_pool(const std::optional<PoolRecord>& record, GstQuery* query) {
  if (!record ||
      (record->max_buffers != 0 && record->max_buffers < record->min_buffers))
    return false;
  gst_query_add_allocation_pool(query, nullptr, record->size,
                                record->min_buffers, record->max_buffers);
  return true;
}

bool add_params(const std::optional<AllocationRecord>& record,
                GstQuery* query) {
  if (!record || !is_allocation(*record)) return false;
  GstAllocationParams params;
  gst_allocation_params_init(&params);
  params.flags = static_cast<GstMemoryFlags>(
      record->flags & known_flags(GST_TYPE_MEMORY_FLAGS));
  params.align = record->align;
  params.prefix = record->prefix;
  params.padding = record->padding;
  gst_query_add_allocation_param(query, nullptr, &params);
  return true;
}

// A meta waits for its parameters, which are the next field.
class MetaReader {
 public:
  explicit MetaReader(GstQuery* query) : query_(query) {}
  ~MetaReader() { finish(); }

  void begin(std::string_view api) {
    finish();
    api_ = meta_api_of(api);
  }
  bool add_parameters(std::string_view text) {
    parameters_ = parse_structure(text);
    return parameters_ != nullptr;
  }

 private:
  // An API that this process does not know is of no use to anybody in it.
  void finish() {
    if (api_ != G_TYPE_INVALID)
      gst_query_add_allocation_meta(query_, api_, parameters_.get());
    api_ = G_TYPE_INVALID;
    parameters_.reset();
  }

  GstQuery* const query_;
  GType api_ = G_TYPE_INVALID;
  StructurePtr parameters_;
};

bool read_lists(std::span<const std::byte> list, GstQuery* query) {
  MetaReader metas(query);
  std::size_t entries = 0;
  core::FieldReader reader(list);
  while (const auto field = reader.next()) {
    if (++entries > kMaxEntries) return false;
    bool is_fine = true;
    switch (static_cast<QueryTag>(field->tag)) {
      case QueryTag::kMeta:
        metas.begin(field->text());
        break;
      case QueryTag::kMetaParameters:
        is_fine = metas.add_parameters(field->text());
        break;
      case QueryTag::kPool:
        is_fine = add_pool(field->as_struct<PoolRecord>(), query);
        break;
      case QueryTag::kAllocation:
        is_fine = add_params(field->as_struct<AllocationRecord>(), query);
        break;
      default:
        break;
    }
    if (!is_fine) return false;
  }
  return !reader.is_broken();
}

QueryPtr allocation_query(std::span<const std::byte> list) {
  CapsPtr caps;
  const auto need_pool = find_number(list, QueryTag::kNeedPool);
  if (!read_caps(list, QueryTag::kCaps, caps) || !need_pool) return nullptr;
  QueryPtr query(
      gst_query_new_allocation(caps.get(), *need_pool != 0 ? TRUE : FALSE));
  return read_lists(list, query.get()) ? std::move(query) : nullptr;
}

void clear_lists(GstQuery* query) {
  while (gst_query_get_n_allocation_metas(query) > 0)
    gst_query_remove_nth_allocation_meta(query, 0);
  while (gst_query_get_n_allocation_pools(query) > 0)
    gst_query_remove_nth_allocation_pool(query, 0);
  while (gst_query_get_n_allocation_params(query) > 0)
    gst_query_remove_nth_allocation_param(query, 0);
}

void copy_lists(GstQuery* from, GstQuery* to) {
  for (guint i = 0; i < gst_query_get_n_allocation_metas(from); ++i) {
    const GstStructure* parameters = nullptr;
    const GType api = gst_query_parse_nth_allocation_meta(from, i, &parameters);
    gst_query_add_allocation_meta(to, api, parameters);
  }
  for (guint i = 0; i < gst_query_get_n_allocation_pools(from); ++i) {
    guint size = 0;
    guint min = 0;
    guint max = 0;
    gst_query_parse_nth_allocation_pool(from, i, nullptr, &size, &min, &max);
    gst_query_add_allocation_pool(to, nullptr, size, min, max);
  }
  for (guint i = 0; i < gst_query_get_n_allocation_params(from); ++i) {
    GstAllocationParams params;
    gst_query_parse_nth_allocation_param(from, i, nullptr, &params);
    gst_query_add_allocation_param(to, nullptr, &params);
  }
}

// ---- The others ------------------------------------------------------------

bool add_structure(GstQuery* query, FieldBuilder& to) {
  const auto known = fields_of(GST_QUERY_TYPE(query));
  const GstStructure* structure = gst_query_get_structure(query);
  if (!known || structure == nullptr || !has_fields(structure, *known))
    return false;
  const auto text = text_of(structure);
  if (text) to.add_text(QueryTag::kStructure, *text);
  return text.has_value();
}

QueryPtr plain_query(GstQueryType type, std::span<const std::byte> list) {
  const auto known = fields_of(type);
  const auto text = find(list, QueryTag::kStructure);
  StructurePtr structure =
      known && text ? parse_structure(text->text()) : nullptr;
  if (!structure || !has_fields(structure.get(), *known)) return nullptr;
  return QueryPtr(gst_query_new_custom(type, structure.release()));
}

bool is_question(const char* name, KnownFields known) {
  return std::any_of(known.begin(), known.end(), [&](const KnownField& field) {
    return field.use == FieldUse::kQuestion && g_str_equal(field.name, name);
  });
}

void put_answer(GstQuery* answer, GstQuery* query) {
  switch (GST_QUERY_TYPE(query)) {
    case GST_QUERY_CAPS: {
      GstCaps* result = nullptr;
      gst_query_parse_caps_result(answer, &result);
      gst_query_set_caps_result(query, result);
      return;
    }
    case GST_QUERY_ACCEPT_CAPS: {
      gboolean result = FALSE;
      gst_query_parse_accept_caps_result(answer, &result);
      gst_query_set_accept_caps_result(query, result);
      return;
    }
    case GST_QUERY_ALLOCATION:
      clear_lists(query);
      copy_lists(answer, query);
      return;
    default: {
      const KnownFields known = *fields_of(GST_QUERY_TYPE(query));
      GstStructure* to = gst_query_writable_structure(query);
      for_each_field(gst_query_get_structure(answer),
                     [&](const char* name, const GValue* value) {
                       if (!is_question(name, known))
                         gst_structure_set_value(to, name, value);
                     });
      return;
    }
  }
}

}  // namespace

Bytes encode_query(GstQuery* query) {
  FieldBuilder list;
  list.add_number(QueryTag::kType,
                  static_cast<std::uint64_t>(GST_QUERY_TYPE(query)));
  const auto add = [&] {
    switch (GST_QUERY_TYPE(query)) {
      case GST_QUERY_CAPS:
        return add_caps_query(query, list);
      case GST_QUERY_ACCEPT_CAPS:
        return add_accept_caps_query(query, list);
      case GST_QUERY_ALLOCATION:
        return add_allocation_query(query, list);
      default:
        return add_structure(query, list);
    }
  };
  return add() ? list.take() : Bytes();
}

QueryPtr decode_query(std::span<const std::byte> bytes) {
  const auto type = find_number(bytes, QueryTag::kType);
  if (!type ||
      !is_value_of(GST_TYPE_QUERY_TYPE, static_cast<std::int64_t>(*type)))
    return nullptr;
  switch (static_cast<GstQueryType>(*type)) {
    case GST_QUERY_CAPS:
      return caps_query(bytes);
    case GST_QUERY_ACCEPT_CAPS:
      return accept_caps_query(bytes);
    case GST_QUERY_ALLOCATION:
      return allocation_query(bytes);
    default:
      return plain_query(static_cast<GstQueryType>(*type), bytes);
  }
}

bool decode_answer(std::span<const std::byte> bytes, GstQuery* query) {
  const QueryPtr answer = decode_query(bytes);
  if (!answer || GST_QUERY_TYPE(answer.get()) != GST_QUERY_TYPE(query))
    return false;
  put_answer(answer.get(), query);
  return true;
}

}  // namespace dispatch::process
