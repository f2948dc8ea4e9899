// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A worker that is a process.
//
// For: one worker program from its start to its end: its parts put together,
// what the dispatcher asks of it, and what its end means. Not for: choosing
// what to run (dispatcher), other workers (process/process_workers), its jobs
// (process/job_exchange), what a report is worth (process/result_intake), what
// it says and asks (process/worker_messages).
//
// Thread: thread-safe, but take_reports() on one thread at a time; messages are
// handled on the thread of the IoThread. It has no lock; its parts have.
// Ownership: it has the process, the memory shared with it and all parts, which
// borrow each other.
// Failure: a process that dies, is killed or breaks a rule is lost: its jobs go
// back to the listener, and the WorkersHost is told when it is gone. One that
// cannot be served for want of descriptors is ended, and the WorkersHost told
// at once.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "process/channel.h"
#include "process/error_output.h"
#include "process/job_exchange.h"
#include "process/lent_slots.h"
#include "process/process_host.h"
#include "process/process_life.h"
#include "process/report_reader.h"
#include "process/result_intake.h"
#include "process/stage_requests.h"
#include "process/worker_memory.h"
#include "process/worker_messages.h"
#include "stage/workers.h"

namespace dispatch::process {

struct ProcessWorkerSetup {
  unsigned number = 0;
  std::vector<std::string> command;  // of the worker program
  std::string description;           // of the stage
  bool may_write_inputs = false;
  core::Duration spin{};
  // What has been set on the elements of the stage, as text.
  struct Property {
    std::string element;
    std::string property;
    std::string value;
  };
  std::vector<Property> properties;
};

class ProcessWorker final : public stage::Worker,
                            public std::enable_shared_from_this<ProcessWorker> {
 public:
  // The process runs, and is being set up.
  static os::Result<std::shared_ptr<ProcessWorker>> start(
      const ProcessHost& host, const ProcessWorkerSetup& setup,
      std::shared_ptr<stage::Negotiation> negotiation);
  ~ProcessWorker() override;

  // Waits until it is ready, or says why it is not.
  std::optional<stage::Problem> wait_ready(core::MonotonicTime until) {
    return life_.wait_ready(until);
  }
  // It is ready, and its end is a loss from now on. Or why it is not.
  std::optional<stage::Problem> begin_service() {
    return life_.begin_service();
  }
  // Ends the wait for a process that starts: that is why it is not ready.
  void refuse(const stage::Problem& problem) { life_.on_ready(problem); }
  // Asks an idle process to end; kills a busy one. Its end is no problem.
  void begin_close();
  // Waits until it is gone; what takes longer than `until` is killed, and what
  // does not go even then is left behind, with all that it may still touch.
  // What it still asks is waited for.
  void finish_close(core::MonotonicTime until);
  // The same while the stream plays: what it has goes back to the listener, and
  // what it still asks is not waited for. It has to stay until
  // is_answering() is false, or close_requests() has come back.
  void let_go(core::MonotonicTime until);
  bool is_answering() const { return channel_->is_answering(); }
  void close_requests() { channel_->close(); }

  // Worker. None blocks. The end of a job is told by take_reports().
  unsigned number() const override { return number_; }
  std::optional<int> process() const override { return life_.pid(); }
  const std::string& description() const { return description_; }
  void submit(stage::Job job) override;
  void abandon(core::Sequence sequence) override {
    exchange_->abandon(sequence);
  }
  void flush() override { exchange_->flush(); }
  // The jobs go back at once, the host is told when the process is gone.
  bool kill(const std::string& why) override;
  bool has_ended() const override { return !life_.may_report(); }

  // Whether take_reports() would find something.
  bool has_reports() const { return exchange_->has_ended(); }
  // Tells the listener of what has ended, and gives back what is lost. Whether
  // there was any.
  bool take_reports(stage::WorkerListener& listener);
  // The dispatcher is about to sleep on the bell, or awake again.
  void set_dispatcher_sleeps(bool sleeps) {
    exchange_->set_dispatcher_sleeps(sleeps);
  }

  void set_property(const ProcessWorkerSetup::Property& property);
  void set_base_time(core::MonotonicTime base_time);
  // A query at one end of the stage; `peer_caps` (nullable): what the elements
  // beyond the other end take. False: no answer within the patience, which is
  // short where another answer is known.
  bool query(bool is_at_output, GstQuery* query, GstCaps* peer_caps,
             bool is_known = false);
  // It can answer at once.
  bool is_idle() const { return life_.is_ready() && !exchange_->has_jobs(); }
  bool event_at_output(GstEvent* event);  // (transfer none)

 private:
  ProcessWorker(const ProcessHost& host, const ProcessWorkerSetup& setup,
                SharedRegions regions, os::ChildProcess child,
                os::UniqueFd errors,
                std::shared_ptr<stage::Negotiation> negotiation);
  void make_parts(os::UniqueFd socket, bool may_write_inputs);
  void send_setup(const ProcessWorkerSetup& setup);
  void watch();
  void keep_watch(Watch watch);
  void end_watches();
  void send_waiting();
  MessageFields on_message(const IncomingMessage& message);
  void hear(std::uint64_t number);

  bool read_result(EndedJob& ended, const stage::WorkerListener& listener,
                   stage::JobResult& result);
  void give_back(InFlight flight, stage::WorkerListener& listener);
  void give_all_back();
  bool is_interrupted(const InFlight& flight,
                      const stage::WorkerListener& listener) const;

  void on_gone();
  void on_hung_up(const std::string& violated_field);
  void on_failure();
  void end_because(const std::string& violated_field);
  bool lose(const std::string& how, const stage::Problem& problem);
  void leave();
  void on_end(const ProcessLife::End& end);
  void wait_for_end(core::MonotonicTime until);

  const ProcessHost host_;
  const unsigned number_;
  const std::string name_;  // "worker0"
  const std::string description_;
  ErrorOutput errors_;
  ProcessLife life_;
  std::atomic<bool> is_closing_{false};  // with the element
  SharedRegions regions_;
  StageRequests requests_;
  // From start() on, never changed after:
  std::shared_ptr<Channel> channel_;
  std::shared_ptr<LentSlots> slots_;
  std::optional<ReportReader> reader_;
  std::optional<JobExchange> exchange_;
  std::optional<ResultIntake> intake_;
  std::optional<WorkerMessages> messages_;

  std::mutex watches_mutex_;
  // Under watches_mutex_:
  std::vector<Watch> watches_;
  bool has_ended_watches_ = false;
};

}  // namespace dispatch::process
