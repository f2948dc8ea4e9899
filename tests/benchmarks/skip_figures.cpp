// SPDX-License-Identifier: LGPL-2.1-or-later
#include "skip_figures.h"

#include <algorithm>
#include <cstdint>

#include "bench.h"

namespace bench {

namespace {

enum class Fate { kApplied, kRepeated, kBypassed, kDropped, kLate };

struct Outcome {
  Fate fate = Fate::kLate;
  std::size_t rung = 0;  // of an applied one
  bool operator==(const Outcome& other) const {
    return fate == other.fate && (fate != Fate::kApplied || rung == other.rung);
  }
  bool is_full() const { return fate == Fate::kApplied && rung == 0; }
};

std::uint32_t marked_number(const FrameHead& head) {
  std::uint32_t number = 0;
  for (std::size_t i = 1; i < head.size(); i++)
    number |= std::uint32_t{head[i]} << (8 * (i - 1));
  return number;
}

Outcome outcome_of(const Departure& departure, std::size_t rungs) {
  if (departure.is_late()) return {Fate::kLate};
  const guint8 mark = departure.head.front();
  if (mark < 1 || mark > rungs) return {Fate::kBypassed};
  if (marked_number(departure.head) != departure.number)
    return {Fate::kRepeated};
  return {Fate::kApplied, mark - std::size_t{1}};
}

// Of each frame, by its number. One that is missing was dropped if a later one
// has left; else it was still waiting when its time was over.
std::vector<Outcome> outcomes_of(const std::vector<Departure>& departures,
                                 const SkipQuestion& question) {
  std::size_t last = 0;
  for (const Departure& departure : departures)
    last = std::max<std::size_t>(last, departure.number);
  std::vector<Outcome> outcomes(question.frames);
  for (std::size_t i = 0; i < std::min(last, outcomes.size()); i++)
    outcomes[i].fate = Fate::kDropped;
  for (const Departure& departure : departures) {
    if (departure.number < outcomes.size())
      outcomes[departure.number] =
          outcome_of(departure, question.utilities.rungs.size());
  }
  return outcomes;
}

double percent_of(const std::vector<Outcome>& outcomes, Fate fate) {
  const auto count = std::ranges::count_if(
      outcomes,
      [fate](const Outcome& outcome) { return outcome.fate == fate; });
  return percent(static_cast<std::uint64_t>(count), outcomes.size());
}

double worth(const Outcome& outcome, const SkipUtilities& utilities) {
  switch (outcome.fate) {
    case Fate::kApplied:
      return utilities.rungs[outcome.rung];
    case Fate::kRepeated:
      return utilities.repeat;
    case Fate::kBypassed:
      return utilities.bypass;
    case Fate::kDropped:
    case Fate::kLate:
      break;
  }
  return 0;
}

void add_shares(const std::vector<Outcome>& outcomes, SkipFigures& figures) {
  figures.late = percent_of(outcomes, Fate::kLate);
  figures.applied = percent_of(outcomes, Fate::kApplied);
  figures.repeated = percent_of(outcomes, Fate::kRepeated);
  figures.bypassed = percent_of(outcomes, Fate::kBypassed);
  figures.dropped = percent_of(outcomes, Fate::kDropped);
  figures.full = percent(static_cast<std::uint64_t>(std::ranges::count_if(
                             outcomes, &Outcome::is_full)),
                         outcomes.size());
}

void add_latencies(const std::vector<Departure>& departures,
                   GstClockTime budget, SkipFigures& figures) {
  std::vector<double> latencies_ms;
  latencies_ms.reserve(departures.size());
  for (const Departure& departure : departures) {
    latencies_ms.push_back(
        static_cast<double>(departure.behind +
                            static_cast<GstClockTimeDiff>(budget)) *
        1e-6);
  }
  if (latencies_ms.empty()) return;
  figures.p50_ms = percentile(latencies_ms, 50);
  figures.p99_ms = percentile(latencies_ms, 99);
  figures.worst_ms = percentile(latencies_ms, 100);
}

void add_pattern(const std::vector<Outcome>& outcomes, SkipFigures& figures) {
  std::uint64_t switches = 0;
  std::size_t skipped = 0;
  std::size_t longest = 0;
  for (std::size_t i = 0; i < outcomes.size(); i++) {
    if (i > 0 && !(outcomes[i] == outcomes[i - 1])) switches++;
    skipped = outcomes[i].fate == Fate::kApplied ? 0 : skipped + 1;
    longest = std::max(longest, skipped);
  }
  figures.switches = percent(switches, outcomes.size());
  figures.longest_skip = static_cast<double>(longest);
}

// ---- Recovery --------------------------------------------------------------

double ms_of(std::size_t frames, const SkipQuestion& question) {
  return static_cast<double>(frames) * static_cast<double>(question.interval) *
         1e-6;
}

// Until the first of half a second of frames none of which is late.
std::optional<double> onset_ms(const std::vector<Outcome>& outcomes,
                               const SkipQuestion& question) {
  const std::size_t wanted = GST_SECOND / 2 / question.interval;
  std::size_t in_time = 0;
  for (std::size_t i = question.overload_from; i < question.overload_until;
       i++) {
    in_time = outcomes[i].fate == Fate::kLate ? 0 : in_time + 1;
    if (in_time == wanted)
      return ms_of(i + 1 - wanted - question.overload_from, question);
  }
  return std::nullopt;
}

// Until the first frame from which on this share of all has the full stage.
std::optional<double> back_ms(const std::vector<Outcome>& outcomes,
                              const SkipQuestion& question, double share) {
  std::size_t full = 0;
  std::optional<std::size_t> first;
  for (std::size_t i = outcomes.size(); i > question.overload_until; i--) {
    if (outcomes[i - 1].is_full()) full++;
    const auto count = static_cast<double>(outcomes.size() + 1 - i);
    if (static_cast<double>(full) >= share * count) first = i - 1;
  }
  if (!first) return std::nullopt;
  return ms_of(*first - question.overload_until, question);
}

}  // namespace

SkipFigures skip_figures(const std::vector<Departure>& departures,
                         const SkipQuestion& question) {
  const std::vector<Outcome> outcomes = outcomes_of(departures, question);
  SkipFigures figures;
  add_shares(outcomes, figures);
  add_latencies(departures, question.budget, figures);
  add_pattern(outcomes, figures);
  for (const Outcome& outcome : outcomes)
    figures.utility += worth(outcome, question.utilities);
  figures.utility /= static_cast<double>(outcomes.size());
  if (question.overload_from == question.overload_until) return figures;
  figures.recovery = {.onset_ms = onset_ms(outcomes, question),
                      .back_95_ms = back_ms(outcomes, question, 0.95),
                      .back_99_ms = back_ms(outcomes, question, 0.99)};
  return figures;
}

}  // namespace bench
