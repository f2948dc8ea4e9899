// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/sticky_state.h"

#include <algorithm>

namespace dispatch::stage {

namespace {

// Whether `newer` takes the place of `older`: the rule of GstPad's own store.
bool replaces(GstEvent* newer, GstEvent* older) {
  if (GST_EVENT_TYPE(newer) != GST_EVENT_TYPE(older)) return false;
  if ((GST_EVENT_TYPE(newer) & GST_EVENT_TYPE_STICKY_MULTI) == 0) return true;
  const GstStructure* structure = gst_event_get_structure(older);
  return structure != nullptr &&
         gst_event_has_name(newer, gst_structure_get_name(structure));
}

GstEvent* find(const std::vector<EventPtr>& events, GstEventType type) {
  for (const EventPtr& event : events)
    if (GST_EVENT_TYPE(event.get()) == type) return event.get();
  return nullptr;
}

}  // namespace

StickyState::StickyState(const StickyState& other) : epoch_(other.epoch_) {
  events_.reserve(other.events_.size() + 1);
  for (const EventPtr& event : other.events_)
    events_.push_back(share(event.get()));
}

std::shared_ptr<const StickyState> StickyState::with(
    GstEvent* event, std::shared_ptr<Epoch> epoch) const {
  std::shared_ptr<StickyState> next(new StickyState(*this));
  next->epoch_ = std::move(epoch);
  for (EventPtr& older : next->events_) {
    if (!replaces(event, older.get())) continue;
    older = share(event);
    return next;
  }
  // Kept in the order in which a pad has to receive them.
  const auto place = std::find_if(
      next->events_.begin(), next->events_.end(), [&](const EventPtr& other) {
        return GST_EVENT_TYPE(other.get()) > GST_EVENT_TYPE(event);
      });
  next->events_.insert(place, share(event));
  return next;
}

std::shared_ptr<const StickyState> StickyState::in_epoch(
    std::shared_ptr<Epoch> epoch) const {
  std::shared_ptr<StickyState> next(new StickyState(*this));
  next->epoch_ = std::move(epoch);
  return next;
}

std::shared_ptr<const StickyState> StickyState::flushed() const {
  std::shared_ptr<StickyState> next(new StickyState(*this));
  std::erase_if(next->events_, [](const EventPtr& event) {
    return GST_EVENT_TYPE(event.get()) == GST_EVENT_SEGMENT;
  });
  return next;
}

GstCaps* StickyState::caps() const {
  GstEvent* event = find(events_, GST_EVENT_CAPS);
  GstCaps* caps = nullptr;
  if (event != nullptr) gst_event_parse_caps(event, &caps);
  return caps;
}

const GstSegment* StickyState::time_segment() const {
  GstEvent* event = find(events_, GST_EVENT_SEGMENT);
  if (event == nullptr) return nullptr;
  const GstSegment* segment = nullptr;
  gst_event_parse_segment(event, &segment);
  return segment->format == GST_FORMAT_TIME ? segment : nullptr;
}

std::optional<core::RunningTime> StickyState::running_time(
    GstBuffer* buffer) const {
  const GstSegment* segment = time_segment();
  const GstClockTime stamp = GST_BUFFER_DTS_OR_PTS(buffer);
  if (segment == nullptr || !GST_CLOCK_TIME_IS_VALID(stamp))
    return std::nullopt;
  guint64 distance = 0;
  const gint sign = gst_segment_to_running_time_full(segment, GST_FORMAT_TIME,
                                                     stamp, &distance);
  if (sign == 0) return std::nullopt;
  return core::RunningTime(
      core::Duration(sign * static_cast<gint64>(distance)));
}

GstClockTime StickyState::stream_time(GstClockTime pts) const {
  const GstSegment* segment = time_segment();
  if (segment == nullptr || !GST_CLOCK_TIME_IS_VALID(pts))
    return GST_CLOCK_TIME_NONE;
  return gst_segment_to_stream_time(segment, GST_FORMAT_TIME, pts);
}

bool StickyState::has_segment(const GstSegment* segment) const {
  GstEvent* event = find(events_, GST_EVENT_SEGMENT);
  if (event == nullptr) return false;
  const GstSegment* own = nullptr;
  gst_event_parse_segment(event, &own);
  return gst_segment_is_equal(own, segment) != FALSE;
}

bool StickyState::has_tag_list(const GstTagList* tags) const {
  return std::any_of(events_.begin(), events_.end(), [&](const EventPtr& own) {
    if (GST_EVENT_TYPE(own.get()) != GST_EVENT_TAG) return false;
    GstTagList* other = nullptr;
    gst_event_parse_tag(own.get(), &other);
    return gst_tag_list_is_equal(other, tags) != FALSE;
  });
}

}  // namespace dispatch::stage
