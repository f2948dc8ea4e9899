// SPDX-License-Identifier: LGPL-2.1-or-later
#include "live_stream.h"

#include <algorithm>
#include <set>

#include "bench.h"

namespace bench {

namespace {

constexpr std::int64_t kPatienceNs = 30'000'000'000;

std::string description(const LiveStream::Setup& setup) {
  return "videotestsrc name=source is-live=true pattern=black num-buffers=" +
         std::to_string(setup.frames) + " ! " + setup.caps +
         ",framerate=" + std::to_string(setup.fps) + "/1 ! " + setup.middle +
         " ! queue ! " + setup.sink;
}

FrameHead head_of(GstBuffer* frame) {
  FrameHead head{};
  gst_buffer_extract(frame, 0, head.data(), head.size());
  return head;
}

GstPadProbeReturn say_no_latency(GstPad*, GstPadProbeInfo* info, gpointer) {
  GstQuery* query = GST_PAD_PROBE_INFO_QUERY(info);
  if (GST_QUERY_TYPE(query) == GST_QUERY_LATENCY)
    gst_query_set_latency(query, TRUE, 0, GST_CLOCK_TIME_NONE);
  return GST_PAD_PROBE_OK;
}

std::uint64_t kept_back(const GstStructure* fields) {
  guint count = 0;
  gst_structure_get_uint(fields, "kept-back", &count);
  return count;
}

std::string text_of(GstMessage* message) {
  g_autoptr(GError) error = nullptr;
  g_autofree gchar* debug = nullptr;
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_WARNING)
    gst_message_parse_warning(message, &error, &debug);
  else
    gst_message_parse_error(message, &error, &debug);
  return std::string(error->message) + "\n" + (debug ? debug : "");
}

}  // namespace

double percent(std::uint64_t part, std::uint64_t whole) {
  return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

double Account::late_percent() const { return percent(late, arrived); }

double applied_percent(const LiveStream& stream) {
  return percent(Stats(stream.element()).count("applied"),
                 stream.account().arrived);
}

GstClockTime longest_gap(const std::vector<Departure>& departures,
                         GstClockTime from, GstClockTime until) {
  GstClockTime longest = 0;
  for (std::size_t i = 1; i < departures.size(); i++) {
    const GstClockTime at = departures[i].at;
    if (at >= from && at < until)
      longest = std::max(longest, at - departures[i - 1].at);
  }
  return longest;
}

LiveStream::LiveStream(const Setup& setup)
    : budget_(setup.budget),
      first_(setup.first),
      fps_(setup.fps),
      is_endless_(setup.frames < 0),
      may_fail_(setup.may_fail),
      pipeline_(description(setup)) {
  gst_pad_add_probe(pipeline_.pad(first_, "sink"), GST_PAD_PROBE_TYPE_BUFFER,
                    on_arrival, this, nullptr);
  gst_pad_add_probe(pipeline_.pad(setup.last, "src"), GST_PAD_PROBE_TYPE_BUFFER,
                    on_departure, this, nullptr);
  if (!setup.is_source_punctual) return;
  gst_pad_add_probe(pipeline_.pad("source", "src"),
                    static_cast<GstPadProbeType>(
                        GST_PAD_PROBE_TYPE_QUERY_UPSTREAM |
                        GST_PAD_PROBE_TYPE_PULL),  // it has been answered
                    say_no_latency, nullptr, nullptr);
}

// ---- What passes -----------------------------------------------------------

GstPadProbeReturn LiveStream::on_arrival(GstPad*, GstPadProbeInfo* info,
                                         gpointer self_pointer) {
  static_cast<LiveStream*>(self_pointer)
      ->note_arrival(GST_PAD_PROBE_INFO_BUFFER(info));
  return GST_PAD_PROBE_OK;
}

GstPadProbeReturn LiveStream::on_departure(GstPad*, GstPadProbeInfo* info,
                                           gpointer self_pointer) {
  static_cast<LiveStream*>(self_pointer)
      ->note_departure(GST_PAD_PROBE_INFO_BUFFER(info));
  return GST_PAD_PROBE_OK;
}

void LiveStream::note_arrival(GstBuffer* frame) {
  const GstClockTime now = running_time();
  const bool is_first = [this] {
    const std::lock_guard lock(mutex_);
    return arrivals_.empty();
  }();
  const GstClockTime upstream = is_first ? upstream_latency() : 0;
  const std::lock_guard lock(mutex_);
  if (is_first) {
    upstream_ = upstream;
    first_byte_ = head_of(frame).front();
  }
  arrivals_.emplace(number_of(frame), now);
}

void LiveStream::note_departure(GstBuffer* frame) {
  // The timestamps of this source are running times.
  const GstClockTime pts = GST_BUFFER_PTS(frame);
  const GstClockTime now = running_time();
  const FrameHead head = head_of(frame);
  const std::lock_guard lock(mutex_);
  departures_.push_back(
      {.number = number_of(frame),
       .at = now,
       .behind = GST_CLOCK_DIFF(pts + upstream_ + budget_, now),
       .is_changed = head.front() != first_byte_,
       .head = head});
}

std::uint64_t LiveStream::number_of(GstBuffer* frame) const {
  return gst_util_uint64_scale_round(GST_BUFFER_PTS(frame),
                                     static_cast<guint64>(fps_), GST_SECOND);
}

GstClockTime LiveStream::upstream_latency() const {
  g_autoptr(GstQuery) query = gst_query_new_latency();
  GstClockTime minimum = 0;
  if (gst_pad_peer_query(pipeline_.pad(first_, "sink"), query))
    gst_query_parse_latency(query, nullptr, &minimum, nullptr);
  return minimum;
}

GstClockTime LiveStream::running_time() const {
  return gst_element_get_current_running_time(pipeline_.get());
}

// ---- The run ---------------------------------------------------------------

void LiveStream::start() { pipeline_.set_state(GST_STATE_PLAYING); }

void LiveStream::take(GstMessage* message) {
  switch (GST_MESSAGE_TYPE(message)) {
    case GST_MESSAGE_ERROR:
      error_ = text_of(message);
      if (!may_fail_) fail(error_);
      has_ended_ = true;
      break;
    case GST_MESSAGE_EOS:
      has_ended_ = true;
      break;
    case GST_MESSAGE_WARNING:
      logs_.push_back(text_of(message));
      break;
    case GST_MESSAGE_ELEMENT: {
      const GstStructure* fields = gst_message_get_structure(message);
      messages_[gst_structure_get_name(fields)] += 1 + kept_back(fields);
      const gchar* log = gst_structure_get_string(fields, "log");
      if (log != nullptr) logs_.emplace_back(log);
      break;
    }
    default:
      break;
  }
}

bool LiveStream::run_for(GstClockTime time) {
  g_autoptr(GstBus) bus = gst_element_get_bus(pipeline_.get());
  const std::int64_t end_ns = monotonic_ns() + static_cast<std::int64_t>(time);
  while (!has_ended_) {
    const std::int64_t left_ns = end_ns - monotonic_ns();
    g_autoptr(GstMessage) message = gst_bus_timed_pop(
        bus, static_cast<GstClockTime>(std::max<std::int64_t>(left_ns, 0)));
    if (message == nullptr) break;
    take(message);
  }
  return has_ended_;
}

void LiveStream::finish() {
  if (is_endless_) gst_element_send_event(pipeline_.get(), gst_event_new_eos());
  std::int64_t end_ns = monotonic_ns() + kPatienceNs;
  std::uint64_t before = departed();
  while (!run_for(GST_SECOND / 10)) {
    if (departed() != before) end_ns = monotonic_ns() + kPatienceNs;
    before = departed();
    if (monotonic_ns() > end_ns) fail("The stream stands still.");
  }
}

// ---- What is known ---------------------------------------------------------

GstClockTime LiveStream::arrival(std::uint64_t number) const {
  const std::lock_guard lock(mutex_);
  const auto found = arrivals_.find(number);
  if (found == arrivals_.end())
    fail("Frame " + std::to_string(number) + " never came.");
  return found->second;
}

std::vector<Departure> LiveStream::departures() const {
  const std::lock_guard lock(mutex_);
  return departures_;
}

std::uint64_t LiveStream::departed() const {
  const std::lock_guard lock(mutex_);
  return departures_.size();
}

bool LiveStream::is_last_changed() const {
  const std::lock_guard lock(mutex_);
  return !departures_.empty() && departures_.back().is_changed;
}

std::uint64_t LiveStream::logged(const std::string& text) const {
  return static_cast<std::uint64_t>(
      std::ranges::count_if(logs_, [&](const std::string& log) {
        return log.find(text) != std::string::npos;
      }));
}

Account LiveStream::account() const {
  const std::lock_guard lock(mutex_);
  Account sums;
  sums.arrived = arrivals_.size();
  sums.left = departures_.size();
  std::set<std::uint64_t> seen;
  for (const Departure& departure : departures_) {
    if (!seen.empty() && departure.number < *seen.rbegin()) sums.out_of_order++;
    if (!seen.insert(departure.number).second) sums.repeated++;
    if (departure.is_late()) sums.late++;
    sums.worst = std::max(sums.worst, departure.behind);
  }
  for (const auto& [number, at] : arrivals_) {
    if (!seen.contains(number)) sums.missing++;
  }
  sums.longest_gap = bench::longest_gap(departures_, 0, GST_CLOCK_TIME_NONE);
  return sums;
}

}  // namespace bench
