// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/property_types.h"

#include "core/due_time.h"
#include "core/late_policy.h"
#include "core/stage_state.h"
#include "stage/staffing.h"

namespace dispatch::stage {

namespace {

template <typename Enum>
constexpr gint nick_value(Enum value) {
  return static_cast<gint>(value);
}

GType register_enum(const char* name, const GEnumValue* values) {
  const GType type = g_enum_register_static(name, values);
  gst_type_mark_as_plugin_api(type, static_cast<GstPluginAPIFlags>(0));
  return type;
}

}  // namespace

GType stage_state_type() {
  static const GEnumValue values[] = {
      {nick_value(core::StageState::kAuto),
       "Recognise it from the elements and the media type", "auto"},
      {nick_value(core::StageState::kNone),
       "Frames are independent of each other", "none"},
      {nick_value(core::StageState::kPerStream),
       "Frames depend on earlier ones: one worker, strict order", "per-stream"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstDispatchStageState", values);
  return type;
}

GType late_policy_type() {
  static const GEnumValue values[] = {
      {nick_value(core::LatePolicy::kBypass), "The original frame leaves",
       "bypass"},
      {nick_value(core::LatePolicy::kRepeat),
       "The last result leaves again, with the frame's timestamps", "repeat"},
      {nick_value(core::LatePolicy::kDrop), "Nothing leaves", "drop"},
      {nick_value(core::LatePolicy::kWait), "The frame is waited for", "wait"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstDispatchLatePolicy", values);
  return type;
}

GType on_exhausted_type() {
  static const GEnumValue values[] = {
      {nick_value(OnExhausted::kError), "The stream ends with an error",
       "error"},
      {nick_value(OnExhausted::kBypass),
       "The stage is left out: frames leave by the late policy", "bypass"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstDispatchOnExhausted", values);
  return type;
}

GType deadlines_type() {
  static const GEnumValue values[] = {
      {nick_value(core::Deadlines::kAuto),
       "Due times while the pipeline is live", "auto"},
      {nick_value(core::Deadlines::kAlways),
       "Due times also for files that play against a clock", "always"},
      {nick_value(core::Deadlines::kNever), "No due times: strict order",
       "never"},
      {0, nullptr, nullptr}};
  static const GType type = register_enum("GstDispatchDeadlines", values);
  return type;
}

}  // namespace dispatch::stage
