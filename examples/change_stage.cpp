// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An application that sets the stage of workerpool, another one while the
// stream plays, and one that cannot be used; it hears on the bus what became of
// that, and reads `stats`. It knows GStreamer alone: no header and no library
// of this package. usage: change_stage [ELEMENT], workerpool or shmdispatch

#include <string>

#include <gst/gst.h>

struct Application {
  GMainLoop* loop;
  GstElement* pipeline;
  GstElement* effect;
  int replaced = 0;
  int refused = 0;
};

// Each step follows from what the element said to the one before.
static gboolean on_message(GstBus*, GstMessage* message, gpointer pointer) {
  auto* app = static_cast<Application*>(pointer);
  g_autoptr(GError) error = nullptr;
  if (gst_message_has_name(message, "stage-replaced")) {
    const GstStructure* fields = gst_message_get_structure(message);
    g_print("from now on: %s\n", gst_structure_get_string(fields, "stage"));
    app->replaced++;
    g_object_set(app->effect, "stage", "videobalance ! nothing-of-this",
                 nullptr);
  } else if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_WARNING) {
    gst_message_parse_warning(message, &error, nullptr);
    g_print("refused: %s\n", error->message);
    app->refused++;
    gst_element_send_event(app->pipeline, gst_event_new_eos());
  } else if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error(message, &error, nullptr);
    g_printerr("%s\n", error->message);
    g_main_loop_quit(app->loop);
  } else if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS) {
    g_main_loop_quit(app->loop);
  }
  return G_SOURCE_CONTINUE;
}

static gboolean change(gpointer effect) {
  g_object_set(effect, "stage", "videoconvert ! edgetv ! videoconvert",
               nullptr);
  return G_SOURCE_REMOVE;
}

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  const std::string element = argc > 1 ? argv[1] : "workerpool";
  const std::string line =
      "videotestsrc is-live=true ! video/x-raw,framerate=30/1 ! " + element +
      " name=effect stage=\"videobalance saturation=0\" ! queue ! fakesink";
  g_autoptr(GError) error = nullptr;
  GstElement* pipeline = gst_parse_launch(line.c_str(), &error);
  if (error != nullptr) return g_printerr("%s\n", error->message), 2;
  Application app{g_main_loop_new(nullptr, FALSE), pipeline,
                  gst_bin_get_by_name(GST_BIN(pipeline), "effect")};
  g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
  gst_bus_add_watch(bus, on_message, &app);
  g_timeout_add(1000, change, app.effect);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  g_main_loop_run(app.loop);

  g_autoptr(GstStructure) stats = nullptr;
  guint64 frames = 0, applied = 0, late = 0;
  g_object_get(app.effect, "stats", &stats, nullptr);
  gst_structure_get(stats, "frames-in", G_TYPE_UINT64, &frames, "applied",
                    G_TYPE_UINT64, &applied, "late", G_TYPE_UINT64, &late,
                    nullptr);
  g_print("frames: %d, with the stage: %d, late: %d; ", int(frames),
          int(applied), int(late));
  g_print("stages replaced: %d, refused: %d\n", app.replaced, app.refused);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  return app.replaced == 1 && app.refused == 1 ? 0 : 1;
}
