// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/negotiation.h"

#include <algorithm>

namespace dispatch::stage {

namespace {

// A pool with fewer buffers than are in flight would stop the stream; with
// more needed, the others are told so.
void fit_pools(GstQuery* query, unsigned more) {
  for (guint i = 0; i < gst_query_get_n_allocation_pools(query); ++i) {
    GstBufferPool* pool = nullptr;
    guint size = 0;
    guint min = 0;
    guint max = 0;
    gst_query_parse_nth_allocation_pool(query, i, &pool, &size, &min, &max);
    const ObjectPtr<GstBufferPool> owned(pool);
    const bool is_too_small = max != 0 && max < min + more;
    gst_query_set_nth_allocation_pool(query, i, is_too_small ? nullptr : pool,
                                      size, min + more, is_too_small ? 0 : max);
  }
}

// Leaves their sizes.
void take_out_pools(GstQuery* query) {
  for (guint i = 0; i < gst_query_get_n_allocation_pools(query); ++i) {
    guint size = 0;
    guint min = 0;
    guint max = 0;
    gst_query_parse_nth_allocation_pool(query, i, nullptr, &size, &min, &max);
    gst_query_set_nth_allocation_pool(query, i, nullptr, size, min, max);
  }
}

void copy_metas(GstQuery* from, GstQuery* to) {
  for (guint i = 0; i < gst_query_get_n_allocation_metas(from); ++i) {
    const GstStructure* params = nullptr;
    const GType api = gst_query_parse_nth_allocation_meta(from, i, &params);
    gst_query_add_allocation_meta(to, api, params);
  }
}

void copy_params(GstQuery* from, GstQuery* to) {
  for (guint i = 0; i < gst_query_get_n_allocation_params(from); ++i) {
    GstAllocator* allocator = nullptr;
    GstAllocationParams params;
    gst_query_parse_nth_allocation_param(from, i, &allocator, &params);
    const ObjectPtr<GstAllocator> owned(allocator);
    gst_query_add_allocation_param(to, allocator, &params);
  }
}

void copy_pools(GstQuery* from, GstQuery* to, bool with_pools) {
  for (guint i = 0; i < gst_query_get_n_allocation_pools(from); ++i) {
    GstBufferPool* pool = nullptr;
    guint size = 0;
    guint min = 0;
    guint max = 0;
    gst_query_parse_nth_allocation_pool(from, i, &pool, &size, &min, &max);
    const ObjectPtr<GstBufferPool> owned(pool);
    // The most that one pool has is no limit for another.
    gst_query_add_allocation_pool(to, with_pools ? pool : nullptr, size, min,
                                  with_pools ? max : 0);
  }
}

// Even the reading functions of an ALLOCATION query write to one that has no
// lists yet, which a query that is shared does not allow.
void make_lists(GstQuery* query) {
  gst_query_get_n_allocation_pools(query);
  gst_query_get_n_allocation_params(query);
  gst_query_get_n_allocation_metas(query);
}

void keep_common_metas(GstQuery* query, GstQuery* other) {
  for (guint i = gst_query_get_n_allocation_metas(query); i-- > 0;) {
    const GType api = gst_query_parse_nth_allocation_meta(query, i, nullptr);
    if (other == nullptr ||
        !gst_query_find_allocation_meta(other, api, nullptr))
      gst_query_remove_nth_allocation_meta(query, i);
  }
}

// What `copy` may give; null: what downstream takes.
CapsPtr choice(const Epoch& epoch, const void* copy) {
  CapsPtr required = epoch.required(copy);
  return required ? std::move(required) : share(epoch.allowed());
}

GstCaps* caps_of(GstQuery* allocation) {
  GstCaps* caps = nullptr;
  gst_query_parse_allocation(allocation, &caps, nullptr);
  return caps;
}

}  // namespace

void copy_allocation(GstQuery* from, GstQuery* to, bool with_pools) {
  copy_metas(from, to);
  copy_params(from, to);
  copy_pools(from, to, with_pools);
}

QueryPtr new_allocation_like(GstQuery* query) {
  GstCaps* caps = nullptr;
  gboolean needs_pool = FALSE;
  gst_query_parse_allocation(query, &caps, &needs_pool);
  QueryPtr result(gst_query_new_allocation(caps, needs_pool));
  gst_structure_foreach(
      gst_query_get_structure(query),
      [](GQuark field, const GValue* value, gpointer to) -> gboolean {
        if (g_str_has_prefix(g_quark_to_string(field), kOwnFields))
          gst_structure_id_set_value(static_cast<GstStructure*>(to), field,
                                     value);
        return TRUE;
      },
      gst_query_writable_structure(result.get()));
  return result;
}

// ---- Epoch -----------------------------------------------------------------

Epoch::Entry Epoch::enter_unless(const void* copy,
                                 const std::atomic<bool>* is_over) {
  std::unique_lock lock(mutex_);
  const unsigned interrupts = interrupts_;
  const auto is_interrupted = [&] {
    return interrupts_ != interrupts || (is_over != nullptr && *is_over);
  };
  changed_.wait(lock, [&] { return gate_ != Gate::kHeld || is_interrupted(); });
  if (is_interrupted()) return Entry::kInterrupted;
  if (gate_ == Gate::kOpen) return Entry::kBound;
  gate_ = Gate::kHeld;
  holder_ = copy;
  return Entry::kNegotiate;
}

void Epoch::leave(const void* copy, bool succeeded) {
  const std::lock_guard lock(mutex_);
  if (gate_ != Gate::kHeld || holder_ != copy) return;
  gate_ = succeeded ? Gate::kOpen : Gate::kFree;
  holder_ = nullptr;
  changed_.notify_all();
}

void Epoch::pass_on() {
  const std::lock_guard lock(mutex_);
  if (gate_ != Gate::kHeld) return;
  gate_ = Gate::kFree;
  holder_ = nullptr;
  changed_.notify_all();
}

void Epoch::interrupt() {
  const std::lock_guard lock(mutex_);
  ++interrupts_;
  changed_.notify_all();
}

void Epoch::look_again() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

bool Epoch::bind(const void* copy, GstCaps* caps) {
  const std::lock_guard lock(mutex_);
  if (bound_ && gst_caps_is_equal(bound_.get(), caps)) return true;
  if (bound_ && (is_closed_ || binder_ != copy)) return false;
  binder_ = copy;
  bound_ = share(caps);
  may_bypass_ = caps_ && gst_caps_is_equal(caps_.get(), caps);
  gate_ = Gate::kOpen;
  holder_ = nullptr;
  changed_.notify_all();
  return true;
}

void Epoch::close() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
}

bool Epoch::may_bypass() const {
  const std::lock_guard lock(mutex_);
  return may_bypass_;
}

void Epoch::set_pinned(GstCaps* caps) {
  const std::lock_guard lock(mutex_);
  pinned_ = share(caps);
}

CapsPtr Epoch::required(const void* copy) const {
  const std::lock_guard lock(mutex_);
  const bool is_bound = bound_ && (is_closed_ || binder_ != copy);
  return share(is_bound ? bound_.get() : pinned_.get());
}

CapsPtr Epoch::output_caps() const {
  const std::lock_guard lock(mutex_);
  return share(bound_ ? bound_.get() : pinned_.get());
}

Epoch::Allocation Epoch::ask_allocation(core::Sequence sequence) {
  std::unique_lock lock(mutex_);
  const unsigned interrupts = interrupts_;
  const auto is_interrupted = [&] { return interrupts_ != interrupts; };
  changed_.wait(lock, [&] {
    return allocation_ || !asker_ || *asker_ >= sequence || is_interrupted();
  });
  if (allocation_) return Allocation::kKnown;
  if (is_interrupted()) return Allocation::kInterrupted;
  asker_ = sequence;
  return Allocation::kAsk;
}

bool Epoch::set_allocation(GstQuery* answer) {
  const std::lock_guard lock(mutex_);
  if (allocation_) return false;
  allocation_ = share(answer);
  changed_.notify_all();
  return true;
}

void Epoch::give_up_allocation(core::Sequence sequence) {
  const std::lock_guard lock(mutex_);
  if (asker_ == sequence) asker_.reset();
  changed_.notify_all();
}

QueryPtr Epoch::allocation() const {
  const std::lock_guard lock(mutex_);
  return share(allocation_.get());
}

void Epoch::set_original_allocation(GstQuery* answer) {
  const std::lock_guard lock(mutex_);
  original_allocation_ = share(answer);
}

bool Epoch::takes_meta(GType api) const {
  const std::lock_guard lock(mutex_);
  for (GstQuery* answer : {allocation_.get(), original_allocation_.get()})
    if (answer != nullptr &&
        gst_query_find_allocation_meta(answer, api, nullptr))
      return true;
  return false;
}

// ---- Negotiation -----------------------------------------------------------

Negotiation::Negotiation(GstPad* sink, GstPad* src)
    : sink_(share_object(sink)), src_(share_object(src)) {}

void Negotiation::set_ordered_query(std::weak_ptr<OrderedQuery> ordered) {
  const std::lock_guard lock(mutex_);
  ordered_ = std::move(ordered);
}

void Negotiation::pin(Epoch& epoch, GstPad* stage_src) {
  if (!epoch.wants_pin() || epoch.caps() == nullptr) return;
  if (epoch.allowed() != nullptr &&
      !gst_caps_is_subset(epoch.caps(), epoch.allowed()))
    return;
  g_autoptr(GstCaps) possible = gst_pad_query_caps(stage_src, epoch.caps());
  g_autoptr(GstCaps) wanted = gst_pad_peer_query_caps(src_.get(), epoch.caps());
  if (gst_caps_is_subset(epoch.caps(), possible) &&
      gst_caps_is_subset(epoch.caps(), wanted))
    epoch.set_pinned(epoch.caps());
}

bool Negotiation::caps_at_output(const Epoch& epoch, const void* copy,
                                 GstQuery* query) {
  const CapsPtr required = choice(epoch, copy);
  if (!required) return query_downstream(query);
  GstCaps* filter = nullptr;
  gst_query_parse_caps(query, &filter);
  g_autoptr(GstCaps) answer =
      filter != nullptr ? gst_caps_intersect_full(filter, required.get(),
                                                  GST_CAPS_INTERSECT_FIRST)
                        : gst_caps_ref(required.get());
  gst_query_set_caps_result(query, answer);
  return true;
}

bool Negotiation::accept_caps_at_output(const Epoch& epoch, const void* copy,
                                        GstQuery* query) {
  const CapsPtr required = choice(epoch, copy);
  if (!required) return query_downstream(query);
  GstCaps* caps = nullptr;
  gst_query_parse_accept_caps(query, &caps);
  gst_query_set_accept_caps_result(query,
                                   gst_caps_is_subset(caps, required.get()));
  return true;
}

bool Negotiation::serialized_at_output(core::Sequence sequence, GstQuery* query,
                                       Outputs& so_far) {
  std::shared_ptr<OrderedQuery> ordered;
  {
    const std::lock_guard lock(mutex_);
    ordered = ordered_.lock();
  }
  return ordered && ordered->query_downstream(sequence, query, so_far);
}

bool Negotiation::allocation_at_output(Epoch& epoch, core::Sequence sequence,
                                       GstQuery* query, bool is_upstreams,
                                       Outputs& so_far) {
  const Epoch::Allocation state = epoch.ask_allocation(sequence);
  if (state == Epoch::Allocation::kInterrupted) return false;
  if (state == Epoch::Allocation::kKnown) {
    // A second user of downstream's pool would switch it off for the first.
    const QueryPtr known = epoch.allocation();
    if (caps_of(known.get()) == nullptr ||
        !gst_caps_is_equal(caps_of(known.get()), caps_of(query)))
      return false;
    copy_allocation(known.get(), query, false);
    return true;
  }
  if (!serialized_at_output(sequence, query, so_far)) {
    epoch.give_up_allocation(sequence);
    return false;
  }
  const QueryPtr for_others(gst_query_new_allocation(caps_of(query), FALSE));
  make_lists(for_others.get());
  copy_allocation(query, for_others.get(), false);
  if (!epoch.set_allocation(for_others.get())) take_out_pools(query);
  // Upstream's is fitted when the whole stage has answered.
  if (!is_upstreams) fit_pools(query, depth_);
  return true;
}

void Negotiation::complete_upstream_allocation(Epoch& epoch,
                                               core::Sequence sequence,
                                               GstQuery* query,
                                               Outputs& so_far) {
  fit_pools(query, depth_);
  if (!epoch.wants_pin()) return;
  QueryPtr downstream = epoch.allocation();
  if (!downstream) {
    downstream.reset(gst_query_new_allocation(caps_of(query), FALSE));
    if (!serialized_at_output(sequence, downstream.get(), so_far))
      downstream.reset();
    if (downstream) make_lists(downstream.get());
    epoch.set_original_allocation(downstream.get());
  }
  keep_common_metas(query, downstream.get());
}

bool Negotiation::query_downstream(GstQuery* query) {
  return gst_pad_peer_query(src_.get(), query) != FALSE;
}

bool Negotiation::query_upstream(GstQuery* query) {
  return gst_pad_peer_query(sink_.get(), query) != FALSE;
}

bool Negotiation::event_upstream(EventPtr event) {
  return gst_pad_push_event(sink_.get(), event.release()) != FALSE;
}

}  // namespace dispatch::stage
