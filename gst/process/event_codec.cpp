// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/event_codec.h"

#include <cmath>
#include <optional>
#include <utility>

#include "core/field_list.h"
#include "process/field_builder.h"
#include "process/known_fields.h"
#include "process/structure_text.h"
#include "process/toc_codec.h"
#include "process/value_types.h"

namespace dispatch::process {

namespace {

using stage::EventPtr;

// ---- To bytes --------------------------------------------------------------

bool add_caps(GstEvent* event, FieldBuilder& to) {
  GstCaps* caps = nullptr;
  gst_event_parse_caps(event, &caps);
  const auto text = text_of(caps);
  if (text) to.add_text(ObjectTag::kCaps, *text);
  return text.has_value();
}

bool add_segment(GstEvent* event, FieldBuilder& to) {
  const GstSegment* segment = nullptr;
  gst_event_parse_segment(event, &segment);
  SegmentRecord record;
  record.flags = segment->flags;
  record.format = segment->format;
  record.rate = segment->rate;
  record.applied_rate = segment->applied_rate;
  record.base = segment->base;
  record.offset = segment->offset;
  record.start = segment->start;
  record.stop = segment->stop;
  record.time = segment->time;
  record.position = segment->position;
  record.duration = segment->duration;
  to.add_struct(ObjectTag::kSegment, record);
  return true;
}

bool add_tags(GstEvent* event, FieldBuilder& to) {
  GstTagList* tags = nullptr;
  gst_event_parse_tag(event, &tags);
  to.add_text(ObjectTag::kTags, text_of(tags));
  to.add_number(ObjectTag::kTagScope,
                static_cast<std::uint64_t>(gst_tag_list_get_scope(tags)));
  return true;
}

bool add_toc(GstEvent* event, FieldBuilder& to) {
  GstToc* toc = nullptr;
  gboolean is_updated = FALSE;
  gst_event_parse_toc(event, &toc, &is_updated);
  const stage::MiniPtr<GstToc> owned(toc);
  const auto list = encode_toc(toc, is_updated != FALSE);
  to.add_bytes(ObjectTag::kToc, list);
  return !list.empty();
}

bool add_structure(GstEvent* event, FieldBuilder& to) {
  const auto known = fields_of(GST_EVENT_TYPE(event));
  const GstStructure* structure = gst_event_get_structure(event);
  if (!known || !has_fields(structure, *known)) return false;
  if (structure == nullptr)
    return GST_EVENT_TYPE(event) != GST_EVENT_NAVIGATION;
  StructurePtr without_stream;
  if (GST_EVENT_TYPE(event) == GST_EVENT_STREAM_START) {
    without_stream.reset(gst_structure_copy(structure));
    gst_structure_remove_field(without_stream.get(), "stream");
    structure = without_stream.get();
  }
  const auto text = text_of(structure);
  if (text) to.add_text(ObjectTag::kStructure, *text);
  return text.has_value();
}

bool add_content(GstEvent* event, FieldBuilder& to) {
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_CAPS:
      return add_caps(event, to);
    case GST_EVENT_SEGMENT:
      return add_segment(event, to);
    case GST_EVENT_TAG:
      return add_tags(event, to);
    case GST_EVENT_TOC:
      return add_toc(event, to);
    default:
      return add_structure(event, to);
  }
}

// ---- From bytes ------------------------------------------------------------

EventPtr caps_event(std::span<const std::byte> bytes) {
  const auto field = find(bytes, ObjectTag::kCaps);
  const stage::CapsPtr caps = field ? parse_caps(field->text()) : nullptr;
  if (!caps || !gst_caps_is_fixed(caps.get())) return nullptr;
  return EventPtr(gst_event_new_caps(caps.get()));
}

bool is_rate(double rate) { return std::isfinite(rate) && rate != 0; }

bool is_segment(const SegmentRecord& record) {
  return record.format != GST_FORMAT_UNDEFINED &&
         gst_format_get_details(static_cast<GstFormat>(record.format)) !=
             nullptr &&
         is_rate(record.rate) && is_rate(record.applied_rate) &&
         record.start <= record.stop;
}

EventPtr segment_event(std::span<const std::byte> bytes) {
  const auto record = find_struct<SegmentRecord>(bytes, ObjectTag::kSegment);
  if (!record || !is_segment(*record)) return nullptr;
  GstSegment segment;
  gst_segment_init(&segment, static_cast<GstFormat>(record->format));
  segment.flags = static_cast<GstSegmentFlags>(
      record->flags & known_flags(GST_TYPE_SEGMENT_FLAGS));
  segment.rate = record->rate;
  segment.applied_rate = record->applied_rate;
  segment.base = record->base;
  segment.offset = record->offset;
  segment.start = record->start;
  segment.stop = record->stop;
  segment.time = record->time;
  segment.position = record->position;
  segment.duration = record->duration;
  return EventPtr(gst_event_new_segment(&segment));
}

EventPtr tag_event(std::span<const std::byte> bytes) {
  const auto text = find(bytes, ObjectTag::kTags);
  const auto scope = find_number(bytes, ObjectTag::kTagScope);
  TagListPtr tags = text ? parse_tags(text->text()) : nullptr;
  if (!tags || !scope || *scope > GST_TAG_SCOPE_GLOBAL) return nullptr;
  gst_tag_list_set_scope(tags.get(), static_cast<GstTagScope>(*scope));
  return EventPtr(gst_event_new_tag(tags.release()));
}

EventPtr toc_event(std::span<const std::byte> bytes) {
  const auto field = find(bytes, ObjectTag::kToc);
  const auto decoded = field ? decode_toc(field->value) : std::nullopt;
  if (!decoded) return nullptr;
  return EventPtr(gst_event_new_toc(decoded->toc.get(),
                                    decoded->is_updated ? TRUE : FALSE));
}

EventPtr plain_event(GstEventType type, std::span<const std::byte> bytes) {
  const auto known = fields_of(type);
  if (!known) return nullptr;
  const auto text = find(bytes, ObjectTag::kStructure);
  StructurePtr structure = text ? parse_structure(text->text()) : nullptr;
  if (text && !structure) return nullptr;
  if (!has_fields(structure.get(), *known)) return nullptr;
  if (type == GST_EVENT_NAVIGATION && !structure) return nullptr;
  return EventPtr(gst_event_new_custom(type, structure.release()));
}

EventPtr event_of(GstEventType type, std::span<const std::byte> bytes) {
  switch (type) {
    case GST_EVENT_CAPS:
      return caps_event(bytes);
    case GST_EVENT_SEGMENT:
      return segment_event(bytes);
    case GST_EVENT_TAG:
      return tag_event(bytes);
    case GST_EVENT_TOC:
      return toc_event(bytes);
    default:
      return plain_event(type, bytes);
  }
}

}  // namespace

Bytes encode_event(GstEvent* event) {
  FieldBuilder list;
  list.add_number(ObjectTag::kType,
                  static_cast<std::uint64_t>(GST_EVENT_TYPE(event)));
  list.add_number(ObjectTag::kSequence, gst_event_get_seqnum(event));
  const gint64 offset = gst_event_get_running_time_offset(event);
  if (offset != 0)
    list.add_number(ObjectTag::kRunningTimeOffset,
                    static_cast<std::uint64_t>(offset));
  return add_content(event, list) ? list.take() : Bytes();
}

EventPtr decode_event(std::span<const std::byte> bytes) {
  const auto type = find_number(bytes, ObjectTag::kType);
  const auto sequence = find_number(bytes, ObjectTag::kSequence);
  if (!type ||
      !is_value_of(GST_TYPE_EVENT_TYPE, static_cast<std::int64_t>(*type)) ||
      !sequence || *sequence > G_MAXUINT32 || *sequence == GST_SEQNUM_INVALID)
    return nullptr;
  EventPtr event = event_of(static_cast<GstEventType>(*type), bytes);
  if (!event) return nullptr;
  gst_event_set_seqnum(event.get(), static_cast<guint32>(*sequence));
  if (const auto offset = find_number(bytes, ObjectTag::kRunningTimeOffset))
    gst_event_set_running_time_offset(event.get(),
                                      static_cast<gint64>(*offset));
  return event;
}

}  // namespace dispatch::process
