// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The bus messages of process/event_codec.h.
#include <optional>
#include <string>
#include <utility>

#include "core/field_list.h"
#include "process/event_codec.h"
#include "process/field_builder.h"
#include "process/known_fields.h"
#include "process/structure_text.h"

namespace dispatch::process {

namespace {

using stage::MessagePtr;

// ---- ERROR, WARNING, INFO --------------------------------------------------

// The three have the same fields.
void parse(GstMessage* message, GError** error, gchar** debug,
           const GstStructure** details) {
  switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_ERROR:
      gst_message_parse_error(message, error, debug);
      gst_message_parse_error_details(message, details);
      return;
    case GST_MESSAGE_WARNING:
      gst_message_parse_warning(message, error, debug);
      gst_message_parse_warning_details(message, details);
      return;
    default:
      gst_message_parse_info(message, error, debug);
      gst_message_parse_info_details(message, details);
      return;
  }
}

// Text that someone else made: what is no UTF-8 in it is replaced.
void add_valid(ObjectTag tag, const char* text, FieldBuilder& to) {
  if (text == nullptr) return;
  g_autofree gchar* valid = g_utf8_make_valid(text, -1);
  to.add_text(tag, valid);
}

bool add_error(GstMessage* message, FieldBuilder& to) {
  g_autoptr(GError) error = nullptr;
  g_autofree gchar* debug = nullptr;
  const GstStructure* details = nullptr;
  parse(message, &error, &debug, &details);
  if (error == nullptr) return false;
  to.add_text(ObjectTag::kErrorDomain, g_quark_to_string(error->domain));
  to.add_number(ObjectTag::kErrorCode,
                static_cast<std::uint64_t>(std::int64_t{error->code}));
  add_valid(ObjectTag::kErrorText, error->message, to);
  add_valid(ObjectTag::kErrorDebug, debug, to);
  if (details != nullptr)
    if (const auto text = text_of(details))
      to.add_text(ObjectTag::kErrorDetails, *text);
  return true;
}

// Nothing if the field is there and is no text.
std::optional<std::string> read_text(std::span<const std::byte> list,
                                     ObjectTag tag) {
  const auto field = find(list, tag);
  if (!field) return std::string();
  if (!is_text(field->text())) return std::nullopt;
  return std::string(field->text());
}

MessagePtr error_message(GstMessageType type, std::span<const std::byte> list,
                         GstObject* source) {
  const auto domain = read_text(list, ObjectTag::kErrorDomain);
  const auto code = find_number(list, ObjectTag::kErrorCode);
  const auto text = read_text(list, ObjectTag::kErrorText);
  const auto debug = read_text(list, ObjectTag::kErrorDebug);
  const auto details_text = find(list, ObjectTag::kErrorDetails);
  StructurePtr details =
      details_text ? parse_structure(details_text->text()) : nullptr;
  if (!domain || domain->empty() || !code || !text || !debug ||
      (details_text && !details))
    return nullptr;
  g_autoptr(GError) error =
      g_error_new_literal(g_quark_from_string(domain->c_str()),
                          static_cast<gint>(*code), text->c_str());
  const bool has_debug = find(list, ObjectTag::kErrorDebug).has_value();
  const auto make =
      type == GST_MESSAGE_ERROR     ? gst_message_new_error_with_details
      : type == GST_MESSAGE_WARNING ? gst_message_new_warning_with_details
                                    : gst_message_new_info_with_details;
  return MessagePtr(make(source, error, has_debug ? debug->c_str() : nullptr,
                         details.release()));
}

// ---- The others ------------------------------------------------------------

bool add_tags(GstMessage* message, FieldBuilder& to) {
  GstTagList* tags = nullptr;
  gst_message_parse_tag(message, &tags);
  const TagListPtr owned(tags);
  if (!owned) return false;
  to.add_text(ObjectTag::kTags, text_of(tags));
  to.add_number(ObjectTag::kTagScope,
                static_cast<std::uint64_t>(gst_tag_list_get_scope(tags)));
  return true;
}

MessagePtr tag_message(std::span<const std::byte> list, GstObject* source) {
  const auto text = find(list, ObjectTag::kTags);
  const auto scope = find_number(list, ObjectTag::kTagScope);
  TagListPtr tags = text ? parse_tags(text->text()) : nullptr;
  if (!tags || !scope || *scope > GST_TAG_SCOPE_GLOBAL) return nullptr;
  gst_tag_list_set_scope(tags.get(), static_cast<GstTagScope>(*scope));
  return MessagePtr(gst_message_new_tag(source, tags.release()));
}

// Whoever gets one of these asks it for its name.
bool needs_structure(GstMessageType type) {
  return type == GST_MESSAGE_ELEMENT || type == GST_MESSAGE_APPLICATION;
}

bool add_structure(GstMessage* message, FieldBuilder& to) {
  const GstMessageType type = GST_MESSAGE_TYPE(message);
  const auto known = fields_of(type);
  const GstStructure* structure = gst_message_get_structure(message);
  if (!known || !has_fields(structure, *known)) return false;
  if (structure == nullptr) return !needs_structure(type);
  const auto text = text_of(structure);
  if (text) to.add_text(ObjectTag::kStructure, *text);
  return text.has_value();
}

MessagePtr plain_message(GstMessageType type, std::span<const std::byte> list,
                         GstObject* source) {
  const auto known = fields_of(type);
  if (!known) return nullptr;
  const auto text = find(list, ObjectTag::kStructure);
  StructurePtr structure = text ? parse_structure(text->text()) : nullptr;
  if (text && !structure) return nullptr;
  if (!has_fields(structure.get(), *known)) return nullptr;
  if (needs_structure(type) && !structure) return nullptr;
  return MessagePtr(gst_message_new_custom(type, source, structure.release()));
}

bool add_content(GstMessage* message, FieldBuilder& to) {
  switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_ERROR:
    case GST_MESSAGE_WARNING:
    case GST_MESSAGE_INFO:
      return add_error(message, to);
    case GST_MESSAGE_TAG:
      return add_tags(message, to);
    default:
      return add_structure(message, to);
  }
}

MessagePtr message_of(GstMessageType type, std::span<const std::byte> list,
                      GstObject* source) {
  switch (type) {
    case GST_MESSAGE_ERROR:
    case GST_MESSAGE_WARNING:
    case GST_MESSAGE_INFO:
      return error_message(type, list, source);
    case GST_MESSAGE_TAG:
      return tag_message(list, source);
    default:
      return plain_message(type, list, source);
  }
}

}  // namespace

Bytes encode_message(GstMessage* message) {
  FieldBuilder list;
  list.add_number(ObjectTag::kType,
                  static_cast<std::uint64_t>(
                      static_cast<guint>(GST_MESSAGE_TYPE(message))));
  list.add_number(ObjectTag::kSequence, gst_message_get_seqnum(message));
  if (GST_MESSAGE_SRC(message) != nullptr) {
    g_autofree gchar* name = gst_object_get_name(GST_MESSAGE_SRC(message));
    add_valid(ObjectTag::kSourceName, name, list);
  }
  return add_content(message, list) ? list.take() : Bytes();
}

DecodedMessage decode_message(std::span<const std::byte> bytes,
                              GstObject* source) {
  DecodedMessage result;
  const auto type = find_number(bytes, ObjectTag::kType);
  const auto sequence = find_number(bytes, ObjectTag::kSequence);
  const auto name = read_text(bytes, ObjectTag::kSourceName);
  if (!type || *type > G_MAXUINT32 || !sequence || *sequence > G_MAXUINT32 ||
      *sequence == GST_SEQNUM_INVALID || !name)
    return result;
  result.message = message_of(
      static_cast<GstMessageType>(static_cast<guint32>(*type)), bytes, source);
  if (!result.message) return result;
  gst_message_set_seqnum(result.message.get(), static_cast<guint32>(*sequence));
  result.name = *name;
  return result;
}

}  // namespace dispatch::process
