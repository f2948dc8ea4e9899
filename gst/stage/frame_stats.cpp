// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/frame_stats.h"

#include <string>

namespace dispatch::stage {

namespace {

void set(GstStructure* structure, const char* field, guint64 value) {
  gst_structure_set(structure, field, G_TYPE_UINT64, value, nullptr);
}

void set(GstStructure* structure, const char* field, core::Duration value) {
  set(structure, field, static_cast<guint64>(value.count()));
}

void set_causes(GstStructure* stats, const core::FrameSums& sums) {
  GstStructure* causes = gst_structure_new_empty("causes");
  for (std::size_t i = 0; i < core::kCauseCount; ++i) {
    const auto cause = static_cast<core::Cause>(i);
    if (cause != core::Cause::kNone)
      set(causes, core::to_string(cause), sums.count(cause));
  }
  gst_structure_set(stats, "causes", GST_TYPE_STRUCTURE, causes, nullptr);
  gst_structure_free(causes);
}

}  // namespace

GstStructure* to_structure(const core::FrameSums& sums, const char* name) {
  GstStructure* stats = gst_structure_new_empty(name);
  set(stats, "frames-in", sums.frames_in());
  for (std::size_t i = 0; i < core::kActionCount; ++i) {
    const auto action = static_cast<core::Action>(i);
    set(stats, core::to_string(action), sums.count(action));
  }
  set(stats, "in-flight", sums.in_flight());
  set(stats, "late", sums.late());
  set(stats, "late-results", sums.late_results());
  set(stats, "copies", sums.copies());
  set(stats, "copied-bytes", sums.copied_bytes());
  set(stats, "queue-time", sums.queue_time());
  set(stats, "hand-over-time", sums.hand_over_time());
  set(stats, "service-time", sums.service_time());
  set(stats, "reorder-time", sums.reorder_time());
  set_causes(stats, sums);
  return stats;
}

void add_levels(GstStructure* stats, const LevelFacts& levels,
                const core::FrameSums& sums) {
  gst_structure_set(stats, "current-level", G_TYPE_UINT, levels.current,
                    "ceiling", G_TYPE_UINT, levels.ceiling, "skip-state",
                    G_TYPE_STRING, levels.state, "skip-state-because",
                    G_TYPE_STRING, levels.because, "who-is-late", G_TYPE_STRING,
                    levels.culprit, "slowdown", G_TYPE_DOUBLE, levels.slowdown,
                    "miss-price", G_TYPE_DOUBLE, levels.miss_price, "coverage",
                    G_TYPE_DOUBLE, levels.coverage, "prediction-error",
                    G_TYPE_DOUBLE, levels.prediction_error, nullptr);
  set(stats, "level-switches", levels.switches);
  set(stats, "ceiling-changes", levels.ceiling_changes);
  set(stats, "longest-skip-run", levels.longest_skip_run);
  GstStructure* applied = gst_structure_new_empty("levels");
  GstStructure* costs = gst_structure_new_empty("expected-costs");
  for (unsigned level = 0; level < levels.levels; ++level) {
    const std::string name = "level" + std::to_string(level);
    set(applied, name.c_str(), sums.applied_at(level));
    set(costs, name.c_str(), levels.expected.at(level));
  }
  gst_structure_set(stats, "levels", GST_TYPE_STRUCTURE, applied,
                    "expected-costs", GST_TYPE_STRUCTURE, costs, nullptr);
  gst_structure_free(applied);
  gst_structure_free(costs);
}

}  // namespace dispatch::stage
