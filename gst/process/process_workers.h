// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The worker processes of one element.
//
// For: starting and ending them, the memory that frames lie in, and the
// questions to their stage. Not for: what the workers do (dispatcher), one
// worker's life (process/process_worker).
// Thread: as said in stage/workers.h; settings may change at any time and hold
// from the next start on, unless said. mutex_ guards who there is; it is not
// held while a process is started, waited for or asked.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "process/process_worker.h"
#include "process/report_bell.h"
#include "process/slots.h"
#include "stage/stage_prototype.h"
#include "stage/workers.h"

namespace dispatch::process {

struct ProcessSettings {
  bool require_zero_copy = false;  // holds at once
  bool allow_in_place = false;
  std::uint64_t max_bytes = 0;  // of shared memory; 0: automatic
  std::string worker_command;   // empty: our own program
  bool huge_pages = false;
  std::uint64_t spin_ns = 0;
};

class ProcessWorkers final : public stage::Workers {
 public:
  // `element` (transfer none), and the two (borrowed) outlive this.
  ProcessWorkers(GstElement* element, stage::StagePrototype& prototype,
                 stage::WorkersHost& host);
  ~ProcessWorkers() override;

  ProcessSettings settings() const;
  void configure(const std::function<void(ProcessSettings&)>& change);
  // Bytes of shared memory for frames: what there is now.
  std::uint64_t level() { return slots_.budget().level(); }
  // The most that there may be; 0 before READY.
  std::uint64_t max_level() { return slots_.budget().max_bytes(); }

  std::optional<stage::Problem> check() override;
  std::optional<stage::Problem> build(stage::ParsedStage first,
                                      stage::WorkersPlan plan) override;
  void start() override {}
  Made make(const std::string& description, unsigned number) override;
  bool refuse_made(const std::string& worker,
                   const stage::Problem& problem) override;
  void interrupt_make() override;
  void let_go(stage::Worker& worker) override;
  void lead(stage::Worker& worker) override;
  void begin_close() override;
  void finish_close() override;

  // Also while there is none between the end of one and the next one.
  bool exist() const override;
  bool are_processes() const override { return true; }
  unsigned count() const override;
  std::vector<std::shared_ptr<stage::Worker>> all() const override;
  std::shared_ptr<stage::Reports> reports() override;
  void play(GstElement* element) override;

  std::optional<stage::Problem> on_caps(GstCaps* caps) override;
  std::optional<stage::Frame> bring_in(stage::Frame frame,
                                       Copied& copied) override;
  void interrupt(bool on) override;
  bool offer_memory(GstQuery* query, unsigned min_buffers) override;

  bool query_input(GstQuery* query) const override;
  bool query_output(GstQuery* query) const override;
  bool event_at_output(stage::EventPtr event) const override;

 private:
  struct CapsAnswer {
    bool is_at_output;
    std::string question;
    stage::CapsPtr caps;
  };
  using WorkerPtr = std::shared_ptr<ProcessWorker>;
  using Started = std::variant<WorkerPtr, stage::Problem>;
  void open(const stage::WorkersPlan& plan, SharedBell bell);
  std::optional<stage::Problem> start_all(unsigned count);
  Started start_one(ProcessWorkerSetup setup, std::uint64_t& times_set);
  std::optional<stage::Problem> wait_for_made(const WorkerPtr& worker);
  core::Duration start_patience(const std::string& description) const;
  WorkerPtr take_out(const stage::Worker& worker);
  void keep_until_answered(WorkerPtr worker);
  ProcessWorkerSetup make_setup(const stage::WorkersPlan& plan,
                                std::vector<std::string> command);
  std::vector<ProcessWorkerSetup::Property> set_on_stage();
  void set_on_all(const ProcessWorkerSetup::Property& property);
  void add(const std::shared_ptr<ProcessWorker>& worker,
           std::uint64_t times_set);
  std::shared_ptr<ProcessWorker> front() const;
  std::vector<std::shared_ptr<ProcessWorker>> workers() const;
  bool query_stage(bool is_at_output, GstQuery* query) const;
  // `worker`: null if there is none just now.
  bool query_caps(ProcessWorker* worker, bool is_at_output,
                  GstQuery* query) const;
  bool refuse_copy();
  BufferPtr bring_in(GstBuffer* buffer, std::uint64_t& copied_bytes,
                     os::Error& why);
  bool reserve_inputs(const stage::Frame& frame);
  bool say_no_frames(const os::Error& why, unsigned frames);
  bool query_beyond(bool is_at_output, GstQuery* query) const;

  GstElement* const element_;
  stage::StagePrototype& prototype_;
  stage::WorkersHost& host_;
  SlotStore slots_;
  std::atomic<bool> is_interrupted_{false};
  std::atomic<bool> requires_zero_copy_{false};
  // There are slots for copies of frames of these caps, or their size is not
  // known. On upstream's thread.
  bool is_reserved_ = false;
  std::atomic<bool> lacks_memory_{false};  // which has been said
  std::unique_ptr<IoThread> io_;
  std::shared_ptr<ReportBell> bell_;
  std::shared_ptr<stage::Negotiation> negotiation_;
  std::shared_ptr<stage::WorkerListener> listener_;
  // From build() on, the same for all workers:
  ProcessHost shared_;
  ProcessWorkerSetup setup_;
  // How long the last one took to be ready, and with which description. On the
  // thread of the state change or of the supervisor.
  struct LastStart {
    std::string description;
    core::Duration duration{};
  };
  LastStart last_start_;
  // Have been let go of, and their requests are still being answered. On the
  // thread of the state change or of the supervisor.
  std::vector<WorkerPtr> answered_last_;

  mutable std::mutex mutex_;
  bool is_open_ = false;                          // under mutex_
  bool is_make_interrupted_ = false;              // under mutex_
  WorkerPtr making_;                              // under mutex_
  std::string description_;                       // of lead(); under mutex_
  std::optional<core::MonotonicTime> base_time_;  // under mutex_
  ProcessSettings settings_;                      // under mutex_
  std::vector<std::shared_ptr<ProcessWorker>> workers_;  // under mutex_
  // What has been set on the stage while there are workers, in that order, each
  // once, for those that are being made.
  struct Set {
    ProcessWorkerSetup::Property property;
    std::uint64_t times_set;  // with this one
  };
  std::vector<Set> set_;                     // under mutex_
  std::uint64_t times_set_ = 0;              // under mutex_
  mutable std::vector<CapsAnswer> answers_;  // under mutex_
};

}  // namespace dispatch::process
