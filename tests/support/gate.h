// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A place in a pipeline where chosen frames stop until the test lets them on.
//
// For: putting a copy of a stage, or what comes behind an element, into a known
// place: "a worker stands in frame 3". Frames are told apart by their
// number, the offset of the buffer (see numbered_buffer()). In a stage it is
// the element `gate`, in threads and in worker processes alike.
// Not for: queries. Thread: thread-safe. What waits at a gate that
// dies goes on. A wait that takes longer than kPatience ends the program.
#pragma once

#include <gst/gst.h>

#include "patience.h"
#include "shared_gate.h"

namespace dispatch::test {

class Gate : private GateHandle {
 public:
  Gate();
  ~Gate();  // lets all on
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Every element `gate` that goes to READY from now on is this gate, until
  // another one is attached to stages.
  void attach_to_stages();
  // The same for the buffers that pass `pad` (transfer none).
  void attach_to_pad(GstPad* pad);

  using GateHandle::hold;
  using GateHandle::hold_all;
  using GateHandle::holding;
  using GateHandle::open;
  using GateHandle::release;
  using GateHandle::seen;
  using GateHandle::wait_until_held;
  using GateHandle::wait_until_holding;
  using GateHandle::wait_until_seen;
};

}  // namespace dispatch::test
