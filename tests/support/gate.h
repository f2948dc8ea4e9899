// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A place in a pipeline where chosen frames stop until the test lets them on.
//
// For: putting a copy of a stage, or what comes behind an element, into a known
// place: "a worker stands in frame 3". Frames are told apart by their
// number, the offset of the buffer (see numbered_buffer()).
// Not for: queries. Thread: thread-safe. What waits at a gate that
// dies goes on. A wait that takes longer than kPatience ends the program.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <gst/gst.h>

namespace dispatch::test {

// How long a test waits for what has to come. No measure of speed: it is there
// so that nothing hangs for ever.
inline constexpr std::chrono::seconds kPatience{100};

// Ends the program, with what was waited for.
[[noreturn]] void give_up(const char* waited_for);

// Calls `fn` for each frame inside the stage, on the worker's thread: at every
// `identity` of every copy that `workerpool` (transfer none) builds from now
// on. Before READY to PAUSED. What `fn` refers to has to outlive the element.
void on_every_frame(GstElement* workerpool, std::function<void(GstBuffer*)> fn);

// Calls `fn` with each copy that `workerpool` (transfer none) builds from now
// on, before it runs.
void on_each_copy(GstElement* workerpool, std::function<void(GstBin*)> fn);

class Gate {
 public:
  Gate();
  ~Gate();  // opens
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // Every `identity` of every copy that `workerpool` (transfer none) builds
  // from now on is a gate. Before READY to PAUSED.
  void attach(GstElement* workerpool);
  // The same for the buffers that pass `pad` (transfer none).
  void attach_to_pad(GstPad* pad);

  // The same for the events of `type` that come to `pad`; their number is how
  // many have come before, to all pads of the gate.
  void attach_to_events(GstPad* pad, GstEventType type);

  // Frames that stop here when they come.
  void hold(std::uint64_t number);
  void hold_all();
  // Lets one frame on, now or when it comes.
  void release(std::uint64_t number);
  // Lets all on, and holds nothing any more.
  void open();

  // Until that frame stands here, until so many stand here, or until so many
  // have come, stopped or not.
  void wait_until_held(std::uint64_t number) const;
  void wait_until_holding(std::size_t count) const;
  void wait_until_seen(std::size_t count) const;
  // The frames that stand here, or that have ever come, in that order.
  std::vector<std::uint64_t> holding() const;
  std::vector<std::uint64_t> seen() const;

 private:
  struct State;
  // The elements of a copy that was set aside may outlive the gate.
  const std::shared_ptr<State> state_;
};

}  // namespace dispatch::test
