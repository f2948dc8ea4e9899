// SPDX-License-Identifier: LGPL-2.1-or-later
#include "traced_run.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include <glib.h>
#include <glib/gstdio.h>

namespace dispatch::test {

namespace {

// Names of files that are looked for, and do not exist: marks in the trace.
constexpr char kBegin[] = "/begin-of-traced-part";
constexpr char kEnd[] = "/end-of-traced-part";
// What access() is depends on the machine.
constexpr char kMarkCalls[] = "?access,?faccessat,?faccessat2";

// A line is "PID name(arguments) = result", or a part of one.
std::string name_of_call(const std::string& line) {
  const auto open = line.find('(');
  if (open == std::string::npos) return {};
  const auto before = line.find_last_of(' ', open);
  return line.substr(before + 1, open - before - 1);
}

std::vector<int> count_calls(const char* file_name,
                             const std::vector<std::string>& wanted) {
  std::vector<int> parts;
  std::ifstream file(file_name);
  bool is_in_part = false;
  for (std::string line; std::getline(file, line);) {
    const std::string name = name_of_call(line);
    if (line.find(kBegin) != std::string::npos) {
      is_in_part = true;
      parts.push_back(0);
    } else if (line.find(kEnd) != std::string::npos) {
      is_in_part = false;
    } else if (is_in_part &&
               std::find(wanted.begin(), wanted.end(), name) != wanted.end()) {
      ++parts.back();
    }
  }
  return parts;
}

std::string filter_of(const std::vector<std::string>& calls) {
  std::string filter = std::string("trace=") + kMarkCalls;
  for (const std::string& call : calls) filter += "," + call;
  return filter;
}

}  // namespace

TracedRun run_traced(const std::vector<std::string>& arguments,
                     const std::vector<std::string>& calls) {
  TracedRun run;
  g_autofree gchar* strace = g_find_program_in_path("strace");
  if (strace == nullptr) {
    run.why_not = "strace is not installed";
    return run;
  }
  g_autofree gchar* file_name = nullptr;
  const int file = g_file_open_tmp("trace-XXXXXX", &file_name, nullptr);
  if (file < 0) {
    run.why_not = "no temporary file";
    return run;
  }
  close(file);
  g_autofree gchar* self = g_file_read_link("/proc/self/exe", nullptr);
  const std::string filter = filter_of(calls);
  std::vector<const gchar*> argv{strace,         "-f", "-qq",     "-e",
                                 filter.c_str(), "-o", file_name, self};
  for (const std::string& argument : arguments)
    argv.push_back(argument.c_str());
  argv.push_back(nullptr);
  g_autoptr(GError) error = nullptr;
  g_autofree gchar* said = nullptr;
  if (!g_spawn_sync(nullptr, const_cast<gchar**>(argv.data()), nullptr,
                    G_SPAWN_DEFAULT, nullptr, nullptr, nullptr, &said,
                    &run.status, &error)) {
    run.why_not = error->message;
  } else if (std::ifstream(file_name).peek() == EOF) {
    run.why_not = std::string("strace cannot trace here: ") + said;
  } else {
    run.calls = count_calls(file_name, calls);
  }
  g_unlink(file_name);
  return run;
}

void begin_traced_part() { (void)access(kBegin, F_OK); }

void end_traced_part() { (void)access(kEnd, F_OK); }

}  // namespace dispatch::test
