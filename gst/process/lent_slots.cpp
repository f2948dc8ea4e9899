// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/lent_slots.h"

#include <algorithm>
#include <utility>

#include "core/handshake.h"
#include "os/futex.h"
#include "os/unique_fd.h"

namespace dispatch::process {

namespace protocol = core::protocol;
using core::SlotName;
using core::SlotOwnership;

namespace {

void add_slot(MessageFields& fields, SlotName slot) {
  fields.add_number(protocol::kFieldSlot, slot.index);
  fields.add_number(protocol::kFieldGeneration, slot.generation);
}

// What `record` names of the slot of `memory` (transfer none). Parts of one
// memory may lie before it, too.
MemoryPtr part_of(GstMemory* memory, const protocol::MemoryRecord& record) {
  if (record.offset == memory->offset && record.bytes == memory->size)
    return stage::share(memory);
  return MemoryPtr(gst_memory_share(
      memory, static_cast<gssize>(record.offset - memory->offset),
      static_cast<gssize>(record.bytes)));
}

// The memory that was sent and holds all that `record` names: a file may be
// larger than what was sent of it.
const InputMemory* input_around(const protocol::MemoryRecord& record,
                                const std::vector<InputMemory>& inputs) {
  for (const InputMemory& input : inputs) {
    const bool is_named =
        input.slot == SlotName{record.slot, record.generation};
    const std::uint64_t start = input.memory->offset;
    if (is_named && record.offset >= start &&
        record.offset - start <= input.memory->size &&
        record.bytes <= input.memory->size - (record.offset - start))
      return &input;
  }
  return nullptr;
}

}  // namespace

NamedMemories::NamedMemories(const std::vector<InputMemory>& of_command)
    : inputs(of_command) {
  slots.inputs.reserve(inputs.size());
  for (const InputMemory& input : inputs) slots.inputs.push_back(input.slot);
}

void LentSlots::set_transport(protocol::Transport transport) {
  const std::lock_guard lock(mutex_);
  transport_ = transport;
}

// ---- Inputs ----------------------------------------------------------------

std::optional<protocol::MemoryRecord> LentSlots::name_input(GstMemory* memory,
                                                            bool is_exclusive) {
  const std::shared_ptr<const SharedFile> file = shared_file_of(memory);
  if (!file) return std::nullopt;
  protocol::MemoryRecord record;
  {
    const std::lock_guard lock(mutex_);
    const SlotName slot = slot_of_locked(file, memory);
    record.slot = slot.index;
    record.generation = slot.generation;
  }
  record.offset = memory->offset;
  record.bytes = memory->size;
  if (is_exclusive && may_write_inputs_ &&
      file->slot_class == protocol::SlotClass::kInPlace)
    record.flags = protocol::kWritable;
  return record;
}

// The worker maps a file once, when it first lies in a frame for it.
SlotName LentSlots::slot_of_locked(
    const std::shared_ptr<const SharedFile>& file, GstMemory* memory) {
  const auto found = files_.find(file->id);
  if (found != files_.end()) return found->second;
  const SlotName slot =
      *ownership_.give(SlotOwnership::SlotKind::kInput, file->bytes);
  files_[file->id] = slot;
  // A result of another element's is an input here.
  const bool is_in_place =
      may_write_inputs_ && file->slot_class == protocol::SlotClass::kInPlace;
  send_slot_locked(
      slot,
      is_in_place ? protocol::SlotClass::kInPlace : protocol::SlotClass::kInput,
      file->bytes, gst_fd_memory_get_fd(memory));
  return slot;
}

void LentSlots::on_file_gone(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto file = files_.find(id);
  if (file == files_.end()) return;
  MessageFields fields;
  add_slot(fields, file->second);
  channel_.send(protocol::kMessageSlotGone, fields);
  ownership_.take_back(file->second);
  files_.erase(file);
}

void LentSlots::send_slot_locked(SlotName slot, protocol::SlotClass slot_class,
                                 std::uint64_t bytes, int fd) {
  MessageFields fields;
  add_slot(fields, slot);
  fields.add_number(protocol::kFieldBytes, bytes)
      .add_number(protocol::kFieldSlotClass,
                  static_cast<std::uint64_t>(slot_class));
  channel_.send(protocol::kMessageSlot, fields, std::span(&fd, 1));
}

// ---- Results ---------------------------------------------------------------

bool LentSlots::add_result_slot(std::uint64_t bytes, os::Error& why) {
  const auto name = std::make_shared<SlotName>();  // when it has one
  const std::weak_ptr<LentSlots> weak = weak_from_this();
  std::unique_ptr<SlotStore::ResultSlot> made = store_.make_result_slot(
      worker_, bytes,
      [weak, name] {
        if (const auto self = weak.lock()) self->on_released(*name);
      },
      why);
  const std::lock_guard lock(mutex_);
  was_refused_ = !made && store_.has_room_for_result(worker_, bytes);
  if (!made) return false;
  const std::optional<SlotName> slot =
      is_closed_
          ? std::nullopt
          : ownership_.give(SlotOwnership::SlotKind::kResult, made->bytes());
  if (!slot) {
    why.what = "the worker has as many result slots as there can be";
    return false;
  }
  store_.budget().on_free(worker_, made->bytes());
  *name = *slot;
  send_slot_locked(*slot, protocol::SlotClass::kResult, made->bytes(),
                   made->fd());
  results_[slot->index] = std::move(made);
  return true;
}

void LentSlots::take_back(const std::vector<SlotName>& slots) {
  std::vector<std::unique_ptr<SlotStore::ResultSlot>> unused;
  const std::lock_guard lock(mutex_);
  for (const SlotName slot : slots) {
    const auto found = results_.find(slot.index);
    if (found == results_.end() ||
        ownership_.owner(slot) != SlotOwnership::Owner::kWorker)
      continue;
    store_.budget().on_used(worker_, found->second->bytes());
    unused.push_back(std::move(found->second));
    results_.erase(found);
    ownership_.take_back(slot);
  }
}

bool LentSlots::has_result_slots() const {
  const std::lock_guard lock(mutex_);
  return !results_.empty();
}

bool LentSlots::is_starved() const {
  const std::lock_guard lock(mutex_);
  if (results_.empty() || ownership_.result_slots_at_worker() != 0)
    return false;
  const SlotStore::ResultSlot& slot = *results_.begin()->second;
  return was_refused_ ||
         ownership_.result_slots() == protocol::kMaxResultSlots ||
         !store_.has_room_for_result(worker_, slot.bytes()) ||
         !os::UniqueFd::duplicate(slot.fd());
}

MemoryPtr LentSlots::use(const protocol::MemoryRecord& record,
                         NamedMemories& report, std::string& wrong) {
  {
    const std::lock_guard lock(mutex_);
    if (const char* field = ownership_.check_use(record, report.slots)) {
      wrong = field;
      return nullptr;
    }
  }
  const std::vector<SlotName>& results = report.slots.results;
  const bool is_result =
      std::find(results.begin(), results.end(),
                SlotName{record.slot, record.generation}) != results.end();
  if (is_result) return use_result(record, report);
  const InputMemory* input = input_around(record, report.inputs);
  if (input == nullptr) {
    wrong = "offset";
    return nullptr;
  }
  return part_of(input->memory, record);
}

// The slot is downstream's: nobody takes it back before that is released.
MemoryPtr LentSlots::use_result(const protocol::MemoryRecord& record,
                                NamedMemories& report) {
  MemoryPtr& first = report.results[record.slot];
  if (first) return part_of(first.get(), record);
  SlotStore::ResultSlot* slot = nullptr;
  {
    const std::lock_guard lock(mutex_);
    slot = results_.at(record.slot).get();
    store_.budget().on_used(worker_, slot->bytes());
  }
  first = slot->hand_out(record.offset, record.bytes);
  return stage::share(first.get());
}

// On any thread: the last user has let go of the memory.
void LentSlots::on_released(SlotName slot) {
  const std::lock_guard lock(mutex_);
  if (is_closed_ || ownership_.owner(slot) != SlotOwnership::Owner::kDownstream)
    return;
  ownership_.release(slot);
  store_.budget().on_free(worker_, results_.at(slot.index)->bytes());
  if (transport_ == protocol::Transport::kMessages) {
    MessageFields fields;
    add_slot(fields, slot);
    channel_.send(protocol::kMessageReleased, fields);
    return;
  }
  commands_->released_slots[released_ % protocol::kMaxResultSlots] = slot.index;
  if (core::publish(commands_->released, ++released_,
                    reports_->worker_awaits_slot))
    os::futex_wake(commands_->released);
}

void LentSlots::close() {
  std::map<std::uint32_t, std::unique_ptr<SlotStore::ResultSlot>> results;
  const std::lock_guard lock(mutex_);
  if (!std::exchange(is_closed_, true)) store_.budget().leave(worker_);
  results.swap(results_);
  files_.clear();
}

}  // namespace dispatch::process
