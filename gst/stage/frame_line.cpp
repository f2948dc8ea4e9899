// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/frame_line.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "stage/due_time_meta.h"
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

// A frame that has ended so many workers is not tried again.
constexpr unsigned kDeathsOfPoison = 2;

// How an event without state reaches the worker of the next frame.
bool concerns_stage(GstEvent* event) {
  return GST_EVENT_TYPE(event) == GST_EVENT_CUSTOM_DOWNSTREAM;
}

}  // namespace

FrameLine::FrameLine(GstElement* owner, const PipelineTime& time,
                     WorkerRoster& workers, Staffing& staffing, Wakes& wakes,
                     ElementTrace& trace)
    : owner_(owner),
      time_(time),
      workers_(workers),
      staffing_(staffing),
      wakes_(wakes),
      trace_(trace) {
  init_debug();
}

void FrameLine::set_due_inputs(const core::DueTimeInputs& inputs) {
  due_inputs_ = inputs;
  staffing_.set_due_times(!is_per_stream_ && core::due_times_apply(inputs),
                          inputs.budget);
  trace_.on_due_inputs(inputs);
}

void FrameLine::set_per_stream(bool is_per_stream) {
  is_per_stream_ = is_per_stream;
  set_due_inputs(due_inputs_);
}

// ---- Start, stop, flush ----------------------------------------------------

void FrameLine::start() {
  sums_ = core::FrameSums();
  transit_.reset();
  last_applied_ = 0;
  late_result_.reset();
  level_time_ = {};
  level_time_skew_ = {};
  flow_ = GST_FLOW_OK;
  is_stopped_ = is_flushing_ = is_per_stream_ = false;
  awaits_key_unit_ = earlier_awaits_key_unit_ = has_asked_key_unit_ = false;
  is_given_up_ = false;
  generation_begin_ = window_.next();
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
  late_result_.reset();
  transit_.reset();  // running time begins anew
  awaits_key_unit_ = earlier_awaits_key_unit_ = has_asked_key_unit_ = false;
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
  entry.generation = workers_.generation();
  return entry;
}

void FrameLine::stamp_arrival(LineEntry& entry) {
  entry.record.arrival = steady_clock::now();
  if (is_in_stage_) {
    const GstDispatchDueTimeMeta* due = due_time_of(entry.frame.first());
    if (due == nullptr) return;
    entry.came_with_due = true;
    entry.due_monotonic = core::monotonic_from_ns(due->monotonic_ns);
    entry.slack_at_arrival = *entry.due_monotonic - entry.record.arrival;
    return;
  }
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
  if (chooser_ != nullptr && !is_per_stream_) tell_arrival(entry);
  ++frames_in_flight_;
  ++waiting_frames_;
  bytes_in_flight_ += bytes;
  const core::MonotonicTime now = entry.record.arrival;
  if (was_empty && concerns_output(entry)) wakes_.wake_output();
  if (is_given_up_) lose(entry, core::Cause::kNoWorkers);
  assign();
  staffing_.on_arrival(now);
  review(now);
  trace_counts();
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
  if (is_given_up_) lose(entry, core::Cause::kNoWorkers);
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
  if (is_given_up_) lose(entry, core::Cause::kNoWorkers);
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
  const LineEntry* waiting = oldest_waiting();
  return workers_.idle_count() != 0 && waiting != nullptr &&
         is_left_waiting(*waiting);
}

// What came back from a worker that died can wait in front of what is taken.
LineEntry* FrameLine::oldest_waiting() {
  while (LineEntry* entry = window_.waiting()) {
    if (entry->needs_worker() && !entry->is_taken) return entry;
    window_.advance_waiting();
  }
  return nullptr;
}

// One FIFO: whenever a worker is idle it starts with the oldest frame. While
// the stage is being replaced there are two kinds of workers, for what came
// before and after; neither waits for the other.
void FrameLine::assign(unsigned awake) {
  if (is_ended()) return;
  if (oldest_waiting() == nullptr) return;
  for (core::Sequence s = window_.waiting_sequence(); s != window_.next();
       ++s) {
    LineEntry& entry = *window_.find(s);
    if (!entry.needs_worker() || entry.is_taken) continue;
    if (!assign(entry, awake) && !has_earlier_generation()) return;
  }
}

// Whether the entry is with a worker, or needs none any more.
bool FrameLine::assign(LineEntry& entry, unsigned& awake) {
  // Answered after the earlier frames have left.
  if (entry.kind == LineEntry::Kind::kStageQuestion &&
      entry.record.sequence != window_.base())
    return false;
  // All of those that it was for have died.
  if (entry.generation != workers_.generation() &&
      !workers_.has_any(entry.generation))
    entry.generation = workers_.generation();
  if (is_key_unit_missing(entry)) {
    lose(entry, core::Cause::kWorkerLost);
    return true;
  }
  if (awake == 0 && is_left_waiting(entry)) return false;
  if (!choose_level(entry)) return true;
  const core::MonotonicTime now = steady_clock::now();
  std::shared_ptr<Worker> worker =
      workers_.take_idle(entry.generation, entry.record.sequence, now);
  if (!worker) return false;
  if (awake > 0) --awake;
  staffing_.on_begun(now);
  hand_over(entry, std::move(worker), now);
  return true;
}

void FrameLine::tell_arrival(const LineEntry& entry) {
  const core::RunningTime now = level_time();
  std::optional<core::Duration> slack;
  if (entry.due_monotonic) slack = entry.slack_at_arrival - core::kReleaseAhead;
  chooser_->on_arrival(entry.running_time.value_or(now), now, slack);
}

// How long there is until its result has to be there.
std::optional<core::Duration> FrameLine::slack_of(
    const LineEntry& entry) const {
  if (entry.came_with_due)
    return *entry.due_monotonic - steady_clock::now() - core::kReleaseAhead;
  const std::optional<core::RunningTime> due = due_of(entry);
  const std::optional<core::RunningTime> now = due ? time_.now() : std::nullopt;
  if (!now) return std::nullopt;
  return *due - *now - core::kReleaseAhead;
}

// The time of what is measured for the choice of levels. In a pipeline it is
// the pipeline's, like the due times: with a clock that does not run by itself,
// too. Running time begins anew with a flushing seek; this one goes on from
// where it was. Nothing outside PLAYING.
std::optional<core::RunningTime> FrameLine::measuring_time() {
  const std::optional<core::RunningTime> now =
      is_in_stage_ ? core::RunningTime(steady_clock::now().time_since_epoch())
                   : time_.now();
  if (!now) return std::nullopt;
  level_time_skew_ = std::max(level_time_skew_, level_time_ - *now);
  level_time_ = *now + level_time_skew_;
  return level_time_;
}

// The same, and outside PLAYING the last one that there was.
core::RunningTime FrameLine::level_time() {
  measuring_time();
  return level_time_;
}

// Whether it goes to a worker, of whom one is idle; else it is lost to the
// stage.
bool FrameLine::choose_level(LineEntry& entry) {
  if (chooser_ == nullptr || entry.kind != LineEntry::Kind::kFrame ||
      entry.is_per_stream || workers_.idle_count() == 0)
    return true;
  entry.slack = slack_of(entry);
  entry.verdict =
      chooser_->choose(entry.slack, workers_.active_count(),
                       policy_ != core::LatePolicy::kWait, level_time());
  entry.record.level = entry.verdict->level.value_or(0);
  entry.record.cause = cause_of(*entry.verdict);
  if (entry.verdict->level) return true;
  // Whatever the stage costs; and upstream is to be blamed.
  if (entry.slack_at_arrival <= core::kReleaseAhead)
    entry.record.cause = core::Cause::kArrivedLate;
  pass_on_prelude(entry);
  lose(entry, entry.record.cause);
  return false;
}

void FrameLine::hand_over(LineEntry& entry, std::shared_ptr<Worker> worker,
                          core::MonotonicTime now) {
  entry.is_taken = true;
  bool is_after_gap = false;
  if (entry.verdict)
    is_after_gap =
        chooser_->on_begun(*worker, entry.record.level, measuring_time());
  if (entry.kind == LineEntry::Kind::kFrame) --waiting_frames_;
  entry.worker = worker.get();
  entry.record.worker = worker->number();
  entry.record.process = worker->process();
  entry.record.taken = now;
  trace_.on_taken(*worker, entry.record.sequence, entry.record.level, now);
  if (entry.running_time) entry.record.start = now;
  Job job = entry.make_job(has_to_keep_original(entry));
  job.is_after_gap = is_after_gap;
  wakes_.hand_over(std::move(worker), std::move(job));
}

bool FrameLine::has_to_keep_original(const LineEntry& entry) const {
  return can_rescue_ && entry.frame && policy_ == core::LatePolicy::kBypass &&
         due_of(entry) && entry.sticky->epoch()->may_bypass();
}

LevelChooser::Ending FrameLine::ending_of(core::Sequence sequence,
                                          const JobResult& result) {
  using Ending = LevelChooser::Ending;
  if (result.flow != GST_FLOW_OK) return Ending::kInterrupted;
  // A stage need not give anything; one whose frame has left may have been
  // stopped before it could.
  return window_.find(sequence) != nullptr || !result.outputs.empty()
             ? Ending::kDone
             : Ending::kAbandoned;
}

void FrameLine::on_finished(const Worker& worker, core::Sequence sequence,
                            JobResult& result) {
  if (is_stopped_) return;
  if (result.copied_buffers != 0)
    sums_.on_copies(result.copied_buffers, result.copied_bytes);
  core::Duration service = result.end - result.start;
  if (chooser_ != nullptr)
    service = chooser_->on_finished(worker, ending_of(sequence, result),
                                    service, measuring_time());
  staffing_.on_finished(worker, service, result.end);
  LineEntry* const entry = window_.find(sequence);
  trace_.on_finished(worker, result, /*is_late=*/entry == nullptr);
  if (entry != nullptr) {
    entry->store(result);
    if (entry->kind == LineEntry::Kind::kFrame) ++done_frames_;
    entry->refuse_waiting_question(wakes_);
    if (sequence == window_.base() || may_be_stalled(window_.front()))
      wakes_.wake_output();
  } else if (sequence >= first_after_flush_) {
    sums_.on_late_result();
    if (reuses_) keep_late_result(sequence, result.outputs);
  }
  assign(/*awake=*/1);
  review(result.end);
}

void FrameLine::on_caps(const std::string& text) {
  // What is under way has the old ones.
  last_applied_ = window_.next();
  late_result_.reset();
  if (chooser_ != nullptr) chooser_->on_caps(text);
}

// Too late for its frame, but newer than what has been shown.
void FrameLine::keep_late_result(core::Sequence sequence, Outputs& outputs) {
  if (sequence < last_applied_ || outputs.empty() ||
      !GST_IS_BUFFER(outputs.back().get()))
    return;
  last_applied_ = sequence;
  late_result_.reset(GST_BUFFER_CAST(outputs.back().release()));
}

// So many younger results are there that it has to be judged again.
bool FrameLine::may_be_stalled(const LineEntry& head) const {
  return head.is_taken && !head.is_done && head.due_monotonic &&
         done_frames_ >= core::kStalledResults * workers_.active_count();
}

// ---- Workers that come, go and die -----------------------------------------

Staffing::Facts FrameLine::staffing_facts(core::MonotonicTime now) {
  Staffing::Facts facts;
  facts.waiting = waiting_frames_;
  facts.idle = workers_.idle_count();
  const LineEntry* const oldest = oldest_waiting();
  if (oldest == nullptr || oldest->kind != LineEntry::Kind::kFrame)
    return facts;
  facts.waited = now - oldest->record.arrival;
  if (due_of(*oldest) && oldest->due_monotonic)
    facts.slack = *oldest->due_monotonic - now;
  return facts;
}

void FrameLine::review(core::MonotonicTime now) {
  if (is_ended()) return;
  const unsigned before = workers_.idle_count();
  staffing_.review(staffing_facts(now), now);
  if (workers_.idle_count() > before) assign();
}

void FrameLine::on_lost(const Worker& worker, Job job) {
  workers_.on_lost(worker);
  wakes_.wake_supervisor();
  if (!is_stopped_) trace_.on_lost(worker);
  LineEntry* const entry = window_.find(job.sequence);
  if (is_stopped_ || entry == nullptr || entry->worker != &worker) return;
  const bool is_intact = static_cast<bool>(job.frame);
  const bool is_frame = entry->kind == LineEntry::Kind::kFrame;
  entry->give_back(std::move(job));
  entry->refuse_waiting_question(wakes_);
  // It may be what the others wait for to choose their caps.
  entry->sticky->epoch()->pass_on();
  if (is_frame) ++waiting_frames_;
  if (entry->is_per_stream) await_key_unit(*entry);
  if (entry->deaths >= kDeathsOfPoison)
    staffing_.tell({.kind = StaffingNews::Kind::kPoison,
                    .worker = worker.number(),
                    .frame = entry->record.sequence,
                    .count = entry->deaths});
  if (is_given_up_)
    lose(*entry, core::Cause::kNoWorkers);
  else if (entry->deaths >= kDeathsOfPoison || entry->has_left_partly ||
           (is_frame && !is_intact))
    lose(*entry, core::Cause::kWorkerLost);
  else
    window_.rewind_waiting(entry->record.sequence);
  assign();
}

// It leaves without a result when its turn comes.
void FrameLine::lose(LineEntry& entry, core::Cause cause) {
  if (entry.kind == LineEntry::Kind::kFrame) --waiting_frames_;
  entry.lost = cause;
  if (entry.record.sequence == window_.base()) wakes_.wake_output();
}

void FrameLine::await_key_unit(const LineEntry& entry) {
  (entry.generation == workers_.generation() ? awaits_key_unit_
                                             : earlier_awaits_key_unit_) = true;
}

bool FrameLine::is_key_unit_missing(const LineEntry& entry) {
  bool& is_awaited = entry.generation == workers_.generation()
                         ? awaits_key_unit_
                         : earlier_awaits_key_unit_;
  if (!is_awaited || entry.kind != LineEntry::Kind::kFrame) return false;
  if (!entry.frame.has_flag(GST_BUFFER_FLAG_DELTA_UNIT)) {
    is_awaited = has_asked_key_unit_ = false;
    return false;
  }
  if (!std::exchange(has_asked_key_unit_, true))
    staffing_.tell(
        {.kind = StaffingNews::Kind::kKeyUnit, .frame = entry.record.sequence});
  return true;
}

// With what it had done so far its state is lost.
void FrameLine::on_worker_gone(const Worker& worker) {
  if (is_per_stream_ && workers_.is_idle(worker)) awaits_key_unit_ = true;
}

bool FrameLine::begin_generation(WorkerRoster::Generation generation,
                                 bool is_per_stream) {
  if (!staffing_.begin_generation(generation)) return false;
  set_per_stream(is_per_stream);
  generation_begin_ = window_.next();
  earlier_awaits_key_unit_ = awaits_key_unit_;
  awaits_key_unit_ = is_per_stream;
  is_given_up_ = false;
  end_earlier_generations();
  return true;
}

void FrameLine::end_earlier_generations() {
  if (has_earlier_generation()) return;
  workers_.end_earlier_generations();
  wakes_.wake_supervisor();
}

bool FrameLine::give_up() {
  if (std::exchange(is_given_up_, true)) return false;
  wakes_.wake_output();
  for (core::Sequence s = window_.base(); s != window_.next(); ++s) {
    LineEntry& entry = *window_.find(s);
    if (entry.needs_worker() && !entry.is_taken)
      lose(entry, core::Cause::kNoWorkers);
  }
  return true;
}

// ---- Out -------------------------------------------------------------------

std::optional<core::RunningTime> FrameLine::due_of(
    const LineEntry& entry) const {
  if (!entry.running_time || is_in_stage_) return std::nullopt;
  return core::decide_due_time(*entry.running_time, due_inputs_);
}

core::HeadVerdict FrameLine::judge_head() {
  const LineEntry& head = window_.front();
  core::HeadFacts facts;
  facts.is_done = head.is_done;
  facts.is_started = head.is_taken;
  facts.slack_at_arrival = head.slack_at_arrival;
  facts.due = due_of(head);
  facts.lost = head.lost;
  if (facts.due && head.is_taken && !head.is_done) {
    facts.younger_done = done_frames_;
    facts.workers = workers_.active_count();
    facts.busy_for = steady_clock::now() - head.record.start;
    facts.mean_service = staffing_.mean_service();
  }
  const core::LatePolicy policy =
      can_rescue_ || !head.is_taken ? policy_ : core::LatePolicy::kWait;
  return core::decide_head(facts, policy,
                           facts.due ? time_.now() : std::nullopt);
}

void FrameLine::pop() {
  const LineEntry& head = window_.front();
  if (head.kind == LineEntry::Kind::kFrame) {
    --frames_in_flight_;
    if (head.is_done) --done_frames_;
    if (!head.is_taken && !head.is_lost()) --waiting_frames_;
    bytes_in_flight_ -= head.bytes;
    pass_on_prelude(window_.front());
    if (has_much_room()) wakes_.wake_submitter();
  }
  window_.pop_front();
  if (window_.base() == generation_begin_) end_earlier_generations();
  // What was to be asked when it had become the head.
  if (const LineEntry* next = oldest_waiting();
      next != nullptr && next->kind == LineEntry::Kind::kStageQuestion)
    assign();
}

// Events for the stage in front of a frame that no worker got: the next one
// takes them along.
void FrameLine::pass_on_prelude(LineEntry& entry) {
  if (entry.prelude.empty()) return;
  std::vector<EventPtr>* next = &prelude_;
  for (core::Sequence s = entry.record.sequence + 1; s != window_.next(); ++s) {
    LineEntry& later = *window_.find(s);
    if (later.kind != LineEntry::Kind::kFrame || later.is_taken) continue;
    next = &later.prelude;
    break;
  }
  next->insert(next->begin(), std::make_move_iterator(entry.prelude.begin()),
               std::make_move_iterator(entry.prelude.end()));
  entry.prelude.clear();
}

void FrameLine::abandon_head(bool is_overdue) {
  LineEntry& head = window_.front();
  if (head.question != nullptr) head.question->refuse(wakes_);
  if (head.worker == nullptr) return;
  head.worker->abandon(head.record.sequence);
  if (chooser_ != nullptr && is_overdue)
    chooser_->on_overrun(*head.worker, measuring_time());
  staffing_.set_aside(*head.worker, is_overdue, steady_clock::now());
  // It may be what the others wait for to choose their caps.
  head.sticky->epoch()->pass_on();
  assign();  // to whom takes its place
}

void FrameLine::discard_head(core::Cause cause) {
  abandon_head(/*is_overdue=*/false);
  core::FrameRecord record = window_.front().record;
  record.action = core::Action::kDropped;
  record.cause = cause;
  record.departure = steady_clock::now();
  pop();
  account(record, GST_FLOW_OK);
}

// ---- The account -----------------------------------------------------------

void FrameLine::account(const core::FrameRecord& record, GstFlowReturn flow,
                        const Choice& choice) {
  sums_.on_departure(record);
  if (record.running_time && record.left)
    transit_.on_departure(*record.running_time, *record.left);
  if (record.action == core::Action::kApplied) {
    last_applied_ = std::max(last_applied_, record.sequence);
    late_result_.reset();
  }
  if (chooser_ != nullptr && !is_per_stream_)
    chooser_->on_left(record, choice.verdict, choice.slack, level_time());
  if (record.cause == core::Cause::kOverdueWaiting ||
      record.cause == core::Cause::kOverdueRunning ||
      record.cause == core::Cause::kStalled)
    staffing_.on_rescued(record.departure);
  trace_.on_left(record, choice.verdict, chooser_);
  trace_counts();
  GST_LOG_OBJECT(owner_, "frame %" G_GUINT64_FORMAT " %s, cause %s%s",
                 record.sequence, core::to_string(record.action),
                 core::to_string(record.cause), record.late ? ", late" : "");
  take_flow(flow);
}

void FrameLine::trace_counts() {
  if (trace_.is_on())
    trace_.on_counts(sums_, workers_, core::to_string(staffing_.size().why()));
}

core::Duration FrameLine::on_qos(core::RunningTime r, core::Duration jitter) {
  if (due_inputs_.total) transit_.on_qos(r, jitter, *due_inputs_.total);
  return transit_.reserve(due_inputs_.budget);
}

void FrameLine::take_flow(GstFlowReturn flow) {
  if (flow == GST_FLOW_OK || flow_ != GST_FLOW_OK) return;
  GST_DEBUG_OBJECT(owner_, "flow is %s from now on", gst_flow_get_name(flow));
  flow_ = flow;
  wakes_.wake_submitter();
}

}  // namespace dispatch::stage
