// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A pair of connected sockets that carry packets and file descriptors.
//
// For: control between the dispatcher and a worker (SOCK_SEQPACKET): a packet
// arrives whole or not at all, and the end of the peer is seen. Not for:
// frames. Thread: thread-safe functions.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "os/result.h"
#include "os/unique_fd.h"

namespace dispatch::os {

// The largest packet; a socket's buffer takes a few of these.
inline constexpr std::size_t kMaxPacketBytes = std::size_t{64} * 1024;
// Descriptors in one packet; more are closed on arrival and the packet is bad.
inline constexpr std::size_t kMaxPacketFds = 8;

struct Packet {
  std::vector<std::byte> bytes;
  std::vector<UniqueFd> fds;
};

// Both closed on exec; the first does not block.
Result<std::pair<UniqueFd, UniqueFd>> make_socket_pair();

enum class Sent { kYes, kFull, kFdsFull, kClosed, kFailed };
// `bytes` is not empty, because the peer would take it for the end, and not
// larger than a packet; `fds` stay the caller's. Never raises SIGPIPE.
// kFull: from a socket that does not block. kFdsFull: from any, if more
// descriptors of this user are on their way than the system allows; the socket
// is writable. kClosed: the peer is gone. kFailed: errno says why.
Sent send_packet(int socket, std::span<const std::byte> bytes,
                 std::span<const int> fds = {});

enum class Received { kPacket, kNothingYet, kClosed, kBad, kNoPlace };
// kBad: too large, or with too many descriptors. kNoPlace: this process has no
// place for its descriptors. What came is in `packet`, as for kPacket.
// kClosed: after everything that the peer has sent before its end.
Received receive_packet(int socket, Packet& packet);

}  // namespace dispatch::os
