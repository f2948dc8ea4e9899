// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The enumerations that elements of ours have as properties.
//
// For: one GType per process for each, whichever elements use it.
// Not for: values; those are the enumerations of gst/core.
// Thread: thread-safe functions.
#pragma once

#include <gst/gst.h>

namespace dispatch::stage {

GType stage_state_type();   // core::StageState
GType late_policy_type();   // core::LatePolicy
GType on_exhausted_type();  // OnExhausted
GType deadlines_type();     // core::Deadlines

}  // namespace dispatch::stage
