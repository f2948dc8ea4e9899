// SPDX-License-Identifier: LGPL-2.1-or-later
//
// All that reads what a worker process writes, fed with any bytes.
//
// For: tests/fuzz/mutations.cpp, which runs as a test, and a fuzzer, which
// runs as long as one likes. Thread: confined.
// Failure: ends the program where one of the readers broke its promise.
#pragma once

#include <cstddef>
#include <span>

namespace dispatch::test {

// Who has taken the bytes for what.
struct Taken {
  bool as_list = false;
  bool as_report = false;
  bool as_payload = false;
  bool as_memory = false;
  bool as_meta = false;
  bool as_event = false;
  bool as_query = false;
  bool as_answer = false;
  bool as_message = false;
};

// `bytes` are read, never beyond their end.
Taken read_untrusted(std::span<const std::byte> bytes);

}  // namespace dispatch::test
