// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/element_shell.h"

#include "stage/property_types.h"

namespace dispatch::stage {

namespace {

StageElement& impl_of(GstPad* pad) {
  return *static_cast<StageElement*>(gst_pad_get_element_private(pad));
}

GstFlowReturn chain(GstPad* pad, GstObject*, GstBuffer* buffer) noexcept {
  return impl_of(pad).chain(BufferPtr(buffer));
}

GstFlowReturn chain_list(GstPad* pad, GstObject*,
                         GstBufferList* list) noexcept {
  return impl_of(pad).chain_list(list);
}

GstFlowReturn sink_event(GstPad* pad, GstObject* parent,
                         GstEvent* event) noexcept {
  StageElement& impl = impl_of(pad);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_FLUSH_START:
      impl.flush_start(EventPtr(event));
      return GST_FLOW_OK;
    case GST_EVENT_FLUSH_STOP:
      impl.flush_stop(EventPtr(event));
      return GST_FLOW_OK;
    default:
      if (GST_EVENT_IS_SERIALIZED(event))
        return impl.serialized_event(EventPtr(event));
      return gst_pad_event_default(pad, parent, event) ? GST_FLOW_OK
                                                       : GST_FLOW_ERROR;
  }
}

gboolean src_event(GstPad* pad, GstObject*, GstEvent* event) noexcept {
  return impl_of(pad).upstream_event(EventPtr(event));
}

gboolean sink_query(GstPad* pad, GstObject*, GstQuery* query) noexcept {
  return impl_of(pad).sink_query(query);
}

gboolean src_query(GstPad* pad, GstObject*, GstQuery* query) noexcept {
  return impl_of(pad).src_query(query);
}

gboolean src_activate_mode(GstPad* pad, GstObject*, GstPadMode mode,
                           gboolean active) noexcept {
  if (mode != GST_PAD_MODE_PUSH) return FALSE;
  return active ? impl_of(pad).start_output() : impl_of(pad).stop_output();
}

GstPad* new_pad(GstElement* element, const char* name) {
  return gst_pad_new_from_template(
      gst_element_class_get_pad_template(GST_ELEMENT_GET_CLASS(element), name),
      name);
}

void set_setting(StageElement::Settings& settings, guint id,
                 const GValue* value) {
  switch (id) {
    case kPropertyStageState:
      settings.stage_state =
          static_cast<core::StageState>(g_value_get_enum(value));
      break;
    case kPropertyMinWorkers:
      settings.min_workers = g_value_get_uint(value);
      break;
    case kPropertyMaxWorkers:
      settings.max_workers = g_value_get_uint(value);
      break;
    case kPropertySpareWorkers:
      settings.spare_workers = g_value_get_int(value);
      break;
    case kPropertyStallTimeout:
      settings.stall_timeout = g_value_get_uint64(value);
      break;
    case kPropertyRestartLimit:
      settings.restart_limit = g_value_get_uint(value);
      break;
    case kPropertyOnExhausted:
      settings.on_exhausted = static_cast<OnExhausted>(g_value_get_enum(value));
      break;
    case kPropertyLatencyBudget:
      settings.latency_budget = g_value_get_uint64(value);
      break;
    case kPropertyLatePolicy:
      settings.late_policy =
          static_cast<core::LatePolicy>(g_value_get_enum(value));
      break;
    case kPropertyDeadlines:
      settings.deadlines =
          static_cast<core::Deadlines>(g_value_get_enum(value));
      break;
    case kPropertyMaxBuffers:
      settings.max_buffers = g_value_get_uint(value);
      break;
    case kPropertyMaxBytes:
      settings.max_bytes = g_value_get_uint64(value);
      break;
    default:
      break;
  }
}

void get_setting(const StageElement::Settings& settings, guint id,
                 GValue* value) {
  switch (id) {
    case kPropertyStageState:
      g_value_set_enum(value, static_cast<gint>(settings.stage_state));
      break;
    case kPropertyMinWorkers:
      g_value_set_uint(value, settings.min_workers);
      break;
    case kPropertyMaxWorkers:
      g_value_set_uint(value, settings.max_workers);
      break;
    case kPropertySpareWorkers:
      g_value_set_int(value, settings.spare_workers);
      break;
    case kPropertyStallTimeout:
      g_value_set_uint64(value, settings.stall_timeout);
      break;
    case kPropertyRestartLimit:
      g_value_set_uint(value, settings.restart_limit);
      break;
    case kPropertyOnExhausted:
      g_value_set_enum(value, static_cast<gint>(settings.on_exhausted));
      break;
    case kPropertyLatencyBudget:
      g_value_set_uint64(value, settings.latency_budget);
      break;
    case kPropertyLatePolicy:
      g_value_set_enum(value, static_cast<gint>(settings.late_policy));
      break;
    case kPropertyDeadlines:
      g_value_set_enum(value, static_cast<gint>(settings.deadlines));
      break;
    case kPropertyMaxBuffers:
      g_value_set_uint(value, settings.max_buffers);
      break;
    case kPropertyMaxBytes:
      g_value_set_uint64(value, settings.max_bytes);
      break;
    default:
      break;
  }
}

}  // namespace

// ---- Pads ------------------------------------------------------------------

ShellPads add_pads(GstElement* element) {
  const ShellPads pads{new_pad(element, "sink"), new_pad(element, "src")};
  gst_pad_set_chain_function(pads.sink, GST_DEBUG_FUNCPTR(chain));
  gst_pad_set_chain_list_function(pads.sink, GST_DEBUG_FUNCPTR(chain_list));
  gst_pad_set_event_full_function(pads.sink, GST_DEBUG_FUNCPTR(sink_event));
  gst_pad_set_query_function(pads.sink, GST_DEBUG_FUNCPTR(sink_query));
  gst_pad_set_event_function(pads.src, GST_DEBUG_FUNCPTR(src_event));
  gst_pad_set_query_function(pads.src, GST_DEBUG_FUNCPTR(src_query));
  gst_pad_set_activatemode_function(pads.src,
                                    GST_DEBUG_FUNCPTR(src_activate_mode));
  gst_element_add_pad(element, pads.sink);
  gst_element_add_pad(element, pads.src);
  return pads;
}

void wire_pads(const ShellPads& pads, StageElement* impl) {
  gst_pad_set_element_private(pads.sink, impl);
  gst_pad_set_element_private(pads.src, impl);
}

// ---- State changes ---------------------------------------------------------

GstStateChangeReturn change_state(StageElement& impl, GstElement* element,
                                  GstStateChange transition,
                                  ChangeState parent) {
  switch (transition) {
    case GST_STATE_CHANGE_NULL_TO_READY:
      if (!impl.check()) return GST_STATE_CHANGE_FAILURE;
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
  const GstStateChangeReturn result = parent(element, transition);
  switch (transition) {
    case GST_STATE_CHANGE_READY_TO_PAUSED:
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

// ---- Properties ------------------------------------------------------------

void install_stage_properties(GObjectClass* klass, const PropertyTexts& texts) {
  const StageElement::Settings defaults;
  g_object_class_install_property(
      klass, kPropertyStage,
      g_param_spec_string("stage", "Stage", texts.stage, "",
                          texts.stage_flags));
  g_object_class_install_property(
      klass, kPropertyStageState,
      g_param_spec_enum(
          "stage-state", "Stage state",
          "Whether the stage carries state from frame to frame; then it runs "
          "with one worker, in strict order. 'auto' recognises coders and "
          "audio; other stages with state are for you to name",
          stage_state_type(), static_cast<gint>(defaults.stage_state),
          kMutableReady));
}

void install_worker_properties(GObjectClass* klass,
                               const PropertyTexts& texts) {
  const StageElement::Settings defaults;
  g_object_class_install_property(
      klass, kPropertyMinWorkers,
      g_param_spec_uint(
          "min-workers", "Minimum workers",
          "Workers that there are from the start and always; more come when "
          "the load needs them, up to max-workers, and rest when it does not. "
          "One above max-workers counts as max-workers",
          1, texts.max_max_workers, defaults.min_workers, kMutableReady));
  g_object_class_install_property(
      klass, kPropertyMaxWorkers,
      g_param_spec_uint("max-workers", "Maximum workers", texts.max_workers, 0,
                        texts.max_max_workers, defaults.max_workers,
                        kMutableReady));
  g_object_class_install_property(
      klass, kPropertySpareWorkers,
      g_param_spec_int(
          "spare-workers", "Spare workers",
          "Workers that are kept ready-made, without frames, for a load that "
          "comes and for a worker that hangs or dies; each needs the memory of "
          "the stage. Without one, frames wait or leave by late-policy for as "
          "long as the stage takes to start (-1 = automatic: with due times "
          "one thread or two processes; without, one while more workers may be "
          "needed soon)",
          StageElement::kAutomaticSpares, G_MAXINT, defaults.spare_workers,
          kMutablePlaying));
  g_object_class_install_property(
      klass, kPropertyStallTimeout,
      g_param_spec_uint64("stall-timeout", "Stall timeout", texts.stall_timeout,
                          0, G_MAXUINT64, defaults.stall_timeout,
                          kMutablePlaying));
  g_object_class_install_property(
      klass, kPropertyRestartLimit,
      g_param_spec_uint(
          "restart-limit", "Restart limit",
          "How many workers may die or fail to start one after the other, "
          "without a frame having been done in between, and be replaced; after "
          "one more none is made any more, and on-exhausted says what happens "
          "(0 = the first one is the end)",
          0, G_MAXUINT, defaults.restart_limit, kMutablePlaying));
  g_object_class_install_property(
      klass, kPropertyOnExhausted,
      g_param_spec_enum(
          "on-exhausted", "On exhausted",
          "What becomes of the stream when more workers than restart-limit "
          "have died, so that none is made any more",
          on_exhausted_type(), static_cast<gint>(defaults.on_exhausted),
          kMutablePlaying));
}

void install_timing_properties(GObjectClass* klass,
                               const PropertyTexts& texts) {
  const StageElement::Settings defaults;
  g_object_class_install_property(
      klass, kPropertyLatencyBudget,
      g_param_spec_uint64(
          "latency-budget", "Latency budget",
          "What the element adds to the latency of the pipeline, in "
          "nanoseconds; a live frame leaves at the latest at its running time "
          "plus the latency of upstream plus this (-1 = automatic: three frame "
          "durations, or 100 ms without a frame rate, shared by the elements "
          "of this package on one path)",
          0, G_MAXUINT64, defaults.latency_budget, kMutablePlaying));
  g_object_class_install_property(
      klass, kPropertyLatePolicy,
      g_param_spec_enum(
          "late-policy", "Late policy",
          "What leaves at the due time of a frame whose result is not there, "
          "and in place of a frame that ended two workers. Where 'bypass' is "
          "not possible, because the stage changes the caps, it is 'repeat', "
          "else 'drop'",
          late_policy_type(), static_cast<gint>(defaults.late_policy),
          kMutablePlaying));
  g_object_class_install_property(
      klass, kPropertyDeadlines,
      g_param_spec_enum("deadlines", "Deadlines",
                        "When frames have due times (see latency-budget); "
                        "without them every result is waited for",
                        deadlines_type(), static_cast<gint>(defaults.deadlines),
                        kMutablePlaying));
  g_object_class_install_property(
      klass, kPropertyMaxBuffers,
      g_param_spec_uint(
          "max-buffers", "Maximum buffers",
          "The window: most frames in flight in the element; one that has no "
          "room waits (0 = automatic: four for each worker that there may be, "
          "and at least what comes within latency-budget and one for each of "
          "those workers)",
          0, G_MAXUINT, defaults.max_buffers, kMutablePlaying));
  g_object_class_install_property(
      klass, kPropertyMaxBytes,
      g_param_spec_uint64("max-bytes", "Maximum bytes", texts.max_bytes, 0,
                          G_MAXUINT64, defaults.max_bytes,
                          texts.max_bytes_flags));
  g_object_class_install_property(
      klass, kPropertyStats,
      g_param_spec_boxed("stats", "Statistics", texts.stats, GST_TYPE_STRUCTURE,
                         kReadOnly));
}

bool set_common_property(StageElement& impl, guint id, const GValue* value) {
  if (id == kPropertyStage) {
    const gchar* text = g_value_get_string(value);
    impl.set_stage(text != nullptr ? text : "");
    return true;
  }
  if (id >= kPropertyStats) return false;
  impl.configure([&](StageElement::Settings& settings) {
    set_setting(settings, id, value);
  });
  return true;
}

bool get_common_property(StageElement& impl, guint id, GValue* value,
                         const char* stats_name) {
  if (id >= kFirstOwnProperty) return false;
  if (id == kPropertyStage) {
    g_value_set_string(value, impl.prototype().description().c_str());
  } else if (id == kPropertyStats) {
    g_value_take_boxed(value, impl.stats(stats_name));
  } else {
    get_setting(impl.settings(), id, value);
  }
  return true;
}

}  // namespace dispatch::stage
