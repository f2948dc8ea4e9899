// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/packet_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>

#include "os/memfd.h"

namespace dispatch::os {
namespace {

std::vector<std::byte> bytes_of(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

std::string text_of(const Packet& packet) {
  return {reinterpret_cast<const char*>(packet.bytes.data()),
          packet.bytes.size()};
}

std::size_t open_fds() {
  const std::filesystem::directory_iterator fds("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(fds), end(fds)));
}

// What a peer that keeps to no rule sends.
bool send_raw(int socket, std::size_t bytes, const std::vector<int>& fds = {}) {
  std::vector<std::byte> content(bytes);
  std::vector<std::byte> control(CMSG_SPACE(fds.size() * sizeof(int)));
  iovec part = {content.data(), content.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

class PacketSocket : public testing::Test {
 protected:
  int near() const { return pair_.first.get(); }
  int far() const { return pair_.second.get(); }

  std::pair<UniqueFd, UniqueFd> pair_ = make_socket_pair().take();
  Packet packet_;
};

TEST_F(PacketSocket, IsClosedOnExec) {
  EXPECT_NE(fcntl(near(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(fcntl(far(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(PacketSocket, OnlyTheFirstDoesNotBlock) {
  EXPECT_NE(fcntl(near(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(fcntl(far(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(PacketSocket, PacketsArriveOneByOneInBothDirections) {
  EXPECT_EQ(send_packet(near(), bytes_of("one")), Sent::kYes);
  EXPECT_EQ(send_packet(near(), bytes_of("second")), Sent::kYes);
  EXPECT_EQ(send_packet(far(), bytes_of("back")), Sent::kYes);
  EXPECT_EQ(receive_packet(far(), packet_), Received::kPacket);
  EXPECT_EQ(text_of(packet_), "one");
  EXPECT_EQ(receive_packet(far(), packet_), Received::kPacket);
  EXPECT_EQ(text_of(packet_), "second");
  EXPECT_EQ(receive_packet(near(), packet_), Received::kPacket);
  EXPECT_EQ(text_of(packet_), "back");
}

TEST_F(PacketSocket, LargestPacketArrivesWhole) {
  std::string text(kMaxPacketBytes, 'x');
  text.back() = 'y';
  ASSERT_EQ(send_packet(near(), bytes_of(text)), Sent::kYes);
  ASSERT_EQ(receive_packet(far(), packet_), Received::kPacket);
  EXPECT_EQ(text_of(packet_), text);
}

TEST_F(PacketSocket, LargerPacketIsBad) {
  ASSERT_TRUE(send_raw(far(), kMaxPacketBytes + 1));
  ASSERT_EQ(send_packet(far(), bytes_of("next")), Sent::kYes);
  EXPECT_EQ(receive_packet(near(), packet_), Received::kBad);
  EXPECT_EQ(receive_packet(near(), packet_), Received::kPacket);
  EXPECT_EQ(text_of(packet_), "next");
}

TEST_F(PacketSocket, NothingHasComeYet) {
  EXPECT_EQ(receive_packet(near(), packet_), Received::kNothingYet);
  EXPECT_TRUE(packet_.bytes.empty());
}

TEST_F(PacketSocket, DescriptorsArriveAndAreClosedOnExec) {
  const UniqueFd first = create_memfd("first", 1).take();
  const UniqueFd second = create_memfd("second", 1).take();
  const std::array fds = {first.get(), second.get()};
  ASSERT_EQ(send_packet(near(), bytes_of("files"), fds), Sent::kYes);
  ASSERT_EQ(receive_packet(far(), packet_), Received::kPacket);
  EXPECT_EQ(text_of(packet_), "files");
  ASSERT_EQ(packet_.fds.size(), 2U);
  EXPECT_EQ(identity_of(packet_.fds[0].get()), identity_of(first.get()));
  EXPECT_EQ(identity_of(packet_.fds[1].get()), identity_of(second.get()));
  EXPECT_NE(packet_.fds[0].get(), first.get());
  for (const UniqueFd& fd : packet_.fds)
    EXPECT_NE(fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(PacketSocket, ReceivingClosesTheDescriptorsOfThePacketBefore) {
  const std::size_t before = open_fds();
  const std::array fds = {far()};
  ASSERT_EQ(send_packet(far(), bytes_of("a"), fds), Sent::kYes);
  ASSERT_EQ(send_packet(far(), bytes_of("b"), fds), Sent::kYes);
  ASSERT_EQ(receive_packet(near(), packet_), Received::kPacket);
  EXPECT_EQ(open_fds(), before + 1);
  ASSERT_EQ(receive_packet(near(), packet_), Received::kPacket);
  EXPECT_EQ(open_fds(), before + 1);
  ASSERT_EQ(receive_packet(near(), packet_), Received::kNothingYet);
  EXPECT_EQ(open_fds(), before);
}

TEST_F(PacketSocket, AsManyDescriptorsAsMayBeArrive) {
  const std::vector<int> fds(kMaxPacketFds, near());
  ASSERT_EQ(send_packet(near(), bytes_of("a"), fds), Sent::kYes);
  EXPECT_EQ(receive_packet(far(), packet_), Received::kPacket);
  EXPECT_EQ(packet_.fds.size(), kMaxPacketFds);
}

class PacketSocketTooManyFds : public PacketSocket,
                               public testing::WithParamInterface<std::size_t> {
};
TEST_P(PacketSocketTooManyFds, AreBadAndClosed) {
  const std::size_t before = open_fds();
  const std::vector<int> fds(GetParam(), far());
  ASSERT_TRUE(send_raw(far(), 1, fds));
  EXPECT_EQ(receive_packet(near(), packet_), Received::kBad);
  packet_ = Packet();
  EXPECT_EQ(open_fds(), before);
}
INSTANTIATE_TEST_SUITE_P(Counts, PacketSocketTooManyFds,
                         testing::Values(kMaxPacketFds + 1, kMaxPacketFds + 2,
                                         std::size_t{253}));

TEST_F(PacketSocket, DescriptorsThatFindNoPlaceAreToldFromThoseThatAreTooMany) {
  const std::array fds = {far(), far()};
  ASSERT_EQ(send_packet(far(), bytes_of("a"), fds), Sent::kYes);
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const UniqueFd lowest_free = UniqueFd::duplicate(near());
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(lowest_free.get());
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const Received received = receive_packet(near(), packet_);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(received, Received::kNoPlace);
}

TEST_F(PacketSocket, FullSocketTakesMoreWhenReadFrom) {
  const std::vector<std::byte> largest(kMaxPacketBytes);
  int sent = 0;
  while (send_packet(near(), largest) == Sent::kYes) ++sent;
  EXPECT_GE(sent, 2);
  EXPECT_EQ(send_packet(near(), largest), Sent::kFull);
  for (int i = 0; i < sent; ++i)
    EXPECT_EQ(receive_packet(far(), packet_), Received::kPacket);
  EXPECT_EQ(send_packet(near(), largest), Sent::kYes);
}

TEST_F(PacketSocket, EndOfThePeerIsSeenBySending) {
  pair_.second.reset();
  EXPECT_EQ(send_packet(near(), bytes_of("a")), Sent::kClosed);
}

TEST_F(PacketSocket, EndOfThePeerIsSeenByReceiving) {
  pair_.first.reset();
  EXPECT_EQ(receive_packet(far(), packet_), Received::kClosed);
  EXPECT_EQ(receive_packet(far(), packet_), Received::kClosed);
}

TEST_F(PacketSocket, WhatWasSentBeforeTheEndArrives) {
  ASSERT_EQ(send_packet(far(), bytes_of("last words")), Sent::kYes);
  pair_.second.reset();
  EXPECT_EQ(receive_packet(near(), packet_), Received::kPacket);
  EXPECT_EQ(text_of(packet_), "last words");
  EXPECT_EQ(receive_packet(near(), packet_), Received::kClosed);
}

// The kernel then puts an error in front of what was sent.
TEST_F(PacketSocket, WhatWasSentBeforeAnEndWithUnreadPacketsArrives) {
  ASSERT_EQ(send_packet(near(), bytes_of("never read")), Sent::kYes);
  ASSERT_EQ(send_packet(far(), bytes_of("last words")), Sent::kYes);
  pair_.second.reset();
  EXPECT_EQ(receive_packet(near(), packet_), Received::kPacket);
  EXPECT_EQ(text_of(packet_), "last words");
  EXPECT_EQ(receive_packet(near(), packet_), Received::kClosed);
}

TEST_F(PacketSocket, EmptyPacketCountsAsTheEndAndLeavesNoDescriptor) {
  const std::size_t before = open_fds();
  ASSERT_TRUE(send_raw(far(), 0, {far()}));
  EXPECT_EQ(receive_packet(near(), packet_), Received::kClosed);
  packet_ = Packet();
  EXPECT_EQ(open_fds(), before);
}

TEST_F(PacketSocket, WhatCannotBeSentIsNoEndOfThePeer) {
  EXPECT_EQ(send_packet(-1, bytes_of("a")), Sent::kFailed);
  EXPECT_EQ(errno, EBADF);
  const std::array fds = {-1};
  EXPECT_EQ(send_packet(near(), bytes_of("a"), fds), Sent::kFailed);
  EXPECT_EQ(errno, EBADF);
}

TEST_F(PacketSocket, NoSocketHasNothingToReceive) {
  EXPECT_EQ(receive_packet(-1, packet_), Received::kClosed);
}

TEST_F(PacketSocket, SignalsDoNotEndTheWaitForAPacket) {
  struct sigaction action = {};
  static std::atomic<int> signals;
  action.sa_handler = [](int) { ++signals; };
  struct sigaction before = {};
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  std::thread receiver(
      [this] { EXPECT_EQ(receive_packet(far(), packet_), Received::kPacket); });
  while (signals < 20) pthread_kill(receiver.native_handle(), SIGUSR1);
  EXPECT_EQ(send_packet(near(), bytes_of("a")), Sent::kYes);
  receiver.join();
  EXPECT_EQ(text_of(packet_), "a");
  sigaction(SIGUSR1, &before, nullptr);
}

TEST(SocketPair, IsAnErrorWithoutDescriptors) {
  const std::size_t open_before = open_fds();
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto pair = make_socket_pair();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(pair);
  EXPECT_EQ(pair.error().text(),
            "cannot make a pair of sockets: Too many open files");
  EXPECT_EQ(open_fds(), open_before);
}

}  // namespace
}  // namespace dispatch::os
