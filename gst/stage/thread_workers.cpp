// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/thread_workers.h"

#include <algorithm>
#include <utility>

GST_DEBUG_CATEGORY_EXTERN(stage_element_debug);
#define GST_CAT_DEFAULT stage_element_debug

namespace dispatch::stage {

namespace {

// Sets properties of elements of a copy.
StagePrototype::SetFn setter_for(GstElement* copy) {
  return [copy = std::shared_ptr<GstElement>(share_object(copy).release(),
                                             gst_object_unref)](
             const std::string& element, const std::string& property,
             const GValue* value) {
    const ElementPtr to(
        gst_bin_get_by_name(GST_BIN(copy.get()), element.c_str()));
    if (to) g_object_set_property(G_OBJECT(to.get()), property.c_str(), value);
  };
}

}  // namespace

ThreadWorkers::ThreadWorkers(GstElement* bin, StagePrototype& prototype,
                             SetupFn setup)
    : bin_(bin), prototype_(prototype), setup_(std::move(setup)) {}

std::shared_ptr<ThreadWorker> ThreadWorkers::add(ParsedStage stage,
                                                 unsigned number) {
  auto copy = std::make_unique<StageCopy>(std::move(stage), number,
                                          negotiation_, keeping_);
  GstElement* bin = copy->bin();
  prototype_.attach(bin, setter_for(bin));
  gst_bin_add(GST_BIN(bin_), bin);
  setup_(bin, number);
  auto worker = std::make_shared<ThreadWorker>(std::move(copy), listener_);
  const std::lock_guard lock(mutex_);
  workers_.push_back(worker);
  return worker;
}

std::optional<Problem> ThreadWorkers::build(ParsedStage first,
                                            WorkersPlan plan) {
  {
    const std::lock_guard lock(mutex_);
    keeping_ = std::make_shared<core::OriginalKeeping>();
  }
  negotiation_ = plan.negotiation;
  listener_ = plan.listener;
  add(std::move(first), 0);
  for (unsigned number = 1; number < plan.count; ++number) {
    // It parsed before, and what it needs is there.
    auto next = parse_stage(plan.description);
    add(std::move(std::get<ParsedStage>(next)), number);
  }
  return std::nullopt;
}

void ThreadWorkers::start() {
  for (const auto& worker : workers_) worker->start();
}

// ---- One more, one less ----------------------------------------------------

Workers::Made ThreadWorkers::make(const std::string& description,
                                  unsigned number) {
  auto parsed = parse_stage(description);
  if (auto* error = std::get_if<StageError>(&parsed))
    return Problem{error->message, "stage=\"" + description + "\""};
  {
    const std::lock_guard lock(mutex_);
    making_ = "worker" + std::to_string(number);
    refusal_.reset();
  }
  const std::shared_ptr<ThreadWorker> worker =
      add(std::move(std::get<ParsedStage>(parsed)), number);
  const bool is_started = start_made(*worker);
  std::optional<Problem> refusal;
  {
    const std::lock_guard lock(mutex_);
    making_.clear();
    refusal = std::exchange(refusal_, std::nullopt);
  }
  if (is_started && !refusal) return worker;
  let_go(*worker);
  return refusal.value_or(
      Problem{"worker" + std::to_string(number) + " does not start.",
              "An element of the stage refuses to change state, or there is no "
              "thread to be had."});
}

bool ThreadWorkers::start_made(ThreadWorker& worker) {
  return gst_element_sync_state_with_parent(worker.copy().bin()) &&
         worker.start();
}

bool ThreadWorkers::refuse_made(const std::string& worker,
                                const Problem& problem) {
  const std::lock_guard lock(mutex_);
  if (making_.empty() || worker != making_) return false;
  if (!refusal_) refusal_ = problem;
  return true;
}

void ThreadWorkers::let_go(Worker& worker) {
  std::shared_ptr<ThreadWorker> gone;
  {
    const std::lock_guard lock(mutex_);
    const auto place =
        std::find_if(workers_.begin(), workers_.end(),
                     [&](const auto& known) { return known.get() == &worker; });
    if (place == workers_.end()) return;
    gone = std::move(*place);
    workers_.erase(place);
  }
  prototype_.detach(gone->copy().bin());
  take_out(*gone);
}

// Out of the element; a busy one takes itself down when it comes back.
void ThreadWorkers::take_out(ThreadWorker& worker) {
  GstElement* bin = worker.copy().bin();
  gst_element_set_locked_state(bin, TRUE);
  if (finish(worker)) gst_element_set_state(bin, GST_STATE_NULL);
  gst_bin_remove(GST_BIN(bin_), bin);
}

// False: it is busy, and on its own from now on.
bool ThreadWorkers::finish(ThreadWorker& worker) {
  if (worker.finish()) return true;
  GST_INFO_OBJECT(bin_, "worker %u is busy and set aside", worker.number());
  worker.flush();
  return false;
}

void ThreadWorkers::lead(Worker& worker) {
  const std::lock_guard lock(mutex_);
  const auto place =
      std::find_if(workers_.begin(), workers_.end(),
                   [&](const auto& known) { return known.get() == &worker; });
  if (place != workers_.end())
    std::rotate(workers_.begin(), place, std::next(place));
}

// ---- End -------------------------------------------------------------------

void ThreadWorkers::begin_close() {
  for (const auto& worker : workers_)
    if (!finish(*worker)) gst_bin_remove(GST_BIN(bin_), worker->copy().bin());
}

void ThreadWorkers::finish_close() {
  std::vector<std::shared_ptr<ThreadWorker>> workers;
  {
    const std::lock_guard lock(mutex_);
    workers.swap(workers_);
  }
  prototype_.detach_all();
  for (const auto& worker : workers) {
    GstElement* bin = worker->copy().bin();
    if (GST_OBJECT_PARENT(bin) != GST_OBJECT_CAST(bin_)) continue;
    gst_element_set_state(bin, GST_STATE_NULL);
    gst_bin_remove(GST_BIN(bin_), bin);
  }
}

unsigned ThreadWorkers::count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<unsigned>(workers_.size());
}

std::vector<std::shared_ptr<Worker>> ThreadWorkers::all() const {
  const std::lock_guard lock(mutex_);
  return {workers_.begin(), workers_.end()};
}

std::optional<Problem> ThreadWorkers::on_caps(GstCaps*) { return std::nullopt; }

void ThreadWorkers::relearn() {
  const std::lock_guard lock(mutex_);
  if (keeping_) keeping_->reset();
}

// Held while it is used: the element may stop meanwhile.
std::shared_ptr<ThreadWorker> ThreadWorkers::front() const {
  const std::lock_guard lock(mutex_);
  return workers_.empty() ? nullptr : workers_.front();
}

bool ThreadWorkers::query_input(GstQuery* query) const {
  const std::shared_ptr<ThreadWorker> worker = front();
  return worker && gst_pad_peer_query(worker->copy().feeder(), query);
}

bool ThreadWorkers::query_output(GstQuery* query) const {
  const std::shared_ptr<ThreadWorker> worker = front();
  return worker && gst_pad_peer_query(worker->copy().collector(), query);
}

bool ThreadWorkers::event_at_output(EventPtr event) const {
  const std::shared_ptr<ThreadWorker> worker = front();
  return worker &&
         gst_pad_push_event(worker->copy().collector(), event.release());
}

}  // namespace dispatch::stage
