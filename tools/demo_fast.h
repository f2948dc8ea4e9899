// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The part "fast": the same work in less time.
//
// For: a file is decoded, blurred and encoded, once in a plain pipeline and
// once with the blur in workerpool; every frame is compared before the encoder.
// Not for: measuring to the percent (tests/benchmarks does).
// Thread: main thread.
#pragma once

#include "demo_pipeline.h"

namespace dispatch::demo {

// Prints its result. False if frames differ or anything failed.
bool run_fast(const Job& job);

}  // namespace dispatch::demo
