// SPDX-License-Identifier: LGPL-2.1-or-later
#include "skip_candidates.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <sstream>

#include "bench.h"
#include "pipeline.h"

namespace bench {

namespace {

constexpr int kFps = 30;

// Which frame has which cost does not depend on the frames before it.
std::string stage_text(const SkipStage& stage, int mark) {
  std::string text = "teststage trace=" + stage.trace_path +
                     " interval=" + std::to_string(GST_SECOND / kFps) +
                     " mark=" + std::to_string(mark) +
                     " burn=" + (stage.burns ? "true" : "false");
  if (mark > 1) text += " scale=" + number(stage.lite_scale, 4);
  return text;
}

// A sink that expects frames when they are due here, and says by how much they
// were late.
std::string sink_with(GstClockTime budget) {
  return "fakesink sync=true qos=true enable-last-sample=false "
         "processing-deadline=" +
         std::to_string(budget);
}

LiveStream::Setup plain(const SkipStage& stage, GstClockTime budget) {
  return {.middle = stage_text(stage, 1) + " name=x",
          .budget = budget,
          .sink = sink_with(budget)};
}

LiveStream::Setup leaky(const SkipStage& stage, GstClockTime budget) {
  return {.middle =
              "queue name=x leaky=downstream max-size-buffers=1 "
              "max-size-bytes=0 max-size-time=0 ! " +
              stage_text(stage, 1) + " name=y",
          .budget = budget,
          .last = "y",
          .sink = sink_with(budget)};
}

LiveStream::Setup own_qos(const SkipStage& stage, GstClockTime budget) {
  return {.middle = stage_text(stage, 1) + " name=x qos=true",
          .budget = budget,
          .sink = sink_with(budget)};
}

LiveStream::Setup videorate(const SkipStage& stage, GstClockTime budget) {
  return {.middle = "videorate name=x drop-only=true ! video/x-raw,framerate=" +
                    std::to_string(kFps) + "/" + std::to_string(stage.every) +
                    " ! " + stage_text(stage, 1) + " name=y",
          .budget = budget,
          .last = "y",
          .sink = sink_with(budget)};
}

LiveStream::Setup every_nth(const SkipStage& stage, GstClockTime budget) {
  return {.middle = stage_text(stage, 1) +
                    " name=x apply-every=" + std::to_string(stage.every),
          .budget = budget,
          .sink = sink_with(budget)};
}

// The common part of an element of ours.
std::string ours(const char* element, GstClockTime budget) {
  return std::string(element) +
         " name=x latency-budget=" + std::to_string(budget);
}

LiveStream::Setup workerpool(const SkipStage& stage, GstClockTime budget) {
  return {.middle = ours("workerpool", budget) + " max-workers=" +
                    std::to_string(std::max(stage.most_helpers, 1U)) +
                    " stage=\"" + stage_text(stage, 1) + "\"",
          .budget = budget};
}

std::string adaptiveskip(const SkipStage& stage, GstClockTime budget) {
  std::string text = ours("adaptiveskip", budget);
  if (stage.most_helpers > 0)
    text += " max-helpers=" + std::to_string(stage.most_helpers);
  return text;
}

LiveStream::Setup two_rungs(const SkipStage& stage, GstClockTime budget) {
  return {.middle = adaptiveskip(stage, budget) + " stage=\"" +
                    stage_text(stage, 1) + "\"",
          .budget = budget};
}

// The third one is the bypass, which needs no stage.
LiveStream::Setup three_rungs(const SkipStage& stage, GstClockTime budget) {
  return {.middle = adaptiveskip(stage, budget) +
                    " num-levels=2 level0::stage=\"" + stage_text(stage, 1) +
                    "\" level0::utility=" + number(kFullUtility) +
                    " level1::stage=\"" + stage_text(stage, 2) +
                    "\" level1::utility=" + number(kLiteUtility),
          .budget = budget};
}

std::vector<SkipCandidate> all_candidates() {
  const std::vector<double> one{kFullUtility};
  return {
      {"plain", "teststage", plain, one, false, false},
      {"leaky", "queue", leaky, one, false, false},
      {"qos", "teststage", own_qos, one, false, false},
      {"videorate", "videorate", videorate, one, false, false},
      {"every-nth", "teststage", every_nth, one, false, false},
      {"workerpool", "workerpool", workerpool, one, true, false},
      {"two-rungs", "adaptiveskip", two_rungs, one, true, true},
      {"three-rungs",
       "adaptiveskip",
       three_rungs,
       {kFullUtility, kLiteUtility},
       true,
       true},
  };
}

bool is_among(const std::string& name, const gchar* names) {
  std::istringstream list(names);
  for (std::string one; std::getline(list, one, ',');)
    if (one == name) return true;
  return false;
}

}  // namespace

std::vector<SkipCandidate> skip_candidates(const gchar* only) {
  std::vector<SkipCandidate> chosen = all_candidates();
  std::erase_if(chosen, [&](const SkipCandidate& candidate) {
    return !exists(candidate.needs) ||
           (only != nullptr && !is_among(candidate.name, only));
  });
  if (chosen.empty()) fail("There is no such candidate.");
  return chosen;
}

unsigned every_of(const Trace& trace, GstClockTime interval) {
  // Less than all of the time, so that a backlog goes away again.
  constexpr double kMostBusy = 0.9;
  const double mean_ns = 1000 *
                         std::accumulate(trace.begin(), trace.end(), 0.0) /
                         static_cast<double>(trace.size());
  const double intervals = mean_ns / static_cast<double>(interval);
  // At least 2: one that does not skip is `plain`.
  return std::max(2U, static_cast<unsigned>(std::ceil(intervals / kMostBusy)));
}

}  // namespace bench
