// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Elements with automatic budgets in one pipeline declare one budget together,
// and what the first ones leave of it is there for the last one, because due
// times are absolute. So the stage of the last one may take 60 ms here, far
// more than its own share. It runs with three elements, then with two.

#include <string>
#include <vector>

#include <gst/gst.h>

struct Outcome {
  guint64 latency = 0;  // what the pipeline declares, ns
  guint64 budgets = 0;  // of its elements together, ns
  guint64 frames = 0;   // of the last element
  guint64 applied = 0;
};

static std::string describe(const std::vector<std::string>& elements) {
  std::string line =
      "videotestsrc is-live=true num-buffers=45 "
      "! video/x-raw,width=320,height=240,framerate=30/1";
  for (const std::string& element : elements) {
    line.append(" ! ").append(element).append(" name=").append(element);
    line += element == elements.back()
                ? " max-workers=4 stage=\"identity sleep-time=60000\""
                : " stage=identity";
  }
  return line + " ! queue ! fakesink sync=true processing-deadline=0";
}

static void add_stats(GstElement* element, Outcome& outcome) {
  g_autoptr(GstStructure) stats = nullptr;
  guint64 budget = 0;
  g_object_get(element, "stats", &stats, nullptr);
  gst_structure_get(stats, "latency-budget", G_TYPE_UINT64, &budget,
                    "frames-in", G_TYPE_UINT64, &outcome.frames, "applied",
                    G_TYPE_UINT64, &outcome.applied, nullptr);
  g_print("%s %.1f ms, ", GST_ELEMENT_NAME(element), double(budget) / 1e6);
  outcome.budgets += budget;
}

static Outcome run(const std::vector<std::string>& elements) {
  Outcome outcome;
  g_autoptr(GstElement) pipeline =
      gst_parse_launch(describe(elements).c_str(), nullptr);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
  gst_message_unref(gst_bus_timed_pop_filtered(
      bus, GST_CLOCK_TIME_NONE,
      GstMessageType(GST_MESSAGE_EOS | GST_MESSAGE_ERROR)));
  g_autoptr(GstQuery) query = gst_query_new_latency();
  if (gst_element_query(pipeline, query))
    gst_query_parse_latency(query, nullptr, &outcome.latency, nullptr);
  for (const std::string& name : elements) {
    g_autoptr(GstElement) element =
        gst_bin_get_by_name(GST_BIN(pipeline), name.c_str());
    add_stats(element, outcome);
  }
  g_print("together %.1f ms\n", double(outcome.budgets) / 1e6);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  return outcome;
}

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  const Outcome three = run({"adaptiveskip", "workerpool", "shmdispatch"});
  const Outcome two = run({"workerpool", "shmdispatch"});
  g_print("three declare %.0f ms, two %.0f ms; ", double(three.latency) / 1e6,
          double(two.latency) / 1e6);
  g_print("the stage of 60 ms got %d of %d frames\n", int(three.applied),
          int(three.frames));
  const guint64 error = 3;  // a nanosecond each, from dividing by three
  return three.latency + error > two.latency &&
                 two.latency + error > three.latency
             ? 0
             : 1;
}
