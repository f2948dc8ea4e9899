// SPDX-License-Identifier: LGPL-2.1-or-later
/**
 * SECTION:element-workerpool
 * @title: workerpool
 *
 * Runs one stage on several worker threads. Each worker has its own copy of the
 * stage; a frame goes to the worker that is free first, by reference, and the
 * results leave in the order in which the frames came.
 *
 * In a live pipeline a frame has a due time: its running time plus the latency
 * of upstream plus #GstWorkerPool:latency-budget. When the result is not there
 * by then, something else leaves in its place: see
 * #GstWorkerPool:late-policy. A stage that stalls on one frame so holds up no
 * other. In a pipeline that is not live nothing is ever skipped: everything
 * waits in order and upstream is slowed down to the speed of the workers.
 *
 * Adds #GstWorkerPool:latency-budget to the latency of the pipeline. Copies
 * nothing, unless the stage writes in place while the original may still be
 * needed for a bypass.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=100 ! workerpool stage="videoconvert
 * ! gaussianblur sigma=3 ! videoconvert" ! videoconvert ! autovideosink
 * ]| Blurs on all cores.
 * |[
 * gst-launch-1.0 v4l2src ! videoconvert ! workerpool stage="videoconvert !
 * edgetv ! videoconvert" latency-budget=66000000 late-policy=repeat !
 * videoconvert ! autovideosink
 * ]| A camera with an effect that may take two frames; a frame that is not done
 * by then shows the last one again.
 *
 * Since: 0.1
 */
#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <gst/gst.h>

#include "stage/dispatcher.h"
#include "stage/field_pairing.h"
#include "stage/latency_account.h"
#include "stage/stage_prototype.h"
#include "stage/thread_worker.h"

namespace core = dispatch::core;
namespace stage = dispatch::stage;

GST_DEBUG_CATEGORY_STATIC(workerpool_debug);
#define GST_CAT_DEFAULT workerpool_debug

G_DECLARE_FINAL_TYPE(GstWorkerPool, gst_worker_pool, GST, WORKER_POOL, GstBin)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

enum {
  PROP_0,
  PROP_STAGE,
  PROP_STAGE_STATE,
  PROP_MAX_WORKERS,
  PROP_LATENCY_BUDGET,
  PROP_LATE_POLICY,
  PROP_DEADLINES,
  PROP_MAX_BUFFERS,
  PROP_MAX_BYTES,
  PROP_STATS,
};

enum { SIGNAL_STAGE_SETUP, N_SIGNALS };
static guint signals[N_SIGNALS];

namespace {

constexpr guint kDefaultMaxWorkers = 0;
// Each worker is a thread with a copy of the stage; far beyond any machine.
constexpr guint kMaxMaxWorkers = 1024;
constexpr guint64 kAutomatic = G_MAXUINT64;

struct Settings {
  core::StageState stage_state = core::StageState::kAuto;
  guint max_workers = kDefaultMaxWorkers;
  guint64 latency_budget = kAutomatic;
  core::LatePolicy late_policy = core::LatePolicy::kBypass;
  core::Deadlines deadlines = core::Deadlines::kAuto;
  guint max_buffers = 0;
  guint64 max_bytes = 0;
};

template <typename Enum>
constexpr gint nick_value(Enum value) {
  return static_cast<gint>(value);
}

GType register_enum(const char* name, const GEnumValue* values) {
  const GType type = g_enum_register_static(name, values);
  gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
  return type;
}

GType stage_state_type() {
  static const GEnumValue values[] = {
      {nick_value(core::StageState::kAuto),
       "Recognise it from the elements and the media type", "auto"},
      {nick_value(core::StageState::kNone),
       "Frames are independent of each other", "none"},
      {nick_value(core::StageState::kPerStream),
       "Frames depend on earlier ones: one worker, strict order", "per-stream"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstWorkerPoolStageState", values);
  return type;
}

GType late_policy_type() {
  static const GEnumValue values[] = {
      {nick_value(core::LatePolicy::kBypass), "The original frame leaves",
       "bypass"},
      {nick_value(core::LatePolicy::kRepeat),
       "The last result leaves again, with the frame's timestamps", "repeat"},
      {nick_value(core::LatePolicy::kDrop), "Nothing leaves", "drop"},
      {nick_value(core::LatePolicy::kWait), "The frame is waited for", "wait"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstWorkerPoolLatePolicy", values);
  return type;
}

GType deadlines_type() {
  static const GEnumValue values[] = {
      {nick_value(core::Deadlines::kAuto),
       "Due times while the pipeline is live", "auto"},
      {nick_value(core::Deadlines::kAlways),
       "Due times also for files that play against a clock", "always"},
      {nick_value(core::Deadlines::kNever), "No due times: strict order",
       "never"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstWorkerPoolDeadlines", values);
  return type;
}

// Before the first event.
std::shared_ptr<const stage::StickyState> initial_state() {
  return stage::StickyState().in_epoch(
      std::make_shared<stage::Epoch>(nullptr, /*pin=*/false));
}

/* All C++ state of an element. Created in instance_init, destroyed in finalize.
 *
 * Lock order: the state lock of the element, the stream lock of a pad, then
 * mutex_. mutex_ guards the settings and the set of workers; it is never held
 * while calling into GStreamer or the dispatcher. What has no lock belongs to
 * the sink pad's streaming thread. */
class Impl {
 public:
  Impl(GstElement* element, GstPad* sink, GstPad* src)
      : element_(element),
        sink_(sink),
        src_(src),
        member_(element),
        account_(member_, sink, src),
        negotiation_(std::make_shared<stage::Negotiation>(sink, src)),
        dispatcher_(std::make_shared<stage::Dispatcher>(element, src)),
        sticky_(initial_state()) {
    negotiation_->set_ordered_query(dispatcher_);
  }

  // Life cycle; the state change's thread.
  bool open();
  void play();
  void pause();
  GstStateChangeReturn finish_open(GstStateChangeReturn result);
  void begin_close();
  void finish_close();

  // The sink pad's streaming thread.
  GstFlowReturn chain(stage::BufferPtr buffer);
  GstFlowReturn chain_list(GstBufferList* list);
  bool serialized_event(stage::EventPtr event);
  bool serialized_query(GstQuery* query);

  // Any thread.
  void flush_start(stage::EventPtr event);
  void flush_stop(stage::EventPtr event);
  bool upstream_event(stage::EventPtr event);
  bool sink_query(GstQuery* query);
  bool src_query(GstQuery* query);
  bool on_message(GstMessage* message);
  void set_property(guint id, const GValue* value);
  void get_property(guint id, GValue* value);
  void on_context(GstContext* context) { member_.on_context(context); }
  void join_domain() { member_.join(); }
  void leave_domain() { member_.leave(); }
  bool start_output();
  void begin_stop() { dispatcher_->begin_stop(); }
  GstObject* stage_child();

 private:
  Settings settings();
  bool fail(const std::string& message, const std::string& debug);
  bool build_workers(const Settings& settings);
  bool check_stage_state(const Settings& settings,
                         const std::vector<core::ElementFacts>& facts);
  bool refuse_several_workers(const Settings& settings,
                              const std::string& reason);
  std::shared_ptr<stage::ThreadWorker> make_worker(
      stage::ParsedStage parsed, unsigned number,
      const std::shared_ptr<core::OriginalKeeping>& keeping);
  void apply_settings();
  void apply_timing();
  void apply_window();
  bool on_caps(GstCaps* caps);
  void open_epoch(GstCaps* caps);
  GstFlowReturn submit(stage::Frame frame);
  GstFlowReturn submit_waiting_field();
  stage::PadPtr front_pad(GstPad* (stage::StageCopy::*pad)() const);
  bool query_front(GstPad* (stage::StageCopy::*pad)() const, GstQuery* query);
  bool latency_query(GstQuery* query);
  GstStructure* stats();
  void post_copy_error(GstMessage* message);
  bool refuse_threads(const std::string& culprit);
  void post_latency();

  GstElement* const element_;
  GstPad* const sink_;
  GstPad* const src_;
  stage::DomainMember member_;
  stage::LatencyAccount account_;
  stage::StagePrototype prototype_;
  const std::shared_ptr<stage::Negotiation> negotiation_;
  const std::shared_ptr<stage::Dispatcher> dispatcher_;

  std::mutex mutex_;
  Settings settings_;
  std::vector<std::shared_ptr<stage::ThreadWorker>> workers_;
  unsigned allowance_taken_ = 0;
  std::string thread_culprit_;
  bool recognised_per_stream_ = false;  // from the elements of the stage
  std::shared_ptr<core::OriginalKeeping> keeping_;

  std::atomic<bool> has_posted_error_{false};
  std::atomic<bool> needs_reconfigure_{false};
  std::atomic<bool> is_started_{false};

  // Of the sink pad's streaming thread:
  std::shared_ptr<const stage::StickyState> sticky_;
  stage::FieldPairing fields_;
  bool is_per_stream_ = false;
};

std::optional<core::Duration> budget_of(const Settings& settings) {
  if (settings.latency_budget == kAutomatic) return std::nullopt;
  return core::Duration(static_cast<gint64>(
      std::min<guint64>(settings.latency_budget, G_MAXINT64 / 4)));
}

std::string name_of(gpointer object) { return GST_OBJECT_NAME(object); }

// ---- Life cycle ------------------------------------------------------------

Settings Impl::settings() {
  const std::lock_guard lock(mutex_);
  return settings_;
}

bool Impl::fail(const std::string& message, const std::string& debug) {
  GST_ELEMENT_ERROR(element_, RESOURCE, SETTINGS, ("%s", message.c_str()),
                    ("%s", debug.c_str()));
  return false;
}

bool Impl::refuse_several_workers(const Settings& settings,
                                  const std::string& reason) {
  return fail("This stage cannot have " + std::to_string(settings.max_workers) +
                  " workers: " + reason + ".",
              "Frames depend on earlier ones, so they need one worker: set "
              "max-workers=1 (or 0). If they do not, set stage-state=none.");
}

bool Impl::check_stage_state(const Settings& settings,
                             const std::vector<core::ElementFacts>& facts) {
  core::StageStateVerdict verdict;
  if (settings.stage_state == core::StageState::kPerStream)
    verdict = {true, "stage-state is per-stream"};
  if (settings.stage_state == core::StageState::kAuto)
    verdict = core::recognise_from_elements(facts);
  recognised_per_stream_ = verdict.is_per_stream;
  if (!verdict.is_per_stream) return true;
  GST_INFO_OBJECT(element_, "runs as per-stream, with one worker: %s",
                  verdict.reason.c_str());
  return settings.max_workers <= 1 ||
         refuse_several_workers(settings, verdict.reason);
}

std::shared_ptr<stage::ThreadWorker> Impl::make_worker(
    stage::ParsedStage parsed, unsigned number,
    const std::shared_ptr<core::OriginalKeeping>& keeping) {
  auto copy = std::make_unique<stage::StageCopy>(std::move(parsed), number,
                                                 negotiation_, keeping);
  GstElement* bin = copy->bin();
  prototype_.attach(bin);
  gst_bin_add(GST_BIN(element_),
              GST_ELEMENT_CAST(gst_object_ref(GST_OBJECT_CAST(bin))));
  g_signal_emit(element_, signals[SIGNAL_STAGE_SETUP], 0, bin, number);
  return std::make_shared<stage::ThreadWorker>(std::move(copy), dispatcher_);
}

bool Impl::build_workers(const Settings& settings) {
  const std::string description = prototype_.description();
  auto first = stage::parse_stage(description);
  if (auto* error = std::get_if<stage::StageError>(&first))
    return fail(error->message, "stage=\"" + description + "\"");
  if (!check_stage_state(settings, std::get<stage::ParsedStage>(first).facts))
    return false;

  unsigned count = recognised_per_stream_ ? 1 : settings.max_workers;
  if (count == 0) {
    count = stage::cpu_allowance().take_automatic();
  } else {
    stage::cpu_allowance().take_named(count);
  }
  auto keeping = std::make_shared<core::OriginalKeeping>();
  std::vector<std::shared_ptr<stage::ThreadWorker>> workers;
  workers.push_back(
      make_worker(std::move(std::get<stage::ParsedStage>(first)), 0, keeping));
  while (workers.size() < count) {
    auto next = stage::parse_stage(description);
    workers.push_back(make_worker(std::move(std::get<stage::ParsedStage>(next)),
                                  static_cast<unsigned>(workers.size()),
                                  keeping));
  }
  const std::lock_guard lock(mutex_);
  allowance_taken_ = count;
  workers_ = std::move(workers);
  keeping_ = std::move(keeping);
  return true;
}

// READY to PAUSED, before the copies change state.
bool Impl::open() {
  has_posted_error_ = false;
  needs_reconfigure_ = false;
  {
    const std::lock_guard lock(mutex_);
    thread_culprit_.clear();
  }
  if (!build_workers(settings())) return false;
  std::vector<std::shared_ptr<stage::Worker>> workers(workers_.begin(),
                                                      workers_.end());
  dispatcher_->start(std::move(workers));
  is_per_stream_ = recognised_per_stream_;
  dispatcher_->set_per_stream(is_per_stream_);
  apply_settings();
  return true;
}

// READY to PAUSED, after the copies have changed state with `result`.
GstStateChangeReturn Impl::finish_open(GstStateChangeReturn result) {
  std::string culprit;
  {
    const std::lock_guard lock(mutex_);
    culprit = thread_culprit_;
  }
  if (!culprit.empty()) refuse_threads(culprit);
  if (!culprit.empty() || result == GST_STATE_CHANGE_FAILURE) {
    gst_pad_set_active(src_, FALSE);
    begin_close();
    finish_close();
    return GST_STATE_CHANGE_FAILURE;
  }
  is_started_ = true;
  for (const auto& worker : workers_) worker->start();
  return result;
}

// The task of the src pad.
bool Impl::start_output() {
  return gst_pad_start_task(
      src_,
      [](gpointer user_data) {
        auto* self = static_cast<Impl*>(user_data);
        self->dispatcher_->run_output();
        gst_pad_pause_task(self->src_);
      },
      this, nullptr);
}

void Impl::play() {
  dispatcher_->time().play(element_);
  dispatcher_->recompute_waits();
}

void Impl::pause() {
  dispatcher_->time().pause();
  dispatcher_->recompute_waits();
}

// PAUSED to READY, before the copies change state. A copy that is busy is not
// waited for: it leaves the bin and takes itself down when it comes back.
void Impl::begin_close() {
  dispatcher_->begin_stop();
  for (const auto& worker : workers_) {
    if (worker->finish()) continue;
    GST_INFO_OBJECT(element_, "worker %u is busy and set aside",
                    worker->number());
    worker->flush();
    gst_bin_remove(GST_BIN(element_), worker->copy().bin());
  }
}

// PAUSED to READY, when pads and copies are quiet.
void Impl::finish_close() {
  std::vector<std::shared_ptr<stage::ThreadWorker>> workers;
  unsigned taken = 0;
  {
    const std::lock_guard lock(mutex_);
    workers.swap(workers_);
    taken = std::exchange(allowance_taken_, 0);
  }
  if (taken != 0) stage::cpu_allowance().give_back(taken);
  dispatcher_->finish_stop();
  prototype_.detach_all();
  for (const auto& worker : workers) {
    GstElement* bin = worker->copy().bin();
    if (GST_OBJECT_PARENT(bin) != GST_OBJECT_CAST(element_)) continue;
    gst_element_set_state(bin, GST_STATE_NULL);
    gst_bin_remove(GST_BIN(element_), bin);
  }
  account_.reset();
  sticky_ = initial_state();
  fields_.flush();
  is_started_ = false;
}

// ---- Settings --------------------------------------------------------------

void Impl::apply_timing() {
  dispatcher_->set_due_inputs(account_.due_inputs());
}

void Impl::apply_window() {
  core::WindowInputs inputs;
  {
    const std::lock_guard lock(mutex_);
    inputs.max_frames = settings_.max_buffers;
    inputs.max_bytes = settings_.max_bytes;
    inputs.workers =
        std::max<unsigned>(1, static_cast<unsigned>(workers_.size()));
  }
  inputs.budget = account_.budget();
  inputs.frame_duration = account_.frame_duration();
  const core::WindowLimits limits = core::decide_window(inputs);
  dispatcher_->set_window(limits);
  negotiation_->set_depth(limits.frames + inputs.workers);
}

void Impl::apply_settings() {
  const Settings now = settings();
  account_.set_budget(budget_of(now));
  account_.set_deadlines(now.deadlines);
  dispatcher_->set_late_policy(now.late_policy);
  const bool has_changed = account_.refresh_budget();
  apply_timing();
  apply_window();
  if (has_changed) post_latency();
}

void Impl::set_property(guint id, const GValue* value) {
  if (id == PROP_STAGE) {
    const gchar* text = g_value_get_string(value);
    prototype_.set_description(text != nullptr ? text : "");
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    switch (id) {
      case PROP_STAGE_STATE:
        settings_.stage_state =
            static_cast<core::StageState>(g_value_get_enum(value));
        break;
      case PROP_MAX_WORKERS:
        settings_.max_workers = g_value_get_uint(value);
        break;
      case PROP_LATENCY_BUDGET:
        settings_.latency_budget = g_value_get_uint64(value);
        break;
      case PROP_LATE_POLICY:
        settings_.late_policy =
            static_cast<core::LatePolicy>(g_value_get_enum(value));
        break;
      case PROP_DEADLINES:
        settings_.deadlines =
            static_cast<core::Deadlines>(g_value_get_enum(value));
        break;
      case PROP_MAX_BUFFERS:
        settings_.max_buffers = g_value_get_uint(value);
        break;
      case PROP_MAX_BYTES:
        settings_.max_bytes = g_value_get_uint64(value);
        break;
      default:
        break;
    }
  }
  if (is_started_) apply_settings();
}

void Impl::get_property(guint id, GValue* value) {
  if (id == PROP_STAGE) {
    g_value_set_string(value, prototype_.description().c_str());
    return;
  }
  if (id == PROP_STATS) {
    g_value_take_boxed(value, stats());
    return;
  }
  const Settings now = settings();
  switch (id) {
    case PROP_STAGE_STATE:
      g_value_set_enum(value, nick_value(now.stage_state));
      break;
    case PROP_MAX_WORKERS:
      g_value_set_uint(value, now.max_workers);
      break;
    case PROP_LATENCY_BUDGET:
      g_value_set_uint64(value, now.latency_budget);
      break;
    case PROP_LATE_POLICY:
      g_value_set_enum(value, nick_value(now.late_policy));
      break;
    case PROP_DEADLINES:
      g_value_set_enum(value, nick_value(now.deadlines));
      break;
    case PROP_MAX_BUFFERS:
      g_value_set_uint(value, now.max_buffers);
      break;
    case PROP_MAX_BYTES:
      g_value_set_uint64(value, now.max_bytes);
      break;
    default:
      break;
  }
}

GstStructure* causes_of(const core::FrameSums& sums) {
  GstStructure* causes = gst_structure_new_empty("causes");
  for (std::size_t i = 1; i < core::kCauseCount; ++i) {
    const auto cause = static_cast<core::Cause>(i);
    gst_structure_set(causes, core::to_string(cause), G_TYPE_UINT64,
                      sums.count(cause), nullptr);
  }
  return causes;
}

GstStructure* Impl::stats() {
  const core::FrameSums sums = dispatcher_->sums();
  const core::WindowLimits limits = dispatcher_->window();
  guint workers = 0;
  {
    const std::lock_guard lock(mutex_);
    workers = static_cast<guint>(workers_.size());
  }
  GstStructure* stats = gst_structure_new(
      "application/x-workerpool-stats",                                     //
      "frames-in", G_TYPE_UINT64, sums.frames_in(),                         //
      "in-flight", G_TYPE_UINT64, sums.in_flight(),                         //
      "late", G_TYPE_UINT64, sums.late(),                                   //
      "late-results", G_TYPE_UINT64, sums.late_results(),                   //
      "copies", G_TYPE_UINT64, sums.copies(),                               //
      "copied-bytes", G_TYPE_UINT64, sums.copied_bytes(),                   //
      "queue-time", G_TYPE_UINT64, guint64(sums.queue_time().count()),      //
      "service-time", G_TYPE_UINT64, guint64(sums.service_time().count()),  //
      "reorder-time", G_TYPE_UINT64, guint64(sums.reorder_time().count()),  //
      "workers", G_TYPE_UINT, workers,                                      //
      "max-buffers", G_TYPE_UINT, limits.frames,                            //
      "max-bytes", G_TYPE_UINT64, limits.bytes,                             //
      "latency-budget", G_TYPE_UINT64, guint64(account_.budget().count()),  //
      "deadlines-active", G_TYPE_BOOLEAN,
      dispatcher_->are_due_times_applied() ? TRUE : FALSE, nullptr);
  for (std::size_t i = 0; i < core::kActionCount; ++i) {
    const auto action = static_cast<core::Action>(i);
    gst_structure_set(stats, core::to_string(action), G_TYPE_UINT64,
                      sums.count(action), nullptr);
  }
  GstStructure* causes = causes_of(sums);
  gst_structure_set(stats, "causes", GST_TYPE_STRUCTURE, causes, nullptr);
  gst_structure_free(causes);
  return stats;
}

GstObject* Impl::stage_child() { return GST_OBJECT_CAST(prototype_.bin()); }

// ---- Buffers ---------------------------------------------------------------

GstFlowReturn Impl::submit(stage::Frame frame) {
  if (!is_per_stream_ && frame.has_flag(GST_BUFFER_FLAG_DELTA_UNIT)) {
    GST_ELEMENT_ERROR(
        element_, STREAM, FORMAT,
        ("A frame came that depends on earlier frames, but the stage works on "
         "frames independently."),
        ("Set stage-state=per-stream."));
    return GST_FLOW_ERROR;
  }
  if (needs_reconfigure_.exchange(false)) open_epoch(sticky_->caps());
  return dispatcher_->submit(std::move(frame), sticky_);
}

GstFlowReturn Impl::chain(stage::BufferPtr buffer) {
  stage::FieldPairing::Frames frames = fields_.add(std::move(buffer));
  GstFlowReturn flow = GST_FLOW_OK;
  if (frames.lonely) flow = submit(std::move(*frames.lonely));
  if (flow == GST_FLOW_OK && frames.complete)
    flow = submit(std::move(*frames.complete));
  return flow;
}

GstFlowReturn Impl::chain_list(GstBufferList* list) {
  if (gst_buffer_list_length(list) > 0) return submit(stage::Frame(list));
  gst_buffer_list_unref(list);
  return GST_FLOW_OK;
}

GstFlowReturn Impl::submit_waiting_field() {
  std::optional<stage::Frame> field = fields_.take_waiting();
  return field ? submit(std::move(*field)) : GST_FLOW_OK;
}

// ---- Events ----------------------------------------------------------------

void Impl::post_latency() {
  gst_element_post_message(element_,
                           gst_message_new_latency(GST_OBJECT_CAST(element_)));
}

void Impl::open_epoch(GstCaps* caps) {
  std::shared_ptr<core::OriginalKeeping> keeping;
  core::LatePolicy policy{};
  {
    const std::lock_guard lock(mutex_);
    keeping = keeping_;
    policy = settings_.late_policy;
  }
  if (keeping) keeping->reset();
  const bool pin = policy == core::LatePolicy::kBypass && !is_per_stream_ &&
                   core::due_times_apply(account_.due_inputs());
  sticky_ = sticky_->in_epoch(std::make_shared<stage::Epoch>(caps, pin));
}

bool Impl::on_caps(GstCaps* caps) {
  const Settings now = settings();
  core::StageStateVerdict verdict;
  if (now.stage_state == core::StageState::kAuto)
    verdict = core::recognise_from_media(
        gst_structure_get_name(gst_caps_get_structure(caps, 0)));
  if (verdict.is_per_stream && now.max_workers > 1)
    return refuse_several_workers(now, verdict.reason);
  if (verdict.is_per_stream && !recognised_per_stream_)
    GST_INFO_OBJECT(element_, "runs as per-stream, with one worker: %s",
                    verdict.reason.c_str());
  is_per_stream_ = recognised_per_stream_ || verdict.is_per_stream;
  dispatcher_->set_per_stream(is_per_stream_);
  fields_.on_caps(caps);
  account_.refresh_upstream();
  const bool has_changed = account_.on_caps(caps);
  apply_timing();
  apply_window();
  if (has_changed) post_latency();
  open_epoch(caps);
  return true;
}

bool Impl::serialized_event(stage::EventPtr event) {
  if (submit_waiting_field() != GST_FLOW_OK) return false;
  const GstEventType type = GST_EVENT_TYPE(event.get());
  if (type == GST_EVENT_CAPS) {
    GstCaps* caps = nullptr;
    gst_event_parse_caps(event.get(), &caps);
    const bool is_new =
        sticky_->caps() == nullptr || !gst_caps_is_equal(sticky_->caps(), caps);
    if (is_new && !on_caps(caps)) return false;
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
  return dispatcher_->push_event(std::move(event), sticky_) == GST_FLOW_OK;
}

void Impl::flush_start(stage::EventPtr event) {
  gst_pad_push_event(src_, event.release());
  dispatcher_->begin_flush();
}

void Impl::flush_stop(stage::EventPtr event) {
  gst_pad_pause_task(src_);
  dispatcher_->finish_flush();
  fields_.flush();
  sticky_ = sticky_->flushed();
  gst_pad_push_event(src_, event.release());
  start_output();
}

bool Impl::upstream_event(stage::EventPtr event) {
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
      if (const stage::PadPtr pad = front_pad(&stage::StageCopy::collector))
        return gst_pad_push_event(pad.get(), event.release());
      return gst_pad_push_event(sink_, event.release());
    default:
      // QOS among them: it would make elements of the stage drop by themselves.
      return gst_pad_push_event(sink_, event.release());
  }
}

// ---- Queries ---------------------------------------------------------------

stage::PadPtr Impl::front_pad(GstPad* (stage::StageCopy::*pad)() const) {
  const std::lock_guard lock(mutex_);
  if (workers_.empty()) return nullptr;
  return stage::share_object((workers_.front()->copy().*pad)());
}

// False where there are no copies yet.
bool Impl::query_front(GstPad* (stage::StageCopy::*pad)() const,
                       GstQuery* query) {
  const stage::PadPtr front = front_pad(pad);
  return front && gst_pad_peer_query(front.get(), query);
}

bool Impl::latency_query(GstQuery* query) {
  const stage::PadPtr collector = front_pad(&stage::StageCopy::collector);
  if (!gst_pad_peer_query(collector ? collector.get() : sink_, query))
    return false;
  if (account_.refresh_budget()) {
    apply_timing();
    apply_window();
  }
  account_.add_own(query, dispatcher_->window().frames);
  return true;
}

bool Impl::serialized_query(GstQuery* query) {
  return submit_waiting_field() == GST_FLOW_OK &&
         dispatcher_->answer_serialized(query, sticky_);
}

bool Impl::sink_query(GstQuery* query) {
  if (GST_QUERY_IS_SERIALIZED(query)) return serialized_query(query);
  if (member_.count_on_path(query, src_, account_.is_automatic())) return true;
  const bool is_caps = GST_QUERY_TYPE(query) == GST_QUERY_CAPS ||
                       GST_QUERY_TYPE(query) == GST_QUERY_ACCEPT_CAPS;
  if (is_caps && front_pad(&stage::StageCopy::feeder))
    return query_front(&stage::StageCopy::feeder, query);
  return gst_pad_query_default(sink_, GST_OBJECT_CAST(element_), query);
}

bool Impl::src_query(GstQuery* query) {
  if (member_.count_on_path(query, sink_, account_.is_automatic())) return true;
  switch (GST_QUERY_TYPE(query)) {
    case GST_QUERY_LATENCY:
      return latency_query(query);
    case GST_QUERY_CAPS:
    case GST_QUERY_ACCEPT_CAPS:
      if (front_pad(&stage::StageCopy::collector))
        return query_front(&stage::StageCopy::collector, query);
      break;
    default:
      break;
  }
  return gst_pad_query_default(src_, GST_OBJECT_CAST(element_), query);
}

// ---- Messages of the copies ------------------------------------------------

// The name of the copy ("worker0") that `object` is part of; empty if none.
std::string copy_name(GstObject* object, GstObject* element) {
  for (; object != nullptr; object = GST_OBJECT_PARENT(object))
    if (GST_OBJECT_PARENT(object) == element) return name_of(object);
  return {};
}

void Impl::post_copy_error(GstMessage* message) {
  if (has_posted_error_.exchange(true)) return;
  g_autoptr(GError) error = nullptr;
  g_autofree gchar* debug = nullptr;
  gst_message_parse_error(message, &error, &debug);
  const std::string worker =
      copy_name(GST_MESSAGE_SRC(message), GST_OBJECT_CAST(element_));
  const std::string source = name_of(GST_MESSAGE_SRC(message));
  gst_element_message_full(
      element_, GST_MESSAGE_ERROR, error->domain, error->code,
      g_strdup_printf("%s, element '%s': %s", worker.c_str(), source.c_str(),
                      error->message),
      g_strdup(debug), __FILE__, G_STRFUNC, __LINE__);
}

// Whether the message is the element's own business. (transfer none)
bool Impl::on_message(GstMessage* message) {
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    post_copy_error(message);
    return true;
  }
  if (GST_MESSAGE_TYPE(message) != GST_MESSAGE_STREAM_STATUS) return false;
  GstStreamStatusType type{};
  GstElement* owner = nullptr;
  gst_message_parse_stream_status(message, &type, &owner);
  if (type != GST_STREAM_STATUS_TYPE_CREATE || stage::is_port(owner))
    return false;
  {
    const std::lock_guard lock(mutex_);
    thread_culprit_ = name_of(owner);
  }
  if (is_started_) refuse_threads(name_of(owner));
  return true;
}

bool Impl::refuse_threads(const std::string& culprit) {
  return fail("The stage cannot have '" + culprit +
                  "' in it: it starts a thread of its own.",
              "A frame is complete when its call returns, and the workers are "
              "the threads: take '" +
                  culprit + "' out of the property 'stage'.");
}

}  // namespace

// ---- The GObject shell -----------------------------------------------------

struct _GstWorkerPool {
  GstBin parent;
  Impl* impl; /* owned */
};

static void gst_worker_pool_child_proxy_init(gpointer iface, gpointer);

G_DEFINE_TYPE_WITH_CODE(
    GstWorkerPool, gst_worker_pool, GST_TYPE_BIN,
    G_IMPLEMENT_INTERFACE(GST_TYPE_CHILD_PROXY,
                          gst_worker_pool_child_proxy_init)
        GST_DEBUG_CATEGORY_INIT(workerpool_debug, "workerpool", 0,
                                "a stage on several worker threads"));
GST_ELEMENT_REGISTER_DECLARE(workerpool);
GST_ELEMENT_REGISTER_DEFINE(workerpool, "workerpool", GST_RANK_NONE,
                            gst_worker_pool_get_type());

static Impl& impl_of(gpointer object) { return *GST_WORKER_POOL(object)->impl; }

static GstFlowReturn gst_worker_pool_chain(GstPad*, GstObject* parent,
                                           GstBuffer* buffer) noexcept {
  return impl_of(parent).chain(stage::BufferPtr(buffer));
}

static GstFlowReturn gst_worker_pool_chain_list(GstPad*, GstObject* parent,
                                                GstBufferList* list) noexcept {
  return impl_of(parent).chain_list(list);
}

static gboolean gst_worker_pool_sink_event(GstPad* pad, GstObject* parent,
                                           GstEvent* event) noexcept {
  Impl& impl = impl_of(parent);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_FLUSH_START:
      impl.flush_start(stage::EventPtr(event));
      return TRUE;
    case GST_EVENT_FLUSH_STOP:
      impl.flush_stop(stage::EventPtr(event));
      return TRUE;
    default:
      if (GST_EVENT_IS_SERIALIZED(event))
        return impl.serialized_event(stage::EventPtr(event));
      return gst_pad_event_default(pad, parent, event);
  }
}

static gboolean gst_worker_pool_src_event(GstPad*, GstObject* parent,
                                          GstEvent* event) noexcept {
  return impl_of(parent).upstream_event(stage::EventPtr(event));
}

static gboolean gst_worker_pool_sink_query(GstPad*, GstObject* parent,
                                           GstQuery* query) noexcept {
  return impl_of(parent).sink_query(query);
}

static gboolean gst_worker_pool_src_query(GstPad*, GstObject* parent,
                                          GstQuery* query) noexcept {
  return impl_of(parent).src_query(query);
}

static gboolean gst_worker_pool_src_activate_mode(GstPad* pad,
                                                  GstObject* parent,
                                                  GstPadMode mode,
                                                  gboolean active) noexcept {
  if (mode != GST_PAD_MODE_PUSH) return FALSE;
  if (active) return impl_of(parent).start_output();
  impl_of(parent).begin_stop();
  return gst_pad_stop_task(pad);
}

static void gst_worker_pool_handle_message(GstBin* bin,
                                           GstMessage* message) noexcept {
  if (impl_of(bin).on_message(message)) {
    gst_message_unref(message);
    return;
  }
  GST_BIN_CLASS(gst_worker_pool_parent_class)->handle_message(bin, message);
}

static void gst_worker_pool_set_context(GstElement* element,
                                        GstContext* context) noexcept {
  impl_of(element).on_context(context);
  GST_ELEMENT_CLASS(gst_worker_pool_parent_class)
      ->set_context(element, context);
}

static GstStateChangeReturn gst_worker_pool_change_state(
    GstElement* element, GstStateChange transition) noexcept {
  Impl& impl = impl_of(element);
  switch (transition) {
    case GST_STATE_CHANGE_NULL_TO_READY:
      impl.join_domain();
      break;
    case GST_STATE_CHANGE_READY_TO_PAUSED:
      if (!impl.open()) {
        impl.finish_close();
        return GST_STATE_CHANGE_FAILURE;
      }
      break;
    case GST_STATE_CHANGE_PAUSED_TO_PLAYING:
      impl.play();
      break;
    case GST_STATE_CHANGE_PLAYING_TO_PAUSED:
      impl.pause();
      break;
    case GST_STATE_CHANGE_PAUSED_TO_READY:
      impl.begin_close();
      break;
    default:
      break;
  }
  const GstStateChangeReturn result =
      GST_ELEMENT_CLASS(gst_worker_pool_parent_class)
          ->change_state(element, transition);
  switch (transition) {
    case GST_STATE_CHANGE_READY_TO_PAUSED:
      return impl.finish_open(result);
    case GST_STATE_CHANGE_PAUSED_TO_READY:
      impl.finish_close();
      break;
    case GST_STATE_CHANGE_READY_TO_NULL:
      impl.leave_domain();
      break;
    default:
      break;
  }
  return result;
}

static void gst_worker_pool_set_property(GObject* object, guint id,
                                         const GValue* value,
                                         GParamSpec* pspec) noexcept {
  if (id > PROP_0 && id < PROP_STATS) {
    impl_of(object).set_property(id, value);
  } else {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static void gst_worker_pool_get_property(GObject* object, guint id,
                                         GValue* value,
                                         GParamSpec* pspec) noexcept {
  if (id > PROP_0 && id <= PROP_STATS) {
    impl_of(object).get_property(id, value);
  } else {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

/* The children are the copies, as in every bin, and before them "stage". */

static GstChildProxyInterface* parent_child_proxy() {
  return static_cast<GstChildProxyInterface*>(g_type_interface_peek(
      gst_worker_pool_parent_class, GST_TYPE_CHILD_PROXY));
}

static GObject* gst_worker_pool_child_by_name(GstChildProxy* proxy,
                                              const gchar* name) noexcept {
  if (g_str_equal(name, "stage")) return G_OBJECT(impl_of(proxy).stage_child());
  return parent_child_proxy()->get_child_by_name(proxy, name);
}

static GObject* gst_worker_pool_child_by_index(GstChildProxy* proxy,
                                               guint index) noexcept {
  if (index == 0) return G_OBJECT(impl_of(proxy).stage_child());
  return parent_child_proxy()->get_child_by_index(proxy, index - 1);
}

static guint gst_worker_pool_children_count(GstChildProxy* proxy) noexcept {
  return 1 + parent_child_proxy()->get_children_count(proxy);
}

static void gst_worker_pool_child_proxy_init(gpointer iface, gpointer) {
  auto* proxy = static_cast<GstChildProxyInterface*>(iface);
  proxy->get_child_by_name = gst_worker_pool_child_by_name;
  proxy->get_child_by_index = gst_worker_pool_child_by_index;
  proxy->get_children_count = gst_worker_pool_children_count;
}

static void gst_worker_pool_finalize(GObject* object) noexcept {
  delete GST_WORKER_POOL(object)->impl;
  G_OBJECT_CLASS(gst_worker_pool_parent_class)->finalize(object);
}

static void install_properties(GObjectClass* klass) {
  constexpr auto kReadWrite =
      static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS);
  constexpr auto kReady =
      static_cast<GParamFlags>(kReadWrite | GST_PARAM_MUTABLE_READY);
  constexpr auto kPlaying =
      static_cast<GParamFlags>(kReadWrite | GST_PARAM_MUTABLE_PLAYING);
  const Settings defaults;
  g_object_class_install_property(
      klass, PROP_STAGE,
      g_param_spec_string(
          "stage", "Stage",
          "The work to do on each frame: a launch description with one open "
          "sink pad and one open src pad, such as \"videoconvert ! "
          "videobalance saturation=0\"",
          "", kReady));
  g_object_class_install_property(
      klass, PROP_STAGE_STATE,
      g_param_spec_enum(
          "stage-state", "Stage state",
          "Whether the stage carries state from frame to frame; then it runs "
          "with one worker, in strict order. 'auto' recognises coders and "
          "audio; other stages with state are for you to name",
          stage_state_type(), nick_value(defaults.stage_state), kReady));
  g_object_class_install_property(
      klass, PROP_MAX_WORKERS,
      g_param_spec_uint(
          "max-workers", "Maximum workers",
          "Number of workers; each is a thread with a copy of the stage (0 = "
          "as many as the CPU allowance of the process gives)",
          0, kMaxMaxWorkers, defaults.max_workers, kReady));
  g_object_class_install_property(
      klass, PROP_LATENCY_BUDGET,
      g_param_spec_uint64(
          "latency-budget", "Latency budget",
          "What the element adds to the latency of the pipeline, in "
          "nanoseconds; a live frame leaves at the latest this long after it "
          "came (-1 = automatic: three frame durations, or 100 ms without a "
          "frame rate, shared by the elements of this package on one path)",
          0, G_MAXUINT64, defaults.latency_budget, kPlaying));
  g_object_class_install_property(
      klass, PROP_LATE_POLICY,
      g_param_spec_enum(
          "late-policy", "Late policy",
          "What leaves at the due time of a frame whose result is not there. "
          "Where 'bypass' is not possible, because the stage changes the caps, "
          "it is 'repeat', else 'drop'",
          late_policy_type(), nick_value(defaults.late_policy), kPlaying));
  g_object_class_install_property(
      klass, PROP_DEADLINES,
      g_param_spec_enum("deadlines", "Deadlines",
                        "When frames have due times; without them nothing is "
                        "ever skipped",
                        deadlines_type(), nick_value(defaults.deadlines),
                        kPlaying));
  g_object_class_install_property(
      klass, PROP_MAX_BUFFERS,
      g_param_spec_uint(
          "max-buffers", "Maximum buffers",
          "The window: most frames in flight in the element; one that has no "
          "room waits (0 = automatic: four for each worker, and at least what "
          "comes within latency-budget and one for each worker)",
          0, G_MAXUINT, defaults.max_buffers, kPlaying));
  g_object_class_install_property(
      klass, PROP_MAX_BYTES,
      g_param_spec_uint64(
          "max-bytes", "Maximum bytes",
          "The window in bytes of the frames in flight; one frame always has "
          "room (0 = automatic: 256 MiB)",
          0, G_MAXUINT64, defaults.max_bytes, kPlaying));
  g_object_class_install_property(
      klass, PROP_STATS,
      g_param_spec_boxed(
          "stats", "Statistics",
          "What happened to the frames since READY: frames-in = applied + "
          "bypassed + repeated + dropped + in-flight; see "
          "docs/elements/workerpool.md for all fields",
          GST_TYPE_STRUCTURE,
          static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS)));
}

static void gst_worker_pool_class_init(GstWorkerPoolClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = gst_worker_pool_set_property;
  object_class->get_property = gst_worker_pool_get_property;
  object_class->finalize = gst_worker_pool_finalize;
  element_class->change_state = gst_worker_pool_change_state;
  element_class->set_context = gst_worker_pool_set_context;
  GST_BIN_CLASS(klass)->handle_message = gst_worker_pool_handle_message;

  install_properties(object_class);
  /**
   * GstWorkerPool::stage-setup:
   * @object: the element
   * @copy: a copy of the stage, the bin "workerN", that was just built
   * @worker: its number N
   *
   * For setting up the elements of a copy by hand. Emitted on the thread of the
   * state change, before the copy runs.
   *
   * Since: 0.1
   */
  signals[SIGNAL_STAGE_SETUP] = g_signal_new(
      "stage-setup", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, nullptr,
      nullptr, nullptr, G_TYPE_NONE, 2, GST_TYPE_ELEMENT, G_TYPE_UINT);

  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "Worker pool", "Generic/Bin/Filter",
      "Runs a stage on several threads; results leave in order and in time",
      "The gst-dispatch developers");
}

static void gst_worker_pool_init(GstWorkerPool* self) {
  GstPad* sink = gst_pad_new_from_static_template(&sink_template, "sink");
  gst_pad_set_chain_function(sink, GST_DEBUG_FUNCPTR(gst_worker_pool_chain));
  gst_pad_set_chain_list_function(
      sink, GST_DEBUG_FUNCPTR(gst_worker_pool_chain_list));
  gst_pad_set_event_function(sink,
                             GST_DEBUG_FUNCPTR(gst_worker_pool_sink_event));
  gst_pad_set_query_function(sink,
                             GST_DEBUG_FUNCPTR(gst_worker_pool_sink_query));
  GstPad* src = gst_pad_new_from_static_template(&src_template, "src");
  gst_pad_set_event_function(src, GST_DEBUG_FUNCPTR(gst_worker_pool_src_event));
  gst_pad_set_query_function(src, GST_DEBUG_FUNCPTR(gst_worker_pool_src_query));
  gst_pad_set_activatemode_function(
      src, GST_DEBUG_FUNCPTR(gst_worker_pool_src_activate_mode));
  gst_element_add_pad(GST_ELEMENT_CAST(self), sink);
  gst_element_add_pad(GST_ELEMENT_CAST(self), src);
  self->impl = new Impl(GST_ELEMENT_CAST(self), sink, src);
}
