// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Jobs and their reports, with this process in the place of the worker's.
#include "process/job_exchange.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <memory>

namespace dispatch::process {
namespace {

namespace protocol = core::protocol;
using std::chrono::steady_clock;

class Bell final : public stage::Reports {
 public:
  bool take() override { return false; }
  std::uint32_t look() const override { return 0; }
  void wait(std::uint32_t, std::optional<core::MonotonicTime>) override {}
  void ring() override { ++rings; }

  int rings = 0;
};

class JobExchangeTest : public testing::Test {
 protected:
  JobExchangeTest() {
    life_.on_ready(std::nullopt);
    far_ = std::move(sockets_.second);
  }

  void submit(core::Sequence sequence) {
    stage::Job job;
    job.sequence = sequence;
    job.event = stage::EventPtr(gst_event_new_stream_start("a"));
    EXPECT_TRUE(sut_.submit(std::move(job)));
  }

  // What the worker writes.
  protocol::Report report_of(std::uint64_t number, core::Sequence sequence) {
    const std::int64_t now = steady_clock::now().time_since_epoch().count();
    protocol::Report report;
    report.number = number;
    report.sequence = sequence;
    report.start_ns = report.end_ns = now;
    return report;
  }
  void write(const protocol::Report& report) {
    const std::uint64_t entry = (report.number - 1) % protocol::kRingEntries;
    std::memcpy(&regions_.reports->reports[entry], &report, sizeof report);
    regions_.reports->completed.fetch_add(1);
  }
  void write_report_of(std::uint64_t number, core::Sequence sequence) {
    write(report_of(number, sequence));
  }
  static TakenReport as_message(const protocol::Report& report, Bytes payload) {
    return {.report = report, .payload = std::move(payload)};
  }
  bool is_told_of_command() {
    os::Packet packet;
    return os::receive_packet(far_.get(), packet) == os::Received::kPacket;
  }
  // The process ends, whatever it has done.
  void end_process() { EXPECT_TRUE(life_.leave("")); }

  std::pair<os::UniqueFd, os::UniqueFd> sockets_ =
      os::make_socket_pair().take();
  os::UniqueFd far_;
  const std::shared_ptr<Channel> channel_ = std::make_shared<Channel>(
      std::move(sockets_.first), [](IncomingMessage&) {},
      [](IncomingMessage&) { return MessageFields(); });
  SharedRegions regions_ = SharedRegions::make().take();
  SlotStore store_;
  StageRequests requests_{nullptr, this};
  LentSlots slots_{0,
                   store_,
                   *channel_,
                   regions_.commands,
                   regions_.reports,
                   /*may_write_inputs=*/false};
  ProcessLife life_{"worker0", {}};
  Bell bell_;
  std::vector<std::uint64_t> to_hear_;
  JobExchange sut_{
      regions_,
      *channel_,
      CommandWriter(slots_, requests_),
      life_,
      bell_,
      [this](std::uint64_t number) { to_hear_.push_back(number); }};
};

TEST_F(JobExchangeTest, AJobBecomesACommand) {
  submit(70);
  submit(71);
  EXPECT_EQ(regions_.commands->submitted.load(), 2U);
  const protocol::Command& command = regions_.commands->commands[1];
  EXPECT_EQ(command.number, 2U);
  EXPECT_EQ(command.sequence, 71U);
  EXPECT_NE(command.payload_bytes, 0U);
  EXPECT_EQ(sut_.submitted(), 2U);
}

TEST_F(JobExchangeTest, NothingHasEndedBeforeItsReport) {
  EXPECT_FALSE(sut_.has_ended());
  submit(70);
  EXPECT_FALSE(sut_.has_ended());
  EXPECT_FALSE(sut_.take_ended());
  EXPECT_TRUE(sut_.has_jobs());
}

TEST_F(JobExchangeTest, AReportEndsItsJob) {
  submit(70);
  submit(71);
  write_report_of(1, 70);
  EXPECT_TRUE(sut_.has_ended());
  const auto ended = sut_.take_ended();
  ASSERT_TRUE(ended && ended->report);
  EXPECT_EQ(ended->wrong, "");
  EXPECT_EQ(ended->flight.job.sequence, 70U);
  EXPECT_FALSE(sut_.has_ended());
  EXPECT_FALSE(sut_.take_ended());
}

TEST_F(JobExchangeTest, AReportOfAnotherFrameEndsItsJobWithoutAResult) {
  submit(70);
  write_report_of(1, 71);
  const auto ended = sut_.take_ended();
  ASSERT_TRUE(ended);
  EXPECT_FALSE(ended->report);
  EXPECT_EQ(ended->wrong, "sequence");
  EXPECT_EQ(ended->flight.job.sequence, 70U);
}

TEST_F(JobExchangeTest, MoreReportsThanCommandsBreakARule) {
  submit(70);
  write_report_of(1, 70);
  write_report_of(2, 71);
  const auto ended = sut_.take_ended();
  ASSERT_TRUE(ended);
  EXPECT_FALSE(ended->report);
  EXPECT_EQ(ended->wrong, "completed");
}

TEST_F(JobExchangeTest, AFailureIsTakenWhenWhatWasSaidBeforeItIsHeard) {
  submit(70);
  protocol::Report report = report_of(1, 70);
  report.flow = GST_FLOW_ERROR;
  write(report);
  EXPECT_FALSE(sut_.take_ended());
  EXPECT_FALSE(sut_.take_ended());
  EXPECT_EQ(to_hear_, std::vector<std::uint64_t>{1});
  EXPECT_FALSE(sut_.has_ended());
  sut_.on_heard(1);
  EXPECT_EQ(bell_.rings, 1);
  const auto ended = sut_.take_ended();
  ASSERT_TRUE(ended && ended->report);
  EXPECT_EQ(ended->report->report.flow, GST_FLOW_ERROR);
}

TEST_F(JobExchangeTest, APayloadThatFollowsIsThatOfItsReport) {
  submit(70);
  protocol::Report report = report_of(1, 70);
  report.flags = protocol::kPayloadFollows;
  write(report);
  EXPECT_FALSE(sut_.take_ended());
  sut_.on_report(as_message(report, Bytes(3)));
  sut_.on_heard(1);
  const auto ended = sut_.take_ended();
  ASSERT_TRUE(ended && ended->report);
  EXPECT_EQ(ended->report->payload.size(), 3U);
}

TEST_F(JobExchangeTest, APayloadThatDoesNotFollowBreaksARule) {
  submit(70);
  protocol::Report report = report_of(1, 70);
  report.flags = protocol::kPayloadFollows;
  write(report);
  EXPECT_FALSE(sut_.take_ended());
  sut_.on_heard(1);
  const auto ended = sut_.take_ended();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->wrong, "payload");
}

TEST_F(JobExchangeTest, AWorkerThatTakesMessagesGetsAndGivesThemOnly) {
  sut_.set_transport(protocol::Transport::kMessages);
  submit(70);
  EXPECT_TRUE(is_told_of_command());
  EXPECT_EQ(regions_.commands->submitted.load(), 0U);
  write_report_of(1, 70);
  EXPECT_FALSE(sut_.has_ended());
  sut_.on_report(as_message(report_of(1, 70), Bytes(3)));
  EXPECT_EQ(bell_.rings, 1);
  EXPECT_TRUE(sut_.has_ended());
  const auto ended = sut_.take_ended();
  ASSERT_TRUE(ended && ended->report);
  EXPECT_EQ(ended->report->payload.size(), 3U);
}

TEST_F(JobExchangeTest, WhatWasReportedBeforeTheEndCounts) {
  submit(70);
  submit(71);
  write_report_of(1, 70);
  end_process();
  const auto reported = sut_.take_ended();
  ASSERT_TRUE(reported);
  EXPECT_TRUE(reported->report);
  const auto failed = sut_.take_ended();
  ASSERT_TRUE(failed);
  EXPECT_FALSE(failed->report);
  EXPECT_EQ(failed->wrong, "");
  EXPECT_FALSE(sut_.take_ended());
}

TEST_F(JobExchangeTest, NothingCountsOfAWorkerThatWasKilled) {
  submit(70);
  write_report_of(1, 70);
  life_.kill();
  EXPECT_TRUE(sut_.has_ended());
  const auto ended = sut_.take_ended();
  ASSERT_TRUE(ended);
  EXPECT_FALSE(ended->report);
}

TEST_F(JobExchangeTest, AJobForAWorkerThatIsGoneOnlyEnds) {
  end_process();
  submit(70);
  EXPECT_EQ(bell_.rings, 1);
  EXPECT_EQ(regions_.commands->submitted.load(), 0U);
  EXPECT_TRUE(sut_.has_ended());
  EXPECT_TRUE(sut_.take_ended());
}

TEST_F(JobExchangeTest, WhatNobodyWillReportIsGivenBackInOrder) {
  for (const core::Sequence sequence : {70U, 71U, 72U}) submit(sequence);
  write_report_of(1, 70);
  EXPECT_TRUE(sut_.take_ended());
  end_process();
  const std::deque<InFlight> rest = sut_.take_in_flight();
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(rest[0].job.sequence, 71U);
  EXPECT_EQ(rest[1].job.sequence, 72U);
  EXPECT_FALSE(sut_.has_jobs());
  EXPECT_FALSE(sut_.has_ended());
}

TEST_F(JobExchangeTest, AFlushHoldsForWhatWasSubmittedBefore) {
  submit(70);
  sut_.flush();
  submit(71);
  EXPECT_TRUE(sut_.is_flushed(1));
  EXPECT_FALSE(sut_.is_flushed(2));
}

TEST_F(JobExchangeTest, AbandoningIsAStoreThatTheWorkerSees) {
  submit(70);
  sut_.abandon(70);
  EXPECT_EQ(regions_.commands->abandoned_end.load(), 71U);
}

TEST_F(JobExchangeTest, AFrameAsksOneQuestionAtATime) {
  submit(70);
  InFlight asking;
  std::vector<MemoryPtr> held;
  EXPECT_FALSE(sut_.begin_question(71, asking, held));
  EXPECT_TRUE(sut_.begin_question(70, asking, held));
  EXPECT_FALSE(sut_.begin_question(70, asking, held));
  sut_.end_question(70, {});
  EXPECT_TRUE(sut_.begin_question(70, asking, held));
}

TEST_F(JobExchangeTest, WhatAQuestionHasNotPushedLeavesWithTheReport) {
  submit(70);
  InFlight asking;
  std::vector<MemoryPtr> held;
  ASSERT_TRUE(sut_.begin_question(70, asking, held));
  stage::Outputs so_far;
  so_far.emplace_back(GST_MINI_OBJECT_CAST(gst_buffer_new()));
  sut_.end_question(70, std::move(so_far));
  write_report_of(1, 70);
  const auto ended = sut_.take_ended();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->flight.so_far.size(), 1U);
}

}  // namespace
}  // namespace dispatch::process
