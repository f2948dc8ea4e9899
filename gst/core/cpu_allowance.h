// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The CPUs that all elements of a process share out.
//
// For: keeping elements with an automatic number of workers from each taking
// every core. Every element may always have its first worker; those beyond it
// come out of the allowance. A number that the user names is taken as it is and
// counted, so that others see it.
// Not for: pinning threads, or limiting what a named number may be.
// Thread: thread-safe.
#pragma once

#include <mutex>

namespace dispatch::core {

class CpuAllowance {
 public:
  // `cpus`: how many this process may use, at least 1.
  explicit CpuAllowance(unsigned cpus);

  // Takes what is left for an element that wants as many workers as there are
  // CPUs. Returns its number of workers, at least 1; give_back() that number.
  unsigned take_automatic();
  // Counts `workers` (at least 1) that the user named; give_back() that number.
  void take_named(unsigned workers);
  void give_back(unsigned workers);

  unsigned cpus() const { return cpus_; }

 private:
  const unsigned cpus_;
  std::mutex mutex_;
  unsigned taken_ = 0;  // workers beyond the first of each element
};

}  // namespace dispatch::core
