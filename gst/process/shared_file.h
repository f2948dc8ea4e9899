// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The register behind shared_file_of(): which file a memory lies in.
//
// For: making a file known once, and finding it again from any GstMemory over
// it: by a note on the memory itself, else by the identity of the file; telling
// that one is gone. Not for: the memory (process/slot_memory).
// Thread: thread-safe functions.
#pragma once

#include "process/slots.h"

namespace dispatch::process {

// `memory` (transfer none, not shared yet) is all of a new file of ours.
void register_slot(GstMemory* memory, core::protocol::SlotClass slot_class);

class FileWatcher {
 public:
  virtual ~FileWatcher() = default;
  // There is no memory of that file (SharedFile::id) any more. On any thread,
  // but under no lock of the register.
  virtual void on_file_gone(std::uint64_t id) = 0;
};
// `watcher` is told of each file that goes from now on.
void watch_files(std::weak_ptr<FileWatcher> watcher);

// Lets go of the foreign files that are known without a memory of them here.
void forget_unused_files();

}  // namespace dispatch::process
