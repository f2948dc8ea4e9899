// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Who has which slot of one worker.
//
//                    give()                report_use()
//     [none] --------------> at the worker -------------> with downstream
//        ^                     |    ^                          |
//        |   take_back()       |    |        release()         |
//        +---------------------+    +--------------------------+
//
// Kept in the dispatcher's own memory: a worker that dies, or lies, changes
// nothing in it. An index is used again with the next generation, so that a
// slot of long ago is never taken for the one of today.
//
// For: the record, and the verdict on what a worker says about its slots.
// Not for: the memory (process/slots). Thread: confined.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/worker_protocol.h"

namespace dispatch::core {

struct SlotName {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  bool operator==(const SlotName&) const = default;
};

// What one report may name, and has named.
struct ReportedSlots {
  std::vector<SlotName> inputs;   // of its command
  std::vector<SlotName> results;  // so far
};

class SlotOwnership {
 public:
  enum class Owner { kNobody, kWorker, kDownstream };
  enum class SlotKind { kInput, kResult };

  // A new slot of `bytes`, owned by the worker if it is a result slot. Nothing
  // if there can be no more of them.
  std::optional<SlotName> give(SlotKind kind, std::uint64_t bytes);
  // The slot is no more; its index may be used again.
  void take_back(SlotName slot);

  // A report names `memory` as what came out of the stage. Which of its fields
  // is wrong, or null: then a result slot is downstream's from now on, and one
  // of the report's `results`. Of those, and of its `inputs`, it may name as
  // many parts as it likes.
  const char* check_use(const protocol::MemoryRecord& memory,
                        ReportedSlots& report);
  // Downstream does not need the result any more: it is the worker's again.
  void release(SlotName slot);

  Owner owner(SlotName slot) const;
  unsigned result_slots() const { return result_slots_; }
  unsigned result_slots_at_worker() const { return at_worker_; }

 private:
  struct Slot {
    std::uint32_t generation = 0;
    std::uint64_t bytes = 0;
    SlotKind kind{};
    Owner owner = Owner::kNobody;
    bool exists = false;
  };
  bool exists(SlotName slot) const;
  static bool is_free(const Slot& slot);

  std::vector<Slot> slots_;  // by index
  unsigned result_slots_ = 0;
  unsigned at_worker_ = 0;
};

}  // namespace dispatch::core
