// SPDX-License-Identifier: LGPL-2.1-or-later
#include "bench.h"

#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace bench {

void fail(const std::string& sentence) {
  std::fprintf(stderr, "%s\n", sentence.c_str());
  // NOLINTNEXTLINE(concurrency-mt-unsafe): the program is over
  std::exit(2);
}

CommandLine::CommandLine(const char* summary)
    : context_(g_option_context_new(nullptr)) {
  g_option_context_set_summary(context_, summary);
  g_option_context_add_group(context_, gst_init_get_option_group());
}

CommandLine::~CommandLine() { g_option_context_free(context_); }

void CommandLine::add_entry(const char* name, GOptionArg kind, gpointer value,
                            const char* what) {
  const GOptionEntry entries[] = {{name, 0, 0, kind, value, what, nullptr}, {}};
  g_option_context_add_main_entries(context_, entries, nullptr);
}

void CommandLine::add(const char* name, gint* value, const char* what) {
  add_entry(name, G_OPTION_ARG_INT, value, what);
}

void CommandLine::add(const char* name, const gchar** value, const char* what) {
  add_entry(name, G_OPTION_ARG_FILENAME, value, what);
}

void CommandLine::parse(int argc, char** argv) {
  g_autoptr(GError) error = nullptr;
  if (!g_option_context_parse(context_, &argc, &argv, &error)) {
    fail(error->message);
  }
  if (argc > 1) fail(std::string("Unknown argument: ") + argv[1]);
}

double percentile(std::vector<double> values, double percent) {
  if (values.empty()) fail("No samples were taken.");
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  const auto rank = std::ceil(percent / 100 * count);
  return values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

double median(std::vector<double> values) {
  const std::size_t count = values.size();
  if (count == 0) fail("No samples were taken.");
  std::sort(values.begin(), values.end());
  return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

std::vector<double> ratios(const std::vector<double>& of,
                           const std::vector<double>& to) {
  std::vector<double> result;
  for (std::size_t i = 0; i < std::min(of.size(), to.size()); i++) {
    result.push_back(of[i] / to[i]);
  }
  return result;
}

std::string number(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string spread(const std::vector<double>& values, int digits) {
  const double middle = median(values);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return number(middle, digits) + " (" + number(*low, digits) + " to " +
         number(*high, digits) + ")";
}

namespace {

std::int64_t clock_ns(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// CPU time of this process and of the children waited for.
double own_cpu_s() {
  double total_s = 0;
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    getrusage(who, &usage);
    for (const timeval& part : {usage.ru_utime, usage.ru_stime}) {
      total_s += static_cast<double>(part.tv_sec) +
                 static_cast<double>(part.tv_usec) * 1e-6;
    }
  }
  return total_s;
}

struct MachineTimes {
  double busy_s = 0;
  double stolen_s = 0;
  double all_s = 0;
};

// The first line of /proc/stat: user nice system idle iowait irq softirq steal.
MachineTimes machine_times() {
  std::ifstream stat("/proc/stat");
  std::string word;
  stat >> word;
  double ticks[8] = {};
  for (double& part : ticks) stat >> part;
  const double tick_s = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  MachineTimes times;
  for (const double part : ticks) times.all_s += part * tick_s;
  times.stolen_s = ticks[7] * tick_s;
  times.busy_s = times.all_s - times.stolen_s - (ticks[3] + ticks[4]) * tick_s;
  return times;
}

}  // namespace

std::int64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }

std::int64_t process_cpu_ns() { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

std::int64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::int64_t size_pages = 0;
  std::int64_t resident_pages = 0;
  statm >> size_pages >> resident_pages;
  return resident_pages * sysconf(_SC_PAGESIZE);
}

std::vector<int> use_cpus(std::size_t most) {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    fail("Cannot read the CPU affinity.");
  }
  cpu_set_t chosen;
  CPU_ZERO(&chosen);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE && cpus.size() < most; cpu++) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    CPU_SET(cpu, &chosen);
    cpus.push_back(cpu);
  }
  if (sched_setaffinity(0, sizeof chosen, &chosen) != 0) {
    fail("Cannot set the CPU affinity.");
  }
  return cpus;
}

int use_two_cpus() { return static_cast<int>(use_cpus(2).size()); }

Disturbance::Disturbance() : own_s_(own_cpu_s()) {
  const MachineTimes now = machine_times();
  busy_s_ = now.busy_s;
  stolen_s_ = now.stolen_s;
  all_s_ = now.all_s;
}

Disturbance::Share Disturbance::so_far() const {
  const MachineTimes now = machine_times();
  const double all_s = std::max(now.all_s - all_s_, 0.01);
  const double others_s = now.busy_s - busy_s_ - (own_cpu_s() - own_s_);
  return {std::max(others_s, 0.0) / all_s * 100,
          (now.stolen_s - stolen_s_) / all_s * 100};
}

}  // namespace bench
