// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/value_types.h"

#include <algorithm>
#include <vector>

#include <gst/tag/tag.h>
#include <gst/video/video.h>

#include "process/structure_text.h"

namespace dispatch::process {

namespace {

struct NamedType {
  const char* name;  // as GStreamer writes it, where it has a short one
  GType type;
  ValueKind kind;
};

// The first name of a type is the one that is written.
const std::vector<NamedType>& named_types() {
  static const auto* types = new std::vector<NamedType>{
      {"int", G_TYPE_INT, ValueKind::kNumber},
      {"i", G_TYPE_INT, ValueKind::kNumber},
      {"uint", G_TYPE_UINT, ValueKind::kNumber},
      {"u", G_TYPE_UINT, ValueKind::kNumber},
      {"gint64", G_TYPE_INT64, ValueKind::kNumber},
      {"int64", G_TYPE_INT64, ValueKind::kNumber},
      {"guint64", G_TYPE_UINT64, ValueKind::kNumber},
      {"uint64", G_TYPE_UINT64, ValueKind::kNumber},
      {"glong", G_TYPE_LONG, ValueKind::kNumber},
      {"gulong", G_TYPE_ULONG, ValueKind::kNumber},
      {"guchar", G_TYPE_UCHAR, ValueKind::kNumber},
      {"float", G_TYPE_FLOAT, ValueKind::kNumber},
      {"f", G_TYPE_FLOAT, ValueKind::kNumber},
      {"double", G_TYPE_DOUBLE, ValueKind::kNumber},
      {"d", G_TYPE_DOUBLE, ValueKind::kNumber},
      {"boolean", G_TYPE_BOOLEAN, ValueKind::kNumber},
      {"bool", G_TYPE_BOOLEAN, ValueKind::kNumber},
      {"b", G_TYPE_BOOLEAN, ValueKind::kNumber},
      {"bitmask", GST_TYPE_BITMASK, ValueKind::kNumber},
      {"string", G_TYPE_STRING, ValueKind::kString},
      {"str", G_TYPE_STRING, ValueKind::kString},
      {"s", G_TYPE_STRING, ValueKind::kString},
      {"fraction", GST_TYPE_FRACTION, ValueKind::kFraction},
      {"date", G_TYPE_DATE, ValueKind::kDate},
      {"datetime", GST_TYPE_DATE_TIME, ValueKind::kDateTime},
      {"buffer", GST_TYPE_BUFFER, ValueKind::kBuffer},
      {"sample", GST_TYPE_SAMPLE, ValueKind::kSample},
      {"structure", GST_TYPE_STRUCTURE, ValueKind::kStructure},
      {"GstCaps", GST_TYPE_CAPS, ValueKind::kCaps},
      {"caps", GST_TYPE_CAPS, ValueKind::kCaps},
      {"taglist", GST_TYPE_TAG_LIST, ValueKind::kTags},
      {"list", GST_TYPE_LIST, ValueKind::kList},
      {"array", GST_TYPE_ARRAY, ValueKind::kArray},
      {"GValueArray", value_array_type(), ValueKind::kValueArray},
  };
  return *types;
}

// Enums and flags are known to a process when their libraries have been used.
void know_types_of_libraries() {
  static const bool known = [] {
    for (GType (*type)() :
         {gst_video_multiview_flagset_get_type,
          gst_video_multiview_mode_get_type, gst_video_multiview_flags_get_type,
          gst_video_multiview_frame_packing_get_type,
          gst_video_orientation_method_get_type, gst_tag_image_type_get_type})
      type();
    return true;
  }();
  (void)known;
}

GType end_of_range(GType range) {
  if (range == GST_TYPE_INT_RANGE) return G_TYPE_INT;
  if (range == GST_TYPE_INT64_RANGE) return G_TYPE_INT64;
  if (range == GST_TYPE_DOUBLE_RANGE) return G_TYPE_DOUBLE;
  if (range == GST_TYPE_FRACTION_RANGE) return GST_TYPE_FRACTION;
  return G_TYPE_INVALID;
}

// The type of what is in the innermost list; G_TYPE_INVALID: nothing is.
GType innermost_type(const GValue* value) {
  while (true) {
    const bool is_list = GST_VALUE_HOLDS_LIST(value);
    if (!is_list && !GST_VALUE_HOLDS_ARRAY(value)) return G_VALUE_TYPE(value);
    const guint size = is_list ? gst_value_list_get_size(value)
                               : gst_value_array_get_size(value);
    if (size == 0) return G_TYPE_INVALID;
    value = is_list ? gst_value_list_get_value(value, 0)
                    : gst_value_array_get_value(value, 0);
  }
}

bool is_letter_or_digit(char c) { return g_ascii_isalnum(c) != FALSE; }

bool is_one_of(char c, std::string_view set) {
  return set.find(c) != std::string_view::npos;
}

}  // namespace

bool is_text(std::string_view bytes) {
  return bytes.find('\0') == std::string_view::npos &&
         g_utf8_validate(bytes.data(), static_cast<gssize>(bytes.size()),
                         nullptr) != FALSE;
}

GType value_array_type() {
  G_GNUC_BEGIN_IGNORE_DEPRECATIONS
  return g_value_array_get_type();
  G_GNUC_END_IGNORE_DEPRECATIONS
}

std::optional<ValueKind> kind_of(GType type) {
  const auto& types = named_types();
  const auto found =
      std::find_if(types.begin(), types.end(),
                   [&](const NamedType& named) { return named.type == type; });
  if (found != types.end()) return found->kind;
  if (end_of_range(type) != G_TYPE_INVALID) return ValueKind::kRange;
  const char* name = g_type_name(type);
  if (name == nullptr || !is_field_name(name)) return std::nullopt;
  if (type == GST_TYPE_FLAG_SET || g_type_is_a(type, GST_TYPE_FLAG_SET))
    return ValueKind::kFlagSet;
  // Without the abstract types themselves.
  if (G_TYPE_IS_ENUM(type) && type != G_TYPE_ENUM) return ValueKind::kEnum;
  if (G_TYPE_IS_FLAGS(type) && type != G_TYPE_FLAGS) return ValueKind::kFlags;
  return std::nullopt;
}

const char* name_of(GType type) {
  const GType end = end_of_range(type);
  if (end != G_TYPE_INVALID) return name_of(end);
  for (const NamedType& named : named_types())
    if (named.type == type) return named.name;
  return g_type_name(type);
}

GType type_of(std::string_view name) {
  for (const NamedType& named : named_types())
    if (named.name == name) return named.type;
  know_types_of_libraries();
  const GType type = g_type_from_name(std::string(name).c_str());
  return type != 0 && kind_of(type) ? type : G_TYPE_INVALID;
}

bool go_together(const GValue* first, const GValue* item) {
  if (first == nullptr) return true;
  const GType a = innermost_type(first);
  const GType b = innermost_type(item);
  return a == G_TYPE_INVALID || b == G_TYPE_INVALID || a == b ||
         end_of_range(a) == b || end_of_range(b) == a;
}

bool is_value_of(GType enum_type, std::int64_t number) {
  auto* values = static_cast<GEnumClass*>(g_type_class_ref(enum_type));
  const bool is_value =
      number >= values->minimum && number <= values->maximum &&
      g_enum_get_value(values, static_cast<gint>(number)) != nullptr;
  g_type_class_unref(values);
  return is_value;
}

guint known_flags(GType flags_type) {
  auto* flags = static_cast<GFlagsClass*>(g_type_class_ref(flags_type));
  const guint mask = flags->mask;
  g_type_class_unref(flags);
  return mask;
}

bool is_structure_name(std::string_view name) {
  // GStreamer warns of names that were media types long ago.
  return !name.empty() && g_ascii_isalpha(name[0]) &&
         !name.starts_with("video/x-raw-") &&
         !name.starts_with("audio/x-raw-") &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return is_letter_or_digit(c) || is_one_of(c, "/-_.:+");
         });
}

bool is_field_name(std::string_view name) {
  return !name.empty() && is_plain_text(name);
}

bool is_plain_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter_or_digit(c) || is_one_of(c, "_-+/:.");
  });
}

}  // namespace dispatch::process
