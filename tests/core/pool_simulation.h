// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A pool of workers on a virtual clock, sized by a PoolSize.
//
// For: seeing what the sizing does over seconds and minutes, exactly and within
// milliseconds. Not for: the order of the output; a frame is on its own.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "core/pool_size.h"

namespace dispatch::core {

class PoolSimulation {
 public:
  struct Source {
    std::optional<Duration> interval;  // of a live source; none: as fast as
                                       // there is room for `window` frames
    unsigned window = 64;
    std::optional<Duration> budget;  // a frame that is not done by then leaves,
                                     // and its worker is set aside
    unsigned max = 8;
    // What the frame that comes at `arrival` takes when it is begun while
    // `busy` workers are, with its own.
    std::function<Duration(Duration arrival, unsigned busy)> cost;
  };
  struct Change {
    Duration at{};
    unsigned size = 0;
  };
  struct Departure {
    Duration arrival{};
    bool is_applied = false;
  };

  explicit PoolSimulation(Source source) : source_(std::move(source)) {
    size_.set_limits({1, source_.max});
    if (!source_.interval) next_arrival_.reset();
  }

  void run_until(Duration end) {
    while (const auto next = next_event()) {
      if (*next > end) break;
      now_ = std::max(now_, *next);
      happen();
    }
    now_ = std::max(now_, end);
  }
  void end_of_source() { has_ended_ = true; }

  const PoolSize& size() const { return size_; }
  const std::vector<Change>& changes() const { return changes_; }
  const std::vector<Departure>& departures() const { return departures_; }
  unsigned largest() const {
    unsigned most = 1;
    for (const Change& change : changes_) most = std::max(most, change.size);
    return most;
  }
  // When the size was first at least `size`.
  std::optional<Duration> reached(unsigned size) const {
    for (const Change& change : changes_)
      if (change.size >= size) return change.at;
    return std::nullopt;
  }
  // Over all the time.
  double mean_size() const {
    double sum = 0;
    unsigned size = 1;
    Duration since{};
    for (const Change& change : changes_) {
      sum += static_cast<double>((change.at - since).count()) * size;
      since = change.at;
      size = change.size;
    }
    sum += static_cast<double>((now_ - since).count()) * size;
    return sum / static_cast<double>(now_.count());
  }
  std::size_t finished() const { return finished_; }

 private:
  struct Job {
    Duration arrival{};
    Duration begin{};
    Duration end{};
  };

  MonotonicTime time() const { return MonotonicTime(now_); }
  bool has_room() const {
    return !has_ended_ && queue_.size() + jobs_.size() < source_.window;
  }

  std::optional<Duration> next_event() const {
    std::optional<Duration> next;
    const auto consider = [&next](Duration at) {
      if (!next || at < *next) next = at;
    };
    if (next_arrival_ && !has_ended_) consider(*next_arrival_);
    if (!next_arrival_ && has_room()) consider(now_);
    for (const Job& job : jobs_) consider(std::min(job.end, due(job.arrival)));
    for (const Duration arrival : queue_) consider(due(arrival));
    if (const auto look = size_.next_look()) consider(look->time_since_epoch());
    return next;
  }

  Duration due(Duration arrival) const {
    return source_.budget ? arrival + *source_.budget : Duration::max();
  }

  void happen() {
    finish();
    rescue();
    if (next_arrival_ && !has_ended_ && *next_arrival_ <= now_) {
      arrive();
      *next_arrival_ += *source_.interval;
    }
    if (!next_arrival_ && has_room()) arrive();
    judge();
  }

  void finish() {
    const auto done = std::find_if(jobs_.begin(), jobs_.end(),
                                   [&](auto& job) { return job.end <= now_; });
    if (done == jobs_.end()) return;
    size_.on_finished(time(), done->end - done->begin);
    ++finished_;
    departures_.push_back({done->arrival, true});
    jobs_.erase(done);
    judge();
    finish();
  }

  void rescue() {
    const auto leave = [this](Duration arrival) {
      if (now_ < due(arrival)) return false;
      size_.on_rescued(time());
      departures_.push_back({arrival, false});
      return true;
    };
    std::erase_if(jobs_, [&](auto& job) { return leave(job.arrival); });
    std::erase_if(queue_, leave);
  }

  void arrive() {
    queue_.push_back(now_);
    size_.on_arrival(time());
  }

  void begin() {
    while (!queue_.empty() && jobs_.size() < size_.size()) {
      const Duration arrival = queue_.front();
      queue_.pop_front();
      const auto busy = static_cast<unsigned>(jobs_.size()) + 1;
      jobs_.push_back({arrival, now_, now_ + source_.cost(arrival, busy)});
    }
  }

  void judge() {
    begin();
    PoolSize::Facts facts;
    facts.waiting = static_cast<unsigned>(queue_.size());
    if (!queue_.empty()) {
      facts.waited = now_ - queue_.front();
      if (source_.budget) facts.slack = due(queue_.front()) - now_;
    }
    if (size_.size() > jobs_.size())
      facts.idle = size_.size() - static_cast<unsigned>(jobs_.size());
    const unsigned before = size_.size();
    if (size_.decide(facts, time()) == before) return;
    changes_.push_back({now_, size_.size()});
    begin();
  }

  Source source_;
  PoolSize size_;
  Duration now_{};
  std::optional<Duration> next_arrival_ = Duration::zero();
  bool has_ended_ = false;
  std::deque<Duration> queue_;
  std::vector<Job> jobs_;
  std::vector<Change> changes_;
  std::vector<Departure> departures_;
  std::size_t finished_ = 0;
};

}  // namespace dispatch::core
