// SPDX-License-Identifier: LGPL-2.1-or-later
#include "report.h"

#include <sched.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <utility>

#include <gst/gst.h>

namespace bench {

namespace {

// The value of the first "key<separator>value" line, without quotes.
std::string value_in_file(const char* path, const std::string& key,
                          char separator) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) != 0) continue;
    std::string value = line.substr(line.find(separator) + 1);
    std::erase(value, '"');
    return value.substr(std::min(value.find_first_not_of(' '), value.size()));
  }
  return "unknown";
}

std::vector<std::pair<std::string, std::string>> machine() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  utsname kernel{};
  uname(&kernel);
  g_autofree gchar* gstreamer = gst_version_string();
#ifdef NDEBUG
  const char* build = "release";
#else
  const char* build = "not a release build: the figures mean little";
#endif
  return {{"cpu", value_in_file("/proc/cpuinfo", "model name", ':')},
          {"cpus", std::to_string(CPU_COUNT(&allowed))},
          {"system", value_in_file("/etc/os-release", "PRETTY_NAME", '=')},
          {"kernel", std::string(kernel.sysname) + " " + kernel.release},
          {"gstreamer", gstreamer},
          {"build", build}};
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  std::ostringstream text;
  text.precision(12);
  text << value;
  return text.str();
}

std::string json_values(const std::vector<double>& values) {
  if (values.size() == 1) return json_number(values.front());
  std::ostringstream text;
  const char* separator = "[";
  for (const double value : values) {
    text << std::exchange(separator, ", ") << json_number(value);
  }
  text << ']';
  return text.str();
}

std::string json_field(const std::string& key, const std::string& value) {
  return quoted(key).append(": ").append(value);
}

// items are fields or objects, already encoded.
std::string json_block(const std::vector<std::string>& items, char open,
                       char close) {
  std::ostringstream text;
  text << open;
  const char* separator = "\n    ";
  for (const std::string& item : items) {
    text << std::exchange(separator, ",\n    ") << item;
  }
  text << "\n  " << close;
  return text.str();
}

std::string json_row(const std::vector<std::string>& cells) {
  std::string text;
  const char* separator = "[";
  for (const std::string& cell : cells)
    text.append(std::exchange(separator, ", ")).append(quoted(cell));
  return text + ']';
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); i++) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  for (std::size_t line = 0; line < rows.size(); line++) {
    for (std::size_t i = 0; i < rows[line].size(); i++) {
      std::printf("| %-*s ", static_cast<int>(widths[i]),
                  rows[line][i].c_str());
    }
    std::printf("|\n");
    if (line > 0) continue;
    for (const std::size_t width : widths) {
      std::printf("|%s", std::string(width + 2, '-').c_str());
    }
    std::printf("|\n");
  }
}

}  // namespace

Report::Report(std::string name) : name_(std::move(name)) {}

void Report::table(std::string title, std::vector<std::string> columns) {
  tables_.push_back({std::move(title), {std::move(columns)}});
}

void Report::row(std::vector<std::string> cells) {
  if (cells.size() != tables_.back().rows.front().size()) {
    fail("A row of '" + tables_.back().title + "' has not its columns.");
  }
  tables_.back().rows.push_back(std::move(cells));
}

void Report::figure(const std::string& name, double value) {
  samples(name, {value});
}

void Report::samples(const std::string& name,
                     const std::vector<double>& values) {
  values_.emplace_back(name, values);
}

void Report::at_most(const std::string& what, double measured, double limit) {
  targets_.push_back({what, measured, limit, "at most", measured <= limit});
}

void Report::at_least(const std::string& what, double measured, double limit) {
  targets_.push_back({what, measured, limit, "at least", measured >= limit});
}

void Report::promise(const std::string& what, bool kept) {
  promises_.emplace_back(what, kept);
}

void Report::print() const {
  std::printf("%s\n", name_.c_str());
  for (const auto& [key, value] : machine()) {
    std::printf("  %s: %s\n", key.c_str(), value.c_str());
  }
  const auto share = disturbance_.so_far();
  std::printf("  others used %.1f %% of the CPUs, %.1f %% was stolen\n",
              share.others_percent, share.stolen_percent);
  for (const Table& table : tables_) {
    std::printf("\n%s\n\n", table.title.c_str());
    print_table(table.rows);
  }
  std::printf("\n");
  for (const Target& target : targets_) {
    std::printf("target %s: %s: %.3f, %s %.3f\n", target.met ? "met" : "MISSED",
                target.what.c_str(), target.measured, target.relation,
                target.limit);
  }
  for (const auto& [what, kept] : promises_) {
    std::printf("promise %s: %s\n", kept ? "kept" : "BROKEN", what.c_str());
  }
}

std::string Report::to_json() const {
  std::vector<std::string> about;
  for (const auto& [key, value] : machine()) {
    about.push_back(json_field(key, quoted(value)));
  }
  const auto share = disturbance_.so_far();
  about.push_back(
      json_field("others-percent", json_number(share.others_percent)));
  about.push_back(
      json_field("stolen-percent", json_number(share.stolen_percent)));
  std::vector<std::string> tables;
  for (const Table& table : tables_) {
    std::vector<std::string> rows;
    for (const auto& row : table.rows) rows.push_back(json_row(row));
    std::ostringstream text;
    text << '{' << json_field("title", quoted(table.title)) << ", "
         << json_field("rows", json_block(rows, '[', ']')) << '}';
    tables.push_back(text.str());
  }
  std::vector<std::string> values;
  for (const auto& [key, samples] : values_) {
    values.push_back(json_field(key, json_values(samples)));
  }
  std::vector<std::string> targets;
  for (const Target& target : targets_) {
    std::ostringstream text;
    text << '{' << json_field("what", quoted(target.what)) << ", "
         << json_field("measured", json_number(target.measured)) << ", "
         << json_field(target.relation, json_number(target.limit)) << ", "
         << json_field("met", target.met ? "true" : "false") << '}';
    targets.push_back(text.str());
  }
  std::vector<std::string> promises;
  for (const auto& [what, kept] : promises_) {
    promises.push_back(json_field(what, kept ? "true" : "false"));
  }
  std::ostringstream text;
  text << "{\n  " << json_field("benchmark", quoted(name_)) << ",\n  "
       << json_field("machine", json_block(about, '{', '}')) << ",\n  "
       << json_field("tables", json_block(tables, '[', ']')) << ",\n  "
       << json_field("values", json_block(values, '{', '}')) << ",\n  "
       << json_field("targets", json_block(targets, '[', ']')) << ",\n  "
       << json_field("promises", json_block(promises, '{', '}')) << "\n}\n";
  return text.str();
}

int Report::finish(const char* json_path) const {
  print();
  if (json_path != nullptr) {
    std::ofstream file(json_path);
    file << to_json();
    file.flush();
    if (!file) fail(std::string("Cannot write ") + json_path);
  }
  const bool kept =
      std::all_of(promises_.begin(), promises_.end(),
                  [](const auto& promise) { return promise.second; });
  return kept ? 0 : 1;
}

}  // namespace bench
