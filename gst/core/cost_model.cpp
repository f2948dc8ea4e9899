// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/cost_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace dispatch::core {

namespace {

// How much of a deviation the slowdown takes over: of a usual one, of one that
// stands alone, and of the second one in a row on the same side.
constexpr double kGain = 0.12;
constexpr double kOutlierGain = 0.06;
constexpr double kShiftGain = 0.6;
constexpr double kOutlier = 0.45;
// Two in a row are a shift unless outliers mostly stood alone lately.
constexpr double kShiftShare = 0.4;
constexpr double kShiftMemory = 0.1;
// What lies further off counts as this far: e^1.2 is 3.3 times.
constexpr double kFarthest = 1.2;
// What a level costs by itself is the median of its first measurements; later
// it is moved slowly, by those that follow one of another level.
constexpr unsigned kFirstCosts = 5;
constexpr double kOwnGain = 0.05;
// One that is far cheaper than another level let expect is no spike.
constexpr double kCheaperGain = 0.25;
// While nothing is measured, expectations fall by so much a second (about 3 %
// for each frame at 30 fps), from this time on, down to an eighth: what takes
// so many times as long as there is time for is found by trials alone.
constexpr double kFading = 1.0;
constexpr Duration kSilence = std::chrono::milliseconds(500);
constexpr double kMostFaded = 2.08;
// How fast the candidates for how long a deviation lasts are forgotten, and how
// much better another one has to be.
constexpr double kForget = 1.0 / 64;
constexpr double kClearly = 0.97;
// What costs less costs nothing: to hand the frame over costs about as much
// (core/pool_size).
constexpr Duration kNoCost = std::chrono::microseconds(50);
// Before anything was learned: give or take 20 %.
constexpr std::array<double, 5> kFirstGuess{-0.2, -0.1, 0, 0.1, 0.2};
// A level that is not known, compared with the one above it.
const double kUnknown = std::log(0.5);
// And one that is known, at most.
const double kCheaper = std::log(0.8);

// The lower one of two.
double median_of(std::vector<double> values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double seconds(Duration time) {
  return std::chrono::duration<double>(time).count();
}

double log_of(Duration cost) {
  return std::log(seconds(std::max(kNoCost, cost)));
}

Duration from_log(double log_cost) {
  // An hour is as good as for ever.
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::min(3600.0, std::exp(log_cost))));
}

}  // namespace

double CostModel::Forecast::in_time(Duration slack) const {
  const auto fit = std::upper_bound(costs.begin(), costs.end(), slack);
  return static_cast<double>(fit - costs.begin()) / kPoints;
}

Duration CostModel::Forecast::quantile(double share) const {
  const auto rank = static_cast<std::size_t>(share * kPoints);
  return costs.at(std::min(rank, kPoints - 1));
}

CostModel::CostModel(const std::vector<std::optional<Duration>>& seeds,
                     std::shared_ptr<SharedSlowdown> shared)
    : shared_(std::move(shared)) {
  for (const auto& seed : seeds) {
    Nominal level;
    level.is_seeded = seed.has_value();
    if (seed) level.log_cost = log_of(*seed);
    nominal_.push_back(level);
  }
  if (shared_) shared_->join();
  condense();
}

CostModel::~CostModel() {
  if (shared_) shared_->leave(own_part_);
}

void CostModel::on_caps() {
  for (Nominal& level : nominal_) {
    level.is_seeded |= level.measured > 0;
    level.measured = 0;
    level.first.clear();
    level.is_warm = false;
    level.at.reset();
  }
  outlier_ = 0;
  pending_.clear();
}

bool CostModel::is_known(unsigned level) const {
  const Nominal& nominal = nominal_.at(level);
  return nominal.measured > 0 || nominal.is_seeded || nominal.has_guess;
}

std::optional<RunningTime> CostModel::measured_at(unsigned level) const {
  return nominal_.at(level).at;
}

double CostModel::slowdown() const { return std::exp(slowdown_); }

// ---- Learning --------------------------------------------------------------

void CostModel::on_measured(unsigned level, Duration cost, RunningTime now) {
  Nominal& nominal = nominal_.at(level);
  const RunningTime begun = now - cost;
  std::erase_if(pending_, [&](const Pending& job) {
    return job.level == level &&
           std::chrono::abs(job.begun - begun) < kSameBegin;
  });
  nominal.at = now;
  if (nominal.is_warm) {
    learn(level, log_of(cost), begun, now);
    return;
  }
  nominal.is_warm = true;
  if (nominal.is_seeded) return;
  // Better than nothing, until the next one.
  nominal.log_cost = log_of(cost) - slowdown_;
  nominal.has_guess = true;
}

void CostModel::on_overrun(unsigned level, Duration age, RunningTime now) {
  Nominal& nominal = nominal_.at(level);
  if (nominal.measured == 0 && !nominal.is_seeded) {
    const double guess = log_of(age) - slowdown_;
    nominal.log_cost =
        nominal.has_guess ? std::max(nominal.log_cost, guess) : guess;
    nominal.has_guess = true;
    return;
  }
  const RunningTime begun = now - age;
  const auto same =
      std::find_if(pending_.begin(), pending_.end(), [&](const Pending& job) {
        return job.level == level && job.begun == begun;
      });
  if (same != pending_.end()) {
    same->given_up_after = age;
    return;
  }
  // So many jobs at once that the oldest ones are of no interest.
  constexpr std::size_t kMostPending = 16;
  if (pending_.size() == kMostPending) pending_.erase(pending_.begin());
  pending_.push_back({level, begun, {}});
}

void CostModel::learn(unsigned level, double log_cost, RunningTime begun,
                      RunningTime now) {
  Nominal& nominal = nominal_.at(level);
  if (began_to_cost(nominal, log_cost)) {
    nominal.measured = 0;
    nominal.first.clear();
  }
  Sample sample;
  double value = log_cost - nominal.log_cost;
  // Where it is after a silence, between what was learned and what that has
  // faded to, the first cost tells.
  const double learned = learned_center();
  sample.center = std::clamp(value, learned - faded(now), learned);
  sample.age = last_begun_ ? seconds(begun - *last_begun_) : 0;
  sample.deviation = deviation_;
  const double guess = expected(sample.center, deviation_, sample.age);
  ++nominal.measured;
  const double part = own_part_of(level, value - guess);
  nominal.log_cost += part;
  value -= part;
  sample.value = value;
  sample.error = value - guess;
  sample.was_covered = value <= guess + points_.at(kPoints - 1);
  judge_lasting(sample);
  keep(sample);
  last_level_ = level;
  slowdown_ = learned;
  add_to_slowdown(sample.center - learned);
  move_slowdown(value - sample.center);
  if (shared_) others_seen_ = shared_->of_others(own_part_);
  deviation_ = value - slowdown_;
  last_begun_ = begun;
  last_at_ = now;
  condense();
}

// A stage that was in passthrough, and is not any more: that is no slowdown.
bool CostModel::began_to_cost(const Nominal& nominal, double cost) const {
  const double nothing = log_of(kNoCost);
  return nominal.log_cost + slowdown_ < nothing + kOutlier &&
         cost > nothing + kFarthest;
}

// How much of an error is the level's own, and not the slowdown of all: all of
// it at first, then what shows when another level was measured before.
double CostModel::own_part_of(unsigned level, double error) {
  Nominal& nominal = nominal_.at(level);
  if (nominal.measured <= kFirstCosts) {
    // It is cheaper than the one above it, whatever it seems to cost.
    const double most = level > 0 && is_known(level - 1)
                            ? log_cost(level - 1) + kCheaper
                            : nominal.log_cost + error;
    nominal.first.push_back(std::min(nominal.log_cost + error, most));
    return median_of(nominal.first) - nominal.log_cost;
  }
  if (level == last_level_) return 0;
  if (error < -kOutlier) return kCheaperGain * error;
  return kOwnGain * std::min(error, kOutlier);
}

void CostModel::move_slowdown(double deviation) {
  const bool is_outlier = std::fabs(deviation) > kOutlier;
  const bool is_second = is_outlier && deviation * outlier_ > 0;
  // Spikes are dear. That frames are cheap again is soon believed.
  const bool is_shift = is_second && (deviation < 0 || shifts_ >= kShiftShare);
  if (outlier_ > 0) shifts_ += kShiftMemory * ((is_second ? 1 : 0) - shifts_);
  const double gain =
      is_shift ? kShiftGain : (is_outlier ? kOutlierGain : kGain);
  outlier_ = is_outlier ? deviation : 0;
  add_to_slowdown(gain * std::clamp(deviation, -kFarthest, kFarthest));
}

void CostModel::add_to_slowdown(double change) {
  slowdown_ += change;
  if (!shared_) return;
  shared_->add(change);
  own_part_ += change;
}

// The candidate whose guesses were best lately.
void CostModel::judge_lasting(const Sample& sample) {
  const std::size_t before = lasting_;
  for (std::size_t i = 0; i < kLasting.size(); ++i) {
    lasting_ = i;
    const double error = std::fabs(
        sample.value - expected(sample.center, sample.deviation, sample.age));
    loss_.at(i) += kForget * (std::min(error, kFarthest) - loss_.at(i));
  }
  lasting_ = before;
  const auto best = static_cast<std::size_t>(
      std::min_element(loss_.begin(), loss_.end()) - loss_.begin());
  if (loss_.at(best) < kClearly * loss_.at(lasting_)) lasting_ = best;
}

void CostModel::keep(const Sample& sample) {
  if (samples_.size() < kSamples) {
    samples_.push_back(sample);
    next_sample_ = samples_.size() % kSamples;
    return;
  }
  samples_.at(next_sample_) = sample;
  next_sample_ = (next_sample_ + 1) % kSamples;
}

// ---- Expecting -------------------------------------------------------------

double CostModel::expected(double center, double deviation, double age) const {
  const double lasting = kLasting.at(lasting_);
  if (lasting == 0) return center;
  return center + std::exp(-std::max(0.0, age) / lasting) *
                      std::clamp(deviation, -kFarthest, kFarthest);
}

double CostModel::learned_center() const {
  if (!shared_) return slowdown_;
  return slowdown_ + shared_->of_others(own_part_) - others_seen_;
}

// By how much what was learned has faded.
double CostModel::faded(RunningTime now) const {
  if (!last_at_ || now - *last_at_ <= kSilence) return 0;
  return std::min(kMostFaded, kFading * seconds(now - *last_at_ - kSilence));
}

// The slowdown as it will be when what is overdue is done: jobs that have taken
// for too long already, as outliers, as far as nothing newer was measured.
double CostModel::foreseen(RunningTime now) const {
  double slowdown = learned_center() - faded(now);
  double last = outlier_;
  for (const Pending& job : pending_) {
    if (last_begun_ && job.begun < *last_begun_) continue;
    const Duration age = job.given_up_after.value_or(now - job.begun);
    const double deviation = log_of(age) - log_cost(job.level) - slowdown;
    if (deviation <= kOutlier) continue;
    slowdown +=
        (last > 0 ? kShiftGain : kOutlierGain) * std::min(deviation, kFarthest);
    last = deviation;
  }
  return slowdown;
}

// Of a level that is not known well the better of two guesses: to try it shows.
double CostModel::log_cost(unsigned level) const {
  const Nominal& nominal = nominal_.at(level);
  if (nominal.measured > 0 || nominal.is_seeded || level == 0)
    return nominal.log_cost;
  const double guess = log_cost(level - 1) + kUnknown;
  return nominal.has_guess ? std::min(guess, nominal.log_cost) : guess;
}

CostModel::Forecast CostModel::forecast(unsigned level, RunningTime now) const {
  Forecast forecast;
  if (!is_known(level) && level == 0) return forecast;
  const double age = last_begun_ ? seconds(now - *last_begun_) : 0;
  const double middle =
      log_cost(level) + expected(foreseen(now), deviation_, age);
  for (std::size_t i = 0; i < kPoints; ++i)
    forecast.costs.at(i) = from_log(middle + points_.at(i));
  forecast.median = from_log(
      middle + (points_.at(kPoints / 2 - 1) + points_.at(kPoints / 2)) / 2);
  return forecast;
}

// The errors there would have been with the candidate in use, as points that
// are equally likely.
void CostModel::condense() {
  std::vector<double> errors;
  errors.reserve(kSamples + kFirstGuess.size());
  for (const Sample& sample : samples_)
    errors.push_back(sample.value -
                     expected(sample.center, sample.deviation, sample.age));
  if (samples_.size() < kPoints)
    for (const double guess : kFirstGuess) errors.push_back(guess);
  std::sort(errors.begin(), errors.end());
  for (std::size_t i = 0; i < kPoints; ++i)
    points_.at(i) = errors.at((2 * i + 1) * errors.size() / (2 * kPoints));
}

double CostModel::coverage() const {
  if (samples_.empty()) return 1;
  const auto covered =
      std::count_if(samples_.begin(), samples_.end(),
                    [](const Sample& sample) { return sample.was_covered; });
  return static_cast<double>(covered) / static_cast<double>(samples_.size());
}

double CostModel::error() const {
  if (samples_.empty()) return 0;
  std::vector<double> errors;
  for (const Sample& sample : samples_)
    errors.push_back(std::fabs(sample.error));
  return median_of(std::move(errors));
}

}  // namespace dispatch::core
