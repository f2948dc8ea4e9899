// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The CPUs that all elements of a process share out.
//
// For: keeping elements with an automatic number of workers from each taking
// every core. Every element may always have its first worker; those beyond it
// come out of the allowance, one by one as it needs them. Workers that the user
// names are had whatever is left, and counted, so that others see them.
// Not for: pinning threads, or limiting what a named number may be.
// Thread: CpuAllowance is thread-safe, AllowanceShare confined.
#pragma once

#include <mutex>

namespace dispatch::core {

class CpuAllowance {
 public:
  // `cpus`: how many this process may use, at least 1.
  explicit CpuAllowance(unsigned cpus);

  // Takes one CPU, if one is left.
  bool take();
  // Takes one, left or not.
  void count();
  // Of those that were taken.
  void give_back(unsigned cpus);

  unsigned cpus() const { return cpus_; }
  unsigned left() const;

 private:
  const unsigned cpus_;
  mutable std::mutex mutex_;
  unsigned taken_ = 0;  // for workers beyond the first of each element
};

// What one element has of it; gives it back at its end.
class AllowanceShare {
 public:
  // `allowance` outlives this.
  explicit AllowanceShare(CpuAllowance& allowance) : allowance_(allowance) {}
  ~AllowanceShare() { release(); }
  AllowanceShare(const AllowanceShare&) = delete;
  AllowanceShare& operator=(const AllowanceShare&) = delete;

  // The user names `min` (at least 1) and `max`; 0: as many as there are CPUs.
  void set_limits(unsigned min, unsigned max);
  // How many workers the element may have now.
  unsigned permitted() const;
  // The element is to have so many workers; how many it may, at least `min`.
  unsigned resize(unsigned workers);
  void release() { resize_to(1); }

 private:
  void resize_to(unsigned workers);

  CpuAllowance& allowance_;
  unsigned min_ = 1;
  unsigned max_ = 1;
  unsigned taken_ = 0;  // beyond the first worker
};

}  // namespace dispatch::core
