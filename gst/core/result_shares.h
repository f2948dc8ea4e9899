// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What is kept of a bound on memory, so that each worker can have one result
// slot, whatever the others take.
//
// Results leave in order: a worker that has the oldest frame and no slot would
// wait for memory that lies in younger results, which wait for that frame.
//
// For: how many bytes others may not take. Not for: the bound itself
// (process/slot_budget), who has which slot (core/slot_ownership).
// Thread: confined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>

namespace dispatch::core {

class ResultShares {
 public:
  // How many workers there will be at a time: of those that are not there yet,
  // the part is kept as well. 0: only those that are there.
  void expect(unsigned workers);
  // A worker that has no slot yet; and one that is gone.
  void join(unsigned worker);
  void leave(unsigned worker);

  // Bytes of the next result slots, as long as none has been asked for.
  void guess(std::uint64_t bytes);
  // A slot of so many was made. The largest one counts.
  void on_made(std::uint64_t bytes);
  // Results of another size may come: nothing is known of them.
  void forget_size();
  // Whether it is known, or at least guessed.
  bool has_size() const { return slot_bytes_ != 0; }
  // No slot has been made since workers were expected, or the first one joined.
  bool is_untouched() const { return is_untouched_; }

  // A slot is at its worker, ready for its next result; or not any more.
  void add_free(unsigned worker, std::uint64_t bytes);
  void remove_free(unsigned worker, std::uint64_t bytes);

  // Bytes that workers without a free slot that is large enough still have to
  // get.
  std::uint64_t kept() const;
  // How many those workers are.
  unsigned lacking() const;
  // The same for all but one, which asks for a slot of `bytes`.
  std::uint64_t kept_besides(unsigned worker, std::uint64_t bytes) const;
  unsigned lacking_besides(unsigned worker, std::uint64_t bytes) const;
  // Whether `worker` has a free slot of `bytes`.
  bool has_free(unsigned worker, std::uint64_t bytes) const;
  // One slot for each worker.
  std::uint64_t least() const { return slot_bytes_ * workers(); }
  // Those that are there or expected.
  std::size_t workers() const { return free_.size() + absent(); }

 private:
  using Sizes = std::multiset<std::uint64_t>;
  std::uint64_t size_besides(std::uint64_t bytes) const;
  unsigned absent() const;

  std::map<unsigned, Sizes> free_;  // by worker
  unsigned expected_ = 0;
  std::uint64_t slot_bytes_ = 0;
  bool is_guess_ = true;
  bool is_untouched_ = true;
};

}  // namespace dispatch::core
