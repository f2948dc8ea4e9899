// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The workers that an element has at the moment, and what each of them is at.
//
//              take_idle()
//     idle ------------------> busy --set_aside()--> busy, set aside
//      ^ \ <--on_finished()---/  \                        |
//      |  resize()                \-- on_lost() --\       | on_finished()
//      v                                          v       v
//    parked           leaving <-- remove() ----- lost     idle, or parked
//
// For: giving a job to the right one, and saying whether an idle one is worth
// waking for it. The place to which workers come, and from which they go: a
// parked one waits, ready-made, until more are to work; one that is set aside
// is busy with what nobody waits for any more, and another one works in its
// place. When the stage is replaced a new generation of workers begins; those
// of earlier ones finish what is theirs. Not for: what they do (frame_line),
// how many there should be (staffing), making or ending them (workers).
// Thread: confined (the owner locks). Of the workers it calls number() and
// has_ended() alone.
// Ownership: shared with whoever made the workers and with the jobs that are
// being handed over; a worker is known by its address, not by its place here.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/frame_record.h"
#include "core/instant.h"
#include "core/wake_policy.h"
#include "stage/worker.h"

namespace dispatch::stage {

using WorkerList = std::vector<std::shared_ptr<Worker>>;

class WorkerRoster {
 public:
  using Generation = unsigned;

  // All of them are idle, of the present generation, and as many as there
  // should be; the first one is the first to be taken.
  void set(const WorkerList& workers);
  void clear() { set({}); }
  WorkerList all() const;

  // A new worker of the present generation, parked unless it has work to do.
  // It is leaving if it has ended meanwhile, or that is an earlier one by now.
  void add(std::shared_ptr<Worker> worker, Generation generation);
  // It has ended, or is to: it gets no job any more. It is leaving when it has
  // none.
  void remove(const Worker& worker);
  // It is gone.
  void forget(const Worker& worker);
  // The parked one that has been there longest.
  void remove_parked();
  // Those that wait to be let go of.
  WorkerList leaving() const;
  bool has_leaving() const;

  // Workers of the present generation that may work at the same time, besides
  // those that are set aside.
  void resize(unsigned size);
  unsigned size() const { return size_; }

  Generation generation() const { return generation_; }
  // The workers of the next generation, which wait for it to begin. Those that
  // were offered before, and still wait, are leaving.
  Generation offer(const WorkerList& workers);
  // The workers that were offered as this generation take over. False: others
  // have been offered since.
  bool begin_generation(Generation generation);
  bool has_any(Generation generation) const;
  // Nothing is left that needs a worker of an earlier generation.
  void end_earlier_generations();

  // The idle worker that had a job last: its stage is warm. Null if there is
  // none.
  std::shared_ptr<Worker> take_idle(Generation generation,
                                    core::Sequence sequence,
                                    core::MonotonicTime now);
  // `worker` is done with its job; its stage took `service`. Whether it had
  // been set aside.
  bool on_finished(const Worker& worker, core::Duration service);
  // `worker` came to an end with its job: it gets no other one. It is leaving
  // when it is removed.
  void on_lost(const Worker& worker);
  struct Busy {
    std::shared_ptr<Worker> worker;
    core::Sequence sequence;
    core::MonotonicTime since;
    bool is_set_aside;
    core::MonotonicTime set_aside_at;
    bool is_removed;  // it goes when it is done
  };
  // Nobody waits for the job of `worker` any more: another one takes its place.
  // Nothing if it has none, or is set aside.
  std::optional<Busy> set_aside(const Worker& worker, core::MonotonicTime now);
  std::vector<Busy> busy() const;

  // One of the present generation that works and has no job.
  bool is_idle(const Worker& worker) const;
  // Whether its stage has ever finished a job.
  bool has_finished(const Worker& worker) const;

  // Of the present generation.
  unsigned idle_count() const { return static_cast<unsigned>(idle_.size()); }
  unsigned active_count() const;  // idle or busy, not set aside
  unsigned parked_count() const;
  unsigned lost_count() const;       // that are not removed yet
  unsigned set_aside_count() const;  // of all generations
  unsigned count() const { return static_cast<unsigned>(members_.size()); }
  // The lowest ones that no worker has.
  std::vector<unsigned> free_numbers(unsigned count) const;

  // Else a running worker is done before an idle one is awake.
  bool is_worth_waking() const;

 private:
  enum class State { kIdle, kBusy, kParked, kLost, kLeaving };
  struct Member {
    std::shared_ptr<Worker> worker;
    Generation generation = 0;
    State state = State::kIdle;
    bool is_set_aside = false;  // while busy
    bool is_removed = false;    // while busy
    bool has_finished = false;
    core::Sequence sequence = 0;
    core::MonotonicTime since{};
    core::MonotonicTime set_aside_at{};
  };
  static Busy to_busy(const Member& member);
  Member* find(const Worker& worker);
  const Member* find(const Worker& worker) const;
  bool is_current(const Member& member) const {
    return member.generation == generation_;
  }
  unsigned count(State state) const;
  void insert(std::shared_ptr<Worker> worker, Generation generation);
  void put(Member& member);
  void fill();

  std::vector<Member> members_;
  WorkerList idle_;  // of the present generation; taken from the back
  unsigned size_ = 0;
  Generation generation_ = 0;
  Generation last_offered_ = 0;
  core::WakePolicy wake_policy_;
};

}  // namespace dispatch::stage
