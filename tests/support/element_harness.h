// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The element under test between the two pads of a GstHarness, and what else
// the tests of the elements share.
//
// For: pushing numbered buffers, pulling and checking what leaves, reading
// stats, messages, the order of buffers and events, and what the spies in a
// stage tell. Not for: expectations
// about behaviour; those are in the tests. Thread: confined, unless said.
// Failure: what does not come within kPatience ends the program.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include <gst/check/gstharness.h>
#include <gst/check/gsttestclock.h>
#include <gst/gst.h>

#include "element_under_test.h"
#include "gate.h"
#include "stage/ptr.h"

namespace dispatch::test {

using stage::BufferPtr;
using stage::CapsPtr;
using stage::ElementPtr;
using stage::EventPtr;
using stage::MessagePtr;
using stage::PadPtr;
using stage::QueryPtr;

// A media type of which nothing is known, 100 frames per second, so that frame
// n is at n * kFrameDuration.
inline constexpr char kAnyCaps[] = "application/x-test,framerate=100/1";
// The same as raw video of 8x8 pixels: 64 bytes as numbered_buffer() makes
// them.
inline constexpr char kVideoCaps[] =
    "video/x-raw,format=GRAY8,width=8,height=8,framerate=100/1";
inline constexpr GstClockTime kFrameDuration = 10 * GST_MSECOND;

// A buffer that knows its number: in its offset, its timestamps and its bytes.
inline constexpr std::size_t kFrameBytes = 64;
BufferPtr numbered_buffer(std::uint64_t number,
                          std::size_t bytes = kFrameBytes);
std::uint64_t number_of(GstBuffer* buffer);
// Whether the bytes are those that numbered_buffer(number_of(buffer)) wrote.
bool has_own_bytes(GstBuffer* buffer);
// Where its first memory lies: equal for what was passed by reference.
const GstMemory* memory_of(GstBuffer* buffer);

// The element under test, in no pipeline.
ElementPtr new_element();
// The processes of this program: workers, in the order in which they started.
std::vector<pid_t> child_processes();
// How many workers `element` (transfer none) has, busy or not: copies in it, or
// processes of this program.
unsigned workers_of(GstElement* element);

// What `stats` says, of one moment.
class Stats {
 public:
  explicit Stats(GstElement* element);  // (transfer none)
  // A field, or one of a structure: "causes.NAME", "levels.NAME"; no such field
  // ends the program.
  std::uint64_t operator[](const std::string& field) const;
  // frames-in = applied + bypassed + repeated + dropped + in-flight, and the
  // causes add up to the frames that did not get the full stage.
  bool reconciles() const;

 private:
  std::unique_ptr<GstStructure, void (*)(GstStructure*)> structure_;
};

// The messages of one element that is in no pipeline.
class Messages {
 public:
  explicit Messages(GstElement* element);  // (transfer none); sets its bus
  ~Messages();
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;

  // Waits for the next message of that type; drops those before it.
  MessagePtr wait(GstMessageType type);
  // The same of the next element message of that name.
  MessagePtr wait_element(const char* name);
  // The next message of that type that is there already, or null.
  MessagePtr poll(GstMessageType type);
  // How many of that type are there already; takes them all.
  unsigned count(GstMessageType type);
  // The text of an ERROR or WARNING message, with its debug text.
  static std::string text(GstMessage* message);

 private:
  GstBus* bus_;
};

// What one `spy` in a stage has told; see the element.
struct Spied {
  std::string copy;
  std::string element;
  std::string what;
  bool is_upstream = false;
  bool is_frame = false;
  std::string caps;
  std::string sticky;
  std::int64_t due_ns = -1;
  int mark = 0;
};
// Waits for the next thing that spies tell; drops other messages before it.
Spied next_spied(Messages& messages);
// All until (and with) the first one that tells `what`.
std::vector<Spied> spied_until(Messages& messages, const std::string& what);
// Their `what`, in order.
std::vector<std::string> lines_of(const std::vector<Spied>& all);

// What passes a pad, in order: buffers as their number ("7"), a GAP as "gap",
// custom events as their structure's name, other events as their type
// ("segment"). Thread-safe.
class Transcript {
 public:
  explicit Transcript(GstPad* pad);  // (transfer none)

  std::vector<std::string> lines() const;
  // Waits until that line has come (`times` times).
  void wait_for(const std::string& line, std::size_t times = 1) const;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

struct HarnessOptions {
  // The elements `gate` of the stage.
  Gate* gate = nullptr;
  // The workers have threads of their own, and may be several, also in an
  // element that runs its stage in the streaming thread while nothing can be
  // due: there frames have due times then, which are never reached.
  bool is_apart = false;
  // Before the element starts: settings, signals to connect.
  std::function<void(GstElement*)> prepare;
  // What the LATENCY query upstream says.
  bool is_live = false;
  GstClockTime upstream_latency = 0;
  // PLAYING against a GstTestClock that stands at 0, which is the base time;
  // else without a clock: due times are never reached.
  bool has_test_clock = false;
  // Null: no caps are pushed yet, nor stream-start and segment.
  const char* caps = kAnyCaps;
};

// The element is PLAYING when this is made.
class Harness {
 public:
  // `properties` as in a launch line: "stage=identity max-workers=2".
  explicit Harness(const std::string& properties, HarnessOptions options = {});
  ~Harness();
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  GstHarness* get() { return harness_; }
  GstElement* element() { return harness_->element; }  // (transfer none)
  GstTestClock* clock() { return clock_; }             // (transfer none)
  Messages& messages() { return *messages_; }
  // All that ever left the element.
  const Transcript& out() const { return *out_; }
  Stats stats() { return Stats(element()); }
  // Looks at `stats` again and again until a field has that value: for what
  // tells no one.
  void wait_for_stat(const std::string& field, std::uint64_t value);

  // As numbered_buffer(), in memory that the element has proposed, as a source
  // makes it: nothing has to be copied on the way in.
  BufferPtr frame(std::uint64_t number);

  GstFlowReturn push(BufferPtr buffer);
  GstFlowReturn push(std::uint64_t number) {
    return push(numbered_buffer(number));
  }
  // Pushes first ... last - 1 and returns the first flow that is not OK.
  GstFlowReturn push_range(std::uint64_t first, std::uint64_t last);
  // push_range() on a thread of its own.
  std::future<GstFlowReturn> push_in_background(std::uint64_t first,
                                                std::uint64_t last);
  bool push_event(GstEvent* event);  // (transfer full)
  bool push_eos() { return push_event(gst_event_new_eos()); }
  void flush();  // FLUSH_START, FLUSH_STOP, SEGMENT

  BufferPtr pull();
  std::uint64_t pull_number() { return number_of(pull().get()); }
  std::vector<std::uint64_t> pull_numbers(std::size_t count);
  // Whether a buffer is there that was not pulled yet.
  bool has_output();
  EventPtr pull_event(GstEventType type);  // drops those before it
  EventPtr pull_upstream_event(GstEventType type);

  // Where the next clock wait ends; waits until there is one.
  GstClockTime next_wait();
  // Waits until the next clock wait ends then; earlier and later ones go by.
  void wait_for_next_wait(GstClockTime time);
  // Waits until nobody waits for the clock.
  void wait_for_no_wait();
  // Waits for the next clock wait, moves the clock to its end and ends it.
  void crank();
  // Moves the clock, without ending waits.
  // It is `time`, and what has waited for no later time waits no longer.
  void pass_time_to(GstClockTime time);
  void set_time(GstClockTime time) { gst_test_clock_set_time(clock_, time); }

  void set_state(GstState state);

 private:
  GstHarness* harness_ = nullptr;
  GstTestClock* clock_ = nullptr;
  std::unique_ptr<Messages> messages_;
  std::unique_ptr<Transcript> out_;
  // ThreadSanitizer does not see the lock of the harness's queue: what was
  // pushed before comes before what is pulled after.
  std::atomic<unsigned> fence_{0};
};

// A launch line, run as in an application. NULL when it dies.
class Pipeline {
 public:
  explicit Pipeline(const std::string& launch);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  GstElement* get() { return pipeline_.get(); }  // (transfer none)
  ElementPtr by_name(const char* name);
  PadPtr pad(const char* element, const char* pad);
  // Waits until the state is reached; ERROR messages end the program.
  void set_state(GstState state);
  // Waits for EOS; false: an ERROR came, whose text is error().
  bool run_to_eos();
  const std::string& error() const { return error_; }
  // Waits for the next message of that type; drops those before it.
  MessagePtr wait(GstMessageType type);

 private:
  ElementPtr pipeline_;
  std::string error_;
};

}  // namespace dispatch::test
