// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/result_intake.h"

#include <cerrno>
#include <chrono>
#include <utility>

#include "process/result_frames.h"
#include "process/shortage.h"

namespace dispatch::process {

namespace protocol = core::protocol;
using stage::JobResult;

namespace {

// Its slots, or those of its inputs, go back at once, at the price of a copy
// each.
void empty_slots(JobResult& result) {
  for (stage::MiniObjectPtr& item : result.outputs) {
    if (GST_IS_EVENT(item.get())) continue;
    stage::Frame frame = frame_of(std::move(item));
    frame.map([&](BufferPtr buffer) {
      BufferPtr emptied = out_of_slots(stage::share(buffer.get()));
      if (emptied == buffer) return buffer;
      ++result.copied_buffers;
      result.copied_bytes += gst_buffer_get_size(emptied.get());
      return emptied;
    });
    item = frame.take();
  }
}

}  // namespace

bool ResultIntake::read(InFlight& flight, const TakenReport& taken,
                        JobResult& result, std::string& wrong) {
  const protocol::Report& report = taken.report;
  result.flow = static_cast<GstFlowReturn>(report.flow);
  result.start = core::monotonic_from_ns(report.start_ns);
  result.end = core::monotonic_from_ns(report.end_ns);
  result.copied_buffers = report.copied_buffers;
  result.copied_bytes = report.copied_bytes;
  result.outputs = std::exchange(flight.so_far, {});
  if (!reader_.read(flight, taken.payload, result.outputs, wrong)) return false;
  if (const auto answer = core::find_field(taken.payload, protocol::kQuery);
      answer && flight.job.query &&
      decode_answer(answer->value, flight.job.query.get()))
    result.answer = std::move(flight.job.query);
  const auto buffers = static_cast<unsigned>(flight.inputs.size());
  if (!settle_inputs(flight, (report.flags & protocol::kKeepsInputs) != 0)) {
    wrong = "kept inputs";
    return false;
  }
  const bool is_short = slots_.is_starved() || host_.slots->is_short(buffers);
  const bool was_copied = result.copied_buffers != 0;
  if (is_short) empty_slots(result);
  if (result.copied_buffers != 0 && *host_.requires_zero_copy)
    refuse_copy(result, !was_copied);
  return true;
}

void ResultIntake::refuse_copy(JobResult& result,
                               bool is_for_want_of_memory) const {
  const bool lacks_files = host_.slots->budget().lacks_files();
  result.flow = GST_FLOW_ERROR;
  if (is_for_want_of_memory) {
    host_.workers_host->on_problem(
        {"A result of " + name_ +
             " had to be copied out of shared memory, of which there is too "
             "little, which require-zero-copy forbids.",
         way_out_of({.code = lacks_files ? EMFILE : 0}, host_.workers, 0,
                    kMoreMemory)});
    return;
  }
  host_.workers_host->on_problem(
      {name_ + " had to copy a result into shared memory, which "
               "require-zero-copy forbids.",
       "The stage writes in place, or gives memory of its own, as encoders do. "
       "Set allow-in-place=true for the one; for the other, let it be copied "
       "with require-zero-copy=false."});
}

// If the stage has said why, that has been told already, and this is not.
void ResultIntake::say_failed(core::Sequence sequence,
                              JobResult& result) const {
  const std::string which =
      name_ + " could not do frame " + std::to_string(sequence);
  const std::string words = gst_flow_get_name(result.flow);
  if (result.flow == GST_FLOW_FLUSHING) {
    result.flow = GST_FLOW_ERROR;  // upstream would stop without a word
    host_.workers_host->on_problem(
        {which + ": it says '" + words + "', but nothing is being flushed.",
         "A stage, or a worker program, ends a frame with it only when it was "
         "told to flush."});
    return;
  }
  host_.workers_host->on_problem(
      {which + ": its stage ended it with '" + words + "' and did not say why.",
       "What its elements think of it is in their debug log: see "
       "GST_DEBUG=3."});
}

JobResult ResultIntake::fail(InFlight flight) {
  JobResult result;
  result.flow = GST_FLOW_ERROR;
  result.start = result.end = std::chrono::steady_clock::now();
  std::shared_ptr<Inputs> where;
  const std::lock_guard lock(mutex_);
  keep_locked(std::move(flight.job.frame), where);
  return result;
}

// What is kept here as well is not written to by others: it has one user more.
stage::Job ResultIntake::take_back(InFlight flight) {
  std::shared_ptr<Inputs> where;
  stage::Job job = std::move(flight.job);
  stage::Frame frame = flight.is_writable || !job.frame ? std::move(job.frame)
                                                        : job.frame.share();
  const std::lock_guard lock(mutex_);
  keep_locked(std::move(frame), where);
  return job;
}

// `where`: let go of without the lock, as what is not kept is.
void ResultIntake::keep_locked(stage::Frame frame,
                               std::shared_ptr<Inputs>& where) {
  where = handed_over_.lock();
  if (!where) where = life_.may_touch() ? inputs_ : std::make_shared<Inputs>();
  if (frame) where->failed.push_back(std::move(frame));
}

// False: those that are kept are too many.
bool ResultIntake::settle_inputs(InFlight& flight, bool are_kept) {
  const std::lock_guard lock(mutex_);
  settled_ = flight.number;
  const bool are_released = inputs_->kept.erase(flight.number) != 0;
  if (!are_kept || are_released) return true;
  if (inputs_->kept.size() == protocol::kMaxKeptInputs) return false;
  inputs_->kept.emplace(flight.number, std::move(flight.job.frame));
  return true;
}

void ResultIntake::on_inputs_released(std::uint64_t number) {
  stage::Frame frame;  // let go of without the lock
  const std::lock_guard lock(mutex_);
  const auto place = inputs_->kept.find(number);
  if (place != inputs_->kept.end()) {
    frame = std::move(place->second);
    inputs_->kept.erase(place);
  } else if (number > settled_) {
    inputs_->kept.try_emplace(number, stage::Frame());
  }
}

std::shared_ptr<void> ResultIntake::hand_over() {
  const std::lock_guard lock(mutex_);
  handed_over_ = inputs_;
  return std::exchange(inputs_, std::make_shared<Inputs>());
}

void ResultIntake::let_go() {
  auto inputs = std::make_shared<Inputs>();  // the old ones, without the lock
  const std::lock_guard lock(mutex_);
  inputs_.swap(inputs);
}

}  // namespace dispatch::process
