// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/packet_socket.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace dispatch::os {

namespace {

// Room for exactly kMaxPacketFds descriptors: the padding of CMSG_SPACE would
// let one more in.
constexpr std::size_t kControlBytes = CMSG_LEN(kMaxPacketFds * sizeof(int));
struct alignas(cmsghdr) Control {
  std::array<std::byte, CMSG_SPACE(kMaxPacketFds * sizeof(int))> bytes = {};
};

// All descriptors that came, so that none stays open unowned.
std::vector<UniqueFd> take_fds(msghdr& message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
      continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

// A peer that ended with packets unread gives ECONNRESET once, in front of the
// packets that it has sent before; those are its last words.
ssize_t receive(int socket, msghdr& message) {
  for (;;) {
    const ssize_t bytes = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (bytes >= 0 || (errno != EINTR && errno != ECONNRESET)) return bytes;
  }
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> make_socket_pair() {
  std::array<int, 2> ends = {};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return Error{errno, "cannot make a pair of sockets"};
  std::pair<UniqueFd, UniqueFd> pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
  if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
    return Error{errno, "cannot make a socket that does not block"};
  return pair;
}

Sent send_packet(int socket, std::span<const std::byte> bytes,
                 std::span<const int> fds) {
  assert(!bytes.empty() && bytes.size() <= kMaxPacketBytes);
  assert(fds.size() <= kMaxPacketFds);
  // sendmsg() only reads, but its structures are for both directions.
  iovec part = {const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Control control;
  if (!fds.empty()) {
    message.msg_control = control.bytes.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size_bytes());
  }
  ssize_t sent = -1;
  do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0) return Sent::kYes;
  switch (errno) {
    case EAGAIN:
      return Sent::kFull;
    case ETOOMANYREFS:
      return Sent::kFdsFull;
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
      return Sent::kClosed;
    default:
      return Sent::kFailed;
  }
}

Received receive_packet(int socket, Packet& packet) {
  packet.fds.clear();
  packet.bytes.resize(kMaxPacketBytes);
  iovec part = {packet.bytes.data(), packet.bytes.size()};
  Control control;
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = kControlBytes;
  const ssize_t bytes = receive(socket, message);
  const int error = errno;
  packet.bytes.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
  if (bytes < 0)
    return error == EAGAIN || error == EWOULDBLOCK ? Received::kNothingYet
                                                   : Received::kClosed;
  packet.fds = take_fds(message);
  if ((message.msg_flags & MSG_TRUNC) != 0) return Received::kBad;
  if ((message.msg_flags & MSG_CTRUNC) != 0)
    return packet.fds.size() == kMaxPacketFds ? Received::kBad
                                              : Received::kNoPlace;
  return bytes == 0 ? Received::kClosed : Received::kPacket;
}

}  // namespace dispatch::os
