// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the frames of a live stream cost: the workloads of bench-skip.
//
// For: seeded courses of costs, the same as often as wanted, and files of them
// for `teststage`. Not for: the simulated benchmark of the law, which also has
// arrivals of its own.
// Thread: functions of their arguments, and a file each.
// Failure: ends the program (fail()).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

// Costs in microseconds, frame by frame.
using Trace = std::vector<double>;

// At 30 fps; a stage of 22 ms, two thirds of the time, where nothing is wrong.
struct SkipWorkload {
  const char* name;
  const char* title;
  Trace (*make)(unsigned seed, std::size_t frames);
  double lite_scale;  // of the cheaper variant of the stage
  // For at least a part of it there is not enough time for every frame.
  bool is_overload = false;
  // The full stage never fits; the cheaper one does.
  bool needs_ladder = false;
  // The frames from here on, in shares of all, are dearer than can be done;
  // before and behind it is calm. Equal: there is no such part.
  double overload_from = 0;
  double overload_until = 0;
};

// All of them; `only` names one, nullptr: all.
std::vector<SkipWorkload> skip_workloads(const char* only);

Trace read_trace(const std::string& path);

// A trace as a file that `teststage` reads, as long as this lives.
class TraceFile {
 public:
  explicit TraceFile(const Trace& trace);
  ~TraceFile();
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace bench
