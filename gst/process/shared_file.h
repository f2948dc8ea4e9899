// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The register behind shared_file_of(): which file a memory lies in.
//
// For: making a file known once, and finding it again from any GstMemory over
// it: by a note on the memory itself, else by the identity of the file. Not
// for: the memory (process/slot_memory).
// Thread: thread-safe functions.
#pragma once

#include "process/slots.h"

namespace dispatch::process {

// `memory` (transfer none, not shared yet) is all of a new file of ours.
void register_slot(GstMemory* memory, core::protocol::SlotClass slot_class);

// Lets go of the foreign files that are known without a memory of them here.
void forget_unused_files();

}  // namespace dispatch::process
