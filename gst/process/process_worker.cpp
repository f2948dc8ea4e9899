// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/process_worker.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "os/pipe.h"
#include "process/keeper.h"

GST_DEBUG_CATEGORY(process_worker_debug);
#define GST_CAT_DEFAULT process_worker_debug

namespace dispatch::process {

namespace protocol = core::protocol;
using core::MonotonicTime;
using stage::Job;
using stage::JobResult;
using std::chrono::steady_clock;

namespace {

// The worker program's number of its socket.
constexpr int kSocketInChild = 3;
// A killed process that is still there then hangs in the kernel.
constexpr auto kKillPatience = std::chrono::seconds(1);
// For the answer to a query of the stage: another one may hold its locks.
constexpr auto kQueryPatience = std::chrono::milliseconds(500);
constexpr auto kKnownPatience = std::chrono::milliseconds(20);
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

// No result, and the stream cannot go on.
bool is_failure(GstFlowReturn flow) {
  return flow < GST_FLOW_OK && flow != GST_FLOW_EOS;
}

}  // namespace

// ---- Start -----------------------------------------------------------------

os::Result<std::shared_ptr<ProcessWorker>> ProcessWorker::start(
    const ProcessHost& host, const ProcessWorkerSetup& setup,
    std::shared_ptr<stage::Negotiation> negotiation) {
  init_debug();
  auto regions = SharedRegions::make();
  if (!regions) return regions.error();
  auto sockets = os::make_socket_pair();
  if (!sockets) return sockets.error();
  auto errors = os::make_pipe();
  if (!errors) return errors.error();
  auto child = os::ChildProcess::spawn(
      setup.command,
      {{protocol::kSocketVariable, std::to_string(kSocketInChild)}},
      sockets->second.get(), kSocketInChild, errors->writer.get());
  if (!child) return child.error();
  std::shared_ptr<ProcessWorker> worker(
      new ProcessWorker(host, setup, regions.take(), child.take(),
                        std::move(errors->reader), std::move(negotiation)));
  worker->make_parts(std::move(sockets->first), setup.may_write_inputs);
  worker->send_setup(setup);
  worker->watch();
  return worker;
}

ProcessWorker::ProcessWorker(const ProcessHost& host,
                             const ProcessWorkerSetup& setup,
                             SharedRegions regions, os::ChildProcess child,
                             os::UniqueFd errors,
                             std::shared_ptr<stage::Negotiation> negotiation)
    : host_(host),
      number_(setup.number),
      name_("worker" + std::to_string(number_)),
      description_(setup.description),
      errors_(std::move(errors)),
      life_(name_, std::move(child)),
      regions_(std::move(regions)),
      requests_(std::move(negotiation), this) {}

ProcessWorker::~ProcessWorker() {
  if (channel_) channel_->close();
}

void ProcessWorker::make_parts(os::UniqueFd socket, bool may_write_inputs) {
  const std::weak_ptr<ProcessWorker> weak = weak_from_this();
  const auto on_message = [weak](const IncomingMessage& message) {
    const auto self = weak.lock();
    return self ? self->on_message(message) : MessageFields();
  };
  channel_ =
      std::make_shared<Channel>(std::move(socket), on_message, on_message);
  channel_->set_max_requests(protocol::kMaxOpenRequests);
  slots_ = std::make_shared<LentSlots>(number_, *host_.slots, *channel_,
                                       regions_.commands, regions_.reports,
                                       may_write_inputs);
  watch_files(slots_);
  reader_.emplace(*slots_, this);
  const auto hear = [this, weak](std::uint64_t number) {
    host_.io->call_later({}, [weak, number] {
      if (const auto self = weak.lock()) self->hear(number);
    });
  };
  exchange_.emplace(regions_, *channel_, CommandWriter(*slots_, requests_),
                    life_, *host_.reports, hear);
  intake_.emplace(host_, name_, *slots_, *reader_, life_);
  messages_.emplace(host_, number_, name_,
                    WorkerMessages::Parts{life_, *exchange_, *intake_, *slots_,
                                          *reader_, requests_});
}

void ProcessWorker::send_setup(const ProcessWorkerSetup& setup) {
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
  keep_watch(host_.io->watch(channel_->socket(), G_IO_IN, [weak] {
    const auto self = weak.lock();
    if (!self) return false;
    std::string wrong;
    if (self->channel_->receive_all(wrong)) return true;
    self->on_hung_up(wrong);
    return false;
  }));
  keep_watch(host_.io->watch(life_.pidfd(), G_IO_IN, [weak] {
    if (const auto self = weak.lock()) self->on_gone();
    return false;
  }));
  keep_watch(host_.io->watch(errors_.fd(), G_IO_IN, [weak] {
    const auto self = weak.lock();
    return self && self->errors_.read_all();
  }));
  channel_->set_on_waiting([weak] {
    const auto self = weak.lock();
    if (!self) return;
    self->host_.io->call_later({}, [weak] {
      if (const auto again = weak.lock()) again->send_waiting();
    });
  });
}

void ProcessWorker::keep_watch(Watch watch) {
  const std::lock_guard lock(watches_mutex_);
  if (has_ended_watches_) return;
  std::erase_if(watches_, [](const Watch& each) {
    return g_source_is_destroyed(each.get());
  });
  watches_.push_back(std::move(watch));
}

// Nothing is heard of the process any more; not of what it has left behind, if
// that has its descriptors, either.
void ProcessWorker::end_watches() {
  std::vector<Watch> watches;
  const std::lock_guard lock(watches_mutex_);
  has_ended_watches_ = true;
  watches.swap(watches_);
}

// ---- Messages --------------------------------------------------------------

// On the thread of the IoThread, as often as it takes.
void ProcessWorker::send_waiting() {
  const auto again = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->send_waiting();
  };
  switch (channel_->send_waiting()) {
    case Channel::Waits::kForNothing:
      return;
    case Channel::Waits::kForSocket:
      keep_watch(host_.io->watch(channel_->socket(), G_IO_OUT, [again] {
        again();
        return false;
      }));
      return;
    case Channel::Waits::kForOthers:
      host_.io->call_later(kOthersPatience, again);
      return;
    case Channel::Waits::kFailed:
      on_failure();
  }
}

// On the thread of the IoThread, or, for a request, of a pool. The reply.
MessageFields ProcessWorker::on_message(const IncomingMessage& message) {
  std::string wrong;
  MessageFields reply = messages_->take(message, wrong);
  if (!wrong.empty()) end_because(wrong);
  return reply;
}

// On the thread of the messages: what was sent before now is in the socket.
void ProcessWorker::hear(std::uint64_t number) {
  std::string wrong;
  if (!channel_->receive_all(wrong)) on_hung_up(wrong);
  exchange_->on_heard(number);
}

// ---- End -------------------------------------------------------------------

void ProcessWorker::begin_close() {
  is_closing_ = true;
  life_.end();
  if (exchange_->has_jobs()) life_.kill();
  requests_.close();
  channel_->send(protocol::kMessageQuit);
}

void ProcessWorker::finish_close(MonotonicTime until) {
  life_.end();
  wait_for_end(until);
  channel_->close();
  for (InFlight& flight : exchange_->take_in_flight())
    intake_->fail(std::move(flight));
  slots_->close();
  intake_->let_go();
}

void ProcessWorker::let_go(MonotonicTime until) {
  life_.let_go();
  if (exchange_->has_jobs()) life_.kill();
  requests_.close();
  channel_->send(protocol::kMessageQuit);
  give_all_back();
  wait_for_end(until);
  channel_->end();
  slots_->close();
  intake_->let_go();
}

// One that was killed has nothing to do but to go.
void ProcessWorker::wait_for_end(MonotonicTime until) {
  if (!life_.may_report()) until = steady_clock::now();
  if (!life_.wait_gone(until)) life_.kill();
  if (!life_.wait_gone(std::max(until, steady_clock::now()) + kKillPatience))
    leave();
  end_watches();
}

// It cannot be waited for.
void ProcessWorker::leave() {
  std::optional<ProcessLife::Left> left = life_.leave(errors_.last_lines());
  if (!left) return;
  GST_WARNING_OBJECT(host_.element,
                     "%s (process %d) was killed and is still there; what it "
                     "has is kept until it goes",
                     name_.c_str(), left->child.pid());
  keep_until_gone(std::move(left->child), intake_->hand_over());
  on_end(left->end);
}

// The process is gone, by itself or not.
void ProcessWorker::on_gone() {
  std::string last_words;
  channel_->receive_all(last_words);  // what it said before it died
  errors_.read_all();
  const std::optional<ProcessLife::End> end =
      life_.on_gone(errors_.last_lines());
  if (!end) return;  // it was left behind before
  on_end(*end);
  // Nobody looks at them, or writes to them, any more.
  intake_->let_go();
}

void ProcessWorker::on_end(const ProcessLife::End& end) {
  GST_INFO_OBJECT(host_.element, "%s (process %d) %s", name_.c_str(),
                  end.loss.pid, end.loss.how.c_str());
  if (end.is_loss) host_.workers_host->on_worker_lost(*this, end.loss);
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
// that for ever. Another one would fare no better.
void ProcessWorker::on_failure() {
  const stage::Problem problem = {
      name_ + " has been ended: " + channel_->failure()->text() + ".",
      "This process has no descriptors or no memory left. 'ulimit -n' "
      "says how many descriptors it may have; fewer frames at a time "
      "('max-buffers', 'max-workers') need fewer."};
  if (life_.kill_because(problem)) host_.workers_host->on_problem(problem);
  host_.reports->ring();
}

// It broke a rule of the protocol: nothing that it says is worth anything.
void ProcessWorker::end_because(const std::string& violated_field) {
  lose("broke the protocol: its '" + violated_field + "' is wrong",
       {name_ + " broke the protocol: its '" + violated_field +
            "' is wrong. It has been ended.",
        "docs/design/worker-protocol.md says what a worker program has to "
        "send."});
}

bool ProcessWorker::kill(const std::string& why) {
  return lose(why, {name_ + " " + why + ", and was killed.",
                    "See the properties 'stall-timeout' and 'restart-limit'."});
}

// One that is still there after a while hangs in the kernel: whoever waits for
// it to be told of is told then.
bool ProcessWorker::lose(const std::string& how,
                         const stage::Problem& problem) {
  if (!life_.lose(how + ", and was killed", problem)) return false;
  host_.reports->ring();
  host_.io->call_later(kKillPatience, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->leave();
  });
  return true;
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
    JobResult result;
    if (!read_result(*ended, listener, result)) {
      give_back(std::move(ended->flight), listener);
      continue;
    }
    ended.reset();  // its original is not held while the result leaves
    listener.on_finished(*this, sequence, result);
  }
  return has_any;
}

// False: there is none.
bool ProcessWorker::read_result(EndedJob& ended,
                                const stage::WorkerListener& listener,
                                JobResult& result) {
  if (ended.report &&
      intake_->read(ended.flight, *ended.report, result, ended.wrong)) {
    if (is_failure(result.flow) && !is_interrupted(ended.flight, listener))
      intake_->say_failed(ended.flight.job.sequence, result);
    return true;
  }
  if (!ended.wrong.empty()) end_because(ended.wrong);
  return false;
}

// Nobody wants it any more during a flush or a stop: then it only ends.
void ProcessWorker::give_back(InFlight flight,
                              stage::WorkerListener& listener) {
  const core::Sequence sequence = flight.job.sequence;
  if (listener.is_interrupting() || is_closing_ ||
      exchange_->is_flushed(flight.number)) {
    JobResult result = intake_->fail(std::move(flight));
    listener.on_finished(*this, sequence, result);
    return;
  }
  listener.on_lost(*this, intake_->take_back(std::move(flight)));
}

// Of one that is let go of, whose reports nobody takes any more.
void ProcessWorker::give_all_back() {
  for (InFlight& flight : exchange_->take_in_flight())
    give_back(std::move(flight), *host_.listener);
}

bool ProcessWorker::is_interrupted(
    const InFlight& flight, const stage::WorkerListener& listener) const {
  // In this order: a flush ends after it was told here.
  return listener.is_interrupting() || is_closing_ ||
         exchange_->is_flushed(flight.number);
}

// ---- What is asked of it ---------------------------------------------------

void ProcessWorker::set_property(const ProcessWorkerSetup::Property& property) {
  MessageFields fields;
  fields.add_text(protocol::kFieldElement, property.element)
      .add_text(protocol::kFieldProperty, property.property)
      .add_text(protocol::kFieldValue, property.value);
  channel_->send(protocol::kMessageSetProperty, fields);
}

void ProcessWorker::set_base_time(MonotonicTime base_time) {
  MessageFields fields;
  fields.add_number(protocol::kFieldTime,
                    static_cast<std::uint64_t>(core::to_ns(base_time)));
  channel_->send(protocol::kMessageClock, fields);
}

bool ProcessWorker::query(bool is_at_output, GstQuery* query,
                          GstCaps* peer_caps, bool is_known) {
  MessageFields fields;
  fields.add_number(protocol::kFieldDirection, is_at_output ? 1 : 0)
      .add_bytes(protocol::kFieldQuery, encode_query(query));
  add_caps(fields, protocol::kFieldCaps, peer_caps);
  const std::optional<IncomingMessage> reply =
      channel_->ask(protocol::kMessageStageQuery, fields,
                    is_known ? kKnownPatience : kQueryPatience);
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
