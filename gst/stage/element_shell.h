// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The GObject side that the elements with a stage have in common.
//
// For: their pads, their common properties, the child `stage`, the order of
// what happens in a state change. Not for: what is one element's own (the
// shells in plugins/), decisions.
// Thread: as GObject and GStreamer call it.
#pragma once

#include "stage/stage_element.h"

namespace dispatch::stage {

// ---- Pads ------------------------------------------------------------------

// What a shell needs before its StageElement: two pads on `element` (transfer
// none) made from the class's templates "sink" and "src".
struct ShellPads {
  GstPad* sink;  // (transfer none)
  GstPad* src;   // (transfer none)
};
ShellPads add_pads(GstElement* element);
// From now on the pads are `impl`'s (borrowed).
void wire_pads(const ShellPads& pads, StageElement* impl);

// ---- State changes ---------------------------------------------------------

// Around the parent class's function.
using ChangeState = GstStateChangeReturn (*)(GstElement*, GstStateChange);
GstStateChangeReturn change_state(StageElement& impl, GstElement* element,
                                  GstStateChange transition,
                                  ChangeState parent);

// ---- Properties ------------------------------------------------------------

// What `stage` says of an element that can replace it while frames flow.
inline constexpr char kReplaceableStage[] =
    "The work to do on each frame: a launch description with one open sink pad "
    "and one open src pad, such as \"videoconvert ! videobalance "
    "saturation=0\". Another one that is set while frames flow takes over "
    "between two frames, once its copies are ready (element message "
    "'stage-replaced'); if they cannot be made, a warning says why and the one "
    "before stays";

// Their ids; those of an element's own begin at kFirstOwnProperty.
enum CommonProperty : guint {
  kPropertyStage = 1,
  kPropertyStageState,
  kPropertyMinWorkers,
  kPropertyMaxWorkers,
  kPropertySpareWorkers,
  kPropertyStallTimeout,
  kPropertyRestartLimit,
  kPropertyOnExhausted,
  kPropertyLatencyBudget,
  kPropertyLatePolicy,
  kPropertyDeadlines,
  kPropertyMaxBuffers,
  kPropertyMaxBytes,
  kPropertyStats,
  kFirstOwnProperty,
};

// What differs between the elements.
struct PropertyTexts {
  const char* stage;
  GParamFlags stage_flags;  // when it may be set
  const char* max_workers;
  const char* stall_timeout;
  const char* max_bytes;
  GParamFlags max_bytes_flags;  // when it may be set
  const char* stats;
  guint max_max_workers;
};
// stage, stage-state
void install_stage_properties(GObjectClass* klass, const PropertyTexts& texts);
// min-workers to on-exhausted
void install_worker_properties(GObjectClass* klass, const PropertyTexts& texts);
// latency-budget to stats
void install_timing_properties(GObjectClass* klass, const PropertyTexts& texts);
// False: not one of them.
bool set_common_property(StageElement& impl, guint id, const GValue* value);
// `stats_name`: of the structure.
bool get_common_property(StageElement& impl, guint id, GValue* value,
                         const char* stats_name);

// When a property may be set.
inline constexpr auto kReadWrite =
    static_cast<GParamFlags>(G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS);
inline constexpr auto kMutableReady =
    static_cast<GParamFlags>(kReadWrite | GST_PARAM_MUTABLE_READY);
inline constexpr auto kMutablePlaying =
    static_cast<GParamFlags>(kReadWrite | GST_PARAM_MUTABLE_PLAYING);
inline constexpr auto kReadOnly =
    static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);

}  // namespace dispatch::stage
