// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Work that entered in order, is finished in any order and leaves in order.
//
// For: holding the entries between admission and departure and finding one by
// its sequence number in constant time. Entries are reused, so that an entry's
// own containers keep their capacity: no allocation per frame.
// Not for: deciding what leaves (core/late_policy), bounding (window_limits).
// Thread: confined (the owner locks).
#pragma once

#include <cassert>
#include <cstddef>
#include <vector>

#include "core/frame_record.h"

namespace dispatch::core {

// Entry: default constructible; `void reset()` brings a used one back to the
// state of a new one.
template <typename Entry>
class ReorderWindow {
 public:
  ReorderWindow() : ring_(kInitialCapacity) {}

  bool is_empty() const { return base_ == end_; }
  std::size_t size() const { return static_cast<std::size_t>(end_ - base_); }
  Sequence base() const { return base_; }  // of the front; next() when empty
  Sequence next() const { return end_; }   // that the next entry will have

  // The new entry at the back. References stay valid until the next append().
  Entry& append() {
    if (size() == ring_.size()) grow();
    return ring_[index(end_++)];
  }

  Entry& front() {
    assert(!is_empty());
    return ring_[index(base_)];
  }

  void pop_front() {
    front().reset();
    ++base_;
    if (waiting_ < base_) waiting_ = base_;
  }

  // Null for an entry that has left.
  Entry* find(Sequence sequence) {
    const bool is_here = sequence >= base_ && sequence < end_;
    return is_here ? &ring_[index(sequence)] : nullptr;
  }

  // The oldest entry that no one has taken yet: a cursor that the owner moves
  // with advance_waiting(). Null when there is none.
  Entry* waiting() { return find(waiting_); }
  Sequence waiting_sequence() const { return waiting_; }
  void advance_waiting() { ++waiting_; }
  // One that had been taken waits again.
  void rewind_waiting(Sequence sequence) {
    if (sequence < waiting_) waiting_ = sequence;
  }

 private:
  static constexpr std::size_t kInitialCapacity = 16;  // a power of two

  std::size_t index(Sequence sequence) const {
    return static_cast<std::size_t>(sequence) & (ring_.size() - 1);
  }

  void grow() {
    std::vector<Entry> larger(ring_.size() * 2);
    for (Sequence s = base_; s != end_; ++s)
      larger[static_cast<std::size_t>(s) & (larger.size() - 1)] =
          std::move(ring_[index(s)]);
    ring_ = std::move(larger);
  }

  std::vector<Entry> ring_;
  Sequence base_ = 0;
  Sequence end_ = 0;
  Sequence waiting_ = 0;
};

}  // namespace dispatch::core
