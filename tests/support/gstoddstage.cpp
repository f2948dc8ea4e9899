// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A stage that does what no installed element does on demand. Never installed.

/**
 * SECTION:element-oddstage
 *
 * Passes everything on, but for the one odd thing that #GstOddStage:does names:
 *
 * - `mark-delta`: its frames depend on others
 * - `give-0-1-2`: n % 3 buffers for the frame with offset n
 * - `fail`: an error, with the name of its copy
 * - `warn`: a warning and an element message `level` for each frame
 * - `choose-caps`: its output caps have the number of its copy in them
 * - `ask-for-pool`: asks downstream for a pool after each caps event, and posts
 *   an element message `pool-answer` (`has-pool`, `size`)
 * - `drain-at-caps`: asks downstream to drain before each caps event
 * - `offer-pool`: answers ALLOCATION queries itself
 * - `need-context`: asks for a context of type `test.context` when it starts,
 *   and posts an element message `context-came` if it has one then
 * - `make-context`: the same, but if it has none, it makes one and posts
 *   `context-made`
 *
 * The same with other pads are `overlaystage` ("video_sink" and an optional
 * "text_sink") and `twinstage` ("left" and "right").
 *
 * Since: 0.1
 */

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <gst/video/video.h>

#include "in_stage.h"
#include "stage/ptr.h"
#include "test_elements.h"

namespace stage = dispatch::stage;

namespace {

struct Oddity;

constexpr char kContext[] = "test.context";

enum { kPropDoes = 1, kPropMinBuffers, kPropVideoMeta };

}  // namespace

// The base of the elements: they differ in the names of their sink pads. The
// fields are written below READY, but for the context.
struct GstOddStage {
  GstElement parent;
  const Oddity* oddity;  // nullable
  guint min_buffers;
  gboolean video_meta;
  gboolean has_context;  // on the thread of the state change
};
struct GstOddStageClass {
  GstElementClass parent_class;
};
GType gst_odd_stage_get_type();
G_DEFINE_ABSTRACT_TYPE(GstOddStage, gst_odd_stage, GST_TYPE_ELEMENT)

namespace {

// What is null is as in any filter.
struct Oddity {
  const char* name;
  // (transfer full)
  GstFlowReturn (*on_buffer)(GstOddStage*, GstBuffer*) = nullptr;
  bool (*on_event)(GstOddStage*, GstEvent*) = nullptr;
  // (transfer none); true: answered
  bool (*on_query)(GstOddStage*, GstQuery*) = nullptr;
  void (*on_null_to_ready)(GstOddStage*) = nullptr;
};

// ---- Helpers ---------------------------------------------------------------

stage::PadPtr src_of(GstOddStage* self) {
  return stage::PadPtr(
      gst_element_get_static_pad(GST_ELEMENT_CAST(self), "src"));
}

GstFlowReturn push_on(GstOddStage* self, GstBuffer* buffer) {
  return gst_pad_push(src_of(self).get(), buffer);
}

bool push_event_on(GstOddStage* self, GstEvent* event) {
  return gst_pad_push_event(src_of(self).get(), event) != FALSE;
}

void post(GstOddStage* self, GstStructure* structure) {
  gst_element_post_message(
      GST_ELEMENT_CAST(self),
      gst_message_new_element(GST_OBJECT_CAST(self), structure));
}

int number_of_copy(GstOddStage* self) {
  const std::string copy = dispatch::test::copy_of(GST_ELEMENT_CAST(self));
  return std::atoi(copy.c_str() + std::string_view("worker").size());
}

// ---- Oddities --------------------------------------------------------------

GstFlowReturn mark_delta(GstOddStage* self, GstBuffer* buffer) {
  buffer = gst_buffer_make_writable(buffer);
  GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
  return push_on(self, buffer);
}

GstFlowReturn give_0_1_2(GstOddStage* self, GstBuffer* buffer) {
  GstFlowReturn flow = GST_FLOW_OK;
  for (guint64 i = GST_BUFFER_OFFSET(buffer) % 3; i > 0; --i)
    flow = push_on(self, gst_buffer_copy(buffer));
  gst_buffer_unref(buffer);
  return flow;
}

GstFlowReturn fail(GstOddStage* self, GstBuffer* buffer) {
  gst_buffer_unref(buffer);
  GST_ELEMENT_ERROR(self, STREAM, DECODE, ("It broke."),
                    ("by worker %d", number_of_copy(self)));
  return GST_FLOW_ERROR;
}

GstFlowReturn warn(GstOddStage* self, GstBuffer* buffer) {
  GST_ELEMENT_WARNING(self, STREAM, DECODE, ("Looks odd."), (nullptr));
  post(self, gst_structure_new_empty("level"));
  return push_on(self, buffer);
}

bool choose_caps(GstOddStage* self, GstEvent* event) {
  if (GST_EVENT_TYPE(event) != GST_EVENT_CAPS)
    return push_event_on(self, event);
  gst_event_unref(event);
  const stage::CapsPtr caps(gst_caps_new_simple("application/x-own", "worker",
                                                G_TYPE_INT,
                                                number_of_copy(self), nullptr));
  return push_event_on(self, gst_event_new_caps(caps.get()));
}

bool ask_for_pool(GstOddStage* self, GstEvent* event) {
  if (GST_EVENT_TYPE(event) != GST_EVENT_CAPS)
    return push_event_on(self, event);
  GstCaps* caps = nullptr;
  gst_event_parse_caps(event, &caps);
  const stage::QueryPtr query(gst_query_new_allocation(caps, TRUE));
  const bool is_pushed = push_event_on(self, event);
  gst_pad_peer_query(src_of(self).get(), query.get());
  GstBufferPool* pool = nullptr;
  guint size = 0;
  if (gst_query_get_n_allocation_pools(query.get()) > 0)
    gst_query_parse_nth_allocation_pool(query.get(), 0, &pool, &size, nullptr,
                                        nullptr);
  post(self, gst_structure_new("pool-answer", "has-pool", G_TYPE_BOOLEAN,
                               pool != nullptr ? TRUE : FALSE, "size",
                               G_TYPE_UINT, size, nullptr));
  const stage::ObjectPtr<GstBufferPool> dropped(pool);
  return is_pushed;
}

bool drain_at_caps(GstOddStage* self, GstEvent* event) {
  if (GST_EVENT_TYPE(event) == GST_EVENT_CAPS) {
    const stage::QueryPtr drain(gst_query_new_drain());
    gst_pad_peer_query(src_of(self).get(), drain.get());
  }
  return push_event_on(self, event);
}

bool offer_pool(GstOddStage* self, GstQuery* query) {
  if (GST_QUERY_TYPE(query) != GST_QUERY_ALLOCATION) return false;
  GstCaps* caps = nullptr;
  gst_query_parse_allocation(query, &caps, nullptr);
  GstVideoInfo info;
  if (!gst_video_info_from_caps(&info, caps)) return false;
  const auto size = static_cast<guint>(GST_VIDEO_INFO_SIZE(&info));
  const stage::ObjectPtr<GstBufferPool> pool(gst_buffer_pool_new());
  GstStructure* config = gst_buffer_pool_get_config(pool.get());
  gst_buffer_pool_config_set_params(config, caps, size, self->min_buffers, 0);
  gst_buffer_pool_set_config(pool.get(), config);
  gst_query_add_allocation_pool(query, pool.get(), size, self->min_buffers, 0);
  if (self->video_meta)
    gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr);
  return true;
}

void need_context(GstOddStage* self) {
  gst_element_post_message(
      GST_ELEMENT_CAST(self),
      gst_message_new_need_context(GST_OBJECT_CAST(self), kContext));
  // Not from set_context(), which a bin calls with its lock held.
  if (self->has_context) post(self, gst_structure_new_empty("context-came"));
}

// As elements with a device do.
void make_context(GstOddStage* self) {
  need_context(self);
  if (self->has_context) return;
  post(self, gst_structure_new_empty("context-made"));
  gst_element_post_message(
      GST_ELEMENT_CAST(self),
      gst_message_new_have_context(GST_OBJECT_CAST(self),
                                   gst_context_new(kContext, TRUE)));
}

constexpr Oddity kOddities[] = {
    {.name = "mark-delta", .on_buffer = mark_delta},
    {.name = "give-0-1-2", .on_buffer = give_0_1_2},
    {.name = "fail", .on_buffer = fail},
    {.name = "warn", .on_buffer = warn},
    {.name = "choose-caps", .on_event = choose_caps},
    {.name = "ask-for-pool", .on_event = ask_for_pool},
    {.name = "drain-at-caps", .on_event = drain_at_caps},
    {.name = "offer-pool", .on_query = offer_pool},
    {.name = "need-context", .on_null_to_ready = need_context},
    {.name = "make-context", .on_null_to_ready = make_context},
};

}  // namespace

// ---- Pads ------------------------------------------------------------------

static GstFlowReturn gst_odd_stage_chain(GstPad*, GstObject* parent,
                                         GstBuffer* buffer) noexcept {
  auto* self = reinterpret_cast<GstOddStage*>(parent);
  return self->oddity != nullptr && self->oddity->on_buffer != nullptr
             ? self->oddity->on_buffer(self, buffer)
             : push_on(self, buffer);
}

static gboolean gst_odd_stage_event(GstPad* pad, GstObject* parent,
                                    GstEvent* event) noexcept {
  auto* self = reinterpret_cast<GstOddStage*>(parent);
  return self->oddity != nullptr && self->oddity->on_event != nullptr
             ? self->oddity->on_event(self, event)
             : gst_pad_event_default(pad, parent, event);
}

static gboolean gst_odd_stage_query(GstPad* pad, GstObject* parent,
                                    GstQuery* query) noexcept {
  auto* self = reinterpret_cast<GstOddStage*>(parent);
  return (self->oddity != nullptr && self->oddity->on_query != nullptr &&
          self->oddity->on_query(self, query)) ||
         gst_pad_query_default(pad, parent, query);
}

// ---- Element ---------------------------------------------------------------

static GstStateChangeReturn gst_odd_stage_change_state(
    GstElement* element, GstStateChange transition) noexcept {
  auto* self = reinterpret_cast<GstOddStage*>(element);
  if (transition == GST_STATE_CHANGE_NULL_TO_READY && self->oddity != nullptr &&
      self->oddity->on_null_to_ready != nullptr)
    self->oddity->on_null_to_ready(self);
  return GST_ELEMENT_CLASS(gst_odd_stage_parent_class)
      ->change_state(element, transition);
}

static void gst_odd_stage_set_context(GstElement* element,
                                      GstContext* context) noexcept {
  auto* self = reinterpret_cast<GstOddStage*>(element);
  if (gst_context_has_context_type(context, kContext)) self->has_context = TRUE;
  GST_ELEMENT_CLASS(gst_odd_stage_parent_class)->set_context(element, context);
}

static void gst_odd_stage_set_property(GObject* object, guint id,
                                       const GValue* value,
                                       GParamSpec* pspec) noexcept {
  auto* self = reinterpret_cast<GstOddStage*>(object);
  switch (id) {
    case kPropDoes: {
      const gchar* name = g_value_get_string(value);
      const auto* found = std::ranges::find_if(kOddities, [&](const Oddity& o) {
        return o.name == std::string_view(name);
      });
      if (found == std::end(kOddities))
        g_critical("oddstage: does=%s is nothing that it does", name);
      else
        self->oddity = found;
      break;
    }
    case kPropMinBuffers:
      self->min_buffers = g_value_get_uint(value);
      break;
    case kPropVideoMeta:
      self->video_meta = g_value_get_boolean(value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static void gst_odd_stage_get_property(GObject* object, guint id, GValue* value,
                                       GParamSpec* pspec) noexcept {
  auto* self = reinterpret_cast<GstOddStage*>(object);
  switch (id) {
    case kPropDoes:
      g_value_set_string(
          value, self->oddity != nullptr ? self->oddity->name : nullptr);
      break;
    case kPropMinBuffers:
      g_value_set_uint(value, self->min_buffers);
      break;
    case kPropVideoMeta:
      g_value_set_boolean(value, self->video_meta);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static void gst_odd_stage_class_init(GstOddStageClass* klass) {
  constexpr auto kFlags = static_cast<GParamFlags>(
      G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);
  auto* object_class = G_OBJECT_CLASS(klass);
  object_class->set_property = gst_odd_stage_set_property;
  object_class->get_property = gst_odd_stage_get_property;
  g_object_class_install_property(
      object_class, kPropDoes,
      g_param_spec_string("does", "Does", "The odd thing that it does", nullptr,
                          kFlags));
  g_object_class_install_property(
      object_class, kPropMinBuffers,
      g_param_spec_uint("min-buffers", "Min buffers",
                        "Of the pool that is offered", 0, G_MAXUINT, 0,
                        kFlags));
  g_object_class_install_property(
      object_class, kPropVideoMeta,
      g_param_spec_boolean("video-meta", "Video meta",
                           "Whether it is offered with the pool", FALSE,
                           kFlags));

  auto* element_class = GST_ELEMENT_CLASS(klass);
  element_class->change_state = gst_odd_stage_change_state;
  element_class->set_context = gst_odd_stage_set_context;
}

static void gst_odd_stage_init(GstOddStage* /*self*/) {}

// ---- Registration ----------------------------------------------------------

namespace {

struct Kind {
  const char* factory;
  const char* type_name;
  std::vector<const char*> sinks;
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"oddstage", "GstOddStageSimple", {"sink"}},
      {"overlaystage", "GstOddStageOverlay", {"video_sink", "text_sink"}},
      {"twinstage", "GstOddStageTwin", {"left", "right"}}};
  return all;
}

void init_class(gpointer klass, gpointer data) {
  auto* element_class = GST_ELEMENT_CLASS(klass);
  const auto* kind = static_cast<const Kind*>(data);
  const stage::CapsPtr any(gst_caps_new_any());
  for (const char* sink : kind->sinks)
    gst_element_class_add_pad_template(
        element_class,
        gst_pad_template_new(sink, GST_PAD_SINK, GST_PAD_ALWAYS, any.get()));
  gst_element_class_add_pad_template(
      element_class,
      gst_pad_template_new("src", GST_PAD_SRC, GST_PAD_ALWAYS, any.get()));
  gst_element_class_set_static_metadata(
      element_class, "Odd stage", "Filter/Testing",
      "Does one odd thing on demand", "The gst-dispatch authors");
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
      gst_pad_set_chain_function(pad, gst_odd_stage_chain);
      gst_pad_set_event_function(pad, gst_odd_stage_event);
      gst_pad_set_query_function(pad, gst_odd_stage_query);
    }
    gst_element_add_pad(element, pad);
  }
}

GType type_of(const Kind& kind) {
  const GTypeInfo info = {sizeof(GstOddStageClass),
                          nullptr,
                          nullptr,
                          init_class,
                          nullptr,
                          &kind,
                          sizeof(GstOddStage),
                          0,
                          init_instance,
                          nullptr};
  return g_type_register_static(gst_odd_stage_get_type(), kind.type_name, &info,
                                static_cast<GTypeFlags>(0));
}

bool register_kinds(GstPlugin* plugin) {
  return std::ranges::all_of(kinds(), [plugin](const Kind& kind) {
    return gst_element_register(plugin, kind.factory, GST_RANK_NONE,
                                type_of(kind));
  });
}

}  // namespace

GST_ELEMENT_REGISTER_DEFINE_CUSTOM(oddstage, register_kinds)
