// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Events of a trace as text, in the JSON array format of Chrome's trace viewer
// (the "Trace Event Format"), which the Perfetto UI opens.
//
// For: one event, a line of the file; and all events of a frame or a job, so
// that what a trace says of it cannot contradict itself. docs/trace.md is the
// page for the reader. Not for: files (os/append_file), who has what to tell
// (stage/element_trace). Thread: confined.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/frame_record.h"
#include "core/instant.h"

namespace dispatch::core {

// Where an event is drawn.
struct TraceTrack {
  std::int64_t process = 0;
  std::int64_t thread = 0;
};

// One event. It is a whole line when this goes out of scope.
class TraceEvent {
 public:
  // `out` (borrowed) is appended to. `phase`: of the format. `name` may hold
  // anything, the other texts are ours. Keys are each used once.
  TraceEvent(std::string& out, char phase, const char* category,
             std::string_view name, TraceTrack track, MonotonicTime time);
  ~TraceEvent();
  TraceEvent(const TraceEvent&) = delete;
  TraceEvent& operator=(const TraceEvent&) = delete;

  // Beside the arguments, so before them.
  TraceEvent& id(std::uint64_t id);
  TraceEvent& duration(Duration duration);
  TraceEvent& binds_to_enclosing();  // of a flow's end

  // Arguments. Numbers that JSON does not know (NaN, infinite) become null.
  TraceEvent& arg(std::string_view key, std::string_view value);
  TraceEvent& arg(std::string_view key, const char* value) {
    return arg(key, std::string_view(value));
  }
  TraceEvent& arg(std::string_view key, bool value);
  TraceEvent& arg(std::string_view key, double value);
  TraceEvent& arg(std::string_view key, std::int64_t value);
  TraceEvent& arg(std::string_view key, std::uint64_t value);
  TraceEvent& arg(std::string_view key, Duration value) {
    return arg(key, std::int64_t{value.count()});
  }
  // Arguments from here to close() are inside an object of that name.
  TraceEvent& open(std::string_view key);
  TraceEvent& close();

 private:
  void key(std::string_view key);

  std::string& out_;
  bool has_args_ = false;
  bool is_first_ = true;  // of the arguments at this depth
};

// What the file begins with: a line.
inline constexpr std::string_view kTraceBegin = "[\n";

// The element whose events they are.
struct TraceElement {
  std::string name;          // as in the pipeline
  std::uint32_t number = 0;  // unique in the process
  std::int64_t process = 0;  // its id

  // Of what leaves it, of a worker of it, and of the worker's stage, which may
  // be in a process of its own.
  TraceTrack output() const;
  TraceTrack worker(unsigned number) const;
  TraceTrack stage(unsigned number, std::optional<int> worker_process) const;
  // Of a frame: no other one in any process that writes to the file has it, in
  // as many starts and frames as anyone looks at in one trace.
  std::uint64_t id(Sequence sequence) const;
};

// A frame that has left.
struct TracedFrame {
  FrameRecord record;
  const char* reason = nullptr;  // why the level was chosen; null: none was
  Duration predicted{};          // its median cost, where one was chosen
};

// What a worker was busy with, when it is done, or is there no more.
struct TracedJob {
  Sequence sequence = 0;
  unsigned level = 0;
  unsigned worker = 0;
  std::optional<int> process;  // as in the record
  MonotonicTime taken{};
  MonotonicTime start{};
  MonotonicTime end{};
  bool is_late = false;  // its frame had left
  bool is_lost = false;  // the worker died at `end`; `start` is not known
};

void append_frame(std::string& out, const TraceElement& element,
                  const TracedFrame& frame);
void append_job(std::string& out, const TraceElement& element,
                const TracedJob& job);
// How a track or a process is called; `kind`: "thread_name", "process_name".
void append_name(std::string& out, const char* kind, TraceTrack track,
                 std::string_view name);

}  // namespace dispatch::core
