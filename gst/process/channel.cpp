// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/channel.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "os/memfd.h"

namespace dispatch::process {

namespace {

using core::protocol::MessageHeader;
using core::protocol::MessageType;

// Messages in front of the fields of which there is room for a header.
constexpr std::size_t kMaxFieldBytes =
    os::kMaxPacketBytes - sizeof(MessageHeader);
// Fields in a memory of their own: far above any caps or tags.
constexpr std::size_t kMaxMemoryBytes = std::size_t{64} * 1024 * 1024;

constexpr char kNotSent[] = "a message cannot be sent";
constexpr char kNotReceived[] = "a message cannot be received";

bool is_request(MessageType type) {
  switch (type) {
    case core::protocol::kMessageStageQuery:
    case core::protocol::kMessageNeedSlot:
    case core::protocol::kMessageEnterEpoch:
    case core::protocol::kMessageBindEpoch:
    case core::protocol::kMessagePadQuery:
    case core::protocol::kMessagePadEvent:
    case core::protocol::kMessageStageEvent:
      return true;
    default:
      return false;
  }
}

Bytes with_header(MessageHeader header, std::span<const std::byte> fields) {
  Bytes bytes(sizeof header + fields.size());
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!fields.empty())
    std::memcpy(bytes.data() + sizeof header, fields.data(), fields.size());
  return bytes;
}

os::Result<os::UniqueFd> in_memory(const Bytes& fields) {
  auto fd = os::create_memfd("gst-dispatch-message", fields.size());
  if (!fd) return fd;
  {
    auto mapping = os::Mapping::make(fd->get(), fields.size(),
                                     os::Mapping::Access::kReadWrite);
    if (!mapping) return mapping.error();
    std::memcpy(mapping->data(), fields.data(), fields.size());
  }
  if (!os::seal(fd->get(), os::Seal::kSizeAndNoNewWriters))
    return os::Error{errno, "cannot seal shared memory"};
  return fd;
}

std::optional<Bytes> from_memory(int fd, std::size_t bytes) {
  if (bytes > kMaxMemoryBytes || !os::keeps_size(fd) || os::size_of(fd) < bytes)
    return std::nullopt;
  auto mapping = os::Mapping::make(fd, bytes, os::Mapping::Access::kRead);
  if (!mapping) return std::nullopt;
  return Bytes(mapping->data(), mapping->data() + bytes);
}

// Answers that wait for each other must not wait for a thread.
GThreadPool* pool() {
  static GThreadPool* const pool = g_thread_pool_new(
      [](gpointer data, gpointer) {
        const std::unique_ptr<std::function<void()>> call(
            static_cast<std::function<void()>*>(data));
        (*call)();
      },
      nullptr, /*max_threads=*/-1, /*exclusive=*/FALSE, nullptr);
  return pool;
}

void run_in_pool(std::function<void()> call) {
  g_thread_pool_push(pool(), new std::function<void()>(std::move(call)),
                     nullptr);
}

}  // namespace

std::uint64_t IncomingMessage::number(core::protocol::FieldTag tag,
                                      std::uint64_t otherwise) const {
  const std::optional<core::Field> field = find(tag);
  return field ? field->number().value_or(otherwise) : otherwise;
}

std::string IncomingMessage::text(core::protocol::FieldTag tag) const {
  const std::optional<core::Field> field = find(tag);
  return field ? std::string(field->text()) : std::string();
}

Channel::Channel(os::UniqueFd socket, MessageFn on_message,
                 RequestFn on_request)
    : socket_(std::move(socket)),
      on_message_(std::move(on_message)),
      on_request_(std::move(on_request)) {}

Channel::~Channel() { close(); }

// ---- Sending ---------------------------------------------------------------

void Channel::send(MessageType type, const MessageFields& fields,
                   std::span<const int> fds) {
  send_packet(type, 0, fields.bytes(), fds);
}

std::uint64_t Channel::sent_messages() const {
  const std::lock_guard lock(mutex_);
  return sent_;
}

std::uint64_t Channel::handled_messages() const {
  const std::lock_guard lock(mutex_);
  return handled_;
}

void Channel::send_packet(MessageType type, std::uint32_t id,
                          const Bytes& fields, std::span<const int> fds) {
  MessageHeader header;
  header.type = static_cast<std::uint16_t>(type);
  header.id = id;
  header.bytes = static_cast<std::uint32_t>(fields.size());
  const bool is_in_memory = fields.size() > kMaxFieldBytes;
  if (is_in_memory) header.flags = core::protocol::kFieldsInMemory;
  os::Result<os::UniqueFd> memory =
      is_in_memory ? in_memory(fields) : os::UniqueFd();
  std::vector<int> all(fds.begin(), fds.end());
  if (memory && *memory) all.insert(all.begin(), memory->get());
  Bytes bytes =
      with_header(header, is_in_memory ? std::span<const std::byte>() : fields);

  std::function<void()> on_waiting;
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return;
    if (!is_request(type) && type != core::protocol::kMessageReply) ++sent_;
    const bool was_empty = waiting_.empty();
    if (!memory)
      fail_locked(memory.error().code, kNotSent);
    else if (!keep_unless_sent_locked(std::move(bytes), all))
      return;
    if (was_empty || failure_) on_waiting = on_waiting_;
  }
  if (on_waiting) on_waiting();
}

// Whether there is something left to do: to send it later, or to say that it
// never will be.
bool Channel::keep_unless_sent_locked(Bytes bytes, std::span<const int> fds) {
  const os::Sent sent = waiting_.empty()
                            ? os::send_packet(socket_.get(), bytes, fds)
                            : os::Sent::kFull;
  const int code = errno;
  // A peer that is gone takes everything.
  if (sent == os::Sent::kYes || sent == os::Sent::kClosed) return false;
  if (sent == os::Sent::kFailed) {
    fail_locked(code, kNotSent);
    return true;
  }
  Outgoing outgoing{std::move(bytes), {}};
  for (const int fd : fds) {
    outgoing.fds.push_back(os::UniqueFd::duplicate(fd));
    if (outgoing.fds.back()) continue;
    fail_locked(errno, kNotSent);
    return true;
  }
  waiting_.push_back(std::move(outgoing));
  return true;
}

// Nothing is sent after what could not be: the peer would wait for it for ever.
void Channel::fail_locked(int code, const char* what) {
  failure_ = os::Error{code, what};
  is_closed_ = true;
  waiting_.clear();
  changed_.notify_all();
}

std::optional<os::Error> Channel::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

Channel::Waits Channel::send_waiting() {
  const std::lock_guard lock(mutex_);
  while (!waiting_.empty()) {
    const Outgoing& next = waiting_.front();
    std::vector<int> fds;
    for (const os::UniqueFd& fd : next.fds) fds.push_back(fd.get());
    switch (os::send_packet(socket_.get(), next.bytes, fds)) {
      case os::Sent::kFull:
        return Waits::kForSocket;
      case os::Sent::kFdsFull:
        return Waits::kForOthers;
      case os::Sent::kFailed:
        fail_locked(errno, kNotSent);
        return Waits::kFailed;
      case os::Sent::kYes:
      case os::Sent::kClosed:
        waiting_.pop_front();
    }
  }
  return failure_ ? Waits::kFailed : Waits::kForNothing;
}

void Channel::set_on_waiting(std::function<void()> on_waiting) {
  const std::lock_guard lock(mutex_);
  on_waiting_ = std::move(on_waiting);
}

// ---- Asking ----------------------------------------------------------------

std::optional<IncomingMessage> Channel::ask(MessageType type,
                                            const MessageFields& fields,
                                            core::Duration patience) {
  Pending pending;
  std::uint32_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return std::nullopt;
    while (++last_id_ == 0 || pending_.count(last_id_) != 0) continue;
    id = last_id_;
    pending_[id] = &pending;
  }
  send_packet(type, id, fields.bytes(), {});
  std::unique_lock lock(mutex_);
  const auto is_over = [&] { return pending.is_done || is_closed_; };
  if (patience == core::Duration::max()) {
    changed_.wait(lock, is_over);
  } else {
    changed_.wait_for(lock, patience, is_over);
  }
  pending_.erase(id);
  return std::move(pending.reply);
}

void Channel::on_reply(IncomingMessage reply) {
  const std::lock_guard lock(mutex_);
  const auto found = pending_.find(reply.id);
  if (found == pending_.end()) return;  // nobody waits any more
  found->second->is_done = true;
  found->second->reply = std::move(reply);
  changed_.notify_all();
}

// False: there are too many.
bool Channel::answer(IncomingMessage request) {
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) return true;
    if (answering_ == max_requests_) return false;
    ++answering_;
  }
  run_in_pool(
      [self = shared_from_this(), request = std::make_shared<IncomingMessage>(
                                      std::move(request))]() mutable {
        const MessageFields reply = self->on_request_(*request);
        if (request->id != 0)
          self->send_packet(core::protocol::kMessageReply, request->id,
                            reply.bytes(), {});
        const std::lock_guard lock(self->mutex_);
        --self->answering_;
        self->changed_.notify_all();
      });
  return true;
}

void Channel::end() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  on_waiting_ = nullptr;
  changed_.notify_all();
}

void Channel::close() {
  end();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return answering_ == 0; });
}

bool Channel::is_answering() const {
  const std::lock_guard lock(mutex_);
  return answering_ != 0;
}

void Channel::set_on_handled(std::function<void()> on_handled) {
  const std::lock_guard lock(mutex_);
  on_handled_ = std::move(on_handled);
}

// ---- Receiving -------------------------------------------------------------

void Channel::handle(IncomingMessage& message) {
  on_message_(message);
  std::function<void()> on_handled;
  {
    const std::lock_guard lock(mutex_);
    ++handled_;
    on_handled = on_handled_;
  }
  if (on_handled) on_handled();
}

bool Channel::receive_all(std::string& wrong) {
  for (;;) {
    os::Packet packet;
    switch (os::receive_packet(socket_.get(), packet)) {
      case os::Received::kPacket:
        if (!take_packet(std::move(packet), wrong)) return false;
        break;
      case os::Received::kNothingYet:
        return true;
      case os::Received::kClosed:
        return false;
      case os::Received::kBad:
        wrong = "a packet that is too large";
        return false;
      case os::Received::kNoPlace: {
        const std::lock_guard lock(mutex_);
        fail_locked(EMFILE, kNotReceived);
        return false;
      }
    }
  }
}

bool Channel::take_packet(os::Packet packet, std::string& wrong) {
  MessageHeader header;
  if (packet.bytes.size() < sizeof header) {
    wrong = "a message without a header";
    return false;
  }
  std::memcpy(&header, packet.bytes.data(), sizeof header);
  if (header.magic != core::protocol::kMagic) {
    wrong = "magic";
    return false;
  }
  IncomingMessage message;
  message.type = static_cast<MessageType>(header.type);
  message.id = header.id;
  message.fds = std::move(packet.fds);
  if ((header.flags & core::protocol::kFieldsInMemory) != 0) {
    std::optional<Bytes> fields;
    if (!message.fds.empty())
      fields = from_memory(message.fds.front().get(), header.bytes);
    if (!fields) {
      wrong = "fields in memory";
      return false;
    }
    message.fields = std::move(*fields);
    message.fds.erase(message.fds.begin());
  } else {
    message.fields.assign(packet.bytes.begin() + sizeof header,
                          packet.bytes.end());
    if (message.fields.size() != header.bytes) {
      wrong = "bytes";
      return false;
    }
  }
  if (message.type == core::protocol::kMessageReply) {
    on_reply(std::move(message));
  } else if (is_request(message.type)) {
    if (answer(std::move(message))) return true;
    wrong = "requests";
    return false;
  } else {
    handle(message);
  }
  return true;
}

}  // namespace dispatch::process
