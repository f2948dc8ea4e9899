// SPDX-License-Identifier: LGPL-2.1-or-later
/**
 * SECTION:tracer-dispatch
 * @title: dispatch
 * @short_description: writes what the elements of gst-dispatch did with each
 * frame, and why
 *
 * The file is in Chrome's trace format, which the Perfetto UI opens. It is
 * described in docs/trace.md; `file` names it, else it is
 * gst-dispatch-trace.json in the working folder.
 *
 * |[
 * GST_TRACERS="dispatch(file=call.json)" gst-launch-1.0 videotestsrc
 * num-buffers=90 ! workerpool stage="identity sleep-time=50000" ! fakesink
 * ]|
 */
#define GST_USE_UNSTABLE_API
#include <string>

#include <gst/gst.h>
#include <gst/gsttracer.h>

#include "stage/trace_file.h"

GST_DEBUG_CATEGORY_STATIC(dispatch_tracer_debug);
#define GST_CAT_DEFAULT dispatch_tracer_debug

namespace {

constexpr char kDefaultFile[] = "gst-dispatch-trace.json";
constexpr char kFileField[] = "file";

struct DispatchTracer {
  GstTracer parent;
};
struct DispatchTracerClass {
  GstTracerClass parent_class;
};

GType dispatch_tracer_get_type();
G_DEFINE_TYPE_WITH_CODE(
    DispatchTracer, dispatch_tracer, GST_TYPE_TRACER,
    GST_DEBUG_CATEGORY_INIT(dispatch_tracer_debug, "dispatchtracer", 0,
                            "the trace of the elements of gst-dispatch"))

gboolean check_field(GQuark field, const GValue* value, gpointer) noexcept {
  if (field != g_quark_from_static_string(kFileField))
    g_warning("tracer 'dispatch' has no parameter '%s'; it has 'file'",
              g_quark_to_string(field));
  else if (!G_VALUE_HOLDS_STRING(value))
    g_warning(
        "tracer 'dispatch': 'file' has to be a string; put it in quotes, as "
        "in dispatch(file=\"1.json\")");
  return TRUE;
}

// The file that `params` (nullable) names: "file=call.json".
std::string read_file_name(const gchar* params) {
  if (params == nullptr || *params == '\0') return kDefaultFile;
  g_autofree gchar* text = g_strdup_printf("dispatch,%s", params);
  g_autoptr(GstStructure) fields = gst_structure_from_string(text, nullptr);
  if (fields == nullptr) {
    g_warning(
        "tracer 'dispatch' cannot read its parameters '%s'; they are to look "
        "like file=call.json",
        params);
    return kDefaultFile;
  }
  gst_structure_foreach(fields, check_field, nullptr);
  const gchar* file = gst_structure_get_string(fields, kFileField);
  return file != nullptr && *file != '\0' ? file : kDefaultFile;
}

// GStreamer lets go of a tracer at once that has no hooks, so it only leaves
// word. The file is opened by the first element that starts: to be listed, or
// to be there in a program that has none of ours, leaves no trace.
void dispatch_tracer_constructed(GObject* object) noexcept {
  g_autofree gchar* params = nullptr;
  g_object_get(object, "params", &params, nullptr);
  const std::string file = read_file_name(params);
  GST_INFO_OBJECT(object, "the trace goes to %s", file.c_str());
  dispatch::stage::ask_for_trace(file);
  G_OBJECT_CLASS(dispatch_tracer_parent_class)->constructed(object);
}

void dispatch_tracer_class_init(DispatchTracerClass* klass) {
  G_OBJECT_CLASS(klass)->constructed = dispatch_tracer_constructed;
}

void dispatch_tracer_init(DispatchTracer*) {}

}  // namespace

static gboolean plugin_init(GstPlugin* plugin) {
  return gst_tracer_register(plugin, "dispatch", dispatch_tracer_get_type());
}

#define PACKAGE PACKAGE_NAME
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, dispatchtracer,
                  "What the elements of gst-dispatch did with each frame",
                  plugin_init, PACKAGE_VERSION, "LGPL", PACKAGE_NAME,
                  PACKAGE_ORIGIN)
