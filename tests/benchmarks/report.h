// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a benchmark found, as tables and as JSON.
//
// For: figures, targets and promises. A target is about time and may be missed
// on a disturbed machine; a promise is not, and breaking it is the only way in
// which a benchmark fails. Not for: measuring.
// Thread: confined to the main thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bench.h"

namespace bench {

// Collects what a benchmark found, prints it and writes it.
class Report {
 public:
  explicit Report(std::string name);

  void table(std::string title, std::vector<std::string> columns);
  void row(std::vector<std::string> cells);
  // Into the JSON only: one figure, or all samples of one.
  void figure(const std::string& name, double value);
  void samples(const std::string& name, const std::vector<double>& values);
  // A target is said to be met or missed; missing it is not a failure.
  void at_most(const std::string& what, double measured, double limit);
  void at_least(const std::string& what, double measured, double limit);
  // A promise that does not depend on time; breaking it is a failure.
  void promise(const std::string& what, bool kept);

  // Prints everything, writes the JSON unless json_path is nullptr, returns the
  // exit status.
  int finish(const char* json_path) const;

 private:
  struct Table {
    std::string title;
    std::vector<std::vector<std::string>> rows;  // the first is the header
  };
  struct Target {
    std::string what;
    double measured;
    double limit;
    const char* relation;
    bool met;
  };

  void print() const;
  std::string to_json() const;

  std::string name_;
  Disturbance disturbance_;
  std::vector<Table> tables_;
  std::vector<std::pair<std::string, std::vector<double>>> values_;
  std::vector<Target> targets_;
  std::vector<std::pair<std::string, bool>> promises_;
};

}  // namespace bench
