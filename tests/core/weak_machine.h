// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A little machine with words of memory and a few threads, and all that can
// happen on it.
//
// It is weaker than a PC: a store waits in a buffer of its thread and may reach
// memory at any time, also before older stores to other words, unless it is a
// release. Loads are in order. Threads sleep on words as on a futex.
//
// For: proving, for a few rounds of small programs, that nothing goes wrong
// whichever way their steps mix (tests/core/handshake.cpp). Not for: loads that
// overtake each other. Thread: confined.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace dispatch::core {

inline constexpr unsigned kNoWord = ~0U;
// Stores that one thread may have on their way: more than one round makes.
inline constexpr std::size_t kStoreBuffer = 5;
// Enough for the programs that there are.
inline constexpr std::size_t kMostSteps = 24;  // of a round
inline constexpr std::size_t kMostLocals = 4;
inline constexpr std::size_t kMostWords = 16;
inline constexpr std::size_t kMostThreads = 3;

// A vector of a few, without memory of its own: states are copied millions of
// times.
template <typename T, std::size_t kMost>
class Few {
 public:
  Few() = default;
  explicit Few(std::size_t size, const T& value = T()) : size_(size) {
    assert(size <= kMost);
    std::fill_n(begin(), size, value);
  }

  void push_back(const T& value) {
    assert(size_ < kMost);
    values_[size_++] = value;
  }
  void erase(std::size_t i) {
    std::copy(begin() + i + 1, end(), begin() + i);
    --size_;
  }
  void clear() { size_ = 0; }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](std::size_t i) { return values_[i]; }
  const T& operator[](std::size_t i) const { return values_[i]; }
  T* begin() { return values_.data(); }
  T* end() { return values_.data() + size_; }
  const T* begin() const { return values_.data(); }
  const T* end() const { return values_.data() + size_; }

 private:
  std::array<T, kMost> values_ = {};
  std::size_t size_ = 0;
};

struct PendingStore {
  unsigned word = kNoWord;
  std::uint32_t value = 0;
  bool is_release = false;
};

// A thread runs a program in rounds. Where it is in its round follows from what
// its steps have given so far, so that a round can be begun anew each time and
// brought to the same place.
struct ThreadState {
  Few<PendingStore, kStoreBuffer> stores;  // oldest first
  Few<std::uint32_t, kMostSteps> given;    // by the steps of this round
  Few<std::uint32_t, kMostLocals> locals;  // what it keeps between rounds
  unsigned sleeps_on = kNoWord;
  bool is_done = false;
};

struct MachineState {
  Few<std::uint32_t, kMostWords> memory;
  Few<ThreadState, kMostThreads> threads;

  // Equal for equal states only: no word takes more than a few values, one
  // after the other, so that their low bytes tell them apart.
  std::string key() const;
};

inline std::string MachineState::key() const {
  std::string key(memory.begin(), memory.end());
  const auto add = [&](auto value) { key += static_cast<char>(value); };
  for (const ThreadState& thread : threads) {
    add(thread.sleeps_on);
    add(thread.is_done);
    key.append(thread.locals.begin(), thread.locals.end());
    add(thread.given.size());
    key.append(thread.given.begin(), thread.given.end());
    add(thread.stores.size());
    for (const PendingStore& store : thread.stores) {
      add(store.word);
      add(store.value);
      add(store.is_release);
    }
  }
  return key;
}

// What the machine leaves out, to see that it is needed.
struct Defect {
  unsigned no_fence_after = kNoWord;  // full_fence() given this word
  unsigned no_release_of = kNoWord;   // stores to it are relaxed
  bool does_not_compare = false;      // sleeps without looking
};

// One step of one thread.
class Stepper {
 public:
  Stepper(MachineState& state, unsigned thread, const Defect& defect)
      : state_(state),
        thread_(state.threads[thread]),
        defect_(defect),
        locals_(thread_.locals) {}

  std::uint32_t& local(unsigned i) { return locals_[i]; }
  void finish() { is_done_ = true; }
  void require(bool holds, const char* what) {
    if (!is_over_ && !holds) fault_ = what;
  }

  std::uint32_t load(unsigned word);
  void store(unsigned word, std::uint32_t value, bool is_release);
  void increment(unsigned word);
  void fence(unsigned word);
  // What os/futex.h does.
  void futex_wait(unsigned word, std::uint32_t expected);
  void futex_wake(unsigned word);

  // After the program's round. Whether a step was made.
  bool conclude();
  const char* fault() const { return fault_; }

 private:
  // What the step gave when it was made before. If it is the next one, it is
  // made now. After that nothing happens any more until the round is over.
  template <typename Effect>
  std::uint32_t step(bool is_possible, Effect effect) {
    if (position_ < thread_.given.size()) return thread_.given[position_++];
    is_over_ = is_over_ || has_stepped_ || !is_possible;
    if (is_over_) return 0;
    has_stepped_ = true;
    thread_.given.push_back(effect());
    return thread_.given[position_++];
  }
  bool has_no_stores() const { return thread_.stores.empty(); }
  std::uint32_t value_of(unsigned word) const;

  MachineState& state_;
  ThreadState& thread_;
  const Defect& defect_;
  Few<std::uint32_t, kMostLocals> locals_;
  std::size_t position_ = 0;
  bool has_stepped_ = false;
  bool is_over_ = false;
  bool is_done_ = false;
  const char* fault_ = nullptr;
};

// A thread sees its own stores at once.
inline std::uint32_t Stepper::value_of(unsigned word) const {
  std::uint32_t value = state_.memory[word];
  for (const PendingStore& store : thread_.stores)
    if (store.word == word) value = store.value;
  return value;
}

inline std::uint32_t Stepper::load(unsigned word) {
  return step(true, [&] { return value_of(word); });
}

inline void Stepper::store(unsigned word, std::uint32_t value,
                           bool is_release) {
  step(thread_.stores.size() < kStoreBuffer, [&] {
    thread_.stores.push_back(
        {.word = word,
         .value = value,
         .is_release = is_release && word != defect_.no_release_of});
    return 0;
  });
}

inline void Stepper::increment(unsigned word) {
  step(has_no_stores(), [&] { return ++state_.memory[word]; });
}

inline void Stepper::fence(unsigned word) {
  step(has_no_stores() || word == defect_.no_fence_after, [] { return 0; });
}

inline void Stepper::futex_wait(unsigned word, std::uint32_t expected) {
  step(true, [&] {
    if (defect_.does_not_compare || value_of(word) == expected)
      thread_.sleeps_on = word;
    return 0;
  });
}

inline void Stepper::futex_wake(unsigned word) {
  step(true, [&] {
    for (ThreadState& thread : state_.threads)
      if (thread.sleeps_on == word) thread.sleeps_on = kNoWord;
    return 0;
  });
}

inline bool Stepper::conclude() {
  if (has_stepped_ && !is_over_) {
    thread_.given.clear();
    thread_.locals = locals_;
    thread_.is_done = is_done_;
  }
  return has_stepped_;
}

// A word of the machine, for core/handshake.h.
class ModelWord {
 public:
  ModelWord(Stepper& stepper, unsigned index)
      : stepper_(stepper), index_(index) {}

  std::uint32_t load(std::memory_order) const { return stepper_.load(index_); }
  void store(std::uint32_t value, std::memory_order order) {
    stepper_.store(index_, value, order == std::memory_order_release);
  }
  void ring() {  // bell.fetch_add(1), and wake
    stepper_.increment(index_);
    stepper_.futex_wake(index_);
  }
  void wake() { stepper_.futex_wake(index_); }
  void wait(std::uint32_t expected) { stepper_.futex_wait(index_, expected); }

  friend void full_fence(const ModelWord& word) {
    word.stepper_.fence(word.index_);
  }

 private:
  Stepper& stepper_;
  const unsigned index_;
};

// Runs one round of the thread with that number.
using Program = std::function<void(Stepper&, unsigned thread)>;

struct Finding {
  std::string fault;  // empty: none
  std::size_t states = 0;
};

inline constexpr char kLostWakeUp[] = "lost wake-up";

class Explorer {
 public:
  Explorer(Program program, const Defect& defect)
      : program_(std::move(program)), defect_(defect) {}

  Finding explore(const MachineState& start) {
    add(start);
    while (!open_.empty() && finding_.fault.empty()) {
      const MachineState state = open_.back();
      open_.pop_back();
      expand(state);
    }
    finding_.states = known_.size();
    return finding_;
  }

 private:
  void add(const MachineState& state) {
    if (known_.insert(state.key()).second) open_.push_back(state);
  }

  void expand(const MachineState& state) {
    bool can_go_on = false;
    bool is_done = true;
    for (unsigned i = 0; i < state.threads.size(); ++i) {
      const ThreadState& thread = state.threads[i];
      is_done = is_done && thread.is_done;
      if (thread.sleeps_on != kNoWord) {
        wake_for_nothing(state, i);
      } else if (!thread.is_done) {
        can_go_on = step(state, i) || can_go_on;
      }
      can_go_on = drain(state, i) || can_go_on;
    }
    if (!can_go_on && !is_done) finding_.fault = kLostWakeUp;
  }

  bool step(const MachineState& state, unsigned thread) {
    MachineState next = state;
    Stepper stepper(next, thread, defect_);
    program_(stepper, thread);
    if (!stepper.conclude()) return false;
    if (stepper.fault() != nullptr) finding_.fault = stepper.fault();
    add(next);
    return true;
  }

  // Stores of `thread` on their way to memory.
  bool drain(const MachineState& state, unsigned thread) {
    const auto& stores = state.threads[thread].stores;
    for (std::size_t i = 0; i < stores.size(); ++i) {
      const PendingStore& store = stores[i];
      const bool has_to_wait = std::any_of(
          stores.begin(), stores.begin() + i, [&](const auto& older) {
            return store.is_release || older.word == store.word;
          });
      if (has_to_wait) continue;
      MachineState next = state;
      next.memory[store.word] = store.value;
      next.threads[thread].stores.erase(i);
      add(next);
    }
    return !stores.empty();
  }

  // A futex may return early. It is not what anybody may rely on.
  void wake_for_nothing(const MachineState& state, unsigned thread) {
    MachineState next = state;
    next.threads[thread].sleeps_on = kNoWord;
    add(next);
  }

  const Program program_;
  const Defect defect_;
  std::unordered_set<std::string> known_;
  std::vector<MachineState> open_;
  Finding finding_;
};

}  // namespace dispatch::core
