// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The worker threads of one element, and their copies of the levels of its
// ladder.
//
// For: building the copies inside the element, which is a bin, and starting and
// ending the threads. A worker that is not started runs its jobs on the thread
// that brings them. Not for: what the workers do (dispatcher).
// Thread: as said in stage/workers.h.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "stage/ladder.h"
#include "stage/thread_worker.h"
#include "stage/workers.h"

namespace dispatch::stage {

class ThreadWorkers final : public Workers {
 public:
  // Called for each copy (transfer none) when it has been built.
  using SetupFn =
      std::function<void(GstElement* copy, unsigned worker, unsigned level)>;

  // `bin` (transfer none): the element. `ladder`: its levels; those that it has
  // at build() count.
  ThreadWorkers(GstElement* bin, Ladder& ladder, SetupFn setup);

  // Copies are children of the bin afterwards and follow its state. A copy that
  // is busy when it is let go of, or the element closes, leaves the bin and
  // takes itself down when it comes back.
  std::optional<Problem> build(ParsedStage first, WorkersPlan plan) override;
  void start() override;
  Made make(const std::string& description, unsigned number) override;
  bool refuse_made(const std::string& worker, const Problem& problem) override;
  void let_go(Worker& worker) override;
  void lead(Worker& worker) override;
  void begin_close() override;
  void finish_close() override;

  unsigned count() const override;
  std::vector<std::shared_ptr<Worker>> all() const override;
  std::optional<Problem> on_caps(GstCaps* caps) override;
  CapsPtr common_output(GstCaps* input) override;
  void relearn() override;

  bool query_input(GstQuery* query) const override;
  bool query_output(GstQuery* query) const override;
  bool event_at_output(EventPtr event) const override;

 private:
  using Built = std::variant<std::shared_ptr<ThreadWorker>, Problem>;
  Built add(ParsedStage full, unsigned number);
  std::unique_ptr<StageCopy> new_copy(ParsedStage stage, unsigned number,
                                      unsigned level);
  static bool start_made(ThreadWorker& worker);
  void take_out(ThreadWorker& worker);
  void detach(ThreadWorker& worker);
  void remove_copies(ThreadWorker& worker);
  bool finish(ThreadWorker& worker);
  std::shared_ptr<ThreadWorker> front() const;

  GstElement* const bin_;
  Ladder& ladder_;
  const SetupFn setup_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<ThreadWorker>> workers_;  // under mutex_
  struct BuiltLevel {
    std::shared_ptr<LadderLevel> level;
    std::string description;  // another one holds from the next build() on
    std::shared_ptr<core::OriginalKeeping> keeping;  // of all its copies
  };
  std::vector<BuiltLevel> levels_;  // from build() on
  std::shared_ptr<Negotiation> negotiation_;
  std::shared_ptr<WorkerListener> listener_;
  std::optional<unsigned> making_;  // its number; under mutex_
  std::optional<Problem> refusal_;  // of what is being made; under mutex_
};

}  // namespace dispatch::stage
