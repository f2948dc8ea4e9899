// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/process_worker.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "process/keeper.h"
#include "process/shortage.h"

GST_DEBUG_CATEGORY_STATIC(process_worker_debug);
#define GST_CAT_DEFAULT process_worker_debug

namespace dispatch::process {

namespace protocol = core::protocol;
using core::MonotonicTime;
using core::SlotName;
using stage::Job;
using stage::JobResult;

namespace {

// The worker program's number of its socket.
constexpr int kSocketInChild = 3;
// A killed process that is still there then hangs in the kernel.
constexpr auto kKillPatience = std::chrono::seconds(1);
// For the answer to a query of the stage: another one may hold its locks.
constexpr auto kQueryPatience = std::chrono::milliseconds(500);
// Until descriptors that others have sent may have arrived.
constexpr auto kOthersPatience = std::chrono::milliseconds(10);

void init_debug() {
  static const bool done = [] {
    GST_DEBUG_CATEGORY_INIT(process_worker_debug, "dispatchprocess", 0,
                            "worker processes and what they say");
    return true;
  }();
  (void)done;
}

std::uint64_t to_ns(MonotonicTime time) {
  return static_cast<std::uint64_t>(time.time_since_epoch().count());
}

// No result, and the stream cannot go on.
bool is_failure(GstFlowReturn flow) {
  return flow < GST_FLOW_OK && flow != GST_FLOW_EOS;
}

}  // namespace

// ---- Start and end ---------------------------------------------------------

os::Result<std::shared_ptr<ProcessWorker>> ProcessWorker::start(
    const ProcessHost& host, const ProcessWorkerSetup& setup,
    std::shared_ptr<stage::Negotiation> negotiation) {
  init_debug();
  auto regions = SharedRegions::make();
  if (!regions) return regions.error();
  auto sockets = os::make_socket_pair();
  if (!sockets) return sockets.error();
  auto child = os::ChildProcess::spawn(
      setup.command,
      {{protocol::kSocketVariable, std::to_string(kSocketInChild)}},
      sockets->second.get(), kSocketInChild);
  if (!child) return child.error();
  std::shared_ptr<ProcessWorker> worker(new ProcessWorker(
      host, setup, regions.take(), child.take(), std::move(negotiation)));
  worker->open_channel(std::move(sockets->first), setup);
  worker->watch();
  return worker;
}

ProcessWorker::ProcessWorker(const ProcessHost& host,
                             const ProcessWorkerSetup& setup,
                             SharedRegions regions, os::ChildProcess child,
                             std::shared_ptr<stage::Negotiation> negotiation)
    : host_(host),
      number_(setup.number),
      name_("worker" + std::to_string(number_)),
      life_(name_, std::move(child)),
      regions_(std::move(regions)),
      requests_(std::move(negotiation), this) {}

ProcessWorker::~ProcessWorker() {
  if (channel_) channel_->close();
}

void ProcessWorker::open_channel(os::UniqueFd socket,
                                 const ProcessWorkerSetup& setup) {
  const std::weak_ptr<ProcessWorker> weak = weak_from_this();
  channel_ = std::make_shared<Channel>(
      std::move(socket),
      [weak](IncomingMessage& message) {
        if (const auto self = weak.lock()) self->on_message(message);
      },
      [weak](IncomingMessage& request) {
        const auto self = weak.lock();
        return self ? self->on_request(request) : MessageFields();
      });
  channel_->set_max_requests(protocol::kMaxOpenRequests);
  slots_ = std::make_shared<LentSlots>(number_, *host_.slots, *channel_,
                                       regions_.commands, regions_.reports,
                                       setup.may_write_inputs);
  watch_files(slots_);
  reader_.emplace(*slots_, this);
  exchange_.emplace(regions_, *channel_, CommandWriter(*slots_, requests_),
                    life_, *host_.reports, [this](std::uint64_t number) {
                      host_.io->call_later({},
                                           [weak = weak_from_this(), number] {
                                             if (const auto self = weak.lock())
                                               self->hear(number);
                                           });
                    });
  intake_.emplace(host_, name_, *slots_, *reader_, life_);
  MessageFields fields;
  fields.add_number(protocol::kFieldVersion, protocol::kVersion)
      .add_number(protocol::kFieldNumber, number_)
      .add_text(protocol::kFieldText, setup.description)
      .add_text(protocol::kFieldElement, GST_OBJECT_NAME(host_.element))
      .add_number(protocol::kFieldSpin,
                  static_cast<std::uint64_t>(setup.spin.count()))
      .add_number(protocol::kFieldLevel, gst_debug_get_default_threshold());
  for (const ProcessWorkerSetup::Property& each : setup.properties)
    fields.add_text(protocol::kFieldElement, each.element)
        .add_text(protocol::kFieldProperty, each.property)
        .add_text(protocol::kFieldValue, each.value);
  const int fds[] = {regions_.commands.fd(), regions_.reports.fd(),
                     host_.bell->fd()};
  channel_->send(protocol::kMessageSetup, fields, fds);
}

void ProcessWorker::watch() {
  const std::weak_ptr<ProcessWorker> weak = weak_from_this();
  host_.io->watch(channel_->socket(), G_IO_IN, [weak] {
    const auto self = weak.lock();
    if (!self) return false;
    std::string wrong;
    if (self->channel_->receive_all(wrong)) return true;
    self->on_hung_up(wrong);
    return false;
  });
  host_.io->watch(life_.pidfd(), G_IO_IN, [weak] {
    if (const auto self = weak.lock()) self->on_gone();
    return false;
  });
  channel_->set_on_waiting([weak] {
    const auto self = weak.lock();
    if (!self) return;
    self->host_.io->call_later({}, [weak] {
      if (const auto again = weak.lock()) again->send_waiting();
    });
  });
}

// On the thread of the IoThread, as often as it takes.
void ProcessWorker::send_waiting() {
  const auto again = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->send_waiting();
  };
  switch (channel_->send_waiting()) {
    case Channel::Waits::kForNothing:
      return;
    case Channel::Waits::kForSocket:
      host_.io->watch(channel_->socket(), G_IO_OUT, [again] {
        again();
        return false;
      });
      return;
    case Channel::Waits::kForOthers:
      host_.io->call_later(kOthersPatience, again);
      return;
    case Channel::Waits::kFailed:
      on_failure();
  }
}

std::optional<stage::Problem> ProcessWorker::wait_ready(MonotonicTime until) {
  return life_.wait_ready(until);
}

std::optional<stage::Problem> ProcessWorker::why_not_ready(
    const IncomingMessage& message) const {
  if (message.find(protocol::kFieldText))
    return stage::Problem{name_ + ": " + message.text(protocol::kFieldText),
                          message.text(protocol::kFieldDebug)};
  const std::uint64_t version = message.number(protocol::kFieldVersion);
  if (version == protocol::kVersion) return std::nullopt;
  return stage::Problem{
      name_ + " speaks version " + std::to_string(version) +
          " of the protocol, this is version " +
          std::to_string(protocol::kVersion) + ".",
      "The worker program and the element are not of one version."};
}

void ProcessWorker::on_ready(const IncomingMessage& message) {
  if (life_.is_ready()) {
    end_because("ready");
    return;
  }
  if (!life_.is_starting()) return;
  const auto transport =
      message.number(protocol::kFieldTransport) ==
              static_cast<std::uint64_t>(protocol::Transport::kMessages)
          ? protocol::Transport::kMessages
          : protocol::Transport::kRing;
  slots_->set_transport(transport);
  exchange_->set_transport(transport);
  life_.on_ready(why_not_ready(message));
}

void ProcessWorker::begin_close() {
  life_.end();
  if (exchange_->has_jobs()) life_.kill();
  requests_.close();
  channel_->send(protocol::kMessageQuit);
}

void ProcessWorker::finish_close(MonotonicTime until) {
  life_.end();
  if (!life_.wait_gone(until)) life_.kill();
  if (!life_.wait_gone(until + kKillPatience)) leave();
  channel_->close();
  slots_->close();
  intake_->take_inputs();
  exchange_->take_in_flight();
}

// It cannot be waited for. Nobody takes its reports any more.
void ProcessWorker::leave() {
  std::optional<os::ChildProcess> child = life_.leave();
  if (!child) return;
  GST_WARNING_OBJECT(host_.element,
                     "%s (process %d) was killed and is still there; what it "
                     "has is kept until it goes",
                     name_.c_str(), child->pid());
  struct Left {
    std::deque<InFlight> in_flight;
    ResultIntake::Inputs inputs;
  };
  const auto left = std::make_shared<Left>(
      Left{exchange_->take_in_flight(), intake_->take_inputs()});
  keep_until_gone(std::move(*child), left);
}

// The process is gone, by itself or not.
void ProcessWorker::on_gone() {
  std::string last_words;
  channel_->receive_all(last_words);  // what it said before it died
  const std::optional<ProcessLife::End> end = life_.on_gone();
  if (!end) return;  // it was left behind before
  GST_INFO_OBJECT(host_.element, "%s", end->how.c_str());
  if (end->news) host_.workers_host->on_problem(*end->news);
  // Nobody looks at them, or writes to them, any more.
  intake_->take_inputs();
  host_.reports->ring();
  requests_.close();
  // Does not wait for what is being answered: that may wait for a frame of
  // another worker, which needs this thread.
  channel_->end();
}

// It can say nothing any more; mostly because it is on its way out.
void ProcessWorker::on_hung_up(const std::string& violated_field) {
  if (!violated_field.empty())
    end_because(violated_field);
  else if (channel_->failure())
    on_failure();
  else
    life_.on_hung_up();
}

// This process could not send to it, or take what it sent: it would wait for
// that for ever.
void ProcessWorker::on_failure() {
  end_with({name_ + " has been ended: " + channel_->failure()->text() + ".",
            "This process has no descriptors or no memory left. 'ulimit -n' "
            "says how many descriptors it may have; fewer frames at a time "
            "('max-buffers', 'max-workers') need fewer."});
}

// It broke a rule of the protocol: nothing that it says is worth anything.
void ProcessWorker::end_because(const std::string& violated_field) {
  end_with({name_ + " broke the protocol: its '" + violated_field +
                "' is wrong. It has been ended.",
            "docs/design/worker-protocol.md says what a worker program has to "
            "send."});
}

void ProcessWorker::end_with(const stage::Problem& problem) {
  if (life_.kill_because(problem)) host_.workers_host->on_problem(problem);
}

// ---- Jobs ------------------------------------------------------------------

void ProcessWorker::submit(Job job) {
  const core::Sequence sequence = job.sequence;
  if (!exchange_->submit(std::move(job)))
    GST_ERROR_OBJECT(host_.element,
                     "a memory of frame %" G_GUINT64_FORMAT
                     " cannot be reached by %s",
                     sequence, name_.c_str());
}

bool ProcessWorker::take_reports(stage::WorkerListener& listener) {
  bool has_any = false;
  while (std::optional<EndedJob> ended = exchange_->take_ended()) {
    has_any = true;
    const core::Sequence sequence = ended->flight.job.sequence;
    JobResult result = result_of(*ended, listener);
    ended.reset();  // its original is not held while the result leaves
    listener.on_finished(*this, sequence, result);
  }
  return has_any;
}

JobResult ProcessWorker::result_of(EndedJob& ended,
                                   const stage::WorkerListener& listener) {
  JobResult result;
  if (ended.report &&
      intake_->read(ended.flight, *ended.report, result, ended.wrong)) {
    if (is_failure(result.flow) && !is_interrupted(ended.flight, listener))
      intake_->say_failed(ended.flight.job.sequence, result);
    return result;
  }
  if (!ended.wrong.empty()) end_because(ended.wrong);
  return intake_->fail(std::move(ended.flight));
}

bool ProcessWorker::is_interrupted(
    const InFlight& flight, const stage::WorkerListener& listener) const {
  // In this order: a flush ends after it was told here.
  return listener.is_interrupting() || !life_.is_ready() ||
         exchange_->is_flushed(flight.number);
}

// On the thread of the messages: what was sent before now is in the socket.
void ProcessWorker::hear(std::uint64_t number) {
  std::string wrong;
  if (!channel_->receive_all(wrong)) on_hung_up(wrong);
  exchange_->on_heard(number);
}

// ---- Messages --------------------------------------------------------------

// A known message that cannot be read breaks the protocol; one that is not
// known is of a later version.
void ProcessWorker::on_message(IncomingMessage& message) {
  if (message.type != protocol::kMessageLog && !life_.is_believed()) return;
  std::string wrong;
  handle(message, wrong);
  if (!wrong.empty()) end_because(wrong);
}

void ProcessWorker::handle(const IncomingMessage& message, std::string& wrong) {
  switch (message.type) {
    case protocol::kMessageReady:
      on_ready(message);
      return;
    case protocol::kMessageReport:
      on_report_message(message);
      return;
    case protocol::kMessageInputsReleased:
      on_inputs_released(message, wrong);
      return;
    case protocol::kMessageBus:
      on_bus_message(message, wrong);
      return;
    case protocol::kMessageLog:
      on_log(message);
      return;
    case protocol::kMessageLeaveEpoch:
      requests_.leave_epoch(message, wrong);
      return;
    case protocol::kMessageCloseEpoch:
      requests_.close_epoch(message, wrong);
      return;
    case protocol::kMessagePinEpoch:
      requests_.pin_epoch(message, wrong);
      return;
    case protocol::kMessageThread:
      host_.workers_host->on_stage_thread(
          message.text(protocol::kFieldElement));
      return;
    default:
      GST_DEBUG_OBJECT(host_.element, "%s: message %u is not known",
                       name_.c_str(), static_cast<unsigned>(message.type));
  }
}

void ProcessWorker::on_inputs_released(const IncomingMessage& message,
                                       std::string& wrong) {
  const std::uint64_t number = message.number(protocol::kFieldNumber);
  const JobExchange::Progress progress = exchange_->progress();
  if (number == 0 || number > progress.submitted)
    wrong = "number";
  else
    intake_->on_inputs_released(number, number <= progress.taken);
}

MessageFields ProcessWorker::on_request(IncomingMessage& request) {
  if (!life_.is_believed()) return {};
  std::string wrong;
  MessageFields reply = reply_to(request, wrong);
  if (!wrong.empty()) end_because(wrong);
  return reply;
}

MessageFields ProcessWorker::reply_to(const IncomingMessage& request,
                                      std::string& wrong) {
  switch (request.type) {
    case protocol::kMessageNeedSlot:
      return on_need_slot(request, wrong);
    case protocol::kMessageEnterEpoch:
      return requests_.enter_epoch(request, wrong);
    case protocol::kMessageBindEpoch:
      return requests_.bind_epoch(request, wrong);
    case protocol::kMessagePadQuery:
      return on_pad_query(request, wrong);
    case protocol::kMessagePadEvent:
      return requests_.pad_event(request, wrong);
    default:
      return {};
  }
}

void ProcessWorker::on_report_message(const IncomingMessage& message) {
  TakenReport taken;
  const auto descriptor = message.find(protocol::kFieldDescriptor);
  const auto report =
      descriptor ? descriptor->as_struct<protocol::Report>() : std::nullopt;
  if (!report) {
    end_because("report");
    return;
  }
  taken.report = *report;
  if (const auto payload = message.find(protocol::kFieldPayload))
    taken.payload.assign(payload->value.begin(), payload->value.end());
  exchange_->on_report(std::move(taken));
}

MessageFields ProcessWorker::on_need_slot(const IncomingMessage& request,
                                          std::string& wrong) {
  if (!request.find(protocol::kFieldBytes)) {
    wrong = "bytes";
    return {};
  }
  std::vector<SlotName> unused;
  core::FieldReader fields(request.fields);
  SlotName slot;
  while (const std::optional<core::Field> field = fields.next()) {
    const auto number =
        static_cast<std::uint32_t>(field->number().value_or(UINT32_MAX));
    if (field->tag == protocol::kFieldSlot) slot.index = number;
    if (field->tag != protocol::kFieldGeneration) continue;
    slot.generation = number;
    unused.push_back(slot);
  }
  slots_->take_back(unused);
  os::Error why;
  const bool has_come =
      slots_->add_result_slot(request.number(protocol::kFieldBytes), why);
  if (!has_come) say_no_slot(why);
  MessageFields reply;
  reply.add_number(protocol::kFieldResult, has_come ? 1 : 0);
  return reply;
}

// With some, the worker waits for one to come back.
void ProcessWorker::say_no_slot(const os::Error& why) {
  GST_DEBUG_OBJECT(host_.element, "no slot for %s: %s", name_.c_str(),
                   why.text().c_str());
  if (slots_->has_result_slots()) return;
  host_.workers_host->on_problem(
      {"There is no shared memory for the results of " + name_ + ": " +
           why.text() + ".",
       way_out_of(why, host_.workers, 0, kMoreMemory)});
}

// What the stage has given before it asked is decoded as a report is.
MessageFields ProcessWorker::on_pad_query(const IncomingMessage& request,
                                          std::string& wrong) {
  InFlight asking;
  const auto field = request.find(protocol::kFieldSequence);
  if (!field) return requests_.pad_query(request, asking.so_far, wrong);
  const core::Sequence sequence = field->number().value_or(UINT64_MAX);
  std::vector<MemoryPtr> held;
  if (!exchange_->begin_question(sequence, asking, held)) {
    wrong = "query";
    return {};
  }
  const auto payload = request.find(protocol::kFieldPayload);
  MessageFields reply;
  if (!payload || payload->value.empty() ||
      reader_->read(asking, payload->value, asking.so_far, wrong))
    reply = requests_.pad_query(request, asking.so_far, wrong);
  exchange_->end_question(sequence, std::move(asking.so_far));
  return reply;
}

void ProcessWorker::on_bus_message(const IncomingMessage& message,
                                   std::string& wrong) {
  const auto field = message.find(protocol::kFieldValue);
  DecodedMessage decoded;
  if (field)
    decoded = decode_message(field->value, GST_OBJECT_CAST(host_.element));
  if (!decoded.message) {
    wrong = "message";
    return;
  }
  GstMessage* posted = decoded.message.get();
  if (GST_MESSAGE_TYPE(posted) == GST_MESSAGE_ERROR) {
    g_autoptr(GError) error = nullptr;
    g_autofree gchar* debug = nullptr;
    gst_message_parse_error(posted, &error, &debug);
    host_.workers_host->on_stage_error(name_, decoded.name, error, debug);
    return;
  }
  // Which of the workers, for whoever reads it.
  GstStructure* structure = gst_message_writable_structure(posted);
  if (structure != nullptr)
    gst_structure_set(structure, "worker", G_TYPE_UINT, number_, "element",
                      G_TYPE_STRING, decoded.name.c_str(), nullptr);
  gst_element_post_message(host_.element, decoded.message.release());
}

namespace {

// The category of that name in this process, whose threshold the user set; ours
// if there is none.
GstDebugCategory* category_named(const std::string& name) {
  GSList* all = gst_debug_get_all_categories();
  GstDebugCategory* found = process_worker_debug;
  for (GSList* each = all; each != nullptr; each = each->next) {
    auto* category = static_cast<GstDebugCategory*>(each->data);
    if (name == gst_debug_category_get_name(category)) found = category;
  }
  g_slist_free(all);
  return found;
}

}  // namespace

void ProcessWorker::on_log(const IncomingMessage& message) {
  const std::string category = message.text(protocol::kFieldCategory);
  GstDebugCategory* here = category_named(category);
  const std::string origin =
      here == process_worker_debug ? name_ + ": " + category : name_;
  const std::string text = origin + ": " + message.text(protocol::kFieldText);
  gst_debug_log_literal(
      here,
      static_cast<GstDebugLevel>(std::min<std::uint64_t>(
          message.number(protocol::kFieldLevel), GST_LEVEL_MEMDUMP)),
      message.text(protocol::kFieldFile).c_str(),
      message.text(protocol::kFieldFunction).c_str(),
      static_cast<gint>(message.number(protocol::kFieldLine)),
      G_OBJECT(host_.element), text.c_str());
}

void ProcessWorker::set_property(const ProcessWorkerSetup::Property& property) {
  MessageFields fields;
  fields.add_text(protocol::kFieldElement, property.element)
      .add_text(protocol::kFieldProperty, property.property)
      .add_text(protocol::kFieldValue, property.value);
  channel_->send(protocol::kMessageSetProperty, fields);
}

void ProcessWorker::set_base_time(MonotonicTime base_time) {
  MessageFields fields;
  fields.add_number(protocol::kFieldTime, to_ns(base_time));
  channel_->send(protocol::kMessageClock, fields);
}

bool ProcessWorker::query(bool is_at_output, GstQuery* query,
                          GstCaps* peer_caps) {
  MessageFields fields;
  fields.add_number(protocol::kFieldDirection, is_at_output ? 1 : 0)
      .add_bytes(protocol::kFieldQuery, encode_query(query));
  add_caps(fields, protocol::kFieldCaps, peer_caps);
  const std::optional<IncomingMessage> reply =
      channel_->ask(protocol::kMessageStageQuery, fields, kQueryPatience);
  if (!reply || reply->number(protocol::kFieldResult) == 0) return false;
  const auto answer = reply->find(protocol::kFieldQuery);
  return answer && decode_answer(answer->value, query);
}

bool ProcessWorker::event_at_output(GstEvent* event) {
  MessageFields fields;
  fields.add_bytes(protocol::kFieldEvent, encode_event(event));
  const std::optional<IncomingMessage> reply =
      channel_->ask(protocol::kMessageStageEvent, fields, kQueryPatience);
  return reply && reply->number(protocol::kFieldResult) != 0;
}

}  // namespace dispatch::process
