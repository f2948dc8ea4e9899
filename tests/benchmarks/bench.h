// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the benchmarks share: command line, numbers, clocks.
//
// For: programs that measure two things beside each other in one run. Not for:
// tests; a benchmark fails only when a promise about frames or memory is
// broken, never on time.
// Thread: confined to the main thread, except for the functions that read
// clocks, which are thread-safe.
// Failure: whatever keeps a benchmark from measuring ends the program with
// status 2 and a sentence on stderr (fail()).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <gst/gst.h>

namespace bench {

[[noreturn]] void fail(const std::string& sentence);

// The command line. Declare the options, then parse; parsing also initialises
// GStreamer. The targets must outlive parse().
class CommandLine {
 public:
  explicit CommandLine(const char* summary);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  void add(const char* name, gint* value, const char* what);
  // value is set to a string that lives as long as the program.
  void add(const char* name, const gchar** value, const char* what);
  void parse(int argc, char** argv);

 private:
  void add_entry(const char* name, GOptionArg kind, gpointer value,
                 const char* what);
  GOptionContext* context_;
};

// Numbers. percent is in [0, 100]; the nearest rank is taken.
double percentile(std::vector<double> values, double percent);
double median(std::vector<double> values);
std::vector<double> ratios(const std::vector<double>& of,
                           const std::vector<double>& to);
// "1.02 (0.98 to 1.07)": median and range.
std::string spread(const std::vector<double>& values, int digits = 2);
std::string number(double value, int digits = 2);

// Clocks and memory of this process.
std::int64_t monotonic_ns();
std::int64_t process_cpu_ns();
std::int64_t resident_bytes();

// Lets this process and its children run on at most so many CPUs, those of the
// lowest numbers. Returns which.
std::vector<int> use_cpus(std::size_t most);
// So that figures of larger machines can be compared. Returns how many it may
// use.
int use_two_cpus();

// How much of the machine others used between two moments, in percent of all
// CPUs: a large value makes the figures worthless. Children count as own once
// they have been waited for.
class Disturbance {
 public:
  Disturbance();
  struct Share {
    double others_percent;
    double stolen_percent;
  };
  Share so_far() const;

 private:
  double busy_s_, stolen_s_, own_s_, all_s_;
};

}  // namespace bench
