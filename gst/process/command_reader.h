// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The payload of a command, as a job for the stage.
//
// For: what the dispatcher writes (process/command_writer), read in the worker
// process: frames over the memory of slots, events, queries, and the state that
// holds from then on. The dispatcher is trusted. Not for: running the job
// (process/command_loop).
// Thread: the thread in the stage.
#pragma once

#include <atomic>
#include <map>
#include <memory>

#include "process/channel.h"
#include "process/frame_codec.h"
#include "process/remote_surroundings.h"
#include "process/worker_slots.h"
#include "stage/worker.h"

namespace dispatch::process {

// What the memories of a command's inputs hold on to, each. When the last has
// let go of it after the report, which has said that the stage keeps some, the
// dispatcher is told.
struct InputHold {
  std::shared_ptr<Channel> channel;
  std::uint64_t number = 0;  // of the command
  std::atomic<bool> is_reported{false};

  explicit InputHold(std::shared_ptr<Channel> to) : channel(std::move(to)) {}
  ~InputHold();
};

class CommandReader {
 public:
  // `slots` is borrowed and outlives this.
  CommandReader(std::shared_ptr<Channel> channel, WorkerSlots& slots)
      : channel_(std::move(channel)), slots_(slots) {}

  // Fills what the payload says of `job`; its memories hold on to `hold`, and
  // nothing else here does. False: a memory is not there.
  bool read(std::span<const std::byte> payload,
            const std::shared_ptr<InputHold>& hold, stage::Job& job);
  // Of the state that holds.
  std::uint64_t epoch_id() const { return epoch_->id(); }

 private:
  void read_state(std::span<const std::byte> state);
  bool read_frame(const ParsedFrame& parsed,
                  const std::shared_ptr<InputHold>& hold, stage::Job& job);
  BufferPtr read_buffer(const ParsedBuffer& parsed,
                        const std::shared_ptr<InputHold>& hold);

  const std::shared_ptr<Channel> channel_;
  WorkerSlots& slots_;
  std::shared_ptr<const stage::StickyState> sticky_;
  std::shared_ptr<RemoteEpoch> epoch_;
  std::map<std::uint64_t, stage::EventPtr> events_;  // by their ids
};

}  // namespace dispatch::process
