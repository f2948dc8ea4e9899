// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Goes through everything that can happen between the sides of a hand-over: all
// interleavings of their steps, and of their stores on the way to memory.
//
// What runs on the little machine (weak_machine.h) are the functions of
// core/handshake.h themselves, with a word of the machine in place of an
// atomic. Around them stand the loops of a worker and of a dispatcher,
// shortened (process/worker_program, process/process_workers).
//
// Each proof has its counter-proof: with one of the steps left out, the machine
// must find what goes wrong.
#include "core/handshake.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "weak_machine.h"

namespace dispatch::core {
namespace {

constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr char kWrongWork[] = "wrong work";

// Counters begin here too: the next two steps wrap around.
constexpr std::uint32_t kNearWrap = std::numeric_limits<std::uint32_t>::max();

ThreadState with_locals(std::size_t count, std::uint32_t value) {
  ThreadState thread;
  thread.locals = Few<std::uint32_t, kMostLocals>(count, value);
  return thread;
}

// ---- One counter, as in the picture of core/handshake.h --------------------

class OneCounter {
 public:
  static constexpr unsigned kCounter = 0;
  static constexpr unsigned kSleeps = 1;
  static constexpr unsigned kWork = 2;

  OneCounter(unsigned rounds, std::uint32_t first)
      : rounds_(rounds), first_(first) {}

  bool gives_no_wake = false;

  Finding explore(const Defect& defect = {}) const {
    MachineState start;
    start.memory = Few<std::uint32_t, kMostWords>(kWork + rounds_);
    start.memory[kCounter] = first_;
    start.threads = Few<ThreadState, kMostThreads>(2, with_locals(1, first_));
    return Explorer(
               [this](Stepper& on, unsigned thread) {
                 thread == 0 ? give(on) : take(on);
               },
               defect)
        .explore(start);
  }

 private:
  void give(Stepper& on) const {
    ModelWord counter(on, kCounter);
    ModelWord work(on, work_of(on.local(0)));
    work.store(1, kRelaxed);
    ++on.local(0);
    if (publish(counter, on.local(0), ModelWord(on, kSleeps)) && !gives_no_wake)
      counter.wake();
    if (on.local(0) == first_ + rounds_) on.finish();
  }

  void take(Stepper& on) const {
    ModelWord counter(on, kCounter);
    ModelWord sleeps(on, kSleeps);
    const std::uint32_t seen = counter.load(kAcquire);
    if (seen == on.local(0)) {
      announce_sleep(sleeps);
      counter.wait(seen);
      end_sleep(sleeps);
      return;
    }
    ModelWord work(on, work_of(on.local(0)));
    on.require(work.load(kRelaxed) == 1, kWrongWork);
    work.store(2, kRelaxed);  // nobody takes it again
    ++on.local(0);
    if (on.local(0) == first_ + rounds_) on.finish();
  }

  unsigned work_of(std::uint32_t n) const {
    return kWork + std::min(n - first_, rounds_ - 1);
  }

  const unsigned rounds_;
  const std::uint32_t first_;
};

TEST(Handshake, LosesNoWakeUpAndTakesNothingTwice) {
  for (const std::uint32_t first : {std::uint32_t{0}, kNearWrap}) {
    const Finding finding = OneCounter(3, first).explore();
    EXPECT_EQ(finding.fault, "") << first;
    EXPECT_GT(finding.states, 1000U) << first;
    RecordProperty("states", static_cast<int>(finding.states));
  }
}

TEST(Handshake, NeedsTheGiversFence) {
  const Defect defect = {.no_fence_after = OneCounter::kCounter};
  EXPECT_EQ(OneCounter(2, 0).explore(defect).fault, kLostWakeUp);
}

TEST(Handshake, NeedsTheTakersFence) {
  const Defect defect = {.no_fence_after = OneCounter::kSleeps};
  EXPECT_EQ(OneCounter(2, 0).explore(defect).fault, kLostWakeUp);
}

TEST(Handshake, NeedsTheSecondLook) {
  const Defect defect = {.does_not_compare = true};
  EXPECT_EQ(OneCounter(2, 0).explore(defect).fault, kLostWakeUp);
}

TEST(Handshake, NeedsTheWake) {
  OneCounter sut(2, 0);
  sut.gives_no_wake = true;
  EXPECT_EQ(sut.explore().fault, kLostWakeUp);
}

TEST(Handshake, NeedsTheRelease) {
  const Defect defect = {.no_release_of = OneCounter::kCounter};
  EXPECT_EQ(OneCounter(2, 0).explore(defect).fault, kWrongWork);
}

// ---- Rings to and from several workers, and one bell -----------------------

class Rings {
 public:
  struct Size {
    unsigned workers = 1;
    unsigned entries = 1;   // of each ring; a power of two
    unsigned commands = 1;  // for each worker
    std::uint32_t first = 0;
  };
  explicit Rings(const Size& size) : size_(size) {}

  // What the dispatcher leaves out.
  bool looks_no_second_time = false;
  bool reads_bell_late = false;
  bool reuses_entries_early = false;

  static constexpr unsigned kBell = 0;
  // Words of a worker; the entries of both rings follow.
  enum Word : unsigned {
    kSubmitted,
    kWorkerSleeps,
    kCompleted,
    kDispatcherSleeps,
    kEntries
  };
  unsigned index_of(unsigned worker, unsigned word) const {
    return 1 + worker * (kEntries + 2 * size_.entries) + word;
  }

  Finding explore(const Defect& defect = {}) const;

 private:
  void run_worker(Stepper& on, unsigned worker) const;
  void run_dispatcher(Stepper& on) const;
  bool take_report(Stepper& on, unsigned worker) const;
  bool submit(Stepper& on, unsigned worker) const;
  void sleep(Stepper& on, std::uint32_t seen) const;
  bool has_report(Stepper& on, unsigned worker) const;

  ModelWord word(Stepper& on, unsigned worker, unsigned word) const {
    return {on, index_of(worker, word)};
  }
  ModelWord command(Stepper& on, unsigned worker, std::uint32_t n) const {
    return word(on, worker, kEntries + n % size_.entries);
  }
  ModelWord report(Stepper& on, unsigned worker, std::uint32_t n) const {
    return word(on, worker, kEntries + size_.entries + n % size_.entries);
  }
  std::uint32_t content_of(std::uint32_t n) const {
    return n - size_.first + 1;
  }
  std::uint32_t end() const { return size_.first + size_.commands; }

  // What the dispatcher, thread 0, keeps.
  static std::uint32_t& taken(Stepper& on, unsigned worker) {
    return on.local(2 * worker);
  }
  static std::uint32_t& submitted(Stepper& on, unsigned worker) {
    return on.local(2 * worker + 1);
  }

  const Size size_;
};

Finding Rings::explore(const Defect& defect) const {
  MachineState start;
  start.memory = Few<std::uint32_t, kMostWords>(index_of(size_.workers, 0));
  start.threads.push_back(
      with_locals(std::size_t{2} * size_.workers, size_.first));
  for (unsigned i = 0; i < size_.workers; ++i) {
    start.memory[index_of(i, kSubmitted)] = size_.first;
    start.memory[index_of(i, kCompleted)] = size_.first;
    start.threads.push_back(with_locals(1, size_.first));
  }
  return Explorer(
             [this](Stepper& on, unsigned thread) {
               thread == 0 ? run_dispatcher(on) : run_worker(on, thread - 1);
             },
             defect)
      .explore(start);
}

void Rings::run_worker(Stepper& on, unsigned worker) const {
  ModelWord submitted = word(on, worker, kSubmitted);
  std::uint32_t& n = on.local(0);
  const std::uint32_t seen = submitted.load(kAcquire);
  if (seen == n) {
    ModelWord sleeps = word(on, worker, kWorkerSleeps);
    announce_sleep(sleeps);
    submitted.wait(seen);
    end_sleep(sleeps);
    return;
  }
  ModelWord command = this->command(on, worker, n);
  const std::uint32_t content = command.load(kRelaxed);
  on.require(content == content_of(n), kWrongWork);
  report(on, worker, n).store(content, kRelaxed);
  on.require(command.load(kRelaxed) == content, kWrongWork);
  ++n;
  ModelWord completed = word(on, worker, kCompleted);
  if (publish(completed, n, word(on, worker, kDispatcherSleeps)))
    ModelWord(on, kBell).ring();
  if (n == end()) on.finish();
}

void Rings::run_dispatcher(Stepper& on) const {
  const std::uint32_t seen = ModelWord(on, kBell).load(kAcquire);
  bool has_done_something = false;
  bool is_done = true;
  for (unsigned i = 0; i < size_.workers; ++i) {
    has_done_something = take_report(on, i) || has_done_something;
    has_done_something = submit(on, i) || has_done_something;
    is_done = is_done && taken(on, i) == end();
  }
  if (is_done) {
    on.finish();
  } else if (!has_done_something) {
    sleep(on, seen);
  }
}

bool Rings::has_report(Stepper& on, unsigned worker) const {
  return word(on, worker, kCompleted).load(kAcquire) != taken(on, worker);
}

bool Rings::take_report(Stepper& on, unsigned worker) const {
  if (!has_report(on, worker)) return false;
  std::uint32_t& n = taken(on, worker);
  const std::uint32_t content = report(on, worker, n).load(kRelaxed);
  on.require(content == content_of(n), kWrongWork);
  ++n;
  return true;
}

bool Rings::submit(Stepper& on, unsigned worker) const {
  std::uint32_t& n = submitted(on, worker);
  const unsigned room = size_.entries + (reuses_entries_early ? 1 : 0);
  if (n == end() || n - taken(on, worker) == room) return false;
  command(on, worker, n).store(content_of(n), kRelaxed);
  ++n;
  ModelWord submitted = word(on, worker, kSubmitted);
  if (publish(submitted, n, word(on, worker, kWorkerSleeps))) submitted.wake();
  return true;
}

void Rings::sleep(Stepper& on, std::uint32_t seen) const {
  for (unsigned i = 0; i < size_.workers; ++i) {
    ModelWord sleeps = word(on, i, kDispatcherSleeps);
    announce_sleep(sleeps);
  }
  bool has_more = false;
  for (unsigned i = 0; i < size_.workers && !looks_no_second_time; ++i)
    has_more = has_report(on, i) || has_more;
  ModelWord bell(on, kBell);
  if (!has_more) bell.wait(reads_bell_late ? bell.load(kAcquire) : seen);
  for (unsigned i = 0; i < size_.workers; ++i) {
    ModelWord sleeps = word(on, i, kDispatcherSleeps);
    end_sleep(sleeps);
  }
}

const Rings::Size kTwoWorkers = {.workers = 2, .commands = 2};

TEST(Handshake, RingIsUsedAgainAndAgainWithoutOverwriting) {
  for (const std::uint32_t first : {std::uint32_t{0}, kNearWrap}) {
    const Finding finding =
        Rings({.entries = 2, .commands = 5, .first = first}).explore();
    EXPECT_EQ(finding.fault, "") << first;
    EXPECT_GT(finding.states, 1000U) << first;
    RecordProperty("states", static_cast<int>(finding.states));
  }
}

TEST(Handshake, OneBellForSeveralWorkersLosesNoWakeUp) {
  const Finding finding = Rings(kTwoWorkers).explore();
  EXPECT_EQ(finding.fault, "");
  EXPECT_GT(finding.states, 1000U);
  RecordProperty("states", static_cast<int>(finding.states));
}

TEST(Handshake, RingNeedsEntriesThatAreUsedAgainOnlyAfterTheirReport) {
  Rings sut({.entries = 2, .commands = 4});
  sut.reuses_entries_early = true;
  EXPECT_EQ(sut.explore().fault, kWrongWork);
}

TEST(Handshake, BellNeedsTheSecondLookAtAllWorkers) {
  Rings sut(kTwoWorkers);
  sut.looks_no_second_time = true;
  EXPECT_EQ(sut.explore().fault, kLostWakeUp);
}

TEST(Handshake, BellMustBeReadBeforeTheLook) {
  Rings sut(kTwoWorkers);
  sut.reads_bell_late = true;
  EXPECT_EQ(sut.explore().fault, kLostWakeUp);
}

TEST(Handshake, BellNeedsEachFence) {
  const Rings sut(kTwoWorkers);
  for (const Rings::Word word : {Rings::kSubmitted, Rings::kWorkerSleeps,
                                 Rings::kCompleted, Rings::kDispatcherSleeps}) {
    const Defect defect = {.no_fence_after = sut.index_of(1, word)};
    EXPECT_EQ(sut.explore(defect).fault, kLostWakeUp) << word;
  }
}

TEST(Handshake, BellNeedsEachRelease) {
  const Rings sut(kTwoWorkers);
  for (const Rings::Word word : {Rings::kCompleted, Rings::kSubmitted}) {
    const Defect defect = {.no_release_of = sut.index_of(1, word)};
    EXPECT_EQ(sut.explore(defect).fault, kWrongWork) << word;
  }
}

}  // namespace
}  // namespace dispatch::core
