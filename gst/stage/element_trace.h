// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What one element tells a trace, while there is one.
//
// For: the frames, jobs, counters, decisions and settings of an element, in the
// words of docs/trace.md. Where no trace was asked for, each call is a look at
// a pointer. Not for: how events look (core/trace_text), writing them
// (trace_file).
// Thread: on_news() on any thread; the others need the Section of the line.
// Failure: none; what cannot be written is the file's business.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <gst/gst.h>

#include "core/due_time.h"
#include "core/trace_text.h"
#include "stage/level_chooser.h"
#include "stage/trace_file.h"
#include "stage/worker.h"
#include "stage/worker_roster.h"

namespace dispatch::stage {

class ElementTrace {
 public:
  // `element` (transfer none) outlives this.
  explicit ElementTrace(GstElement* element) : element_(element) {}

  void start(std::shared_ptr<TraceFile> file);
  // `sums`: of all frames, in the end. Returns the file, to be flushed without
  // the Section; null: there was none.
  std::shared_ptr<TraceFile> stop(const core::FrameSums& sums);
  bool is_on() const { return open_ != nullptr; }

  // When they have changed, too.
  void on_due_inputs(const core::DueTimeInputs& inputs);
  // The counters, when they have changed. `because`: why there are as many
  // workers.
  void on_counts(const core::FrameSums& sums, const WorkerRoster& workers,
                 const char* because);
  void on_taken(const Worker& worker, core::Sequence sequence, unsigned level,
                core::MonotonicTime now);
  // Its worker was done with it. `is_late`: the frame has left already.
  void on_finished(const Worker& worker, const JobResult& result, bool is_late);
  // The worker died with it.
  void on_lost(const Worker& worker);
  // `chooser`: null where no levels are chosen.
  void on_left(const core::FrameRecord& record,
               const std::optional<core::LevelVerdict>& verdict,
               const LevelChooser* chooser);
  // What the user is told by a message (transfer none).
  void on_news(const GstStructure* news);

 private:
  struct Job {
    core::Sequence sequence = 0;
    unsigned level = 0;
    core::MonotonicTime taken{};
  };
  // What the counters show.
  struct Counts {
    std::uint64_t in_flight = 0;
    std::uint64_t copies = 0;
    unsigned active = 0;
    unsigned parked = 0;
    unsigned set_aside = 0;

    bool operator==(const Counts&) const = default;
  };
  // What the events of the element go to.
  struct Open {
    std::shared_ptr<TraceFile> file;
    std::shared_ptr<const core::TraceElement> self;

    void tell(TraceItem item) const;
    void tell_text(std::string lines) const;
    void tell_structure(const char* category,
                        const GstStructure* structure) const;
  };
  const core::TraceElement& self() const { return *open_->self; }
  void tell_job(const Worker& worker, core::TracedJob job);
  void name_tracks(const Worker& worker);
  void tell_counter(const char* what, const char* key, std::uint64_t value);
  void tell_workers(const Counts& counts, const char* because);

  GstElement* const element_;
  // From start() to stop(). Changes under a Section and open_mutex_.
  std::mutex open_mutex_;
  std::shared_ptr<const Open> open_;
  // Of the Section:
  std::map<const Worker*, Job> jobs_;
  std::set<std::pair<unsigned, int>> named_;  // workers and their processes
  std::optional<core::DueTimeInputs> due_inputs_;
  std::optional<Counts> shown_;
  std::optional<unsigned> shown_level_;
};

// The trace that was asked for; null: none was, or it cannot be written, which
// is a warning of `element` then. Posts, so no lock may be held.
std::shared_ptr<TraceFile> open_trace_for(GstElement* element);

}  // namespace dispatch::stage
