// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/stage_element.h"

#include <algorithm>
#include <string>
#include <utility>

#include <gst/video/video.h>

#include "stage/frame_stats.h"
#include "stage/stage_copy.h"

// Also of thread_workers.cpp and staff_messages.cpp.
GST_DEBUG_CATEGORY(stage_element_debug);
#define GST_CAT_DEFAULT stage_element_debug

namespace dispatch::stage {

namespace {

std::optional<core::Duration> budget_of(
    const StageElement::Settings& settings) {
  if (settings.latency_budget == StageElement::kAutomaticBudget)
    return std::nullopt;
  // Room for adding such a time to others.
  return core::Duration(static_cast<gint64>(
      std::min<guint64>(settings.latency_budget, G_MAXINT64 / 4)));
}

Problem threads_in_stage(const std::string& culprit) {
  return {"The stage cannot have '" + culprit +
              "' in it: it starts a thread of its own.",
          "A frame is complete when its call returns, and the workers are the "
          "threads: take '" +
              culprit + "' out of the property 'stage'."};
}

// max-workers is the stronger one.
unsigned least_workers(const StageElement::Settings& settings) {
  return settings.max_workers != 0
             ? std::min(settings.min_workers, settings.max_workers)
             : settings.min_workers;
}

bool names_several(const StageElement::Settings& settings) {
  return settings.max_workers > 1 ||
         (settings.max_workers == 0 && settings.min_workers > 1);
}

std::string name_of(gpointer object) { return GST_OBJECT_NAME(object); }

// Before the first event.
std::shared_ptr<const StickyState> initial_state() {
  return StickyState().in_epoch(
      std::make_shared<Epoch>(nullptr, /*pin=*/false));
}

// The name of the copy ("worker0") that `object` is part of; empty if none.
std::string name_of_copy(GstObject* object, GstObject* element) {
  for (; object != nullptr; object = GST_OBJECT_PARENT(object))
    if (GST_OBJECT_PARENT(object) == element) return name_of(object);
  return {};
}

}  // namespace

StageElement::StageElement(GstElement* element, GstPad* sink, GstPad* src,
                           const MakeWorkers& make_workers, bool chooses_levels)
    : element_(element),
      chooses_levels_(chooses_levels),
      sink_(sink),
      src_(src),
      member_(element),
      account_(member_, sink, src),
      workers_(make_workers(ladder_, *this)),
      negotiation_(std::make_shared<Negotiation>(sink, src)),
      dispatcher_(std::make_shared<Dispatcher>(element, src)),
      messages_(element, dispatcher_->trace()),
      supervisor_(*dispatcher_, *workers_, *this),
      sticky_(initial_state()) {
  static const bool has_category = [] {
    GST_DEBUG_CATEGORY_INIT(stage_element_debug, "dispatchelement", 0,
                            "elements that run a stage");
    return true;
  }();
  (void)has_category;
  negotiation_->set_ordered_query(dispatcher_);
}

// ---- Life cycle ------------------------------------------------------------

StageElement::Settings StageElement::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

// What may change in READY only is as it was when the workers were made.
StageElement::Settings StageElement::settings_in_force() const {
  const std::lock_guard lock(mutex_);
  Settings settings = settings_;
  settings.stage_state = opened_with_.stage_state;
  settings.min_workers = opened_with_.min_workers;
  settings.max_workers = opened_with_.max_workers;
  settings.levels = opened_with_.levels;
  settings.levels.post_messages = settings_.levels.post_messages;
  return settings;
}

bool StageElement::fail(const std::string& message, const std::string& debug) {
  // Upstream may try again and again.
  if (has_posted_error_.exchange(true)) return false;
  GST_ELEMENT_ERROR(element_, RESOURCE, SETTINGS, ("%s", message.c_str()),
                    ("%s", debug.c_str()));
  return false;
}

Problem StageElement::several_workers(const Settings& settings,
                                      const std::string& reason) {
  const unsigned named = std::max(settings.max_workers, settings.min_workers);
  const std::string worker = chooses_levels_ ? "helper" : "worker";
  return {"This stage cannot have " + std::to_string(named) + " " + worker +
              "s: " + reason + ".",
          "Frames depend on earlier ones, so they need one " + worker +
              ": set max-" + worker +
              "s=1 (or 0). If they do not, set stage-state=none."};
}

core::StageStateVerdict StageElement::recognise(
    const Settings& settings,
    const std::vector<core::ElementFacts>& facts) const {
  if (settings.stage_state == core::StageState::kPerStream)
    return {true, "stage-state is per-stream"};
  if (settings.stage_state == core::StageState::kAuto)
    return core::recognise_from_elements(facts);
  return {};
}

bool StageElement::check_stage_state(
    const Settings& settings, const std::vector<core::ElementFacts>& facts) {
  const core::StageStateVerdict verdict = recognise(settings, facts);
  is_recognised_per_stream_ = verdict.is_per_stream;
  if (!verdict.is_per_stream) return true;
  GST_INFO_OBJECT(element_, "runs as per-stream, with one worker: %s",
                  verdict.reason.c_str());
  if (!names_several(settings)) return true;
  const Problem problem = several_workers(settings, verdict.reason);
  return fail(problem.message, problem.way_out);
}

void StageElement::apply_staffing() {
  const Settings now = settings_in_force();
  const bool is_one =
      is_per_stream_ || is_recognised_per_stream_ || !has_threads_;
  StaffingLimits limits;
  limits.min = is_one ? 1 : least_workers(now);
  limits.max = is_one ? 1 : now.max_workers;
  if (now.spare_workers != kAutomaticSpares)
    limits.spares = static_cast<unsigned>(now.spare_workers);
  if (!has_threads_) limits.spares = 0;
  limits.are_processes = workers_->are_processes();
  limits.restart_limit = now.restart_limit;
  if (now.stall_timeout != 0)
    limits.stall_timeout = core::Duration(
        static_cast<gint64>(std::min<guint64>(now.stall_timeout, G_MAXINT64)));
  dispatcher_->set_staffing(limits);
}

// What speaks against a level that is one of several: it does not see every
// frame.
std::optional<Problem> StageElement::check_level(
    const std::string& name, const std::string& description,
    const Settings& settings) const {
  const auto parsed = parse_stage(description);
  if (const auto* error = std::get_if<StageError>(&parsed))
    return Problem{name + ": " + error->message,
                   name + "::stage=\"" + description + "\""};
  const core::StageStateVerdict verdict =
      recognise(settings, std::get<ParsedStage>(parsed).facts);
  if (!verdict.is_per_stream) return std::nullopt;
  return Problem{
      name + " cannot be one of several levels: " + verdict.reason + ".",
      "Frames that go past it would be missing in it. If no frame depends on "
      "earlier ones, set stage-state=none."};
}

bool StageElement::check_ladder(const Settings& settings) {
  const Ladder::Levels levels = ladder_.levels();
  if (levels.size() == 1) return true;
  for (std::size_t place = 0; place < levels.size(); ++place)
    if (const std::optional<Problem> problem =
            check_level("level" + std::to_string(place),
                        levels[place]->prototype().description(), settings))
      return fail(problem->message, problem->way_out);
  return true;
}

bool StageElement::build_workers(const Settings& settings) {
  const std::string description = prototype().description();
  auto parsed = parse_stage(description);
  if (auto* error = std::get_if<StageError>(&parsed))
    return fail(error->message, "stage=\"" + description + "\"");
  auto& first = std::get<ParsedStage>(parsed);
  if (!check_stage_state(settings, first.facts) || !check_ladder(settings))
    return false;
  is_per_stream_ = is_recognised_per_stream_;
  apply_staffing();
  const std::optional<Problem> problem = workers_->build(
      std::move(first), {.description = description,
                         .count = is_per_stream_ ? 1 : least_workers(settings),
                         .most = dispatcher_->most_workers(),
                         .negotiation = negotiation_,
                         .listener = dispatcher_});
  return !problem || fail(problem->message, problem->way_out);
}

// NULL to READY.
bool StageElement::check() {
  has_posted_error_ = false;
  const std::optional<Problem> problem = workers_->check();
  return !problem || fail(problem->message, problem->way_out);
}

// READY to PAUSED, before the copies change state.
bool StageElement::open() {
  has_posted_error_ = false;
  needs_reconfigure_ = false;
  {
    const std::lock_guard lock(mutex_);
    thread_culprit_.clear();
    opened_with_ = settings_;
    is_closing_ = false;
  }
  workers_->interrupt(false);
  prototype().confirm(prototype().description());
  choose_shape(settings_in_force());
  if (!build_workers(settings_in_force())) return false;
  dispatcher_->start(workers_->all(), workers_->reports());
  dispatcher_->set_per_stream(is_per_stream_);
  apply_settings();
  return true;
}

// Without threads at first, where frames may get less than the full stage.
void StageElement::choose_shape(const Settings& settings) {
  has_threads_ = !chooses_levels_;
  dispatcher_->set_has_threads(has_threads_);
  if (!chooses_levels_) return;
  LevelSurroundings surroundings;
  surroundings.stage_of = stage_around(element_);
  is_in_stage_ = surroundings.stage_of.has_value();
  if (!is_in_stage_) surroundings.slowdown = member_.slowdown();
  dispatcher_->set_chooser(make_chooser(ladder_, settings.levels,
                                        settings.late_policy, surroundings),
                           is_in_stage_);
}

// READY to PAUSED, after the copies have changed state with `result`.
GstStateChangeReturn StageElement::finish_open(GstStateChangeReturn result) {
  std::string culprit;
  {
    const std::lock_guard lock(mutex_);
    culprit = thread_culprit_;
  }
  if (!culprit.empty()) {
    const Problem problem = threads_in_stage(culprit);
    fail(problem.message, problem.way_out);
  }
  if (!culprit.empty() || result == GST_STATE_CHANGE_FAILURE) {
    gst_pad_set_active(src_, FALSE);
    begin_close();
    finish_close();
    return GST_STATE_CHANGE_FAILURE;
  }
  is_started_ = true;
  // Else they begin when a frame needs them, which may have come already.
  if (!chooses_levels_) start_threads();
  return result;
}

void StageElement::start_threads() {
  workers_->start();
  supervisor_.start(prototype().description());
}

// A frame that a worker is busy with can leave without it only where another
// thread lets it. Inside a stage that is up to the element around.
bool StageElement::wants_threads() const {
  return !is_in_stage_ && !is_per_stream_ &&
         settings_in_force().levels.rescue &&
         core::due_times_apply(account_.due_inputs());
}

// On the sink pad's streaming thread, between two frames: nothing is under way.
void StageElement::begin_threads() {
  {
    const std::lock_guard lock(mutex_);
    if (is_closing_) return;
    is_beginning_threads_ = true;
  }
  has_threads_ = true;
  dispatcher_->set_has_threads(true);
  apply_staffing();
  apply_window();
  start_threads();
  start_output();
  const std::lock_guard lock(mutex_);
  is_beginning_threads_ = false;
  threads_begun_.notify_all();
}

// The task of the src pad.
bool StageElement::start_output() {
  if (!has_threads_) return true;
  return gst_pad_start_task(
      src_,
      [](gpointer user_data) {
        auto* self = static_cast<StageElement*>(user_data);
        self->dispatcher_->run_output();
        gst_pad_pause_task(self->src_);
      },
      this, nullptr);
}

bool StageElement::stop_output() {
  dispatcher_->begin_stop();
  return gst_pad_stop_task(src_);
}

void StageElement::play() {
  refresh_budget();
  dispatcher_->time().play(element_);
  workers_->play(element_);
  dispatcher_->recompute_waits();
}

void StageElement::pause() {
  dispatcher_->time().pause();
  dispatcher_->recompute_waits();
}

// PAUSED to READY, before the copies change state. Waits for no busy copy.
void StageElement::begin_close() {
  {
    std::unique_lock lock(mutex_);
    is_closing_ = true;
    threads_begun_.wait(lock, [this] { return !is_beginning_threads_; });
  }
  workers_->interrupt(true);
  dispatcher_->begin_stop();
  supervisor_.stop();
  workers_->begin_close();
}

// PAUSED to READY, when pads and copies are quiet.
void StageElement::finish_close() {
  dispatcher_->finish_stop();
  workers_->finish_close();
  {
    const std::lock_guard lock(mutex_);
    offer_.reset();
    has_offer_ = false;
  }
  account_.reset();
  sticky_ = initial_state();
  fields_.flush();
  is_started_ = false;
}

// ---- Settings --------------------------------------------------------------

void StageElement::apply_timing() {
  dispatcher_->set_due_inputs(account_.due_inputs());
}

void StageElement::apply_window() {
  const Settings now = settings();
  core::WindowInputs inputs;
  inputs.max_frames = now.max_buffers;
  inputs.max_bytes = now.max_bytes;
  inputs.workers = dispatcher_->permitted_workers();
  inputs.budget = account_.budget();
  inputs.frame_duration = account_.frame_duration();
  const core::WindowLimits limits = core::decide_window(inputs);
  dispatcher_->set_window(limits);
  negotiation_->set_depth(limits.frames + inputs.workers);
}

void StageElement::apply_settings() {
  const Settings now = settings();
  account_.set_budget(budget_of(now));
  account_.set_deadlines(now.deadlines);
  apply_staffing();
  dispatcher_->set_late_policy(now.late_policy);
  dispatcher_->set_reuse(settings_in_force().levels.reuse);
  dispatcher_->set_tells_levels(now.levels.post_messages);
  const bool has_changed = account_.refresh_budget();
  apply_timing();
  apply_window();
  if (has_changed && is_started_) post_latency();
}

void StageElement::configure(const std::function<void(Settings&)>& change) {
  {
    const std::lock_guard lock(mutex_);
    change(settings_);
  }
  if (is_started_) apply_settings();
}

GstStructure* StageElement::stats(const char* name) const {
  const core::WindowLimits window = dispatcher_->window();
  const Dispatcher::Staff staff = dispatcher_->staff();
  const core::FrameSums sums = dispatcher_->sums();
  GstStructure* stats = to_structure(sums, name);
  gst_structure_set(
      stats, "workers", G_TYPE_UINT, staff.active, "parked-workers",
      G_TYPE_UINT, staff.parked, "set-aside-workers", G_TYPE_UINT,
      staff.set_aside, "permitted-workers", G_TYPE_UINT, staff.permitted,
      "efficient-workers", G_TYPE_UINT, staff.efficient.value_or(0),
      "workers-because", G_TYPE_STRING, core::to_string(staff.why), "load",
      G_TYPE_DOUBLE, staff.load, "workers-lost", G_TYPE_UINT, staff.deaths,
      "max-buffers", G_TYPE_UINT, window.frames, "max-bytes", G_TYPE_UINT64,
      window.bytes, "latency-budget", G_TYPE_UINT64,
      static_cast<guint64>(account_.budget().count()), "deadlines-active",
      G_TYPE_BOOLEAN, dispatcher_->are_due_times_applied() ? TRUE : FALSE,
      nullptr);
  if (const std::optional<LevelFacts> levels = dispatcher_->levels())
    add_levels(stats, *levels, sums);
  return stats;
}

guint StageElement::current_level() const {
  const std::optional<LevelFacts> levels = dispatcher_->levels();
  return levels ? levels->current : 0;
}

// ---- Buffers ---------------------------------------------------------------

GstFlowReturn StageElement::submit(Frame frame) {
  if (!is_per_stream_ && !stands_alone_ &&
      frame.has_flag(GST_BUFFER_FLAG_DELTA_UNIT)) {
    GST_ELEMENT_ERROR(
        element_, STREAM, FORMAT,
        ("A frame came that depends on earlier frames, but the stage works on "
         "frames independently."),
        ("Set stage-state=per-stream."));
    return GST_FLOW_ERROR;
  }
  if (has_offer_) adopt_stage();
  if (!has_threads_ && wants_threads()) begin_threads();
  if (needs_reconfigure_) open_epoch(sticky_->caps());
  Workers::Copied copied;
  std::optional<Frame> reachable = workers_->bring_in(std::move(frame), copied);
  if (copied.buffers != 0)
    dispatcher_->count_copies(copied.buffers, copied.bytes);
  if (!reachable) return has_posted_error_ ? GST_FLOW_ERROR : GST_FLOW_FLUSHING;
  return dispatcher_->submit(std::move(*reachable), sticky_);
}

GstFlowReturn StageElement::chain(BufferPtr buffer) {
  FieldPairing::Frames frames = fields_.add(std::move(buffer));
  GstFlowReturn flow = GST_FLOW_OK;
  if (frames.lonely) flow = submit(std::move(*frames.lonely));
  if (flow == GST_FLOW_OK && frames.complete)
    flow = submit(std::move(*frames.complete));
  return flow;
}

GstFlowReturn StageElement::chain_list(GstBufferList* list) {
  if (gst_buffer_list_length(list) > 0) return submit(Frame(list));
  gst_buffer_list_unref(list);
  return GST_FLOW_OK;
}

GstFlowReturn StageElement::submit_waiting_field() {
  std::optional<Frame> field = fields_.take_waiting();
  return field ? submit(std::move(*field)) : GST_FLOW_OK;
}

// ---- Events ----------------------------------------------------------------

void StageElement::post_latency() {
  gst_element_post_message(element_,
                           gst_message_new_latency(GST_OBJECT_CAST(element_)));
}

void StageElement::open_epoch(GstCaps* caps) {
  needs_reconfigure_ = false;
  workers_->relearn();
  const bool pin =
      settings().late_policy == core::LatePolicy::kBypass && !is_per_stream_ &&
      (is_in_stage_ || core::due_times_apply(account_.due_inputs()));
  sticky_ = sticky_->in_epoch(
      std::make_shared<Epoch>(caps, pin, workers_->common_output(caps)));
}

void StageElement::refresh_budget() {
  if (!account_.refresh_budget()) return;
  apply_timing();
  apply_window();
  post_latency();
}

bool StageElement::on_caps(GstCaps* caps) {
  if (const std::optional<Problem> problem = workers_->on_caps(caps))
    return fail(problem->message, problem->way_out);
  const Settings now = settings_in_force();
  core::StageStateVerdict verdict;
  if (now.stage_state == core::StageState::kAuto)
    verdict = core::recognise_from_media(
        gst_structure_get_name(gst_caps_get_structure(caps, 0)));
  if (verdict.is_per_stream && names_several(now)) {
    const Problem problem = several_workers(now, verdict.reason);
    return fail(problem.message, problem.way_out);
  }
  if (verdict.is_per_stream && !is_recognised_per_stream_)
    GST_INFO_OBJECT(element_, "runs as per-stream, with one worker: %s",
                    verdict.reason.c_str());
  is_media_per_stream_ = verdict.is_per_stream;
  is_per_stream_ = is_recognised_per_stream_ || is_media_per_stream_;
  dispatcher_->set_per_stream(is_per_stream_);
  g_autofree gchar* text = gst_caps_to_string(caps);
  dispatcher_->on_caps(text);
  apply_staffing();
  stands_alone_ = core::stands_alone(
      gst_structure_get_name(gst_caps_get_structure(caps, 0)));
  fields_.on_caps(caps);
  account_.refresh_upstream();
  const bool has_changed = account_.on_caps(caps);
  apply_timing();
  apply_window();
  if (has_changed) post_latency();
  open_epoch(caps);
  return true;
}

GstFlowReturn StageElement::serialized_event(EventPtr event) {
  if (const GstFlowReturn flow = submit_waiting_field(); flow != GST_FLOW_OK)
    return flow;
  const GstEventType type = GST_EVENT_TYPE(event.get());
  if (type == GST_EVENT_CAPS) {
    GstCaps* caps = nullptr;
    gst_event_parse_caps(event.get(), &caps);
    const bool is_new =
        sticky_->caps() == nullptr || !gst_caps_is_equal(sticky_->caps(), caps);
    if (is_new && !on_caps(caps)) return GST_FLOW_NOT_NEGOTIATED;
  }
  if (type == GST_EVENT_STREAM_START) {
    account_.refresh_upstream();
    apply_timing();
  }
  if (GST_EVENT_IS_STICKY(event.get()) && type != GST_EVENT_EOS)
    sticky_ = sticky_->with(event.get(), sticky_->epoch());
  const GstFlowReturn flow = dispatcher_->flow();
  if (type == GST_EVENT_EOS &&
      (flow == GST_FLOW_NOT_LINKED || flow < GST_FLOW_EOS))
    // No buffer is left to bring the flow back with.
    GST_ELEMENT_FLOW_ERROR(element_, flow);
  return dispatcher_->push_event(std::move(event), sticky_);
}

void StageElement::flush_start(EventPtr event) {
  gst_pad_push_event(src_, event.release());
  workers_->interrupt(true);
  dispatcher_->begin_flush();
}

void StageElement::flush_stop(EventPtr event) {
  gst_pad_pause_task(src_);
  dispatcher_->finish_flush();
  workers_->interrupt(false);
  fields_.flush();
  sticky_ = sticky_->flushed();
  gst_pad_push_event(src_, event.release());
  start_output();
}

void StageElement::learn_transit(GstEvent* event) {
  GstClockTimeDiff jitter = 0;
  GstClockTime running_time = GST_CLOCK_TIME_NONE;
  gst_event_parse_qos(event, nullptr, nullptr, &jitter, &running_time);
  if (!GST_CLOCK_TIME_IS_VALID(running_time)) return;
  const core::RunningTime r(core::Duration(static_cast<gint64>(running_time)));
  if (account_.set_transit(dispatcher_->on_qos(r, core::Duration(jitter))))
    apply_timing();
}

bool StageElement::upstream_event(EventPtr event) {
  switch (GST_EVENT_TYPE(event.get())) {
    case GST_EVENT_LATENCY: {
      account_.on_latency_event(event.get());
      const bool handled = gst_pad_push_event(sink_, event.release());
      account_.refresh_upstream();
      apply_timing();
      return handled;
    }
    case GST_EVENT_RECONFIGURE:
      needs_reconfigure_ = true;
      return gst_pad_push_event(sink_, event.release());
    case GST_EVENT_NAVIGATION:
    case GST_EVENT_CUSTOM_UPSTREAM:
      // May be meant for the stage; what it does not take goes on from there.
      if (workers_->exist()) return workers_->event_at_output(std::move(event));
      return gst_pad_push_event(sink_, event.release());
    case GST_EVENT_QOS:
      learn_transit(event.get());
      // Past the stage: it would make elements in it drop by themselves.
      return gst_pad_push_event(sink_, event.release());
    default:
      return gst_pad_push_event(sink_, event.release());
  }
}

// ---- Queries ---------------------------------------------------------------

bool StageElement::latency_query(GstQuery* query) {
  const bool is_answered = workers_->exist()
                               ? workers_->query_output(query)
                               : gst_pad_peer_query(sink_, query) != FALSE;
  if (!is_answered) return false;
  // What happens within a stage is in the budget of the element around.
  if (is_in_stage_) return true;
  // Not the moment to ask downstream how many share the budget: a decoder that
  // asks this holds its lock.
  account_.add_own(query, dispatcher_->window().frames);
  return true;
}

bool StageElement::serialized_query(GstQuery* query) {
  if (submit_waiting_field() != GST_FLOW_OK) return false;
  if (needs_reconfigure_) open_epoch(sticky_->caps());
  const bool is_answered = dispatcher_->answer_serialized(query, sticky_);
  if (GST_QUERY_TYPE(query) != GST_QUERY_ALLOCATION) return is_answered;
  const unsigned in_flight =
      dispatcher_->window().frames + dispatcher_->permitted_workers();
  return workers_->offer_memory(query, in_flight) || is_answered;
}

bool StageElement::sink_query(GstQuery* query) {
  if (GST_QUERY_IS_SERIALIZED(query)) return serialized_query(query);
  if (member_.count_on_path(query, src_, account_.is_automatic())) return true;
  const bool is_caps = GST_QUERY_TYPE(query) == GST_QUERY_CAPS ||
                       GST_QUERY_TYPE(query) == GST_QUERY_ACCEPT_CAPS;
  if (is_caps && workers_->exist()) return workers_->query_input(query);
  return gst_pad_query_default(sink_, GST_OBJECT_CAST(element_), query);
}

bool StageElement::src_query(GstQuery* query) {
  if (member_.count_on_path(query, sink_, account_.is_automatic())) return true;
  switch (GST_QUERY_TYPE(query)) {
    case GST_QUERY_LATENCY:
      return latency_query(query);
    case GST_QUERY_CAPS:
    case GST_QUERY_ACCEPT_CAPS:
      if (workers_->exist()) return workers_->query_output(query);
      break;
    default:
      break;
  }
  return gst_pad_query_default(src_, GST_OBJECT_CAST(element_), query);
}

// ---- Workers that come, go and die -----------------------------------------

void StageElement::on_worker_lost(Worker& worker, const Loss& loss) {
  GST_WARNING_OBJECT(element_, "%s (process %d) %s", loss.worker.c_str(),
                     loss.pid, loss.how.c_str());
  const bool is_exhausted = dispatcher_->on_worker_gone(worker);
  messages_.post_lost(worker, loss);
  if (is_exhausted) on_exhausted(loss.problem);
}

void StageElement::on_news(const StaffingNews& news) {
  messages_.post(news);
  if (news.kind == StaffingNews::Kind::kKeyUnit)
    gst_pad_push_event(sink_, gst_video_event_new_upstream_force_key_unit(
                                  GST_CLOCK_TIME_NONE, /*all_headers=*/TRUE,
                                  /*count=*/0));
}

void StageElement::on_made(const Worker& worker) {
  messages_.post_started(worker);
}

void StageElement::on_not_made(const Problem& problem, bool is_exhausted) {
  if (is_exhausted) {
    on_exhausted(problem);
    return;
  }
  messages_.post_not_started(problem);
  GST_WARNING_OBJECT(element_, "no more workers for now: %s (%s)",
                     problem.message.c_str(), problem.way_out.c_str());
}

void StageElement::on_exhausted(const Problem& problem) {
  const bool is_error = settings().on_exhausted == OnExhausted::kError;
  const bool is_news =
      dispatcher_->give_up(is_error ? GST_FLOW_ERROR : GST_FLOW_OK);
  if (is_error) {
    fail(problem.message, problem.way_out);
    return;
  }
  if (!is_news) return;
  GST_ELEMENT_WARNING(
      element_, RESOURCE, FAILED,
      ("The stage is left out from now on: %s", problem.message.c_str()),
      ("restart-limit has been reached, and on-exhausted is bypass. %s",
       problem.way_out.c_str()));
}

// ---- Another stage ---------------------------------------------------------

void StageElement::set_stage(const std::string& description) {
  if (!is_started_ || chooses_levels_) {
    prototype().set_description(description);
    return;
  }
  prototype().try_description(description);
  dispatcher_->replace_stage(description);
}

std::optional<Problem> StageElement::check_stage(
    const std::string& description) {
  auto parsed = parse_stage(description);
  if (auto* error = std::get_if<StageError>(&parsed))
    return Problem{error->message, "stage=\"" + description + "\""};
  const Settings now = settings_in_force();
  const core::StageStateVerdict verdict =
      recognise(now, std::get<ParsedStage>(parsed).facts);
  if (verdict.is_per_stream && names_several(now))
    return several_workers(now, verdict.reason);
  is_checked_per_stream_ = verdict.is_per_stream;
  return std::nullopt;
}

void StageElement::on_stage_made(const std::string& description,
                                 WorkerRoster::Generation generation,
                                 std::shared_ptr<Worker> first) {
  prototype().confirm(description);
  {
    const std::lock_guard lock(mutex_);
    offer_ = {generation, std::move(first), is_checked_per_stream_};
    has_offer_ = true;
  }
  messages_.post_replaced(description);
}

void StageElement::on_stage_not_made(const std::string& description,
                                     const Problem& problem) {
  prototype().revert(description);
  GST_ELEMENT_WARNING(
      element_, RESOURCE, SETTINGS,
      ("The stage stays as it was: %s", problem.message.c_str()),
      ("%s", problem.way_out.c_str()));
}

// On the sink pad's streaming thread, between two frames. Frames that came
// before are done by the workers of the stage before.
void StageElement::adopt_stage() {
  std::optional<Offer> offer;
  {
    const std::lock_guard lock(mutex_);
    has_offer_ = false;
    offer = std::exchange(offer_, std::nullopt);
  }
  if (!offer) return;
  const bool is_per_stream = offer->is_per_stream || is_media_per_stream_;
  if (!dispatcher_->begin_generation(offer->generation, is_per_stream)) return;
  workers_->lead(*offer->first);
  is_recognised_per_stream_ = offer->is_per_stream;
  is_per_stream_ = is_per_stream;
  apply_staffing();
  open_epoch(sticky_->caps());
}

// ---- Messages of the copies ------------------------------------------------

void StageElement::on_stage_error(const std::string& worker,
                                  const std::string& source,
                                  const GError* error, const char* debug) {
  const std::string where =
      source == worker ? worker : worker + ", element '" + source + "'";
  const std::string text = where + ": " + error->message;
  if (workers_->refuse_made(worker, {text, debug != nullptr ? debug : ""}))
    return;
  if (has_posted_error_.exchange(true)) return;
  gst_element_message_full(element_, GST_MESSAGE_ERROR, error->domain,
                           error->code, g_strdup(text.c_str()), g_strdup(debug),
                           __FILE__, G_STRFUNC, __LINE__);
}

void StageElement::post_copy_error(GstMessage* message) {
  g_autoptr(GError) error = nullptr;
  g_autofree gchar* debug = nullptr;
  gst_message_parse_error(message, &error, &debug);
  on_stage_error(
      name_of_copy(GST_MESSAGE_SRC(message), GST_OBJECT_CAST(element_)),
      name_of(GST_MESSAGE_SRC(message)), error, debug);
}

void StageElement::on_problem(const Problem& problem) {
  fail(problem.message, problem.way_out);
}

void StageElement::on_stage_thread(const std::string& worker,
                                   const std::string& element) {
  const Problem problem = threads_in_stage(element);
  if (workers_->refuse_made(worker, problem)) return;
  {
    const std::lock_guard lock(mutex_);
    thread_culprit_ = element;
  }
  if (is_started_) fail(problem.message, problem.way_out);
}

// Whether the message is the element's own business. (transfer none)
bool StageElement::on_message(GstMessage* message) {
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    post_copy_error(message);
    return true;
  }
  if (GST_MESSAGE_TYPE(message) != GST_MESSAGE_STREAM_STATUS) return false;
  GstStreamStatusType type{};
  GstElement* owner = nullptr;
  gst_message_parse_stream_status(message, &type, &owner);
  if (type != GST_STREAM_STATUS_TYPE_CREATE || is_port(owner)) return false;
  on_stage_thread(
      name_of_copy(GST_OBJECT_CAST(owner), GST_OBJECT_CAST(element_)),
      name_of(owner));
  return true;
}

}  // namespace dispatch::stage
