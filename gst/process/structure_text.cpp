// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Writing; process/structure_parser.cpp reads.
#include "process/structure_text.h"

#include <array>
#include <cstdio>

#include "process/value_types.h"

namespace dispatch::process {

namespace {

// Writes into one string; each function says whether all of it has a text.
class TextWriter {
 public:
  bool add_structure(const GstStructure* structure);
  bool add_caps(const GstCaps* caps);
  void add_tags(const GstTagList* tags);

  std::string take() { return std::move(text_); }

 private:
  bool add_fields(const GstStructure* structure);
  bool add_value(const GValue* value);
  bool add_content(const GValue* value, ValueKind kind);
  bool add_string(const char* string);
  void add_quoted(std::string_view string);
  bool add_enum(const GValue* value);
  bool add_serialised(const GValue* value);
  bool add_items(const GValue* value, ValueKind kind);
  bool add_nested(const GValue* value, ValueKind kind);
  bool add_buffer(GstBuffer* buffer);
  bool add_sample(GstSample* sample);
  bool add_tag(const GstTagList* tags, const char* tag);

  std::string text_;
  unsigned depth_ = 0;
};

bool TextWriter::add_structure(const GstStructure* structure) {
  const char* name = gst_structure_get_name(structure);
  if (!is_structure_name(name)) return false;
  text_ += name;
  return add_fields(structure);
}

bool TextWriter::add_fields(const GstStructure* structure) {
  const gint count = gst_structure_n_fields(structure);
  if (count > kMaxFields) return false;
  for (gint i = 0; i < count; ++i) {
    const char* name =
        gst_structure_nth_field_name(structure, static_cast<guint>(i));
    if (!is_field_name(name)) return false;
    text_ += ", ";
    text_ += name;
    text_ += '=';
    if (!add_value(gst_structure_get_value(structure, name))) return false;
  }
  return true;
}

bool TextWriter::add_caps(const GstCaps* caps) {
  if (gst_caps_is_any(caps)) {
    text_ += "ANY";
    return true;
  }
  const guint count = gst_caps_get_size(caps);
  if (count > kMaxStructures) return false;
  if (count == 0) text_ += "EMPTY";
  for (guint i = 0; i < count; ++i) {
    if (i > 0) text_ += "; ";
    const GstStructure* structure = gst_caps_get_structure(caps, i);
    if (!is_structure_name(gst_structure_get_name(structure))) return false;
    text_ += gst_structure_get_name(structure);
    GstCapsFeatures* features = gst_caps_get_features(caps, i);
    // ANY counts as equal to everything.
    if (gst_caps_features_is_any(features) ||
        !gst_caps_features_is_equal(features,
                                    GST_CAPS_FEATURES_MEMORY_SYSTEM_MEMORY)) {
      g_autofree gchar* names = gst_caps_features_to_string(features);
      text_ += '(';
      text_ += names;
      text_ += ')';
    }
    if (!add_fields(structure)) return false;
  }
  return true;
}

bool TextWriter::add_value(const GValue* value) {
  const auto kind = kind_of(G_VALUE_TYPE(value));
  if (!kind || depth_ == kMaxNesting) return false;
  const bool has_type = *kind != ValueKind::kList && *kind != ValueKind::kArray;
  if (has_type) {
    text_ += '(';
    text_ += name_of(G_VALUE_TYPE(value));
    text_ += ')';
  }
  ++depth_;
  const bool is_complete = add_content(value, *kind);
  --depth_;
  return is_complete;
}

bool TextWriter::add_content(const GValue* value, ValueKind kind) {
  switch (kind) {
    case ValueKind::kString:
      return add_string(g_value_get_string(value));
    case ValueKind::kEnum:
      return add_enum(value);
    case ValueKind::kFlags:
      text_ += std::to_string(g_value_get_flags(value));
      return true;
    case ValueKind::kDate:
    case ValueKind::kDateTime:
      return g_value_get_boxed(value) != nullptr && add_serialised(value);
    case ValueKind::kNumber:
    case ValueKind::kFlagSet:
    case ValueKind::kFraction:
    case ValueKind::kRange:
      return add_serialised(value);
    case ValueKind::kList:
    case ValueKind::kArray:
    case ValueKind::kValueArray:
      return add_items(value, kind);
    case ValueKind::kBuffer:
      return add_buffer(gst_value_get_buffer(value));
    case ValueKind::kSample:
    case ValueKind::kStructure:
    case ValueKind::kCaps:
    case ValueKind::kTags:
      return add_nested(value, kind);
  }
  return false;
}

bool TextWriter::add_string(const char* string) {
  if (string == nullptr) {
    text_ += "NULL";
    return true;
  }
  if (!is_text(string)) return false;
  add_quoted(string);
  return true;
}

void TextWriter::add_quoted(std::string_view string) {
  if (!string.empty() && string != "NULL" && is_plain_text(string)) {
    text_ += string;
    return;
  }
  text_ += '"';
  for (const char c : string) {
    const auto byte = static_cast<unsigned char>(c);
    const std::string_view plain(&c, 1);
    if (is_plain_text(plain)) {
      text_ += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      text_ += '\\';
      for (const int shift : {6, 3, 0})
        text_ += static_cast<char>('0' + ((byte >> shift) & 7));
    } else {
      text_ += '\\';
      text_ += c;
    }
  }
  text_ += '"';
}

// One whose number has no name would be an assertion in GStreamer.
bool TextWriter::add_enum(const GValue* value) {
  auto* values =
      static_cast<GEnumClass*>(g_type_class_ref(G_VALUE_TYPE(value)));
  const gint number = g_value_get_enum(value);
  const GEnumValue* found = g_enum_get_value(values, number);
  const char* nick = found != nullptr ? found->value_nick : nullptr;
  // Formats may be registered later.
  if (nick == nullptr && G_VALUE_TYPE(value) == GST_TYPE_FORMAT) {
    const auto* details =
        gst_format_get_details(static_cast<GstFormat>(number));
    if (details != nullptr) nick = details->nick;
  }
  if (nick != nullptr) add_quoted(nick);
  g_type_class_unref(values);
  return nick != nullptr;
}

bool TextWriter::add_serialised(const GValue* value) {
  g_autofree gchar* text = gst_value_serialize(value);
  if (text == nullptr) return false;
  text_ += text;
  return true;
}

// A view of a list or an array, of either kind.
class Items {
 public:
  Items(const GValue* value, ValueKind kind) : value_(value), kind_(kind) {
    if (kind == ValueKind::kValueArray)
      values_ = static_cast<const GValueArray*>(g_value_get_boxed(value));
  }
  guint size() const {
    if (kind_ == ValueKind::kList) return gst_value_list_get_size(value_);
    if (kind_ == ValueKind::kArray) return gst_value_array_get_size(value_);
    return values_ != nullptr ? values_->n_values : 0;
  }
  const GValue* at(guint i) const {
    if (kind_ == ValueKind::kList) return gst_value_list_get_value(value_, i);
    if (kind_ == ValueKind::kArray) return gst_value_array_get_value(value_, i);
    return &values_->values[i];
  }

 private:
  const GValue* const value_;
  const ValueKind kind_;
  const GValueArray* values_ = nullptr;
};

bool TextWriter::add_items(const GValue* value, ValueKind kind) {
  const Items items(value, kind);
  const bool is_list = kind == ValueKind::kList;
  text_ += is_list ? "{ " : "< ";
  for (guint i = 0; i < items.size(); ++i) {
    if (i > 0) text_ += ", ";
    if (!go_together(items.at(0), items.at(i)) || !add_value(items.at(i)))
      return false;
  }
  text_ += is_list ? " }" : " >";
  return true;
}

bool TextWriter::add_nested(const GValue* value, ValueKind kind) {
  gpointer boxed = g_value_get_boxed(value);
  if (boxed == nullptr) return false;
  bool is_complete = true;
  text_ += '[';
  if (kind == ValueKind::kStructure)
    is_complete = add_structure(static_cast<GstStructure*>(boxed));
  else if (kind == ValueKind::kCaps)
    is_complete = add_caps(static_cast<GstCaps*>(boxed));
  else if (kind == ValueKind::kTags)
    add_tags(static_cast<GstTagList*>(boxed));
  else
    is_complete = add_sample(static_cast<GstSample*>(boxed));
  text_ += ']';
  return is_complete;
}

bool TextWriter::add_buffer(GstBuffer* buffer) {
  GstMapInfo map;
  if (buffer == nullptr || !gst_buffer_map(buffer, &map, GST_MAP_READ))
    return false;
  if (map.size == 0) text_ += "\"\"";
  constexpr std::string_view kDigits = "0123456789abcdef";
  text_.reserve(text_.size() + 2 * map.size);
  for (gsize i = 0; i < map.size; ++i) {
    text_ += kDigits[map.data[i] >> 4];
    text_ += kDigits[map.data[i] & 15];
  }
  gst_buffer_unmap(buffer, &map);
  return true;
}

// A structure called "sample". Its segment means nothing outside of a stream.
bool TextWriter::add_sample(GstSample* sample) {
  text_ += "sample";
  if (GstBuffer* buffer = gst_sample_get_buffer(sample)) {
    text_ += ", buffer=(buffer)";
    if (!add_buffer(buffer)) return false;
  }
  if (GstCaps* caps = gst_sample_get_caps(sample)) {
    text_ += ", caps=(GstCaps)[";
    if (!add_caps(caps)) return false;
    text_ += ']';
  }
  if (const GstStructure* info = gst_sample_get_info(sample)) {
    text_ += ", info=(structure)[";
    if (!add_structure(info)) return false;
    text_ += ']';
  }
  return true;
}

void TextWriter::add_tags(const GstTagList* tags) {
  text_ += "taglist";
  const gint count = gst_tag_list_n_tags(tags);
  for (gint i = 0; i < count && i < kMaxFields; ++i) {
    const std::size_t before = text_.size();
    if (!add_tag(tags, gst_tag_list_nth_tag_name(tags, static_cast<guint>(i))))
      text_.resize(before);
  }
}

bool TextWriter::add_tag(const GstTagList* tags, const char* tag) {
  if (!is_field_name(tag)) return false;
  text_ += ", ";
  text_ += tag;
  text_ += '=';
  const guint count = gst_tag_list_get_tag_size(tags, tag);
  if (count != 1) text_ += "{ ";
  for (guint i = 0; i < count; ++i) {
    if (i > 0) text_ += ", ";
    if (!add_value(gst_tag_list_get_value_index(tags, tag, i))) return false;
  }
  if (count != 1) text_ += " }";
  return true;
}

}  // namespace

std::optional<std::string> text_of(const GstStructure* structure) {
  TextWriter writer;
  if (!writer.add_structure(structure)) return std::nullopt;
  return writer.take();
}

std::optional<std::string> text_of(const GstCaps* caps) {
  TextWriter writer;
  if (!writer.add_caps(caps)) return std::nullopt;
  return writer.take();
}

std::string text_of(const GstTagList* tags) {
  TextWriter writer;
  writer.add_tags(tags);
  return writer.take();
}

}  // namespace dispatch::process
