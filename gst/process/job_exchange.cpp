// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/job_exchange.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "core/handshake.h"
#include "core/report_check.h"
#include "os/futex.h"

namespace dispatch::process {

namespace protocol = core::protocol;
using stage::Job;
using std::chrono::steady_clock;

namespace {

// It is read together with what was sent over the socket before it: its
// payload, or why the stage has failed.
bool needs_messages(const protocol::Report& report) {
  return (report.flags & protocol::kPayloadFollows) != 0 || report.flow < 0;
}

core::AwaitedReport awaited(const InFlight& flight) {
  return {.number = flight.number,
          .sequence = flight.job.sequence,
          .submitted_ns = core::to_ns(flight.submitted),
          .now_ns = core::to_ns(steady_clock::now())};
}

}  // namespace

void JobExchange::set_transport(protocol::Transport transport) {
  const std::lock_guard lock(mutex_);
  transport_ = transport;
}

// ---- The way out -----------------------------------------------------------

bool JobExchange::submit(Job job) {
  std::unique_lock lock(mutex_);
  InFlight& flight = in_flight_.emplace_back();
  flight.job = std::move(job);
  flight.number = ++submitted_;
  flight.submitted = steady_clock::now();
  if (!life_.may_report()) {
    flight.job.may_have_begun = false;
    lock.unlock();
    bell_.ring();
    return true;
  }
  auto& area =
      regions_.commands->payloads[(flight.number - 1) % protocol::kRingEntries];
  const bool is_reachable = writer_.write(flight, area);
  const bool has_to_wake = hand_over_locked(flight);
  // Not under the lock, which the one that waits for the report will need.
  lock.unlock();
  if (has_to_wake) os::futex_wake(regions_.commands->submitted);
  return is_reachable;
}

// Whether the worker sleeps and has to be woken.
bool JobExchange::hand_over_locked(InFlight& flight) {
  const bool has_overflowed = !flight.big.empty();
  protocol::Command command;
  command.number = flight.number;
  command.sequence = flight.job.sequence;
  if (flight.job.due) command.due_ns = core::to_ns(*flight.job.due);
  command.payload_bytes = static_cast<std::uint32_t>(flight.payload.size());
  if (flight.job.is_per_stream) command.flags |= protocol::kPerStream;
  const bool is_by_message = transport_ == protocol::Transport::kMessages;
  if (has_overflowed && !is_by_message)
    command.flags |= protocol::kPayloadFollows;
  if (has_overflowed || is_by_message) {
    MessageFields fields;
    fields.add_struct(protocol::kFieldDescriptor, command)
        .add_bytes(protocol::kFieldPayload, flight.payload);
    channel_.send(protocol::kMessageCommand, fields);
  }
  if (is_by_message) return false;
  command.messages = channel_.sent_messages();
  const std::uint64_t entry = (flight.number - 1) % protocol::kRingEntries;
  regions_.commands->commands[entry] = command;
  return core::publish(regions_.commands->submitted,
                       static_cast<std::uint32_t>(flight.number),
                       regions_.reports->worker_sleeps);
}

void JobExchange::abandon(core::Sequence sequence) {
  regions_.commands->abandoned_end.store(sequence + 1,
                                         std::memory_order_release);
}

void JobExchange::flush() {
  {
    const std::lock_guard lock(mutex_);
    flushed_ = submitted_;
  }
  channel_.send(protocol::kMessageFlush);
}

bool JobExchange::is_flushed(std::uint64_t number) const {
  const std::lock_guard lock(mutex_);
  return number <= flushed_;
}

bool JobExchange::has_jobs() const {
  const std::lock_guard lock(mutex_);
  return !in_flight_.empty();
}

std::uint64_t JobExchange::submitted() const {
  const std::lock_guard lock(mutex_);
  return submitted_;
}

void JobExchange::set_dispatcher_sleeps(bool sleeps) {
  if (sleeps)
    core::announce_sleep(regions_.commands->dispatcher_sleeps);
  else
    core::end_sleep(regions_.commands->dispatcher_sleeps);
}

// ---- The way back ----------------------------------------------------------

bool JobExchange::has_ended() const {
  const std::lock_guard lock(mutex_);
  if (in_flight_.empty()) return false;
  if (!life_.may_report() || !message_reports_.empty()) return true;
  return transport_ == protocol::Transport::kRing && !is_hearing_ &&
         regions_.reports->completed.load(std::memory_order_acquire) !=
             static_cast<std::uint32_t>(taken_);
}

std::optional<EndedJob> JobExchange::take_ended() {
  const std::lock_guard lock(mutex_);
  if (in_flight_.empty()) return std::nullopt;
  // Asked before it is looked: what a process wrote before it was gone is
  // there.
  const bool may_report = life_.may_report();
  EndedJob ended;
  if (life_.is_believed()) ended.report = next_report_locked(ended.wrong);
  if (ended.report)
    if (const char* field = core::check_report(ended.report->report,
                                               awaited(in_flight_.front())))
      ended.wrong = field;
  if (ended.wrong.empty() && !ended.report && may_report) return std::nullopt;
  if (!ended.wrong.empty()) ended.report.reset();
  ++taken_;
  ended.flight = std::move(in_flight_.front());
  in_flight_.pop_front();
  return ended;
}

// A copy of the next report, if it is there.
std::optional<TakenReport> JobExchange::next_report_locked(std::string& wrong) {
  if (!message_reports_.empty()) {
    TakenReport taken = std::move(message_reports_.front());
    message_reports_.pop_front();
    return taken;
  }
  if (transport_ == protocol::Transport::kMessages) return std::nullopt;
  const std::uint32_t available =
      regions_.reports->completed.load(std::memory_order_acquire) -
      static_cast<std::uint32_t>(taken_);
  if (available == 0) return std::nullopt;
  if (available > in_flight_.size()) {
    wrong = "completed";
    return std::nullopt;
  }
  const std::uint64_t entry = taken_ % protocol::kRingEntries;
  TakenReport taken;
  std::memcpy(&taken.report, &regions_.reports->reports[entry],
              sizeof taken.report);
  if (needs_messages(taken.report) &&
      !has_heard_locked(in_flight_.front().number))
    return std::nullopt;
  if (!take_payload_locked(taken, entry, wrong)) return std::nullopt;
  return taken;
}

bool JobExchange::take_payload_locked(TakenReport& taken, std::uint64_t entry,
                                      std::string& wrong) {
  if ((taken.report.flags & protocol::kPayloadFollows) != 0) {
    const auto found = late_payloads_.find(taken.report.number);
    if (found == late_payloads_.end()) {
      wrong = "payload";
      return false;
    }
    taken.payload = std::move(found->second);
    late_payloads_.erase(found);
    return true;
  }
  const std::size_t bytes = std::min<std::size_t>(taken.report.payload_bytes,
                                                  protocol::kPayloadBytes);
  const std::byte* from = regions_.reports->payloads[entry];
  taken.payload.assign(from, from + bytes);
  return true;
}

// Whether all is known that the worker said before the report of that command.
// If not, the bell rings when it is.
bool JobExchange::has_heard_locked(std::uint64_t number) {
  if (heard_ >= number || life_.is_gone()) return true;
  if (!std::exchange(is_hearing_, true)) hear_(number);
  return false;
}

void JobExchange::on_heard(std::uint64_t number) {
  {
    const std::lock_guard lock(mutex_);
    heard_ = number;
    is_hearing_ = false;
  }
  bell_.ring();
}

void JobExchange::on_report(TakenReport report) {
  {
    const std::lock_guard lock(mutex_);
    if (message_reports_.size() + late_payloads_.size() > in_flight_.size())
      return;
    if (transport_ == protocol::Transport::kMessages)
      message_reports_.push_back(std::move(report));
    else
      late_payloads_[report.report.number] = std::move(report.payload);
  }
  bell_.ring();
}

std::deque<InFlight> JobExchange::take_in_flight() {
  const std::lock_guard lock(mutex_);
  return std::exchange(in_flight_, {});
}

// ---- Questions -------------------------------------------------------------

InFlight* JobExchange::find_flight_locked(core::Sequence sequence) {
  const auto place = std::find_if(
      in_flight_.begin(), in_flight_.end(),
      [&](const InFlight& each) { return each.job.sequence == sequence; });
  return place != in_flight_.end() ? &*place : nullptr;
}

bool JobExchange::begin_question(core::Sequence sequence, InFlight& asking,
                                 std::vector<MemoryPtr>& held) {
  const std::lock_guard lock(mutex_);
  InFlight* flight = find_flight_locked(sequence);
  if (flight == nullptr || is_asking_) return false;
  is_asking_ = true;
  asking.job.sticky = flight->job.sticky;
  asking.job.is_per_stream = flight->job.is_per_stream;
  asking.inputs = flight->inputs;
  asking.so_far = std::exchange(flight->so_far, {});
  for (const InputMemory& input : flight->inputs)
    held.push_back(stage::share(input.memory));
  return true;
}

void JobExchange::end_question(core::Sequence sequence, stage::Outputs so_far) {
  const std::lock_guard lock(mutex_);
  is_asking_ = false;
  if (InFlight* flight = find_flight_locked(sequence))
    flight->so_far = std::move(so_far);
}

}  // namespace dispatch::process
