// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Everything that passes a pad, to be compared with what passes another one.
//
// For: "the same frames as the plain pipeline": bytes, timestamps, caps and
// order at once. Not for: which thread or when.
// Thread: thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <gst/gst.h>

namespace dispatch::test {

struct SeenFrame {
  GstClockTime pts = GST_CLOCK_TIME_NONE;
  GstClockTime dts = GST_CLOCK_TIME_NONE;
  GstClockTime duration = GST_CLOCK_TIME_NONE;
  bool is_delta = false;
  std::size_t size = 0;
  std::uint64_t hash = 0;  // of the bytes
  std::string caps;        // in force when it passed

  bool operator==(const SeenFrame& other) const = default;
};
void PrintTo(const SeenFrame& frame, std::ostream* stream);

class Recording {
 public:
  explicit Recording(GstPad* pad);  // (transfer none)

  std::vector<SeenFrame> frames() const;
  // Types of the events and "buffer" for a run of buffers, in order.
  std::vector<std::string> shape() const;

 private:
  struct State;
  // The pad may outlive the recording.
  const std::shared_ptr<State> state_;
};

// Where they begin to differ, in words; empty if they are equal.
std::string difference(const std::vector<SeenFrame>& actual,
                       const std::vector<SeenFrame>& expected);

// Plays a launch line whose sink is called "out" to its end; an ERROR fails the
// test.
std::vector<SeenFrame> frames_of(const std::string& launch);

}  // namespace dispatch::test
