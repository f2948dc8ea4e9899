// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a dispatcher and a worker process say to each other: the layout of what
// they share and the tags of what they send.
//
// The page docs/design/worker-protocol.md explains it with pictures and is
// enough to write a worker from. Whatever changes here changes there, and the
// version with it.
//
// Two pieces of shared memory for each worker:
//
//   commands   written by the dispatcher; the worker can only map it for
//              reading: what to do, what is not wanted any more, which result
//              slots are free again
//   reports    written by the worker, never trusted by the dispatcher: what
//              has been done
//
// and one word for all workers of an element, the bell, on which the
// dispatcher sleeps. Frames lie in slots: memfds of their own.
//
// For: the bytes. Not for: how to sleep and wake (core/handshake.h), what to
// believe (core/report_check.h). Thread: plain data.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace dispatch::core::protocol {

inline constexpr std::uint32_t kMagic = 0x31574447;  // "GDW1", in memory order
inline constexpr std::uint32_t kVersion = 1;

// Frames that one worker may have at a time. A power of two.
inline constexpr std::uint32_t kRingEntries = 8;
// What goes with a frame: its timestamps, memories, metas and events.
inline constexpr std::uint32_t kPayloadBytes = 64 * 1024;
// Result slots that one worker may have. A power of two.
inline constexpr std::uint32_t kMaxResultSlots = 256;
// Requests of one worker that have no reply yet: each of them takes a thread.
inline constexpr std::uint32_t kMaxOpenRequests = 64;
// Memories of one buffer: what a GstBuffer takes without merging them.
inline constexpr std::uint32_t kMaxMemories = 16;
// Commands whose inputs a worker may keep after their report: more than any
// encoder looks ahead.
inline constexpr std::uint32_t kMaxKeptInputs = 512;
// A cache line, so that what one side writes does not slow down the other.
inline constexpr std::size_t kLine = 64;

using SharedWord = std::atomic<std::uint32_t>;
using SharedNumber = std::atomic<std::uint64_t>;
static_assert(sizeof(SharedWord) == 4 && SharedWord::is_always_lock_free);
static_assert(sizeof(SharedNumber) == 8 && SharedNumber::is_always_lock_free);

// ---- Frames ----------------------------------------------------------------

inline constexpr std::int64_t kNoDueTime = INT64_MAX;

enum CommandFlag : std::uint32_t {
  kPerStream = 1U << 0,       // everything that leaves the stage is part of the
                              // stream, its events too
  kPayloadFollows = 1U << 1,  // it is too large and comes as a message
};

// What to do: one frame, event or query. The payload says which.
struct Command {
  std::uint64_t number = 0;          // of the command: 1, 2, 3 ...
  std::uint64_t sequence = 0;        // of the frame in the element
  std::int64_t due_ns = kNoDueTime;  // CLOCK_MONOTONIC
  std::uint32_t flags = 0;
  std::uint32_t payload_bytes = 0;
  // How many messages have been sent before it, requests and replies not
  // counted: they are to be obeyed first.
  std::uint64_t messages = 0;
  std::uint64_t reserved[3] = {};
};
static_assert(sizeof(Command) == 64);
static_assert(offsetof(Command, due_ns) == 16);
static_assert(offsetof(Command, payload_bytes) == 28);

enum ReportFlag : std::uint32_t {
  // kPayloadFollows as above.
  // The stage still holds memory of the frame that it got: it must not change
  // until kMessageInputsReleased.
  kKeepsInputs = 1U << 2,
};

// What has been done.
struct Report {
  std::uint64_t number = 0;    // of the command
  std::uint64_t sequence = 0;  // of its frame
  std::int64_t start_ns = 0;   // CLOCK_MONOTONIC
  std::int64_t end_ns = 0;
  std::int32_t flow = 0;    // a GstFlowReturn: 0 OK, negative an error
  std::uint32_t flags = 0;  // kPayloadFollows
  std::uint32_t payload_bytes = 0;
  std::uint32_t copied_buffers = 0;  // that the worker had to copy
  std::uint64_t copied_bytes = 0;
  std::uint64_t reserved = 0;
};
static_assert(sizeof(Report) == 64);
static_assert(offsetof(Report, flow) == 32);
static_assert(offsetof(Report, copied_bytes) == 48);

// ---- Shared memory ---------------------------------------------------------

struct alignas(kLine) RegionHeader {
  std::uint32_t magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t ring_entries = kRingEntries;
  std::uint32_t payload_bytes = kPayloadBytes;
  std::uint32_t max_result_slots = kMaxResultSlots;
};

struct CommandRegion {
  RegionHeader header;
  // How many commands have been submitted; the worker sleeps on it. Command n
  // (from 0) is in entry n % kRingEntries.
  alignas(kLine) SharedWord submitted;
  // Results of frames below this sequence are not wanted any more.
  alignas(kLine) SharedNumber abandoned_end;
  // 1 while the dispatcher sleeps on the bell.
  alignas(kLine) SharedWord dispatcher_sleeps;
  // How many result slots have been given back; the worker may sleep on it.
  // The n-th (from 0) is released_slots[n % kMaxResultSlots].
  alignas(kLine) SharedWord released;
  alignas(kLine) std::uint32_t released_slots[kMaxResultSlots];
  alignas(kLine) Command commands[kRingEntries];
  alignas(kLine) std::byte payloads[kRingEntries][kPayloadBytes];
};

struct ReportRegion {
  RegionHeader header;
  // 1 while the worker sleeps on `submitted`.
  alignas(kLine) SharedWord worker_sleeps;
  // 1 while the worker sleeps on `released`.
  alignas(kLine) SharedWord worker_awaits_slot;
  // How many commands have been reported. Report n (from 0) is in entry
  // n % kRingEntries; reports come in the order of the commands.
  alignas(kLine) SharedWord completed;
  alignas(kLine) Report reports[kRingEntries];
  alignas(kLine) std::byte payloads[kRingEntries][kPayloadBytes];
};

struct Bell {
  alignas(kLine) SharedWord rings;  // the dispatcher sleeps on it
};

static_assert(offsetof(CommandRegion, submitted) == 64);
static_assert(offsetof(CommandRegion, abandoned_end) == 128);
static_assert(offsetof(CommandRegion, dispatcher_sleeps) == 192);
static_assert(offsetof(CommandRegion, released) == 256);
static_assert(offsetof(CommandRegion, released_slots) == 320);
static_assert(offsetof(CommandRegion, commands) == 1344);
static_assert(offsetof(CommandRegion, payloads) == 1856);
static_assert(sizeof(CommandRegion) == 526144);
static_assert(offsetof(ReportRegion, worker_sleeps) == 64);
static_assert(offsetof(ReportRegion, worker_awaits_slot) == 128);
static_assert(offsetof(ReportRegion, completed) == 192);
static_assert(offsetof(ReportRegion, reports) == 256);
static_assert(offsetof(ReportRegion, payloads) == 768);
static_assert(sizeof(ReportRegion) == 525056);

// ---- Payloads: lists of fields (core/field_list.h), in this order ----------

enum PayloadTag : std::uint16_t {
  // In commands, before the frame:
  kState = 1,  // the sticky events and the epoch from now on: the fields
               // kFieldEpochId, kFieldPin, kFieldCaps; then for each event
               // kFieldEventId and, the first time, kFieldEvent
  kEvent = 2,  // an event (process/event_codec.h); in reports: that left the
               // stage
  kQuery = 3,  // an ALLOCATION query for the stage; in reports its answer
  // A frame: a list is a kListBegin, its buffers and a kListEnd.
  kListBegin = 4,  // nothing
  kListEnd = 5,    // nothing
  kBuffer = 6,     // BufferRecord; its memories and metas follow
  kMemory = 7,     // MemoryRecord
  kMeta = 8,       // a meta: process/meta_codec.h
};

struct BufferRecord {
  std::uint64_t pts = 0;  // ns; all ones: none. So are the next four
  std::uint64_t dts = 0;
  std::uint64_t duration = 0;
  std::uint64_t offset = 0;
  std::uint64_t offset_end = 0;
  std::uint32_t flags = 0;  // GstBufferFlags
  std::uint32_t reserved = 0;
};
static_assert(sizeof(BufferRecord) == 48);

enum MemoryFlag : std::uint32_t {
  kWritable = 1U << 0,  // in commands: the stage may write into it
};

struct MemoryRecord {
  std::uint32_t slot = 0;  // its index
  std::uint32_t generation = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint32_t flags = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(MemoryRecord) == 32);

// ---- Messages over the socket ----------------------------------------------

// Before the fields of each message.
struct MessageHeader {
  std::uint32_t magic = kMagic;
  std::uint16_t type = 0;
  std::uint16_t flags = 0;
  std::uint32_t id = 0;     // a request's; its reply has the same. Else 0
  std::uint32_t bytes = 0;  // of the fields
};
static_assert(sizeof(MessageHeader) == 16);

enum MessageFlag : std::uint16_t {
  // The fields are not in the packet but in a sealed memfd, which is the first
  // descriptor that came with it.
  kFieldsInMemory = 1U << 0,
};

enum MessageType : std::uint16_t {
  // From the dispatcher:
  kMessageSetup = 1,        // the first of all
  kMessageSlot = 2,         // a slot, with its descriptor
  kMessageSlotGone = 3,     // it will not be named again
  kMessageSetProperty = 5,  // of an element of the stage
  kMessageFlush = 6,        // end what blocks in the stage
  kMessageClock = 7,        // the base time; start to play
  kMessageStageQuery = 8,   // request: a query at one end of the stage
  kMessageStageEvent =
      9,  // request: an event at the stage's output, going upstream
  kMessageCommand = 10,  // a Command and its payload, for a worker that takes
                         // them here; with kPayloadFollows: that payload
  kMessageQuit = 11,
  kMessageReleased = 12,  // a result slot is the worker's again, for a worker
                          // that takes its commands here
  // From the worker:
  kMessageReady = 32,           // or why not
  kMessageReport = 33,          // as kMessageCommand
  kMessageInputsReleased = 45,  // of a command with kKeepsInputs
  kMessageBus = 34,             // a message for the bus
  kMessageLog = 35,             // a line for the debug log
  kMessageNeedSlot = 36,        // request: one more result slot
  kMessageEnterEpoch = 37,      // request: see Epoch::enter()
  kMessageLeaveEpoch = 38,
  kMessageBindEpoch = 39,  // request
  kMessageCloseEpoch = 40,
  kMessagePadQuery = 41,  // request: a query that leaves the stage
  kMessagePinEpoch = 43,
  kMessageThread = 44,  // an element of the stage starts a thread
  kMessagePadEvent =
      42,  // request: an event that leaves the stage, going upstream
  // From both:
  kMessageReply = 64,
};

// Tags of the fields of messages.
enum FieldTag : std::uint16_t {
  kFieldVersion = 1,
  kFieldNumber = 2,   // of the worker; of a command
  kFieldText = 3,     // what the message is about, in words
  kFieldDebug = 4,    // more words
  kFieldElement = 5,  // its name
  kFieldProperty = 6,
  kFieldValue = 7,
  kFieldSlot = 8,  // index
  kFieldGeneration = 9,
  kFieldBytes = 10,
  kFieldSlotClass = 11,  // SlotClass
  kFieldEpochId = 13,
  kFieldPin = 14,        // the epoch wants its output caps to be these caps
  kFieldCaps = 15,       // of the epoch; the bound ones; those at the other end
  kFieldEventId = 16,    // of the event that follows, or that is known
  kFieldEvent = 17,      // process/event_codec.h
  kFieldQuery = 18,      // likewise
  kFieldDirection = 19,  // 0: at the input of the stage, 1: at its output
  kFieldSequence = 20,   // of the frame that asks
  kFieldResult = 21,     // 0: no, 1: yes; other values are the reply's own
  kFieldTransport = 22,  // Transport
  kFieldDescriptor = 23,  // a Command or a Report
  kFieldPayload = 24,
  kFieldTime = 25,   // ns
  kFieldLevel = 26,  // of a debug line
  kFieldCategory = 27,
  kFieldFile = 28,
  kFieldLine = 29,
  kFieldFunction = 30,
  kFieldSpin = 33,  // ns to look before sleeping
};

enum class SlotClass : std::uint64_t {
  kInput = 0,    // can only be mapped for reading
  kResult = 1,   // this worker writes to it
  kInPlace = 2,  // an input that a stage may write to
};

enum class Transport : std::uint64_t {
  kRing = 0,      // commands and reports through the shared memory
  kMessages = 1,  // through the socket, for languages without atomics
};

// The environment variable that tells a worker program the number of its
// socket.
inline constexpr char kSocketVariable[] = "GST_DISPATCH_SOCKET";

}  // namespace dispatch::core::protocol
