// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/dispatcher.h"

#include <algorithm>
#include <utility>

GST_DEBUG_CATEGORY_STATIC(dispatcher_debug);
#define GST_CAT_DEFAULT dispatcher_debug

namespace dispatch::stage {

namespace {

using core::MonotonicTime;
using std::chrono::steady_clock;

void init_debug() {
  static const bool done = [] {
    GST_DEBUG_CATEGORY_INIT(dispatcher_debug, "dispatch", 0,
                            "frames, workers and their order");
    return true;
  }();
  (void)done;
}

// How an event without state reaches the worker of the next frame.
bool concerns_stage(GstEvent* event) {
  return GST_EVENT_TYPE(event) == GST_EVENT_CUSTOM_DOWNSTREAM;
}

bool is_state(GstEvent* event) {
  return GST_EVENT_IS_STICKY(event) && GST_EVENT_TYPE(event) != GST_EVENT_EOS;
}

bool has_eos(const Outputs& outputs) {
  return std::any_of(outputs.begin(), outputs.end(), [](const auto& item) {
    return GST_IS_EVENT(item.get()) &&
           GST_EVENT_TYPE(GST_EVENT_CAST(item.get())) == GST_EVENT_EOS;
  });
}

// A frame did not get the stage: quality 0, and how the others fared.
// (transfer full)
GstMessage* new_qos(GstElement* owner, const Stamps& stamps,
                    const StickyState& sticky,
                    std::optional<core::RunningTime> r, bool is_live,
                    core::Duration jitter, const core::FrameSums& sums) {
  const gint64 running = r ? r->time_since_epoch().count() : -1;
  GstMessage* message = gst_message_new_qos(
      GST_OBJECT_CAST(owner), is_live ? TRUE : FALSE,
      running >= 0 ? static_cast<GstClockTime>(running) : GST_CLOCK_TIME_NONE,
      sticky.stream_time(stamps.pts), stamps.pts, stamps.duration);
  gst_message_set_qos_values(message, jitter.count(), 1.0, 0);
  const std::uint64_t applied = sums.count(core::Action::kApplied);
  gst_message_set_qos_stats(message, GST_FORMAT_BUFFERS, applied,
                            sums.frames_in() - sums.in_flight() - applied);
  return message;
}

}  // namespace

void Dispatcher::Entry::reset() {
  Outputs kept = std::move(outputs);  // for its capacity
  kept.clear();
  *this = Entry();
  outputs = std::move(kept);
}

Dispatcher::Dispatcher(GstElement* owner, GstPad* src)
    : owner_(owner), src_(share_object(src)), output_(src) {
  init_debug();
}

// ---- Settings --------------------------------------------------------------

void Dispatcher::set_late_policy(core::LatePolicy policy) {
  const Section section(wakes_);
  policy_ = policy;
  wakes_.wake_output();
}

void Dispatcher::set_due_inputs(const core::DueTimeInputs& inputs) {
  const Section section(wakes_);
  due_inputs_ = inputs;
  wakes_.wake_output();
}

void Dispatcher::set_window(const core::WindowLimits& limits) {
  const Section section(wakes_);
  limits_ = limits;
  wakes_.wake_submitter();
}

void Dispatcher::recompute_waits() {
  const Section section(wakes_);
  wakes_.wake_output();
}

void Dispatcher::set_per_stream(bool is_per_stream) {
  const Section section(wakes_);
  is_per_stream_ = is_per_stream;
}

bool Dispatcher::is_per_stream() const {
  const Section section(wakes_);
  return is_per_stream_;
}

bool Dispatcher::are_due_times_applied() const {
  const Section section(wakes_);
  return !is_per_stream_ && core::due_times_apply(due_inputs_);
}

core::FrameSums Dispatcher::sums() const {
  const Section section(wakes_);
  return sums_;
}

core::WindowLimits Dispatcher::window() const {
  const Section section(wakes_);
  return limits_;
}

void Dispatcher::count_copies(std::uint64_t buffers, std::uint64_t bytes) {
  const Section section(wakes_);
  sums_.on_copies(buffers, bytes);
}

std::shared_ptr<Reports> Dispatcher::reports() const {
  const Section section(wakes_);
  return wakes_.reports();
}

GstFlowReturn Dispatcher::flow() const {
  const Section section(wakes_);
  return flow_;
}

// ---- Start, stop, flush ----------------------------------------------------

void Dispatcher::start(std::vector<std::shared_ptr<Worker>> workers,
                       std::shared_ptr<Reports> reports) {
  const Section section(wakes_);
  workers_.set(std::move(workers));
  wakes_.set_reports(std::move(reports));
  sums_ = core::FrameSums();
  flow_ = GST_FLOW_OK;
  is_stopped_ = is_flushing_ = is_per_stream_ = false;
  has_said_no_bypass_ = false;
}

void Dispatcher::interrupt_waits_locked() {
  wakes_.wake_submitter();
  wakes_.wake_questioners();
  wakes_.wake_output();
  for (core::Sequence s = window_.base(); s != window_.next(); ++s) {
    Entry& entry = *window_.find(s);
    if (entry.is_taken) entry.sticky->epoch()->interrupt();
    // One that is being asked ends with downstream's flush.
    refuse_waiting_question_locked(entry);
  }
}

void Dispatcher::begin_stop() {
  const Section section(wakes_);
  is_stopped_ = true;
  interrupt_waits_locked();
}

void Dispatcher::finish_stop() {
  const Section section(wakes_);
  discard_all_locked(core::Cause::kStop);
  workers_.clear();
  wakes_.set_reports(nullptr);
  prelude_.clear();
  output_.reset();
}

void Dispatcher::begin_flush() {
  std::vector<std::shared_ptr<Worker>> workers;
  {
    const Section section(wakes_);
    is_flushing_ = true;
    interrupt_waits_locked();
    workers = workers_.all();
  }
  for (const auto& worker : workers) worker->flush();
}

void Dispatcher::finish_flush() {
  const Section section(wakes_);
  for (core::Sequence s = window_.base(); s != window_.next(); ++s)
    if (Entry& entry = *window_.find(s); entry.kind == Entry::Kind::kEvent)
      output_.keep_state(std::move(entry.event));
  discard_all_locked(core::Cause::kFlush);
  prelude_.clear();
  output_.flush();
  flow_ = GST_FLOW_OK;
  is_flushing_ = false;
}

void Dispatcher::discard_all_locked(core::Cause cause) {
  while (!window_.is_empty()) {
    Entry& head = window_.front();
    if (head.question != nullptr) head.question->refuse(wakes_);
    if (head.stage_question != nullptr) head.stage_question->refuse(wakes_);
    if (head.kind == Entry::Kind::kFrame) {
      discard_head_locked(cause);
    } else {
      pop_locked();
    }
  }
  first_after_flush_ = window_.next();
  wakes_.wake_questioners();
}

// ---- Input -----------------------------------------------------------------

bool Dispatcher::has_room_locked(std::uint64_t bytes) const {
  return core::may_admit(limits_, frames_in_flight_, bytes_in_flight_, bytes,
                         limits_.always_frames);
}

// Waking the submitter for each single place would switch threads for each
// frame; a quarter of the window is room for several.
bool Dispatcher::has_much_room_locked() const {
  return frames_in_flight_ <= limits_.frames - limits_.frames / 4;
}

Dispatcher::Entry& Dispatcher::append_locked(
    Entry::Kind kind, const std::shared_ptr<const StickyState>& sticky) {
  Entry& entry = window_.append();
  entry.kind = kind;
  entry.sticky = sticky;
  entry.is_per_stream = is_per_stream_;
  entry.record.sequence = window_.next() - 1;
  return entry;
}

void Dispatcher::stamp_arrival_locked(Entry& entry) {
  entry.record.arrival = steady_clock::now();
  const std::optional<core::RunningTime> due = due_locked(entry);
  if (!due) return;
  const std::optional<core::RunningTime> now = time_.now();
  if (!now) return;  // not PLAYING yet: it cannot be late
  entry.slack_at_arrival = *due - *now;
  entry.due_monotonic = entry.record.arrival + entry.slack_at_arrival;
}

// Whether the output has anything to do for a head that has just come: to wait
// for its due time, if there is one, and it does not wake before that anyway.
bool Dispatcher::concerns_output_locked(const Entry& head) const {
  const std::optional<core::RunningTime> due = due_locked(head);
  return due && !wakes_.is_output_awake_by(*due);
}

GstFlowReturn Dispatcher::submit(
    Frame frame, const std::shared_ptr<const StickyState>& sticky) {
  const std::uint64_t bytes = frame.bytes();
  // The output may be busy with downstream while a worker waits for work.
  if (const std::shared_ptr<Reports> found = reports()) found->take();
  Section section(wakes_);
  section.wait_for_room([&] {
    return is_ended_locked() || flow_ != GST_FLOW_OK || has_room_locked(bytes);
  });
  if (is_ended_locked()) return GST_FLOW_FLUSHING;
  if (flow_ != GST_FLOW_OK) return flow_;

  const bool was_empty = window_.is_empty();
  Entry& entry = append_locked(Entry::Kind::kFrame, sticky);
  entry.stamps = frame.stamps();
  entry.bytes = bytes;
  if (!is_per_stream_) entry.running_time = sticky->running_time(frame.first());
  entry.frame = std::move(frame);
  entry.prelude = std::exchange(prelude_, {});
  stamp_arrival_locked(entry);
  sums_.on_arrival();
  ++frames_in_flight_;
  bytes_in_flight_ += bytes;
  if (was_empty && concerns_output_locked(entry)) wakes_.wake_output();
  assign_locked();
  return GST_FLOW_OK;
}

GstFlowReturn Dispatcher::push_event(
    EventPtr event, const std::shared_ptr<const StickyState>& sticky) {
  const Section section(wakes_);
  if (is_ended_locked()) return GST_FLOW_FLUSHING;
  const GstEventType type = GST_EVENT_TYPE(event.get());
  // A new stream after the end of one.
  if (type == GST_EVENT_STREAM_START || type == GST_EVENT_SEGMENT)
    if (flow_ == GST_FLOW_EOS) flow_ = GST_FLOW_OK;

  const bool goes_through = is_per_stream_ && type != GST_EVENT_STREAM_START;
  Entry& entry = append_locked(
      goes_through ? Entry::Kind::kStageEvent : Entry::Kind::kEvent, sticky);
  if (!goes_through && concerns_stage(event.get()))
    prelude_.push_back(share(event.get()));
  entry.event = std::move(event);
  wakes_.wake_output();
  assign_locked();
  return GST_FLOW_OK;
}

bool Dispatcher::answer_serialized(
    GstQuery* query, const std::shared_ptr<const StickyState>& sticky) {
  Section section(wakes_);
  if (is_ended_locked()) return false;
  if (GST_QUERY_TYPE(query) == GST_QUERY_ALLOCATION)
    return ask_stage_locked(section, query, sticky);
  Question question(query);
  append_locked(Entry::Kind::kQuestion, sticky).question = &question;
  wakes_.wake_output();
  assign_locked();
  return question.wait(section);
}

bool Dispatcher::ask_stage_locked(
    Section& section, GstQuery* query,
    const std::shared_ptr<const StickyState>& sticky) {
  StageQuestion question;
  Entry& entry = append_locked(Entry::Kind::kAllocation, sticky);
  entry.allocation = new_allocation_like(query);
  entry.stage_question = &question;
  assign_locked();
  // A flush or stop discards the entry, which refuses the question.
  const core::Sequence sequence = entry.record.sequence;
  section.wait_for_answer(
      [&] { return question.is_answered() || is_ended_locked(); });
  if (Entry* left = window_.find(sequence); left != nullptr)
    left->stage_question = nullptr;
  const QueryPtr answer = question.take_answer();
  if (!answer) return false;
  copy_allocation(answer.get(), query, /*with_pools=*/true);
  return true;
}

// ---- Workers ---------------------------------------------------------------

// Left for a worker that is running and will be done before another is awake.
bool Dispatcher::is_left_waiting_locked(const Entry& entry,
                                        unsigned awake) const {
  if (awake > 0 || entry.kind != Entry::Kind::kFrame || entry.is_per_stream ||
      due_locked(entry))
    return false;
  return !workers_.is_worth_waking();
}

// One FIFO: whenever a worker is idle it starts with the oldest frame.
void Dispatcher::assign_locked(unsigned awake) {
  if (is_ended_locked()) return;
  while (Entry* entry = window_.waiting()) {
    const core::Sequence sequence = window_.waiting_sequence();
    if (entry->needs_worker()) {
      // Answered after the earlier frames have left.
      if (entry->kind == Entry::Kind::kAllocation && sequence != window_.base())
        return;
      if (is_left_waiting_locked(*entry, awake)) return;
      std::shared_ptr<Worker> worker = workers_.take_idle(entry->is_per_stream);
      if (!worker) return;
      if (awake > 0) --awake;
      entry->is_taken = true;
      entry->worker = worker.get();
      entry->record.worker = worker->number();
      if (entry->running_time) entry->record.start = steady_clock::now();
      wakes_.hand_over(std::move(worker), make_job_locked(*entry, sequence));
    }
    window_.advance_waiting();
  }
}

Job Dispatcher::make_job_locked(Entry& entry, core::Sequence sequence) {
  Job job;
  job.sequence = sequence;
  job.sticky = entry.sticky;
  job.prelude = std::move(entry.prelude);
  job.is_per_stream = entry.is_per_stream;
  job.query = std::move(entry.allocation);
  if (entry.event && !is_state(entry.event.get()))
    job.event = share(entry.event.get());
  if (!entry.frame) return job;
  job.due = entry.due_monotonic;
  job.keep_original = policy_ == core::LatePolicy::kBypass &&
                      due_locked(entry) && entry.sticky->epoch()->may_bypass();
  job.frame = job.keep_original ? entry.frame.share() : std::move(entry.frame);
  return job;
}

void Dispatcher::store_result_locked(Entry& entry, JobResult& result) {
  if (entry.outputs.empty()) {
    std::swap(entry.outputs, result.outputs);
  } else {  // a part has been asked for and may still be there
    for (MiniObjectPtr& item : result.outputs)
      entry.outputs.push_back(std::move(item));
  }
  entry.flow = result.flow;
  entry.allocation = std::move(result.answer);
  entry.record.start = result.start;
  entry.record.end = result.end;
  entry.is_done = true;
  // Of a worker that has died meanwhile: nobody needs the answer.
  refuse_waiting_question_locked(entry);
}

void Dispatcher::on_finished(Worker& worker, core::Sequence sequence,
                             JobResult& result) {
  const Section section(wakes_);
  if (is_stopped_) return;
  if (result.copied_buffers != 0)
    sums_.on_copies(result.copied_buffers, result.copied_bytes);
  workers_.on_finished(worker, result.end - result.start);
  if (Entry* entry = window_.find(sequence)) {
    store_result_locked(*entry, result);
    if (sequence == window_.base()) wakes_.wake_output();
  } else if (sequence >= first_after_flush_) {
    sums_.on_late_result();
  }
  assign_locked(/*awake=*/1);
}

bool Dispatcher::is_interrupting() const {
  const Section section(wakes_);
  return is_ended_locked();
}

// ---- Questions -------------------------------------------------------------

void Dispatcher::refuse_waiting_question_locked(Entry& entry) {
  if (entry.question != nullptr && entry.question->is_waiting())
    std::exchange(entry.question, nullptr)->refuse(wakes_);
}

bool Dispatcher::query_downstream(core::Sequence sequence, GstQuery* query,
                                  Outputs& so_far) {
  Section section(wakes_);
  Entry* entry = window_.find(sequence);
  if (is_ended_locked() || entry == nullptr || entry->is_done ||
      entry->question != nullptr)
    return false;
  for (MiniObjectPtr& item : so_far) entry->outputs.push_back(std::move(item));
  so_far.clear();
  Question question(query);
  entry->question = &question;
  // An older frame, for which this one waits, must not wait for its caps.
  entry->sticky->epoch()->pass_on();
  wakes_.wake_output();
  return question.wait(section);
}

// ---- Output ----------------------------------------------------------------

std::optional<core::RunningTime> Dispatcher::due_locked(
    const Entry& entry) const {
  if (!entry.running_time) return std::nullopt;
  return core::decide_due_time(*entry.running_time, due_inputs_);
}

core::HeadVerdict Dispatcher::judge_head_locked(const Entry& head) const {
  core::HeadFacts facts;
  facts.is_done = head.is_done;
  facts.is_started = head.is_taken;
  facts.slack_at_arrival = head.slack_at_arrival;
  facts.due = due_locked(head);
  return core::decide_head(facts, policy_,
                           facts.due ? time_.now() : std::nullopt);
}

void Dispatcher::run_output() {
  Section section(wakes_);
  while (!is_ended_locked()) take_step(section);
}

void Dispatcher::take_step(Section& section) {
  if (window_.is_empty()) {
    wait_for_head(section, {});
    return;
  }
  Entry& head = window_.front();
  if (head.question != nullptr && head.question->is_waiting()) {
    ask_downstream(section);
    return;
  }
  if (head.kind == Entry::Kind::kEvent) {
    release_event(section);
    return;
  }
  if (head.kind == Entry::Kind::kFrame && flow_ != GST_FLOW_OK) {
    discard_head_locked(core::Cause::kDownstream);
    return;
  }
  const core::HeadVerdict verdict = judge_head_locked(head);
  switch (verdict.kind) {
    case core::HeadVerdict::Kind::kRelease:
      release_result(section);
      return;
    case core::HeadVerdict::Kind::kOverdue:
      release_overdue(section, verdict.cause);
      return;
    case core::HeadVerdict::Kind::kWait:
    case core::HeadVerdict::Kind::kWaitUntil:
      wait_for_head(section, verdict);
      return;
  }
}

// A frame waits for a running worker although another one is idle.
bool Dispatcher::has_left_waiting_locked() {
  const Entry* waiting = window_.waiting();
  return workers_.idle_count() != 0 && waiting != nullptr &&
         is_left_waiting_locked(*waiting, 0);
}

// When to wake at the latest. With nothing to wait for, and frames that come
// in time, that is when the last frame was due: the next one will be due later,
// and its coming needs no wake-up of its own.
std::optional<core::RunningTime> Dispatcher::decide_wake_up(
    const core::HeadVerdict& verdict) {
  if (verdict.kind == core::HeadVerdict::Kind::kWaitUntil) return verdict.until;
  if (!window_.is_empty()) return std::nullopt;
  // Once: a stream that rests lets the output rest.
  return std::exchange(last_due_, std::nullopt);
}

void Dispatcher::wait_for_reports(Section& section,
                                  const core::HeadVerdict& verdict) {
  Section::Alarms alarms;
  const std::optional<core::RunningTime> wake_up = decide_wake_up(verdict);
  if (wake_up) alarms.until = time_.to_monotonic(*wake_up);
  if (alarms.until) alarms.until_due = wake_up;
  if (verdict.kind == core::HeadVerdict::Kind::kWaitUntil && !alarms.until) {
    alarms.clock_wait = time_.new_wait(verdict.until);
    if (!alarms.clock_wait) return;  // left PLAYING just now
  }
  const bool is_left_waiting = has_left_waiting_locked();
  if (is_left_waiting)
    alarms.until =
        std::min(alarms.until.value_or(MonotonicTime::max()),
                 steady_clock::now() + core::WakePolicy::kLongestWait);
  section.sleep_on_reports(alarms);
  // What was left waiting for a running worker has waited long enough.
  if (is_left_waiting && has_left_waiting_locked())
    assign_locked(/*awake=*/workers_.idle_count());
}

void Dispatcher::wait_for_head(Section& section,
                               const core::HeadVerdict& verdict) {
  if (wakes_.reports()) {
    wait_for_reports(section, verdict);
  } else if (verdict.kind == core::HeadVerdict::Kind::kWaitUntil) {
    // Null: left PLAYING just now, so it is judged again without time.
    if (const ClockIdPtr wait = time_.new_wait(verdict.until))
      section.sleep_on_clock(wait.get());
  } else if (!has_left_waiting_locked()) {
    section.sleep();
  } else if (!section.sleep_for(core::WakePolicy::kLongestWait)) {
    // What was left waiting for a running worker has waited long enough.
    assign_locked(/*awake=*/workers_.idle_count());
  }
}

void Dispatcher::pop_locked() {
  Entry& head = window_.front();
  if (head.kind == Entry::Kind::kFrame) {
    --frames_in_flight_;
    bytes_in_flight_ -= head.bytes;
    if (has_much_room_locked()) wakes_.wake_submitter();
  }
  window_.pop_front();
  // What was to be asked when it had become the head.
  if (Entry* next = window_.waiting();
      next != nullptr && next->kind == Entry::Kind::kAllocation)
    assign_locked();
}

// What the stage gave before its question goes first: the answer may depend on
// its caps.
void Dispatcher::ask_downstream(Section& section) {
  Entry& head = window_.front();
  Question* question = head.question;
  GstQuery* query = question->begin();
  const std::shared_ptr<const StickyState> sticky = head.sticky;
  const bool is_upstreams = head.kind == Entry::Kind::kQuestion;
  const core::Sequence sequence = head.record.sequence;
  std::swap(outputs_, head.outputs);
  section.unlock();
  const GstFlowReturn flow = output_.push_part(outputs_, *sticky);
  const bool result = flow == GST_FLOW_OK && output_.query(query);
  section.lock();
  take_flow_locked(flow);
  question->answer(result, wakes_);
  Entry* same = window_.find(sequence);
  if (same == nullptr) return;
  same->question = nullptr;
  if (is_upstreams) pop_locked();
}

void Dispatcher::release_event(Section& section) {
  Entry& head = window_.front();
  EventPtr event = std::move(head.event);
  const std::shared_ptr<const StickyState> sticky = head.sticky;
  pop_locked();
  section.unlock();
  output_.push_event(std::move(event), *sticky);
  section.lock();
}

void Dispatcher::release_result(Section& section) {
  Entry& head = window_.front();
  if (head.kind == Entry::Kind::kAllocation) {
    if (head.stage_question != nullptr)
      head.stage_question->answer(std::move(head.allocation), wakes_);
    pop_locked();
    return;
  }
  std::swap(outputs_, head.outputs);
  const std::shared_ptr<const StickyState> sticky = head.sticky;
  EventPtr event = std::move(head.event);
  core::FrameRecord record = head.record;
  record.due = due_locked(head);
  const bool is_frame = head.kind == Entry::Kind::kFrame;
  const GstFlowReturn stage_flow = head.flow;
  const core::LatePolicy policy = policy_;
  last_due_ = record.due;
  pop_locked();
  section.unlock();

  const bool is_eos = event && GST_EVENT_TYPE(event.get()) == GST_EVENT_EOS;
  const bool lacks_eos = is_eos && !has_eos(outputs_);
  const bool keeps_last = record.due && (policy == core::LatePolicy::kRepeat ||
                                         (policy == core::LatePolicy::kBypass &&
                                          !OrderedOutput::keeps_caps(*sticky)));
  stamp_departure(record);
  GstFlowReturn flow = output_.push_result(outputs_, *sticky, keeps_last);
  if (lacks_eos) output_.push_event(std::move(event), *sticky);
  if (flow == GST_FLOW_OK) flow = stage_flow;
  const bool is_applied =
      stage_flow == GST_FLOW_OK || stage_flow == GST_FLOW_EOS;
  record.action = is_applied ? core::Action::kApplied : core::Action::kDropped;
  record.cause = is_applied ? core::Cause::kNone : core::Cause::kStageError;

  section.lock();
  if (is_frame) account_locked(record, flow);
}

void Dispatcher::abandon_locked(Entry& head) {
  if (head.question != nullptr) head.question->refuse(wakes_);
  if (head.worker == nullptr) return;
  head.worker->abandon(head.record.sequence);
  // It may be what the others wait for to choose their caps.
  head.sticky->epoch()->pass_on();
}

void Dispatcher::release_overdue(Section& section, core::Cause cause) {
  Entry& head = window_.front();
  abandon_locked(head);
  Frame original = std::move(head.frame);
  const std::shared_ptr<const StickyState> sticky = head.sticky;
  const Stamps stamps = head.stamps;
  const std::optional<core::RunningTime> r = head.running_time;
  core::FrameRecord record = head.record;
  record.due = due_locked(head);
  record.cause = cause;
  const core::LatePolicy policy = policy_;
  const bool is_live = due_inputs_.is_live;
  pop_locked();
  section.unlock();

  const std::optional<core::RunningTime> left = stamp_departure(record);
  record.action =
      core::decide_substitute(policy, output_.substitutes(original, *sticky));
  GstFlowReturn flow = GST_FLOW_OK;
  if (record.action == core::Action::kBypassed) {
    flow = output_.push_original(std::move(original), *sticky);
  } else if (record.action == core::Action::kRepeated) {
    flow = output_.repeat(stamps, *sticky);
  } else {
    output_.drop(stamps, *sticky);
  }
  // It may be possible yet, while the stage has not chosen its caps.
  if (policy == core::LatePolicy::kBypass &&
      record.action != core::Action::kBypassed &&
      sticky->epoch()->output_caps())
    say_no_bypass_once(record.action);

  section.lock();
  account_locked(record, flow);
  const core::FrameSums sums = sums_;
  section.unlock();
  GstMessage* message = new_qos(
      owner_, stamps, *sticky, r, is_live,
      left && record.due ? *left - *record.due : core::Duration(), sums);
  gst_element_post_message(owner_, message);
  section.lock();
}

void Dispatcher::discard_head_locked(core::Cause cause) {
  Entry& head = window_.front();
  abandon_locked(head);
  core::FrameRecord record = head.record;
  record.action = core::Action::kDropped;
  record.cause = cause;
  record.departure = steady_clock::now();
  pop_locked();
  account_locked(record, GST_FLOW_OK);
}

std::optional<core::RunningTime> Dispatcher::stamp_departure(
    core::FrameRecord& record) const {
  record.departure = steady_clock::now();
  if (!record.due) return std::nullopt;
  const std::optional<core::RunningTime> now = time_.now();
  record.late = core::is_late(record.due, now);
  return now;
}

void Dispatcher::account_locked(const core::FrameRecord& record,
                                GstFlowReturn flow) {
  sums_.on_departure(record);
  GST_LOG_OBJECT(owner_, "frame %" G_GUINT64_FORMAT " %s, cause %s%s",
                 record.sequence, core::to_string(record.action),
                 core::to_string(record.cause), record.late ? ", late" : "");
  take_flow_locked(flow);
}

void Dispatcher::take_flow_locked(GstFlowReturn flow) {
  if (flow == GST_FLOW_OK || flow_ != GST_FLOW_OK) return;
  GST_DEBUG_OBJECT(owner_, "flow is %s from now on", gst_flow_get_name(flow));
  flow_ = flow;
  wakes_.wake_submitter();
}

void Dispatcher::say_no_bypass_once(core::Action instead) {
  if (std::exchange(has_said_no_bypass_, true)) return;
  GST_ELEMENT_WARNING(
      owner_, STREAM, FORMAT,
      ("A frame that is overdue cannot go past the stage and is %s instead.",
       core::to_string(instead)),
      ("late-policy=bypass needs a stage whose output caps are its input caps, "
       "and a memory layout that downstream takes; set late-policy to what you "
       "want to see instead."));
}

}  // namespace dispatch::stage
