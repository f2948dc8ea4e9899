// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Makes the workers of an element and lets go of them, while frames flow.
//
// For: all that takes time with workers: making one more, replacing one that
// died, ending one that is stuck, or that nobody needs, and making those of a
// stage that replaces another one. Not for: deciding (staffing), the workers
// that there are at first (stage_element).
// Thread: start(), stop() and replace() on any, not two at a time; the host is
// called on the supervisor's own thread. No lock is held.
// Failure: a worker that cannot be made is told of, and tried again as
// restart_policy says; a stage whose workers cannot be made leaves the one
// before in force.
#pragma once

#include <map>
#include <string>
#include <thread>

#include "stage/dispatcher.h"
#include "stage/workers.h"

namespace dispatch::stage {

class Supervisor {
 public:
  class Host {
   public:
    virtual ~Host() = default;
    virtual void on_news(const StaffingNews& news) = 0;
    virtual void on_made(const Worker& worker) = 0;
    // A worker could not be made, because of `problem`; `is_exhausted`: no more
    // are.
    virtual void on_not_made(const Problem& problem, bool is_exhausted) = 0;
    // Whether this description can replace the stage at all.
    virtual std::optional<Problem> check_stage(
        const std::string& description) = 0;
    // Its workers are there, and wait for Dispatcher::begin_generation(). What
    // was made before, and waits, is not waited for any more.
    virtual void on_stage_made(const std::string& description,
                               WorkerRoster::Generation generation,
                               std::shared_ptr<Worker> first) = 0;
    virtual void on_stage_not_made(const std::string& description,
                                   const Problem& problem) = 0;
  };

  // All are borrowed.
  Supervisor(Dispatcher& dispatcher, Workers& workers, Host& host)
      : dispatcher_(dispatcher), workers_(workers), host_(host) {}
  ~Supervisor() { stop(); }
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // `description`: of the stage that runs.
  void start(std::string description);
  // Waits until what it is at is over; making a worker is interrupted.
  void stop();

 private:
  void run();
  void carry_out(const Orders& orders);
  void make_one(unsigned number, WorkerRoster::Generation generation);
  void replace_stage(const std::string& description);
  std::optional<Problem> make_all(const std::string& description,
                                  WorkerList& made);

  Dispatcher& dispatcher_;
  Workers& workers_;
  Host& host_;
  std::thread thread_;
  // Of the thread: of each generation since the present one.
  std::map<WorkerRoster::Generation, std::string> descriptions_;
};

}  // namespace dispatch::stage
