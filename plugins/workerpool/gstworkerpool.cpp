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
#include <gst/gst.h>

#include "stage/property_types.h"
#include "stage/stage_element.h"

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

// Each worker is a thread with a copy of the stage; far beyond any machine.
static constexpr guint kMaxMaxWorkers = 1024;

struct _GstWorkerPool {
  GstBin parent;
  stage::StageElement* impl; /* owned */
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

static stage::StageElement& impl_of(gpointer object) {
  return *GST_WORKER_POOL(object)->impl;
}

static GstFlowReturn gst_worker_pool_chain(GstPad*, GstObject* parent,
                                           GstBuffer* buffer) noexcept {
  return impl_of(parent).chain(stage::BufferPtr(buffer));
}

static GstFlowReturn gst_worker_pool_chain_list(GstPad*, GstObject* parent,
                                                GstBufferList* list) noexcept {
  return impl_of(parent).chain_list(list);
}

static GstFlowReturn gst_worker_pool_sink_event(GstPad* pad, GstObject* parent,
                                                GstEvent* event) noexcept {
  stage::StageElement& impl = impl_of(parent);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_FLUSH_START:
      impl.flush_start(stage::EventPtr(event));
      return GST_FLOW_OK;
    case GST_EVENT_FLUSH_STOP:
      impl.flush_stop(stage::EventPtr(event));
      return GST_FLOW_OK;
    default:
      if (GST_EVENT_IS_SERIALIZED(event))
        return impl.serialized_event(stage::EventPtr(event));
      return gst_pad_event_default(pad, parent, event) ? GST_FLOW_OK
                                                       : GST_FLOW_ERROR;
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

static gboolean gst_worker_pool_src_activate_mode(GstPad*, GstObject* parent,
                                                  GstPadMode mode,
                                                  gboolean active) noexcept {
  if (mode != GST_PAD_MODE_PUSH) return FALSE;
  if (active) return impl_of(parent).start_output();
  return impl_of(parent).stop_output();
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
  stage::StageElement& impl = impl_of(element);
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
      GST_INFO_OBJECT(element, "stage \"%s\"",
                      impl.prototype().description().c_str());
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

static void set_setting(stage::StageElement::Settings& settings, guint id,
                        const GValue* value) {
  switch (id) {
    case PROP_STAGE_STATE:
      settings.stage_state =
          static_cast<core::StageState>(g_value_get_enum(value));
      break;
    case PROP_MAX_WORKERS:
      settings.max_workers = g_value_get_uint(value);
      break;
    case PROP_LATENCY_BUDGET:
      settings.latency_budget = g_value_get_uint64(value);
      break;
    case PROP_LATE_POLICY:
      settings.late_policy =
          static_cast<core::LatePolicy>(g_value_get_enum(value));
      break;
    case PROP_DEADLINES:
      settings.deadlines =
          static_cast<core::Deadlines>(g_value_get_enum(value));
      break;
    case PROP_MAX_BUFFERS:
      settings.max_buffers = g_value_get_uint(value);
      break;
    case PROP_MAX_BYTES:
      settings.max_bytes = g_value_get_uint64(value);
      break;
    default:
      break;
  }
}

static void get_setting(const stage::StageElement::Settings& settings, guint id,
                        GValue* value) {
  switch (id) {
    case PROP_STAGE_STATE:
      g_value_set_enum(value, static_cast<gint>(settings.stage_state));
      break;
    case PROP_MAX_WORKERS:
      g_value_set_uint(value, settings.max_workers);
      break;
    case PROP_LATENCY_BUDGET:
      g_value_set_uint64(value, settings.latency_budget);
      break;
    case PROP_LATE_POLICY:
      g_value_set_enum(value, static_cast<gint>(settings.late_policy));
      break;
    case PROP_DEADLINES:
      g_value_set_enum(value, static_cast<gint>(settings.deadlines));
      break;
    case PROP_MAX_BUFFERS:
      g_value_set_uint(value, settings.max_buffers);
      break;
    case PROP_MAX_BYTES:
      g_value_set_uint64(value, settings.max_bytes);
      break;
    default:
      break;
  }
}

static void gst_worker_pool_set_property(GObject* object, guint id,
                                         const GValue* value,
                                         GParamSpec* pspec) noexcept {
  stage::StageElement& impl = impl_of(object);
  if (id == PROP_STAGE) {
    const gchar* text = g_value_get_string(value);
    impl.prototype().set_description(text != nullptr ? text : "");
  } else if (id > PROP_STAGE && id < PROP_STATS) {
    impl.configure([&](stage::StageElement::Settings& settings) {
      set_setting(settings, id, value);
    });
  } else {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static void gst_worker_pool_get_property(GObject* object, guint id,
                                         GValue* value,
                                         GParamSpec* pspec) noexcept {
  stage::StageElement& impl = impl_of(object);
  if (id == PROP_STAGE) {
    g_value_set_string(value, impl.prototype().description().c_str());
  } else if (id == PROP_STATS) {
    g_value_take_boxed(value, impl.stats("application/x-workerpool-stats"));
  } else if (id > PROP_STAGE && id < PROP_STATS) {
    get_setting(impl.settings(), id, value);
  } else {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

/* The children are the copies, as in every bin, and before them "stage" if it
 * can be parsed. */

static GstChildProxyInterface* parent_child_proxy() {
  return static_cast<GstChildProxyInterface*>(g_type_interface_peek(
      gst_worker_pool_parent_class, GST_TYPE_CHILD_PROXY));
}

static GObject* gst_worker_pool_child_by_name(GstChildProxy* proxy,
                                              const gchar* name) noexcept {
  if (g_str_equal(name, "stage"))
    return reinterpret_cast<GObject*>(impl_of(proxy).prototype().bin());
  return parent_child_proxy()->get_child_by_name(proxy, name);
}

static GObject* gst_worker_pool_child_by_index(GstChildProxy* proxy,
                                               guint index) noexcept {
  GstElement* stage = impl_of(proxy).prototype().bin();
  if (stage != nullptr && index == 0) return G_OBJECT(stage);
  if (stage != nullptr) gst_object_unref(stage);
  return parent_child_proxy()->get_child_by_index(
      proxy, stage != nullptr ? index - 1 : index);
}

static guint gst_worker_pool_children_count(GstChildProxy* proxy) noexcept {
  const stage::ElementPtr stage(impl_of(proxy).prototype().bin());
  return (stage ? 1 : 0) + parent_child_proxy()->get_children_count(proxy);
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
  const stage::StageElement::Settings defaults;
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
          stage::stage_state_type(), static_cast<gint>(defaults.stage_state),
          kReady));
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
          "nanoseconds; a live frame leaves at the latest at its running time "
          "plus the latency of upstream plus this (-1 = automatic: three frame "
          "durations, or 100 ms without a frame rate, shared by the elements "
          "of this package on one path)",
          0, G_MAXUINT64, defaults.latency_budget, kPlaying));
  g_object_class_install_property(
      klass, PROP_LATE_POLICY,
      g_param_spec_enum(
          "late-policy", "Late policy",
          "What leaves at the due time of a frame whose result is not there. "
          "Where 'bypass' is not possible, because the stage changes the caps, "
          "it is 'repeat', else 'drop'",
          stage::late_policy_type(), static_cast<gint>(defaults.late_policy),
          kPlaying));
  g_object_class_install_property(
      klass, PROP_DEADLINES,
      g_param_spec_enum("deadlines", "Deadlines",
                        "When frames have due times; without them nothing is "
                        "ever skipped",
                        stage::deadlines_type(),
                        static_cast<gint>(defaults.deadlines), kPlaying));
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
  gst_pad_set_event_full_function(
      sink, GST_DEBUG_FUNCPTR(gst_worker_pool_sink_event));
  gst_pad_set_query_function(sink,
                             GST_DEBUG_FUNCPTR(gst_worker_pool_sink_query));
  GstPad* src = gst_pad_new_from_static_template(&src_template, "src");
  gst_pad_set_event_function(src, GST_DEBUG_FUNCPTR(gst_worker_pool_src_event));
  gst_pad_set_query_function(src, GST_DEBUG_FUNCPTR(gst_worker_pool_src_query));
  gst_pad_set_activatemode_function(
      src, GST_DEBUG_FUNCPTR(gst_worker_pool_src_activate_mode));
  gst_element_add_pad(GST_ELEMENT_CAST(self), sink);
  gst_element_add_pad(GST_ELEMENT_CAST(self), src);
  self->impl = new stage::StageElement(
      GST_ELEMENT_CAST(self), sink, src,
      [self](GstElement* copy, unsigned worker) {
        g_signal_emit(self, signals[SIGNAL_STAGE_SETUP], 0, copy, worker);
      });
}
