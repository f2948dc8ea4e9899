// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The thread of a worker process that runs the stage.
//
// For: taking commands from shared memory, running each through the copy of the
// stage, reporting. Sleeps when there is nothing to do. Not for: messages
// (process/worker_program).
// Thread: its own; the methods are thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "process/channel.h"
#include "process/command_reader.h"
#include "process/remote_surroundings.h"
#include "process/report_writer.h"
#include "process/worker_slots.h"
#include "stage/stage_copy.h"

namespace dispatch::process {

// What the dispatcher shares, as mapped here.
struct WorkerRegions {
  const core::protocol::CommandRegion* commands = nullptr;
  core::protocol::ReportRegion* reports = nullptr;
  core::protocol::Bell* bell = nullptr;
};

class CommandLoop {
 public:
  // All are borrowed and outlive this.
  CommandLoop(const WorkerRegions& regions, std::shared_ptr<Channel> channel,
              stage::StageCopy& copy, WorkerSlots& slots, ReportWriter& writer,
              RemoteSurroundings& surroundings, core::Duration spin);
  ~CommandLoop();  // ends the thread; the stage must not block any more

  // `on_first_report`: on the thread, when the stage has chosen its caps.
  void start(std::function<void()> on_first_report);
  // The payload of a command that was too large for shared memory.
  void on_payload(std::uint64_t number, Bytes payload);
  // Messages have been handled.
  void on_messages();

 private:
  void run();
  bool wait_for_command();
  bool is_worth_sleeping() const;
  void run_one(const core::protocol::Command& command);
  bool wait_for_messages(std::uint64_t count);
  std::optional<Bytes> late_payload(std::uint64_t number);
  void give_up(stage::JobResult& result);
  void report(const core::protocol::Command& command, stage::JobResult& result,
              stage::Job& job);

  const WorkerRegions regions_;
  const std::shared_ptr<Channel> channel_;
  stage::StageCopy& copy_;
  WorkerSlots& slots_;
  ReportWriter& writer_;
  RemoteSurroundings& surroundings_;
  const core::Duration spin_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, Bytes> payloads_;  // under mutex_
  std::atomic<bool> is_stopping_{false};
  std::atomic<bool> has_ended_{false};
  std::thread thread_;

  // Of the thread:
  std::function<void()> on_first_report_;
  std::uint64_t taken_ = 0;
  CommandReader reader_;
  std::shared_ptr<InputHold> hold_;  // of the command
};

}  // namespace dispatch::process
