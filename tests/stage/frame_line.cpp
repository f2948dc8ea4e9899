// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The line by itself: no threads, no pads; workers that note what they get.
#include "stage/frame_line.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "stage/negotiation.h"

namespace dispatch::test {
namespace {

using core::Cause;
using core::Sequence;
using stage::LineEntry;
using stage::Section;
using stage::Worker;
using Sequences = std::vector<Sequence>;

constexpr std::uint64_t kBytes = 100;  // of a frame

class NotingWorker final : public Worker {
 public:
  explicit NotingWorker(unsigned number) : number_(number) {}

  unsigned number() const override { return number_; }
  void submit(stage::Job job) override { jobs.push_back(job.sequence); }
  void abandon(Sequence sequence) override { abandoned.push_back(sequence); }
  void flush() override {}

  Sequences jobs;
  Sequences abandoned;

 private:
  const unsigned number_;
};

// A line that is open. Each call is a Section of its own.
class Line {
 public:
  explicit Line(unsigned count, unsigned max = 0) {
    std::vector<std::shared_ptr<Worker>> all;
    for (unsigned number = 0; number < count; ++number) {
      workers.push_back(std::make_shared<NotingWorker>(number));
      all.push_back(workers.back());
    }
    const Section section(wakes_);
    roster_.set(all);
    staffing_.set_limits({.min = count, .max = std::max(count, max)});
    staffing_.start();
    sut_.start();
    sut_.set_limits({.frames = 4, .bytes = 1000, .always_frames = 1});
  }

  // Calls `fn` with the line.
  template <typename Fn>
  auto with(Fn fn) {
    const Section section(wakes_);
    return fn(sut_);
  }

  void add_frames(unsigned count) {
    for (unsigned i = 0; i < count; ++i)
      with([&](auto& line) {
        line.add_frame(stage::Frame(gst_buffer_new()), kBytes, sticky_);
      });
  }
  // One that depends on earlier ones.
  void add_delta() {
    GstBuffer* buffer = gst_buffer_new();
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    with([&](auto& line) {
      line.add_frame(stage::Frame(buffer), kBytes, sticky_);
    });
  }
  // Another worker does what comes from now on.
  void replace_workers(bool is_per_stream) {
    workers.push_back(std::make_shared<NotingWorker>(workers.size()));
    const Section section(wakes_);
    const auto generation = roster_.offer({workers.back()});
    EXPECT_TRUE(sut_.begin_generation(generation, is_per_stream));
  }
  void add_event(GstEvent* event) {
    with([&](auto& line) { line.add_event(stage::EventPtr(event), sticky_); });
  }
  Sequence add(stage::StageQuestion& question) {
    const stage::QueryPtr query(gst_query_new_allocation(nullptr, FALSE));
    return with([&](auto& line) {
      return line.add_stage_question(question, query.get(), sticky_);
    });
  }
  void add(stage::Question& question) {
    with([&](auto& line) { line.add_question(question, sticky_); });
  }
  void finish(unsigned worker, Sequence sequence,
              core::Duration service = std::chrono::milliseconds(1)) {
    stage::JobResult result;
    result.end = result.start + service;
    with([&](auto& line) {
      line.on_finished(*workers[worker], sequence, result);
    });
  }
  // The worker dies with the frame, which comes back as it was.
  void lose(unsigned worker, Sequence sequence) {
    stage::Job job;
    job.sequence = sequence;
    job.frame = stage::Frame(gst_buffer_new());
    with([&](auto& line) { line.on_lost(*workers[worker], std::move(job)); });
  }
  void discard_head() {
    with([](auto& line) { line.discard_head(Cause::kDownstream); });
  }
  // The supervisor asks.
  stage::Orders give_orders(core::MonotonicTime now) {
    const Section section(wakes_);
    return staffing_.give_orders(now);
  }
  core::FrameSums sums() {
    return with([](auto& line) { return line.sums(); });
  }
  GstFlowReturn flow() {
    return with([](auto& line) { return line.flow(); });
  }
  bool has_room(std::uint64_t bytes = kBytes) {
    return with([&](auto& line) { return line.has_room(bytes); });
  }

  std::vector<std::shared_ptr<NotingWorker>> workers;

 private:
  const std::shared_ptr<const stage::StickyState> sticky_ =
      stage::StickyState().in_epoch(
          std::make_shared<stage::Epoch>(nullptr, /*pin=*/false));
  const stage::ElementPtr owner_ =
      stage::sink_object(gst_element_factory_make("identity", nullptr));
  stage::PipelineTime time_;
  stage::Wakes wakes_;
  stage::WorkerRoster roster_;
  core::CpuAllowance allowance_{1};
  stage::Staffing staffing_{roster_, wakes_, allowance_};
  stage::ElementTrace trace_{owner_.get()};
  stage::FrameLine sut_{owner_.get(), time_,  roster_,
                        staffing_,    wakes_, trace_};
};

GstEvent* custom() {
  return gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM,
                              gst_structure_new_empty("custom"));
}

// ---- In --------------------------------------------------------------------

TEST(FrameLine, HasRoomForSoManyFrames) {
  Line sut(1);
  sut.add_frames(3);
  EXPECT_TRUE(sut.has_room());
  sut.add_frames(1);
  EXPECT_FALSE(sut.has_room());
  sut.discard_head();
  EXPECT_TRUE(sut.has_room());
}

TEST(FrameLine, HasRoomForSoManyBytes) {
  Line sut(1);
  EXPECT_TRUE(sut.has_room(5000)) << "one always has";
  sut.add_frames(1);
  EXPECT_TRUE(sut.has_room(900));
  EXPECT_FALSE(sut.has_room(901));
}

// ---- Through the workers ---------------------------------------------------

TEST(FrameLine, AnIdleWorkerStartsTheOldestFrame) {
  Line sut(2);
  sut.add_frames(4);
  EXPECT_EQ(sut.workers[0]->jobs, (Sequences{0}));
  EXPECT_EQ(sut.workers[1]->jobs, (Sequences{1}));
  sut.finish(1, 1);
  EXPECT_EQ(sut.workers[1]->jobs, (Sequences{1, 2}));
  sut.finish(0, 0);
  EXPECT_EQ(sut.workers[0]->jobs, (Sequences{0, 3}));
}

TEST(FrameLine, EventsAreNoWorkForAWorker) {
  Line sut(1);
  sut.add_event(custom());
  sut.add_frames(1);
  EXPECT_EQ(sut.workers[0]->jobs, (Sequences{1}));
}

TEST(FrameLine, EventsOfAStreamGoThroughTheStage) {
  Line sut(1);
  sut.with([](auto& line) { line.set_per_stream(true); });
  sut.add_event(custom());
  EXPECT_EQ(sut.workers[0]->jobs, (Sequences{0}));
}

TEST(FrameLine, TheStageIsAskedWhenAllBeforeTheQuestionHasLeft) {
  Line sut(2);
  stage::StageQuestion question;
  sut.add_frames(1);
  const Sequence place = sut.add(question);
  EXPECT_TRUE(sut.workers[1]->jobs.empty());
  sut.discard_head();
  EXPECT_EQ(sut.workers[1]->jobs, (Sequences{place}));
  sut.with([](auto& line) { line.head().stage_question = nullptr; });
}

TEST(FrameLine, AFrameOfAShortStageIsLeftForARunningWorker) {
  Line sut(2);
  sut.add_frames(1);
  sut.finish(0, 0, std::chrono::microseconds(1));
  sut.add_frames(2);
  EXPECT_EQ(sut.workers[0]->jobs, (Sequences{0, 1}));
  EXPECT_TRUE(sut.workers[1]->jobs.empty());
  EXPECT_TRUE(sut.with([](auto& line) { return line.has_left_waiting(); }));
  sut.with([](auto& line) { line.assign_left_waiting(); });
  EXPECT_EQ(sut.workers[1]->jobs, (Sequences{2}));
  EXPECT_FALSE(sut.with([](auto& line) { return line.has_left_waiting(); }));
}

TEST(FrameLine, AResultWhoseFrameHasLeftIsLate) {
  Line sut(1);
  sut.add_frames(1);
  sut.discard_head();
  EXPECT_EQ(sut.workers[0]->abandoned, (Sequences{0}));
  sut.finish(0, 0);
  EXPECT_EQ(sut.sums().late_results(), 1U);
}

TEST(FrameLine, AWorkerThatIsLostGetsNothingMore) {
  Line sut(2);
  sut.add_frames(2);
  sut.lose(1, 1);
  sut.add_frames(1);
  EXPECT_EQ(sut.workers[1]->jobs, (Sequences{1}));
  sut.finish(0, 0);
  EXPECT_EQ(sut.workers[0]->jobs, (Sequences{0, 1})) << "what came back first";
}

TEST(FrameLine, AStageWithStateThatDiedIdleGoesOnAtAKeyFrame) {
  Line sut(1);
  sut.with([](auto& line) { line.set_per_stream(true); });
  sut.with([&](auto& line) { line.on_worker_gone(*sut.workers[0]); });
  sut.add_delta();
  EXPECT_TRUE(sut.workers[0]->jobs.empty());
  sut.add_frames(1);
  sut.finish(0, 1);
  sut.add_delta();
  EXPECT_EQ(sut.workers[0]->jobs, (Sequences{1, 2}));
}

TEST(FrameLine, AStageThatIsReplacedDoesWhatDependsOnWhatItDid) {
  Line sut(1);
  sut.with([](auto& line) { line.set_per_stream(true); });
  sut.add_frames(1);
  sut.add_delta();
  sut.replace_workers(/*is_per_stream=*/true);
  sut.add_delta();
  sut.add_frames(1);
  sut.finish(0, 0);
  EXPECT_EQ(sut.workers[0]->jobs, (Sequences{0, 1}));
  EXPECT_EQ(sut.workers[1]->jobs, (Sequences{3}));
}

TEST(FrameLine, WithoutWorkersNothingWaitsForOne) {
  Line sut(0);
  sut.add_frames(1);
  EXPECT_TRUE(sut.with([](auto& line) { return line.give_up(); }));
  EXPECT_FALSE(sut.with([](auto& line) { return line.give_up(); }));
  sut.add_frames(1);
  sut.with([](auto& line) { line.set_per_stream(true); });
  sut.add_event(custom());
  stage::StageQuestion question;
  sut.add(question);
  for (Sequence s = 0; s < 4; ++s)
    EXPECT_EQ(sut.with([&](auto& line) { return line.find(s)->lost; }),
              Cause::kNoWorkers)
        << "entry " << s;
  sut.with([](auto& line) { line.begin_stop(); });
  sut.with([](auto& line) { line.finish_stop(); });
}

TEST(FrameLine, AWorkerIsNotTouchedForWhatItIsDoneWith) {
  Line sut(1);
  sut.add_frames(1);
  sut.finish(0, 0);
  sut.discard_head();
  EXPECT_TRUE(sut.workers[0]->abandoned.empty()) << "it may be gone by then";
}

// ---- Flush and stop --------------------------------------------------------

TEST(FrameLine, AFlushDiscardsFramesAndGivesTheirEventsBack) {
  Line sut(1);
  sut.add_frames(2);
  sut.add_event(custom());
  sut.with([](auto& line) { line.begin_flush(); });
  EXPECT_TRUE(sut.with([](auto& line) { return line.is_ended(); }));
  const auto events = sut.with([](auto& line) { return line.finish_flush(); });
  EXPECT_EQ(events.size(), 1U);
  EXPECT_FALSE(sut.with([](auto& line) { return line.is_ended(); }));
  EXPECT_EQ(sut.sums().count(Cause::kFlush), 2U);
  EXPECT_EQ(sut.sums().in_flight(), 0U);
}

TEST(FrameLine, AWorkerThatIsDoneAfterAFlushGoesOnWithWhatCameThen) {
  Line sut(1);
  sut.add_frames(1);
  sut.with([](auto& line) { line.begin_flush(); });
  sut.with([](auto& line) { line.finish_flush(); });
  sut.add_frames(1);
  EXPECT_EQ(sut.workers[0]->jobs, (Sequences{0}));
  sut.finish(0, 0);
  EXPECT_EQ(sut.workers[0]->jobs, (Sequences{0, 1}));
  EXPECT_EQ(sut.sums().late_results(), 0U) << "it was flushed, not late";
}

TEST(FrameLine, AFlushLetsTheSupervisorSleep) {
  Line sut(1, /*max=*/2);
  sut.add_frames(2);
  EXPECT_TRUE(sut.give_orders(std::chrono::steady_clock::now()).next);
  sut.with([](auto& line) { line.begin_flush(); });
  const auto later = std::chrono::steady_clock::now() + std::chrono::hours(1);
  EXPECT_FALSE(sut.give_orders(later).next);
  sut.with([](auto& line) { line.finish_flush(); });
}

TEST(FrameLine, AStopRefusesWhatWaitsForAnAnswer) {
  Line sut(1);
  stage::Question for_downstream(nullptr);
  stage::StageQuestion for_stage;
  sut.add_frames(1);
  sut.add(for_downstream);
  sut.add(for_stage);
  sut.with([](auto& line) { line.begin_stop(); });
  EXPECT_FALSE(for_downstream.is_waiting());
  sut.with([](auto& line) { line.finish_stop(); });
  EXPECT_TRUE(for_stage.is_answered());
  EXPECT_EQ(for_stage.take_answer(), nullptr);
  EXPECT_EQ(sut.sums().count(Cause::kStop), 1U);
}

TEST(FrameLine, NobodyGetsAJobOfALineThatHasEnded) {
  Line sut(1);
  sut.add_frames(2);
  sut.with([](auto& line) { line.begin_flush(); });
  sut.finish(0, 0);
  EXPECT_EQ(sut.workers[0]->jobs, (Sequences{0}));
}

// ---- The account -----------------------------------------------------------

TEST(FrameLine, TheFirstFlowThatIsNotOkStays) {
  Line sut(1);
  sut.with([](auto& line) {
    line.take_flow(GST_FLOW_OK);
    line.take_flow(GST_FLOW_NOT_LINKED);
    line.take_flow(GST_FLOW_ERROR);
  });
  EXPECT_EQ(sut.flow(), GST_FLOW_NOT_LINKED);
  sut.with([](auto& line) { line.begin_flush(); });
  sut.with([](auto& line) { line.finish_flush(); });
  EXPECT_EQ(sut.flow(), GST_FLOW_OK);
}

TEST(FrameLine, ANewStreamFollowsTheEndOfOneButNotAnError) {
  Line sut(1);
  sut.with([](auto& line) { line.take_flow(GST_FLOW_EOS); });
  sut.add_event(custom());
  EXPECT_EQ(sut.flow(), GST_FLOW_EOS);
  sut.add_event(gst_event_new_stream_start("next"));
  EXPECT_EQ(sut.flow(), GST_FLOW_OK);
  sut.with([](auto& line) { line.take_flow(GST_FLOW_ERROR); });
  sut.add_event(gst_event_new_stream_start("another"));
  EXPECT_EQ(sut.flow(), GST_FLOW_ERROR);
}

}  // namespace
}  // namespace dispatch::test
