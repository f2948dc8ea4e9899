// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The trace that this process writes, if it was asked for one.
//
// For: taking what elements have to tell in no more time than it takes to copy
// it, and making lines of it on a thread of its own, which writes every 20 ms.
// Not for: what there is to tell (element_trace), how it looks
// (core/trace_text).
// Thread: thread-safe.
// Ownership: of the process, until it ends; shared by the elements that run.
// Failure: what cannot be written is lost, which is said once in the log; what
// comes faster than it can be written is lost in whole items. An event in the
// file says how many, as soon as it can be written to again.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "core/trace_text.h"
#include "os/append_file.h"

namespace dispatch::stage {

// What an element tells. The lines of it are made later where that takes time.
struct TraceItem {
  std::shared_ptr<const core::TraceElement> element;
  // A string is lines that are ready.
  std::variant<core::TracedFrame, core::TracedJob, std::string> what;
};

class TraceFile {
 public:
  explicit TraceFile(os::AppendFile file);
  ~TraceFile();
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;

  // Elements count from 1.
  std::uint32_t next_element();
  void add(TraceItem item);
  // Until all that was added before has been written.
  void flush();

 private:
  void run();
  void write(const std::vector<TraceItem>& items, std::uint64_t lost);

  os::AppendFile file_;
  std::string text_;             // of the thread
  bool has_complained_ = false;  // of the thread
  std::uint64_t unwritten_ = 0;  // of the thread: items that it could not write

  std::mutex mutex_;
  std::condition_variable changed_;  // the thread sleeps on it
  std::condition_variable written_;  // who flushes
  // All under mutex_:
  std::vector<TraceItem> items_;
  std::uint64_t added_ = 0;  // items ever, lost ones too
  std::uint64_t done_ = 0;   // of these: written or lost
  std::uint64_t lost_ = 0;   // since the last write
  bool is_urgent_ = false;
  bool is_ending_ = false;
  std::uint32_t elements_ = 0;

  std::thread thread_;  // last: it uses all of the above
};

// The tracer asks for a trace. It is opened when an element starts. There is
// one in a process: the last one that was asked for.
void ask_for_trace(const std::string& path);
// The trace that was asked for. Null: none was, or it cannot be written, which
// `problem` says then.
std::shared_ptr<TraceFile> open_trace(std::string& problem);

}  // namespace dispatch::stage
