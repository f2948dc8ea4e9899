// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The workers that an element has at the moment, and which of them are idle.
//
// For: giving a job to the right one, and saying whether an idle one is worth
// waking for it. The place to which workers come, and from which they go.
// Not for: what they do (frame_line), making or ending them (workers).
// Thread: confined (the owner locks). Of the workers it calls number() alone.
// Ownership: shared with whoever made the workers and with the jobs that are
// being handed over; a worker is known by its address, not by its place here.
#pragma once

#include <memory>
#include <vector>

#include "core/instant.h"
#include "core/wake_policy.h"
#include "stage/worker.h"

namespace dispatch::stage {

class WorkerRoster {
 public:
  // All of them are idle; the first one is the first to be taken.
  void set(std::vector<std::shared_ptr<Worker>> workers);
  void clear() { set({}); }
  const std::vector<std::shared_ptr<Worker>>& all() const { return workers_; }

  // The idle worker that had a job last: its stage is warm. With
  // `is_per_stream` the first worker, because state lives in one copy. Null if
  // there is none.
  std::shared_ptr<Worker> take_idle(bool is_per_stream);
  // `worker` is idle again; its stage took `service`. One that is not on the
  // roster (any more) stays so.
  void on_finished(const Worker& worker, core::Duration service);
  unsigned idle_count() const { return static_cast<unsigned>(idle_.size()); }
  // Else a running worker is done before an idle one is awake.
  bool is_worth_waking() const;

 private:
  std::vector<std::shared_ptr<Worker>> workers_;
  std::vector<std::shared_ptr<Worker>> idle_;  // taken from the back
  core::WakePolicy wake_policy_;
};

}  // namespace dispatch::stage
