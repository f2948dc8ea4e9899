// SPDX-License-Identifier: LGPL-2.1-or-later
#include "shared_gate.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <new>
#include <span>
#include <string>

#include "os/futex.h"
#include "os/memfd.h"
#include "patience.h"

namespace dispatch::test {

void give_up(const char* waited_for) {
  std::fprintf(stderr, "waited in vain: %s\n", waited_for);
  std::abort();
}

namespace {

constexpr char kWhereVariable[] = "GST_DISPATCH_TEST_GATES";
constexpr std::size_t kMaxGates = 8;       // at a time
constexpr std::size_t kMaxNumbers = 4096;  // in each list of a gate

// Between processes; a process that dies with it leaves it to the next one.
class RobustMutex {
 public:
  RobustMutex() {
    pthread_mutexattr_t how;
    pthread_mutexattr_init(&how);
    pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&mutex_, &how);
    pthread_mutexattr_destroy(&how);
  }
  void lock() {
    if (pthread_mutex_lock(&mutex_) == EOWNERDEAD)
      pthread_mutex_consistent(&mutex_);
  }
  void unlock() { pthread_mutex_unlock(&mutex_); }

 private:
  pthread_mutex_t mutex_;
};

class NumberList {
 public:
  void add(std::uint64_t number) {
    if (count_ == kMaxNumbers) give_up("room for one more number in a gate");
    numbers_[count_] = number;
    ++count_;
  }
  // The first one that is equal; none is fine.
  void remove(std::uint64_t number) {
    const auto end = numbers_.begin() + count_;
    const auto found = std::find(numbers_.begin(), end, number);
    if (found == end) return;
    std::copy(found + 1, end, found);
    --count_;
  }
  void clear() { count_ = 0; }
  bool contains(std::uint64_t number) const {
    return std::ranges::count(all(), number) != 0;
  }
  std::span<const std::uint64_t> all() const {
    return std::span(numbers_).first(count_);
  }

 private:
  std::uint32_t count_ = 0;
  std::array<std::uint64_t, kMaxNumbers> numbers_{};
};

}  // namespace

struct SharedGate {
  mutable RobustMutex mutex;
  // Goes on with each change. Waits are on a futex: a condition variable of
  // glibc does not outlive the death of a process that waits.
  os::FutexWord changes{0};
  // All under mutex:
  std::uint64_t generation = 1;  // of those who have claimed it
  bool is_claimed = false;
  bool holds_all = false;
  std::uint64_t next_number = 0;
  NumberList held;
  NumberList released;
  NumberList holding;
  NumberList seen;

  bool stops(std::uint64_t number) const {
    return (holds_all || held.contains(number)) && !released.contains(number);
  }

  void reset() {
    holds_all = false;
    next_number = 0;
    for (NumberList* list : {&held, &released, &holding, &seen}) list->clear();
  }

  void tell_change() {
    ++changes;
    os::futex_wake(changes);
  }

  void wait(std::unique_lock<RobustMutex>& lock, const char* what,
            const std::function<bool()>& is_so) const {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!is_so()) {
      const std::uint32_t last = changes;
      lock.unlock();
      if (!os::futex_wait(changes, last, end)) give_up(what);
      lock.lock();
    }
  }

  // On the frame's thread.
  void pass(std::unique_lock<RobustMutex>& lock, std::uint64_t number) {
    const std::uint64_t own = generation;
    seen.add(number);
    holding.add(number);
    tell_change();
    wait(lock, "a gate to open",
         [&] { return generation != own || !stops(number); });
    if (generation != own) return;
    holding.remove(number);
    tell_change();
  }
};

namespace {

struct SharedGates {
  // Of the stages that are built: generation, and the index in the last digit;
  // 0: none.
  std::atomic<std::uint64_t> in_stages{0};
  std::array<SharedGate, kMaxGates> gates;
};

// Stays until the process ends: whoever stands at a gate may outlive all else.
const os::Mapping* map(int fd) {
  os::Result<os::Mapping> mapping = os::Mapping::make(
      fd, sizeof(SharedGates), os::Mapping::Access::kReadWrite);
  if (!mapping) give_up(mapping.error().text().c_str());
  return new os::Mapping(mapping.take());
}

SharedGates* gates_in(const os::Mapping* mapping) {
  return reinterpret_cast<SharedGates*>(mapping->data());
}

const os::Mapping* make_gates() {
  os::Result<os::UniqueFd> fd =
      os::create_memfd("test-gates", sizeof(SharedGates));
  if (!fd) give_up(fd.error().text().c_str());
  const os::Mapping* const mapping = map(fd->get());
  new (mapping->data()) SharedGates;
  const std::string where = "/proc/" + std::to_string(getpid()) + "/fd/" +
                            std::to_string(fd->release());
  // NOLINTNEXTLINE(concurrency-mt-unsafe): main() calls prepare_gates() first
  setenv(kWhereVariable, where.c_str(), /*overwrite=*/1);
  return mapping;
}

// Those of the test program that has started this process. (nullable)
const os::Mapping* open_gates() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody sets any in a worker
  const char* where = std::getenv(kWhereVariable);
  if (where == nullptr) return nullptr;
  const os::UniqueFd fd(open(where, O_RDWR | O_CLOEXEC));
  if (!fd) give_up(where);
  return map(fd.get());
}

std::atomic<SharedGates*> own_gates{nullptr};

SharedGates& gates_of_test() {
  static const os::Mapping* const mapping = make_gates();
  static SharedGates* const gates = own_gates = gates_in(mapping);
  return *gates;
}

SharedGates* gates_of_stage() {
  if (SharedGates* own = own_gates) return own;
  static const os::Mapping* const mapping = open_gates();
  return mapping != nullptr ? gates_in(mapping) : nullptr;
}

}  // namespace

void prepare_gates() { gates_of_test(); }

// ---- GateHandle ------------------------------------------------------------

GateHandle::GateHandle(SharedGate& gate, std::uint64_t generation)
    : gate_(&gate), generation_(generation) {}

bool GateHandle::is_there_locked() const {
  return gate_->is_claimed && gate_->generation == generation_;
}

GateHandle GateHandle::claim() {
  for (SharedGate& gate : gates_of_test().gates) {
    const std::lock_guard lock(gate.mutex);
    if (gate.is_claimed) continue;
    gate.is_claimed = true;
    gate.reset();
    return {gate, gate.generation};
  }
  give_up("a gate that is free");
}

void GateHandle::let_go() const {
  const std::lock_guard lock(gate_->mutex);
  gate_->is_claimed = false;
  ++gate_->generation;
  gate_->tell_change();
}

void GateHandle::put_into_stages() const {
  SharedGates& gates = gates_of_test();
  const auto index = static_cast<std::uint64_t>(gate_ - gates.gates.data());
  gates.in_stages = generation_ * kMaxGates + index;
}

GateHandle GateHandle::in_stages() {
  SharedGates* gates = gates_of_stage();
  const std::uint64_t which = gates != nullptr ? gates->in_stages.load() : 0;
  if (which == 0) return {};
  return {gates->gates[which % kMaxGates], which / kMaxGates};
}

void GateHandle::pass(std::uint64_t number) const {
  if (gate_ == nullptr) return;
  std::unique_lock lock(gate_->mutex);
  if (is_there_locked()) gate_->pass(lock, number);
}

void GateHandle::pass_next() const {
  if (gate_ == nullptr) return;
  std::unique_lock lock(gate_->mutex);
  if (is_there_locked()) gate_->pass(lock, gate_->next_number++);
}

void GateHandle::hold(std::uint64_t number) const {
  const std::lock_guard lock(gate_->mutex);
  gate_->held.add(number);
  gate_->released.remove(number);
}

void GateHandle::hold_all() const {
  const std::lock_guard lock(gate_->mutex);
  gate_->holds_all = true;
  gate_->released.clear();
}

void GateHandle::release(std::uint64_t number) const {
  const std::lock_guard lock(gate_->mutex);
  gate_->released.add(number);
  gate_->tell_change();
}

void GateHandle::open() const {
  const std::lock_guard lock(gate_->mutex);
  gate_->holds_all = false;
  gate_->held.clear();
  gate_->tell_change();
}

void GateHandle::wait_until_held(std::uint64_t number) const {
  std::unique_lock lock(gate_->mutex);
  gate_->wait(lock, "a frame to come to a gate",
              [&] { return gate_->holding.contains(number); });
}

void GateHandle::wait_until_holding(std::size_t count) const {
  std::unique_lock lock(gate_->mutex);
  gate_->wait(lock, "frames to stand at a gate",
              [&] { return gate_->holding.all().size() >= count; });
}

void GateHandle::wait_until_seen(std::size_t count) const {
  std::unique_lock lock(gate_->mutex);
  gate_->wait(lock, "frames to come to a gate",
              [&] { return gate_->seen.all().size() >= count; });
}

std::vector<std::uint64_t> GateHandle::holding() const {
  const std::lock_guard lock(gate_->mutex);
  const auto all = gate_->holding.all();
  return {all.begin(), all.end()};
}

std::vector<std::uint64_t> GateHandle::seen() const {
  const std::lock_guard lock(gate_->mutex);
  const auto all = gate_->seen.all();
  return {all.begin(), all.end()};
}

}  // namespace dispatch::test
