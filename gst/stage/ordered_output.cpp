// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/ordered_output.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace dispatch::stage {

namespace {

bool same_caps(GstCaps* a, GstCaps* b) {
  if (a == nullptr || b == nullptr) return a == b;
  return gst_caps_is_equal(a, b) != FALSE;
}

bool is_raw(GstCaps* caps) {
  if (caps == nullptr || gst_caps_get_size(caps) == 0) return false;
  const std::string_view name =
      gst_structure_get_name(gst_caps_get_structure(caps, 0));
  return name == "video/x-raw" || name == "audio/x-raw";
}

GstBuffer* last_buffer(const Outputs& outputs) {
  for (auto item = outputs.rbegin(); item != outputs.rend(); ++item) {
    if (GST_IS_BUFFER(item->get())) return GST_BUFFER_CAST(item->get());
    if (GST_IS_BUFFER_LIST(item->get())) {
      auto* list = GST_BUFFER_LIST_CAST(item->get());
      return gst_buffer_list_get(list, gst_buffer_list_length(list) - 1);
    }
  }
  return nullptr;
}

BufferPtr mark_discont(BufferPtr buffer) {
  buffer.reset(gst_buffer_make_writable(buffer.release()));
  GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_DISCONT);
  return buffer;
}

}  // namespace

bool OrderedOutput::is_open(const StickyState& sticky) const {
  return sticky.caps() == nullptr || epoch_ == sticky.epoch();
}

bool OrderedOutput::push_event(EventPtr event, const StickyState& sticky) {
  switch (GST_EVENT_TYPE(event.get())) {
    case GST_EVENT_CAPS:
      return true;  // the stage's own caps go out
    case GST_EVENT_STREAM_START:
      return gst_pad_push_event(src_.get(), event.release()) != FALSE;
    case GST_EVENT_EOS:
      release_held();
      return gst_pad_push_event(src_.get(), event.release()) != FALSE;
    default:
      break;
  }
  if (!is_open(sticky)) {
    held_.push_back(std::move(event));
    return true;
  }
  return gst_pad_push_event(src_.get(), event.release()) != FALSE;
}

bool OrderedOutput::query(GstQuery* query) {
  return gst_pad_peer_query(src_.get(), query) != FALSE;
}

void OrderedOutput::release_held() {
  for (EventPtr& event : held_) gst_pad_push_event(src_.get(), event.release());
  held_.clear();
}

// A frame leaves: with it its epoch, and what has waited for it.
void OrderedOutput::open_epoch(const StickyState& sticky) {
  if (epoch_ != sticky.epoch()) {
    epoch_ = sticky.epoch();
    // The stage's caps may have been in a result that was discarded.
    if (const CapsPtr caps = epoch_->output_caps()) push_caps(caps.get());
  }
  release_held();
}

void OrderedOutput::push_caps(GstCaps* caps) {
  if (caps_ && gst_caps_is_equal(caps_.get(), caps)) return;
  caps_ = share(caps);
  gst_pad_push_event(src_.get(), gst_event_new_caps(caps));
}

bool OrderedOutput::push_tags(EventPtr event) {
  GstTagList* tags = nullptr;
  GstTagList* last = nullptr;
  gst_event_parse_tag(event.get(), &tags);
  if (tags_) gst_event_parse_tag(tags_.get(), &last);
  if (last != nullptr && gst_tag_list_is_equal(last, tags)) return true;
  tags_ = share(event.get());
  return gst_pad_push_event(src_.get(), event.release()) != FALSE;
}

GstFlowReturn OrderedOutput::push_frame(Frame frame) {
  if (is_discont_) {
    frame.map([this](BufferPtr buffer) {
      return std::exchange(is_discont_, false) ? mark_discont(std::move(buffer))
                                               : std::move(buffer);
    });
  }
  const bool is_list = frame.is_list();
  GstMiniObject* object = frame.take().release();
  return is_list ? gst_pad_push_list(src_.get(), GST_BUFFER_LIST_CAST(object))
                 : gst_pad_push(src_.get(), GST_BUFFER_CAST(object));
}

void OrderedOutput::push_stage_event(EventPtr event,
                                     const StickyState& sticky) {
  switch (GST_EVENT_TYPE(event.get())) {
    case GST_EVENT_CAPS: {
      GstCaps* caps = nullptr;
      gst_event_parse_caps(event.get(), &caps);
      push_caps(caps);
      epoch_ = sticky.epoch();
      return;
    }
    case GST_EVENT_TAG:
      push_tags(std::move(event));
      return;
    default:
      gst_pad_push_event(src_.get(), event.release());
      return;
  }
}

GstFlowReturn OrderedOutput::push_part(Outputs& outputs,
                                       const StickyState& sticky) {
  GstFlowReturn flow = GST_FLOW_OK;
  for (MiniObjectPtr& item : outputs) {
    if (GST_IS_EVENT(item.get())) {
      push_stage_event(EventPtr(GST_EVENT_CAST(item.release())), sticky);
      continue;
    }
    open_epoch(sticky);
    if (flow != GST_FLOW_OK) continue;
    flow = push_frame(GST_IS_BUFFER(item.get())
                          ? Frame(GST_BUFFER_CAST(item.release()))
                          : Frame(GST_BUFFER_LIST_CAST(item.release())));
  }
  outputs.clear();
  return flow;
}

GstFlowReturn OrderedOutput::push_result(Outputs& outputs,
                                         const StickyState& sticky,
                                         bool keep_last) {
  BufferPtr last = share(keep_last ? last_buffer(outputs) : nullptr);
  const GstFlowReturn flow = push_part(outputs, sticky);
  if (last) {
    keep(std::move(last));
  } else if (!keep_last) {
    last_.reset();
  }
  return flow;
}

// Whether `buffer` lies in memory as its caps alone say.
bool OrderedOutput::has_plain_layout(GstBuffer* buffer, GstCaps* caps) {
  const GstVideoMeta* meta = gst_buffer_get_video_meta(buffer);
  if (meta == nullptr || caps == nullptr) return true;
  if (info_caps_.get() != caps) {
    info_caps_ = share(caps);
    if (!gst_video_info_from_caps(&info_, caps)) gst_video_info_init(&info_);
  }
  for (guint i = 0; i < meta->n_planes; ++i)
    if (meta->stride[i] != GST_VIDEO_INFO_PLANE_STRIDE(&info_, i) ||
        meta->offset[i] != GST_VIDEO_INFO_PLANE_OFFSET(&info_, i))
      return false;
  return true;
}

bool OrderedOutput::keeps_caps(const StickyState& sticky) {
  return same_caps(sticky.caps(), sticky.epoch()->output_caps().get());
}

core::Substitutes OrderedOutput::substitutes(const Frame& original,
                                             const StickyState& sticky) {
  core::Substitutes possible;
  CapsPtr output = sticky.epoch()->output_caps();
  // A new epoch, say of a stage that replaces another one, in which no copy has
  // come to choose: downstream still takes what it has taken.
  if (!output && caps_) output = share(caps_.get());
  possible.can_repeat = last_ && same_caps(last_caps_.get(), output.get());
  if (!original || !same_caps(sticky.caps(), output.get())) return possible;
  possible.can_bypass = true;
  if (sticky.epoch()->takes_meta(GST_VIDEO_META_API_TYPE)) return possible;
  original.for_each([&](GstBuffer* buffer) {
    if (!has_plain_layout(buffer, sticky.caps())) possible.can_bypass = false;
  });
  return possible;
}

GstFlowReturn OrderedOutput::push_original(Frame original,
                                           const StickyState& sticky) {
  if (sticky.caps() != nullptr) push_caps(sticky.caps());
  open_epoch(sticky);
  return push_frame(std::move(original));
}

void OrderedOutput::keep(BufferPtr result) {
  if (!caps_) return;
  last_ = is_in_stage_ ? BufferPtr(gst_buffer_copy_deep(result.get()))
                       : std::move(result);
  last_caps_ = share(caps_.get());
}

GstFlowReturn OrderedOutput::repeat(const Stamps& stamps,
                                    const StickyState& sticky) {
  open_epoch(sticky);
  GstBuffer* again = gst_buffer_copy(last_.get());
  GST_BUFFER_PTS(again) = stamps.pts;
  GST_BUFFER_DTS(again) = stamps.dts;
  GST_BUFFER_DURATION(again) = stamps.duration;
  GST_BUFFER_OFFSET(again) = stamps.offset;
  GST_BUFFER_OFFSET_END(again) = stamps.offset_end;
  return push_frame(Frame(again));
}

void OrderedOutput::drop(const Stamps& stamps, const StickyState& sticky) {
  is_discont_ = true;
  if (!is_open(sticky) || !is_raw(caps_.get()) ||
      !GST_CLOCK_TIME_IS_VALID(stamps.pts))
    return;
  gst_pad_push_event(src_.get(),
                     gst_event_new_gap(stamps.pts, stamps.duration));
}

void OrderedOutput::keep_state(EventPtr event) {
  const GstEventType type = GST_EVENT_TYPE(event.get());
  const bool is_lost_by_flush =
      !GST_EVENT_IS_STICKY(event.get()) || type == GST_EVENT_CAPS ||
      type == GST_EVENT_SEGMENT || type == GST_EVENT_EOS;
  if (!is_lost_by_flush) gst_pad_store_sticky_event(src_.get(), event.get());
}

void OrderedOutput::flush() {
  for (EventPtr& event : held_) keep_state(std::move(event));
  held_.clear();
  last_.reset();
  is_discont_ = false;
}

void OrderedOutput::reset() {
  held_.clear();
  flush();
  epoch_.reset();
  caps_.reset();
  tags_.reset();
  info_caps_.reset();
}

}  // namespace dispatch::stage
