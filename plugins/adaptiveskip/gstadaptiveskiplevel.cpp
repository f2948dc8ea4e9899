// SPDX-License-Identifier: LGPL-2.1-or-later
#include "gstadaptiveskiplevel.h"

#include <string>
#include <utility>

#include "stage/element_shell.h"

namespace stage = dispatch::stage;

struct _GstAdaptiveSkipLevel {
  GstObject parent;
  std::shared_ptr<stage::LadderLevel>* level; /* owned */
};

static void gst_adaptive_skip_level_child_proxy_init(gpointer iface, gpointer);

G_DEFINE_TYPE_WITH_CODE(
    GstAdaptiveSkipLevel, gst_adaptive_skip_level, GST_TYPE_OBJECT,
    G_IMPLEMENT_INTERFACE(GST_TYPE_CHILD_PROXY,
                          gst_adaptive_skip_level_child_proxy_init));

enum { PROP_STAGE = 1, PROP_UTILITY, PROP_COST };

static constexpr gdouble kAutomaticUtility = -1;

static stage::LadderLevel& level_of(gpointer object) {
  return **GST_ADAPTIVE_SKIP_LEVEL(object)->level;
}

static void gst_adaptive_skip_level_set_property(GObject* object, guint id,
                                                 const GValue* value,
                                                 GParamSpec* pspec) noexcept {
  stage::LadderLevel& level = level_of(object);
  stage::LadderLevel::Settings settings = level.settings();
  switch (id) {
    case PROP_STAGE: {
      const gchar* text = g_value_get_string(value);
      level.prototype().set_description(text != nullptr ? text : "");
      return;
    }
    case PROP_UTILITY:
      settings.utility.reset();
      if (g_value_get_double(value) >= 0)
        settings.utility = g_value_get_double(value);
      break;
    case PROP_COST:
      settings.cost.reset();
      if (g_value_get_uint64(value) != 0)
        settings.cost = dispatch::core::Duration(
            static_cast<gint64>(g_value_get_uint64(value)));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
      return;
  }
  level.set(settings);
}

static void gst_adaptive_skip_level_get_property(GObject* object, guint id,
                                                 GValue* value,
                                                 GParamSpec* pspec) noexcept {
  stage::LadderLevel& level = level_of(object);
  const stage::LadderLevel::Settings settings = level.settings();
  switch (id) {
    case PROP_STAGE:
      g_value_set_string(value, level.prototype().description().c_str());
      break;
    case PROP_UTILITY:
      g_value_set_double(value, settings.utility.value_or(kAutomaticUtility));
      break;
    case PROP_COST:
      g_value_set_uint64(
          value,
          static_cast<guint64>(
              settings.cost.value_or(dispatch::core::Duration()).count()));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
      break;
  }
}

/* The one child is "stage", if it can be parsed. */

static GObject* gst_adaptive_skip_level_child_by_name(
    GstChildProxy* proxy, const gchar* name) noexcept {
  if (!g_str_equal(name, "stage")) return nullptr;
  return reinterpret_cast<GObject*>(level_of(proxy).prototype().bin());
}

static GObject* gst_adaptive_skip_level_child_by_index(GstChildProxy* proxy,
                                                       guint index) noexcept {
  if (index != 0) return nullptr;
  return reinterpret_cast<GObject*>(level_of(proxy).prototype().bin());
}

static guint gst_adaptive_skip_level_children_count(
    GstChildProxy* proxy) noexcept {
  const stage::ElementPtr stage(level_of(proxy).prototype().bin());
  return stage ? 1 : 0;
}

static void gst_adaptive_skip_level_child_proxy_init(gpointer iface, gpointer) {
  auto* proxy = static_cast<GstChildProxyInterface*>(iface);
  proxy->get_child_by_name = gst_adaptive_skip_level_child_by_name;
  proxy->get_child_by_index = gst_adaptive_skip_level_child_by_index;
  proxy->get_children_count = gst_adaptive_skip_level_children_count;
}

static void gst_adaptive_skip_level_finalize(GObject* object) noexcept {
  delete GST_ADAPTIVE_SKIP_LEVEL(object)->level;
  G_OBJECT_CLASS(gst_adaptive_skip_level_parent_class)->finalize(object);
}

static void gst_adaptive_skip_level_class_init(
    GstAdaptiveSkipLevelClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  object_class->set_property = gst_adaptive_skip_level_set_property;
  object_class->get_property = gst_adaptive_skip_level_get_property;
  object_class->finalize = gst_adaptive_skip_level_finalize;
  g_object_class_install_property(
      object_class, PROP_STAGE,
      g_param_spec_string(
          "stage", "Stage",
          "What a frame of this level goes through: a launch description with "
          "one open sink pad and one open src pad; all levels have to be able "
          "to give the same caps",
          "", stage::kMutableReady));
  g_object_class_install_property(
      object_class, PROP_UTILITY,
      g_param_spec_double(
          "utility", "Utility",
          "What a frame of this level is worth, compared with 1 for the full "
          "stage and with bypass-utility for one that goes past it (-1 = "
          "automatic: the levels stand evenly between the two)",
          kAutomaticUtility, 1, kAutomaticUtility, stage::kMutableReady));
  g_object_class_install_property(
      object_class, PROP_COST,
      g_param_spec_uint64(
          "cost", "Cost",
          "What a frame of this level takes on this machine, in nanoseconds, "
          "until it has been measured (0 = not known)",
          0, G_MAXINT64, 0, stage::kMutableReady));
}

static void gst_adaptive_skip_level_init(GstAdaptiveSkipLevel* self) {
  self->level = new std::shared_ptr<stage::LadderLevel>();
}

GstAdaptiveSkipLevel* gst_adaptive_skip_level_new(
    GstObject* parent, unsigned number,
    std::shared_ptr<stage::LadderLevel> level) {
  const std::string name = "level" + std::to_string(number);
  auto* self = GST_ADAPTIVE_SKIP_LEVEL(
      g_object_new(gst_adaptive_skip_level_get_type(), nullptr));
  gst_object_set_name(GST_OBJECT_CAST(self), name.c_str());
  *self->level = std::move(level);
  gst_object_set_parent(GST_OBJECT_CAST(self), parent);
  return self;
}
