// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The due time of a frame, inside the stage of a worker.
//
// For: elements inside a stage that decide by time (adaptiveskip). Set by the
// worker, taken off when the result leaves. In CLOCK_MONOTONIC, because a
// running time means nothing in another process.
// Not for: buffers outside a stage. Thread: as the buffer.
#pragma once

#include "core/instant.h"
#include "stage/ptr.h"

struct GstDispatchDueTimeMeta {
  GstMeta meta;
  gint64 monotonic_ns;
};

namespace dispatch::stage {

GType due_time_meta_api_type();
const GstMetaInfo* due_time_meta_info();

// `buffer` (transfer none) must be writable.
void set_due_time(GstBuffer* buffer, core::MonotonicTime due);
// Null if there is none. (transfer none)
const GstDispatchDueTimeMeta* due_time_of(GstBuffer* buffer);
// The buffer without a due time; a shallow copy if it was not writable.
BufferPtr without_due_time(BufferPtr buffer);

}  // namespace dispatch::stage
