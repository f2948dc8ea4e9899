// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/stage_copy.h"

#include <algorithm>
#include <string>
#include <utility>

#include "stage/due_time_meta.h"

GST_DEBUG_CATEGORY_STATIC(stage_copy_debug);
#define GST_CAT_DEFAULT stage_copy_debug

// The element type of the two ports: a pad's owner, nothing else.
struct GstDispatchPort {
  GstElement parent;
};
struct GstDispatchPortClass {
  GstElementClass parent_class;
};
GType gst_dispatch_port_get_type();
G_DEFINE_TYPE(GstDispatchPort, gst_dispatch_port, GST_TYPE_ELEMENT);

static void gst_dispatch_port_class_init(GstDispatchPortClass* klass) {
  gst_element_class_set_static_metadata(
      GST_ELEMENT_CLASS(klass), "Port of a stage", "Generic",
      "Feeds a copy of a stage, or collects what comes out of it",
      "gst-dispatch");
}

static void gst_dispatch_port_init(GstDispatchPort* /*self*/) {}

namespace dispatch::stage {

namespace {

void init_debug() {
  static const bool done = [] {
    GST_DEBUG_CATEGORY_INIT(stage_copy_debug, "dispatchcopy", 0,
                            "copies of a stage");
    return true;
  }();
  (void)done;
}

StageCopy* copy_of(GstPad* pad) {
  return static_cast<StageCopy*>(gst_pad_get_element_private(pad));
}

// gst_buffer_copy_into() leaves out what says how the memory is laid out
// (strides and planes of a picture) where the memory is another one. Here it is
// laid out alike.
void copy_layout(GstBuffer* original, GstBuffer* copy) {
  gpointer state = nullptr;
  while (GstMeta* meta = gst_buffer_iterate_meta(original, &state)) {
    const GstMetaInfo* info = meta->info;
    if (info->transform_func == nullptr ||
        !gst_meta_api_type_has_tag(
            info->api, g_quark_from_string(GST_META_TAG_MEMORY_STR)))
      continue;
    GstMetaTransformCopy whole{FALSE, 0, static_cast<gsize>(-1)};
    info->transform_func(copy, meta, original, _gst_meta_transform_copy,
                         &whole);
  }
}

// ---- The pads of the ports -------------------------------------------------

GstFlowReturn collector_chain(GstPad* pad, GstObject*, GstBuffer* buffer) {
  return copy_of(pad)->collect(MiniObjectPtr(GST_MINI_OBJECT_CAST(buffer)));
}

GstFlowReturn collector_chain_list(GstPad* pad, GstObject*,
                                   GstBufferList* list) {
  return copy_of(pad)->collect(MiniObjectPtr(GST_MINI_OBJECT_CAST(list)));
}

gboolean collector_event(GstPad* pad, GstObject*, GstEvent* event) {
  copy_of(pad)->collect_event(EventPtr(event));
  return TRUE;
}

gboolean collector_query(GstPad* pad, GstObject*, GstQuery* query) {
  return copy_of(pad)->query_at_output(query);
}

gboolean feeder_event(GstPad* pad, GstObject*, GstEvent* event) {
  return copy_of(pad)->event_at_input(EventPtr(event));
}

gboolean feeder_query(GstPad* pad, GstObject*, GstQuery* query) {
  return copy_of(pad)->query_at_input(query);
}

GstPadProbeReturn drop_if_abandoned(GstPad*, GstPadProbeInfo*,
                                    gpointer user_data) {
  return static_cast<StageCopy*>(user_data)->is_abandoned() ? GST_PAD_PROBE_DROP
                                                            : GST_PAD_PROBE_OK;
}

PadPtr new_pad(const char* name, GstPadDirection direction, StageCopy* copy) {
  GstPad* pad = gst_pad_new(name, direction);
  gst_pad_set_element_private(pad, copy);
  return sink_object(pad);
}

bool depends_on_others(GstMiniObject* item) {
  if (GST_IS_BUFFER(item))
    return GST_BUFFER_FLAG_IS_SET(item, GST_BUFFER_FLAG_DELTA_UNIT);
  auto* list = GST_BUFFER_LIST_CAST(item);
  for (guint i = 0; i < gst_buffer_list_length(list); ++i)
    if (GST_BUFFER_FLAG_IS_SET(gst_buffer_list_get(list, i),
                               GST_BUFFER_FLAG_DELTA_UNIT))
      return true;
  return false;
}

bool stands_alone(GstCaps* caps) {
  return caps != nullptr && core::stands_alone(gst_structure_get_name(
                                gst_caps_get_structure(caps, 0)));
}

void unlink(GstPad* src) {
  const PadPtr peer(gst_pad_get_peer(src));
  if (peer) gst_pad_unlink(src, peer.get());
}

// Where a memory comes from, however it was cut.
const GstMemory* root_of(const GstMemory* memory) {
  return memory->parent != nullptr ? memory->parent : memory;
}

const GstMemory* first_memory(GstBuffer* buffer) {
  return gst_buffer_n_memory(buffer) > 0
             ? root_of(gst_buffer_peek_memory(buffer, 0))
             : nullptr;
}

bool holds_memory(GstBuffer* buffer, const GstMemory* memory) {
  for (guint i = 0; i < gst_buffer_n_memory(buffer); ++i)
    if (root_of(gst_buffer_peek_memory(buffer, i)) == memory) return true;
  return false;
}

GstElement* new_port(const char* name, GstPad* pad) {
  auto* port = GST_ELEMENT_CAST(
      g_object_new(gst_dispatch_port_get_type(), "name", name, nullptr));
  gst_element_add_pad(port, pad);
  return port;
}

}  // namespace

std::string copy_name(unsigned worker, unsigned level) {
  const std::string name = "worker" + std::to_string(worker);
  return level == 0 ? name : name + "-level" + std::to_string(level);
}

bool is_port(GstElement* element) {
  return G_TYPE_CHECK_INSTANCE_TYPE(element, gst_dispatch_port_get_type());
}

std::optional<const void*> stage_around(GstElement* element) {
  ObjectPtr<GstObject> above(gst_object_get_parent(GST_OBJECT_CAST(element)));
  for (; above; above.reset(gst_object_get_parent(above.get()))) {
    if (!GST_IS_BIN(above.get())) continue;
    GST_OBJECT_LOCK(above.get());
    bool is_copy = false;
    for (GList* e = GST_BIN_CHILDREN(above.get()); e != nullptr; e = e->next)
      is_copy = is_copy || is_port(GST_ELEMENT_CAST(e->data));
    const void* owner = GST_OBJECT_PARENT(above.get());
    GST_OBJECT_UNLOCK(above.get());
    if (is_copy) return owner;
  }
  return std::nullopt;
}

// ---- Construction ----------------------------------------------------------

StageCopy::StageCopy(ParsedStage stage, unsigned number, unsigned level,
                     std::shared_ptr<Negotiation> negotiation,
                     std::shared_ptr<core::OriginalKeeping> keeping)
    : number_(number),
      level_(level),
      negotiation_(std::move(negotiation)),
      keeping_(std::move(keeping)) {
  init_debug();
  build(std::move(stage));
}

void StageCopy::build(ParsedStage stage) {
  has_coder_ =
      std::any_of(stage.facts.begin(), stage.facts.end(), core::is_coder);
  bin_ = std::move(stage.bin);
  stage_src_ = std::move(stage.open_src);
  const std::string name = copy_name(number_, level_);
  gst_object_set_name(GST_OBJECT_CAST(bin_.get()), name.c_str());
  drop_abandoned_between(bin_.get());

  feeder_ = new_pad("src", GST_PAD_SRC, this);
  gst_pad_set_event_function(feeder_.get(), feeder_event);
  gst_pad_set_query_function(feeder_.get(), feeder_query);
  collector_ = new_pad("sink", GST_PAD_SINK, this);
  gst_pad_set_chain_function(collector_.get(), collector_chain);
  gst_pad_set_chain_list_function(collector_.get(), collector_chain_list);
  gst_pad_set_event_function(collector_.get(), collector_event);
  gst_pad_set_query_function(collector_.get(), collector_query);

  // Names that no element of the stage will have.
  gst_bin_add_many(GST_BIN(bin_.get()),
                   new_port("dispatch-feeder", feeder_.get()),
                   new_port("dispatch-collector", collector_.get()), nullptr);
  // What the stage takes is its own business at run time; a link that cannot
  // be is told by its caps event.
  gst_pad_link_full(feeder_.get(), stage.open_sink.get(),
                    GST_PAD_LINK_CHECK_NOTHING);
  gst_pad_link_full(stage_src_.get(), collector_.get(),
                    GST_PAD_LINK_CHECK_NOTHING);
}

// A frame that nobody waits for any more ends at the next element.
void StageCopy::drop_abandoned_between(GstElement* stage) {
  for (GList* e = GST_BIN_CHILDREN(stage); e != nullptr; e = e->next)
    for (GList* p = GST_ELEMENT_CAST(e->data)->srcpads; p != nullptr;
         p = p->next)
      if (gst_pad_is_linked(GST_PAD_CAST(p->data)))
        gst_pad_add_probe(
            GST_PAD_CAST(p->data),
            static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_BUFFER |
                                         GST_PAD_PROBE_TYPE_BUFFER_LIST),
            drop_if_abandoned, this, nullptr);
}

StageCopy::~StageCopy() {
  gst_element_set_state(bin_.get(), GST_STATE_NULL);
  // An application may keep elements of the stage.
  unlink(feeder_.get());
  unlink(stage_src_.get());
  if (copies_) gst_buffer_pool_set_active(copies_.get(), FALSE);
}

// ---- Any thread ------------------------------------------------------------

void StageCopy::abandon(core::Sequence sequence) {
  abandoned_end_.store(sequence + 1, std::memory_order_release);
}

void StageCopy::flush() {
  gst_pad_push_event(feeder_.get(), gst_event_new_flush_start());
  // After it: else a job that begins in between would end a flush that has not
  // begun, and the copy would stay flushing.
  needs_flush_stop_.store(true, std::memory_order_release);
}

bool StageCopy::is_running_here() const {
  return runner_.load(std::memory_order_acquire) == std::this_thread::get_id();
}

// While a frame is in the stage, its input caps are those of the frame. Null:
// what upstream can give. (transfer none)
GstCaps* StageCopy::present_input() const {
  if (asker_.load(std::memory_order_acquire) == std::this_thread::get_id())
    return asked_input_.get();
  return is_running_here() ? job_->sticky->caps() : nullptr;
}

CapsPtr StageCopy::possible_output(GstCaps* input) {
  asked_input_ = share(input);
  asker_.store(std::this_thread::get_id(), std::memory_order_release);
  const PadPtr entry(gst_pad_get_peer(feeder_.get()));
  CapsPtr possible;
  if (entry && gst_pad_query_accept_caps(entry.get(), input))
    possible.reset(gst_pad_peer_query_caps(collector_.get(), nullptr));
  else
    possible.reset(gst_caps_new_empty());
  asker_.store(std::thread::id(), std::memory_order_release);
  asked_input_.reset();
  return possible;
}

bool StageCopy::query_at_input(GstQuery* query) {
  GstCaps* caps = present_input();
  if (GST_QUERY_TYPE(query) != GST_QUERY_CAPS || caps == nullptr)
    return negotiation_->query_upstream(query);
  GstCaps* filter = nullptr;
  gst_query_parse_caps(query, &filter);
  g_autoptr(GstCaps) answer =
      filter != nullptr
          ? gst_caps_intersect_full(filter, caps, GST_CAPS_INTERSECT_FIRST)
          : gst_caps_ref(caps);
  gst_query_set_caps_result(query, answer);
  return true;
}

bool StageCopy::event_at_input(EventPtr event) {
  const bool is_own = GST_EVENT_TYPE(event.get()) == GST_EVENT_RECONFIGURE &&
                      is_running_here() && sends_reconfigure_;
  return is_own || negotiation_->event_upstream(std::move(event));
}

bool StageCopy::query_at_output(GstQuery* query) {
  if (!is_running_here())
    return !GST_QUERY_IS_SERIALIZED(query) &&
           negotiation_->query_downstream(query);
  Epoch* epoch = job_->sticky->epoch().get();
  switch (GST_QUERY_TYPE(query)) {
    case GST_QUERY_CAPS:
      return negotiation_->caps_at_output(*epoch, this, query);
    case GST_QUERY_ACCEPT_CAPS:
      return negotiation_->accept_caps_at_output(*epoch, this, query);
    case GST_QUERY_ALLOCATION:
      return negotiation_->allocation_at_output(*epoch, job_->sequence, query,
                                                query == job_->query.get(),
                                                result_->outputs);
    default:
      return GST_QUERY_IS_SERIALIZED(query)
                 ? negotiation_->serialized_at_output(job_->sequence, query,
                                                      result_->outputs)
                 : negotiation_->query_downstream(query);
  }
}

// ---- Inside run() ----------------------------------------------------------

bool StageCopy::is_abandoned() const {
  return is_running_here() &&
         job_->sequence < watched_end_->load(std::memory_order_acquire);
}

GstFlowReturn StageCopy::collect(MiniObjectPtr item) {
  if (!is_running_here()) {
    GST_ELEMENT_ERROR(
        bin_.get(), STREAM, FAILED,
        ("The stage of %s gave a buffer outside of its call.",
         GST_OBJECT_NAME(bin_.get())),
        ("One of its elements has a thread of its own; take it out."));
    return GST_FLOW_ERROR;
  }
  if (!job_->is_per_stream && !stands_alone(output_caps_.get()) &&
      depends_on_others(item.get())) {
    GST_ELEMENT_ERROR(
        bin_.get(), STREAM, FAILED,
        ("The stage of %s gave a frame that depends on other frames.",
         GST_OBJECT_NAME(bin_.get())),
        ("It codes between frames; set stage-state=per-stream."));
    return GST_FLOW_ERROR;
  }
  if (std::exchange(is_first_buffer_, false)) bind_for_good();
  if (has_failed_) return GST_FLOW_ERROR;
  if (has_conflicting_caps_) return GST_FLOW_NOT_NEGOTIATED;
  result_->outputs.push_back(std::move(item));
  return GST_FLOW_OK;
}

void StageCopy::collect_caps(GstEvent* event) {
  GstCaps* caps = nullptr;
  gst_event_parse_caps(event, &caps);
  output_caps_ = share(caps);
  // With state, caps are part of the stream and may change at any time.
  has_conflicting_caps_ =
      !job_->is_per_stream && !job_->sticky->epoch()->bind(this, caps);
}

// At the first buffer of an epoch: until then an element may change its mind
// about its caps, or keep those that it had.
void StageCopy::bind_for_good() {
  if (job_->is_per_stream || !output_caps_) return;
  Epoch& epoch = *job_->sticky->epoch();
  has_conflicting_caps_ = !epoch.bind(this, output_caps_.get());
  epoch.close();
}

// A stage that moves its timestamps does so by what it saw first, and each copy
// sees something else first.
void StageCopy::check_segment(GstEvent* event) {
  const GstSegment* own = nullptr;
  gst_event_parse_segment(event, &own);
  if (has_failed_ || job_->sticky->has_segment(own)) return;
  has_failed_ = true;
  GST_ELEMENT_ERROR(
      bin_.get(), STREAM, FAILED,
      ("The stage changes the segment of the stream, as encoders do that shift "
       "their timestamps."),
      ("Several copies of it would not agree: set stage-state=per-stream."));
}

// When the stage could not go on: whether that is because another copy has
// chosen caps that this one does not have.
void StageCopy::say_disagreement(const Epoch& epoch) {
  const CapsPtr bound = epoch.required(this);
  if (!bound ||
      (output_caps_ && gst_caps_is_equal(bound.get(), output_caps_.get())))
    return;
  g_autofree gchar* theirs = gst_caps_to_string(bound.get());
  g_autofree gchar* own = output_caps_ ? gst_caps_to_string(output_caps_.get())
                                       : g_strdup("nothing like it");
  GST_ELEMENT_ERROR(
      bin_.get(), CORE, NEGOTIATION,
      ("The copies of the stage disagree: another one gives %s, this one %s.",
       theirs, own),
      ("All copies have to give the same caps. Put caps at the end of the "
       "property 'stage'."));
}

// Of what a stage says without state, its caps, its segment and its own tags
// are news; everything else is in the stream already. With state, all is the
// stream.
void StageCopy::collect_event(EventPtr event) {
  if (!is_running_here()) return;
  const GstEventType type = GST_EVENT_TYPE(event.get());
  bool is_news = job_->is_per_stream && type != GST_EVENT_STREAM_START &&
                 GST_EVENT_IS_SERIALIZED(event.get()) &&
                 type != GST_EVENT_FLUSH_STOP;
  if (type == GST_EVENT_CAPS) {
    collect_caps(event.get());
    is_news = true;
  }
  if (type == GST_EVENT_SEGMENT && !job_->is_per_stream)
    check_segment(event.get());
  if (type == GST_EVENT_TAG) {
    GstTagList* tags = nullptr;
    gst_event_parse_tag(event.get(), &tags);
    is_news = job_->is_per_stream || !job_->sticky->has_tag_list(tags);
  }
  if (is_news)
    result_->outputs.emplace_back(GST_MINI_OBJECT_CAST(event.release()));
}

void StageCopy::start_flowing() {
  if (!needs_flush_stop_.exchange(false, std::memory_order_acq_rel)) return;
  gst_pad_push_event(feeder_.get(), gst_event_new_flush_stop(TRUE));
  // FLUSH_STOP takes the segment away from the pads.
  std::erase_if(sent_, [](const EventPtr& event) {
    return GST_EVENT_TYPE(event.get()) == GST_EVENT_SEGMENT;
  });
  sent_state_.reset();
}

// Asks the stage to choose its caps again at its next buffer.
void StageCopy::renegotiate() {
  sends_reconfigure_ = true;
  gst_pad_push_event(collector_.get(), gst_event_new_reconfigure());
  sends_reconfigure_ = false;
}

Epoch::Entry StageCopy::enter_epoch(const Job& job) {
  const std::shared_ptr<Epoch>& epoch = job.sticky->epoch();
  const CapsPtr required = epoch->required(this);
  const bool has_other_caps =
      required && output_caps_ &&
      !gst_caps_is_equal(required.get(), output_caps_.get());
  if (epoch_ == epoch && !has_other_caps) return Epoch::Entry::kBound;
  const Epoch::Entry entry = epoch->enter(this);
  if (entry == Epoch::Entry::kInterrupted) return entry;
  if (entry == Epoch::Entry::kNegotiate)
    negotiation_->pin(*epoch, stage_src_.get());
  if (epoch_) renegotiate();
  epoch_ = epoch;
  is_first_buffer_ = true;
  return entry;
}

void StageCopy::send_state(const StickyState& state) {
  for (const EventPtr& event : state.events()) {
    const bool is_known = std::any_of(
        sent_.begin(), sent_.end(),
        [&](const EventPtr& old) { return old.get() == event.get(); });
    if (!is_known)
      gst_pad_push_event(feeder_.get(), share(event.get()).release());
  }
  sent_.clear();
  for (const EventPtr& event : state.events())
    sent_.push_back(share(event.get()));
}

void StageCopy::run(Job& job, JobResult& result) {
  result.start = std::chrono::steady_clock::now();
  job_ = &job;
  result_ = &result;
  has_conflicting_caps_ = false;
  runner_.store(std::this_thread::get_id(), std::memory_order_release);

  start_flowing();
  const std::shared_ptr<Epoch>& epoch = job.sticky->epoch();
  if (enter_epoch(job) == Epoch::Entry::kInterrupted) {
    result.flow = GST_FLOW_FLUSHING;
  } else {
    if (sent_state_ != job.sticky) {
      send_state(*job.sticky);
      sent_state_ = job.sticky;
    }
    for (EventPtr& event : job.prelude)
      gst_pad_push_event(feeder_.get(), event.release());
    if (job.frame) result.flow = push_frame(job, result);
    if (job.event) gst_pad_push_event(feeder_.get(), job.event.release());
    if (job.query && run_query(job)) result.answer = std::move(job.query);
    epoch->leave(this, result.flow == GST_FLOW_OK && job.frame);
  }

  runner_.store(std::thread::id(), std::memory_order_release);
  job_ = nullptr;
  result_ = nullptr;
  result.end = std::chrono::steady_clock::now();
}

GstFlowReturn StageCopy::push_frame(Job& job, JobResult& result) {
  const core::HandOver how =
      job.keep_original ? keeping_->decide() : core::HandOver::kShared;
  const bool is_discont =
      GST_BUFFER_FLAG_IS_SET(job.frame.first(), GST_BUFFER_FLAG_DISCONT);
  Frame handed = hand_over(job, how, result);
  const GstMemory* memory = first_memory(handed.first());
  const bool is_list = handed.is_list();
  GstMiniObject* object = handed.take().release();
  const GstFlowReturn flow =
      is_list ? gst_pad_push_list(feeder_.get(), GST_BUFFER_LIST_CAST(object))
              : gst_pad_push(feeder_.get(), GST_BUFFER_CAST(object));
  if (flow == GST_FLOW_NOT_NEGOTIATED) say_disagreement(*job.sticky->epoch());
  if (flow == GST_FLOW_OK && !is_abandoned() && !job.is_per_stream) {
    if (holds_back(result.outputs)) return refuse_holding_back();
    if (!is_discont) take_off_discont(result.outputs);
  }
  GstBuffer* out = first_buffer(result.outputs);
  if (job.keep_original && out != nullptr && !is_abandoned())
    keeping_->on_result(how, holds_memory(out, memory));
  if (job.due) take_off_due_times(result.outputs);
  return flow;
}

// A coder that gives nothing for the first frame it gets owes it until later;
// another copy may have got the frames that would bring it out.
bool StageCopy::holds_back(const Outputs& outputs) {
  const bool is_first = std::exchange(is_first_frame_, false);
  return is_first && has_coder_ && first_buffer(outputs) == nullptr;
}

GstFlowReturn StageCopy::refuse_holding_back() {
  GST_ELEMENT_ERROR(
      bin_.get(), STREAM, FAILED,
      ("The stage holds frames back: a coder in it gave nothing for its first "
       "frame."),
      ("Each frame has to give its output within its call, or one worker has "
       "to see them all: set stage-state=per-stream."));
  return GST_FLOW_ERROR;
}

// Elements mark the first buffer that they see; the stream began long ago.
void StageCopy::take_off_discont(Outputs& outputs) {
  for (MiniObjectPtr& item : outputs) {
    if (!GST_IS_BUFFER(item.get())) continue;
    auto* buffer = GST_BUFFER_CAST(item.get());
    if (GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DISCONT)) {
      buffer = gst_buffer_make_writable(GST_BUFFER_CAST(item.release()));
      GST_BUFFER_FLAG_UNSET(buffer, GST_BUFFER_FLAG_DISCONT);
      item.reset(GST_MINI_OBJECT_CAST(buffer));
    }
    return;
  }
}

Frame StageCopy::hand_over(Job& job, core::HandOver how, JobResult& result) {
  Frame frame = std::move(job.frame);
  if (!job.keep_original && !job.due && !job.is_after_gap) return frame;
  bool marks_gap = job.is_after_gap;
  frame.map([&](BufferPtr buffer) {
    if (how == core::HandOver::kCopy) {
      ++result.copied_buffers;
      result.copied_bytes += gst_buffer_get_size(buffer.get());
      buffer = copy_to_recycled(buffer.get());
    }
    if (!job.due && !marks_gap) return buffer;
    // Another buffer over the same memory, where the original is kept.
    buffer.reset(gst_buffer_make_writable(buffer.release()));
    if (job.due) set_due_time(buffer.get(), *job.due);
    if (std::exchange(marks_gap, false))
      GST_BUFFER_FLAG_SET(buffer.get(), GST_BUFFER_FLAG_DISCONT);
    return buffer;
  });
  return frame;
}

BufferPtr StageCopy::copy_to_recycled(GstBuffer* original) {
  const gsize size = gst_buffer_get_size(original);
  if (!copies_ || copies_size_ != size) {
    if (copies_) gst_buffer_pool_set_active(copies_.get(), FALSE);
    copies_.reset(gst_buffer_pool_new());
    copies_size_ = size;
    GstStructure* config = gst_buffer_pool_get_config(copies_.get());
    gst_buffer_pool_config_set_params(config, nullptr, size, 0, 0);
    gst_buffer_pool_set_config(copies_.get(), config);
    gst_buffer_pool_set_active(copies_.get(), TRUE);
  }
  GstBuffer* copy = nullptr;
  if (gst_buffer_pool_acquire_buffer(copies_.get(), &copy, nullptr) !=
      GST_FLOW_OK)
    return BufferPtr(gst_buffer_copy_deep(original));
  GstMapInfo map;
  if (gst_buffer_map(copy, &map, GST_MAP_WRITE)) {
    gst_buffer_extract(original, 0, map.data, map.size);
    gst_buffer_unmap(copy, &map);
  }
  gst_buffer_copy_into(copy, original,
                       static_cast<GstBufferCopyFlags>(
                           GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS |
                           GST_BUFFER_COPY_META),
                       0, -1);
  copy_layout(original, copy);
  return BufferPtr(copy);
}

void StageCopy::take_off_due_times(Outputs& outputs) {
  for (MiniObjectPtr& item : outputs) {
    if (GST_IS_EVENT(item.get())) continue;
    Frame frame = GST_IS_BUFFER(item.get())
                      ? Frame(GST_BUFFER_CAST(item.release()))
                      : Frame(GST_BUFFER_LIST_CAST(item.release()));
    frame.map(without_due_time);
    item = frame.take();
  }
}

bool StageCopy::run_query(Job& job) {
  if (!gst_pad_peer_query(feeder_.get(), job.query.get())) return false;
  negotiation_->complete_upstream_allocation(*job.sticky->epoch(), job.sequence,
                                             job.query.get(), result_->outputs);
  return true;
}

}  // namespace dispatch::stage
