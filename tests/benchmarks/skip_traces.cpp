// SPDX-License-Identifier: LGPL-2.1-or-later
#include "skip_traces.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <random>

#include "bench.h"

namespace bench {

namespace {

constexpr double kMs = 1000;  // microseconds
constexpr double kInterval = 1e6 / 30;
constexpr double kCalm = 22 * kMs;
constexpr double kNoise = 0.03;  // of every cost, where nothing else is said

class Maker {
 public:
  Maker(unsigned seed, std::size_t frames) : chance_(seed), count_(frames) {}

  std::size_t count() const { return count_; }
  double uniform() { return std::uniform_real_distribution<>(0, 1)(chance_); }
  double normal() { return std::normal_distribution<>()(chance_); }
  std::size_t below(std::size_t end) {
    return static_cast<std::size_t>(uniform() * static_cast<double>(end));
  }
  // cost(share of the frames that are over).
  template <typename Cost>
  Trace over_time(Cost cost, double noise = kNoise) {
    Trace trace;
    for (std::size_t i = 0; i < count_; i++) {
      const double share = static_cast<double>(i) / static_cast<double>(count_);
      trace.push_back(cost(share) * std::exp(noise * normal()));
    }
    return trace;
  }

 private:
  std::mt19937 chance_;
  std::size_t count_;
};

// ---- Courses ---------------------------------------------------------------

template <int kPercent>
Trace constant(unsigned seed, std::size_t frames) {
  // Where the load is the whole difficulty, its noise is what a camera's is.
  constexpr double kConstantNoise = 0.05;
  return Maker(seed, frames)
      .over_time([](double) { return kInterval * kPercent / 100; },
                 kConstantNoise);
}

Trace calm(unsigned seed, std::size_t frames) {
  return Maker(seed, frames).over_time([](double) { return kCalm; });
}

constexpr double kOverloadFrom = 0.25;
constexpr double kOverloadUntil = 0.55;
constexpr double kOverload = 2.5;

Trace step(unsigned seed, std::size_t frames) {
  return Maker(seed, frames).over_time([](double share) {
    const bool is_over = share >= kOverloadFrom && share < kOverloadUntil;
    return kCalm * (is_over ? kOverload : 1);
  });
}

// Up over half of the run, down over a quarter.
Trace ramp(unsigned seed, std::size_t frames) {
  return Maker(seed, frames).over_time([](double share) {
    const double up = std::clamp(share / 0.5, 0.0, 1.0);
    const double down = std::clamp((share - 0.5) / 0.25, 0.0, 1.0);
    return kCalm * (1 + (kOverload - 1) * (up - down));
  });
}

// A competitor comes, for 20 frames in the mean, and goes, for 60.
Trace contention(unsigned seed, std::size_t frames) {
  Maker maker(seed, frames);
  bool is_there = false;
  return maker.over_time([&](double) {
    if (maker.uniform() < (is_there ? 1.0 / 20 : 1.0 / 60))
      is_there = !is_there;
    return kCalm * (is_there ? 2.2 : 1);
  });
}

// What is in the picture changes slowly: the logarithm of the cost is
// autoregressive, 0.95 from frame to frame, with a standard deviation of 0.4
// around 0.82 of the interval.
Trace content(unsigned seed, std::size_t frames) {
  constexpr double kKept = 0.95;
  constexpr double kSpread = 0.4;
  Maker maker(seed, frames);
  double x = kSpread * maker.normal();
  return maker.over_time([&](double) {
    x = kKept * x + kSpread * std::sqrt(1 - kKept * kKept) * maker.normal();
    return 0.82 * kInterval * std::exp(x);
  });
}

template <int kPercent>
Trace spikes(unsigned seed, std::size_t frames) {
  Maker maker(seed, frames);
  return maker.over_time([&](double) {
    return maker.uniform() * 100 < kPercent ? 120 * kMs : kCalm;
  });
}

Trace periodic(unsigned seed, std::size_t frames) {
  Trace trace = calm(seed, frames);
  for (std::size_t i = 29; i < trace.size(); i += 30) trace[i] *= 4;
  return trace;
}

// Two in each run, somewhere in the second sixth and in the fourth: neither
// touches the other one or an end.
template <int kLengthMs>
Trace stalls(unsigned seed, std::size_t frames) {
  Trace trace = calm(seed, frames);
  Maker maker(seed, frames);
  for (const std::size_t sixth : {1U, 3U})
    trace[frames * sixth / 6 + maker.below(frames / 6 + 1)] = kLengthMs * kMs;
  return trace;
}

constexpr double kLite = 9.0 / 22;
// 22 ms where the full stage takes three intervals.
constexpr double kLiteOfTriple = 0.22;

constexpr SkipWorkload kWorkloads[] = {
    {"calm", "a stage of 22 ms", calm, kLite},
    {"load-0.9", "a stage of 0.9 times real time", constant<90>, kLite},
    {"load-1.12", "a stage of 1.12 times real time", constant<112>, kLite,
     true},
    {"load-1.6", "a stage of 1.6 times real time", constant<160>, kLite, true},
    {"load-3", "a stage of three times real time", constant<300>, kLiteOfTriple,
     true, true},
    {"step", "22 ms, and 2.5 times that for 30 % of the run", step, kLite, true,
     false, kOverloadFrom, kOverloadUntil},
    {"ramp", "22 ms, slowly up to 2.5 times that, and back", ramp, kLite, true},
    {"contention", "22 ms, and 2.2 times that in bursts", contention, kLite,
     true},
    {"content", "costs that follow the picture", content, kLite, true},
    {"spikes-1", "22 ms, and 120 ms on 1 % of the frames", spikes<1>, kLite},
    {"spikes-3", "22 ms, and 120 ms on 3 % of the frames", spikes<3>, kLite},
    {"spikes-10", "22 ms, and 120 ms on 10 % of the frames", spikes<10>, kLite},
    {"periodic", "22 ms, and 88 ms on every 30th frame", periodic, kLite},
    {"stalls-0.2", "22 ms, and two stalls of 0.2 s", stalls<200>, kLite},
    {"stalls-0.5", "22 ms, and two stalls of 0.5 s", stalls<500>, kLite},
    {"stalls-1.4", "22 ms, and two stalls of 1.4 s", stalls<1400>, kLite},
    {"stalls-2", "22 ms, and two stalls of 2 s", stalls<2000>, kLite},
};

}  // namespace

std::vector<SkipWorkload> skip_workloads(const char* only) {
  std::vector<SkipWorkload> chosen;
  for (const SkipWorkload& workload : kWorkloads) {
    if (only == nullptr || std::string(only) == workload.name)
      chosen.push_back(workload);
  }
  if (chosen.empty()) fail(std::string("There is no workload ") + only);
  return chosen;
}

Trace read_trace(const std::string& path) {
  std::ifstream file(path);
  Trace trace;
  for (double cost_us = 0; file >> cost_us;) trace.push_back(cost_us);
  if (!file.eof() || trace.empty())
    fail(path + " is no trace: a cost in microseconds in each line.");
  return trace;
}

TraceFile::TraceFile(const Trace& trace) {
  g_autofree gchar* path = nullptr;
  g_autoptr(GError) error = nullptr;
  const gint file = g_file_open_tmp("trace-XXXXXX", &path, &error);
  if (file < 0) fail(error->message);
  close(file);
  path_ = path;
  std::ofstream out(path_);
  for (const double cost_us : trace)
    out << static_cast<long>(std::lround(cost_us)) << '\n';
  out.flush();
  if (!out) fail("Cannot write " + path_);
}

TraceFile::~TraceFile() { unlink(path_.c_str()); }

}  // namespace bench
