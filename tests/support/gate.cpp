// SPDX-License-Identifier: LGPL-2.1-or-later
#include "gate.h"

namespace dispatch::test {

Gate::Gate() : GateHandle(claim()) {}

Gate::~Gate() { let_go(); }

void Gate::attach_to_stages() { put_into_stages(); }

void Gate::attach_to_pad(GstPad* pad) {
  gst_pad_add_probe(
      pad, GST_PAD_PROBE_TYPE_BUFFER,
      [](GstPad*, GstPadProbeInfo* info, gpointer handle) {
        static_cast<GateHandle*>(handle)->pass(
            GST_BUFFER_OFFSET(GST_PAD_PROBE_INFO_BUFFER(info)));
        return GST_PAD_PROBE_OK;
      },
      new GateHandle(*this),
      [](gpointer handle) { delete static_cast<GateHandle*>(handle); });
}

}  // namespace dispatch::test
