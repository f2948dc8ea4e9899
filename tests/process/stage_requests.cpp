// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What workers ask about one epoch: each of them may end at any time.
#include "process/stage_requests.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>

namespace dispatch::process {
namespace {

namespace protocol = core::protocol;
using stage::Epoch;

constexpr auto kAWhile = std::chrono::milliseconds(100);

// Beyond its sink pad there is nothing.
class StageRequestsTest : public testing::Test {
 protected:
  // One that knows epoch_.
  std::unique_ptr<StageRequests> worker() {
    auto requests = std::make_unique<StageRequests>(negotiation_, &names_[at_]);
    ++at_;
    EXPECT_EQ(requests->number_of(epoch_), 1U);
    return requests;
  }

  static IncomingMessage message(const MessageFields& fields) {
    IncomingMessage result;
    result.fields = fields.bytes();
    return result;
  }
  static std::uint64_t enter(StageRequests& requests) {
    std::string wrong;
    const MessageFields reply = requests.enter_epoch(
        message(MessageFields().add_number(protocol::kFieldEpochId, 1)), wrong);
    EXPECT_EQ(wrong, "");
    return message(reply).number(protocol::kFieldResult, 99);
  }
  static std::future<std::uint64_t> enter_in_background(
      StageRequests& requests) {
    return std::async(std::launch::async, [&] { return enter(requests); });
  }
  static void leave(StageRequests& requests) {
    std::string wrong;
    requests.leave_epoch(message(MessageFields()
                                     .add_number(protocol::kFieldEpochId, 1)
                                     .add_number(protocol::kFieldResult, 1)),
                         wrong);
    EXPECT_EQ(wrong, "");
  }
  static constexpr auto kNegotiate =
      static_cast<std::uint64_t>(Epoch::Entry::kNegotiate);
  static constexpr auto kBound =
      static_cast<std::uint64_t>(Epoch::Entry::kBound);
  static constexpr auto kInterrupted =
      static_cast<std::uint64_t>(Epoch::Entry::kInterrupted);

  const stage::PadPtr sink_{
      stage::sink_object(gst_pad_new("sink", GST_PAD_SINK))};
  const stage::PadPtr src_{stage::sink_object(gst_pad_new("src", GST_PAD_SRC))};
  const std::shared_ptr<stage::Negotiation> negotiation_ =
      std::make_shared<stage::Negotiation>(sink_.get(), src_.get());
  const std::shared_ptr<Epoch> epoch_ =
      std::make_shared<Epoch>(nullptr, /*pin=*/false);
  char names_[3] = {};
  std::size_t at_ = 0;
};

TEST_F(StageRequestsTest, TheEndOfOneWorkerEndsNoWaitOfAnother) {
  const auto first = worker();
  const auto second = worker();
  const auto third = worker();
  ASSERT_EQ(enter(*first), kNegotiate);
  auto entered = enter_in_background(*second);
  EXPECT_EQ(entered.wait_for(kAWhile), std::future_status::timeout);
  third->close();
  EXPECT_EQ(entered.wait_for(kAWhile), std::future_status::timeout);
  leave(*first);
  EXPECT_EQ(entered.get(), kBound);
}

TEST_F(StageRequestsTest, ItsEndEndsItsOwnWait) {
  const auto first = worker();
  const auto second = worker();
  ASSERT_EQ(enter(*first), kNegotiate);
  auto entered = enter_in_background(*second);
  EXPECT_EQ(entered.wait_for(kAWhile), std::future_status::timeout);
  second->close();
  EXPECT_EQ(entered.get(), kInterrupted);
}

TEST_F(StageRequestsTest, OneThatEndsWhileItNegotiatesLetsTheNextOneIn) {
  const auto first = worker();
  const auto second = worker();
  ASSERT_EQ(enter(*first), kNegotiate);
  auto entered = enter_in_background(*second);
  first->close();
  EXPECT_EQ(entered.get(), kNegotiate);
}

TEST(EpochTest, WhoeverWaitsForAnAllocationThatIsGivenUpAsksForItself) {
  Epoch epoch(nullptr, /*pin=*/false);
  ASSERT_EQ(epoch.ask_allocation(1), Epoch::Allocation::kAsk);
  auto next =
      std::async(std::launch::async, [&] { return epoch.ask_allocation(2); });
  EXPECT_EQ(next.wait_for(kAWhile), std::future_status::timeout);
  epoch.give_up_allocation(1);
  EXPECT_EQ(next.get(), Epoch::Allocation::kAsk);
}

TEST(EpochTest, AFlushEndsTheWaitForAnAllocation) {
  Epoch epoch(nullptr, /*pin=*/false);
  ASSERT_EQ(epoch.ask_allocation(1), Epoch::Allocation::kAsk);
  auto next =
      std::async(std::launch::async, [&] { return epoch.ask_allocation(2); });
  EXPECT_EQ(next.wait_for(kAWhile), std::future_status::timeout);
  epoch.interrupt();
  EXPECT_EQ(next.get(), Epoch::Allocation::kInterrupted);
}

}  // namespace
}  // namespace dispatch::process
