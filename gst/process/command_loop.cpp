// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/command_loop.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/handshake.h"
#include "os/futex.h"
#include "process/fault_point.h"

// Also of command_reader.cpp.
GST_DEBUG_CATEGORY(command_loop_debug);
#define GST_CAT_DEFAULT command_loop_debug

namespace dispatch::process {

namespace protocol = core::protocol;
using stage::Job;
using stage::JobResult;
using std::chrono::steady_clock;

CommandLoop::CommandLoop(const WorkerRegions& regions,
                         std::shared_ptr<Channel> channel,
                         stage::StageCopy& copy, WorkerSlots& slots,
                         ReportWriter& writer, RemoteSurroundings& surroundings,
                         core::Duration spin)
    : regions_(regions),
      channel_(std::move(channel)),
      copy_(copy),
      slots_(slots),
      writer_(writer),
      surroundings_(surroundings),
      spin_(spin),
      reader_(channel_, slots) {
  GST_DEBUG_CATEGORY_INIT(command_loop_debug, "dispatchcommands", 0,
                          "what a worker process is told to do");
}

CommandLoop::~CommandLoop() {
  is_stopping_ = true;
  {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  if (!thread_.joinable()) return;
  // It may be about to sleep.
  while (!has_ended_) {
    os::futex_wake(regions_.commands->submitted);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  thread_.join();
}

void CommandLoop::start(std::function<void()> on_first_report) {
  on_first_report_ = std::move(on_first_report);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "shmd:stage");
    run();
    has_ended_ = true;
  });
}

void CommandLoop::on_payload(std::uint64_t number, Bytes payload) {
  const std::lock_guard lock(mutex_);
  payloads_[number] = std::move(payload);
}

void CommandLoop::on_messages() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

// ---- Waiting ---------------------------------------------------------------

void CommandLoop::run() {
  while (wait_for_command()) {
    const protocol::Command command =
        regions_.commands->commands[taken_ % protocol::kRingEntries];
    ++taken_;
    pass(FaultPoint::kCommandTaken);
    run_one(command);
    if (on_first_report_) std::exchange(on_first_report_, nullptr)();
  }
}

bool CommandLoop::is_worth_sleeping() const {
  const auto nothing_new = [&] {
    return regions_.commands->submitted.load(std::memory_order_acquire) ==
               static_cast<std::uint32_t>(taken_) &&
           !is_stopping_;
  };
  if (spin_ > core::Duration::zero()) {
    const auto end = steady_clock::now() + spin_;
    while (nothing_new() && steady_clock::now() < end) continue;
  }
  return nothing_new();
}

bool CommandLoop::wait_for_command() {
  while (is_worth_sleeping()) {
    core::announce_sleep(regions_.reports->worker_sleeps);
    pass(FaultPoint::kIdle);
    os::futex_wait(regions_.commands->submitted,
                   static_cast<std::uint32_t>(taken_));
    core::end_sleep(regions_.reports->worker_sleeps);
  }
  return !is_stopping_;
}

// What was sent before a command is on its way, over the socket.
bool CommandLoop::wait_for_messages(std::uint64_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return is_stopping_ || channel_->handled_messages() >= count;
  });
  return !is_stopping_;
}

std::optional<Bytes> CommandLoop::late_payload(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = payloads_.find(number);
  if (found == payloads_.end()) return std::nullopt;
  Bytes payload = std::move(found->second);
  payloads_.erase(found);
  return payload;
}

// ---- Reading ---------------------------------------------------------------

void CommandLoop::run_one(const protocol::Command& command) {
  if (!wait_for_messages(command.messages)) return;
  std::optional<Bytes> late;
  std::span<const std::byte> payload(
      regions_.commands
          ->payloads[(command.number - 1) % protocol::kRingEntries]);
  if ((command.flags & protocol::kPayloadFollows) != 0) {
    late = late_payload(command.number);
    payload =
        late ? std::span<const std::byte>(*late) : std::span<const std::byte>();
  } else {
    payload = payload.first(command.payload_bytes);
  }
  slots_.interrupt(false);
  slots_.take_released();
  if (!hold_) hold_ = std::make_shared<InputHold>(channel_);
  hold_->number = command.number;

  Job job;
  JobResult result;
  const bool is_whole = reader_.read(payload, hold_, job);
  job.sequence = command.sequence;
  job.is_per_stream = (command.flags & protocol::kPerStream) != 0;
  if (command.due_ns != protocol::kNoDueTime)
    job.due = core::monotonic_from_ns(command.due_ns);
  if (is_whole && job.sticky) {
    surroundings_.begin(reader_.epoch_id(), job.query.get());
    copy_.run(job, result);
    pass(FaultPoint::kStageDone);
  } else {
    GST_ELEMENT_ERROR(copy_.bin(), RESOURCE, READ,
                      ("Frame %" G_GUINT64_FORMAT
                       " cannot be read: its memory cannot be reached here.",
                       command.sequence),
                      ("This process may have no descriptor or address space "
                       "left for one more slot: see 'ulimit -n' and 'ulimit "
                       "-v'; its debug log says which slot it was."));
    result.flow = GST_FLOW_ERROR;
    result.start = result.end = steady_clock::now();
  }
  report(command, result, job);
}

// ---- Reporting -------------------------------------------------------------

// No shared memory was to be had, or nobody wants the frame any more.
void CommandLoop::give_up(JobResult& result) {
  const bool is_flushed = slots_.is_interrupted();
  if (!is_flushed)
    GST_ELEMENT_ERROR(
        copy_.bin(), RESOURCE, NO_SPACE_LEFT,
        ("There is no shared memory for all that the stage makes of a frame."),
        ("Give the element more with the property 'max-bytes', or fewer frames "
         "at a time with 'max-buffers' or 'max-workers'."));
  result.outputs.clear();
  if (result.flow == GST_FLOW_OK)
    result.flow = is_flushed ? GST_FLOW_FLUSHING : GST_FLOW_ERROR;
}

void CommandLoop::report(const protocol::Command& command, JobResult& result,
                         Job& job) {
  if (!writer_.bring_in(result.outputs)) give_up(result);
  const std::uint64_t entry = (command.number - 1) % protocol::kRingEntries;
  const auto write = [&](std::span<std::byte> space) {
    core::FieldWriter to(space);
    writer_.write(result.outputs, to);
    if (result.answer)
      to.add(protocol::kQuery,
             std::span<const std::byte>(encode_query(result.answer.get())));
    return to;
  };
  const core::FieldWriter written = write(regions_.reports->payloads[entry]);

  protocol::Report report;
  report.number = command.number;
  report.sequence = command.sequence;
  report.start_ns = core::to_ns(result.start);
  report.end_ns = core::to_ns(result.end);
  report.flow = std::min(result.flow, GST_FLOW_OK);  // a success is one
  report.payload_bytes = static_cast<std::uint32_t>(written.needed());
  const WorkerSlots::Copies copies = slots_.take_copies();
  report.copied_buffers = copies.buffers;
  report.copied_bytes = copies.bytes;
  if (written.has_overflowed()) {
    Bytes payload(written.needed());
    write(payload);
    report.flags |= protocol::kPayloadFollows;
    MessageFields fields;
    fields.add_struct(protocol::kFieldDescriptor, report)
        .add_bytes(protocol::kFieldPayload, payload);
    channel_->send(protocol::kMessageReport, fields);
  }
  writer_.give_up(result.outputs);
  job = Job();
  if (hold_.use_count() > 1) {  // an element of the stage keeps its input
    report.flags |= protocol::kKeepsInputs;
    hold_->is_reported = true;
  }
  regions_.reports->reports[entry] = report;
  pass(FaultPoint::kBeforeReport);
  const bool has_to_ring = core::publish(
      regions_.reports->completed, static_cast<std::uint32_t>(command.number),
      regions_.commands->dispatcher_sleeps);
  pass(FaultPoint::kReported);
  if (has_to_ring) {
    regions_.bell->rings.fetch_add(1, std::memory_order_acq_rel);
    os::futex_wake(regions_.bell->rings);
  }
  if (hold_->is_reported) hold_.reset();  // else it serves again
}

}  // namespace dispatch::process
