// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/known_fields.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dispatch::process {

namespace {

using Table = std::vector<KnownField>;

constexpr KnownFields kNoFields;

bool is_list_of_strings(const GValue* value) {
  const guint size = gst_value_list_get_size(value);
  for (guint i = 0; i < size; ++i) {
    const GValue* item = gst_value_list_get_value(value, i);
    if (!G_VALUE_HOLDS_STRING(item) || g_value_get_string(item) == nullptr)
      return false;
  }
  return true;
}

bool has_field(const GstStructure* structure, const KnownField& field) {
  const GValue* value = gst_structure_get_value(structure, field.name);
  if (value == nullptr || G_VALUE_TYPE(value) != field.type) return false;
  if (field.use == FieldUse::kNullable) return true;
  if (field.type == G_TYPE_STRING) return g_value_get_string(value) != nullptr;
  if (field.type == GST_TYPE_LIST) return is_list_of_strings(value);
  if (field.type == G_TYPE_DOUBLE) {
    const double number = g_value_get_double(value);
    return std::isfinite(number) &&
           (number != 0 || field.use != FieldUse::kRate);
  }
  if (field.use == FieldUse::kTime)
    return g_value_get_uint64(value) != GST_CLOCK_TIME_NONE;
  return true;
}

}  // namespace

// The tables are made when first used: the types are registered by then.

std::optional<KnownFields> fields_of(GstEventType type) {
  switch (type) {
    case GST_EVENT_FLUSH_START:
    case GST_EVENT_EOS:
    case GST_EVENT_RECONFIGURE:
    case GST_EVENT_NAVIGATION:
    case GST_EVENT_CUSTOM_UPSTREAM:
    case GST_EVENT_CUSTOM_DOWNSTREAM:
    case GST_EVENT_CUSTOM_DOWNSTREAM_OOB:
    case GST_EVENT_CUSTOM_DOWNSTREAM_STICKY:
    case GST_EVENT_CUSTOM_BOTH:
    case GST_EVENT_CUSTOM_BOTH_OOB:
      return kNoFields;
    case GST_EVENT_FLUSH_STOP: {
      static const Table fields = {{"reset-time", G_TYPE_BOOLEAN}};
      return fields;
    }
    case GST_EVENT_STREAM_START: {
      static const Table fields = {{"stream-id", G_TYPE_STRING},
                                   {"flags", GST_TYPE_STREAM_FLAGS}};
      return fields;
    }
    case GST_EVENT_BUFFERSIZE: {
      static const Table fields = {{"format", GST_TYPE_FORMAT},
                                   {"minsize", G_TYPE_INT64},
                                   {"maxsize", G_TYPE_INT64},
                                   {"async", G_TYPE_BOOLEAN}};
      return fields;
    }
    case GST_EVENT_STREAM_GROUP_DONE: {
      static const Table fields = {{"group-id", G_TYPE_UINT}};
      return fields;
    }
    case GST_EVENT_PROTECTION: {
      static const Table fields = {{"data", GST_TYPE_BUFFER},
                                   {"system_id", G_TYPE_STRING}};
      return fields;
    }
    case GST_EVENT_SEGMENT_DONE: {
      static const Table fields = {{"format", GST_TYPE_FORMAT},
                                   {"position", G_TYPE_INT64}};
      return fields;
    }
    case GST_EVENT_GAP: {
      static const Table fields = {
          {"timestamp", G_TYPE_UINT64, FieldUse::kTime},
          {"duration", G_TYPE_UINT64}};
      return fields;
    }
    case GST_EVENT_INSTANT_RATE_CHANGE: {
      static const Table fields = {{"rate", G_TYPE_DOUBLE, FieldUse::kRate},
                                   {"flags", GST_TYPE_SEGMENT_FLAGS}};
      return fields;
    }
    case GST_EVENT_QOS: {
      static const Table fields = {{"type", GST_TYPE_QOS_TYPE},
                                   {"proportion", G_TYPE_DOUBLE},
                                   {"diff", G_TYPE_INT64},
                                   {"timestamp", G_TYPE_UINT64}};
      return fields;
    }
    case GST_EVENT_SEEK: {
      static const Table fields = {{"rate", G_TYPE_DOUBLE, FieldUse::kRate},
                                   {"format", GST_TYPE_FORMAT},
                                   {"flags", GST_TYPE_SEEK_FLAGS},
                                   {"cur-type", GST_TYPE_SEEK_TYPE},
                                   {"cur", G_TYPE_INT64},
                                   {"stop-type", GST_TYPE_SEEK_TYPE},
                                   {"stop", G_TYPE_INT64}};
      return fields;
    }
    case GST_EVENT_LATENCY: {
      static const Table fields = {{"latency", G_TYPE_UINT64, FieldUse::kTime}};
      return fields;
    }
    case GST_EVENT_STEP: {
      static const Table fields = {{"format", GST_TYPE_FORMAT},
                                   {"amount", G_TYPE_UINT64},
                                   {"rate", G_TYPE_DOUBLE, FieldUse::kRate},
                                   {"flush", G_TYPE_BOOLEAN},
                                   {"intermediate", G_TYPE_BOOLEAN}};
      return fields;
    }
    case GST_EVENT_TOC_SELECT: {
      static const Table fields = {{"uid", G_TYPE_STRING}};
      return fields;
    }
    case GST_EVENT_SELECT_STREAMS: {
      static const Table fields = {{"streams", GST_TYPE_LIST}};
      return fields;
    }
    case GST_EVENT_INSTANT_RATE_SYNC_TIME: {
      static const Table fields = {
          {"rate", G_TYPE_DOUBLE, FieldUse::kRate},
          {"running-time", G_TYPE_UINT64, FieldUse::kTime},
          {"upstream-running-time", G_TYPE_UINT64, FieldUse::kTime}};
      return fields;
    }
    default:
      return std::nullopt;
  }
}

std::optional<KnownFields> fields_of(GstQueryType type) {
  switch (type) {
    case GST_QUERY_CUSTOM:
    case GST_QUERY_DRAIN:
    case GST_QUERY_BITRATE:
    case GST_QUERY_SELECTABLE:
      return kNoFields;
    case GST_QUERY_POSITION: {
      static const Table fields = {
          {"format", GST_TYPE_FORMAT, FieldUse::kQuestion},
          {"current", G_TYPE_INT64}};
      return fields;
    }
    case GST_QUERY_DURATION: {
      static const Table fields = {
          {"format", GST_TYPE_FORMAT, FieldUse::kQuestion},
          {"duration", G_TYPE_INT64}};
      return fields;
    }
    case GST_QUERY_LATENCY: {
      static const Table fields = {{"live", G_TYPE_BOOLEAN},
                                   {"min-latency", G_TYPE_UINT64},
                                   {"max-latency", G_TYPE_UINT64}};
      return fields;
    }
    case GST_QUERY_SEEKING: {
      static const Table fields = {
          {"format", GST_TYPE_FORMAT, FieldUse::kQuestion},
          {"seekable", G_TYPE_BOOLEAN},
          {"segment-start", G_TYPE_INT64},
          {"segment-end", G_TYPE_INT64}};
      return fields;
    }
    case GST_QUERY_SEGMENT: {
      static const Table fields = {{"rate", G_TYPE_DOUBLE},
                                   {"format", GST_TYPE_FORMAT},
                                   {"start_value", G_TYPE_INT64},
                                   {"stop_value", G_TYPE_INT64}};
      return fields;
    }
    case GST_QUERY_CONVERT: {
      static const Table fields = {
          {"src_format", GST_TYPE_FORMAT, FieldUse::kQuestion},
          {"src_value", G_TYPE_INT64, FieldUse::kQuestion},
          {"dest_format", GST_TYPE_FORMAT, FieldUse::kQuestion},
          {"dest_value", G_TYPE_INT64}};
      return fields;
    }
    case GST_QUERY_URI: {
      static const Table fields = {{"uri", G_TYPE_STRING, FieldUse::kNullable}};
      return fields;
    }
    default:
      return std::nullopt;
  }
}

std::optional<KnownFields> fields_of(GstMessageType type) {
  switch (type) {
    case GST_MESSAGE_ELEMENT:
    case GST_MESSAGE_APPLICATION:
    case GST_MESSAGE_LATENCY:
    case GST_MESSAGE_DURATION_CHANGED:
      return kNoFields;
    case GST_MESSAGE_BUFFERING: {
      static const Table fields = {{"buffer-percent", G_TYPE_INT},
                                   {"buffering-mode", GST_TYPE_BUFFERING_MODE},
                                   {"avg-in-rate", G_TYPE_INT},
                                   {"avg-out-rate", G_TYPE_INT},
                                   {"buffering-left", G_TYPE_INT64}};
      return fields;
    }
    case GST_MESSAGE_QOS: {
      static const Table fields = {
          {"live", G_TYPE_BOOLEAN},       {"running-time", G_TYPE_UINT64},
          {"stream-time", G_TYPE_UINT64}, {"timestamp", G_TYPE_UINT64},
          {"duration", G_TYPE_UINT64},    {"jitter", G_TYPE_INT64},
          {"proportion", G_TYPE_DOUBLE},  {"quality", G_TYPE_INT},
          {"format", GST_TYPE_FORMAT},    {"processed", G_TYPE_UINT64},
          {"dropped", G_TYPE_UINT64}};
      return fields;
    }
    case GST_MESSAGE_PROGRESS: {
      static const Table fields = {{"type", GST_TYPE_PROGRESS_TYPE},
                                   {"code", G_TYPE_STRING},
                                   {"text", G_TYPE_STRING}};
      return fields;
    }
    default:
      return std::nullopt;
  }
}

bool has_fields(const GstStructure* structure, KnownFields fields) {
  if (structure == nullptr) return fields.empty();
  return std::all_of(fields.begin(), fields.end(), [&](const auto& field) {
    return has_field(structure, field);
  });
}

}  // namespace dispatch::process
