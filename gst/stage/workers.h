// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The workers of one element: what an element needs of them, be they threads
// or processes.
//
// For: building, starting and ending workers; asking their stage what it takes
// and gives; bringing frames to where the workers can reach them. Not for:
// which worker does what (dispatcher), wiring (stage_element).
// Thread: build() to finish_close() on the thread of the state change; the
// others are thread-safe. No lock is held while calling into GStreamer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/instant.h"
#include "stage/negotiation.h"
#include "stage/stage_description.h"
#include "stage/worker.h"

namespace dispatch::stage {

// What goes wrong with workers, for the user.
struct Problem {
  std::string message;  // names the culprit
  std::string way_out;
};

// The end of a worker that nobody wanted to end.
struct Loss {
  std::string worker;  // "worker0"
  int pid = 0;
  std::string how;  // "was killed by signal 9 (Killed)"
  std::string log;  // the last lines that it wrote to stderr; may be empty
  Problem problem;  // the error, if the element goes no further without it
};

// Where workers say what does not belong to a job. Thread-safe; no lock held.
class WorkersHost {
 public:
  virtual ~WorkersHost() = default;

  // It is to be let go of. Its jobs come back by WorkerListener::on_lost(),
  // before this or after it. Told of a worker that has been made; what goes
  // wrong before is told by make().
  virtual void on_worker_lost(Worker& worker, const Loss& loss) = 0;

  // The element goes no further: told once.
  virtual void on_problem(const Problem& problem) = 0;
  // An ERROR of `source`, an element of the stage; `worker` is "worker0".
  virtual void on_stage_error(const std::string& worker,
                              const std::string& source, const GError* error,
                              const char* debug) = 0;
  // An element of the stage of `worker` starts a thread of its own.
  virtual void on_stage_thread(const std::string& worker,
                               const std::string& element) = 0;
};

// Ends of jobs that are found by looking into memory, instead of being told by
// a thread of the worker's. Thread-safe.
class Reports {
 public:
  virtual ~Reports() = default;

  // Calls WorkerListener::on_finished() for each job that has ended since the
  // last time, and says whether there was any. One thread at a time does it;
  // another one returns at once. No lock may be held.
  virtual bool take() = 0;
  // A state of the bell, for wait().
  virtual std::uint32_t look() const = 0;
  // Sleeps until a job ends, ring() is called after the look() that gave
  // `seen`, or `until` comes. May return early.
  virtual void wait(std::uint32_t seen,
                    std::optional<core::MonotonicTime> until) = 0;
  virtual void ring() = 0;
};

struct WorkersPlan {
  std::string description;
  unsigned count = 1;  // that there are at first
  unsigned most = 1;   // that there ever are at a time
  std::shared_ptr<Negotiation> negotiation;
  std::shared_ptr<WorkerListener> listener;
};

class Workers {
 public:
  virtual ~Workers() = default;

  // NULL to READY: whether what the element is set to can be had at all.
  virtual std::optional<Problem> check() { return std::nullopt; }
  // READY to PAUSED. `first` is the description, parsed once already.
  virtual std::optional<Problem> build(ParsedStage first, WorkersPlan plan) = 0;
  // When pads and copies are in PAUSED.
  virtual void start() = 0;
  // One more worker, for `description` (of the plan, or what replaces it), with
  // a number that no other has. Ready for its first job; no job is given to it
  // before it is returned. Blocks as long as the stage takes to start. On the
  // supervisor's thread, between start() and begin_close().
  using Made = std::variant<std::shared_ptr<Worker>, Problem>;
  virtual Made make(const std::string& description, unsigned number) = 0;
  // Something is wrong with worker "worker3". Whether it is being made: then
  // that is what make() returns, and nobody else's business. Any thread.
  virtual bool refuse_made(const std::string& worker, const Problem& problem) {
    return false;
  }
  // Ends a make() that goes on, and all later ones, until build(). Any thread.
  virtual void interrupt_make() {}
  // Lets go of a worker: an idle one ends, a busy thread is set aside, a
  // process that does not end is killed. What it has comes back by on_lost(),
  // or is of no interest. Never waits for the stage. On the supervisor's
  // thread.
  virtual void let_go(Worker& worker) = 0;
  // Questions to the stage are for this worker and those made after it: its
  // description has replaced that of the others.
  virtual void lead(Worker& worker) = 0;
  // Ends the idle ones; a busy one is not waited for.
  virtual void begin_close() = 0;
  // Lets go of the rest, when the pads are quiet.
  virtual void finish_close() = 0;

  // They take long to start, and can die.
  virtual bool are_processes() const { return false; }
  virtual unsigned count() const = 0;
  // Whether there is somebody to ask, or soon will be.
  virtual bool exist() const { return count() != 0; }
  virtual std::vector<std::shared_ptr<Worker>> all() const = 0;
  // Null if the workers call their listener themselves.
  virtual std::shared_ptr<Reports> reports() { return nullptr; }
  // The element went to PLAYING with this clock and base time.
  virtual void play(GstElement* element) {}

  // New input caps: whether the workers can take such memory, and are to learn
  // anew what the stage does with it.
  virtual std::optional<Problem> on_caps(GstCaps* caps) = 0;
  // The caps that all levels of a copy can give for `input`; null: there is
  // only one level, which may give what it can.
  virtual CapsPtr common_output(GstCaps* input) { return nullptr; }
  // The stage is to choose anew.
  virtual void relearn() {}

  // Makes of a frame one that the workers can reach; `copied` counts what had
  // to be copied for it. Nothing: interrupted, or an error that was told to the
  // host.
  struct Copied {
    std::uint64_t buffers = 0;
    std::uint64_t bytes = 0;
  };
  virtual std::optional<Frame> bring_in(Frame frame, Copied& copied) {
    return frame;
  }
  // Ends waits in bring_in() until interrupt(false).
  virtual void interrupt(bool on) {}
  // Adds memory that the workers can reach to the answer of upstream's
  // ALLOCATION query. Whether it has; of memory that should be there and is
  // not, the host is told.
  virtual bool offer_memory(GstQuery* query, unsigned min_buffers) {
    return false;
  }

  // Through the stage of a worker. False without workers too.
  virtual bool query_input(GstQuery* query) const = 0;   // as from upstream
  virtual bool query_output(GstQuery* query) const = 0;  // as from downstream
  virtual bool event_at_output(EventPtr event) const = 0;
};

}  // namespace dispatch::stage
