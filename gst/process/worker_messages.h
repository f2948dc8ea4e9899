// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What one worker process says over the socket, and what it asks there.
//
// For: taking each message of core/worker_protocol.h to where it belongs: its
// readiness, reports, messages for the bus, log lines, slots, and what its
// stage asks. Not for: the socket (process/channel), the answers about epochs
// and pads (process/stage_requests), what is asked of the worker
// (process/process_worker).
//
// Thread: messages on the thread of the IoThread, in order; requests on one of
// a pool, several at a time. It has no lock, and calls the others without one.
// Failure: a message that is known but cannot be read breaks the protocol: the
// field that is wrong is named, for the owner to end the worker.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "process/channel.h"
#include "process/job_exchange.h"
#include "process/lent_slots.h"
#include "process/process_host.h"
#include "process/process_life.h"
#include "process/report_reader.h"
#include "process/result_intake.h"
#include "process/stage_requests.h"

namespace dispatch::process {

class WorkerMessages {
 public:
  // The parts of the worker that its messages are for. Borrowed; they outlive
  // this.
  struct Parts {
    ProcessLife& life;
    JobExchange& exchange;
    ResultIntake& intake;
    LentSlots& slots;
    const ReportReader& reader;
    StageRequests& requests;
  };

  // `number`: of the worker, `name` with it: "worker0".
  WorkerMessages(const ProcessHost& host, unsigned number, std::string name,
                 const Parts& parts)
      : host_(host), number_(number), name_(std::move(name)), to_(parts) {}

  // A message or a request; what it returns is the reply to the latter.
  // `wrong`: the name of a field that is; else as it was.
  MessageFields take(const IncomingMessage& message, std::string& wrong);

 private:
  using Handler = MessageFields (WorkerMessages::*)(
      const IncomingMessage& message, std::string& wrong);
  struct Kind {
    core::protocol::MessageType type;
    Handler handler;
  };
  static const Kind kKinds[];
  // A message that `to_.requests` takes.
  template <auto kFunction>
  MessageFields pass_on(const IncomingMessage& message, std::string& wrong);

  MessageFields on_ready(const IncomingMessage& message, std::string& wrong);
  MessageFields on_report(const IncomingMessage& message, std::string& wrong);
  MessageFields on_inputs_released(const IncomingMessage& message,
                                   std::string& wrong);
  MessageFields on_bus(const IncomingMessage& message, std::string& wrong);
  MessageFields on_log(const IncomingMessage& message, std::string& wrong);
  MessageFields on_thread(const IncomingMessage& message, std::string& wrong);
  MessageFields on_need_slot(const IncomingMessage& request,
                             std::string& wrong);
  MessageFields on_pad_query(const IncomingMessage& request,
                             std::string& wrong);
  MessageFields on_pad_event(const IncomingMessage& request,
                             std::string& wrong);
  std::optional<stage::Problem> why_not_ready(
      const IncomingMessage& message) const;
  void say_no_slot(const os::Error& why) const;

  const ProcessHost& host_;
  const unsigned number_;
  const std::string name_;
  const Parts to_;
};

}  // namespace dispatch::process
