// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/frame_line.h"

#include <utility>

#include "stage/negotiation.h"

GST_DEBUG_CATEGORY_STATIC(frame_line_debug);
#define GST_CAT_DEFAULT frame_line_debug

namespace dispatch::stage {

namespace {

using std::chrono::steady_clock;

void init_debug() {
  static const bool done = [] {
    GST_DEBUG_CATEGORY_INIT(frame_line_debug, "dispatch", 0,
                            "frames, workers and their order");
    return true;
  }();
  (void)done;
}

// How an event without state reaches the worker of the next frame.
bool concerns_stage(GstEvent* event) {
  return GST_EVENT_TYPE(event) == GST_EVENT_CUSTOM_DOWNSTREAM;
}

}  // namespace

FrameLine::FrameLine(GstElement* owner, const PipelineTime& time,
                     WorkerRoster& workers, Wakes& wakes)
    : owner_(owner), time_(time), workers_(workers), wakes_(wakes) {
  init_debug();
}

// ---- Start, stop, flush ----------------------------------------------------

void FrameLine::start() {
  sums_ = core::FrameSums();
  flow_ = GST_FLOW_OK;
  is_stopped_ = is_flushing_ = is_per_stream_ = false;
}

void FrameLine::begin_stop() {
  is_stopped_ = true;
  interrupt_waits();
}

void FrameLine::finish_stop() { discard_all(core::Cause::kStop); }

void FrameLine::begin_flush() {
  is_flushing_ = true;
  interrupt_waits();
}

std::vector<EventPtr> FrameLine::finish_flush() {
  std::vector<EventPtr> events;
  for (core::Sequence s = window_.base(); s != window_.next(); ++s)
    if (LineEntry& entry = *window_.find(s);
        entry.kind == LineEntry::Kind::kEvent)
      events.push_back(std::move(entry.event));
  discard_all(core::Cause::kFlush);
  flow_ = GST_FLOW_OK;
  is_flushing_ = false;
  return events;
}

void FrameLine::interrupt_waits() {
  wakes_.wake_submitter();
  wakes_.wake_questioners();
  wakes_.wake_output();
  for (core::Sequence s = window_.base(); s != window_.next(); ++s) {
    LineEntry& entry = *window_.find(s);
    if (entry.is_taken) entry.sticky->epoch()->interrupt();
    // One that is being asked ends with downstream's flush.
    entry.refuse_waiting_question(wakes_);
  }
}

void FrameLine::discard_all(core::Cause cause) {
  while (!window_.is_empty()) {
    LineEntry& head = window_.front();
    if (head.question != nullptr) head.question->refuse(wakes_);
    if (head.stage_question != nullptr) head.stage_question->refuse(wakes_);
    if (head.kind == LineEntry::Kind::kFrame) {
      discard_head(cause);
    } else {
      pop();
    }
  }
  prelude_.clear();
  first_after_flush_ = window_.next();
  wakes_.wake_questioners();
}

// ---- In --------------------------------------------------------------------

bool FrameLine::has_room(std::uint64_t bytes) const {
  return core::may_admit(limits_, frames_in_flight_, bytes_in_flight_, bytes,
                         limits_.always_frames);
}

// Waking the submitter for each single place would switch threads for each
// frame; a quarter of the window is room for several.
bool FrameLine::has_much_room() const {
  return frames_in_flight_ <= limits_.frames - limits_.frames / 4;
}

LineEntry& FrameLine::append(LineEntry::Kind kind,
                             const std::shared_ptr<const StickyState>& sticky) {
  LineEntry& entry = window_.append();
  entry.kind = kind;
  entry.sticky = sticky;
  entry.is_per_stream = is_per_stream_;
  entry.record.sequence = window_.next() - 1;
  return entry;
}

void FrameLine::stamp_arrival(LineEntry& entry) {
  entry.record.arrival = steady_clock::now();
  const std::optional<core::RunningTime> due = due_of(entry);
  if (!due) return;
  const std::optional<core::RunningTime> now = time_.now();
  if (!now) return;  // not PLAYING yet: it cannot be late
  entry.slack_at_arrival = *due - *now;
  entry.due_monotonic = entry.record.arrival + entry.slack_at_arrival;
}

// Whether the output has anything to do for a head that has just come: to wait
// for its due time, if there is one, and it does not wake before that anyway.
bool FrameLine::concerns_output(const LineEntry& head) const {
  const std::optional<core::RunningTime> due = due_of(head);
  return due && !wakes_.is_output_awake_by(*due);
}

void FrameLine::add_frame(Frame frame, std::uint64_t bytes,
                          const std::shared_ptr<const StickyState>& sticky) {
  const bool was_empty = window_.is_empty();
  LineEntry& entry = append(LineEntry::Kind::kFrame, sticky);
  entry.stamps = frame.stamps();
  entry.bytes = bytes;
  if (!is_per_stream_) entry.running_time = sticky->running_time(frame.first());
  entry.frame = std::move(frame);
  entry.prelude = std::exchange(prelude_, {});
  stamp_arrival(entry);
  sums_.on_arrival();
  ++frames_in_flight_;
  bytes_in_flight_ += bytes;
  if (was_empty && concerns_output(entry)) wakes_.wake_output();
  assign();
}

void FrameLine::add_event(EventPtr event,
                          const std::shared_ptr<const StickyState>& sticky) {
  const GstEventType type = GST_EVENT_TYPE(event.get());
  // A new stream after the end of one.
  if (type == GST_EVENT_STREAM_START || type == GST_EVENT_SEGMENT)
    if (flow_ == GST_FLOW_EOS) flow_ = GST_FLOW_OK;

  const bool goes_through = is_per_stream_ && type != GST_EVENT_STREAM_START;
  LineEntry& entry = append(
      goes_through ? LineEntry::Kind::kStageEvent : LineEntry::Kind::kEvent,
      sticky);
  if (!goes_through && concerns_stage(event.get()))
    prelude_.push_back(share(event.get()));
  entry.event = std::move(event);
  wakes_.wake_output();
  assign();
}

void FrameLine::add_question(Question& question,
                             const std::shared_ptr<const StickyState>& sticky) {
  append(LineEntry::Kind::kQuestion, sticky).question = &question;
  wakes_.wake_output();
  assign();
}

core::Sequence FrameLine::add_stage_question(
    StageQuestion& question, GstQuery* query,
    const std::shared_ptr<const StickyState>& sticky) {
  LineEntry& entry = append(LineEntry::Kind::kStageQuestion, sticky);
  entry.allocation = new_allocation_like(query);
  entry.stage_question = &question;
  const core::Sequence sequence = entry.record.sequence;
  assign();
  return sequence;
}

// ---- Through the workers ---------------------------------------------------

// Left for a worker that is running and will be done before another is awake.
bool FrameLine::is_left_waiting(const LineEntry& entry) const {
  return entry.kind == LineEntry::Kind::kFrame && !entry.is_per_stream &&
         !due_of(entry) && !workers_.is_worth_waking();
}

bool FrameLine::has_left_waiting() {
  const LineEntry* waiting = window_.waiting();
  return workers_.idle_count() != 0 && waiting != nullptr &&
         is_left_waiting(*waiting);
}

// One FIFO: whenever a worker is idle it starts with the oldest frame.
void FrameLine::assign(unsigned awake) {
  if (is_ended()) return;
  while (LineEntry* entry = window_.waiting()) {
    if (entry->needs_worker()) {
      // Answered after the earlier frames have left.
      if (entry->kind == LineEntry::Kind::kStageQuestion &&
          window_.waiting_sequence() != window_.base())
        return;
      if (awake == 0 && is_left_waiting(*entry)) return;
      std::shared_ptr<Worker> worker = workers_.take_idle(entry->is_per_stream);
      if (!worker) return;
      if (awake > 0) --awake;
      hand_over(*entry, std::move(worker));
    }
    window_.advance_waiting();
  }
}

void FrameLine::hand_over(LineEntry& entry, std::shared_ptr<Worker> worker) {
  entry.is_taken = true;
  entry.worker = worker.get();
  entry.record.worker = worker->number();
  if (entry.running_time) entry.record.start = steady_clock::now();
  wakes_.hand_over(std::move(worker),
                   entry.make_job(has_to_keep_original(entry)));
}

bool FrameLine::has_to_keep_original(const LineEntry& entry) const {
  return entry.frame && policy_ == core::LatePolicy::kBypass && due_of(entry) &&
         entry.sticky->epoch()->may_bypass();
}

void FrameLine::on_finished(const Worker& worker, core::Sequence sequence,
                            JobResult& result) {
  if (is_stopped_) return;
  if (result.copied_buffers != 0)
    sums_.on_copies(result.copied_buffers, result.copied_bytes);
  workers_.on_finished(worker, result.end - result.start);
  if (LineEntry* entry = window_.find(sequence)) {
    entry->store(result);
    // Of a worker that has died meanwhile: nobody needs the answer.
    entry->refuse_waiting_question(wakes_);
    if (sequence == window_.base()) wakes_.wake_output();
  } else if (sequence >= first_after_flush_) {
    sums_.on_late_result();
  }
  assign(/*awake=*/1);
}

// ---- Out -------------------------------------------------------------------

std::optional<core::RunningTime> FrameLine::due_of(
    const LineEntry& entry) const {
  if (!entry.running_time) return std::nullopt;
  return core::decide_due_time(*entry.running_time, due_inputs_);
}

core::HeadVerdict FrameLine::judge_head() {
  const LineEntry& head = window_.front();
  core::HeadFacts facts;
  facts.is_done = head.is_done;
  facts.is_started = head.is_taken;
  facts.slack_at_arrival = head.slack_at_arrival;
  facts.due = due_of(head);
  return core::decide_head(facts, policy_,
                           facts.due ? time_.now() : std::nullopt);
}

void FrameLine::pop() {
  const LineEntry& head = window_.front();
  if (head.kind == LineEntry::Kind::kFrame) {
    --frames_in_flight_;
    bytes_in_flight_ -= head.bytes;
    if (has_much_room()) wakes_.wake_submitter();
  }
  window_.pop_front();
  // What was to be asked when it had become the head.
  if (const LineEntry* next = window_.waiting();
      next != nullptr && next->kind == LineEntry::Kind::kStageQuestion)
    assign();
}

void FrameLine::abandon_head() {
  LineEntry& head = window_.front();
  if (head.question != nullptr) head.question->refuse(wakes_);
  if (head.worker == nullptr) return;
  head.worker->abandon(head.record.sequence);
  // It may be what the others wait for to choose their caps.
  head.sticky->epoch()->pass_on();
}

void FrameLine::discard_head(core::Cause cause) {
  abandon_head();
  core::FrameRecord record = window_.front().record;
  record.action = core::Action::kDropped;
  record.cause = cause;
  record.departure = steady_clock::now();
  pop();
  account(record, GST_FLOW_OK);
}

// ---- The account -----------------------------------------------------------

void FrameLine::account(const core::FrameRecord& record, GstFlowReturn flow) {
  sums_.on_departure(record);
  GST_LOG_OBJECT(owner_, "frame %" G_GUINT64_FORMAT " %s, cause %s%s",
                 record.sequence, core::to_string(record.action),
                 core::to_string(record.cause), record.late ? ", late" : "");
  take_flow(flow);
}

void FrameLine::take_flow(GstFlowReturn flow) {
  if (flow == GST_FLOW_OK || flow_ != GST_FLOW_OK) return;
  GST_DEBUG_OBJECT(owner_, "flow is %s from now on", gst_flow_get_name(flow));
  flow_ = flow;
  wakes_.wake_submitter();
}

}  // namespace dispatch::stage
