// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What one worker process reported, as results of its jobs.
//
// For: the result that a report holds, whether it may be passed on as it is
// (copies that are forbidden, slots that are needed), the words for one that
// failed, and the inputs that the process may still touch after its report. Not
// for: which report comes when (process/job_exchange), reading a payload
// (process/report_reader).
//
// Thread: thread-safe. mutex_ guards the inputs; inside it is that of
// ProcessLife only. Neither is held while memory is let go of.
// Failure: of a report that breaks a rule, read() names the field. Copies that
// are forbidden, and a stage that failed without a word, are told to the
// WorkersHost.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "process/in_flight.h"
#include "process/job_exchange.h"
#include "process/lent_slots.h"
#include "process/process_host.h"
#include "process/process_life.h"
#include "process/report_reader.h"

namespace dispatch::process {

class ResultIntake {
 public:
  // `name`: of the worker. The others are borrowed and outlive this.
  ResultIntake(const ProcessHost& host, std::string name, LentSlots& slots,
               const ReportReader& reader, const ProcessLife& life)
      : host_(host),
        name_(std::move(name)),
        slots_(slots),
        reader_(reader),
        life_(life) {}

  // Sets `result` of `flight`, whose original may go into it. False: `wrong`
  // names the field of the report that is.
  bool read(InFlight& flight, const TakenReport& taken,
            stage::JobResult& result, std::string& wrong);
  // The stream ends with `result`, which is a failure that nothing excuses.
  void say_failed(core::Sequence sequence, stage::JobResult& result) const;
  // The result of a job without a report, which nobody needs any more. What the
  // process may still touch is kept until it is gone.
  stage::JobResult fail(InFlight flight);
  // A job without a report, for another worker. Its frame is as it came; empty
  // if this one may have written to it. Of what the process may still touch, a
  // reference is kept until it is gone.
  stage::Job take_back(InFlight flight);

  // The worker has let go of the inputs of that command, which it has been
  // given. It may say so before its report is read.
  void on_inputs_released(std::uint64_t number);

  // All that the process may still touch, though its jobs have ended; more may
  // come to it. For whoever waits until the process is gone.
  std::shared_ptr<void> hand_over();
  // The process is gone.
  void let_go();

 private:
  struct Inputs {
    std::vector<stage::Frame> failed;
    // Frames that the stage still looks at after their command, by its number;
    // empty: it has let go of them before its report was read.
    std::map<std::uint64_t, stage::Frame> kept;
  };
  void keep_locked(stage::Frame frame, std::shared_ptr<Inputs>& where);
  void refuse_copy(stage::JobResult& result, bool is_for_want_of_memory) const;
  bool settle_inputs(InFlight& flight, bool are_kept);

  const ProcessHost& host_;
  const std::string name_;
  LentSlots& slots_;
  const ReportReader& reader_;
  const ProcessLife& life_;

  std::mutex mutex_;
  // Under mutex_:
  std::shared_ptr<Inputs> inputs_ = std::make_shared<Inputs>();
  std::weak_ptr<Inputs> handed_over_;
  std::uint64_t settled_ = 0;  // the last command whose report has been read
};

}  // namespace dispatch::process
