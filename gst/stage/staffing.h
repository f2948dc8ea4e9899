// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How many workers an element has, and what is to be done about it.
//
// For: bringing together what is decided in gst/core (pool_size, cpu_allowance,
// restart_policy, stall_policy) with who is there (worker_roster). What can be
// had by waking or parking a worker is done at once; what takes time, making a
// worker or ending one, becomes Orders for the supervisor. Not for: carrying
// them out (supervisor), who does which frame (frame_line).
// Thread: confined (the owner locks); needs a Section of its Wakes.
// Failure: when workers die faster than frames are done it is exhausted: no
// more are made.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/cpu_allowance.h"
#include "core/pool_size.h"
#include "core/restart_policy.h"
#include "core/stall_policy.h"
#include "stage/wakes.h"
#include "stage/worker_roster.h"

namespace dispatch::stage {

// What becomes of the stream when no more workers are made (`on-exhausted`).
enum class OnExhausted : std::uint8_t { kError, kBypass };

// What the user, the stage and the kind of workers say.
struct StaffingLimits {
  unsigned min = 1;
  unsigned max = 0;                // 0: from the CPU allowance
  std::optional<unsigned> spares;  // parked ones to keep ready; none: automatic
  bool are_processes = false;      // take long to start, and can die
  unsigned restart_limit = 0;
  std::optional<core::Duration> stall_timeout;
};

// What happened, for messages on the bus.
struct StaffingNews {
  enum class Kind {
    kSetAside,  // nobody waits any more for the frame that `worker` has
    kStuck,     // it has had it for longer than the stall timeout
    kPoison,    // `frame` ended `count` workers, and is not tried again
    kTooSlow,   // one frame takes `busy_for`, longer than the budget
    kKeyUnit,   // from `frame` on there is nothing to do before a key frame
  };
  Kind kind{};
  unsigned worker = 0;
  core::Sequence frame = 0;
  core::Duration busy_for{};
  unsigned count = 0;
};

// What takes time, and is done without the lock.
struct Orders {
  std::optional<std::string> new_stage;  // the description that replaces it
  bool is_one_to_make = false;
  unsigned number = 0;  // of the one to make
  WorkerRoster::Generation generation = 0;
  WorkerList let_go;
  WorkerList kill;  // stuck for good
  std::vector<StaffingNews> news;
  // Without anything happening there are others then.
  std::optional<core::MonotonicTime> next;

  bool has_any() const {
    return new_stage || is_one_to_make || !let_go.empty() || !kill.empty() ||
           !news.empty();
  }
};

class Staffing {
 public:
  // All are borrowed.
  Staffing(WorkerRoster& workers, Wakes& wakes, core::CpuAllowance& allowance)
      : workers_(workers), wakes_(wakes), share_(allowance) {}

  void set_limits(const StaffingLimits& limits);
  // Frames have due times: only then is anybody set aside. `budget`: what they
  // may take then.
  void set_due_times(bool apply, core::Duration budget) {
    has_due_times_ = apply;
    budget_ = budget;
  }
  // Workers that an element may ever have at a time, parked ones and those that
  // are set aside among them.
  unsigned most() const;
  // Of those that may work at the same time.
  unsigned permitted() const { return share_.permitted(); }

  void start();
  void stop();

  // What happens to frames. `facts` of those that wait now.
  using Facts = core::PoolSize::Facts;
  void on_arrival(core::MonotonicTime now) { size_.on_arrival(now); }
  // A worker has got one.
  void on_begun(core::MonotonicTime now);
  void on_finished(const Worker& worker, core::Duration service,
                   core::MonotonicTime now);
  void on_rescued(core::MonotonicTime now) { size_.on_rescued(now); }
  // The frame that `worker` has is not waited for any more; news if that is
  // because it `is_overdue`.
  void set_aside(const Worker& worker, bool is_overdue,
                 core::MonotonicTime now);
  // As many work as there should.
  void review(const Facts& facts, core::MonotonicTime now);

  // A worker is there no more, though nobody wanted that, or it could not be
  // made. `was_useful`: it had done frames.
  void on_death(bool was_useful, core::MonotonicTime now);
  bool is_exhausted() const { return restarts_.is_exhausted(); }
  void tell(const StaffingNews& news);

  // Its workers are to be made; begin_generation() when they take over.
  void replace_stage(const std::string& description);
  // False: another one is to replace it.
  bool begin_generation(WorkerRoster::Generation generation);

  // The supervisor's.
  Orders give_orders(core::MonotonicTime now);

  const core::PoolSize& size() const { return size_; }
  std::optional<core::Duration> mean_service() const {
    return stalls_.mean_service();
  }
  unsigned deaths() const { return deaths_; }

 private:
  void limit_size();
  unsigned spares() const;
  std::optional<core::Duration> stall_timeout() const {
    return stalls_.timeout(limits_.stall_timeout, has_due_times_);
  }
  void look_at(core::MonotonicTime time);
  void judge_service(const Worker& worker);
  void order_kills(Orders& orders, core::MonotonicTime now);
  void order_one_more(Orders& orders, core::MonotonicTime now);
  void order_fewer(Orders& orders, core::MonotonicTime now);

  WorkerRoster& workers_;
  Wakes& wakes_;
  StaffingLimits limits_;
  bool has_due_times_ = false;
  core::Duration budget_{};
  bool is_too_slow_ = false;  // which has been told
  core::AllowanceShare share_;
  core::PoolSize size_;
  core::RestartPolicy restarts_;
  core::StallPolicy stalls_;
  // When the supervisor looks again by itself; in the past: it is awake.
  std::optional<core::MonotonicTime> next_orders_;
  std::optional<core::MonotonicTime> not_before_;  // a worker is made
  std::optional<core::MonotonicTime> surplus_since_;
  std::vector<StaffingNews> news_;
  std::optional<std::string> new_stage_;
  // Stuck ones that have been ordered to be killed, by the frame they have.
  std::vector<core::Sequence> given_up_;
  unsigned deaths_ = 0;
};

}  // namespace dispatch::stage
