// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How a frame is handed to a stage when its original may still be needed.
//
// For: a bypass needs the original unchanged. Holding a reference is enough for
// a stage that makes new buffers; a stage that writes in place would then copy
// into fresh memory, 25 times dearer than copying into memory that was touched
// before. So which kind of stage it is gets learned from its first two results:
//   1. hand over the original, shared. The same memory comes back: the stage
//      did not write; sharing costs nothing.
//   2. Else hand over a copy in recycled memory. The copy's memory comes back:
//      the stage writes in place; copy from now on. Else it makes new buffers;
//      share from now on.
// Not for: copying. Thread: thread-safe (one atomic state; a lost update costs
// one more probe).
#pragma once

#include <atomic>
#include <cstdint>

namespace dispatch::core {

enum class HandOver : std::uint8_t {
  kShared,  // the original, with a reference kept
  kCopy,    // a copy in recycled memory
};

class OriginalKeeping {
 public:
  HandOver decide() const;

  // What came back for a frame that was handed over so: `same_memory` is
  // whether the first result holds memory of what was handed over. Not called
  // for frames without a result.
  void on_result(HandOver how, bool same_memory);

  // New caps or a renegotiation: learn again.
  void reset();

 private:
  enum class State : std::uint8_t {
    kUnknown,       // share and look
    kProbe,         // copy and look
    kMakesNew,      // share
    kWritesInPlace  // copy
  };
  std::atomic<State> state_{State::kUnknown};
};

}  // namespace dispatch::core
