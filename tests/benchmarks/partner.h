// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Another process of the same program, for benchmarks across processes.
//
// For: a process with a part of its own, which says when it is ready, and
// talks in lines. Not for: worker processes; shmdispatch starts those itself.
// Thread: confined to the main thread.
// Failure: a partner that ends too early ends the program.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace bench {

class Partner {
 public:
  // Runs this program with these arguments and waits until it is_ready().
  explicit Partner(const std::vector<std::string>& arguments);
  // Its standard input ends, and it is waited for.
  ~Partner();
  Partner(const Partner&) = delete;
  Partner& operator=(const Partner&) = delete;

  pid_t pid() const { return pid_; }
  void tell(const std::string& line);
  std::string next_line();
  // For a partner that may end, or hang.
  struct Heard {
    std::optional<std::string> line;  // none: it has said nothing yet
    bool has_ended = false;
  };
  Heard listen(std::chrono::milliseconds longest);

  // In the partner: says so; waits for a line, false: it is over.
  static void is_ready();
  static bool wait_for_line();

 private:
  pid_t pid_ = 0;
  std::FILE* in_ = nullptr;   // owned
  std::FILE* out_ = nullptr;  // owned
};

// Each "FIFO:/path" in a description becomes the number of an open descriptor,
// which stays open. Makes those FIFOs that do not exist.
std::string with_open_fifos(std::string description);

// Removes what the shmsinks of a process that did not take them down left in
// shared memory; nobody can attach to it any more.
void remove_shm_areas(pid_t process);

// What most partners do: runs a pipeline, with_open_fifos(), until it is over;
// then the process ends.
[[noreturn]] void run_as_partner(const std::string& pipeline);

}  // namespace bench
