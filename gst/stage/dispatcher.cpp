// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/dispatcher.h"

#include <algorithm>
#include <utility>

namespace dispatch::stage {

namespace {

using core::MonotonicTime;
using std::chrono::steady_clock;

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

Dispatcher::Dispatcher(GstElement* owner, GstPad* src)
    : owner_(owner), line_(owner, time_, workers_, wakes_), output_(src) {}

// ---- Settings --------------------------------------------------------------

void Dispatcher::set_late_policy(core::LatePolicy policy) {
  const Section section(wakes_);
  line_.set_late_policy(policy);
  wakes_.wake_output();
}

void Dispatcher::set_due_inputs(const core::DueTimeInputs& inputs) {
  const Section section(wakes_);
  line_.set_due_inputs(inputs);
  wakes_.wake_output();
}

void Dispatcher::set_window(const core::WindowLimits& limits) {
  const Section section(wakes_);
  line_.set_limits(limits);
  wakes_.wake_submitter();
}

void Dispatcher::recompute_waits() {
  const Section section(wakes_);
  wakes_.wake_output();
}

void Dispatcher::set_per_stream(bool is_per_stream) {
  const Section section(wakes_);
  line_.set_per_stream(is_per_stream);
}

bool Dispatcher::is_per_stream() const {
  const Section section(wakes_);
  return line_.is_per_stream();
}

bool Dispatcher::are_due_times_applied() const {
  const Section section(wakes_);
  return !line_.is_per_stream() && core::due_times_apply(line_.due_inputs());
}

core::FrameSums Dispatcher::sums() const {
  const Section section(wakes_);
  return line_.sums();
}

core::WindowLimits Dispatcher::window() const {
  const Section section(wakes_);
  return line_.limits();
}

void Dispatcher::count_copies(std::uint64_t buffers, std::uint64_t bytes) {
  const Section section(wakes_);
  line_.count_copies(buffers, bytes);
}

std::shared_ptr<Reports> Dispatcher::reports() const {
  const Section section(wakes_);
  return wakes_.reports();
}

GstFlowReturn Dispatcher::flow() const {
  const Section section(wakes_);
  return line_.flow();
}

// ---- Start, stop, flush ----------------------------------------------------

void Dispatcher::start(std::vector<std::shared_ptr<Worker>> workers,
                       std::shared_ptr<Reports> reports) {
  const Section section(wakes_);
  workers_.set(std::move(workers));
  wakes_.set_reports(std::move(reports));
  line_.start();
  has_said_no_bypass_ = false;
}

void Dispatcher::begin_stop() {
  const Section section(wakes_);
  line_.begin_stop();
}

void Dispatcher::finish_stop() {
  const Section section(wakes_);
  line_.finish_stop();
  workers_.clear();
  wakes_.set_reports(nullptr);
  output_.reset();
}

void Dispatcher::begin_flush() {
  std::vector<std::shared_ptr<Worker>> workers;
  {
    const Section section(wakes_);
    line_.begin_flush();
    workers = workers_.all();
  }
  for (const auto& worker : workers) worker->flush();
}

void Dispatcher::finish_flush() {
  const Section section(wakes_);
  for (EventPtr& event : line_.finish_flush())
    output_.keep_state(std::move(event));
  output_.flush();
}

// ---- In --------------------------------------------------------------------

GstFlowReturn Dispatcher::submit(
    Frame frame, const std::shared_ptr<const StickyState>& sticky) {
  const std::uint64_t bytes = frame.bytes();
  // The output may be busy with downstream while a worker waits for work.
  if (const std::shared_ptr<Reports> found = reports()) found->take();
  Section section(wakes_);
  section.wait_for_room([&] {
    return line_.is_ended() || line_.flow() != GST_FLOW_OK ||
           line_.has_room(bytes);
  });
  if (line_.is_ended()) return GST_FLOW_FLUSHING;
  if (line_.flow() != GST_FLOW_OK) return line_.flow();
  line_.add_frame(std::move(frame), bytes, sticky);
  return GST_FLOW_OK;
}

GstFlowReturn Dispatcher::push_event(
    EventPtr event, const std::shared_ptr<const StickyState>& sticky) {
  const Section section(wakes_);
  if (line_.is_ended()) return GST_FLOW_FLUSHING;
  line_.add_event(std::move(event), sticky);
  return GST_FLOW_OK;
}

bool Dispatcher::answer_serialized(
    GstQuery* query, const std::shared_ptr<const StickyState>& sticky) {
  Section section(wakes_);
  if (line_.is_ended()) return false;
  if (GST_QUERY_TYPE(query) == GST_QUERY_ALLOCATION)
    return ask_stage(section, query, sticky);
  Question question(query);
  line_.add_question(question, sticky);
  return question.wait(section);
}

bool Dispatcher::ask_stage(Section& section, GstQuery* query,
                           const std::shared_ptr<const StickyState>& sticky) {
  StageQuestion question;
  const core::Sequence sequence =
      line_.add_stage_question(question, query, sticky);
  // A flush or stop discards the entry, which refuses the question.
  section.wait_for_answer(
      [&] { return question.is_answered() || line_.is_ended(); });
  if (LineEntry* left = line_.find(sequence); left != nullptr)
    left->stage_question = nullptr;
  const QueryPtr answer = question.take_answer();
  if (!answer) return false;
  copy_allocation(answer.get(), query, /*with_pools=*/true);
  return true;
}

// ---- The workers' ----------------------------------------------------------

void Dispatcher::on_finished(Worker& worker, core::Sequence sequence,
                             JobResult& result) {
  const Section section(wakes_);
  line_.on_finished(worker, sequence, result);
}

bool Dispatcher::is_interrupting() const {
  const Section section(wakes_);
  return line_.is_ended();
}

bool Dispatcher::query_downstream(core::Sequence sequence, GstQuery* query,
                                  Outputs& so_far) {
  Section section(wakes_);
  LineEntry* entry = line_.find(sequence);
  if (line_.is_ended() || entry == nullptr || entry->is_done ||
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

// ---- Out -------------------------------------------------------------------

void Dispatcher::run_output() {
  Section section(wakes_);
  while (!line_.is_ended()) take_step(section);
}

void Dispatcher::take_step(Section& section) {
  if (line_.is_empty()) {
    wait_for_head(section, {});
    return;
  }
  LineEntry& head = line_.head();
  if (head.question != nullptr && head.question->is_waiting()) {
    ask_downstream(section);
    return;
  }
  if (head.kind == LineEntry::Kind::kEvent) {
    release_event(section);
    return;
  }
  if (head.kind == LineEntry::Kind::kFrame && line_.flow() != GST_FLOW_OK) {
    line_.discard_head(core::Cause::kDownstream);
    return;
  }
  if (head.kind == LineEntry::Kind::kStageQuestion && head.is_done) {
    release_answer();
    return;
  }
  const core::HeadVerdict verdict = line_.judge_head();
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

// ---- Waiting ---------------------------------------------------------------

// When to wake at the latest. With nothing to wait for, and frames that come
// in time, that is when the last frame was due: the next one will be due later,
// and its coming needs no wake-up of its own.
std::optional<core::RunningTime> Dispatcher::decide_wake_up(
    const core::HeadVerdict& verdict) {
  if (verdict.kind == core::HeadVerdict::Kind::kWaitUntil) return verdict.until;
  if (!line_.is_empty()) return std::nullopt;
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
  const bool is_left_waiting = line_.has_left_waiting();
  if (is_left_waiting)
    alarms.until =
        std::min(alarms.until.value_or(MonotonicTime::max()),
                 steady_clock::now() + core::WakePolicy::kLongestWait);
  section.sleep_on_reports(alarms);
  // What was left waiting for a running worker has waited long enough.
  if (is_left_waiting && line_.has_left_waiting()) line_.assign_left_waiting();
}

void Dispatcher::wait_for_head(Section& section,
                               const core::HeadVerdict& verdict) {
  if (wakes_.reports()) {
    wait_for_reports(section, verdict);
  } else if (verdict.kind == core::HeadVerdict::Kind::kWaitUntil) {
    // Null: left PLAYING just now, so it is judged again without time.
    if (const ClockIdPtr wait = time_.new_wait(verdict.until))
      section.sleep_on_clock(wait.get());
  } else if (!line_.has_left_waiting()) {
    section.sleep();
  } else if (!section.sleep_for(core::WakePolicy::kLongestWait)) {
    // What was left waiting for a running worker has waited long enough.
    line_.assign_left_waiting();
  }
}

// ---- Releasing -------------------------------------------------------------

// What the stage gave before its question goes first: the answer may depend on
// its caps.
void Dispatcher::ask_downstream(Section& section) {
  LineEntry& head = line_.head();
  Question* question = head.question;
  GstQuery* query = question->begin();
  const std::shared_ptr<const StickyState> sticky = head.sticky;
  const bool is_upstreams = head.kind == LineEntry::Kind::kQuestion;
  const core::Sequence sequence = head.record.sequence;
  std::swap(outputs_, head.outputs);
  section.unlock();
  const GstFlowReturn flow = output_.push_part(outputs_, *sticky);
  const bool result = flow == GST_FLOW_OK && output_.query(query);
  section.lock();
  line_.take_flow(flow);
  question->answer(result, wakes_);
  LineEntry* same = line_.find(sequence);
  if (same == nullptr) return;
  same->question = nullptr;
  if (is_upstreams) line_.pop();
}

void Dispatcher::release_event(Section& section) {
  LineEntry& head = line_.head();
  EventPtr event = std::move(head.event);
  const std::shared_ptr<const StickyState> sticky = head.sticky;
  line_.pop();
  section.unlock();
  output_.push_event(std::move(event), *sticky);
  section.lock();
}

void Dispatcher::release_answer() {
  LineEntry& head = line_.head();
  if (head.stage_question != nullptr)
    head.stage_question->answer(std::move(head.allocation), wakes_);
  line_.pop();
}

void Dispatcher::release_result(Section& section) {
  LineEntry& head = line_.head();
  std::swap(outputs_, head.outputs);
  const std::shared_ptr<const StickyState> sticky = head.sticky;
  EventPtr event = std::move(head.event);
  core::FrameRecord record = head.record;
  record.due = line_.due_of(head);
  const bool is_frame = head.kind == LineEntry::Kind::kFrame;
  const GstFlowReturn stage_flow = head.flow;
  const core::LatePolicy policy = line_.late_policy();
  last_due_ = record.due;
  line_.pop();
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
  if (is_frame) line_.account(record, flow);
}

void Dispatcher::release_overdue(Section& section, core::Cause cause) {
  LineEntry& head = line_.head();
  line_.abandon_head();
  Frame original = std::move(head.frame);
  const std::shared_ptr<const StickyState> sticky = head.sticky;
  const Stamps stamps = head.stamps;
  const std::optional<core::RunningTime> r = head.running_time;
  core::FrameRecord record = head.record;
  record.due = line_.due_of(head);
  record.cause = cause;
  const core::LatePolicy policy = line_.late_policy();
  const bool is_live = line_.due_inputs().is_live;
  line_.pop();
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
  line_.account(record, flow);
  const core::FrameSums sums = line_.sums();
  section.unlock();
  GstMessage* message = new_qos(
      owner_, stamps, *sticky, r, is_live,
      left && record.due ? *left - *record.due : core::Duration(), sums);
  gst_element_post_message(owner_, message);
  section.lock();
}

std::optional<core::RunningTime> Dispatcher::stamp_departure(
    core::FrameRecord& record) const {
  record.departure = steady_clock::now();
  if (!record.due) return std::nullopt;
  const std::optional<core::RunningTime> now = time_.now();
  record.late = core::is_late(record.due, now);
  return now;
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
