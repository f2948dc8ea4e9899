// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The sums of frame records as the structure of a property `stats`.
//
// Thread: thread-safe function.
#pragma once

#include <gst/gst.h>

#include "core/frame_record.h"
#include "stage/level_chooser.h"

namespace dispatch::stage {

// One field of type guint64 for each sum, times in nanoseconds, and the nested
// structure "causes". The fields are described in docs/elements/workerpool.md.
// (transfer full)
GstStructure* to_structure(const core::FrameSums& sums, const char* name);

// Adds the fields of an element that chooses levels to `stats`; described in
// docs/elements/adaptiveskip.md.
void add_levels(GstStructure* stats, const LevelFacts& levels,
                const core::FrameSums& sums);

}  // namespace dispatch::stage
