// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hook_stage.h"

#include <memory>
#include <utility>
#include <vector>

#include "stage/ptr.h"

using dispatch::test::StageHooks;

// The base of the three elements: they differ in the names of their sink pads.
struct GstHookStage {
  GstElement parent;
  StageHooks* hooks;  // owned
};
struct GstHookStageClass {
  GstElementClass parent_class;
};
GType gst_hook_stage_get_type();
G_DEFINE_ABSTRACT_TYPE(GstHookStage, gst_hook_stage, GST_TYPE_ELEMENT);

static StageHooks& hooks_of(gpointer object) {
  return *reinterpret_cast<GstHookStage*>(object)->hooks;
}

static GstFlowReturn gst_hook_stage_chain(GstPad*, GstObject* parent,
                                          GstBuffer* buffer) {
  const StageHooks& hooks = hooks_of(parent);
  auto* self = GST_ELEMENT_CAST(parent);
  return hooks.on_buffer ? hooks.on_buffer(self, buffer)
                         : dispatch::test::push_on(self, buffer);
}

static gboolean gst_hook_stage_event(GstPad* pad, GstObject* parent,
                                     GstEvent* event) {
  const StageHooks& hooks = hooks_of(parent);
  return hooks.on_event ? hooks.on_event(GST_ELEMENT_CAST(parent), event)
                        : gst_pad_event_default(pad, parent, event);
}

static gboolean gst_hook_stage_query(GstPad* pad, GstObject* parent,
                                     GstQuery* query) {
  const StageHooks& hooks = hooks_of(parent);
  return (hooks.on_sink_query &&
          hooks.on_sink_query(GST_ELEMENT_CAST(parent), query)) ||
         gst_pad_query_default(pad, parent, query);
}

static GstStateChangeReturn gst_hook_stage_change_state(
    GstElement* element, GstStateChange transition) {
  const StageHooks& hooks = hooks_of(element);
  if (transition == GST_STATE_CHANGE_NULL_TO_READY && hooks.on_null_to_ready)
    hooks.on_null_to_ready(element);
  return GST_ELEMENT_CLASS(gst_hook_stage_parent_class)
      ->change_state(element, transition);
}

static void gst_hook_stage_set_context(GstElement* element,
                                       GstContext* context) {
  const StageHooks& hooks = hooks_of(element);
  if (hooks.on_context) hooks.on_context(element, context);
  GST_ELEMENT_CLASS(gst_hook_stage_parent_class)->set_context(element, context);
}

static void gst_hook_stage_finalize(GObject* object) {
  delete reinterpret_cast<GstHookStage*>(object)->hooks;
  G_OBJECT_CLASS(gst_hook_stage_parent_class)->finalize(object);
}

static void gst_hook_stage_class_init(GstHookStageClass* klass) {
  G_OBJECT_CLASS(klass)->finalize = gst_hook_stage_finalize;
  auto* element_class = GST_ELEMENT_CLASS(klass);
  element_class->change_state = gst_hook_stage_change_state;
  element_class->set_context = gst_hook_stage_set_context;
}

static void gst_hook_stage_init(GstHookStage* self) {
  self->hooks = new StageHooks();
}

namespace dispatch::test {

namespace {

struct Kind {
  const char* factory;
  const char* type_name;
  std::vector<const char*> sinks;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"hookstage", "GstHookStageSimple", {"sink"}},
      {"overlaystage", "GstHookStageOverlay", {"video_sink", "text_sink"}},
      {"twinstage", "GstHookStageTwin", {"left", "right"}}};
  return all;
}

void init_class(gpointer klass, gpointer data) {
  auto* element_class = GST_ELEMENT_CLASS(klass);
  const auto* kind = static_cast<const Kind*>(data);
  g_autoptr(GstCaps) any = gst_caps_new_any();
  for (const char* sink : kind->sinks)
    gst_element_class_add_pad_template(
        element_class,
        gst_pad_template_new(sink, GST_PAD_SINK, GST_PAD_ALWAYS, any));
  gst_element_class_add_pad_template(
      element_class,
      gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, any));
  gst_element_class_set_static_metadata(element_class, "Hooked stage",
                                        "Filter/Testing", "For tests", "-");
}

void init_instance(GTypeInstance* instance, gpointer klass) {
  auto* element = GST_ELEMENT_CAST(instance);
  for (GList* l =
           gst_element_class_get_pad_template_list(GST_ELEMENT_CLASS(klass));
       l != nullptr; l = l->next) {
    GstPad* pad = gst_pad_new_from_template(
        GST_PAD_TEMPLATE(l->data), GST_PAD_TEMPLATE_NAME_TEMPLATE(l->data));
    GST_PAD_SET_PROXY_CAPS(pad);
    GST_PAD_SET_PROXY_ALLOCATION(pad);
    if (GST_PAD_IS_SINK(pad)) {
      gst_pad_set_chain_function(pad, gst_hook_stage_chain);
      gst_pad_set_event_function(pad, gst_hook_stage_event);
      gst_pad_set_query_function(pad, gst_hook_stage_query);
    }
    gst_element_add_pad(element, pad);
  }
}

stage::PadPtr src_of(GstElement* stage) {
  return stage::PadPtr(gst_element_get_static_pad(stage, "src"));
}

void hook_elements(GstElement* copy, const StageHooks& hooks) {
  for (GList* l = GST_BIN_CHILDREN(copy); l != nullptr; l = l->next)
    if (G_TYPE_CHECK_INSTANCE_TYPE(l->data, gst_hook_stage_get_type()))
      set_hooks(GST_ELEMENT_CAST(l->data), hooks);
}

}  // namespace

void register_hook_stages() {
  static const bool done = [] {
    for (const Kind& kind : kinds()) {
      const GTypeInfo info = {sizeof(GstHookStageClass),
                              nullptr,
                              nullptr,
                              init_class,
                              nullptr,
                              &kind,
                              sizeof(GstHookStage),
                              0,
                              init_instance,
                              nullptr};
      gst_element_register(
          nullptr, kind.factory, GST_RANK_NONE,
          g_type_register_static(gst_hook_stage_get_type(), kind.type_name,
                                 &info, static_cast<GTypeFlags>(0)));
    }
    return true;
  }();
  (void)done;
}

void set_hooks(GstElement* stage, StageHooks hooks) {
  hooks_of(stage) = std::move(hooks);
}

void hook_copies(GstElement* workerpool,
                 std::function<StageHooks(unsigned worker)> make) {
  using Make = std::function<StageHooks(unsigned)>;
  g_signal_connect_data(
      workerpool, "stage-setup",
      G_CALLBACK(
          +[](GstElement*, GstElement* copy, guint worker, gpointer user_data) {
            hook_elements(copy, (*static_cast<Make*>(user_data))(worker));
          }),
      new Make(std::move(make)),
      [](gpointer user_data, GClosure*) {
        delete static_cast<Make*>(user_data);
      },
      static_cast<GConnectFlags>(0));
}

GstFlowReturn push_on(GstElement* stage, GstBuffer* buffer) {
  return gst_pad_push(src_of(stage).get(), buffer);
}

bool push_event_on(GstElement* stage, GstEvent* event) {
  return gst_pad_push_event(src_of(stage).get(), event) != FALSE;
}

bool ask_downstream(GstElement* stage, GstQuery* query) {
  return gst_pad_peer_query(src_of(stage).get(), query) != FALSE;
}

}  // namespace dispatch::test
