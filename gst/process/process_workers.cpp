// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/process_workers.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <gst/video/video.h>

#include "os/memory_limit.h"
#include "process/shortage.h"
#include "process/worker_command.h"

GST_DEBUG_CATEGORY_STATIC(process_workers_debug);
#define GST_CAT_DEFAULT process_workers_debug

namespace dispatch::process {

namespace protocol = core::protocol;
using stage::Problem;
using std::chrono::steady_clock;

namespace {

// Loading plugins for the first time takes seconds on a small machine.
constexpr auto kStartPatience = std::chrono::seconds(60);
// When it is known how long one with the same stage took: so many times that.
constexpr int kSlowStart = 10;
constexpr core::Duration kShortestStartPatience = std::chrono::seconds(3);
// An idle worker has nothing to do but to leave.
constexpr auto kEndPatience = std::chrono::seconds(2);
// Without max-bytes: far above what a pipeline needs, below what a machine
// misses.
constexpr std::uint64_t kMostAutomaticBytes = std::uint64_t{4} << 30;
constexpr std::size_t kMaxCapsAnswers = 16;
// Of a make(): nobody is told.
const Problem kInterrupted = {"The start of a worker was interrupted.", ""};
// Between two looks whether anything is under way.
constexpr core::Duration kReturnPatience = std::chrono::milliseconds(5);

void init_debug() {
  static const bool done = [] {
    GST_DEBUG_CATEGORY_INIT(process_workers_debug, "dispatchprocesses", 0,
                            "the worker processes of an element");
    return true;
  }();
  (void)done;
}

std::string mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

std::string text_of(GstCaps* caps) {
  if (caps == nullptr) return "-";
  g_autofree gchar* text = gst_caps_to_string(caps);
  return text;
}

stage::CapsPtr filtered(GstCaps* caps, GstCaps* filter) {
  if (filter == nullptr) return stage::share(caps);
  return stage::CapsPtr(
      gst_caps_intersect_full(filter, caps, GST_CAPS_INTERSECT_FIRST));
}

bool is_shared(const stage::Frame& frame) {
  bool are_shared = true;
  frame.for_each([&](GstBuffer* buffer) {
    are_shared = are_shared && process::is_shared(buffer);
  });
  return are_shared;
}

// Memory that only one process can reach.
const char* unreachable_feature(GstCaps* caps) {
  const GstCapsFeatures* features = gst_caps_get_features(caps, 0);
  for (guint i = 0; i < gst_caps_features_get_size(features); ++i) {
    const gchar* feature = gst_caps_features_get_nth(features, i);
    if (g_str_has_prefix(feature, "memory:") &&
        !g_str_equal(feature, GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY))
      return feature;
  }
  return nullptr;
}

// 0: they may be of any size.
std::uint64_t frame_bytes(GstCaps* caps) {
  GstVideoInfo info;
  return gst_video_info_from_caps(&info, caps) ? info.size : 0;
}

// Of one size, mostly.
bool is_raw(GstCaps* caps) {
  const GstStructure* const format = gst_caps_get_structure(caps, 0);
  return gst_structure_has_name(format, "video/x-raw") ||
         gst_structure_has_name(format, "audio/x-raw");
}

}  // namespace

ProcessWorkers::ProcessWorkers(GstElement* element,
                               stage::StagePrototype& prototype,
                               stage::WorkersHost& host)
    : element_(element), prototype_(prototype), host_(host) {
  init_debug();
}

ProcessWorkers::~ProcessWorkers() { finish_close(); }

ProcessSettings ProcessWorkers::settings() const {
  const std::lock_guard lock(mutex_);
  return settings_;
}

void ProcessWorkers::configure(
    const std::function<void(ProcessSettings&)>& change) {
  const std::lock_guard lock(mutex_);
  change(settings_);
  requires_zero_copy_ = settings_.require_zero_copy;
}

// ---- Life cycle ------------------------------------------------------------

std::optional<Problem> ProcessWorkers::check() {
  const ProcessSettings now = settings();
  const std::uint64_t available = os::available_memory();
  if (now.max_bytes > available)
    return Problem{
        "The property 'max-bytes' is " + mebibytes(now.max_bytes) +
            ", but only " + mebibytes(available) + " can be had.",
        "The machine, or a memory cgroup that this process is in, has no more: "
        "set max-bytes lower, or 0 for what suits."};
  slots_.budget().set_max_bytes(
      now.max_bytes != 0 ? now.max_bytes
                         : std::min(kMostAutomaticBytes, available / 2));
  auto command = worker_command(now.worker_command);
  if (!command)
    return Problem{
        "The worker program cannot be run: " + command.error().text() + ".",
        "See the property 'worker-command'."};
  return std::nullopt;
}

ProcessWorkerSetup ProcessWorkers::make_setup(
    const stage::WorkersPlan& plan, std::vector<std::string> command) {
  const ProcessSettings now = settings();
  ProcessWorkerSetup setup;
  setup.command = std::move(command);
  setup.description = plan.description;
  setup.may_write_inputs = now.allow_in_place;
  setup.spin = core::Duration(static_cast<std::int64_t>(
      std::min<std::uint64_t>(now.spin_ns, G_TIME_SPAN_SECOND * 1000)));
  slots_.set_pages(now.huge_pages ? os::Pages::kHuge : os::Pages::kNormal);
  slots_.set_input_class(now.allow_in_place ? protocol::SlotClass::kInPlace
                                            : protocol::SlotClass::kInput);
  prototype_.attach(this, [this](const std::string& element,
                                 const std::string& property,
                                 const GValue* value) {
    g_autofree gchar* text = gst_value_serialize(value);
    if (text != nullptr) {
      set_on_all({element, property, text});
    } else {
      GST_WARNING_OBJECT(element_, "stage::%s::%s cannot be sent to a process",
                         element.c_str(), property.c_str());
    }
  });
  return setup;
}

// What has been set so far on the stage that there is now: nothing of one that
// it has replaced.
std::vector<ProcessWorkerSetup::Property> ProcessWorkers::set_on_stage() {
  std::vector<ProcessWorkerSetup::Property> properties;
  prototype_.attach(&properties,
                    [&](const std::string& element, const std::string& property,
                        const GValue* value) {
                      g_autofree gchar* text = gst_value_serialize(value);
                      if (text != nullptr)
                        properties.push_back({element, property, text});
                    });
  prototype_.detach(&properties);
  return properties;
}

void ProcessWorkers::set_on_all(const ProcessWorkerSetup::Property& property) {
  std::vector<std::shared_ptr<ProcessWorker>> workers;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(set_, [&](const Set& earlier) {
      return earlier.property.element == property.element &&
             earlier.property.property == property.property;
    });
    set_.push_back({property, ++times_set_});
    answers_.clear();
    workers = workers_;
  }
  for (const auto& worker : workers) worker->set_property(property);
}

// `times_set`: what it has been told of already.
void ProcessWorkers::add(const std::shared_ptr<ProcessWorker>& worker,
                         std::uint64_t times_set) {
  std::vector<ProcessWorkerSetup::Property> missed;
  std::optional<core::MonotonicTime> base_time;
  {
    const std::lock_guard lock(mutex_);
    for (const Set& each : set_)
      if (each.times_set > times_set) missed.push_back(each.property);
    base_time = base_time_;
    workers_.push_back(worker);
  }
  for (const auto& property : missed) worker->set_property(property);
  if (base_time) worker->set_base_time(*base_time);
}

std::optional<Problem> ProcessWorkers::build(stage::ParsedStage,
                                             stage::WorkersPlan plan) {
  // What is set may have changed since READY.
  if (std::optional<Problem> problem = check()) return problem;
  auto command = worker_command(settings().worker_command);
  if (!command)
    return Problem{
        "The worker program cannot be run: " + command.error().text() + ".",
        "See the property 'worker-command'."};
  lacks_memory_ = false;
  auto bell = SharedBell::make("gst-dispatch-bell", /*peers_write=*/true);
  if (!bell)
    return Problem{"There is no shared memory: " + bell.error().text() + ".",
                   way_out_of(bell.error(), plan.count, 0, "")};
  setup_ = make_setup(plan, command.take());
  open(plan, bell.take());
  std::optional<Problem> problem = start_all(plan.count);
  bell_->set_workers(workers(), listener_);
  return problem;
}

void ProcessWorkers::open(const stage::WorkersPlan& plan, SharedBell bell) {
  bell_ = std::make_shared<ReportBell>(std::move(bell), setup_.spin);
  io_ = std::make_unique<IoThread>("shmd:messages");
  negotiation_ = plan.negotiation;
  listener_ = plan.listener;
  const unsigned most = std::max(plan.most, plan.count);
  shared_ = {&host_,    listener_.get(), element_,    &slots_,
             io_.get(), &bell_->bell(),  bell_.get(), &requires_zero_copy_,
             most};
  slots_.budget().expect_workers(most);
  const std::lock_guard lock(mutex_);
  is_open_ = true;
  is_make_interrupted_ = false;
  description_ = plan.description;
  base_time_.reset();
}

// `times_set`: what it is told of.
ProcessWorkers::Started ProcessWorkers::start_one(ProcessWorkerSetup setup,
                                                  std::uint64_t& times_set) {
  {
    const std::lock_guard lock(mutex_);
    times_set = times_set_;
  }
  setup.properties = set_on_stage();
  auto worker = ProcessWorker::start(shared_, setup, negotiation_);
  if (worker) return worker.take();
  return Problem{
      "The worker program cannot be run: " + worker.error().text() + ".",
      way_out_of(worker.error(), shared_.workers, 0,
                 "See the property 'worker-command'.")};
}

std::optional<Problem> ProcessWorkers::start_all(unsigned count) {
  ProcessWorkerSetup each = setup_;
  for (each.number = 0; each.number < count; ++each.number) {
    std::uint64_t times_set = 0;
    Started started = start_one(each, times_set);
    if (auto* problem = std::get_if<Problem>(&started))
      return std::move(*problem);
    add(std::get<WorkerPtr>(started), times_set);
  }
  const core::MonotonicTime begin = steady_clock::now();
  for (const auto& worker : workers())
    if (std::optional<Problem> problem =
            worker->wait_ready(begin + kStartPatience))
      return problem;
  last_start_ = {setup_.description, steady_clock::now() - begin};
  for (const auto& worker : workers())
    if (std::optional<Problem> problem = worker->begin_service())
      return problem;
  return std::nullopt;
}

// ---- One more, one less ----------------------------------------------------

stage::Workers::Made ProcessWorkers::make(const std::string& description,
                                          unsigned number) {
  ProcessWorkerSetup setup = setup_;
  setup.description = description;
  setup.number = number;
  std::uint64_t times_set = 0;
  Started started = start_one(std::move(setup), times_set);
  if (auto* problem = std::get_if<Problem>(&started))
    return std::move(*problem);
  auto worker = std::move(std::get<WorkerPtr>(started));
  std::optional<Problem> problem = wait_for_made(worker);
  if (!problem) problem = worker->begin_service();
  if (problem) {
    worker->let_go(steady_clock::now());
    keep_until_answered(std::move(worker));
    return std::move(*problem);
  }
  add(worker, times_set);
  bell_->set_workers(workers(), listener_);
  return worker;
}

std::optional<Problem> ProcessWorkers::wait_for_made(const WorkerPtr& worker) {
  {
    const std::lock_guard lock(mutex_);
    if (is_make_interrupted_) return kInterrupted;
    making_ = worker;
  }
  const core::MonotonicTime begin = steady_clock::now();
  std::optional<Problem> problem =
      worker->wait_ready(begin + start_patience(worker->description()));
  if (!problem)
    last_start_ = {worker->description(), steady_clock::now() - begin};
  const std::lock_guard lock(mutex_);
  making_.reset();
  return problem;
}

// One that hangs in its start keeps others from being made.
core::Duration ProcessWorkers::start_patience(
    const std::string& description) const {
  if (description != last_start_.description) return kStartPatience;
  return std::clamp<core::Duration>(kSlowStart * last_start_.duration,
                                    kShortestStartPatience, kStartPatience);
}

bool ProcessWorkers::refuse_made(const std::string& worker,
                                 const Problem& problem) {
  const std::lock_guard lock(mutex_);
  if (!making_ || worker != "worker" + std::to_string(making_->number()))
    return false;
  making_->refuse(problem);
  return true;
}

void ProcessWorkers::interrupt_make() {
  const std::lock_guard lock(mutex_);
  is_make_interrupted_ = true;
  if (making_) making_->refuse(kInterrupted);
}

void ProcessWorkers::let_go(stage::Worker& worker) {
  WorkerPtr gone = take_out(worker);
  if (!gone) return;
  bell_->set_workers(workers(), listener_);
  gone->let_go(steady_clock::now() + kEndPatience);
  keep_until_answered(std::move(gone));
}

ProcessWorkers::WorkerPtr ProcessWorkers::take_out(
    const stage::Worker& worker) {
  const std::lock_guard lock(mutex_);
  const auto place =
      std::find_if(workers_.begin(), workers_.end(),
                   [&](const auto& known) { return known.get() == &worker; });
  if (place == workers_.end()) return nullptr;
  WorkerPtr taken = std::move(*place);
  workers_.erase(place);
  return taken;
}

// What it has asked may wait for a frame of another worker.
void ProcessWorkers::keep_until_answered(WorkerPtr worker) {
  std::erase_if(answered_last_,
                [](const auto& each) { return !each->is_answering(); });
  if (worker->is_answering()) answered_last_.push_back(std::move(worker));
}

void ProcessWorkers::lead(stage::Worker& worker) {
  const std::lock_guard lock(mutex_);
  description_ = static_cast<ProcessWorker&>(worker).description();
  answers_.clear();
}

// ---- End -------------------------------------------------------------------

void ProcessWorkers::begin_close() {
  prototype_.detach_all();
  for (const auto& worker : workers()) worker->begin_close();
}

void ProcessWorkers::finish_close() {
  prototype_.detach_all();
  const core::MonotonicTime until = steady_clock::now() + kEndPatience;
  std::vector<std::shared_ptr<ProcessWorker>> workers;
  {
    const std::lock_guard lock(mutex_);
    workers.swap(workers_);
    is_open_ = false;
    set_.clear();
    answers_.clear();
  }
  for (const auto& worker : workers) worker->begin_close();
  for (const auto& worker : workers) worker->finish_close(until);
  for (const auto& worker : answered_last_) worker->close_requests();
  answered_last_.clear();
  slots_.budget().expect_workers(0);
  if (bell_) bell_->set_workers({}, nullptr);
  io_.reset();
  bell_.reset();
  slots_.drop_unused();
}

void ProcessWorkers::play(GstElement* element) {
  const stage::ObjectPtr<GstClock> clock(gst_element_get_clock(element));
  if (!clock) return;
  const auto since_base = GST_CLOCK_DIFF(gst_element_get_base_time(element),
                                         gst_clock_get_time(clock.get()));
  const core::MonotonicTime base =
      steady_clock::now() - core::Duration(since_base);
  std::vector<WorkerPtr> workers;
  {
    const std::lock_guard lock(mutex_);
    base_time_ = base;
    workers = workers_;
  }
  for (const auto& worker : workers) worker->set_base_time(base);
}

// ---- Who there is ----------------------------------------------------------

std::vector<std::shared_ptr<ProcessWorker>> ProcessWorkers::workers() const {
  const std::lock_guard lock(mutex_);
  return workers_;
}

// One with the description that leads; if possible one that can answer at once.
std::shared_ptr<ProcessWorker> ProcessWorkers::front() const {
  const std::lock_guard lock(mutex_);
  WorkerPtr first;
  for (const WorkerPtr& each : workers_) {
    if (each->description() != description_) continue;
    if (each->is_idle()) return each;
    if (!first) first = each;
  }
  return first;
}

bool ProcessWorkers::exist() const {
  const std::lock_guard lock(mutex_);
  return is_open_;
}

unsigned ProcessWorkers::count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<unsigned>(workers_.size());
}

std::vector<std::shared_ptr<stage::Worker>> ProcessWorkers::all() const {
  const std::lock_guard lock(mutex_);
  return {workers_.begin(), workers_.end()};
}

std::shared_ptr<stage::Reports> ProcessWorkers::reports() { return bell_; }

// ---- Memory ----------------------------------------------------------------

std::optional<Problem> ProcessWorkers::on_caps(GstCaps* caps) {
  if (const char* feature = unreachable_feature(caps))
    return Problem{
        std::string("Frames in ") + feature +
            " cannot be reached by another process.",
        "Download them before this element (gldownload, cudadownload, "
        "videoconvert ...), or use workerpool, whose workers are threads."};
  is_reserved_ = !is_raw(caps);
  if (auto expected = slots_.expect_frames(frame_bytes(caps)); !expected)
    return Problem{
        "There is no shared memory for " + expected.error().text() + ".",
        kMoreMemory};
  return std::nullopt;
}

void ProcessWorkers::interrupt(bool on) {
  is_interrupted_ = on;
  slots_.interrupt(on);
}

bool ProcessWorkers::refuse_copy() {
  host_.on_problem(
      {"A frame would have to be copied into shared memory, which "
       "require-zero-copy forbids.",
       "The element before this one does not use the memory that it was "
       "offered. Set require-zero-copy=false to let it be copied, and see "
       "'copies' in the property 'stats'."});
  return false;
}

// Upstream may have asked for no memory, and now copies are needed: of as many
// frames as it would have been offered. Better an error now than in mid-stream.
bool ProcessWorkers::reserve_inputs(const stage::Frame& frame) {
  if (is_reserved_ || frame.is_list()) return true;
  is_reserved_ = true;
  const unsigned frames = negotiation_->depth();
  auto there =
      slots_.reserve_frames(gst_buffer_get_size(frame.first()), frames);
  return there || say_no_frames(there.error(), frames);
}

// Where all slots are taken, those of frames that are under way come back: what
// a stage lets through is copied out of its slot then.
BufferPtr ProcessWorkers::bring_in(GstBuffer* buffer,
                                   std::uint64_t& copied_bytes,
                                   os::Error& why) {
  while (true) {
    const bool had_frames = listener_->has_frames();
    BufferPtr reachable =
        slots_.bring_in(stage::share(buffer), copied_bytes, &why);
    if (reachable || !had_frames || is_interrupted_) return reachable;
    // The output may be busy with downstream.
    if (!bell_->take()) slots_.wait_for_return(kReturnPatience);
  }
}

std::optional<stage::Frame> ProcessWorkers::bring_in(stage::Frame frame,
                                                     Copied& copied) {
  // Upstream goes on when only its query has failed.
  if (lacks_memory_) return std::nullopt;
  if (is_shared(frame)) return frame;
  if (requires_zero_copy_ && !refuse_copy()) return std::nullopt;
  if (!reserve_inputs(frame)) return std::nullopt;
  bool is_complete = true;
  os::Error why;
  frame.map([&](BufferPtr buffer) {
    if (!is_complete) return buffer;
    std::uint64_t bytes = 0;
    BufferPtr reachable = bring_in(buffer.get(), bytes, why);
    if (bytes != 0) ++copied.buffers;
    copied.bytes += bytes;
    is_complete = reachable != nullptr;
    return reachable ? std::move(reachable) : std::move(buffer);
  });
  if (is_complete) return frame;
  if (!is_interrupted_)
    host_.on_problem(
        {"There is no shared memory for a frame: " + why.text() + ".",
         way_out_of(why, shared_.workers, 0, kMoreMemory)});
  return std::nullopt;
}

bool ProcessWorkers::offer_memory(GstQuery* query, unsigned min_buffers) {
  // Upstream's frames lie in results of its own workers.
  if (has_result_slots(query)) return false;
  // What the stage and downstream keep comes on top.
  guint kept = 0;
  if (gst_query_get_n_allocation_pools(query) > 0)
    gst_query_parse_nth_allocation_pool(query, 0, nullptr, nullptr, &kept,
                                        nullptr);
  const unsigned frames = min_buffers + kept;
  auto offered = slots_.offer_pool(query, frames);
  return offered || say_no_frames(offered.error(), frames);
}

bool ProcessWorkers::say_no_frames(const os::Error& why, unsigned frames) {
  lacks_memory_ = true;
  const bool is_huge = settings().huge_pages;
  host_.on_problem(
      {"There is no shared memory for the frames: " + why.text() + ".",
       way_out_of(why, shared_.workers, frames + shared_.workers,
                  is_huge ? "Reserve huge pages (sysctl vm.nr_hugepages), or "
                            "set huge-pages=false."
                          : kMoreMemory)});
  return false;
}

// ---- Questions to the stage ------------------------------------------------

// The elements at the other side of the stage.
bool ProcessWorkers::query_beyond(bool is_at_output, GstQuery* query) const {
  return is_at_output ? negotiation_->query_upstream(query)
                      : negotiation_->query_downstream(query);
}

bool ProcessWorkers::query_caps(ProcessWorker* worker, bool is_at_output,
                                GstQuery* query) const {
  const stage::QueryPtr beyond(gst_query_new_caps(nullptr));
  GstCaps* peer_caps = nullptr;
  if (query_beyond(is_at_output, beyond.get()))
    gst_query_parse_caps_result(beyond.get(), &peer_caps);
  GstCaps* filter = nullptr;
  gst_query_parse_caps(query, &filter);
  const std::string question =
      std::string(is_at_output ? "output " : "input ") + text_of(filter) +
      " / " + text_of(peer_caps);
  std::uint64_t times_set = 0;
  stage::CapsPtr latest;  // at that end, to whatever question
  {
    const std::lock_guard lock(mutex_);
    times_set = times_set_;
    for (const CapsAnswer& known : answers_) {
      if (known.is_at_output == is_at_output)
        latest = stage::share(known.caps.get());
      if (known.question != question) continue;
      gst_query_set_caps_result(query, known.caps.get());
      return true;
    }
  }
  GstCaps* answer = nullptr;
  if (worker != nullptr && worker->query(is_at_output, query, peer_caps,
                                         /*is_known=*/latest != nullptr))
    gst_query_parse_caps_result(query, &answer);
  if (answer == nullptr) {
    // No answer in time: the stage may be busy with a frame, or its process has
    // ended and the next one starts. A program that never says gives what it
    // gets.
    if (!latest)
      latest = peer_caps != nullptr ? stage::share(peer_caps)
                                    : stage::CapsPtr(gst_caps_new_any());
    gst_query_set_caps_result(query, filtered(latest.get(), filter).get());
    return true;
  }
  const std::lock_guard lock(mutex_);
  if (times_set != times_set_) return true;  // true of what was before
  if (answers_.size() >= kMaxCapsAnswers) answers_.erase(answers_.begin());
  answers_.push_back({is_at_output, question, stage::share(answer)});
  return true;
}

bool ProcessWorkers::query_stage(bool is_at_output, GstQuery* query) const {
  if (!exist()) return false;
  const std::shared_ptr<ProcessWorker> worker = front();
  if (GST_QUERY_TYPE(query) == GST_QUERY_CAPS)
    return query_caps(worker.get(), is_at_output, query);
  return (worker && worker->query(is_at_output, query, nullptr)) ||
         query_beyond(is_at_output, query);
}

bool ProcessWorkers::query_input(GstQuery* query) const {
  return query_stage(/*is_at_output=*/false, query);
}

bool ProcessWorkers::query_output(GstQuery* query) const {
  return query_stage(/*is_at_output=*/true, query);
}

bool ProcessWorkers::event_at_output(stage::EventPtr event) const {
  if (!exist()) return false;
  if (const std::shared_ptr<ProcessWorker> worker = front())
    return worker->event_at_output(event.get());
  return negotiation_->event_upstream(std::move(event));
}

}  // namespace dispatch::process
