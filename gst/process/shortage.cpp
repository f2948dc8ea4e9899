// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/shortage.h"

#include <cerrno>

#include "os/file_limit.h"

namespace dispatch::process {

const char kMoreMemory[] =
    "Give the element more with the property 'max-bytes', or fewer frames at a "
    "time with 'max-buffers' or 'max-workers'.";

namespace {

// Commands, reports, the socket, the descriptor of the process, and what it
// writes to its standard error.
constexpr unsigned kFilesOfAWorker = 5;
// The bell, the thread of messages, the pool, and one that is on its way.
constexpr unsigned kFilesOfAnElement = 4;

std::string more_files(unsigned workers, unsigned slots) {
  const unsigned needed = kFilesOfAnElement + workers * kFilesOfAWorker + slots;
  return "This process may have " + std::to_string(os::open_files_limit()) +
         " files open (RLIMIT_NOFILE, ulimit -n). The element needs " +
         std::to_string(kFilesOfAWorker) + " for each of " +
         std::to_string(workers) + " workers, " +
         std::to_string(kFilesOfAnElement) +
         " more, and one for each frame and result in shared memory: at "
         "least " +
         std::to_string(needed) +
         " beside those of the rest of the process. Frames and results take no "
         "more than a quarter of the limit. Raise it, or set "
         "'max-workers' and 'max-buffers' lower.";
}

// A frame on its way in, and a result, of each; and one that waits.
unsigned fewest_slots(unsigned workers) { return 2 * workers + 1; }

}  // namespace

std::string way_out_of(const os::Error& error, unsigned workers, unsigned slots,
                       const std::string& otherwise) {
  if (error.code != EMFILE) return otherwise;
  return more_files(workers, slots != 0 ? slots : fewest_slots(workers));
}

}  // namespace dispatch::process
