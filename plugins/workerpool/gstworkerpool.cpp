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
 * There are as many workers as the load needs and as help, between
 * #GstWorkerPool:min-workers and #GstWorkerPool:max-workers. One that is stuck
 * is set aside, and a ready-made one takes its place; a thread cannot be ended.
 * #GstWorkerPool:stage can be set while frames flow: the new one takes over
 * between two frames. Element messages say what becomes of workers; they are in
 * docs/elements/workers.md.
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

#include "stage/element_shell.h"
#include "stage/thread_workers.h"

namespace stage = dispatch::stage;

GST_DEBUG_CATEGORY_STATIC(workerpool_debug);
#define GST_CAT_DEFAULT workerpool_debug

G_DECLARE_FINAL_TYPE(GstWorkerPool, gst_worker_pool, GST, WORKER_POOL, GstBin)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

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
  return stage::change_state(
      impl_of(element), element, transition,
      GST_ELEMENT_CLASS(gst_worker_pool_parent_class)->change_state);
}

static void gst_worker_pool_set_property(GObject* object, guint id,
                                         const GValue* value,
                                         GParamSpec* pspec) noexcept {
  if (!stage::set_common_property(impl_of(object), id, value))
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
}

static void gst_worker_pool_get_property(GObject* object, guint id,
                                         GValue* value,
                                         GParamSpec* pspec) noexcept {
  if (!stage::get_common_property(impl_of(object), id, value,
                                  "application/x-workerpool-stats"))
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
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

static void gst_worker_pool_class_init(GstWorkerPoolClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = gst_worker_pool_set_property;
  object_class->get_property = gst_worker_pool_get_property;
  object_class->finalize = gst_worker_pool_finalize;
  element_class->change_state = gst_worker_pool_change_state;
  element_class->set_context = gst_worker_pool_set_context;
  GST_BIN_CLASS(klass)->handle_message = gst_worker_pool_handle_message;

  const stage::PropertyTexts texts{
      .stage = stage::kReplaceableStage,
      .stage_flags = stage::kMutablePlaying,
      .max_workers =
          "The most workers that work at a time; each is a thread "
          "with a copy of the stage. One that is stuck does not "
          "count; all together are at most twice as many. A stage "
          "with state has one (0 = as many as help, up to the CPUs "
          "that this process may use and no other element of this "
          "package is using)",
      .stall_timeout =
          "How long a worker may be busy with one frame before the element "
          "message 'worker-stuck' says so, in nanoseconds. A thread cannot be "
          "ended: with due times another one works in its place, without it "
          "is waited for (0 = automatic: with due times 10 times what the "
          "longest frames take, at least 2 s; without, for ever)",
      .max_bytes =
          "The window in bytes of the frames in flight; one frame "
          "always has room (0 = automatic: 256 MiB)",
      .max_bytes_flags = stage::kMutablePlaying,
      .stats =
          "What happened to the frames since READY: frames-in = applied "
          "+ bypassed + repeated + dropped + in-flight; late and "
          "late-results (frames); copies (buffers) and copied-bytes; "
          "queue-time, service-time and reorder-time (ns, sums over "
          "applied frames); causes (a structure: why frames did not get "
          "the full stage); the workers now: workers (that work), "
          "parked-workers, set-aside-workers, permitted-workers, "
          "efficient-workers (0 = not known), workers-because (why so "
          "many), load (in workers), workers-lost; and what is in force: "
          "max-buffers, max-bytes, latency-budget (ns), "
          "deadlines-active. See docs/elements/workerpool.md",
      .max_max_workers = kMaxMaxWorkers};
  stage::install_stage_properties(object_class, texts);
  stage::install_worker_properties(object_class, texts);
  stage::install_timing_properties(object_class, texts);
  /**
   * GstWorkerPool::stage-setup:
   * @object: the element
   * @copy: a copy of the stage, the bin "workerN", that was just built
   * @worker: its number N
   *
   * For setting up the elements of a copy by hand. Emitted before the copy
   * runs, on the thread of the state change or, for one that comes later, on
   * one of the element's own.
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
  auto* element = GST_ELEMENT_CAST(self);
  const stage::ShellPads pads = stage::add_pads(element);
  self->impl = new stage::StageElement(
      element, pads.sink, pads.src,
      [self, element](stage::Ladder& ladder, stage::WorkersHost&) {
        return std::make_unique<stage::ThreadWorkers>(
            element, ladder,
            [self](GstElement* copy, unsigned worker, unsigned) {
              g_signal_emit(self, signals[SIGNAL_STAGE_SETUP], 0, copy, worker);
            });
      });
  stage::wire_pads(pads, self->impl);
}
