// SPDX-License-Identifier: LGPL-2.1-or-later
/**
 * SECTION:element-shmdispatch
 * @title: shmdispatch
 *
 * Runs one stage in several worker processes, without copying the frames. Each
 * worker has its own copy of the stage; a frame goes to the worker that is free
 * first, and the results leave in the order in which the frames came. What a
 * stage does to its process, it does not do to yours.
 *
 * Frames lie in shared memory that this element offers to the element before
 * it; workers map it once, and can only read it. Results come back in memory
 * that one worker can write to, and leave as they are. The original buffer
 * stays here: timestamps, flags and metas are its own. What has to be copied
 * all the same, because an element brings memory of its own, is copied once and
 * counted in #GstShmDispatch:stats.
 *
 * Due times, #GstShmDispatch:late-policy and the latency are those of
 * workerpool, see there. A frame that leaves late is cancelled in its worker:
 * it ends at the next element of the stage.
 *
 * There are as many workers as the load needs and as help, between
 * #GstShmDispatch:min-workers and #GstShmDispatch:max-workers. One that dies is
 * replaced, and its frame is tried again; one that is stuck is killed after
 * #GstShmDispatch:stall-timeout. A frame that ends two workers leaves by
 * #GstShmDispatch:late-policy. A stage that does nothing but die ends the
 * stream, or is left out: see #GstShmDispatch:on-exhausted.
 * #GstShmDispatch:stage can be set while frames flow: the new one takes over
 * between two frames. Element messages say what becomes of workers, and how
 * they died; they are in docs/elements/workers.md.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=100 ! shmdispatch stage="videoconvert
 * ! gaussianblur sigma=3 ! videoconvert" ! videoconvert ! autovideosink
 * ]| Blurs in as many processes as there are CPUs to be had.
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=100 ! shmdispatch stage="videoflip
 * video-direction=90r" max-workers=1 ! shmdispatch stage="videoconvert ! edgetv
 * ! videoconvert" ! videoconvert ! autovideosink
 * ]| Two stages, each in processes of its own, and no copy in between.
 *
 * Since: 0.1
 */
#include <gst/gst.h>

#include "process/process_workers.h"
#include "stage/element_shell.h"

namespace process = dispatch::process;
namespace stage = dispatch::stage;

GST_DEBUG_CATEGORY_STATIC(shmdispatch_debug);
#define GST_CAT_DEFAULT shmdispatch_debug

G_DECLARE_FINAL_TYPE(GstShmDispatch, gst_shm_dispatch, GST, SHM_DISPATCH,
                     GstElement)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

enum {
  PROP_REQUIRE_ZERO_COPY = stage::kFirstOwnProperty,
  PROP_ALLOW_IN_PLACE,
  PROP_SHARED_BYTES,
  PROP_WORKER_COMMAND,
  PROP_HUGE_PAGES,
  PROP_SPIN,
};

// Each worker is a process; far beyond any machine.
static constexpr guint kMaxMaxWorkers = 256;
// Longer than this is no waiting for what is about to come.
static constexpr guint64 kMaxSpin = 10 * GST_MSECOND;

struct _GstShmDispatch {
  GstElement parent;
  stage::StageElement* impl;        /* owned */
  process::ProcessWorkers* workers; /* of impl */
};

static void gst_shm_dispatch_child_proxy_init(gpointer iface, gpointer);

G_DEFINE_TYPE_WITH_CODE(
    GstShmDispatch, gst_shm_dispatch, GST_TYPE_ELEMENT,
    G_IMPLEMENT_INTERFACE(GST_TYPE_CHILD_PROXY,
                          gst_shm_dispatch_child_proxy_init)
        GST_DEBUG_CATEGORY_INIT(shmdispatch_debug, "shmdispatch", 0,
                                "a stage in several worker processes"));
GST_ELEMENT_REGISTER_DECLARE(shmdispatch);
GST_ELEMENT_REGISTER_DEFINE(shmdispatch, "shmdispatch", GST_RANK_NONE,
                            gst_shm_dispatch_get_type());

static void gst_shm_dispatch_set_context(GstElement* element,
                                         GstContext* context) noexcept {
  GST_SHM_DISPATCH(element)->impl->on_context(context);
  GST_ELEMENT_CLASS(gst_shm_dispatch_parent_class)
      ->set_context(element, context);
}

static GstStateChangeReturn gst_shm_dispatch_change_state(
    GstElement* element, GstStateChange transition) noexcept {
  return stage::change_state(
      *GST_SHM_DISPATCH(element)->impl, element, transition,
      GST_ELEMENT_CLASS(gst_shm_dispatch_parent_class)->change_state);
}

static bool set_own_property(process::ProcessSettings& settings, guint id,
                             const GValue* value) {
  switch (id) {
    case PROP_REQUIRE_ZERO_COPY:
      settings.require_zero_copy = g_value_get_boolean(value) != FALSE;
      return true;
    case PROP_ALLOW_IN_PLACE:
      settings.allow_in_place = g_value_get_boolean(value) != FALSE;
      return true;
    case PROP_WORKER_COMMAND: {
      const gchar* text = g_value_get_string(value);
      settings.worker_command = text != nullptr ? text : "";
      return true;
    }
    case PROP_HUGE_PAGES:
      settings.huge_pages = g_value_get_boolean(value) != FALSE;
      return true;
    case PROP_SPIN:
      settings.spin_ns = g_value_get_uint64(value);
      return true;
    default:
      return false;
  }
}

static bool get_own_property(const process::ProcessSettings& settings, guint id,
                             GValue* value) {
  switch (id) {
    case PROP_REQUIRE_ZERO_COPY:
      g_value_set_boolean(value, settings.require_zero_copy);
      return true;
    case PROP_ALLOW_IN_PLACE:
      g_value_set_boolean(value, settings.allow_in_place);
      return true;
    case PROP_WORKER_COMMAND:
      g_value_set_string(value, settings.worker_command.c_str());
      return true;
    case PROP_HUGE_PAGES:
      g_value_set_boolean(value, settings.huge_pages);
      return true;
    case PROP_SPIN:
      g_value_set_uint64(value, settings.spin_ns);
      return true;
    default:
      return false;
  }
}

static void gst_shm_dispatch_set_property(GObject* object, guint id,
                                          const GValue* value,
                                          GParamSpec* pspec) noexcept {
  auto* self = GST_SHM_DISPATCH(object);
  /* Here it bounds the shared memory; the window is in frames. */
  if (id == stage::kPropertyMaxBytes) {
    self->workers->configure([&](process::ProcessSettings& settings) {
      settings.max_bytes = g_value_get_uint64(value);
    });
    return;
  }
  if (stage::set_common_property(*self->impl, id, value)) return;
  bool is_own = false;
  self->workers->configure([&](process::ProcessSettings& settings) {
    is_own = set_own_property(settings, id, value);
  });
  if (!is_own) G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
}

static void gst_shm_dispatch_get_property(GObject* object, guint id,
                                          GValue* value,
                                          GParamSpec* pspec) noexcept {
  auto* self = GST_SHM_DISPATCH(object);
  if (id == stage::kPropertyStats) {
    /* Here max-bytes is the bound on the shared memory. */
    GstStructure* stats = self->impl->stats("application/x-shmdispatch-stats");
    gst_structure_set(stats, "max-bytes", G_TYPE_UINT64,
                      self->workers->max_level(), "current-level-bytes",
                      G_TYPE_UINT64, self->workers->level(), nullptr);
    g_value_take_boxed(value, stats);
  } else if (id == stage::kPropertyMaxBytes) {
    g_value_set_uint64(value, self->workers->settings().max_bytes);
  } else if (id == PROP_SHARED_BYTES) {
    g_value_set_uint64(value, self->workers->level());
  } else if (!stage::get_common_property(*self->impl, id, value,
                                         "application/x-shmdispatch-stats") &&
             !get_own_property(self->workers->settings(), id, value)) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

/* The only child is "stage": the copies are in other processes. */

static GObject* gst_shm_dispatch_stage(GstChildProxy* proxy) {
  return reinterpret_cast<GObject*>(
      GST_SHM_DISPATCH(proxy)->impl->prototype().bin());
}

static GObject* gst_shm_dispatch_child_by_name(GstChildProxy* proxy,
                                               const gchar* name) noexcept {
  return g_str_equal(name, "stage") ? gst_shm_dispatch_stage(proxy) : nullptr;
}

static GObject* gst_shm_dispatch_child_by_index(GstChildProxy* proxy,
                                                guint index) noexcept {
  return index == 0 ? gst_shm_dispatch_stage(proxy) : nullptr;
}

static guint gst_shm_dispatch_children_count(GstChildProxy* proxy) noexcept {
  g_autoptr(GObject) stage = gst_shm_dispatch_stage(proxy);
  return stage != nullptr ? 1 : 0;
}

static void gst_shm_dispatch_child_proxy_init(gpointer iface, gpointer) {
  auto* proxy = static_cast<GstChildProxyInterface*>(iface);
  proxy->get_child_by_name = gst_shm_dispatch_child_by_name;
  proxy->get_child_by_index = gst_shm_dispatch_child_by_index;
  proxy->get_children_count = gst_shm_dispatch_children_count;
}

static void gst_shm_dispatch_finalize(GObject* object) noexcept {
  delete GST_SHM_DISPATCH(object)->impl;
  G_OBJECT_CLASS(gst_shm_dispatch_parent_class)->finalize(object);
}

static void install_own_properties(GObjectClass* klass) {
  const process::ProcessSettings defaults;
  g_object_class_install_property(
      klass, PROP_REQUIRE_ZERO_COPY,
      g_param_spec_boolean(
          "require-zero-copy", "Require zero copy",
          "Whether a copy of a frame, on its way to the workers or by a worker "
          "for its result, ends the stream with an error that says on which "
          "side it was (false = it is copied, and counted in 'copies' of "
          "stats)",
          defaults.require_zero_copy, stage::kMutablePlaying));
  g_object_class_install_property(
      klass, PROP_ALLOW_IN_PLACE,
      g_param_spec_boolean(
          "allow-in-place", "Allow in place",
          "Let the workers write into the frames that they get, so that a "
          "stage that works in place costs no copy. Only where nobody else has "
          "the frame and its original is not needed: where frames have due "
          "times, as in a live pipeline, only if late-policy is not 'bypass'. "
          "A worker that breaks may then write to all frames of this element",
          defaults.allow_in_place, stage::kMutableReady));
  g_object_class_install_property(
      klass, PROP_SHARED_BYTES,
      g_param_spec_uint64(
          "current-level-bytes", "Current level (bytes)",
          "Shared memory for frames and results that there is now, in bytes; "
          "never more than max-bytes",
          0, G_MAXUINT64, 0, stage::kReadOnly));
  g_object_class_install_property(
      klass, PROP_WORKER_COMMAND,
      g_param_spec_string(
          "worker-command", "Worker command",
          "The command line of the worker program, quoted as for a shell, "
          "though none reads it; looked for in PATH if it has no slash (empty "
          "= gst-dispatch-worker in libexec). For a tool in front of it, such "
          "as \"gdb -q -batch -ex run -ex bt --args "
          "/path/to/gst-dispatch-worker\", or a program of your own that "
          "speaks docs/design/worker-protocol.md",
          defaults.worker_command.c_str(), stage::kMutableReady));
  g_object_class_install_property(
      klass, PROP_HUGE_PAGES,
      g_param_spec_boolean(
          "huge-pages", "Huge pages",
          "Take the memory of frames from the huge pages of 2 MiB that the "
          "machine has reserved (sysctl vm.nr_hugepages=64); an error if there "
          "are not enough of them. Each frame takes whole ones",
          defaults.huge_pages, stage::kMutableReady));
  g_object_class_install_property(
      klass, PROP_SPIN,
      g_param_spec_uint64(
          "spin", "Spin",
          "How long each side looks for work before it sleeps, in nanoseconds: "
          "saves the time of a wake-up, and costs a CPU as long as it looks (0 "
          "= sleep at once)",
          0, kMaxSpin, defaults.spin_ns, stage::kMutableReady));
}

static void gst_shm_dispatch_class_init(GstShmDispatchClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = gst_shm_dispatch_set_property;
  object_class->get_property = gst_shm_dispatch_get_property;
  object_class->finalize = gst_shm_dispatch_finalize;
  element_class->change_state = gst_shm_dispatch_change_state;
  element_class->set_context = gst_shm_dispatch_set_context;

  const stage::PropertyTexts texts{
      .stage = stage::kReplaceableStage,
      .stage_flags = stage::kMutablePlaying,
      .max_workers =
          "The most workers that work at a time; each is a process with a "
          "copy of the stage. One that is stuck does not count; all together "
          "are at most twice as many. A stage with state has one (0 = as many "
          "as help, up to the CPUs that this process may use and no other "
          "element of this package is using)",
      .stall_timeout =
          "How long a worker may be busy with one frame before it is killed "
          "and replaced, in nanoseconds (0 = automatic: with due times 10 "
          "times what the longest frames take, at least 2 s; without, for "
          "ever). Its frame leaves at its due time, whatever this is; without "
          "due times it is tried again",
      .max_bytes =
          "Hard bound on the shared memory for frames and results, "
          "in bytes. It needs room for max-buffers frames, one for "
          "each worker, what others keep, and results of twice "
          "max-workers; if it has less, the error before the first "
          "frame says how much would do (0 = automatic: half of the "
          "memory that can be had at the start, at most 4 GiB)",
      .max_bytes_flags =
          static_cast<GParamFlags>(stage::kReadWrite | GST_PARAM_MUTABLE_READY),
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
          "max-buffers, max-bytes, current-level-bytes, latency-budget "
          "(ns), deadlines-active. See docs/elements/shmdispatch.md",
      .max_max_workers = kMaxMaxWorkers};
  stage::install_stage_properties(object_class, texts);
  stage::install_worker_properties(object_class, texts);
  stage::install_timing_properties(object_class, texts);
  install_own_properties(object_class);

  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "Shared memory dispatcher", "Generic/Filter",
      "Runs a stage in several processes without copying frames; results leave "
      "in order and in time",
      "The gst-dispatch developers");
}

static void gst_shm_dispatch_init(GstShmDispatch* self) {
  auto* element = GST_ELEMENT_CAST(self);
  const stage::ShellPads pads = stage::add_pads(element);
  self->impl = new stage::StageElement(
      element, pads.sink, pads.src,
      [self, element](stage::Ladder& ladder, stage::WorkersHost& host) {
        auto workers = std::make_unique<process::ProcessWorkers>(
            element, ladder.full().prototype(), host);
        self->workers = workers.get();
        return workers;
      });
  stage::wire_pads(pads, self->impl);
}
