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

// Whether `name` is of a copy of worker `number`, whatever its level.
bool is_copy_of(const std::string& name, unsigned number) {
  const std::string full = copy_name(number, 0);
  return name == full || name.rfind(full + "-", 0) == 0;
}

// Asks each level at its pad; the answer is what is common to all of them, and
// for other questions than for caps that of the full stage.
bool ask_levels(const ThreadWorker& worker, GstQuery* query,
                GstPad* (*pad_of)(const StageCopy&)) {
  if (!gst_pad_peer_query(pad_of(worker.full()), query)) return false;
  if (GST_QUERY_TYPE(query) != GST_QUERY_CAPS) return true;
  for (const auto& copy : worker.copies()) {
    if (copy.get() == &worker.full()) continue;
    const QueryPtr other(gst_query_copy(query));
    if (!gst_pad_peer_query(pad_of(*copy), other.get())) return false;
    GstCaps* ours = nullptr;
    GstCaps* theirs = nullptr;
    gst_query_parse_caps_result(query, &ours);
    gst_query_parse_caps_result(other.get(), &theirs);
    const CapsPtr common(
        gst_caps_intersect_full(ours, theirs, GST_CAPS_INTERSECT_FIRST));
    // Caps that not all levels take are refused when they come, with the level.
    if (!gst_caps_is_empty(common.get()))
      gst_query_set_caps_result(query, common.get());
  }
  return true;
}

std::string to_text(GstCaps* caps) {
  g_autofree gchar* text = gst_caps_to_string(caps);
  return text;
}

// Frames of one stream get one level or another: what leaves must have the same
// caps whichever it was. `input`: the caps of what comes.
std::variant<CapsPtr, Problem> agree_on_output(const ThreadWorker& worker,
                                               GstCaps* input) {
  CapsPtr common;
  for (unsigned level = 0; level < worker.copies().size(); ++level) {
    StageCopy& copy = *worker.copies()[level];
    const std::string name = "Level " + std::to_string(level);
    const CapsPtr possible = copy.possible_output(input);
    if (gst_caps_is_empty(possible.get()))
      return Problem{name + " does not take " + to_text(input) + ".",
                     "Every level has to take what comes: convert in front of "
                     "it, in level" +
                         std::to_string(level) + "::stage."};
    const CapsPtr before = std::move(common);
    common = before
                 ? CapsPtr(gst_caps_intersect_full(before.get(), possible.get(),
                                                   GST_CAPS_INTERSECT_FIRST))
                 : share(possible.get());
    if (gst_caps_is_empty(common.get()))
      return Problem{name + " gives " + to_text(possible.get()) +
                         " where the levels before it give " +
                         to_text(before.get()) + ".",
                     "All levels have to give the same caps: end each of them "
                     "with a converter and the caps that you want."};
  }
  return common;
}

}  // namespace

ThreadWorkers::ThreadWorkers(GstElement* bin, Ladder& ladder, SetupFn setup)
    : bin_(bin), ladder_(ladder), setup_(std::move(setup)) {}

std::unique_ptr<StageCopy> ThreadWorkers::new_copy(ParsedStage stage,
                                                   unsigned number,
                                                   unsigned level) {
  BuiltLevel& built = levels_.at(level);
  auto copy = std::make_unique<StageCopy>(std::move(stage), number, level,
                                          negotiation_, built.keeping);
  GstElement* bin = copy->bin();
  built.level->prototype().attach(bin, setter_for(bin));
  gst_bin_add(GST_BIN(bin_), bin);
  setup_(bin, number, level);
  return copy;
}

ThreadWorkers::Built ThreadWorkers::add(ParsedStage full, unsigned number) {
  std::vector<ParsedStage> stages;
  stages.push_back(std::move(full));
  for (unsigned level = 1; level < levels_.size(); ++level) {
    const std::string& text = levels_[level].description;
    auto parsed = parse_stage(text);
    if (auto* error = std::get_if<StageError>(&parsed))
      return Problem{
          "Level " + std::to_string(level) + ": " + error->message,
          "level" + std::to_string(level) + "::stage=\"" + text + "\""};
    stages.push_back(std::move(std::get<ParsedStage>(parsed)));
  }
  ThreadWorker::Copies copies;
  for (unsigned level = 0; level < stages.size(); ++level)
    copies.push_back(new_copy(std::move(stages[level]), number, level));
  auto worker = std::make_shared<ThreadWorker>(std::move(copies), listener_);
  const std::lock_guard lock(mutex_);
  workers_.push_back(worker);
  return worker;
}

std::optional<Problem> ThreadWorkers::build(ParsedStage first,
                                            WorkersPlan plan) {
  levels_.clear();
  for (const auto& level : ladder_.levels())
    levels_.push_back({level, level->prototype().description(),
                       std::make_shared<core::OriginalKeeping>()});
  negotiation_ = plan.negotiation;
  listener_ = plan.listener;
  Built built = add(std::move(first), 0);
  for (unsigned number = 1;
       number < plan.count && !std::holds_alternative<Problem>(built);
       ++number) {
    // It parsed before, and what it needs is there.
    auto next = parse_stage(plan.description);
    built = add(std::move(std::get<ParsedStage>(next)), number);
  }
  auto* problem = std::get_if<Problem>(&built);
  return problem != nullptr ? std::optional(std::move(*problem)) : std::nullopt;
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
    making_ = number;
    refusal_.reset();
  }
  Built built = add(std::move(std::get<ParsedStage>(parsed)), number);
  auto* worker = std::get_if<std::shared_ptr<ThreadWorker>>(&built);
  const bool is_started = worker != nullptr && start_made(**worker);
  std::optional<Problem> refusal;
  {
    const std::lock_guard lock(mutex_);
    making_.reset();
    refusal = std::exchange(refusal_, std::nullopt);
  }
  if (worker == nullptr) return std::get<Problem>(built);
  if (is_started && !refusal) return *worker;
  let_go(**worker);
  return refusal.value_or(
      Problem{copy_name(number, 0) + " does not start.",
              "An element of the stage refuses to change state, or there is no "
              "thread to be had."});
}

bool ThreadWorkers::start_made(ThreadWorker& worker) {
  for (const auto& copy : worker.copies())
    if (!gst_element_sync_state_with_parent(copy->bin())) return false;
  return worker.start();
}

bool ThreadWorkers::refuse_made(const std::string& worker,
                                const Problem& problem) {
  const std::lock_guard lock(mutex_);
  if (!making_ || !is_copy_of(worker, *making_)) return false;
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
  detach(*gone);
  take_out(*gone);
}

void ThreadWorkers::detach(ThreadWorker& worker) {
  for (unsigned level = 0; level < levels_.size(); ++level)
    levels_[level].level->prototype().detach(worker.copies()[level]->bin());
}

// Out of the element; a busy one takes itself down when it comes back.
void ThreadWorkers::take_out(ThreadWorker& worker) {
  for (const auto& copy : worker.copies())
    gst_element_set_locked_state(copy->bin(), TRUE);
  if (finish(worker))
    for (const auto& copy : worker.copies())
      gst_element_set_state(copy->bin(), GST_STATE_NULL);
  remove_copies(worker);
}

void ThreadWorkers::remove_copies(ThreadWorker& worker) {
  for (const auto& copy : worker.copies())
    if (GST_OBJECT_PARENT(copy->bin()) == GST_OBJECT_CAST(bin_))
      gst_bin_remove(GST_BIN(bin_), copy->bin());
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
    if (!finish(*worker)) remove_copies(*worker);
}

void ThreadWorkers::finish_close() {
  std::vector<std::shared_ptr<ThreadWorker>> workers;
  {
    const std::lock_guard lock(mutex_);
    workers.swap(workers_);
  }
  for (const BuiltLevel& built : levels_) built.level->prototype().detach_all();
  for (const auto& worker : workers) {
    for (const auto& copy : worker->copies())
      if (GST_OBJECT_PARENT(copy->bin()) == GST_OBJECT_CAST(bin_))
        gst_element_set_state(copy->bin(), GST_STATE_NULL);
    remove_copies(*worker);
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

std::optional<Problem> ThreadWorkers::on_caps(GstCaps* caps) {
  const std::shared_ptr<ThreadWorker> worker = front();
  if (!worker || levels_.size() == 1) return std::nullopt;
  auto agreed = agree_on_output(*worker, caps);
  if (auto* problem = std::get_if<Problem>(&agreed)) return std::move(*problem);
  return std::nullopt;
}

CapsPtr ThreadWorkers::common_output(GstCaps* input) {
  const std::shared_ptr<ThreadWorker> worker = front();
  if (!worker || levels_.size() == 1 || input == nullptr) return nullptr;
  auto agreed = agree_on_output(*worker, input);
  auto* common = std::get_if<CapsPtr>(&agreed);
  return common != nullptr ? std::move(*common) : nullptr;
}

void ThreadWorkers::relearn() {
  for (const BuiltLevel& built : levels_) built.keeping->reset();
}

// Held while it is used: the element may stop meanwhile.
std::shared_ptr<ThreadWorker> ThreadWorkers::front() const {
  const std::lock_guard lock(mutex_);
  return workers_.empty() ? nullptr : workers_.front();
}

// What all levels can take or give.
bool ThreadWorkers::query_input(GstQuery* query) const {
  const std::shared_ptr<ThreadWorker> worker = front();
  return worker && ask_levels(*worker, query, [](const StageCopy& copy) {
           return copy.feeder();
         });
}

bool ThreadWorkers::query_output(GstQuery* query) const {
  const std::shared_ptr<ThreadWorker> worker = front();
  return worker && ask_levels(*worker, query, [](const StageCopy& copy) {
           return copy.collector();
         });
}

bool ThreadWorkers::event_at_output(EventPtr event) const {
  const std::shared_ptr<ThreadWorker> worker = front();
  return worker &&
         gst_pad_push_event(worker->full().collector(), event.release());
}

}  // namespace dispatch::stage
