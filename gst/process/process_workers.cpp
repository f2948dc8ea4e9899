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
// An idle worker has nothing to do but to leave.
constexpr auto kEndPatience = std::chrono::seconds(2);
// Without max-bytes: far above what a pipeline needs, below what a machine
// misses.
constexpr std::uint64_t kMostAutomaticBytes = std::uint64_t{4} << 30;
constexpr std::size_t kMaxCapsAnswers = 16;
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
  // What has been set already is called back at once.
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

void ProcessWorkers::set_on_all(const ProcessWorkerSetup::Property& property) {
  std::vector<std::shared_ptr<ProcessWorker>> workers;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(properties_, [&](const auto& earlier) {
      return earlier.element == property.element &&
             earlier.property == property.property;
    });
    properties_.push_back(property);
    ++times_set_;
    answers_.clear();
    workers = workers_;
  }
  for (const auto& worker : workers) worker->set_property(property);
}

// `times_set`: what it has been told of already.
void ProcessWorkers::add(const std::shared_ptr<ProcessWorker>& worker,
                         std::uint64_t times_set) {
  std::vector<ProcessWorkerSetup::Property> missed;
  {
    const std::lock_guard lock(mutex_);
    if (times_set_ != times_set) missed = properties_;
    workers_.push_back(worker);
  }
  for (const auto& property : missed) worker->set_property(property);
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
  const ProcessWorkerSetup setup = make_setup(plan, command.take());
  bell_ = std::make_shared<ReportBell>(bell.take(), setup.spin);
  io_ = std::make_unique<IoThread>("shmd:messages");
  negotiation_ = plan.negotiation;
  listener_ = plan.listener;
  std::optional<Problem> problem = start_all(plan, setup);
  bell_->set_workers(workers(), plan.listener);
  return problem;
}

std::optional<Problem> ProcessWorkers::start_all(
    const stage::WorkersPlan& plan, const ProcessWorkerSetup& setup) {
  const ProcessHost host{&host_,
                         element_,
                         &slots_,
                         io_.get(),
                         &bell_->bell(),
                         bell_.get(),
                         &requires_zero_copy_,
                         plan.count};
  ProcessWorkerSetup each = setup;
  for (each.number = 0; each.number < plan.count; ++each.number) {
    std::uint64_t times_set = 0;
    {
      const std::lock_guard lock(mutex_);
      each.properties = properties_;
      times_set = times_set_;
    }
    auto worker = ProcessWorker::start(host, each, plan.negotiation);
    if (!worker)
      return Problem{
          "The worker program cannot be run: " + worker.error().text() + ".",
          way_out_of(worker.error(), plan.count, 0,
                     "See the property 'worker-command'.")};
    add(worker.take(), times_set);
  }
  const core::MonotonicTime until = steady_clock::now() + kStartPatience;
  for (const auto& worker : workers())
    if (std::optional<Problem> problem = worker->wait_ready(until))
      return problem;
  return std::nullopt;
}

stage::Workers::Made ProcessWorkers::make(const std::string&, unsigned) {
  return Problem{"", ""};
}

void ProcessWorkers::let_go(stage::Worker&) {}

void ProcessWorkers::lead(stage::Worker&) {}

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
    properties_.clear();
    answers_.clear();
  }
  for (const auto& worker : workers) worker->begin_close();
  for (const auto& worker : workers) worker->finish_close(until);
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
  for (const auto& worker : workers()) worker->set_base_time(base);
}

// ---- Who there is ----------------------------------------------------------

std::vector<std::shared_ptr<ProcessWorker>> ProcessWorkers::workers() const {
  const std::lock_guard lock(mutex_);
  return workers_;
}

std::shared_ptr<ProcessWorker> ProcessWorkers::front() const {
  const std::lock_guard lock(mutex_);
  return workers_.empty() ? nullptr : workers_.front();
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
         way_out_of(why, count(), 0, kMoreMemory)});
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
       way_out_of(why, count(), frames + count(),
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

bool ProcessWorkers::query_caps(ProcessWorker& worker, bool is_at_output,
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
  if (worker.query(is_at_output, query, peer_caps))
    gst_query_parse_caps_result(query, &answer);
  if (answer == nullptr) {
    // No answer in time: the stage may be busy with a frame. A program that
    // never says gives what it gets.
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
  const std::shared_ptr<ProcessWorker> worker = front();
  if (!worker) return false;
  if (GST_QUERY_TYPE(query) == GST_QUERY_CAPS)
    return query_caps(*worker, is_at_output, query);
  return worker->query(is_at_output, query, nullptr) ||
         query_beyond(is_at_output, query);
}

bool ProcessWorkers::query_input(GstQuery* query) const {
  return query_stage(/*is_at_output=*/false, query);
}

bool ProcessWorkers::query_output(GstQuery* query) const {
  return query_stage(/*is_at_output=*/true, query);
}

bool ProcessWorkers::event_at_output(stage::EventPtr event) const {
  const std::shared_ptr<ProcessWorker> worker = front();
  return worker && worker->event_at_output(event.get());
}

}  // namespace dispatch::process
