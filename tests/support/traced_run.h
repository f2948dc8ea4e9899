// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which system calls a program and the processes that it starts make in parts
// of its run.
//
// For: programs that run themselves again under strace, and mark the parts
// of the run that are looked at. Not for: time; a traced program is slow.
// Thread: the marks on any thread of the traced program.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace dispatch::test {

struct TracedRun {
  // Not empty: it was not traced, for this reason.
  std::string why_not;
  int status = -1;  // of the program
  // How many there were in each part.
  std::vector<int> calls;
};

// Runs this program with these arguments and counts those calls of it.
TracedRun run_traced(const std::vector<std::string>& arguments,
                     const std::vector<std::string>& calls);

// In the traced program. A part also ends where the next one begins.
void begin_traced_part();
void end_traced_part();

}  // namespace dispatch::test
