// SPDX-License-Identifier: LGPL-2.1-or-later
/**
 * SECTION:element-adaptiveskip
 * @title: adaptiveskip
 *
 * Gives each frame the best level of a stage that is expected to be done by the
 * time at which the frame is due: the full stage, one of the cheaper levels
 * that you name, or none, in which case the original goes past the stage. What
 * a level costs is measured all the time, so a stage that turns slow is skipped
 * for some frames, evenly, and comes back as soon as it fits again.
 *
 * In a live pipeline a frame has a due time: its running time plus the latency
 * of upstream plus #GstAdaptiveSkip:latency-budget. There the stage runs on a
 * helper thread, and when it turns out to take too long the original leaves at
 * its due time although the stage is still busy with it; a spare helper takes
 * the next frame (#GstAdaptiveSkip:rescue). In a pipeline that is not live
 * nothing is ever skipped, and the stage runs in the streaming thread; it does
 * so inside the stage of another element too, where the due time comes with the
 * frame.
 *
 * Element messages say which level frames get and why, QOS messages what they
 * are worth (docs/elements/adaptiveskip.md). Going past a stage that hides
 * something shows it: see #GstAdaptiveSkip:late-policy and
 * #GstAdaptiveSkip:reuse.
 *
 * Adds #GstAdaptiveSkip:latency-budget to the latency of the pipeline. Copies
 * nothing, unless the stage writes in place while the original may still be
 * needed for a rescue.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 videotestsrc is-live=true num-buffers=100 ! adaptiveskip
 * stage="videoconvert ! gaussianblur sigma=3 ! videoconvert"
 * latency-budget=66000000 ! videoconvert ! autovideosink
 * ]| Blurs the frames for which there is time.
 * |[
 * gst-launch-1.0 videotestsrc is-live=true num-buffers=100 ! adaptiveskip
 * num-levels=2 level0::stage="videoconvert ! gaussianblur sigma=5 !
 * videoconvert" level1::stage="videoconvert ! gaussianblur sigma=1 !
 * videoconvert" ! videoconvert ! autovideosink
 * ]| A cheaper blur before none at all.
 *
 * Since: 0.1
 */
#include <vector>

#include <gst/gst.h>

#include "gstadaptiveskiplevel.h"
#include "stage/element_shell.h"
#include "stage/thread_workers.h"

namespace stage = dispatch::stage;

GST_DEBUG_CATEGORY_STATIC(adaptiveskip_debug);
#define GST_CAT_DEFAULT adaptiveskip_debug

G_DECLARE_FINAL_TYPE(GstAdaptiveSkip, gst_adaptive_skip, GST, ADAPTIVE_SKIP,
                     GstBin)

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

enum {
  PROP_NUM_LEVELS = stage::kFirstOwnProperty,
  PROP_MAX_HELPERS,
  PROP_SPARE_HELPERS,
  PROP_RESCUE,
  PROP_REUSE,
  PROP_MAX_CONSECUTIVE_SKIPS,
  PROP_SKIP_WINDOW,
  PROP_TARGET_MISS_RATE,
  PROP_BYPASS_UTILITY,
  PROP_REUSE_UTILITY,
  PROP_CURRENT_LEVEL,
  PROP_POST_MESSAGES,
};

enum { SIGNAL_STAGE_SETUP, N_SIGNALS };
static guint signals[N_SIGNALS];

static constexpr guint kMostHelpers = 1024;

using LevelList = std::vector<GstAdaptiveSkipLevel*>;

struct _GstAdaptiveSkip {
  GstBin parent;
  stage::StageElement* impl; /* owned */
  LevelList* levels;         /* owned, as are those in it; object lock */
};

static void gst_adaptive_skip_child_proxy_init(gpointer iface, gpointer);

G_DEFINE_TYPE_WITH_CODE(
    GstAdaptiveSkip, gst_adaptive_skip, GST_TYPE_BIN,
    G_IMPLEMENT_INTERFACE(GST_TYPE_CHILD_PROXY,
                          gst_adaptive_skip_child_proxy_init)
        GST_DEBUG_CATEGORY_INIT(adaptiveskip_debug, "adaptiveskip", 0,
                                "the best level that the budget allows"));
GST_ELEMENT_REGISTER_DECLARE(adaptiveskip);
GST_ELEMENT_REGISTER_DEFINE(adaptiveskip, "adaptiveskip", GST_RANK_NONE,
                            gst_adaptive_skip_get_type());

static stage::StageElement& impl_of(gpointer object) {
  return *GST_ADAPTIVE_SKIP(object)->impl;
}

static void gst_adaptive_skip_handle_message(GstBin* bin,
                                             GstMessage* message) noexcept {
  if (impl_of(bin).on_message(message)) {
    gst_message_unref(message);
    return;
  }
  GST_BIN_CLASS(gst_adaptive_skip_parent_class)->handle_message(bin, message);
}

static void gst_adaptive_skip_set_context(GstElement* element,
                                          GstContext* context) noexcept {
  impl_of(element).on_context(context);
  GST_ELEMENT_CLASS(gst_adaptive_skip_parent_class)
      ->set_context(element, context);
}

static GstStateChangeReturn gst_adaptive_skip_change_state(
    GstElement* element, GstStateChange transition) noexcept {
  return stage::change_state(
      impl_of(element), element, transition,
      GST_ELEMENT_CLASS(gst_adaptive_skip_parent_class)->change_state);
}

/* ---- Levels -------------------------------------------------------------- */

// (transfer full) (nullable)
static GstAdaptiveSkipLevel* level_at(GstAdaptiveSkip* self, guint place) {
  GST_OBJECT_LOCK(self);
  GstAdaptiveSkipLevel* level =
      place < self->levels->size() ? (*self->levels)[place] : nullptr;
  if (level != nullptr) gst_object_ref(level);
  GST_OBJECT_UNLOCK(self);
  return level;
}

static guint count_levels(GstAdaptiveSkip* self) {
  GST_OBJECT_LOCK(self);
  const auto count = static_cast<guint>(self->levels->size());
  GST_OBJECT_UNLOCK(self);
  return count;
}

static void add_level(GstAdaptiveSkip* self, guint place) {
  GstAdaptiveSkipLevel* level = gst_adaptive_skip_level_new(
      GST_OBJECT_CAST(self), place, self->impl->ladder().levels().at(place));
  GST_OBJECT_LOCK(self);
  self->levels->push_back(level);
  GST_OBJECT_UNLOCK(self);
  gst_child_proxy_child_added(GST_CHILD_PROXY(self), G_OBJECT(level),
                              GST_OBJECT_NAME(level));
}

static void remove_last_level(GstAdaptiveSkip* self) {
  GST_OBJECT_LOCK(self);
  GstAdaptiveSkipLevel* level = self->levels->back();
  self->levels->pop_back();
  GST_OBJECT_UNLOCK(self);
  gst_child_proxy_child_removed(GST_CHILD_PROXY(self), G_OBJECT(level),
                                GST_OBJECT_NAME(level));
  gst_object_unparent(GST_OBJECT_CAST(level));
}

static void set_num_levels(GstAdaptiveSkip* self, guint count) {
  self->impl->ladder().resize(count);
  while (count_levels(self) > count) remove_last_level(self);
  for (guint place = count_levels(self); place < count; ++place)
    add_level(self, place);
}

/* ---- Properties ---------------------------------------------------------- */

static void set_level_setting(stage::StageElement::Settings& settings, guint id,
                              const GValue* value) {
  stage::LevelSettings& levels = settings.levels;
  switch (id) {
    case PROP_MAX_HELPERS:
      settings.max_workers = g_value_get_uint(value);
      break;
    case PROP_SPARE_HELPERS:
      settings.spare_workers = g_value_get_int(value);
      break;
    case PROP_RESCUE:
      levels.rescue = g_value_get_boolean(value) != FALSE;
      break;
    case PROP_REUSE:
      levels.reuse = g_value_get_boolean(value) != FALSE;
      break;
    case PROP_MAX_CONSECUTIVE_SKIPS:
      levels.max_consecutive_skips = g_value_get_uint(value);
      break;
    case PROP_SKIP_WINDOW:
      levels.window_applied = gst_value_get_fraction_numerator(value);
      levels.window_frames = gst_value_get_fraction_denominator(value);
      break;
    case PROP_TARGET_MISS_RATE:
      levels.target_miss_rate = g_value_get_double(value);
      break;
    case PROP_BYPASS_UTILITY:
      levels.bypass_utility = g_value_get_double(value);
      break;
    case PROP_REUSE_UTILITY:
      levels.reuse_utility = g_value_get_double(value);
      break;
    case PROP_POST_MESSAGES:
      levels.post_messages = g_value_get_boolean(value) != FALSE;
      break;
    default:
      break;
  }
}

static void gst_adaptive_skip_set_property(GObject* object, guint id,
                                           const GValue* value,
                                           GParamSpec* pspec) noexcept {
  if (stage::set_common_property(impl_of(object), id, value)) return;
  if (id == PROP_NUM_LEVELS) {
    set_num_levels(GST_ADAPTIVE_SKIP(object), g_value_get_uint(value));
  } else if (id > PROP_NUM_LEVELS && id <= PROP_POST_MESSAGES &&
             id != PROP_CURRENT_LEVEL) {
    impl_of(object).configure([&](stage::StageElement::Settings& settings) {
      set_level_setting(settings, id, value);
    });
  } else {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static void gst_adaptive_skip_get_property(GObject* object, guint id,
                                           GValue* value,
                                           GParamSpec* pspec) noexcept {
  if (stage::get_common_property(impl_of(object), id, value,
                                 "application/x-adaptiveskip-stats"))
    return;
  const stage::StageElement::Settings settings = impl_of(object).settings();
  const stage::LevelSettings& levels = settings.levels;
  switch (id) {
    case PROP_NUM_LEVELS:
      g_value_set_uint(value, count_levels(GST_ADAPTIVE_SKIP(object)));
      break;
    case PROP_MAX_HELPERS:
      g_value_set_uint(value, settings.max_workers);
      break;
    case PROP_SPARE_HELPERS:
      g_value_set_int(value, settings.spare_workers);
      break;
    case PROP_RESCUE:
      g_value_set_boolean(value, levels.rescue ? TRUE : FALSE);
      break;
    case PROP_REUSE:
      g_value_set_boolean(value, levels.reuse ? TRUE : FALSE);
      break;
    case PROP_MAX_CONSECUTIVE_SKIPS:
      g_value_set_uint(value, levels.max_consecutive_skips);
      break;
    case PROP_SKIP_WINDOW:
      gst_value_set_fraction(value, levels.window_applied,
                             levels.window_frames);
      break;
    case PROP_TARGET_MISS_RATE:
      g_value_set_double(value, levels.target_miss_rate);
      break;
    case PROP_BYPASS_UTILITY:
      g_value_set_double(value, levels.bypass_utility);
      break;
    case PROP_REUSE_UTILITY:
      g_value_set_double(value, levels.reuse_utility);
      break;
    case PROP_CURRENT_LEVEL:
      g_value_set_uint(value, impl_of(object).current_level());
      break;
    case PROP_POST_MESSAGES:
      g_value_set_boolean(value, levels.post_messages ? TRUE : FALSE);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
      break;
  }
}

/* ---- Children ------------------------------------------------------------ */

/* They are the levels, and after them the copies, as in every bin; "stage" is
 * the one of level 0. */

static GstChildProxyInterface* parent_child_proxy() {
  return static_cast<GstChildProxyInterface*>(g_type_interface_peek(
      gst_adaptive_skip_parent_class, GST_TYPE_CHILD_PROXY));
}

static GObject* gst_adaptive_skip_child_by_name(GstChildProxy* proxy,
                                                const gchar* name) noexcept {
  auto* self = GST_ADAPTIVE_SKIP(proxy);
  if (g_str_equal(name, "stage"))
    return reinterpret_cast<GObject*>(self->impl->prototype().bin());
  for (guint place = 0; place < count_levels(self); ++place) {
    GstAdaptiveSkipLevel* level = level_at(self, place);
    if (level != nullptr && g_str_equal(GST_OBJECT_NAME(level), name))
      return G_OBJECT(level);
    if (level != nullptr) gst_object_unref(level);
  }
  return parent_child_proxy()->get_child_by_name(proxy, name);
}

static GObject* gst_adaptive_skip_child_by_index(GstChildProxy* proxy,
                                                 guint index) noexcept {
  auto* self = GST_ADAPTIVE_SKIP(proxy);
  if (GstAdaptiveSkipLevel* level = level_at(self, index); level != nullptr)
    return G_OBJECT(level);
  return parent_child_proxy()->get_child_by_index(proxy,
                                                  index - count_levels(self));
}

static guint gst_adaptive_skip_children_count(GstChildProxy* proxy) noexcept {
  return count_levels(GST_ADAPTIVE_SKIP(proxy)) +
         parent_child_proxy()->get_children_count(proxy);
}

static void gst_adaptive_skip_child_proxy_init(gpointer iface, gpointer) {
  auto* proxy = static_cast<GstChildProxyInterface*>(iface);
  proxy->get_child_by_name = gst_adaptive_skip_child_by_name;
  proxy->get_child_by_index = gst_adaptive_skip_child_by_index;
  proxy->get_children_count = gst_adaptive_skip_children_count;
}

/* ---- Class --------------------------------------------------------------- */

static void gst_adaptive_skip_dispose(GObject* object) noexcept {
  auto* self = GST_ADAPTIVE_SKIP(object);
  while (count_levels(self) > 0) remove_last_level(self);
  G_OBJECT_CLASS(gst_adaptive_skip_parent_class)->dispose(object);
}

static void gst_adaptive_skip_finalize(GObject* object) noexcept {
  delete GST_ADAPTIVE_SKIP(object)->impl;
  delete GST_ADAPTIVE_SKIP(object)->levels;
  G_OBJECT_CLASS(gst_adaptive_skip_parent_class)->finalize(object);
}

static void install_level_properties(GObjectClass* klass) {
  const stage::LevelSettings defaults;
  g_object_class_install_property(
      klass, PROP_NUM_LEVELS,
      g_param_spec_uint(
          "num-levels", "Number of levels",
          "Levels that have a stage: the children level0, the full stage, to "
          "levelN, each cheaper and worth less than the one before",
          1, stage::Ladder::kMostLevels, 1, stage::kMutableReady));
  g_object_class_install_property(
      klass, PROP_MAX_HELPERS,
      g_param_spec_uint(
          "max-helpers", "Maximum helpers",
          "The most helper threads that run the stage at a time while frames "
          "can be rescued; each has a copy of every level. One that is stuck "
          "does not count; all together are at most twice as many (0 = as many "
          "as help, up to the CPUs that this process may use and no other "
          "element of this package is using)",
          0, kMostHelpers, 0, stage::kMutableReady));
  g_object_class_install_property(
      klass, PROP_SPARE_HELPERS,
      g_param_spec_int(
          "spare-helpers", "Spare helpers",
          "Helpers that are kept ready-made, without frames, for a load that "
          "comes and for a helper that hangs; each needs the memory of all "
          "levels. Without one, frames leave by late-policy for as long as the "
          "stage takes to start (-1 = automatic: one while frames can be "
          "rescued, none with max-helpers=1)",
          stage::StageElement::kAutomaticSpares, G_MAXINT,
          stage::StageElement::kAutomaticSpares, stage::kMutablePlaying));
  g_object_class_install_property(
      klass, PROP_RESCUE,
      g_param_spec_boolean(
          "rescue", "Rescue",
          "Where frames have due times, run the stage on a helper thread, so "
          "that a frame leaves when it is due although the stage is still busy "
          "with it. Without it the stage runs in the streaming thread, and a "
          "frame that it takes too long for is late",
          defaults.rescue ? TRUE : FALSE, stage::kMutableReady));
  g_object_class_install_property(
      klass, PROP_REUSE,
      g_param_spec_boolean(
          "reuse", "Reuse",
          "Show the last result again instead of letting a frame go past the "
          "stage",
          defaults.reuse ? TRUE : FALSE, stage::kMutableReady));
  g_object_class_install_property(
      klass, PROP_BYPASS_UTILITY,
      g_param_spec_double(
          "bypass-utility", "Bypass utility",
          "What a frame is worth that goes past the stage, compared with 1 for "
          "the full stage; a dropped one is worth 0",
          0, 1, defaults.bypass_utility, stage::kMutableReady));
  g_object_class_install_property(
      klass, PROP_REUSE_UTILITY,
      g_param_spec_double(
          "reuse-utility", "Reuse utility",
          "What a frame is worth in place of which the last result is shown "
          "again",
          0, 1, defaults.reuse_utility, stage::kMutableReady));
}

static void install_law_properties(GObjectClass* klass) {
  const stage::LevelSettings defaults;
  g_object_class_install_property(
      klass, PROP_MAX_CONSECUTIVE_SKIPS,
      g_param_spec_uint(
          "max-consecutive-skips", "Maximum consecutive skips",
          "After so many frames without a stage the next one gets one, whether "
          "it fits or not; with rescue it leaves in time all the same (0 = as "
          "many as it takes)",
          0, G_MAXUINT, defaults.max_consecutive_skips, stage::kMutableReady));
  g_object_class_install_property(
      klass, PROP_SKIP_WINDOW,
      gst_param_spec_fraction(
          "skip-window", "Skip window",
          "m/k: of k frames in a row at least m are to get a stage, as far as "
          "it can be; a fraction is reduced, 5/10 is 1/2 (0/1 = no such wish)",
          0, 1, 1, 1, defaults.window_applied, defaults.window_frames,
          stage::kMutableReady));
  g_object_class_install_property(
      klass, PROP_TARGET_MISS_RATE,
      g_param_spec_double(
          "target-miss-rate", "Target miss rate",
          "The share of the frames that may leave late; more of them make the "
          "choice more careful, fewer less",
          0, 1, defaults.target_miss_rate, stage::kMutableReady));
  g_object_class_install_property(
      klass, PROP_CURRENT_LEVEL,
      g_param_spec_uint(
          "current-level", "Current level",
          "The level of the frame that left last; num-levels: it got no stage",
          0, stage::Ladder::kMostLevels, 0, stage::kReadOnly));
  g_object_class_install_property(
      klass, PROP_POST_MESSAGES,
      g_param_spec_boolean(
          "post-messages", "Post messages",
          "Post element messages 'level-changed' and 'skip-state-changed', of "
          "each reason one a second",
          defaults.post_messages ? TRUE : FALSE, stage::kMutablePlaying));
}

static const stage::PropertyTexts& texts() {
  static const stage::PropertyTexts texts{
      .stage =
          "Short for level0::stage, the full stage: a launch description with "
          "one open sink pad and one open src pad, such as \"videoconvert ! "
          "gaussianblur sigma=3 ! videoconvert\"",
      .stage_flags = stage::kMutableReady,
      .max_bytes =
          "The window in bytes of the frames in flight; one frame "
          "always has room (0 = automatic: 256 MiB)",
      .max_bytes_flags = stage::kMutablePlaying,
      .stats =
          "What happened to the frames since READY: frames-in = applied + "
          "bypassed + repeated + dropped + in-flight; levels (a structure: "
          "applied frames of each level); causes (a structure: why frames did "
          "not get the full stage); skip-state, ceiling and current-level; "
          "level-switches and longest-skip-run (frames); late, copies, the "
          "helpers (workers) and what is in force as in workerpool. See "
          "docs/elements/adaptiveskip.md"};
  return texts;
}

static void gst_adaptive_skip_class_init(GstAdaptiveSkipClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = gst_adaptive_skip_set_property;
  object_class->get_property = gst_adaptive_skip_get_property;
  object_class->dispose = gst_adaptive_skip_dispose;
  object_class->finalize = gst_adaptive_skip_finalize;
  element_class->change_state = gst_adaptive_skip_change_state;
  element_class->set_context = gst_adaptive_skip_set_context;
  GST_BIN_CLASS(klass)->handle_message = gst_adaptive_skip_handle_message;

  stage::install_stage_properties(object_class, texts());
  stage::install_timing_properties(object_class, texts());
  install_level_properties(object_class);
  install_law_properties(object_class);
  /**
   * GstAdaptiveSkip::stage-setup:
   * @object: the element
   * @copy: a copy of a level, the bin "workerN" or "workerN-levelL", that was
   *   just built
   * @helper: the number N of the helper that will run it
   * @level: its level L
   *
   * For setting up the elements of a copy by hand. Emitted before the copy
   * runs, on the thread of the state change or, for one that comes later, on
   * one of the element's own.
   *
   * Since: 0.1
   */
  signals[SIGNAL_STAGE_SETUP] =
      g_signal_new("stage-setup", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST,
                   0, nullptr, nullptr, nullptr, G_TYPE_NONE, 3,
                   GST_TYPE_ELEMENT, G_TYPE_UINT, G_TYPE_UINT);

  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "Adaptive skip", "Generic/Bin/Filter",
      "Gives each frame the best level of a stage that the budget allows",
      "The gst-dispatch developers");
  gst_type_mark_as_plugin_api(gst_adaptive_skip_level_get_type(),
                              static_cast<GstPluginAPIFlags>(0));
}

static void gst_adaptive_skip_init(GstAdaptiveSkip* self) {
  auto* element = GST_ELEMENT_CAST(self);
  const stage::ShellPads pads = stage::add_pads(element);
  self->impl = new stage::StageElement(
      element, pads.sink, pads.src,
      [self, element](stage::Ladder& ladder, stage::WorkersHost&) {
        return std::make_unique<stage::ThreadWorkers>(
            element, ladder,
            [self](GstElement* copy, unsigned helper, unsigned level) {
              g_signal_emit(self, signals[SIGNAL_STAGE_SETUP], 0, copy, helper,
                            level);
            });
      },
      /*chooses_levels=*/true);
  stage::wire_pads(pads, self->impl);
  self->levels = new LevelList();
  add_level(self, 0);
}
