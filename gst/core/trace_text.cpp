// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/trace_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace dispatch::core {

namespace {

constexpr std::int64_t kNsPerUs = 1000;
constexpr Duration kInstant{1};  // the shortest slice that an arrow can meet

// A track's number: of the element, and within it. In a process of ours no
// thread is called by its own number, so that these cannot be mistaken for one.
constexpr std::int64_t kTracksPerElement = 1000;
constexpr std::int64_t kFirstWorkerTrack = 10;

// The longest is a double: -2.2250738585072014e-308.
using Digits = std::array<char, 24>;

// `base`: of whole numbers.
template <typename Number, typename... Base>
void append_number(std::string& out, Number number, Base... base) {
  Digits digits;
  const auto end =
      std::to_chars(digits.begin(), digits.end(), number, base...).ptr;
  out.append(digits.begin(), end);
}

// Microseconds, as the format wants them, to the nanosecond.
void append_us(std::string& out, std::int64_t ns) {
  append_number(out, ns / kNsPerUs);
  const std::int64_t rest = ns % kNsPerUs;
  if (rest == 0) return;
  std::array<char, 4> digits{'.', static_cast<char>('0' + rest / 100),
                             static_cast<char>('0' + rest / 10 % 10),
                             static_cast<char>('0' + rest % 10)};
  out.append(digits.begin(), digits.end());
}

void append_escaped(std::string& out, unsigned char byte) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += "\\u00";
  out += kHex[byte / 16];
  out += kHex[byte % 16];
}

// What is no UTF-8 is left as it is: names in GStreamer are UTF-8.
void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      append_escaped(out, byte);
    } else {
      out += c;
    }
  }
  out += '"';
}

// The parts of a frame's stay. What is not known of a frame that left early is
// where it was last; they fill the stay without a gap.
struct Parts {
  explicit Parts(const FrameRecord& record) {
    const auto known = [](MonotonicTime time, MonotonicTime otherwise) {
      return time == MonotonicTime{} ? otherwise : time;
    };
    const MonotonicTime last = std::max(record.departure, record.arrival);
    arrival = record.arrival;
    departure = last;
    taken = std::clamp(known(record.taken, last), arrival, last);
    start = std::clamp(known(record.start, taken), taken, last);
    end = std::clamp(known(record.end, last), start, last);
  }
  MonotonicTime arrival, taken, start, end, departure;
};

void append_part(std::string& out, const TraceElement& element,
                 const FrameRecord& record, const char* name,
                 MonotonicTime begin, MonotonicTime end) {
  if (begin == end) return;
  const std::uint64_t id = element.id(record.sequence);
  TraceEvent(out, 'b', "frame", name, element.output(), begin).id(id);
  TraceEvent(out, 'e', "frame", name, element.output(), end).id(id);
}

void append_begin(std::string& out, const TraceElement& element,
                  const TracedFrame& frame) {
  const FrameRecord& record = frame.record;
  TraceEvent event(out, 'b', "frame", "frame", element.output(),
                   record.arrival);
  event.id(element.id(record.sequence));
  event.arg("element", element.name).arg("sequence", record.sequence);
  if (record.running_time)
    event.arg("running-time", record.running_time->time_since_epoch());
  if (record.due_monotonic) event.arg("due", to_ns(*record.due_monotonic));
  if (record.slack) event.arg("slack", *record.slack);
  event.arg("action", to_string(record.action));
  event.arg("cause", to_string(record.cause)).arg("late", record.late);
  if (record.worker) event.arg("worker", std::uint64_t{*record.worker});
  if (frame.reason != nullptr)
    event.arg("level", std::uint64_t{record.level})
        .arg("reason", frame.reason)
        .arg("predicted-cost", frame.predicted);
  if (record.late) event.arg("blocked", record.blocked);
}

// What left, for as long as downstream had it; the arrow from the worker ends
// there.
void append_push(std::string& out, const TraceElement& element,
                 const TracedFrame& frame, const Parts& parts) {
  const FrameRecord& record = frame.record;
  if (record.action == Action::kDropped) return;
  const TraceTrack track = element.output();
  TraceEvent(out, 'X', "push", "push", track, parts.departure)
      .duration(std::max(record.push, kInstant))
      .arg("sequence", record.sequence);
  if (record.action != Action::kApplied || !record.worker) return;
  const std::uint64_t id = element.id(record.sequence);
  TraceEvent(out, 's', "to-output", "frame",
             element.stage(*record.worker, record.process),
             std::max(parts.start, parts.end - kInstant))
      .id(id);
  TraceEvent(out, 'f', "to-output", "frame", track, parts.departure)
      .id(id)
      .binds_to_enclosing();
}

void append_decision(std::string& out, const TraceElement& element,
                     const FrameRecord& record) {
  if (record.cause == Cause::kNone) return;
  TraceEvent(out, 'i', "decision", to_string(record.action), element.output(),
             record.departure)
      .arg("sequence", record.sequence)
      .arg("cause", to_string(record.cause));
}

void append_slice(std::string& out, const char* name, TraceTrack track,
                  const TracedJob& job, MonotonicTime begin,
                  MonotonicTime end) {
  TraceEvent event(out, 'X', "job", name, track, begin);
  event.duration(end - begin);
  event.arg("sequence", job.sequence).arg("level", std::uint64_t{job.level});
  if (job.is_late) event.arg("late", true);
  if (job.is_lost) event.arg("lost", true);
}

}  // namespace

// ---- One event -------------------------------------------------------------

TraceEvent::TraceEvent(std::string& out, char phase, const char* category,
                       std::string_view name, TraceTrack track,
                       MonotonicTime time)
    : out_(out) {
  out_ += R"({"ph":")";
  out_ += phase;
  out_ += R"(","cat":")";
  out_ += category;
  out_ += R"(","name":)";
  append_string(out_, name);
  out_ += R"(,"pid":)";
  append_number(out_, track.process);
  out_ += R"(,"tid":)";
  append_number(out_, track.thread);
  out_ += R"(,"ts":)";
  append_us(out_, to_ns(time));
  // Instants belong to their track.
  if (phase == 'i') out_ += R"(,"s":"t")";
}

TraceEvent::~TraceEvent() { out_ += has_args_ ? "}},\n" : "},\n"; }

TraceEvent& TraceEvent::id(std::uint64_t id) {
  out_ += R"(,"id":"0x)";
  append_number(out_, id, 16);
  out_ += '"';
  return *this;
}

TraceEvent& TraceEvent::duration(Duration duration) {
  out_ += R"(,"dur":)";
  append_us(out_, duration.count());
  return *this;
}

TraceEvent& TraceEvent::binds_to_enclosing() {
  out_ += R"(,"bp":"e")";
  return *this;
}

void TraceEvent::key(std::string_view key) {
  if (!has_args_) out_ += R"(,"args":{)";
  if (has_args_ && !is_first_) out_ += ',';
  has_args_ = true;
  is_first_ = false;
  append_string(out_, key);
  out_ += ':';
}

TraceEvent& TraceEvent::arg(std::string_view name, std::string_view value) {
  key(name);
  append_string(out_, value);
  return *this;
}

TraceEvent& TraceEvent::arg(std::string_view name, bool value) {
  key(name);
  out_ += value ? "true" : "false";
  return *this;
}

TraceEvent& TraceEvent::arg(std::string_view name, double value) {
  key(name);
  if (std::isfinite(value))
    append_number(out_, value);
  else
    out_ += "null";
  return *this;
}

TraceEvent& TraceEvent::arg(std::string_view name, std::int64_t value) {
  key(name);
  append_number(out_, value);
  return *this;
}

TraceEvent& TraceEvent::arg(std::string_view name, std::uint64_t value) {
  key(name);
  append_number(out_, value);
  return *this;
}

TraceEvent& TraceEvent::open(std::string_view name) {
  key(name);
  out_ += '{';
  is_first_ = true;
  return *this;
}

TraceEvent& TraceEvent::close() {
  out_ += '}';
  is_first_ = false;
  return *this;
}

// ---- An element ------------------------------------------------------------

TraceTrack TraceElement::output() const {
  return {process, std::int64_t{number} * kTracksPerElement};
}

TraceTrack TraceElement::worker(unsigned worker) const {
  return {process, std::int64_t{number} * kTracksPerElement +
                       kFirstWorkerTrack + std::int64_t{worker}};
}

// There the thread is the process's first one.
TraceTrack TraceElement::stage(unsigned worker_number,
                               std::optional<int> worker_process) const {
  if (!worker_process) return worker(worker_number);
  return {*worker_process, *worker_process};
}

// Process ids have 22 bits. 16 are 65,535 starts of elements, as of a program
// that makes a pipeline for each call; 26 are 13 days at 60 frames a second.
std::uint64_t TraceElement::id(Sequence sequence) const {
  return static_cast<std::uint64_t>(process) << 42U |
         (std::uint64_t{number} & 0xffffU) << 26U | (sequence & 0x3ffffffU);
}

void append_frame(std::string& out, const TraceElement& element,
                  const TracedFrame& frame) {
  const FrameRecord& record = frame.record;
  const Parts parts(record);
  append_begin(out, element, frame);
  append_part(out, element, record, "queue-time", parts.arrival, parts.taken);
  append_part(out, element, record, "hand-over-time", parts.taken, parts.start);
  append_part(out, element, record, "service-time", parts.start, parts.end);
  append_part(out, element, record, "reorder-time", parts.end, parts.departure);
  TraceEvent(out, 'e', "frame", "frame", element.output(), parts.departure)
      .id(element.id(record.sequence));
  append_push(out, element, frame, parts);
  append_decision(out, element, record);
}

void append_job(std::string& out, const TraceElement& element,
                const TracedJob& job) {
  const TraceTrack from = element.worker(job.worker);
  const MonotonicTime start =
      std::max(job.is_lost ? job.end : job.start, job.taken + kInstant);
  append_slice(out, "hand-over-time", from, job, job.taken, start);
  if (job.is_lost) return;
  const TraceTrack to = element.stage(job.worker, job.process);
  append_slice(out, "service-time", to, job, start,
               std::max(job.end, start + kInstant));
  const std::uint64_t id = element.id(job.sequence);
  TraceEvent(out, 's', "to-worker", "frame", from, job.taken).id(id);
  TraceEvent(out, 'f', "to-worker", "frame", to, start)
      .id(id)
      .binds_to_enclosing();
}

void append_name(std::string& out, const char* kind, TraceTrack track,
                 std::string_view name) {
  TraceEvent(out, 'M', "setup", kind, track, {}).arg("name", name);
}

}  // namespace dispatch::core
