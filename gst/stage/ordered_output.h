// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What leaves an element, pushed in order on its src pad.
//
// For: results, substitutes and events as one clean stream: CAPS once, TAGs
// once, segment after caps, DISCONT after a drop. The same piece for every
// element of ours. Not for: deciding what leaves when (dispatcher).
// Thread: confined to the src pad's streaming thread, but flush() while that
// one is paused.
#pragma once

#include <gst/video/video.h>

#include "core/late_policy.h"
#include "stage/frame.h"
#include "stage/negotiation.h"
#include "stage/sticky_state.h"

namespace dispatch::stage {

class OrderedOutput {
 public:
  // `src` (transfer none) is the element's src pad.
  explicit OrderedOutput(GstPad* src) : src_(share_object(src)) {}

  // Part of a stage: what came may be valid only as long as its frame is under
  // way, and what repeat() shows is copied.
  void set_in_stage(bool is_in_stage) { is_in_stage_ = is_in_stage; }

  // Serialized events of the input, in their place. They wait for the caps of
  // their epoch, which come with its first frame.
  bool push_event(EventPtr event, const StickyState& sticky);
  bool query(GstQuery* query);

  // What a stage gave; `outputs` is left empty. With `keep_last` the last
  // buffer is kept for repeat().
  GstFlowReturn push_result(Outputs& outputs, const StickyState& sticky,
                            bool keep_last);
  // A part of a result that has more to come: what a stage gave before it asked
  // downstream something.
  GstFlowReturn push_part(Outputs& outputs, const StickyState& sticky);

  // Whether what leaves has the caps of what came.
  static bool keeps_caps(const StickyState& sticky);
  // What may leave in place of a result of this frame. `original` may be empty.
  core::Substitutes substitutes(const Frame& original,
                                const StickyState& sticky);
  GstFlowReturn push_original(Frame original, const StickyState& sticky);
  // What repeat() shows from now on: a result that did not leave itself.
  void keep(BufferPtr result);
  GstFlowReturn repeat(const Stamps& stamps, const StickyState& sticky);
  // Nothing leaves: a gap event for raw media, and DISCONT on what comes next.
  void drop(const Stamps& stamps, const StickyState& sticky);

  // What a flush overtakes and must not lose: it leaves with what comes next.
  void keep_state(EventPtr event);
  void flush();
  void reset();  // back to the state before the first event

 private:
  void push_stage_event(EventPtr event, const StickyState& sticky);
  GstFlowReturn push_frame(Frame frame);
  void push_caps(GstCaps* caps);
  bool push_tags(EventPtr event);
  void open_epoch(const StickyState& sticky);
  void release_held();
  bool is_open(const StickyState& sticky) const;
  bool has_plain_layout(GstBuffer* buffer, GstCaps* caps);

  const PadPtr src_;
  std::shared_ptr<Epoch> epoch_;  // whose caps have been pushed
  std::vector<EventPtr> held_;
  CapsPtr caps_;  // last pushed
  EventPtr tags_;
  bool is_in_stage_ = false;
  BufferPtr last_;
  CapsPtr last_caps_;
  bool is_discont_ = false;
  CapsPtr info_caps_;  // of info_
  GstVideoInfo info_{};
};

}  // namespace dispatch::stage
