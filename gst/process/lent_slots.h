// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The slots of one worker process, as the dispatcher keeps book of them.
//
// For: telling the worker of slots, once each; making result slots for it;
// judging which slots a report may name; giving results back to the worker when
// downstream has let go of them. Not for: the record itself
// (core/slot_ownership), the memory (process/slots).
// Thread: thread-safe. Lock order: its own mutex, then the channel's. It is not
// held while memory is let go of, which comes back here.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/slot_ownership.h"
#include "process/channel.h"
#include "process/in_flight.h"
#include "process/shared_file.h"
#include "process/slots.h"
#include "process/worker_memory.h"

namespace dispatch::process {

// What a report names, from its first memory to its last one.
struct NamedMemories {
  explicit NamedMemories(const std::vector<InputMemory>& of_command);

  const std::vector<InputMemory>& inputs;  // borrowed: of its command
  core::ReportedSlots slots;
  // Result slots by index: the memory that was handed out for the first part of
  // it; the others are parts of that one.
  std::map<std::uint32_t, MemoryPtr> results;
};

class LentSlots final : public FileWatcher,
                        public std::enable_shared_from_this<LentSlots> {
 public:
  // All are borrowed and outlive this, but for released memory that comes back
  // after close(). `worker`: its number.
  LentSlots(unsigned worker, SlotStore& store, Channel& channel,
            SharedCommands& commands, SharedReports& reports,
            bool may_write_inputs)
      : worker_(worker),
        store_(store),
        channel_(channel),
        commands_(commands),
        reports_(reports),
        may_write_inputs_(may_write_inputs) {
    store_.budget().join(worker_);
  }

  // Before the first command.
  void set_transport(core::protocol::Transport transport);

  // Where `memory` (transfer none) lies for the worker, which is told if it did
  // not know; nothing if it cannot reach it. `is_exclusive`: nobody would see
  // what the stage writes into it.
  std::optional<core::protocol::MemoryRecord> name_input(GstMemory* memory,
                                                         bool is_exclusive);

  // One more result slot of at least `bytes`. False: `why` says it.
  bool add_result_slot(std::uint64_t bytes, os::Error& why);
  // The worker does not want them any more; what is not its own stays.
  void take_back(const std::vector<core::SlotName>& slots);
  bool has_result_slots() const;
  // The next frame of the worker would find no result slot, and no new one can
  // be made: a bound is reached, or no file can be opened.
  bool is_starved() const;

  // The memory that a report names. Null: `wrong` names the wrong field.
  MemoryPtr use(const core::protocol::MemoryRecord& record,
                NamedMemories& report, std::string& wrong);

  // The worker is told at once: while it has the file mapped, its pages are in
  // use, whatever is counted here.
  void on_file_gone(std::uint64_t id) override;

  // The worker is gone. What downstream still has stays downstream's.
  void close();

 private:
  core::SlotName slot_of_locked(const std::shared_ptr<const SharedFile>& file,
                                GstMemory* memory);
  void send_slot_locked(core::SlotName slot,
                        core::protocol::SlotClass slot_class,
                        std::uint64_t bytes, int fd);
  MemoryPtr use_result(const core::protocol::MemoryRecord& record,
                       NamedMemories& report);
  void on_released(core::SlotName slot);

  const unsigned worker_;
  SlotStore& store_;
  Channel& channel_;
  SharedCommands& commands_;
  SharedReports& reports_;
  const bool may_write_inputs_;
  mutable std::mutex mutex_;
  // All under mutex_:
  bool is_closed_ = false;
  core::protocol::Transport transport_ = core::protocol::Transport::kRing;
  core::SlotOwnership ownership_;
  std::map<std::uint64_t, core::SlotName> files_;  // by SharedFile::id
  std::map<std::uint32_t, std::unique_ptr<SlotStore::ResultSlot>> results_;
  std::uint32_t released_ = 0;
  bool was_refused_ = false;  // the last slot, although there was room
};

}  // namespace dispatch::process
