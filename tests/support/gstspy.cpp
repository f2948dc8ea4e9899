// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Tells what passes it, inside a stage. Never installed.

/**
 * SECTION:element-spy
 *
 * Passes everything on and posts an element message `spied` for each frame and
 * each event, in both directions, before it goes on:
 *
 * - `copy`, `element`: where the spy stands
 * - `what`: the frame's offset as text, or the name of the event
 * - `is-upstream`: whether it came from behind
 * - `caps`, `sticky`: the caps and the custom sticky event that are in force,
 *   as text
 * - `due`: the due time of a frame, CLOCK_MONOTONIC in ns; -1: it has none
 * - `mark`: the property
 *
 * Obeys QoS, as filters do.
 *
 * Since: 0.1
 */

#include <string>

#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>

#include "in_stage.h"
#include "stage/due_time_meta.h"
#include "stage/ptr.h"
#include "test_elements.h"

namespace stage = dispatch::stage;

#define GST_TYPE_SPY (gst_spy_get_type())
G_DECLARE_FINAL_TYPE(GstSpy, gst_spy, GST, SPY, GstBaseTransform)

namespace {

enum { kPropMark = 1 };

GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

}  // namespace

struct _GstSpy {
  GstBaseTransform parent;
  gint mark;  // object lock
};

G_DEFINE_TYPE(GstSpy, gst_spy, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE(spy, "spy", GST_RANK_NONE, GST_TYPE_SPY)

namespace {

std::string caps_in_force(GstPad* pad) {
  const stage::CapsPtr caps(gst_pad_get_current_caps(pad));
  if (!caps) return {};
  g_autofree gchar* text = gst_caps_to_string(caps.get());
  return text;
}

std::string sticky_in_force(GstPad* pad) {
  const stage::EventPtr event(
      gst_pad_get_sticky_event(pad, GST_EVENT_CUSTOM_DOWNSTREAM_STICKY, 0));
  if (!event) return {};
  g_autofree gchar* text =
      gst_structure_to_string(gst_event_get_structure(event.get()));
  return text;
}

void tell(GstSpy* self, const char* what, bool is_upstream, gint64 due) {
  GST_OBJECT_LOCK(self);
  const gint mark = self->mark;
  GST_OBJECT_UNLOCK(self);
  GstPad* pad = GST_BASE_TRANSFORM_SINK_PAD(self);
  GstStructure* spied = gst_structure_new(
      "spied", "copy", G_TYPE_STRING,
      dispatch::test::copy_of(GST_ELEMENT(self)).c_str(), "element",
      G_TYPE_STRING, GST_OBJECT_NAME(self), "what", G_TYPE_STRING, what,
      "is-upstream", G_TYPE_BOOLEAN, is_upstream ? TRUE : FALSE, "caps",
      G_TYPE_STRING, caps_in_force(pad).c_str(), "sticky", G_TYPE_STRING,
      sticky_in_force(pad).c_str(), "due", G_TYPE_INT64, due, "mark",
      G_TYPE_INT, mark, nullptr);
  gst_element_post_message(GST_ELEMENT(self),
                           gst_message_new_element(GST_OBJECT(self), spied));
}

}  // namespace

static GstFlowReturn gst_spy_transform_ip(GstBaseTransform* trans,
                                          GstBuffer* buffer) noexcept {
  const GstDispatchDueTimeMeta* due = stage::due_time_of(buffer);
  tell(GST_SPY(trans), std::to_string(GST_BUFFER_OFFSET(buffer)).c_str(),
       /*is_upstream=*/false, due != nullptr ? due->monotonic_ns : -1);
  return GST_FLOW_OK;
}

static gboolean gst_spy_sink_event(GstBaseTransform* trans,
                                   GstEvent* event) noexcept {
  tell(GST_SPY(trans), dispatch::test::name_of(event), /*is_upstream=*/false,
       -1);
  return GST_BASE_TRANSFORM_CLASS(gst_spy_parent_class)
      ->sink_event(trans, event);
}

static gboolean gst_spy_src_event(GstBaseTransform* trans,
                                  GstEvent* event) noexcept {
  tell(GST_SPY(trans), dispatch::test::name_of(event), /*is_upstream=*/true,
       -1);
  return GST_BASE_TRANSFORM_CLASS(gst_spy_parent_class)
      ->src_event(trans, event);
}

static void gst_spy_set_property(GObject* object, guint id, const GValue* value,
                                 GParamSpec* pspec) noexcept {
  if (id != kPropMark) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    return;
  }
  auto* self = GST_SPY(object);
  GST_OBJECT_LOCK(self);
  self->mark = g_value_get_int(value);
  GST_OBJECT_UNLOCK(self);
}

static void gst_spy_get_property(GObject* object, guint id, GValue* value,
                                 GParamSpec* pspec) noexcept {
  if (id != kPropMark) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    return;
  }
  auto* self = GST_SPY(object);
  GST_OBJECT_LOCK(self);
  g_value_set_int(value, self->mark);
  GST_OBJECT_UNLOCK(self);
}

static void gst_spy_class_init(GstSpyClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  object_class->set_property = gst_spy_set_property;
  object_class->get_property = gst_spy_get_property;
  g_object_class_install_property(
      object_class, kPropMark,
      g_param_spec_int(
          "mark", "Mark", "Is told with all that passes", G_MININT, G_MAXINT, 0,
          static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                   GST_PARAM_MUTABLE_PLAYING)));

  auto* element_class = GST_ELEMENT_CLASS(klass);
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(element_class, "Spy", "Filter/Testing",
                                        "Tells the bus what passes",
                                        "The gst-dispatch authors");

  auto* transform_class = GST_BASE_TRANSFORM_CLASS(klass);
  transform_class->transform_ip = gst_spy_transform_ip;
  transform_class->sink_event = gst_spy_sink_event;
  transform_class->src_event = gst_spy_src_event;
}

static void gst_spy_init(GstSpy* self) {
  gst_base_transform_set_passthrough(GST_BASE_TRANSFORM(self), TRUE);
  gst_base_transform_set_qos_enabled(GST_BASE_TRANSFORM(self), TRUE);
}
