// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The jobs that one worker process has, from being handed over to being
// reported.
//
// For: commands out and reports back, in order, through the shared memory or,
// for a worker that takes them there, as messages; which jobs are in flight,
// flushed, or asking. The originals of the jobs stay here; only descriptors
// travel. Not for: what is in them (process/command_writer,
// process/report_reader), what a report is worth (process/result_intake), when
// the worker ends (process/process_life).
//
// Nothing that the process writes is trusted: reports are copied, then checked.
// Thread: thread-safe, but take_ended() on one thread at a time. Lock order:
// the locks of the dispatcher, then mutex_, then those of LentSlots,
// StageRequests, Channel and ProcessLife. mutex_ is not held while calling
// GStreamer, but for reading buffers, nor while memory is let go of.
// Failure: a report that breaks a rule ends its job without a result, and names
// the field; so do the jobs of a worker that is not believed, or gone, without
// a name.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "process/channel.h"
#include "process/command_writer.h"
#include "process/in_flight.h"
#include "process/process_life.h"
#include "process/worker_memory.h"
#include "stage/ptr.h"
#include "stage/workers.h"

namespace dispatch::process {

// A copy of what the worker wrote.
struct TakenReport {
  core::protocol::Report report;
  Bytes payload;
};

// A job that is over.
struct EndedJob {
  InFlight flight;
  std::optional<TakenReport> report;  // none: it has failed
  std::string wrong;                  // the field that broke a rule, if one did
};

class JobExchange {
 public:
  // Is to call on_heard(`number`) when all messages that have been sent before
  // now are handled. Called with the lock held: not at once.
  using HearFn = std::function<void(std::uint64_t number)>;

  // All are borrowed and outlive this. `bell` is rung when there may be
  // something to take that the worker has not rung for.
  JobExchange(SharedRegions& regions, Channel& channel, CommandWriter writer,
              const ProcessLife& life, stage::Reports& bell, HearFn hear)
      : regions_(regions),
        channel_(channel),
        life_(life),
        bell_(bell),
        hear_(std::move(hear)),
        writer_(std::move(writer)) {}

  // Before the first job.
  void set_transport(core::protocol::Transport transport);

  // Hands it over; if the worker is past reporting, the job only ends. False:
  // the worker cannot reach a memory of its frame.
  bool submit(stage::Job job);
  // Results of frames up to this one are not wanted any more.
  void abandon(core::Sequence sequence);
  // The jobs submitted so far may end with FLUSHING.
  void flush();
  bool is_flushed(std::uint64_t number) const;
  bool has_jobs() const;
  // How many commands there have been; their numbers begin with 1.
  std::uint64_t submitted() const;

  // Whether take_ended() would find something.
  bool has_ended() const;
  // The oldest job, if it is over.
  std::optional<EndedJob> take_ended();
  // A report, or what is too large for the shared memory, has come as a
  // message.
  void on_report(TakenReport report);
  void on_heard(std::uint64_t number);
  // The dispatcher is about to sleep on the bell, or awake again.
  void set_dispatcher_sleeps(bool sleeps);

  // The process is gone: the jobs that nobody will report any more, oldest
  // first.
  std::deque<InFlight> take_in_flight();

  // A question in the place of a frame. False: the worker has no such frame, or
  // has not waited for the answer to its last question. `asking` has what the
  // stage gave before, and what is needed to read more; `held` what that points
  // to.
  bool begin_question(core::Sequence sequence, InFlight& asking,
                      std::vector<MemoryPtr>& held);
  // What the question has not pushed, `so_far`, leaves with the report.
  void end_question(core::Sequence sequence, stage::Outputs so_far);

 private:
  bool hand_over_locked(InFlight& flight);
  std::optional<TakenReport> next_report_locked(std::string& wrong);
  bool take_payload_locked(TakenReport& taken, std::uint64_t entry,
                           std::string& wrong);
  bool has_heard_locked(std::uint64_t number);
  InFlight* find_flight_locked(core::Sequence sequence);

  SharedRegions& regions_;  // each word has one writer, see core/handshake.h
  Channel& channel_;
  const ProcessLife& life_;
  stage::Reports& bell_;
  const HearFn hear_;

  mutable std::mutex mutex_;
  // All under mutex_:
  CommandWriter writer_;
  core::protocol::Transport transport_ = core::protocol::Transport::kRing;
  std::deque<InFlight> in_flight_;
  bool is_asking_ = false;  // in the place of a frame
  std::uint64_t submitted_ = 0;
  std::uint64_t taken_ = 0;
  std::uint64_t flushed_ = 0;  // commands up to it may end with FLUSHING
  // What was said before the report of that command has been heard.
  std::uint64_t heard_ = 0;
  bool is_hearing_ = false;
  std::deque<TakenReport> message_reports_;  // of Transport::kMessages
  std::map<std::uint64_t, Bytes> late_payloads_;
};

}  // namespace dispatch::process
