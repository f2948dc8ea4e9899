// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What came back from a worker, put together with the original.
//
// For: the identity of a frame. An unchanged one is the original buffer again;
// of a changed one, timestamps and flags are the stage's, and so are the metas
// that went to it; the metas that had to stay behind are the original's, as far
// as they still hold. Not for: believing the worker (core/report_check,
// core/slot_ownership did).
// Thread: thread-safe functions.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "process/frame_codec.h"

namespace dispatch::process {

// What the memories of a result are here. (transfer full); null: none such.
using FindMemoryFn =
    std::function<MemoryPtr(const core::protocol::MemoryRecord&)>;

// What the caps say of the result.
struct ResultFormat {
  bool keeps_caps = false;  // they are those of the original
  bool are_fields = false;
};

// The buffer of a result. `original` (transfer none) (nullable): what went in
// with `sent`. Null: `wrong` names the field that is wrong.
BufferPtr make_result(const ParsedBuffer& parsed, GstBuffer* original,
                      const ParsedBuffer* sent, const ResultFormat& format,
                      const FindMemoryFn& find, std::string& wrong);

// A buffer with all that `buffer` has, but in plain memory where that lay in
// slots, which are free when it is let go of. The same one if none did.
BufferPtr out_of_slots(BufferPtr buffer);

}  // namespace dispatch::process
