// SPDX-License-Identifier: LGPL-2.1-or-later
//
// By how much the stages of a pipeline became slower, as far as the elements in
// it have noticed: they share its CPUs.
//
// For: an element that measures nothing for a while; what the others noticed
// since its last measurement is its best guess. Not for: an element that does
// measure: its own costs tell it more.
// Thread: safe.
#pragma once

#include <atomic>

namespace dispatch::core {

class SharedSlowdown {
 public:
  void join() { members_.fetch_add(1); }
  void leave(double part) {
    members_.fetch_sub(1);
    sum_.fetch_sub(part);
  }
  // A member's own slowdown (a logarithm) changed by this.
  void add(double change) { sum_.fetch_add(change); }
  // The mean of the others' changes, for a member whose own sum up to `part`.
  double of_others(double part) const {
    const int others = members_.load() - 1;
    return others > 0 ? (sum_.load() - part) / others : 0;
  }

 private:
  std::atomic<int> members_ = 0;
  std::atomic<double> sum_ = 0;
};

}  // namespace dispatch::core
