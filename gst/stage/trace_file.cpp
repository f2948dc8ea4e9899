// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/trace_file.h"

#include <pthread.h>

#include <chrono>
#include <csignal>
#include <utility>

#include <gst/gst.h>

namespace dispatch::stage {

namespace {

// What a crash may lose, against how often the writer wakes.
constexpr std::chrono::milliseconds kWriteEvery{20};

// Some 20 MB, and in 20 ms more than elements can do.
constexpr std::size_t kMostItems = 1U << 16U;

// A pipe whose reader has left ends the trace, not the program.
void ignore_broken_pipes() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

struct Asked {
  std::mutex mutex;
  std::string path;                 // under mutex; empty: none
  std::shared_ptr<TraceFile> file;  // under mutex; null: not opened yet
};

Asked& asked() {
  // Never destroyed: elements may live until the process ends.
  static auto* const instance = new Asked;
  return *instance;
}

struct ToText {
  std::string& out;
  const core::TraceElement& element;
  void operator()(const core::TracedFrame& frame) const {
    core::append_frame(out, element, frame);
  }
  void operator()(const core::TracedJob& job) const {
    core::append_job(out, element, job);
  }
  void operator()(const std::string& lines) const { out += lines; }
};

}  // namespace

TraceFile::TraceFile(os::AppendFile file)
    : file_(std::move(file)), thread_([this] { run(); }) {}

TraceFile::~TraceFile() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::uint32_t TraceFile::next_element() {
  const std::lock_guard lock(mutex_);
  return ++elements_;
}

// Wakes nobody: the writer wakes by itself.
void TraceFile::add(TraceItem item) {
  const std::lock_guard lock(mutex_);
  ++added_;
  if (items_.size() < kMostItems)
    items_.push_back(std::move(item));
  else
    ++lost_;
}

void TraceFile::flush() {
  std::unique_lock lock(mutex_);
  is_urgent_ = true;
  changed_.notify_all();
  const std::uint64_t last = added_;
  written_.wait(lock, [&] { return done_ >= last; });
}

void TraceFile::run() {
  ignore_broken_pipes();
  std::vector<TraceItem> items;
  std::unique_lock lock(mutex_);
  while (!is_ending_ || !items_.empty()) {
    changed_.wait_for(lock, kWriteEvery,
                      [this] { return is_ending_ || is_urgent_; });
    is_urgent_ = false;
    std::swap(items, items_);
    const std::uint64_t lost = std::exchange(lost_, 0);
    const std::uint64_t last = added_;
    lock.unlock();
    write(items, lost);
    items.clear();
    lock.lock();
    done_ = last;
    written_.notify_all();
  }
}

// In one piece, so that what other processes write is not in between.
void TraceFile::write(const std::vector<TraceItem>& items, std::uint64_t lost) {
  if (items.empty()) return;
  text_.clear();
  lost += unwritten_;
  if (lost != 0)
    core::TraceEvent(text_, 'i', "setup", "lost",
                     items.back().element->output(),
                     std::chrono::steady_clock::now())
        .arg("items", lost);
  for (const TraceItem& item : items)
    std::visit(ToText{text_, *item.element}, item.what);
  const int error = file_.append(text_);
  unwritten_ = error == 0 ? 0 : lost + items.size();
  if (error == 0 || std::exchange(has_complained_, true)) return;
  GST_WARNING("the trace is not complete: %s", g_strerror(error));
}

void ask_for_trace(const std::string& path) {
  const std::lock_guard lock(asked().mutex);
  if (!asked().path.empty() && asked().path != path)
    g_warning("a program writes one trace: to %s, not to %s", path.c_str(),
              asked().path.c_str());
  asked().path = path;
  asked().file.reset();
}

std::shared_ptr<TraceFile> open_trace(std::string& problem) {
  const std::lock_guard lock(asked().mutex);
  if (asked().path.empty() || asked().file) return asked().file;
  auto file = os::AppendFile::open(asked().path, core::kTraceBegin);
  if (file)
    asked().file = std::make_shared<TraceFile>(file.take());
  else
    problem = file.error().text();
  return asked().file;
}

}  // namespace dispatch::stage
