// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a user can do when an element with worker processes gets no memory.
//
// For: the way out in errors: a larger bound, or a higher limit on open files.
// Not for: what is missing (the errors of process/slots and os/).
// Thread: thread-safe functions.
#pragma once

#include <string>

#include "os/result.h"

namespace dispatch::process {

// "Give the element more with the property 'max-bytes' ..."
extern const char kMoreMemory[];

// `otherwise`, unless `error` is that too many files are open: each worker
// needs some, and each of `slots` one (0: as few as there can be).
std::string way_out_of(const os::Error& error, unsigned workers, unsigned slots,
                       const std::string& otherwise);

}  // namespace dispatch::process
