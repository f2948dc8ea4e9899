// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What frames cost: the workloads on which the law of adaptiveskip is judged.
//
// For: seeded traces of arrivals and costs, as often as wanted the same.
// All costs are of the full stage; it takes 0.66 of a frame when nothing is
// wrong (22 ms at 30 fps). Every cost has a lognormal noise of its own (3 %).
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "skip_simulation.h"

namespace dispatch::core {

class WorkloadMaker {
 public:
  WorkloadMaker(Duration interval, std::size_t frames, unsigned seed)
      : interval_(interval), count_(frames), chance_(seed) {}

  // Costs in frame intervals --------------------------------------------------

  std::vector<double> constant(double load) {
    std::vector<double> costs(count_, load);
    return noisy(costs);
  }
  // A competitor comes (mean: for 20 frames) and goes (for 60): 2.2 times.
  std::vector<double> contention() {
    std::vector<double> costs;
    bool is_slow = false;
    for (std::size_t i = 0; i < count_; ++i) {
      if (uniform() < (is_slow ? 1.0 / 20 : 1.0 / 60)) is_slow = !is_slow;
      costs.push_back(kNominal * (is_slow ? 2.2 : 1));
    }
    return noisy(costs);
  }
  // Quarters: calm, 2.5 times, back to calm in a ramp, up to 1.8 times in one.
  std::vector<double> step_and_ramp() {
    std::vector<double> costs;
    for (std::size_t i = 0; i < count_; ++i) {
      const double x =
          4.0 * static_cast<double>(i) / static_cast<double>(count_);
      double factor = 1;
      if (x >= 1 && x < 2) factor = 2.5;
      if (x >= 2 && x < 3) factor = 2.5 - 1.5 * (x - 2);
      if (x >= 3) factor = 1 + 0.8 * (x - 3);
      costs.push_back(kNominal * factor);
    }
    return noisy(costs);
  }
  // Some frames take `time`, independently of each other: spikes and stalls.
  std::vector<double> spikes(double share, Duration time) {
    std::vector<double> costs = constant(kNominal);
    for (double& cost : costs)
      if (uniform() < share) cost = in_frames(time);
    return costs;
  }
  // Every 30th takes four times as long.
  std::vector<double> periodic() {
    std::vector<double> costs = constant(kNominal);
    for (std::size_t i = 29; i < costs.size(); i += 30) costs[i] *= 4;
    return costs;
  }
  // What is in the picture changes slowly: log cost AR(1), 0.95 per frame,
  // standard deviation 0.4, around 0.82 of a frame.
  std::vector<double> content() {
    const double keep = 0.95;
    const double spread = 0.4;
    std::vector<double> costs;
    double x = spread * normal();
    for (std::size_t i = 0; i < count_; ++i) {
      x = keep * x + spread * std::sqrt(1 - keep * keep) * normal();
      costs.push_back(0.82 * std::exp(x));
    }
    return noisy(costs);
  }

  // Frames --------------------------------------------------------------------

  // `ratios`: what each level costs, of the full stage.
  std::vector<SimulatedFrame> frames(const std::vector<double>& costs,
                                     const std::vector<double>& ratios) const {
    std::vector<SimulatedFrame> made;
    for (std::size_t i = 0; i < costs.size(); ++i) {
      SimulatedFrame frame;
      frame.running_time = frame.arrival = interval_ * static_cast<int>(i);
      for (const double ratio : ratios)
        frame.costs.push_back(duration(costs[i] * ratio));
      made.push_back(std::move(frame));
    }
    return made;
  }
  // Frames come late by up to half an interval, each by chance.
  void jitter_arrivals(std::vector<SimulatedFrame>& frames) {
    Duration last{};
    for (SimulatedFrame& frame : frames) {
      frame.arrival = std::max(last, frame.arrival + duration(uniform() / 2));
      last = frame.arrival;
    }
  }
  // Every three seconds (mean) nothing comes for three intervals, then all.
  void burst_arrivals(std::vector<SimulatedFrame>& frames) {
    for (std::size_t i = 0; i + 3 < frames.size(); ++i) {
      if (uniform() * 3e9 > static_cast<double>(interval_.count())) continue;
      for (std::size_t k = i; k < i + 3; ++k)
        frames[k].arrival = frames[i + 3].arrival;
      i += 3;
    }
  }

  static constexpr double kNominal = 0.66;

 private:
  double uniform() { return std::uniform_real_distribution<>(0, 1)(chance_); }
  double normal() { return std::normal_distribution<>()(chance_); }
  std::vector<double> noisy(std::vector<double> costs) {
    for (double& cost : costs) cost *= std::exp(0.03 * normal());
    return costs;
  }
  double in_frames(Duration time) const {
    return static_cast<double>(time.count()) /
           static_cast<double>(interval_.count());
  }
  Duration duration(double intervals) const {
    return Duration(static_cast<Duration::rep>(
        intervals * static_cast<double>(interval_.count())));
  }

  Duration interval_;
  std::size_t count_;
  std::mt19937 chance_;
};

struct Workload {
  std::string name;
  std::vector<SimulatedFrame> frames;
};

// All of them. 60 fps: the loads are the same in frames, spikes and stalls the
// same in milliseconds.
inline std::vector<Workload> all_workloads(Duration interval,
                                           std::size_t frames, unsigned seed,
                                           const std::vector<double>& ratios) {
  using std::chrono_literals::operator""ms;
  WorkloadMaker make(interval, frames, seed);
  std::vector<Workload> all;
  const auto add = [&](const char* name, const std::vector<double>& costs) {
    all.push_back({name, make.frames(costs, ratios)});
  };
  add("calm", make.constant(WorkloadMaker::kNominal));
  add("constant 0.5", make.constant(0.5));
  add("constant 0.9", make.constant(0.9));
  add("constant 1.12", make.constant(1.12));
  add("constant 1.6", make.constant(1.6));
  add("constant 3", make.constant(3));
  add("contention", make.contention());
  add("step and ramp", make.step_and_ramp());
  add("spikes 1 %", make.spikes(0.01, 120ms));
  add("spikes 3 %", make.spikes(0.03, 120ms));
  add("spikes 10 %", make.spikes(0.1, 120ms));
  add("periodic spike", make.periodic());
  add("content", make.content());
  add("stalls 0.2 s", make.spikes(0.0025, 200ms));
  add("stalls 0.5 s", make.spikes(0.0025, 500ms));
  add("stalls 1.4 s", make.spikes(0.0025, 1400ms));
  add("stalls 2 s", make.spikes(0.0025, 2000ms));
  add("capture jitter", make.constant(0.9));
  make.jitter_arrivals(all.back().frames);
  add("arrival bursts", make.constant(0.9));
  make.burst_arrivals(all.back().frames);
  return all;
}

}  // namespace dispatch::core
