// SPDX-License-Identifier: LGPL-2.1-or-later
#include "element_harness.h"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <thread>

#include "in_stage.h"

namespace dispatch::test {

namespace {

constexpr GstClockTime kPatienceNs =
    std::chrono::nanoseconds(kPatience).count();

guint8 own_byte(std::uint64_t number, std::size_t i) {
  return static_cast<guint8>(number * 31 + i * 7);
}

MessagePtr wait_on(GstBus* bus, GstMessageType type) {
  MessagePtr message(gst_bus_timed_pop_filtered(bus, kPatienceNs, type));
  if (!message) give_up(gst_message_type_get_name(type));
  return message;
}

}  // namespace

// ---- Buffers ---------------------------------------------------------------

namespace {

BufferPtr with_number(BufferPtr buffer, std::uint64_t number) {
  GstMapInfo map;
  gst_buffer_map(buffer.get(), &map, GST_MAP_WRITE);
  for (std::size_t i = 0; i < map.size; ++i) map.data[i] = own_byte(number, i);
  gst_buffer_unmap(buffer.get(), &map);
  GST_BUFFER_OFFSET(buffer.get()) = number;
  GST_BUFFER_PTS(buffer.get()) = number * kFrameDuration;
  GST_BUFFER_DURATION(buffer.get()) = kFrameDuration;
  return buffer;
}

}  // namespace

BufferPtr numbered_buffer(std::uint64_t number, std::size_t bytes) {
  return with_number(
      BufferPtr(gst_buffer_new_allocate(nullptr, bytes, nullptr)), number);
}

std::uint64_t number_of(GstBuffer* buffer) { return GST_BUFFER_OFFSET(buffer); }

bool has_own_bytes(GstBuffer* buffer) {
  GstMapInfo map;
  if (!gst_buffer_map(buffer, &map, GST_MAP_READ)) return false;
  bool is_same = true;
  for (std::size_t i = 0; i < map.size; ++i)
    is_same = is_same && map.data[i] == own_byte(number_of(buffer), i);
  gst_buffer_unmap(buffer, &map);
  return is_same;
}

const GstMemory* memory_of(GstBuffer* buffer) {
  const GstMemory* memory = gst_buffer_peek_memory(buffer, 0);
  return memory->parent != nullptr ? memory->parent : memory;
}

// ---- Workers ---------------------------------------------------------------

namespace {

// Those that have ended and were not reaped yet, too.

}  // namespace

std::vector<pid_t> child_processes() {
  std::vector<pid_t> pids;
  for (const auto& task :
       std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream children(task.path() / "children");
    pids.insert(pids.end(), std::istream_iterator<pid_t>(children), {});
  }
  return pids;
}

ElementPtr new_element() {
  GstElement* element =
      gst_element_factory_make(element_under_test().c_str(), nullptr);
  if (element == nullptr) give_up(element_under_test().c_str());
  return stage::sink_object(element);
}

unsigned workers_of(GstElement* element) {
  return GST_IS_BIN(element)
             ? static_cast<unsigned>(GST_BIN_NUMCHILDREN(element))
             : static_cast<unsigned>(child_processes().size());
}

// ---- Stats -----------------------------------------------------------------

Stats::Stats(GstElement* element) : structure_(nullptr, gst_structure_free) {
  GstStructure* structure = nullptr;
  g_object_get(element, "stats", &structure, nullptr);
  structure_.reset(structure);
}

std::uint64_t Stats::operator[](const std::string& field) const {
  const GstStructure* from = structure_.get();
  std::string name = field;
  if (const std::size_t dot = field.find('.'); dot != std::string::npos) {
    from = gst_value_get_structure(
        gst_structure_get_value(from, field.substr(0, dot).c_str()));
    name = field.substr(dot + 1);
  }
  const GValue* value = gst_structure_get_value(from, name.c_str());
  if (value == nullptr) give_up(("stats field " + field).c_str());
  if (G_VALUE_HOLDS_UINT64(value)) return g_value_get_uint64(value);
  if (G_VALUE_HOLDS_UINT(value)) return g_value_get_uint(value);
  return g_value_get_boolean(value) ? 1 : 0;
}

bool Stats::reconciles() const {
  const Stats& s = *this;
  const std::uint64_t passed = s["bypassed"] + s["repeated"] + s["dropped"];
  std::uint64_t causes = 0;
  for (const char* cause :
       {"overdue-waiting", "overdue-running", "arrived-late", "flush", "stop",
        "downstream", "stage-error", "stalled", "worker-lost", "no-workers",
        "predicted-late", "spared", "ceiling"})
    causes += s[std::string("causes.") + cause];
  const std::uint64_t full =
      chooses_levels() ? s["levels.level0"] : s["applied"];
  return s["frames-in"] == s["applied"] + passed + s["in-flight"] &&
         causes == passed + s["applied"] - full;
}

// ---- Messages --------------------------------------------------------------

Messages::Messages(GstElement* element) : bus_(gst_bus_new()) {
  gst_element_set_bus(element, bus_);
}

Messages::~Messages() {
  gst_bus_set_flushing(bus_, TRUE);  // the messages hold their senders
  gst_object_unref(bus_);
}

MessagePtr Messages::wait(GstMessageType type) { return wait_on(bus_, type); }

MessagePtr Messages::poll(GstMessageType type) {
  return MessagePtr(gst_bus_pop_filtered(bus_, type));
}

MessagePtr Messages::wait_element(const char* name) {
  while (true) {
    MessagePtr message = wait(GST_MESSAGE_ELEMENT);
    if (gst_message_has_name(message.get(), name)) return message;
  }
}

unsigned Messages::count(GstMessageType type) {
  unsigned count = 0;
  while (poll(type)) ++count;
  return count;
}

std::string Messages::text(GstMessage* message) {
  g_autoptr(GError) error = nullptr;
  g_autofree gchar* debug = nullptr;
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error(message, &error, &debug);
  } else {
    gst_message_parse_warning(message, &error, &debug);
  }
  return std::string(error->message) + "\n" + (debug != nullptr ? debug : "");
}

// ---- Spies -----------------------------------------------------------------

namespace {

Spied parse_spied(const GstStructure* structure) {
  const auto text = [&](const char* field) -> std::string {
    const gchar* value = gst_structure_get_string(structure, field);
    return value != nullptr ? value : "";
  };
  Spied spied{.copy = text("copy"),
              .element = text("element"),
              .what = text("what"),
              .caps = text("caps"),
              .sticky = text("sticky")};
  gboolean is_upstream = FALSE;
  gst_structure_get(structure, "is-upstream", G_TYPE_BOOLEAN, &is_upstream,
                    "due", G_TYPE_INT64, &spied.due_ns, "mark", G_TYPE_INT,
                    &spied.mark, nullptr);
  spied.is_upstream = is_upstream != FALSE;
  spied.is_frame = g_ascii_isdigit(spied.what[0]) != FALSE;
  return spied;
}

}  // namespace

Spied next_spied(Messages& messages) {
  while (true) {
    const MessagePtr message = messages.wait(GST_MESSAGE_ELEMENT);
    if (gst_message_has_name(message.get(), "spied"))
      return parse_spied(gst_message_get_structure(message.get()));
  }
}

std::vector<Spied> spied_until(Messages& messages, const std::string& what) {
  std::vector<Spied> all;
  while (all.empty() || all.back().what != what)
    all.push_back(next_spied(messages));
  return all;
}

std::vector<std::string> lines_of(const std::vector<Spied>& all) {
  std::vector<std::string> lines;
  lines.reserve(all.size());
  for (const Spied& spied : all) lines.push_back(spied.what);
  return lines;
}

// ---- Transcript ------------------------------------------------------------

struct Transcript::State {
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::vector<std::string> lines;  // under mutex

  void add(std::string line) {
    const std::lock_guard lock(mutex);
    lines.push_back(std::move(line));
    changed.notify_all();
  }
};

Transcript::Transcript(GstPad* pad) : state_(std::make_shared<State>()) {
  using Shared = std::shared_ptr<State>;
  gst_pad_add_probe(
      pad,
      static_cast<GstPadProbeType>(
          GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_BUFFER_LIST |
          GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM | GST_PAD_PROBE_TYPE_EVENT_FLUSH),
      [](GstPad*, GstPadProbeInfo* info, gpointer user_data) {
        State& state = **static_cast<Shared*>(user_data);
        if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER) {
          state.add(std::to_string(number_of(GST_PAD_PROBE_INFO_BUFFER(info))));
        } else if (GST_PAD_PROBE_INFO_TYPE(info) &
                   GST_PAD_PROBE_TYPE_BUFFER_LIST) {
          state.add("list");
        } else {
          state.add(name_of(GST_PAD_PROBE_INFO_EVENT(info)));
        }
        return GST_PAD_PROBE_OK;
      },
      new Shared(state_),
      [](gpointer user_data) { delete static_cast<Shared*>(user_data); });
}

std::vector<std::string> Transcript::lines() const {
  const std::lock_guard lock(state_->mutex);
  return state_->lines;
}

void Transcript::wait_for(const std::string& line, std::size_t times) const {
  std::unique_lock lock(state_->mutex);
  const bool has_come = state_->changed.wait_for(lock, kPatience, [&] {
    return static_cast<std::size_t>(std::count(
               state_->lines.begin(), state_->lines.end(), line)) >= times;
  });
  if (!has_come) give_up(line.c_str());
}

// ---- Harness ---------------------------------------------------------------

namespace {

// For what tells no one.
void poll_until(const std::function<bool()>& is_so, const char* what) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > end) give_up(what);
    std::this_thread::yield();
  }
}

GstStaticPadTemplate source_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

}  // namespace

Harness::Harness(const std::string& properties, HarnessOptions options) {
  g_autoptr(GError) error = nullptr;
  GstElement* element =
      gst_parse_launch(under_test("name=sut " + properties).c_str(), &error);
  if (error != nullptr) give_up(error->message);
  gst_object_ref_sink(element);
  messages_ = std::make_unique<Messages>(element);
  const PadPtr src(gst_element_get_static_pad(element, "src"));
  out_ = std::make_unique<Transcript>(src.get());
  if (options.gate != nullptr) options.gate->attach_to_stages();
  if (options.prepare) options.prepare(element);
  if (options.has_test_clock) {
    clock_ = GST_TEST_CLOCK(gst_test_clock_new());
    gst_element_set_clock(element, GST_CLOCK_CAST(clock_));
    gst_element_set_base_time(element, 0);
  }
  // The harness would do it, but not say why it fails.
  if (gst_element_set_state(element, GST_STATE_PLAYING) ==
      GST_STATE_CHANGE_FAILURE)
    give_up(messages_->text(messages_->wait(GST_MESSAGE_ERROR).get()).c_str());
  harness_ = gst_harness_new_empty();
  const bool is_live =
      options.is_live || (options.is_apart && chooses_levels());
  gst_harness_set_live(harness_, is_live ? TRUE : FALSE);
  gst_harness_set_upstream_latency(harness_, options.upstream_latency);
  gst_harness_add_element_full(harness_, element, &source_template, "sink",
                               &sink_template, "src");
  gst_object_unref(element);
  if (options.caps != nullptr)
    gst_harness_set_src_caps_str(harness_, options.caps);
}

Harness::~Harness() {
  gst_harness_teardown(harness_);
  if (clock_ != nullptr) gst_object_unref(clock_);
}

void Harness::wait_for_stat(const std::string& field, std::uint64_t value) {
  poll_until([&] { return stats()[field] == value; }, field.c_str());
}

BufferPtr Harness::frame(std::uint64_t number) {
  return with_number(
      BufferPtr(gst_harness_create_buffer(harness_, kFrameBytes)), number);
}

GstFlowReturn Harness::push(BufferPtr buffer) {
  ++fence_;
  return gst_harness_push(harness_, buffer.release());
}

GstFlowReturn Harness::push_range(std::uint64_t first, std::uint64_t last) {
  for (std::uint64_t number = first; number < last; ++number)
    if (const GstFlowReturn flow = push(number); flow != GST_FLOW_OK)
      return flow;
  return GST_FLOW_OK;
}

std::future<GstFlowReturn> Harness::push_in_background(std::uint64_t first,
                                                       std::uint64_t last) {
  return std::async(std::launch::async,
                    [this, first, last] { return push_range(first, last); });
}

bool Harness::push_event(GstEvent* event) {
  return gst_harness_push_event(harness_, event) != FALSE;
}

void Harness::flush() {
  push_event(gst_event_new_flush_start());
  push_event(gst_event_new_flush_stop(TRUE));
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  push_event(gst_event_new_segment(&segment));
}

BufferPtr Harness::pull() {
  GstBuffer* buffer = gst_harness_pull(harness_);
  if (buffer == nullptr) give_up("a buffer to leave the element");
  ++fence_;
  return BufferPtr(buffer);
}

std::vector<std::uint64_t> Harness::pull_numbers(std::size_t count) {
  std::vector<std::uint64_t> numbers;
  while (numbers.size() < count) numbers.push_back(pull_number());
  return numbers;
}

bool Harness::has_output() {
  return gst_harness_buffers_in_queue(harness_) > 0;
}

EventPtr Harness::pull_event(GstEventType type) {
  while (true) {
    EventPtr event(gst_harness_pull_event(harness_));
    if (!event) give_up(gst_event_type_get_name(type));
    if (GST_EVENT_TYPE(event.get()) == type) return event;
  }
}

EventPtr Harness::pull_upstream_event(GstEventType type) {
  while (true) {
    EventPtr event(gst_harness_pull_upstream_event(harness_));
    if (!event) give_up(gst_event_type_get_name(type));
    if (GST_EVENT_TYPE(event.get()) == type) return event;
  }
}

GstClockTime Harness::next_wait() {
  if (!gst_test_clock_timed_wait_for_multiple_pending_ids(
          clock_, 1, kPatience.count() * 1000, nullptr))
    give_up("a wait on the clock");
  return gst_test_clock_get_next_entry_time(clock_);
}

void Harness::wait_for_next_wait(GstClockTime time) {
  poll_until([&] { return next_wait() == time; }, "a wait on the clock");
}

void Harness::wait_for_no_wait() {
  poll_until([&] { return gst_test_clock_peek_id_count(clock_) == 0; },
             "the end of a wait on the clock");
}

void Harness::crank() {
  // A wait that is given up and made anew may be missed once.
  do {
    next_wait();
  } while (!gst_test_clock_crank(clock_));
}

// Whoever begins to wait for it from here on does not wait at all; only one
// that has waited before has to be woken.
void Harness::pass_time_to(GstClockTime time) {
  set_time(time);
  if (gst_test_clock_get_next_entry_time(clock_) <= time)
    gst_test_clock_crank(clock_);
}

void Harness::set_state(GstState state) {
  gst_element_set_state(element(), state);
  if (gst_element_get_state(element(), nullptr, nullptr, kPatienceNs) ==
      GST_STATE_CHANGE_ASYNC)
    give_up("a state");
}

// ---- Pipeline --------------------------------------------------------------

Pipeline::Pipeline(const std::string& launch) {
  g_autoptr(GError) error = nullptr;
  GstElement* pipeline = gst_parse_launch(launch.c_str(), &error);
  if (error != nullptr) give_up(error->message);
  pipeline_ = stage::sink_object(pipeline);
}

Pipeline::~Pipeline() { gst_element_set_state(get(), GST_STATE_NULL); }

ElementPtr Pipeline::by_name(const char* name) {
  GstElement* element = gst_bin_get_by_name(GST_BIN(get()), name);
  if (element == nullptr) give_up(name);
  return ElementPtr(element);
}

PadPtr Pipeline::pad(const char* element, const char* pad) {
  return PadPtr(gst_element_get_static_pad(by_name(element).get(), pad));
}

void Pipeline::set_state(GstState state) {
  const GstStateChangeReturn result = gst_element_set_state(get(), state);
  if (result == GST_STATE_CHANGE_FAILURE ||
      gst_element_get_state(get(), nullptr, nullptr, kPatienceNs) ==
          GST_STATE_CHANGE_ASYNC) {
    const stage::ObjectPtr<GstBus> bus(gst_element_get_bus(get()));
    const MessagePtr message(
        gst_bus_pop_filtered(bus.get(), GST_MESSAGE_ERROR));
    give_up(message ? Messages::text(message.get()).c_str() : "a state");
  }
}

bool Pipeline::run_to_eos() {
  gst_element_set_state(get(), GST_STATE_PLAYING);
  const MessagePtr message =
      wait(static_cast<GstMessageType>(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  if (GST_MESSAGE_TYPE(message.get()) == GST_MESSAGE_EOS) return true;
  error_ = Messages::text(message.get());
  return false;
}

MessagePtr Pipeline::wait(GstMessageType type) {
  const stage::ObjectPtr<GstBus> bus(gst_element_get_bus(get()));
  return wait_on(bus.get(), type);
}

}  // namespace dispatch::test
