// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A source, a ladder of levels and its workers on a virtual clock, driven by a
// rule that says which level each frame gets.
//
// For: seeing over minutes what a rule does, exactly and within milliseconds;
// the same for the law and for those that it is compared with. Not for:
// threads, clocks and hand-over, which cost something in reality.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "core/skip_policy.h"

namespace dispatch::core {

struct SimulatedFrame {
  Duration running_time{};
  Duration arrival{};
  std::vector<Duration> costs;  // of each level
};

struct SkipScenario {
  std::vector<SimulatedFrame> frames;  // by arrival
  Duration budget{};                   // due: running time + budget
  unsigned workers = 1;
  bool can_rescue = true;
  // This many wait at most; the oldest of more is dropped. None: all wait.
  std::optional<std::size_t> max_waiting;
  Duration push_time{};  // how long downstream takes for each frame
  // So many are in the element at most: the source waits. 0: no limit.
  std::size_t window = 0;
};

struct SimulatedDeparture {
  std::optional<unsigned> level;  // none: left without a stage
  bool is_dropped = false;
  bool is_late = false;
  bool arrived_late = false;
  bool was_rescued = false;
  Duration at{};
};

// What drives the simulation.
class SkipRule {
 public:
  SkipRule() = default;
  virtual ~SkipRule() = default;
  SkipRule(const SkipRule&) = delete;
  SkipRule& operator=(const SkipRule&) = delete;

  virtual std::optional<unsigned> decide(const FrameOutlook& frame) = 0;
  virtual void on_arrival(RunningTime, RunningTime) {}
  virtual void on_measured(unsigned, Duration, RunningTime) {}
  virtual void on_overrun(unsigned, Duration, RunningTime) {}
  virtual void on_left(const SkipDeparture&) {}
};

// The law itself.
class PolicyRule : public SkipRule {
 public:
  explicit PolicyRule(SkipPolicy& policy) : policy_(policy) {}

  std::optional<unsigned> decide(const FrameOutlook& frame) override {
    last_ = policy_.decide(frame);
    return last_.level;
  }
  void on_arrival(RunningTime running_time, RunningTime now) override {
    policy_.on_arrival(running_time, now);
  }
  void on_measured(unsigned level, Duration cost, RunningTime now) override {
    policy_.on_measured(level, cost, now);
  }
  void on_overrun(unsigned level, Duration age, RunningTime now) override {
    policy_.on_overrun(level, age, now);
  }
  void on_left(const SkipDeparture& departure) override {
    policy_.on_left(departure);
  }

 protected:
  SkipPolicy& policy() { return policy_; }
  const LevelVerdict& last() const { return last_; }

 private:
  SkipPolicy& policy_;
  LevelVerdict last_;
};

class SkipSimulation {
 public:
  // Both outlive it.
  SkipSimulation(const SkipScenario& scenario, SkipRule& rule)
      : scenario_(scenario),
        rule_(rule),
        jobs_(scenario.workers),
        states_(scenario.frames.size()),
        departures_(scenario.frames.size()) {}

  // All frames; how each one left.
  const std::vector<SimulatedDeparture>& run() {
    while (const auto next = next_event()) {
      now_ = std::max(now_, *next);
      while (happen()) {
      }
    }
    return departures_;
  }

 private:
  struct Job {
    std::size_t frame = 0;
    unsigned level = 0;
    Duration begin{};
    Duration end{};
  };
  struct FrameState {
    enum { kToCome, kWaiting, kRunning, kReady, kLeft } phase = kToCome;
    std::optional<unsigned> level;
    bool is_dropped = false;
    bool arrived_late = false;
    unsigned worker = 0;
  };

  static RunningTime at(Duration time) { return RunningTime(time); }
  Duration due(std::size_t frame) const {
    return scenario_.frames[frame].running_time + scenario_.budget;
  }
  bool may_arrive() const {
    return arrived_ < scenario_.frames.size() &&
           (scenario_.window == 0 || arrived_ - left_ < scenario_.window);
  }
  bool is_head_ready() const {
    return left_ < arrived_ && states_[left_].phase == FrameState::kReady;
  }

  std::optional<Duration> next_event() const {
    std::optional<Duration> next;
    const auto consider = [&next](Duration time) {
      if (!next || time < *next) next = time;
    };
    if (may_arrive()) consider(scenario_.frames[arrived_].arrival);
    for (const auto& job : jobs_)
      if (job) consider(job->end);
    if (left_ < arrived_) {
      if (is_head_ready()) consider(output_free_);
      if (scenario_.can_rescue) consider(std::max(output_free_, due(left_)));
    }
    return next;
  }

  bool happen() { return finish() || leave() || arrive() || begin(); }

  bool finish() {
    for (auto& job : jobs_) {
      if (!job || job->end > now_) continue;
      FrameState& state = states_[job->frame];
      if (state.phase == FrameState::kRunning) state.phase = FrameState::kReady;
      const Job done = *job;
      job.reset();
      rule_.on_measured(done.level, done.end - done.begin, at(now_));
      return true;
    }
    return false;
  }

  bool leave() {
    if (left_ == arrived_ || now_ < output_free_) return false;
    FrameState& state = states_[left_];
    const bool is_ready = state.phase == FrameState::kReady;
    if (!is_ready && !(scenario_.can_rescue && now_ >= due(left_)))
      return false;
    const bool was_begun = state.phase == FrameState::kRunning;
    if (was_begun) {
      const auto& job = jobs_[state.worker];
      rule_.on_overrun(job->level, now_ - job->begin, at(now_));
      state.level.reset();
    }
    state.phase = FrameState::kLeft;
    depart(state, was_begun);
    return true;
  }

  void depart(const FrameState& state, bool was_rescued) {
    SimulatedDeparture& record = departures_[left_];
    record.level = state.level;
    record.is_dropped = state.is_dropped;
    record.is_late = now_ > due(left_) + std::chrono::milliseconds(2);
    record.arrived_late = state.arrived_late;
    record.was_rescued = was_rescued;
    record.at = now_;
    SkipDeparture departure;
    departure.now = at(now_);
    departure.level = state.level;
    departure.is_late = record.is_late;
    departure.was_rescued = was_rescued;
    departure.arrived_late = state.arrived_late;
    departure.blocked = blocked_;
    rule_.on_left(departure);
    blocked_ = scenario_.push_time;
    output_free_ = now_ + scenario_.push_time;
    ++left_;
  }

  bool arrive() {
    if (!may_arrive() || scenario_.frames[arrived_].arrival > now_)
      return false;
    FrameState& state = states_[arrived_];
    state.phase = FrameState::kWaiting;
    state.arrived_late = now_ > due(arrived_);
    rule_.on_arrival(at(scenario_.frames[arrived_].running_time), at(now_));
    waiting_.push_back(arrived_++);
    if (!scenario_.max_waiting) return true;
    while (begin()) {
    }
    while (waiting_.size() > *scenario_.max_waiting) {
      FrameState& oldest = states_[waiting_.front()];
      waiting_.pop_front();
      oldest.phase = FrameState::kReady;
      oldest.is_dropped = true;
    }
    return true;
  }

  bool begin() {
    while (!waiting_.empty() &&
           states_[waiting_.front()].phase != FrameState::kWaiting)
      waiting_.pop_front();
    if (waiting_.empty()) return false;
    for (std::size_t worker = 0; worker < jobs_.size(); ++worker) {
      if (jobs_[worker]) continue;
      const std::size_t frame = waiting_.front();
      waiting_.pop_front();
      start(frame, static_cast<unsigned>(worker));
      return true;
    }
    return false;
  }

  void start(std::size_t frame, unsigned worker) {
    FrameOutlook outlook;
    outlook.now = at(now_);
    outlook.slack = due(frame) - now_;
    outlook.fresh_slack = scenario_.budget;
    outlook.workers = scenario_.workers;
    FrameState& state = states_[frame];
    state.level = rule_.decide(outlook);
    state.phase = state.level ? FrameState::kRunning : FrameState::kReady;
    state.worker = worker;
    if (!state.level) return;
    const Duration cost = scenario_.frames[frame].costs[*state.level];
    jobs_[worker] = Job{frame, *state.level, now_, now_ + cost};
  }

  const SkipScenario& scenario_;
  SkipRule& rule_;
  Duration now_{};
  std::size_t arrived_ = 0;
  std::size_t left_ = 0;
  Duration output_free_{};
  Duration blocked_{};
  std::deque<std::size_t> waiting_;
  std::vector<std::optional<Job>> jobs_;
  std::vector<FrameState> states_;
  std::vector<SimulatedDeparture> departures_;
};

}  // namespace dispatch::core
