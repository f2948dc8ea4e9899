// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A stage that does what the test says.
//
// For: elements that post, ask, answer or push what no installed element does
// on demand. `hookstage` has the pads "sink" and "src"; `overlaystage` a
// "video_sink" and an optional "text_sink" before its "src"; `twinstage` the
// pads "left" and "right". What is not hooked passes through. Not for: loads
// (teststage), gates (Gate).
// Thread: the hooks run on whatever thread calls the element. They are set
// before the element leaves NULL.
#pragma once

#include <functional>
#include <string>

#include <gst/gst.h>

namespace dispatch::test {

struct StageHooks {
  // (transfer full) buffer. Null: pushed on.
  std::function<GstFlowReturn(GstElement*, GstBuffer*)> on_buffer;
  // (transfer full) event that came at a sink pad. Null: as by default.
  std::function<bool(GstElement*, GstEvent*)> on_event;
  // True: answered. Else it is answered as by default.
  std::function<bool(GstElement*, GstQuery*)> on_sink_query;
  std::function<void(GstElement*)> on_null_to_ready;
  std::function<void(GstElement*, GstContext*)> on_context;
};

// Makes the three elements known in this process; more than once is no harm.
void register_hook_stages();

void set_hooks(GstElement* stage, StageHooks hooks);
// Every such element of every copy that `workerpool` (transfer none) builds
// from now on gets the hooks that `make(worker)` gives.
void hook_copies(GstElement* workerpool,
                 std::function<StageHooks(unsigned worker)> make);

// Of the element's "src" pad. (transfer full)
GstFlowReturn push_on(GstElement* stage, GstBuffer* buffer);
bool push_event_on(GstElement* stage, GstEvent* event);
bool ask_downstream(GstElement* stage, GstQuery* query);  // (transfer none)

}  // namespace dispatch::test
