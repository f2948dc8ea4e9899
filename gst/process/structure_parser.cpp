// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Reading what process/structure_text.cpp writes, and what people write.
#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "process/structure_text.h"
#include "process/value_types.h"

namespace dispatch::process {

namespace {

using stage::BufferPtr;
using stage::CapsPtr;

// A picture in a tag takes twice its size.
constexpr std::size_t kMaxTextBytes = std::size_t{64} << 20;

bool is_space(char c) { return g_ascii_isspace(c) != FALSE; }

// ---- Single values ---------------------------------------------------------

// A whole string of decimal digits.
std::optional<int> read_int(std::string_view text) {
  int number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

bool read_fraction(std::string_view text, GValue* value) {
  if (text == "min" || text == "max" || text == "1/max")
    return gst_value_deserialize(value, std::string(text).c_str()) != FALSE;
  const std::size_t slash = text.find('/');
  const auto numerator = read_int(text.substr(0, slash));
  const auto denominator = slash == std::string_view::npos
                               ? std::optional<int>(1)
                               : read_int(text.substr(slash + 1));
  if (!numerator || !denominator || *denominator == 0 ||
      *numerator == G_MININT || *denominator == G_MININT)
    return false;
  gst_value_set_fraction(value, *numerator, *denominator);
  return true;
}

std::optional<unsigned> read_hex(std::string_view text) {
  unsigned number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, 16);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// "flags:mask", hexadecimal, and perhaps ":" and words for people.
bool read_flag_set(std::string_view text, GValue* value) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view rest = text.substr(colon + 1);
  const auto flags = read_hex(text.substr(0, colon));
  const auto mask = read_hex(rest.substr(0, rest.find(':')));
  if (!flags || !mask) return false;
  gst_value_set_flagset(value, *flags, *mask);
  return true;
}

// Reads numbers of so many digits, one after the other.
class DigitReader {
 public:
  explicit DigitReader(std::string_view text) : rest_(text) {}

  bool number(std::size_t digits, int least, int most) {
    const auto found = read_int(rest_.substr(0, digits));
    if (rest_.size() < digits || !g_ascii_isdigit(rest_[0]) || !found ||
        *found < least || *found > most)
      return false;
    rest_.remove_prefix(digits);
    return true;
  }
  bool one_of(std::string_view characters) {
    if (rest_.empty() || characters.find(rest_[0]) == std::string_view::npos)
      return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool skip_digits() {
    const std::size_t before = rest_.size();
    while (!rest_.empty() && g_ascii_isdigit(rest_[0])) rest_.remove_prefix(1);
    const std::size_t digits = before - rest_.size();
    return digits > 0 && digits <= 9;
  }
  bool is_at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

bool is_date(DigitReader& reader) {
  return reader.number(4, 1, 9999) && reader.one_of("-") &&
         reader.number(2, 1, 12) && reader.one_of("-") &&
         reader.number(2, 1, 31);
}

// Year, month, day; hour and minute; seconds; zone: each only after the one
// before. GStreamer takes more, and not all of it well.
bool is_date_time(std::string_view text) {
  DigitReader reader(text);
  if (!reader.number(4, 1, 9999)) return false;
  if (reader.is_at_end()) return true;
  if (!reader.one_of("-") || !reader.number(2, 1, 12)) return false;
  if (reader.is_at_end()) return true;
  if (!reader.one_of("-") || !reader.number(2, 1, 31)) return false;
  if (reader.is_at_end()) return true;
  if (!reader.one_of("T ") || !reader.number(2, 0, 23) || !reader.one_of(":") ||
      !reader.number(2, 0, 59))
    return false;
  if (reader.one_of(":") && !reader.number(2, 0, 59)) return false;
  if (reader.one_of(".") && !reader.skip_digits()) return false;
  if (reader.is_at_end() || reader.one_of("Z")) return reader.is_at_end();
  if (!reader.one_of("+-") || !reader.number(2, 0, 14)) return false;
  if (reader.is_at_end()) return true;
  reader.one_of(":");
  return reader.number(2, 0, 59) && reader.is_at_end();
}

bool read_date(std::string_view text, GValue* value) {
  DigitReader reader(text);
  return is_date(reader) && reader.is_at_end() &&
         gst_value_deserialize(value, std::string(text).c_str());
}

bool read_date_time(std::string_view text, GValue* value) {
  return is_date_time(text) &&
         gst_value_deserialize(value, std::string(text).c_str());
}

// The bytes that hexadecimal text means.
bool read_buffer(std::string_view text, GValue* value) {
  if (text.size() % 2 != 0) return false;
  const gsize bytes = text.size() / 2;
  auto* data = static_cast<guint8*>(g_malloc(bytes));
  BufferPtr buffer(bytes > 0 ? gst_buffer_new_wrapped(data, bytes)
                             : gst_buffer_new());
  for (gsize i = 0; i < bytes; ++i) {
    const gint high = g_ascii_xdigit_value(text[2 * i]);
    const gint low = g_ascii_xdigit_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    data[i] = static_cast<guint8>(16 * high + low);
  }
  gst_value_take_buffer(value, buffer.release());
  return true;
}

// ---- The text --------------------------------------------------------------

// A word, or what quotes were around.
struct Token {
  std::string text;
  bool was_quoted = false;
};

// Reads from the front of the text. Where a function fails, all fails.
class TextReader {
 public:
  TextReader(std::string_view text, unsigned depth)
      : rest_(text), depth_(depth) {}

  StructurePtr structure();
  CapsPtr caps();
  TagListPtr tags();
  // Whether nothing but space is left.
  bool is_at_end() {
    skip_space();
    return rest_.empty();
  }

 private:
  char peek() const { return rest_.empty() ? '\0' : rest_[0]; }
  bool take(char c);
  void skip_space();
  std::string_view word();
  std::optional<Token> token();
  std::optional<std::string> unquote();
  StructurePtr name();
  bool fields(GstStructure* structure);
  bool caps_structure(GstCaps* caps);
  bool features(GstCapsFeatures* features);
  bool value(GType type, Value& result);
  bool content(GType type, Value& result);
  bool items(GType type, Value& result);
  bool range(GType type, Value& result);
  bool range_end(GType type, Value& result);
  bool nested(ValueKind kind, Value& result);
  bool sample(Value& result);
  bool scalar(GType type, const Token& token, Value& result);
  bool boxed_text(ValueKind kind, const std::string& text, Value& result) const;
  static bool guess(const Token& token, Value& result);

  std::string_view rest_;
  unsigned depth_;
};

bool TextReader::take(char c) {
  if (peek() != c || rest_.empty()) return false;
  rest_.remove_prefix(1);
  return true;
}

void TextReader::skip_space() {
  while (!rest_.empty() && is_space(rest_[0])) rest_.remove_prefix(1);
}

// May be empty.
std::string_view TextReader::word() {
  std::size_t length = 0;
  while (length < rest_.size() && is_plain_text(rest_.substr(length, 1)))
    ++length;
  const std::string_view found = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return found;
}

std::optional<Token> TextReader::token() {
  if (peek() == '"') {
    auto text = unquote();
    if (!text) return std::nullopt;
    return Token{std::move(*text), true};
  }
  const std::string_view found = word();
  if (found.empty()) return std::nullopt;
  return Token{std::string(found), false};
}

// "\" and three octal digits are a byte; before another character it stands for
// that character.
std::optional<std::string> TextReader::unquote() {
  const auto octal = [&](std::size_t i) { return rest_[i] - '0'; };
  const auto is_octal = [&](std::size_t i, int most) {
    return i < rest_.size() && rest_[i] >= '0' && octal(i) <= most;
  };
  std::string result;
  take('"');
  while (!rest_.empty()) {
    if (take('"')) return result;
    if (!take('\\')) {
      result += rest_[0];
      rest_.remove_prefix(1);
    } else if (is_octal(0, 3)) {
      if (!is_octal(1, 7) || !is_octal(2, 7)) return std::nullopt;
      result += static_cast<char>((octal(0) << 6) | (octal(1) << 3) | octal(2));
      rest_.remove_prefix(3);
    } else if (!rest_.empty()) {
      result += rest_[0];
      rest_.remove_prefix(1);
    }
  }
  return std::nullopt;
}

StructurePtr TextReader::name() {
  skip_space();
  const std::string_view found = word();
  if (!is_structure_name(found)) return nullptr;
  return StructurePtr(gst_structure_new_empty(std::string(found).c_str()));
}

// Up to the end, a "]", or past a ";".
bool TextReader::fields(GstStructure* structure) {
  while (true) {
    skip_space();
    if (rest_.empty() || peek() == ']' || take(';')) return true;
    if (!take(',')) return false;
    skip_space();
    if (rest_.empty() || peek() == ']' || take(';')) return true;
    const std::string field(word());
    skip_space();
    Value result;
    if (!is_field_name(field) || !take('=') ||
        gst_structure_n_fields(structure) == kMaxFields ||
        !value(G_TYPE_INVALID, result))
      return false;
    gst_structure_set_value(structure, field.c_str(), result.get());
  }
}

StructurePtr TextReader::structure() {
  StructurePtr result = name();
  if (!result || !fields(result.get())) return nullptr;
  return result;
}

// ---- Caps ------------------------------------------------------------------

bool is_feature(std::string_view name) {
  const std::size_t colon = name.find(':');
  if (colon == std::string_view::npos || colon + 1 == name.size()) return false;
  const auto is_letter = [](char c) { return g_ascii_isalpha(c) != FALSE; };
  const auto is_letter_or_digit = [](char c) {
    return g_ascii_isalnum(c) != FALSE;
  };
  const std::string_view after = name.substr(colon + 1);
  return std::all_of(name.begin(), name.begin() + colon, is_letter) &&
         is_letter(after[0]) &&
         std::all_of(after.begin(), after.end(), is_letter_or_digit);
}

// Names with commas between them, and a ")".
bool TextReader::features(GstCapsFeatures* features) {
  do {
    skip_space();
    const std::string_view found = word();
    if (!is_feature(found)) return false;
    gst_caps_features_add(features, std::string(found).c_str());
    skip_space();
  } while (take(','));
  return take(')');
}

bool TextReader::caps_structure(GstCaps* caps) {
  StructurePtr structure = name();
  if (!structure) return false;
  struct FeaturesFree {
    void operator()(GstCapsFeatures* f) const { gst_caps_features_free(f); }
  };
  std::unique_ptr<GstCapsFeatures, FeaturesFree> own;
  if (take('(')) {
    const std::string_view before = rest_;
    if (word() == "ANY" && take(')')) {
      own.reset(gst_caps_features_new_any());
    } else {
      rest_ = before;
      own.reset(gst_caps_features_new_empty());
      if (!features(own.get())) return false;
    }
  }
  if (!fields(structure.get())) return false;
  gst_caps_append_structure_full(caps, structure.release(), own.release());
  return true;
}

CapsPtr TextReader::caps() {
  skip_space();
  const std::string_view before = rest_;
  const std::string_view special = word();
  if (special == "ANY") return CapsPtr(gst_caps_new_any());
  CapsPtr result(gst_caps_new_empty());
  if (special == "EMPTY" || special == "NONE") return result;
  rest_ = before;
  do {
    if (gst_caps_get_size(result.get()) == kMaxStructures ||
        !caps_structure(result.get()))
      return nullptr;
    skip_space();
  } while (!rest_.empty() && peek() != ']');
  return result;
}

// ---- Tags ------------------------------------------------------------------

// Neither empty nor null: a tag list does not take these.
bool is_tag_value(const GValue* value, GType type) {
  if (G_VALUE_TYPE(value) != type) return false;
  if (type != G_TYPE_STRING) return true;
  const gchar* text = g_value_get_string(value);
  return text != nullptr && *text != '\0';
}

void add_tag(GstTagList* tags, const char* tag, const GValue* value) {
  if (!gst_tag_exists(tag)) return;
  const GType type = gst_tag_get_type(tag);
  if (!GST_VALUE_HOLDS_LIST(value)) {
    if (is_tag_value(value, type))
      gst_tag_list_add_value(tags, GST_TAG_MERGE_APPEND, tag, value);
    return;
  }
  const guint count = gst_value_list_get_size(value);
  for (guint i = 0; i < count; ++i) {
    const GValue* item = gst_value_list_get_value(value, i);
    if (is_tag_value(item, type))
      gst_tag_list_add_value(tags, GST_TAG_MERGE_APPEND, tag, item);
  }
}

TagListPtr TextReader::tags() {
  const StructurePtr list = structure();
  if (!list || !gst_structure_has_name(list.get(), "taglist")) return nullptr;
  TagListPtr result(gst_tag_list_new_empty());
  const gint count = gst_structure_n_fields(list.get());
  for (gint i = 0; i < count; ++i) {
    const char* tag =
        gst_structure_nth_field_name(list.get(), static_cast<guint>(i));
    add_tag(result.get(), tag, gst_structure_get_value(list.get(), tag));
  }
  return result;
}

// ---- Values ----------------------------------------------------------------

// "(type) content"; `type` is that of the list that it is in.
bool TextReader::value(GType type, Value& result) {
  skip_space();
  if (take('(')) {
    skip_space();
    type = type_of(word());
    skip_space();
    if (type == G_TYPE_INVALID || !take(')')) return false;
    skip_space();
  }
  if (depth_ == kMaxNesting) return false;
  ++depth_;
  const bool is_read = content(type, result);
  --depth_;
  return is_read;
}

bool TextReader::content(GType type, Value& result) {
  if (peek() == '{' || peek() == '<') return items(type, result);
  if (peek() != '[') {
    const auto found = token();
    return found && scalar(type, *found, result);
  }
  take('[');
  const auto kind = kind_of(type);
  const bool is_nested = kind == ValueKind::kStructure ||
                         kind == ValueKind::kCaps || kind == ValueKind::kTags ||
                         kind == ValueKind::kSample;
  return (is_nested ? nested(*kind, result) : range(type, result)) && take(']');
}

// Adds `item` to the list or array.
bool append(const GValue* item, GValue* to) {
  const bool is_list = GST_VALUE_HOLDS_LIST(to);
  const guint size =
      is_list ? gst_value_list_get_size(to) : gst_value_array_get_size(to);
  const GValue* first = size == 0 ? nullptr
                        : is_list ? gst_value_list_get_value(to, 0)
                                  : gst_value_array_get_value(to, 0);
  if (!go_together(first, item)) return false;
  if (is_list)
    gst_value_list_append_value(to, item);
  else
    gst_value_array_append_value(to, item);
  return true;
}

bool TextReader::items(GType type, Value& result) {
  const char end = peek() == '{' ? '}' : '>';
  const bool is_value_array = type == value_array_type() && end == '>';
  if (is_value_array || type == GST_TYPE_LIST || type == GST_TYPE_ARRAY)
    type = G_TYPE_INVALID;
  result.init(end == '}' ? GST_TYPE_LIST : GST_TYPE_ARRAY);
  rest_.remove_prefix(1);
  skip_space();
  if (!take(end)) {
    do {
      Value item;
      if (!value(type, item) || !append(item.get(), result.get())) return false;
      skip_space();
    } while (take(','));
    if (!take(end)) return false;
  }
  if (!is_value_array) return true;
  Value array(value_array_type());
  g_value_transform(result.get(), array.get());
  g_value_copy(array.get(), result.init(value_array_type()));
  return true;
}

// ---- Ranges ----------------------------------------------------------------

bool TextReader::range_end(GType type, Value& result) {
  skip_space();
  const auto found = token();
  skip_space();
  return found && scalar(type, *found, result);
}

bool set_int_range(gint64 least, gint64 most, gint64 step, GType type,
                   Value& result) {
  if (least >= most || step <= 0 || least % step != 0 || most % step != 0)
    return false;
  if (type == G_TYPE_INT)
    gst_value_set_int_range_step(
        result.init(GST_TYPE_INT_RANGE), static_cast<gint>(least),
        static_cast<gint>(most), static_cast<gint>(step));
  else
    gst_value_set_int64_range_step(result.init(GST_TYPE_INT64_RANGE), least,
                                   most, step);
  return true;
}

gint64 integer(Value& value) {
  return value.type() == G_TYPE_INT ? g_value_get_int(value.get())
                                    : g_value_get_int64(value.get());
}

bool TextReader::range(GType type, Value& result) {
  Value least;
  Value most;
  if (!range_end(type, least)) return false;
  type = least.type();
  if (!take(',') || !range_end(type, most)) return false;
  if (type == G_TYPE_INT || type == G_TYPE_INT64) {
    Value step;
    const bool has_step = take(',');
    if (has_step && !range_end(type, step)) return false;
    return set_int_range(integer(least), integer(most),
                         has_step ? integer(step) : 1, type, result);
  }
  if (type != G_TYPE_DOUBLE && type != GST_TYPE_FRACTION) return false;
  if (gst_value_compare(least.get(), most.get()) != GST_VALUE_LESS_THAN)
    return false;
  if (type == G_TYPE_DOUBLE)
    gst_value_set_double_range(result.init(GST_TYPE_DOUBLE_RANGE),
                               g_value_get_double(least.get()),
                               g_value_get_double(most.get()));
  else
    gst_value_set_fraction_range(result.init(GST_TYPE_FRACTION_RANGE),
                                 least.get(), most.get());
  return true;
}

// ---- Values with values in them --------------------------------------------

bool TextReader::nested(ValueKind kind, Value& result) {
  gpointer boxed = nullptr;
  GType type = G_TYPE_INVALID;
  if (kind == ValueKind::kSample) return sample(result);
  if (kind == ValueKind::kStructure) {
    type = GST_TYPE_STRUCTURE;
    boxed = structure().release();
  } else if (kind == ValueKind::kCaps) {
    type = GST_TYPE_CAPS;
    boxed = caps().release();
  } else {
    type = GST_TYPE_TAG_LIST;
    boxed = tags().release();
  }
  if (boxed == nullptr) return false;
  g_value_take_boxed(result.init(type), boxed);
  skip_space();
  return true;
}

// What `structure` has under `name`; null if that is no `type`.
template <typename T>
T* boxed_in(const GstStructure* structure, const char* name, GType type) {
  const GValue* value = gst_structure_get_value(structure, name);
  if (value == nullptr || !G_VALUE_HOLDS(value, type)) return nullptr;
  return static_cast<T*>(g_value_get_boxed(value));
}

bool TextReader::sample(Value& result) {
  const StructurePtr parts = structure();
  if (!parts || !gst_structure_has_name(parts.get(), "sample")) return false;
  const auto* info =
      boxed_in<GstStructure>(parts.get(), "info", GST_TYPE_STRUCTURE);
  g_value_take_boxed(
      result.init(GST_TYPE_SAMPLE),
      gst_sample_new(
          boxed_in<GstBuffer>(parts.get(), "buffer", GST_TYPE_BUFFER),
          boxed_in<GstCaps>(parts.get(), "caps", GST_TYPE_CAPS), nullptr,
          info != nullptr ? gst_structure_copy(info) : nullptr));
  skip_space();
  return true;
}

// As gst_structure_to_string() writes what is nested.
bool TextReader::boxed_text(ValueKind kind, const std::string& text,
                            Value& result) const {
  TextReader reader(text, depth_);
  return kind != ValueKind::kSample && reader.nested(kind, result) &&
         reader.is_at_end();
}

bool TextReader::scalar(GType type, const Token& token, Value& result) {
  if (type == G_TYPE_INVALID) return guess(token, result);
  const auto kind = kind_of(type);
  if (!kind || !is_text(token.text)) return false;
  const char* text = token.text.c_str();
  switch (*kind) {
    case ValueKind::kString:
      g_value_set_string(
          result.init(type),
          token.was_quoted || token.text != "NULL" ? text : nullptr);
      return true;
    case ValueKind::kNumber:
    case ValueKind::kEnum:
    case ValueKind::kFlags:
      return gst_value_deserialize(result.init(type), text) != FALSE;
    case ValueKind::kFlagSet:
      return read_flag_set(text, result.init(type));
    case ValueKind::kFraction:
      return read_fraction(text, result.init(type));
    case ValueKind::kDate:
      return read_date(text, result.init(type));
    case ValueKind::kDateTime:
      return read_date_time(text, result.init(type));
    case ValueKind::kBuffer:
      return read_buffer(token.text, result.init(type));
    case ValueKind::kSample:
    case ValueKind::kStructure:
    case ValueKind::kCaps:
    case ValueKind::kTags:
      return boxed_text(*kind, token.text, result);
    case ValueKind::kRange:
    case ValueKind::kList:
    case ValueKind::kArray:
    case ValueKind::kValueArray:
      return false;
  }
  return false;
}

// What people leave the type out of.
bool TextReader::guess(const Token& token, Value& result) {
  const char* text = token.text.c_str();
  if (!is_text(token.text)) return false;
  if (!token.was_quoted) {
    for (const GType type : {G_TYPE_INT, G_TYPE_DOUBLE})
      if (gst_value_deserialize(result.init(type), text)) return true;
    if (read_fraction(token.text, result.init(GST_TYPE_FRACTION))) return true;
    if (gst_value_deserialize(result.init(G_TYPE_BOOLEAN), text)) return true;
  }
  g_value_set_string(result.init(G_TYPE_STRING), text);
  return true;
}

}  // namespace

StructurePtr parse_structure(std::string_view text) {
  if (text.size() > kMaxTextBytes) return nullptr;
  TextReader reader(text, 0);
  StructurePtr result = reader.structure();
  return reader.is_at_end() ? std::move(result) : nullptr;
}

CapsPtr parse_caps(std::string_view text) {
  if (text.size() > kMaxTextBytes) return nullptr;
  TextReader reader(text, 0);
  CapsPtr result = reader.caps();
  return reader.is_at_end() ? std::move(result) : nullptr;
}

TagListPtr parse_tags(std::string_view text) {
  if (text.size() > kMaxTextBytes) return nullptr;
  TextReader reader(text, 0);
  TagListPtr result = reader.tags();
  return reader.is_at_end() ? std::move(result) : nullptr;
}

}  // namespace dispatch::process
