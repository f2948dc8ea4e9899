// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Counts objects that are gone.
//
// For: waiting until something that another thread destroys is destroyed.
// Not for: finding leaks (tests/pipelines/leaks.cpp).
// Thread: thread-safe. Outlives what it looks at.
#pragma once

#include <condition_variable>
#include <mutex>

#include <gst/gst.h>

#include "patience.h"

namespace dispatch::test {

class Farewell {
 public:
  void watch(gpointer object) {
    g_object_weak_ref(
        G_OBJECT(object),
        [](gpointer self, GObject*) { static_cast<Farewell*>(self)->count(); },
        this);
  }
  void wait_for(unsigned count) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [&] { return gone_ >= count; }))
      give_up("an object to be destroyed");
  }
  unsigned gone() {
    const std::lock_guard lock(mutex_);
    return gone_;
  }

 private:
  void count() {
    const std::lock_guard lock(mutex_);
    ++gone_;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned gone_ = 0;
};

}  // namespace dispatch::test
