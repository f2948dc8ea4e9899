// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/channel.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <future>
#include <thread>

#include "os/memfd.h"

namespace dispatch::process {
namespace {

namespace protocol = core::protocol;
using Waits = Channel::Waits;

// While it lives, this process can open no further descriptor, or `left`.
class NoMoreDescriptors {
 public:
  explicit NoMoreDescriptors(rlim_t left = 0) {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    const os::UniqueFd lowest_free = os::UniqueFd::duplicate(0);
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(lowest_free.get()) + left;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoMoreDescriptors() { EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;

 private:
  rlimit before_ = {};
};

class ChannelTest : public testing::Test {
 protected:
  ChannelTest() {
    auto sockets = os::make_socket_pair().take();
    far_ = std::move(sockets.second);
    channel_ = std::make_shared<Channel>(
        std::move(sockets.first), [](IncomingMessage&) {},
        [](IncomingMessage&) { return MessageFields(); });
    channel_->set_on_waiting([this] { ++told_; });
  }

  static MessageFields fields_of(std::size_t bytes) {
    MessageFields fields;
    fields.add_bytes(protocol::kFieldPayload, Bytes(bytes));
    return fields;
  }
  void fill() {
    while (told_ == 0) channel_->send(protocol::kMessageFlush, fields_of(9999));
  }
  bool arrives() {
    return os::receive_packet(far_.get(), packet_) == os::Received::kPacket;
  }
  std::string failure() const {
    const auto failure = channel_->failure();
    return failure ? failure->text() : "none";
  }

  const os::UniqueFd file_ = os::create_memfd("file", 1).take();
  os::UniqueFd far_;
  std::shared_ptr<Channel> channel_;
  int told_ = 0;
  os::Packet packet_;
};

TEST_F(ChannelTest, DescriptorsArriveThoughThereIsNoneLeft) {
  const std::array fds = {file_.get()};
  {
    const NoMoreDescriptors limit;
    channel_->send(protocol::kMessageSlot, {}, fds);
  }
  ASSERT_TRUE(arrives());
  ASSERT_EQ(packet_.fds.size(), 1U);
  EXPECT_EQ(os::identity_of(packet_.fds[0].get()),
            os::identity_of(file_.get()));
  EXPECT_EQ(told_, 0);
}

TEST_F(ChannelTest, WhatWaitsIsSentWhenThereIsRoom) {
  fill();
  EXPECT_EQ(channel_->send_waiting(), Waits::kForSocket);
  const std::array fds = {file_.get()};
  channel_->send(protocol::kMessageSlot, {}, fds);
  while (channel_->send_waiting() == Waits::kForSocket) ASSERT_TRUE(arrives());
  while (packet_.fds.empty()) ASSERT_TRUE(arrives());
  EXPECT_EQ(os::identity_of(packet_.fds[0].get()),
            os::identity_of(file_.get()));
}

TEST_F(ChannelTest, WhatCannotWaitIsAFailure) {
  fill();
  const std::array fds = {file_.get()};
  told_ = 0;
  {
    const NoMoreDescriptors limit;
    channel_->send(protocol::kMessageSlot, {}, fds);
  }
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(channel_->send_waiting(), Waits::kFailed);
  EXPECT_EQ(failure(), "a message cannot be sent: Too many open files");
}

TEST_F(ChannelTest, FieldsThatFindNoMemoryAreAFailure) {
  {
    const NoMoreDescriptors limit;
    channel_->send(protocol::kMessageSetup, fields_of(os::kMaxPacketBytes));
  }
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(channel_->send_waiting(), Waits::kFailed);
  EXPECT_EQ(failure(), "a message cannot be sent: Too many open files");
}

TEST_F(ChannelTest, AFailureEndsTheWaitForAReply) {
  const NoMoreDescriptors limit;
  EXPECT_FALSE(channel_->ask(protocol::kMessageStageQuery,
                             fields_of(os::kMaxPacketBytes),
                             core::Duration::max()));
}

TEST_F(ChannelTest, DescriptorsThatFindNoPlaceAreAFailureAndNoViolation) {
  Channel peer(std::move(far_), [](IncomingMessage&) {}, {});
  const std::array fds = {file_.get()};
  peer.send(protocol::kMessageReport, {}, fds);
  std::string wrong;
  {
    const NoMoreDescriptors limit;
    EXPECT_FALSE(channel_->receive_all(wrong));
  }
  EXPECT_EQ(wrong, "");
  EXPECT_EQ(failure(), "a message cannot be received: Too many open files");
}

TEST(ChannelRequests, AreBounded) {
  auto sockets = os::make_socket_pair().take();
  std::promise<void> answers;
  const std::shared_future<void> answer = answers.get_future().share();
  const auto asked = std::make_shared<Channel>(
      std::move(sockets.first), [](IncomingMessage&) {},
      [answer](IncomingMessage&) {
        answer.wait();
        return MessageFields();
      });
  asked->set_max_requests(3);
  Channel asking(std::move(sockets.second), {}, {});
  std::string wrong;
  for (int i = 0; i < 3; ++i) asking.send(protocol::kMessagePadEvent);
  EXPECT_TRUE(asked->receive_all(wrong)) << wrong;
  asking.send(protocol::kMessagePadEvent);
  EXPECT_FALSE(asked->receive_all(wrong));
  EXPECT_EQ(wrong, "requests");
  answers.set_value();
  asked->close();
}

// Of this thread only.
bool give_up_privileges() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none = {};
  return syscall(SYS_capset, &header, none.data()) == 0;
}

// The socket is writable all the time: whoever waits for that waits busily.
TEST_F(ChannelTest, DescriptorsOfOthersAreNotWaitedForAtTheSocket) {
  auto others = os::make_socket_pair().take();
  std::thread([&] {
    ASSERT_TRUE(give_up_privileges());
    const NoMoreDescriptors limit(2);  // it counts those on their way, too
    const std::vector<int> many(os::kMaxPacketFds, file_.get());
    const std::array byte = {std::byte()};
    os::Sent sent = os::Sent::kYes;
    while (sent == os::Sent::kYes)
      sent = os::send_packet(others.first.get(), byte, many);
    ASSERT_EQ(sent, os::Sent::kFdsFull);
    const std::array fds = {file_.get()};
    channel_->send(protocol::kMessageSlot, {}, fds);
    EXPECT_EQ(told_, 1);
    EXPECT_EQ(channel_->send_waiting(), Waits::kForOthers);
    others = {};
    EXPECT_EQ(channel_->send_waiting(), Waits::kForNothing);
  }).join();
  EXPECT_TRUE(arrives());
}

}  // namespace
}  // namespace dispatch::process
