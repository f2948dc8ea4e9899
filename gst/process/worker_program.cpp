// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/worker_program.h"

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "os/memfd.h"
#include "process/command_loop.h"
#include "process/fault_point.h"
#include "process/stage_requests.h"
#include "process/worker_log.h"
#include "stage/stage_description.h"

namespace dispatch::process {

namespace protocol = core::protocol;

namespace {

constexpr char kUsage[] =
    "usage: gst-dispatch-worker\n"
    "\n"
    "Runs one copy of a stage for the element shmdispatch, which starts it "
    "and\n"
    "speaks to it over the socket whose number is in GST_DISPATCH_SOCKET. To\n"
    "look into one, let the element start it under a tool of yours:\n"
    "\n"
    "  shmdispatch worker-command=\"gdb --args "
    "/path/to/gst-dispatch-worker\"\n";

// Until descriptors that others have sent may have arrived.
constexpr auto kOthersPatience = std::chrono::milliseconds(10);

// The dispatcher sees the status, the user the text.
[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "gst-dispatch-worker: %s\n", why.c_str());
  _exit(EXIT_FAILURE);
}

// One worker, from its setup to its end.
class WorkerProgram {
 public:
  explicit WorkerProgram(os::UniqueFd socket);
  ~WorkerProgram();

  // Until the dispatcher says so, or is gone.
  void run();

 private:
  void send_waiting();
  void on_message(IncomingMessage& message);
  MessageFields on_request(IncomingMessage& request);
  void on_setup(IncomingMessage& message);
  bool map(IncomingMessage& message, std::string& why_not);
  bool build(const IncomingMessage& message, std::string& why_not);
  bool need_slot(std::uint64_t bytes,
                 const std::vector<core::SlotName>& unused);
  void on_slot(IncomingMessage& message);
  void on_command(const IncomingMessage& message);
  void set_properties(std::span<const std::byte> fields);
  void set_property(const std::string& element, const std::string& property,
                    const std::string& value);
  MessageFields stage_query(const IncomingMessage& request);
  MessageFields stage_event(const IncomingMessage& request);
  void set_base_time(std::uint64_t monotonic_ns);
  void on_bus_message(GstMessage* message);
  void watch_stage_for_faults();
  void dump(const char* when);
  static GstBusSyncReply on_bus(GstBus*, GstMessage* message, gpointer self);

  std::string element_name_;
  std::shared_ptr<Channel> channel_;
  os::Mapping commands_;
  os::Mapping reports_;
  os::Mapping bell_;
  WorkerRegions regions_;
  std::unique_ptr<WorkerSlots> slots_;
  std::unique_ptr<ReportWriter> writer_;
  std::shared_ptr<RemoteSurroundings> surroundings_;
  std::unique_ptr<stage::StageCopy> copy_;
  std::unique_ptr<CommandLoop> loop_;
  bool is_over_ = false;
};

WorkerProgram::WorkerProgram(os::UniqueFd socket)
    : channel_(std::make_shared<Channel>(
          std::move(socket),
          [this](IncomingMessage& message) { on_message(message); },
          [this](IncomingMessage& request) { return on_request(request); })) {
  channel_->set_on_waiting([this] { send_waiting(); });
}

WorkerProgram::~WorkerProgram() {
  if (copy_) copy_->flush();
  if (slots_) slots_->interrupt(true);
  channel_->close();
  loop_.reset();
  copy_.reset();
}

void WorkerProgram::run() {
  std::string wrong;
  // The socket blocks: this takes what comes until it is closed.
  while (!is_over_ && channel_->receive_all(wrong)) continue;
  if (!wrong.empty()) give_up("wrong: " + wrong);
  if (const auto failure = channel_->failure()) give_up(failure->text());
  // The dispatcher is gone: nobody waits for what the stage is doing.
  if (!is_over_) _exit(EXIT_SUCCESS);
}

// On any thread that sends; sending may take its time here.
void WorkerProgram::send_waiting() {
  for (;;) {
    const Channel::Waits waits = channel_->send_waiting();
    if (waits == Channel::Waits::kForNothing) return;
    if (waits == Channel::Waits::kFailed) give_up(channel_->failure()->text());
    std::this_thread::sleep_for(kOthersPatience);
  }
}

// ---- Setup -----------------------------------------------------------------

void WorkerProgram::on_setup(IncomingMessage& message) {
  element_name_ = message.text(protocol::kFieldElement);
  send_log_to(channel_, static_cast<GstDebugLevel>(
                            message.number(protocol::kFieldLevel)));
  MessageFields ready;
  ready.add_number(protocol::kFieldVersion, protocol::kVersion)
      .add_number(protocol::kFieldTransport,
                  static_cast<std::uint64_t>(protocol::Transport::kRing));
  std::string why_not;
  if (copy_ || !map(message, why_not) || !build(message, why_not))
    ready.add_text(protocol::kFieldText, why_not);
  if (surroundings_) surroundings_->open();
  channel_->send(protocol::kMessageReady, ready);
  pass(FaultPoint::kReady);
  if (why_not.empty()) loop_->start([this] { dump("NEGOTIATED"); });
}

bool WorkerProgram::map(IncomingMessage& message, std::string& why_not) {
  struct Region {
    os::Mapping& mapping;
    std::size_t bytes;
    os::Mapping::Access access;
  };
  Region regions[] = {
      {commands_, sizeof(protocol::CommandRegion), os::Mapping::Access::kRead},
      {reports_, sizeof(protocol::ReportRegion),
       os::Mapping::Access::kReadWrite},
      {bell_, sizeof(protocol::Bell), os::Mapping::Access::kReadWrite}};
  if (message.fds.size() != std::size(regions)) {
    why_not = "the setup has not the memory that it should have";
    return false;
  }
  for (std::size_t i = 0; i < std::size(regions); ++i) {
    auto mapping = os::Mapping::make(message.fds[i].get(), regions[i].bytes,
                                     regions[i].access);
    if (!mapping) {
      why_not = mapping.error().text();
      return false;
    }
    regions[i].mapping = mapping.take();
  }
  // SAFETY: of these sizes, page-aligned, and the mappings live as long as we.
  regions_.commands =
      reinterpret_cast<const protocol::CommandRegion*>(commands_.data());
  regions_.reports = reinterpret_cast<protocol::ReportRegion*>(reports_.data());
  regions_.bell = reinterpret_cast<protocol::Bell*>(bell_.data());
  return true;
}

bool WorkerProgram::build(const IncomingMessage& message,
                          std::string& why_not) {
  auto parsed = stage::parse_stage(message.text(protocol::kFieldText));
  if (auto* error = std::get_if<stage::StageError>(&parsed)) {
    why_not = error->message;
    return false;
  }
  slots_ = std::make_unique<WorkerSlots>(
      *regions_.commands, *regions_.reports,
      [this](std::uint64_t bytes, const std::vector<core::SlotName>& unused) {
        return need_slot(bytes, unused);
      });
  writer_ = std::make_unique<ReportWriter>(*slots_);
  surroundings_ =
      std::make_shared<RemoteSurroundings>(channel_, *slots_, *writer_);
  const auto number =
      static_cast<unsigned>(message.number(protocol::kFieldNumber));
  copy_ = std::make_unique<stage::StageCopy>(
      std::move(std::get<stage::ParsedStage>(parsed)), number, /*level=*/0,
      surroundings_->negotiation(), std::make_shared<core::OriginalKeeping>());
  copy_->watch_abandoned(&regions_.commands->abandoned_end);
  set_properties(message.fields);
  GstElement* bin = copy_->bin();
  GstBus* bus = gst_bus_new();
  gst_bus_set_sync_handler(bus, on_bus, this, nullptr);
  gst_element_set_bus(bin, bus);
  gst_object_unref(bus);
  const stage::ObjectPtr<GstClock> clock(gst_system_clock_obtain());
  gst_element_set_clock(bin, clock.get());
  gst_element_set_base_time(bin, gst_clock_get_time(clock.get()));
  if (gst_element_set_state(bin, GST_STATE_PLAYING) ==
      GST_STATE_CHANGE_FAILURE) {
    why_not = "the stage cannot be started";
    return false;
  }
  watch_stage_for_faults();
  dump("PLAYING");
  loop_ = std::make_unique<CommandLoop>(
      regions_, channel_, *copy_, *slots_, *writer_, *surroundings_,
      core::Duration(
          static_cast<std::int64_t>(message.number(protocol::kFieldSpin))));
  channel_->set_on_handled([this] { loop_->on_messages(); });
  return true;
}

// A probe costs something: only where a test asks for it.
void WorkerProgram::watch_stage_for_faults() {
  if (!is_armed(FaultPoint::kInStage)) return;
  gst_pad_add_probe(
      copy_->feeder(),
      static_cast<GstPadProbeType>(GST_PAD_PROBE_TYPE_BUFFER |
                                   GST_PAD_PROBE_TYPE_BUFFER_LIST),
      [](GstPad*, GstPadProbeInfo*, gpointer) {
        pass(FaultPoint::kInStage);
        return GST_PAD_PROBE_OK;
      },
      nullptr, nullptr);
}

// Beside those of the dispatcher's process, in GST_DEBUG_DUMP_DOT_DIR.
void WorkerProgram::dump(const char* when) {
  const std::string name =
      element_name_ + "." + GST_OBJECT_NAME(copy_->bin()) + "." + when;
  GST_DEBUG_BIN_TO_DOT_FILE_WITH_TS(GST_BIN(copy_->bin()),
                                    GST_DEBUG_GRAPH_SHOW_ALL, name.c_str());
}

// ---- Messages --------------------------------------------------------------

void WorkerProgram::on_message(IncomingMessage& message) {
  if (message.type == protocol::kMessageSetup) {
    on_setup(message);
    return;
  }
  if (message.type == protocol::kMessageQuit) {
    is_over_ = true;
    // Nothing is left to wait for: the socket blocks.
    shutdown(channel_->socket(), SHUT_RD);
    return;
  }
  if (!loop_) return;  // it could not be set up
  switch (message.type) {
    case protocol::kMessageSlot:
      on_slot(message);
      return;
    case protocol::kMessageSlotGone:
      slots_->remove(
          {static_cast<std::uint32_t>(message.number(protocol::kFieldSlot)),
           static_cast<std::uint32_t>(
               message.number(protocol::kFieldGeneration))});
      return;
    case protocol::kMessageSetProperty:
      set_properties(message.fields);
      return;
    case protocol::kMessageFlush:
      slots_->interrupt(true);
      copy_->flush();
      return;
    case protocol::kMessageClock:
      set_base_time(message.number(protocol::kFieldTime));
      return;
    case protocol::kMessageCommand:
      on_command(message);
      return;
    default:
      return;  // of a later version
  }
}

MessageFields WorkerProgram::on_request(IncomingMessage& request) {
  if (!loop_) return {};
  switch (request.type) {
    case protocol::kMessageStageQuery:
      return stage_query(request);
    case protocol::kMessageStageEvent:
      return stage_event(request);
    default:
      return {};
  }
}

void WorkerProgram::on_slot(IncomingMessage& message) {
  if (message.fds.empty()) return;
  const char* wrong = slots_->add(
      {static_cast<std::uint32_t>(message.number(protocol::kFieldSlot)),
       static_cast<std::uint32_t>(message.number(protocol::kFieldGeneration))},
      static_cast<protocol::SlotClass>(
          message.number(protocol::kFieldSlotClass)),
      message.number(protocol::kFieldBytes), std::move(message.fds.front()));
  if (wrong != nullptr) GST_ERROR("a slot cannot be used: %s", wrong);
}

void WorkerProgram::on_command(const IncomingMessage& message) {
  const auto descriptor = message.find(protocol::kFieldDescriptor);
  const auto payload = message.find(protocol::kFieldPayload);
  const auto command =
      descriptor ? descriptor->as_struct<protocol::Command>() : std::nullopt;
  if (command && payload)
    loop_->on_payload(command->number,
                      Bytes(payload->value.begin(), payload->value.end()));
}

bool WorkerProgram::need_slot(std::uint64_t bytes,
                              const std::vector<core::SlotName>& unused) {
  MessageFields fields;
  fields.add_number(protocol::kFieldBytes, bytes);
  for (const core::SlotName slot : unused)
    fields.add_number(protocol::kFieldSlot, slot.index)
        .add_number(protocol::kFieldGeneration, slot.generation);
  const std::optional<IncomingMessage> reply =
      channel_->ask(protocol::kMessageNeedSlot, fields, core::Duration::max());
  pass(FaultPoint::kSlotAsked);
  return reply && reply->number(protocol::kFieldResult) == 1;
}

// ---- The stage -------------------------------------------------------------

void WorkerProgram::set_properties(std::span<const std::byte> list) {
  core::FieldReader fields(list);
  std::string element;
  std::string property;
  while (const std::optional<core::Field> field = fields.next()) {
    if (field->tag == protocol::kFieldElement) element = field->text();
    if (field->tag == protocol::kFieldProperty) property = field->text();
    if (field->tag == protocol::kFieldValue)
      set_property(element, property, std::string(field->text()));
  }
}

void WorkerProgram::set_property(const std::string& element,
                                 const std::string& property,
                                 const std::string& text) {
  const stage::ElementPtr to(
      gst_bin_get_by_name(GST_BIN(copy_->bin()), element.c_str()));
  if (!to) return;
  GParamSpec* pspec = g_object_class_find_property(G_OBJECT_GET_CLASS(to.get()),
                                                   property.c_str());
  if (pspec == nullptr) return;
  GValue value = G_VALUE_INIT;
  g_value_init(&value, G_PARAM_SPEC_VALUE_TYPE(pspec));
  if (gst_value_deserialize_with_pspec(&value, text.c_str(), pspec))
    g_object_set_property(G_OBJECT(to.get()), property.c_str(), &value);
  else
    GST_WARNING_OBJECT(to.get(), "cannot set %s to %s", property.c_str(),
                       text.c_str());
  g_value_unset(&value);
}

MessageFields WorkerProgram::stage_query(const IncomingMessage& request) {
  MessageFields reply;
  const auto field = request.find(protocol::kFieldQuery);
  const stage::QueryPtr query = field ? decode_query(field->value) : nullptr;
  if (!query) return reply;
  const stage::CapsPtr caps = caps_of(request, protocol::kFieldCaps);
  const RemoteSurroundings::PeerCaps peer_caps(caps.get());
  GstPad* end = request.number(protocol::kFieldDirection) != 0
                    ? copy_->collector()
                    : copy_->feeder();
  const bool is_answered = gst_pad_peer_query(end, query.get()) != FALSE;
  reply.add_number(protocol::kFieldResult, is_answered ? 1 : 0);
  if (is_answered)
    reply.add_bytes(protocol::kFieldQuery, encode_query(query.get()));
  return reply;
}

MessageFields WorkerProgram::stage_event(const IncomingMessage& request) {
  const auto field = request.find(protocol::kFieldEvent);
  stage::EventPtr event = field ? decode_event(field->value) : nullptr;
  const bool is_handled =
      event && gst_pad_push_event(copy_->collector(), event.release());
  MessageFields reply;
  reply.add_number(protocol::kFieldResult, is_handled ? 1 : 0);
  return reply;
}

void WorkerProgram::set_base_time(std::uint64_t monotonic_ns) {
  // The system clock here is CLOCK_MONOTONIC, as in the message.
  gst_element_set_base_time(copy_->bin(), monotonic_ns);
}

GstBusSyncReply WorkerProgram::on_bus(GstBus*, GstMessage* message,
                                      gpointer self) {
  static_cast<WorkerProgram*>(self)->on_bus_message(message);
  gst_message_unref(message);
  return GST_BUS_DROP;
}

void WorkerProgram::on_bus_message(GstMessage* message) {
  MessageFields fields;
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_STREAM_STATUS) {
    GstStreamStatusType type{};
    GstElement* owner = nullptr;
    gst_message_parse_stream_status(message, &type, &owner);
    if (type != GST_STREAM_STATUS_TYPE_CREATE || stage::is_port(owner)) return;
    fields.add_text(protocol::kFieldElement, GST_OBJECT_NAME(owner));
    channel_->send(protocol::kMessageThread, fields);
    return;
  }
  if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) dump("ERROR");
  const Bytes bytes = encode_message(message);
  if (bytes.empty()) return;
  fields.add_bytes(protocol::kFieldValue, bytes);
  channel_->send(protocol::kMessageBus, fields);
}

int explain(const char* why) {
  std::fprintf(stderr, "%s\n\n%s", why, kUsage);
  return 2;
}

}  // namespace

int run_worker_program(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--help") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  // No other thread runs yet.
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  const char* number = std::getenv(protocol::kSocketVariable);
  if (number == nullptr) return explain("GST_DISPATCH_SOCKET is not set.");
  char* end = nullptr;
  const long socket = std::strtol(number, &end, 10);
  if (end == number || *end != '\0' || socket < 0 || socket > INT32_MAX)
    return explain("GST_DISPATCH_SOCKET is no number.");
  // Programs that the stage starts do not speak for it.
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  unsetenv(protocol::kSocketVariable);
  // Our lines go to the dispatcher's log; opening its file would empty it.
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  unsetenv("GST_DEBUG_FILE");
  // Sent to all of a terminal or a service at once, they are for the
  // dispatcher, which may want to end its stream in order and then ends this.
  for (const int signal : {SIGHUP, SIGINT, SIGTERM})
    std::signal(signal, SIG_IGN);
  std::string wrong;
  if (!arm_fault_points(wrong)) give_up("this cannot be read: " + wrong);
  gst_init(&argc, &argv);
  pass(FaultPoint::kStarted);
  WorkerProgram(os::UniqueFd(static_cast<int>(socket))).run();
  return 0;
}

}  // namespace dispatch::process
