// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/thread_workers.h"

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

void ThreadWorkers::add(ParsedStage stage, unsigned number,
                        const WorkersPlan& plan) {
  auto copy = std::make_unique<StageCopy>(std::move(stage), number,
                                          plan.negotiation, keeping_);
  GstElement* bin = copy->bin();
  prototype_.attach(setter_for(bin));
  gst_bin_add(GST_BIN(bin_), bin);
  setup_(bin, number);
  auto worker = std::make_shared<ThreadWorker>(std::move(copy), plan.listener);
  const std::lock_guard lock(mutex_);
  workers_.push_back(std::move(worker));
}

std::optional<Problem> ThreadWorkers::build(ParsedStage first,
                                            WorkersPlan plan) {
  {
    const std::lock_guard lock(mutex_);
    keeping_ = std::make_shared<core::OriginalKeeping>();
  }
  add(std::move(first), 0, plan);
  for (unsigned number = 1; number < plan.count; ++number) {
    // It parsed before, and what it needs is there.
    auto next = parse_stage(plan.description);
    add(std::move(std::get<ParsedStage>(next)), number, plan);
  }
  return std::nullopt;
}

void ThreadWorkers::start() {
  for (const auto& worker : workers_) worker->start();
}

void ThreadWorkers::begin_close() {
  for (const auto& worker : workers_) {
    if (worker->finish()) continue;
    GST_INFO_OBJECT(bin_, "worker %u is busy and set aside", worker->number());
    worker->flush();
    gst_bin_remove(GST_BIN(bin_), worker->copy().bin());
  }
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
