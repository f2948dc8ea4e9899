// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The types of values that mean the same in another process, and their names
// in text. Part of process/structure_text.h.
// Thread: thread-safe functions.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <gst/gst.h>

namespace dispatch::process {

enum class ValueKind {
  kString,
  kNumber,  // what gst_value_deserialize() reads safely: integers, floating
            // point, booleans, bitmasks
  kEnum,
  kFlags,
  kFlagSet,
  kFraction,
  kDate,
  kDateTime,
  kBuffer,
  kSample,
  kStructure,
  kCaps,
  kTags,
  kRange,  // its ends are of the type
  kList,
  kArray,
  kValueArray,
};

// Nothing for a type whose values stay in their process.
std::optional<ValueKind> kind_of(GType type);

// Of GValueArray, which GLib would like to be rid of, and `level` sends.
GType value_array_type();

// As it stands in brackets before a value; of ranges, the type of their ends.
const char* name_of(GType type);
// G_TYPE_INVALID: no such type, or none of these.
GType type_of(std::string_view name);

// Whether a list or an array that begins with `first` (nullable) takes `item`:
// both are of one type, or one is a range of the other.
bool go_together(const GValue* first, const GValue* item);

// Structures in structures, lists in lists: more than anyone has, and little of
// a stack.
inline constexpr unsigned kMaxNesting = 16;
// Adding a field to a structure looks at all that are there.
inline constexpr int kMaxFields = 256;
inline constexpr unsigned kMaxStructures = 4096;

// Whether the enum has a value of that number.
bool is_value_of(GType enum_type, std::int64_t number);
// The flags of that type that this process knows.
guint known_flags(GType flags_type);

// What a name of a structure, and of a field, may consist of.
bool is_structure_name(std::string_view name);
bool is_field_name(std::string_view name);
// Whether it may stand without quotes.
bool is_plain_text(std::string_view text);

// A GValue that is cleared.
class Value {
 public:
  Value() = default;
  explicit Value(GType type) { g_value_init(&value_, type); }
  ~Value() { clear(); }
  Value(const Value&) = delete;
  Value& operator=(const Value&) = delete;

  GValue* get() { return &value_; }
  GType type() const { return G_VALUE_TYPE(&value_); }
  // Anew, of another type.
  GValue* init(GType type) {
    clear();
    return g_value_init(&value_, type);
  }

 private:
  void clear() {
    if (G_IS_VALUE(&value_)) g_value_unset(&value_);
  }
  GValue value_ = G_VALUE_INIT;
};

}  // namespace dispatch::process
