// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Makes one frame of the two fields that belong together.
//
// For: interlace-mode=alternate, where each buffer is one field: a late policy
// that took one field of a picture and not the other would tear it. Not for:
// any other stream, which passes buffer by buffer.
// Thread: confined to the sink pad's streaming thread.
#pragma once

#include <optional>

#include "stage/frame.h"

namespace dispatch::stage {

// Whether each buffer is one field. (transfer none) (nullable)
bool are_fields(GstCaps* caps);

class FieldPairing {
 public:
  // (transfer none)
  void on_caps(GstCaps* caps) { is_alternate_ = are_fields(caps); }

  // The frame that is complete with `buffer`; nothing while its other field is
  // missing. A field of the same parity as the one that waits starts anew, and
  // the lonely one goes first: then `lonely` is set.
  struct Frames {
    std::optional<Frame> lonely;
    std::optional<Frame> complete;
  };
  Frames add(BufferPtr buffer);
  // The field that waits, if any: before an event, a query or the end.
  std::optional<Frame> take_waiting();
  void flush() { waiting_.reset(); }

 private:
  bool is_alternate_ = false;
  BufferPtr waiting_;
};

}  // namespace dispatch::stage
