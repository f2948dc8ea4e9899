// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The child `levelN` of adaptiveskip: what the user says of one level.
//
// For: the properties of a level, and `levelN::stage::NAME::property`. Not for:
// running it (stage/thread_workers).
// Thread: as GObject.
#pragma once

#include <memory>

#include <gst/gst.h>

#include "stage/ladder.h"

G_DECLARE_FINAL_TYPE(GstAdaptiveSkipLevel, gst_adaptive_skip_level, GST,
                     ADAPTIVE_SKIP_LEVEL, GstObject)

// "levelN", a child of `parent` (transfer none). (transfer full)
GstAdaptiveSkipLevel* gst_adaptive_skip_level_new(
    GstObject* parent, unsigned number,
    std::shared_ptr<dispatch::stage::LadderLevel> level);
