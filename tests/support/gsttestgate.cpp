// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The gate of a test, inside a stage. Never installed.

/**
 * SECTION:element-gate
 *
 * Passes everything on. What the gate of a test holds (class Gate), stops here
 * until the test lets it on, in a worker process as well. Frames are told apart
 * by their offset.
 *
 * Since: 0.1
 */

#include <string_view>

#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>

#include "in_stage.h"
#include "shared_gate.h"
#include "test_elements.h"

using dispatch::test::GateHandle;

#define GST_TYPE_TEST_GATE (gst_test_gate_get_type())
G_DECLARE_FINAL_TYPE(GstTestGate, gst_test_gate, GST, TEST_GATE,
                     GstBaseTransform)

namespace {

enum { kPropAt = 1 };

GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

}  // namespace

// The fields are written below READY only.
struct _GstTestGate {
  GstBaseTransform parent;
  gchar* at;           // owned, nullable
  GateHandle* handle;  // owned
};

G_DEFINE_TYPE(GstTestGate, gst_test_gate, GST_TYPE_BASE_TRANSFORM)
GST_ELEMENT_REGISTER_DEFINE(gate, "gate", GST_RANK_NONE, GST_TYPE_TEST_GATE)

static GstFlowReturn gst_test_gate_transform_ip(GstBaseTransform* trans,
                                                GstBuffer* buffer) noexcept {
  auto* self = GST_TEST_GATE(trans);
  if (self->at == nullptr) self->handle->pass(GST_BUFFER_OFFSET(buffer));
  return GST_FLOW_OK;
}

static gboolean gst_test_gate_sink_event(GstBaseTransform* trans,
                                         GstEvent* event) noexcept {
  auto* self = GST_TEST_GATE(trans);
  if (self->at != nullptr &&
      std::string_view(self->at) == dispatch::test::name_of(event))
    self->handle->pass_next();
  return GST_BASE_TRANSFORM_CLASS(gst_test_gate_parent_class)
      ->sink_event(trans, event);
}

static GstStateChangeReturn gst_test_gate_change_state(
    GstElement* element, GstStateChange transition) noexcept {
  if (transition == GST_STATE_CHANGE_NULL_TO_READY)
    *GST_TEST_GATE(element)->handle = GateHandle::in_stages();
  return GST_ELEMENT_CLASS(gst_test_gate_parent_class)
      ->change_state(element, transition);
}

static void gst_test_gate_set_property(GObject* object, guint id,
                                       const GValue* value,
                                       GParamSpec* pspec) noexcept {
  auto* self = GST_TEST_GATE(object);
  if (id != kPropAt) {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
    return;
  }
  g_free(self->at);
  self->at = g_value_dup_string(value);
}

static void gst_test_gate_get_property(GObject* object, guint id, GValue* value,
                                       GParamSpec* pspec) noexcept {
  if (id == kPropAt) {
    g_value_set_string(value, GST_TEST_GATE(object)->at);
  } else {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static void gst_test_gate_finalize(GObject* object) noexcept {
  auto* self = GST_TEST_GATE(object);
  g_free(self->at);
  delete self->handle;
  G_OBJECT_CLASS(gst_test_gate_parent_class)->finalize(object);
}

static void gst_test_gate_class_init(GstTestGateClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  object_class->set_property = gst_test_gate_set_property;
  object_class->get_property = gst_test_gate_get_property;
  object_class->finalize = gst_test_gate_finalize;
  g_object_class_install_property(
      object_class, kPropAt,
      g_param_spec_string(
          "at", "At",
          "The name of the events that come to the gate, instead of frames; "
          "their number is how many have come before, in all copies",
          nullptr,
          static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS |
                                   GST_PARAM_MUTABLE_READY)));

  auto* element_class = GST_ELEMENT_CLASS(klass);
  element_class->change_state = gst_test_gate_change_state;
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "Gate", "Filter/Testing",
      "Stops frames until the test lets them on", "The gst-dispatch authors");

  auto* transform_class = GST_BASE_TRANSFORM_CLASS(klass);
  transform_class->transform_ip = gst_test_gate_transform_ip;
  transform_class->sink_event = gst_test_gate_sink_event;
}

static void gst_test_gate_init(GstTestGate* self) {
  self->handle = new GateHandle();
  gst_base_transform_set_passthrough(GST_BASE_TRANSFORM(self), TRUE);
}
