// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An owned file descriptor.
//
// For: closing exactly once. Not for: what is behind it. Thread: confined.
#pragma once

#include <utility>

namespace dispatch::os {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);
  // Another descriptor of the same file, closed on exec. Empty if there is no
  // more to be had.
  static UniqueFd duplicate(int fd);

 private:
  int fd_ = -1;
};

}  // namespace dispatch::os
