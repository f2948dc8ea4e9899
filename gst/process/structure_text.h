// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Structures, caps and tag lists as text, to and from a worker process.
//
// The text is GStreamer's own (gst_structure_serialize(),
// gst_caps_to_string()), with a type before each value, and it is read here
// instead of by GStreamer: its parser is for text that one trusts. What it
// meets in bad text may be a use of freed memory (a buffer that is not
// hexadecimal), time that doubles with each bracket, a stack that grows without
// end, or an assertion.
//
// For: values that mean the same in another process: numbers, strings, enums,
// flags, fractions, bitmasks, dates, ranges, lists, arrays, buffers, samples
// and structures, caps and tag lists of these. Not for: objects, pointers and
// boxed types that nobody can read elsewhere; what holds one has no text.
// Thread: thread-safe functions.
// Failure: null, or no text. Text from outside may hold anything.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "stage/ptr.h"

namespace dispatch::process {

struct StructureFree {
  void operator()(GstStructure* structure) const {
    gst_structure_free(structure);
  }
};
using StructurePtr = std::unique_ptr<GstStructure, StructureFree>;
using TagListPtr = stage::MiniPtr<GstTagList>;

// Calls `fn(const char* name, const GValue* value)` for each field.
template <typename Fn>
void for_each_field(const GstStructure* structure, Fn fn) {
  const gint count = gst_structure_n_fields(structure);
  for (gint i = 0; i < count; ++i) {
    const char* name =
        gst_structure_nth_field_name(structure, static_cast<guint>(i));
    fn(name, gst_structure_get_value(structure, name));
  }
}

// UTF-8 without a zero in it.
bool is_text(std::string_view bytes);

// (transfer none), not null.
std::optional<std::string> text_of(const GstStructure* structure);
std::optional<std::string> text_of(const GstCaps* caps);
// Without the tags that have no text.
std::string text_of(const GstTagList* tags);

StructurePtr parse_structure(std::string_view text);
stage::CapsPtr parse_caps(std::string_view text);
// Without the tags that this process does not know.
TagListPtr parse_tags(std::string_view text);

}  // namespace dispatch::process
