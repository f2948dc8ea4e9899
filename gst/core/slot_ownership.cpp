// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/slot_ownership.h"

#include <algorithm>
#include <limits>

namespace dispatch::core {

namespace {

bool has(const std::vector<SlotName>& names, SlotName name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::optional<SlotName> SlotOwnership::give(SlotKind kind,
                                            std::uint64_t bytes) {
  const bool is_result = kind == SlotKind::kResult;
  if (is_result && result_slots_ == protocol::kMaxResultSlots)
    return std::nullopt;

  auto slot = std::find_if(slots_.begin(), slots_.end(), is_free);
  if (slot == slots_.end()) slot = slots_.emplace(slot);
  *slot = {.generation = slot->generation + 1,
           .bytes = bytes,
           .kind = kind,
           .owner = is_result ? Owner::kWorker : Owner::kNobody,
           .exists = true};
  if (is_result) {
    ++result_slots_;
    ++at_worker_;
  }
  return SlotName{.index = static_cast<std::uint32_t>(slot - slots_.begin()),
                  .generation = slot->generation};
}

void SlotOwnership::take_back(SlotName name) {
  if (!exists(name)) return;
  Slot& slot = slots_[name.index];
  if (slot.kind == SlotKind::kResult) --result_slots_;
  if (slot.owner == Owner::kWorker) --at_worker_;
  slot.owner = Owner::kNobody;
  slot.exists = false;
}

const char* SlotOwnership::check_use(const protocol::MemoryRecord& memory,
                                     ReportedSlots& report) {
  const SlotName name{.index = memory.slot, .generation = memory.generation};
  if (name.index >= slots_.size()) return "slot";
  if (!exists(name)) return "generation";
  Slot& slot = slots_[name.index];
  const bool is_new_result =
      slot.kind == SlotKind::kResult && slot.owner == Owner::kWorker;
  const bool may_use =
      is_new_result || has(report.inputs, name) || has(report.results, name);
  if (!may_use) return "owner";
  if (memory.offset > slot.bytes) return "offset";
  if (memory.bytes > slot.bytes - memory.offset) return "bytes";

  if (is_new_result) {
    slot.owner = Owner::kDownstream;
    --at_worker_;
    report.results.push_back(name);
  }
  return nullptr;
}

void SlotOwnership::release(SlotName name) {
  if (owner(name) != Owner::kDownstream) return;
  slots_[name.index].owner = Owner::kWorker;
  ++at_worker_;
}

SlotOwnership::Owner SlotOwnership::owner(SlotName name) const {
  return exists(name) ? slots_[name.index].owner : Owner::kNobody;
}

bool SlotOwnership::exists(SlotName name) const {
  return name.index < slots_.size() && slots_[name.index].exists &&
         slots_[name.index].generation == name.generation;
}

// An index whose generations are used up stays unused.
bool SlotOwnership::is_free(const Slot& slot) {
  return !slot.exists &&
         slot.generation != std::numeric_limits<std::uint32_t>::max();
}

}  // namespace dispatch::core
