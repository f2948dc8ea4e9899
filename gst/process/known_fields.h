// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What has to be in the structure of an event, a query or a message.
//
// GStreamer's parsing functions (gst_event_parse_qos() ...) read fields without
// looking whether they are there. Those who make a structure from bytes of
// another process have to look before.
//
// For: presence and type of fields, numbers that one can divide by. Not for:
// whether the values make sense together.
// Thread: thread-safe functions.
#pragma once

#include <optional>
#include <span>

#include <gst/gst.h>

namespace dispatch::process {

enum class FieldUse {
  kNeeded,    // a string is not null, a number is one
  kQuestion,  // likewise; of a query: no answer changes it
  kNullable,  // a string that may be null
  kRate,      // a number that is not 0
  kTime,      // a time that is not GST_CLOCK_TIME_NONE
};

struct KnownField {
  const char* name;
  GType type;  // a GstValueList is one of strings
  FieldUse use = FieldUse::kNeeded;
};
using KnownFields = std::span<const KnownField>;

// Nothing for a type that is not sent as a structure. A type without fields may
// come without a structure.
std::optional<KnownFields> fields_of(GstEventType type);
std::optional<KnownFields> fields_of(GstQueryType type);
std::optional<KnownFields> fields_of(GstMessageType type);

// `structure` (transfer none) (nullable).
bool has_fields(const GstStructure* structure, KnownFields fields);

}  // namespace dispatch::process
