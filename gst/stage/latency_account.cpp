// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/latency_account.h"

#include <utility>

namespace dispatch::stage {

namespace {

std::optional<core::Duration> frame_duration_of(GstCaps* caps) {
  const GstStructure* structure = gst_caps_get_structure(caps, 0);
  gint num = 0;
  gint den = 0;
  if (!gst_structure_get_fraction(structure, "framerate", &num, &den) ||
      num <= 0 || den <= 0)
    return std::nullopt;
  return core::Duration(
      static_cast<gint64>(gst_util_uint64_scale(GST_SECOND, den, num)));
}

}  // namespace

LatencyAccount::LatencyAccount(DomainMember& domain, GstPad* sink, GstPad* src)
    : domain_(domain), sink_(share_object(sink)), src_(share_object(src)) {
  inputs_.budget = core::decide_automatic_budget(std::nullopt, 1);
}

void LatencyAccount::set_budget(std::optional<core::Duration> budget) {
  const std::lock_guard lock(mutex_);
  fixed_budget_ = budget;
}

void LatencyAccount::set_deadlines(core::Deadlines deadlines) {
  const std::lock_guard lock(mutex_);
  inputs_.deadlines = deadlines;
}

bool LatencyAccount::is_automatic() const {
  const std::lock_guard lock(mutex_);
  return !fixed_budget_;
}

bool LatencyAccount::on_caps(GstCaps* caps) {
  {
    const std::lock_guard lock(mutex_);
    frame_duration_ = frame_duration_of(caps);
  }
  return refresh_budget();
}

bool LatencyAccount::refresh_budget() {
  const unsigned elements = is_automatic() ? domain_.automatic_elements_on_path(
                                                 sink_.get(), src_.get())
                                           : 1;
  const std::lock_guard lock(mutex_);
  const core::Duration before = inputs_.budget;
  inputs_.budget =
      fixed_budget_ ? *fixed_budget_
                    : core::decide_automatic_budget(frame_duration_, elements);
  return inputs_.budget != before;
}

void LatencyAccount::on_latency_event(GstEvent* event) {
  GstClockTime total = 0;
  gst_event_parse_latency(event, &total);
  const std::lock_guard lock(mutex_);
  inputs_.total = core::Duration(static_cast<gint64>(total));
}

bool LatencyAccount::set_transit(core::Duration transit) {
  const std::lock_guard lock(mutex_);
  return std::exchange(inputs_.downstream_transit, transit) != transit;
}

void LatencyAccount::refresh_upstream() {
  const QueryPtr query(gst_query_new_latency());
  gboolean is_live = FALSE;
  GstClockTime min = 0;
  if (gst_pad_peer_query(sink_.get(), query.get()))
    gst_query_parse_latency(query.get(), &is_live, &min, nullptr);
  const std::lock_guard lock(mutex_);
  inputs_.is_live = is_live != FALSE;
  inputs_.upstream_latency = core::Duration(static_cast<gint64>(min));
}

void LatencyAccount::reset() {
  const std::lock_guard lock(mutex_);
  inputs_.total.reset();
  inputs_.is_live = false;
  inputs_.upstream_latency = {};
  inputs_.downstream_transit = {};
  frame_duration_.reset();
}

core::DueTimeInputs LatencyAccount::due_inputs() const {
  const std::lock_guard lock(mutex_);
  return inputs_;
}

core::Duration LatencyAccount::budget() const {
  const std::lock_guard lock(mutex_);
  return inputs_.budget;
}

std::optional<core::Duration> LatencyAccount::frame_duration() const {
  const std::lock_guard lock(mutex_);
  return frame_duration_;
}

void LatencyAccount::add_own(GstQuery* query, unsigned window_frames) {
  gboolean is_live = FALSE;
  GstClockTime min = 0;
  GstClockTime max = 0;
  gst_query_parse_latency(query, &is_live, &min, &max);
  core::Latency upstream;
  upstream.min = core::Duration(static_cast<gint64>(min));
  if (GST_CLOCK_TIME_IS_VALID(max))
    upstream.max = core::Duration(static_cast<gint64>(max));
  const core::Latency own = core::add_own_latency(
      upstream, budget(), window_frames, frame_duration());
  gst_query_set_latency(query, is_live,
                        static_cast<GstClockTime>(own.min.count()),
                        own.max ? static_cast<GstClockTime>(own.max->count())
                                : GST_CLOCK_TIME_NONE);
}

}  // namespace dispatch::stage
