// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Gates in memory that a test program shares with the processes it starts.
//
// For: the two sides of a gate: Gate in the test, the element `gate` in a
// stage, which may run in a worker process. Not for: tests; they use Gate.
// Thread: thread-safe, between processes too. A process that is killed at a
// gate, or inside one of these functions, leaves the gate in order.
// Failure: a wait that takes longer than kPatience, or more numbers than a gate
// can keep, ends the program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dispatch::test {

struct SharedGate;  // in the shared memory

// One gate for as long as it is there. After let_go(), here or in another
// process, everything passes.
class GateHandle {
 public:
  GateHandle() = default;  // everything passes

  // Makes the shared memory, if this is the first gate of the process, and
  // tells the processes that it starts from now on where to find it.
  static GateHandle claim();
  void let_go() const;

  // The gate for the stages whose elements `gate` start from now on.
  void put_into_stages() const;
  static GateHandle in_stages();

  // Called on the frame's thread: stays as long as `number` is held.
  void pass(std::uint64_t number) const;
  // The same; its number is how many have come this way before.
  void pass_next() const;

  // Frames that stop here when they come.
  void hold(std::uint64_t number) const;
  void hold_all() const;
  // Lets one frame on, now or when it comes.
  void release(std::uint64_t number) const;
  // Lets all on, and holds nothing any more.
  void open() const;

  // Until that frame stands here, until so many stand here, or until so many
  // have come, stopped or not.
  void wait_until_held(std::uint64_t number) const;
  void wait_until_holding(std::size_t count) const;
  void wait_until_seen(std::size_t count) const;
  // The frames that stand here, or that have ever come, in that order.
  std::vector<std::uint64_t> holding() const;
  std::vector<std::uint64_t> seen() const;

 private:
  GateHandle(SharedGate& gate, std::uint64_t generation);
  bool is_there_locked() const;

  SharedGate* gate_ = nullptr;
  std::uint64_t generation_ = 0;
};

// For main(): makes the shared memory while there is only one thread, because
// the environment changes.
void prepare_gates();

}  // namespace dispatch::test
