// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Messages between a dispatcher and one worker process, over their socket.
//
// For: sending, receiving, and asking: a request is answered on a thread of a
// pool of its own, because answering may take its time, and may itself ask
// back. Not for: frames (they go through shared memory), what messages mean.
//
// Thread: thread-safe. The owner runs receive_all() on one thread whenever the
// socket is readable. Sending never blocks: what the socket does not take waits
// in a queue and is sent from send_waiting(), when the socket is writable.
// Failure: of a socket that was closed, or of a peer that breaks the rules,
// receive_all() tells; requests in flight end without an answer. What this
// process has no descriptors or memory for ends the channel as well:
// send_waiting() or receive_all() tells, and failure() says why.
#pragma once

#include <climits>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/field_list.h"
#include "core/instant.h"
#include "core/worker_protocol.h"
#include "os/packet_socket.h"
#include "os/result.h"
#include "process/event_codec.h"
#include "process/field_builder.h"

namespace dispatch::process {

// A message on its way out.
using MessageFields = FieldBuilder;

// A message that has come.
struct IncomingMessage {
  core::protocol::MessageType type{};
  std::uint32_t id = 0;  // of a request; else 0
  Bytes fields;
  std::vector<os::UniqueFd> fds;

  std::optional<core::Field> find(core::protocol::FieldTag tag) const {
    return core::find_field(fields, static_cast<std::uint16_t>(tag));
  }
  std::uint64_t number(core::protocol::FieldTag tag,
                       std::uint64_t otherwise = 0) const;
  std::string text(core::protocol::FieldTag tag) const;
};

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  // What came and is no request: on the thread of receive_all(), in order.
  using MessageFn = std::function<void(IncomingMessage& message)>;
  // A request: on a thread of the pool. What it returns is the reply, if one is
  // waited for.
  using RequestFn = std::function<MessageFields(IncomingMessage& request)>;

  Channel(os::UniqueFd socket, MessageFn on_message, RequestFn on_request);
  ~Channel();

  int socket() const { return socket_.get(); }

  void send(core::protocol::MessageType type, const MessageFields& fields = {},
            std::span<const int> fds = {});
  // How many have been sent, and received and handled, that are neither
  // requests nor replies.
  std::uint64_t sent_messages() const;
  std::uint64_t handled_messages() const;
  // Waits for the reply; nothing if it does not come in time, or at all.
  std::optional<IncomingMessage> ask(core::protocol::MessageType type,
                                     const MessageFields& fields,
                                     core::Duration patience);

  // Reads all that is there. False: the peer is gone, `wrong` says what rule
  // it broke, or failure() what could not be taken.
  bool receive_all(std::string& wrong);
  // Sends what waits. What it waits for now: nothing, the socket to be
  // writable, or descriptors of others to arrive, which nobody tells. kFailed:
  // it will never be sent.
  enum class Waits { kForNothing, kForSocket, kForOthers, kFailed };
  Waits send_waiting();
  std::optional<os::Error> failure() const;

  // No message is taken any more, no request is answered, nobody waits for a
  // reply. Does not block.
  void end();
  // The same; requests that are being answered are waited for.
  void close();
  bool is_answering() const;

  // More requests that have no reply yet are a broken rule. Before the first
  // receive_all(); without it there is no limit.
  void set_max_requests(unsigned max_requests) { max_requests_ = max_requests; }

  // Called on the thread of receive_all() when handled_messages() has grown.
  void set_on_handled(std::function<void()> on_handled);
  // Called, on any thread, when send_waiting() has something to send or to
  // tell.
  void set_on_waiting(std::function<void()> on_waiting);

 private:
  struct Outgoing {
    Bytes bytes;
    std::vector<os::UniqueFd> fds;
  };
  struct Pending {
    bool is_done = false;
    std::optional<IncomingMessage> reply;
  };
  void send_packet(core::protocol::MessageType type, std::uint32_t id,
                   const Bytes& fields, std::span<const int> fds);
  bool keep_unless_sent_locked(Bytes bytes, std::span<const int> fds);
  void fail_locked(int code, const char* what);
  bool take_packet(os::Packet packet, std::string& wrong);
  void handle(IncomingMessage& message);
  bool answer(IncomingMessage request);
  void on_reply(IncomingMessage reply);

  const os::UniqueFd socket_;
  const MessageFn on_message_;
  const RequestFn on_request_;
  unsigned max_requests_ = UINT_MAX;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // All under mutex_:
  std::deque<Outgoing> waiting_;
  std::function<void()> on_waiting_;
  std::function<void()> on_handled_;
  std::map<std::uint32_t, Pending*> pending_;
  std::uint32_t last_id_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t handled_ = 0;
  unsigned answering_ = 0;
  bool is_closed_ = false;
  std::optional<os::Error> failure_;
};

}  // namespace dispatch::process
