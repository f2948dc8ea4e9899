// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One thread that waits for several descriptors.
//
// For: hearing of messages and ends of worker processes. Not for: frames.
// Thread: thread-safe; the callbacks run on the thread itself.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <gio/gio.h>

namespace dispatch::process {

// Somebody watches a descriptor, until this is reset. That call may still go on
// then, but no other one begins. May outlive the thread.
struct UnwatchSource {
  void operator()(GSource* source) const;
};
using Watch = std::unique_ptr<GSource, UnwatchSource>;

class IoThread {
 public:
  explicit IoThread(const char* name);
  ~IoThread();  // joins
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // Calls `on_ready` whenever `fd` (borrowed) is ready, until it says false or
  // the watch is reset.
  [[nodiscard]] Watch watch(int fd, GIOCondition condition,
                            std::function<bool()> on_ready);
  // Calls `call` once, `delay` from now. One that has not been called when this
  // ends never is.
  void call_later(std::chrono::milliseconds delay, std::function<void()> call);

 private:
  GMainContext* const context_;
  GMainLoop* const loop_;
  GThread* const thread_;
};

}  // namespace dispatch::process
