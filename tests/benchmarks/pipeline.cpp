// SPDX-License-Identifier: LGPL-2.1-or-later
#include "pipeline.h"

#include "bench.h"

namespace bench {

bool exists(const char* element) {
  g_autoptr(GstElementFactory) factory = gst_element_factory_find(element);
  return factory != nullptr;
}

std::vector<std::string> chosen_elements(const gchar* named) {
  if (named != nullptr) {
    if (!exists(named)) fail(std::string("There is no element ") + named);
    return {named};
  }
  std::vector<std::string> found;
  for (const char* element : {"workerpool", "shmdispatch"}) {
    if (exists(element)) found.emplace_back(element);
  }
  return found;
}

namespace {

void need(bool is_there, const char* field) {
  if (!is_there) fail(std::string("The stats have no ") + field);
}

void add_fields(const GstStructure* fields, const std::string& prefix,
                std::vector<std::pair<std::string, std::string>>& all) {
  for (gint i = 0; i < gst_structure_n_fields(fields); i++) {
    const gchar* name =
        gst_structure_nth_field_name(fields, static_cast<guint>(i));
    const GValue* value = gst_structure_get_value(fields, name);
    if (GST_VALUE_HOLDS_STRUCTURE(value)) {
      add_fields(gst_value_get_structure(value), prefix + name + ".", all);
      continue;
    }
    g_autofree gchar* text = gst_value_serialize(value);
    all.emplace_back(prefix + name, text != nullptr ? text : "?");
  }
}

}  // namespace

Stats::Stats(GstElement* element) {
  g_object_get(element, "stats", &stats_, nullptr);
}

Stats::~Stats() { gst_structure_free(stats_); }

guint64 Stats::count(const char* field) const {
  guint64 value = 0;
  need(gst_structure_get_uint64(stats_, field, &value), field);
  return value;
}

guint Stats::number(const char* field) const {
  guint value = 0;
  need(gst_structure_get_uint(stats_, field, &value), field);
  return value;
}

std::string Stats::text(const char* field) const {
  const gchar* value = gst_structure_get_string(stats_, field);
  need(value != nullptr, field);
  return value;
}

std::vector<std::pair<std::string, std::string>> Stats::fields() const {
  std::vector<std::pair<std::string, std::string>> all;
  add_fields(stats_, "", all);
  return all;
}

Pipeline::Pipeline(const std::string& description) {
  g_autoptr(GError) error = nullptr;
  pipeline_ = gst_parse_launch_full(description.c_str(), nullptr,
                                    GST_PARSE_FLAG_FATAL_ERRORS, &error);
  if (pipeline_ == nullptr) fail(description + ": " + error->message);
  if (GST_IS_PIPELINE(pipeline_)) return;
  // The description was a single element.
  GstElement* only = pipeline_;
  pipeline_ = gst_pipeline_new(nullptr);
  gst_bin_add(GST_BIN(pipeline_), only);
}

Pipeline::~Pipeline() {
  gst_element_set_state(pipeline_, GST_STATE_NULL);
  gst_object_unref(pipeline_);
}

GstElement* Pipeline::element(const char* name) const {
  GstElement* found = gst_bin_get_by_name(GST_BIN(pipeline_), name);
  if (found == nullptr) fail(std::string("No element is called ") + name);
  gst_object_unref(found);  // the pipeline keeps it
  return found;
}

GstPad* Pipeline::pad(const char* element_name, const char* pad_name) const {
  GstPad* found = gst_element_get_static_pad(element(element_name), pad_name);
  if (found == nullptr) {
    fail(std::string(element_name) + " has no pad " + pad_name);
  }
  gst_object_unref(found);  // the element keeps it
  return found;
}

void Pipeline::set_state(GstState state) {
  if (gst_element_set_state(pipeline_, state) == GST_STATE_CHANGE_FAILURE ||
      gst_element_get_state(pipeline_, nullptr, nullptr, GST_CLOCK_TIME_NONE) ==
          GST_STATE_CHANGE_FAILURE) {
    fail(std::string("The pipeline does not reach ") +
         gst_element_state_get_name(state));
  }
}

void Pipeline::start() {
  if (gst_element_set_state(pipeline_, GST_STATE_PLAYING) ==
      GST_STATE_CHANGE_FAILURE) {
    fail("The pipeline cannot be started.");
  }
}

void Pipeline::wait_for_eos() {
  g_autoptr(GstBus) bus = gst_element_get_bus(pipeline_);
  g_autoptr(GstMessage) message = gst_bus_timed_pop_filtered(
      bus, GST_CLOCK_TIME_NONE,
      static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS) return;
  g_autoptr(GError) error = nullptr;
  g_autofree gchar* debug = nullptr;
  gst_message_parse_error(message, &error, &debug);
  fail(std::string(error->message) + "\n" + (debug ? debug : ""));
}

Feeder::Feeder(GstPad* sink, const char* caps)
    : pad_(gst_pad_new("feeder", GST_PAD_SRC)) {
  if (gst_pad_link(pad_, sink) != GST_PAD_LINK_OK) fail("Cannot feed the pad.");
  gst_pad_set_active(pad_, TRUE);
  gst_pad_push_event(pad_, gst_event_new_stream_start("feeder"));
  if (caps != nullptr) {
    g_autoptr(GstCaps) parsed = gst_caps_from_string(caps);
    if (!gst_pad_push_event(pad_, gst_event_new_caps(parsed))) {
      fail(std::string("Not taken: ") + caps);
    }
  }
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  gst_pad_push_event(pad_, gst_event_new_segment(&segment));
}

Feeder::~Feeder() {
  gst_pad_set_active(pad_, FALSE);
  gst_object_unref(pad_);
}

void Feeder::push(GstBuffer* buffer) {
  const GstFlowReturn flow = gst_pad_push(pad_, buffer);
  if (flow != GST_FLOW_OK) {
    fail(std::string("A frame was refused: ") + gst_flow_get_name(flow));
  }
}

void Feeder::push_eos() { gst_pad_push_event(pad_, gst_event_new_eos()); }

}  // namespace bench
