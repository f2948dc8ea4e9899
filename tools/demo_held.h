// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The part "held": a live video keeps flowing although its stage stalls.
//
// For: the same live frames go through the same stalling stage twice at the
// same time, plain and in workerpool; what a viewer sees of both is printed
// side by side.
// Not for: measuring workerpool's own cost (tests/benchmarks does).
// Thread: main thread.
#pragma once

#include "demo_pipeline.h"

namespace dispatch::demo {

// Prints its result. False if frames were lost or out of order in workerpool,
// if its account is wrong, or if anything failed.
bool run_held(const Job& job);

}  // namespace dispatch::demo
