// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a call into the system gives: a value, or the error with its words.
//
// For: errors that the caller can put before a user as they are. Not for:
// errors of the program itself. Thread: confined.
#pragma once

#include <string>
#include <system_error>
#include <utility>
#include <variant>

namespace dispatch::os {

struct Error {
  int code = 0;      // an errno value; 0: `what` says it all
  std::string what;  // what was tried, in words: "cannot reserve 3 MiB"

  // "cannot reserve 3 MiB: No space left on device"
  std::string text() const {
    if (code == 0) return what;
    return what + ": " + std::generic_category().message(code);
  }
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT: meant
  Result(Error error) : state_(std::move(error)) {}  // NOLINT: meant

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  T take() { return std::move(std::get<0>(state_)); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace dispatch::os
