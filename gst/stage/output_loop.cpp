// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/output_loop.h"

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

constexpr double kFullQuality = 1e6;  // GStreamer's unit of it

// A frame did not get the full stage: what it is worth, and how the others
// fared. (transfer full)
GstMessage* new_qos(GstElement* owner, const Stamps& stamps,
                    const StickyState& sticky,
                    std::optional<core::RunningTime> r, bool is_live,
                    core::Duration jitter, const core::FrameSums& sums,
                    double utility) {
  const gint64 running = r ? r->time_since_epoch().count() : -1;
  GstMessage* message = gst_message_new_qos(
      GST_OBJECT_CAST(owner), is_live ? TRUE : FALSE,
      running >= 0 ? static_cast<GstClockTime>(running) : GST_CLOCK_TIME_NONE,
      sticky.stream_time(stamps.pts), stamps.pts, stamps.duration);
  gst_message_set_qos_values(message, jitter.count(), 1.0,
                             static_cast<gint>(utility * kFullQuality));
  const std::uint64_t applied = sums.count(core::Action::kApplied);
  gst_message_set_qos_stats(message, GST_FORMAT_BUFFERS, applied,
                            sums.frames_in() - sums.in_flight() - applied);
  return message;
}

}  // namespace

OutputLoop::OutputLoop(GstElement* owner, GstPad* src, const PipelineTime& time,
                       FrameLine& line, Wakes& wakes, ElementTrace& trace)
    : owner_(owner),
      time_(time),
      line_(line),
      wakes_(wakes),
      output_(src),
      level_messages_(owner, trace) {}

bool OutputLoop::can_step() {
  if (line_.is_empty() || line_.is_ended()) return false;
  const LineEntry& head = line_.head();
  if (head.question != nullptr && head.question->is_waiting()) return true;
  return head.is_done || head.is_lost() || !head.needs_worker();
}

void OutputLoop::flush(std::vector<EventPtr> overtaken) {
  for (EventPtr& event : overtaken) output_.keep_state(std::move(event));
  output_.flush();
}

void OutputLoop::run() {
  Section section(wakes_);
  while (!line_.is_ended()) take_step(section);
}

void OutputLoop::take_step(Section& section) {
  if (line_.is_empty()) {
    wait_for_head(section, {});
    return;
  }
  LineEntry& head = line_.head();
  if (head.question != nullptr && head.question->is_waiting()) {
    ask_downstream(section);
    return;
  }
  if (head.kind == LineEntry::Kind::kEvent ||
      (head.kind == LineEntry::Kind::kStageEvent && head.is_lost())) {
    release_event(section);
    return;
  }
  if (head.kind == LineEntry::Kind::kFrame && line_.flow() != GST_FLOW_OK) {
    line_.discard_head(core::Cause::kDownstream);
    return;
  }
  if (head.kind == LineEntry::Kind::kStageQuestion &&
      (head.is_done || head.is_lost())) {
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
std::optional<core::RunningTime> OutputLoop::decide_wake_up(
    const core::HeadVerdict& verdict) {
  if (verdict.kind == core::HeadVerdict::Kind::kWaitUntil) return verdict.until;
  if (!line_.is_empty()) return std::nullopt;
  // Once: a stream that rests lets the output rest.
  return std::exchange(last_due_, std::nullopt);
}

void OutputLoop::wait_for_reports(Section& section,
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

void OutputLoop::wait_for_head(Section& section,
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
void OutputLoop::ask_downstream(Section& section) {
  LineEntry& head = line_.head();
  Question* question = head.question;
  GstQuery* query = question->begin();
  const std::shared_ptr<const StickyState> sticky = head.sticky;
  const bool is_upstreams = head.kind == LineEntry::Kind::kQuestion;
  const core::Sequence sequence = head.record.sequence;
  std::swap(outputs_, head.outputs);
  head.has_left_partly = head.has_left_partly || !outputs_.empty();
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

void OutputLoop::release_event(Section& section) {
  LineEntry& head = line_.head();
  EventPtr event = std::move(head.event);
  const std::shared_ptr<const StickyState> sticky = head.sticky;
  line_.pop();
  section.unlock();
  output_.push_event(std::move(event), *sticky);
  section.lock();
}

void OutputLoop::release_answer() {
  LineEntry& head = line_.head();
  if (head.is_lost()) head.allocation.reset();
  if (head.stage_question != nullptr)
    head.stage_question->answer(std::move(head.allocation), wakes_);
  line_.pop();
}

OutputLoop::Leaving OutputLoop::begin_leaving(const LineEntry& head) const {
  Leaving frame{
      head.record, head.stamps, head.sticky, {head.verdict, head.slack}};
  frame.record.running_time = head.running_time;
  frame.record.due = line_.due_of(head);
  if (head.due_monotonic) frame.record.slack = head.slack_at_arrival;
  if (head.came_with_due) frame.record.due_monotonic = head.due_monotonic;
  return frame;
}

void OutputLoop::release_result(Section& section) {
  LineEntry& head = line_.head();
  std::swap(outputs_, head.outputs);
  EventPtr event = std::move(head.event);
  Leaving frame = begin_leaving(head);
  core::FrameRecord& record = frame.record;
  const StickyState& sticky = *frame.sticky;
  const bool is_frame = head.kind == LineEntry::Kind::kFrame;
  const GstFlowReturn stage_flow = head.flow;
  const core::LatePolicy policy = line_.late_policy();
  const bool reuses = line_.reuses();
  const bool has_due_time = record.due || head.came_with_due;
  last_due_ = record.due;
  line_.pop();
  section.unlock();

  const bool is_eos = event && GST_EVENT_TYPE(event.get()) == GST_EVENT_EOS;
  const bool lacks_eos = is_eos && !has_eos(outputs_);

  const bool keeps_last =
      has_due_time && (policy == core::LatePolicy::kRepeat ||
                       (policy == core::LatePolicy::kBypass &&
                        (reuses || !OrderedOutput::keeps_caps(sticky))));
  stamp_departure(record);
  GstFlowReturn flow = output_.push_result(outputs_, sticky, keeps_last);
  record.push = last_push_ = steady_clock::now() - record.departure;
  if (lacks_eos) output_.push_event(std::move(event), sticky);
  if (flow == GST_FLOW_OK) flow = stage_flow;
  const bool is_applied =
      stage_flow == GST_FLOW_OK || stage_flow == GST_FLOW_EOS;
  record.action = is_applied ? core::Action::kApplied : core::Action::kDropped;
  if (!is_applied) record.cause = core::Cause::kStageError;

  section.lock();
  if (!is_frame) return;
  line_.account(record, flow, frame.choice);
  tell_news(section, frame);
}

// Something else than its result, which nobody waits for any more.
GstFlowReturn OutputLoop::push_substitute(Leaving& frame, Frame original,
                                          core::LatePolicy policy,
                                          bool reuses) {
  const StickyState& sticky = *frame.sticky;
  core::Action& action = frame.record.action;
  action = core::decide_substitute(
      policy, output_.substitutes(original, sticky), reuses);
  GstFlowReturn flow = GST_FLOW_OK;
  if (action == core::Action::kBypassed) {
    flow = output_.push_original(std::move(original), sticky);
  } else if (action == core::Action::kRepeated) {
    flow = output_.repeat(frame.stamps, sticky);
  } else {
    output_.drop(frame.stamps, sticky);
  }
  frame.record.push = last_push_ = steady_clock::now() - frame.record.departure;
  // It may be possible yet, while the stage has not chosen its caps.
  if (policy == core::LatePolicy::kBypass && !reuses &&
      action != core::Action::kBypassed && sticky.epoch()->output_caps())
    say_no_bypass_once(action);
  return flow;
}

void OutputLoop::release_overdue(Section& section, core::Cause cause) {
  LineEntry& head = line_.head();
  line_.abandon_head(/*is_overdue=*/true);
  Frame original = std::move(head.frame);
  Leaving frame = begin_leaving(head);
  frame.record.cause = cause;
  // What is lost cannot be waited for.
  const core::LatePolicy policy =
      head.is_lost() && line_.late_policy() == core::LatePolicy::kWait
          ? core::LatePolicy::kBypass
          : line_.late_policy();
  const bool reuses = line_.reuses();
  BufferPtr late_result = line_.take_late_result();
  line_.pop();
  section.unlock();

  if (late_result) output_.keep(std::move(late_result));
  stamp_departure(frame.record);
  const GstFlowReturn flow =
      push_substitute(frame, std::move(original), policy, reuses);

  section.lock();
  line_.account(frame.record, flow, frame.choice);
  const core::FrameRecord& record = frame.record;
  post_qos(section, frame,
           record.left && record.due ? *record.left - *record.due
                                     : core::Duration());
  tell_news(section, frame);
}

// That a frame did not get the full stage.
void OutputLoop::post_qos(Section& section, const Leaving& frame,
                          core::Duration jitter) {
  const core::FrameSums sums = line_.sums();
  const bool is_live = line_.due_inputs().is_live;
  const LevelChooser* chooser = line_.chooser();
  const double utility =
      chooser != nullptr ? chooser->utility_of(frame.record) : 0;
  section.unlock();
  gst_element_post_message(owner_, new_qos(owner_, frame.stamps, *frame.sticky,
                                           frame.record.running_time, is_live,
                                           jitter, sums, utility));
  section.lock();
}

// What became of levels with this frame. Of one that left with a cheaper level
// a QOS message tells when it is another one than before.
void OutputLoop::tell_news(Section& section, const Leaving& frame) {
  LevelChooser* const chooser = line_.chooser();
  if (chooser == nullptr) return;
  while (const std::optional<LevelNews> news = chooser->take_news()) {
    if (news->kind == LevelNews::Kind::kLevel &&
        frame.record.action == core::Action::kApplied)
      post_qos(section, frame, core::Duration());
    const bool may_post = line_.tells_levels();
    section.unlock();
    level_messages_.post(*news, may_post);
    section.lock();
  }
}

void OutputLoop::stamp_departure(core::FrameRecord& record) const {
  record.departure = steady_clock::now();
  if (!record.due) return;
  record.left = time_.now();
  if (record.left)
    record.due_monotonic = record.departure + (*record.due - *record.left);
  record.late = core::is_late(record.due, record.left);
  // In time, it may have been a sink that waits for its clock.
  if (record.late) record.blocked = last_push_;
}

void OutputLoop::say_no_bypass_once(core::Action instead) {
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
