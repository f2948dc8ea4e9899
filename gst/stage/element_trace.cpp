// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/element_trace.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "stage/frame_stats.h"

namespace dispatch::stage {

namespace {

using core::TraceEvent;
using std::chrono::steady_clock;

// Values of other types are left out: there are none in our messages.
gboolean add_field(GQuark field, const GValue* value,
                   gpointer user_data) noexcept {
  auto& event = *static_cast<TraceEvent*>(user_data);
  const gchar* key = g_quark_to_string(field);
  switch (G_VALUE_TYPE(value)) {
    case G_TYPE_UINT64:
      event.arg(key, std::uint64_t{g_value_get_uint64(value)});
      break;
    case G_TYPE_INT64:
      event.arg(key, std::int64_t{g_value_get_int64(value)});
      break;
    case G_TYPE_UINT:
      event.arg(key, std::uint64_t{g_value_get_uint(value)});
      break;
    case G_TYPE_INT:
      event.arg(key, std::int64_t{g_value_get_int(value)});
      break;
    case G_TYPE_DOUBLE:
      event.arg(key, g_value_get_double(value));
      break;
    case G_TYPE_BOOLEAN:
      event.arg(key, g_value_get_boolean(value) != FALSE);
      break;
    case G_TYPE_STRING:
      if (const gchar* text = g_value_get_string(value)) event.arg(key, text);
      break;
    default:
      if (!GST_VALUE_HOLDS_STRUCTURE(value)) break;
      event.open(key);
      gst_structure_foreach(gst_value_get_structure(value), add_field, &event);
      event.close();
  }
  return TRUE;
}

// The name of the pipeline, or of the outermost bin. (transfer full)
gchar* name_of_pipeline(GstElement* element) {
  auto* top = GST_OBJECT_CAST(gst_object_ref(element));
  while (GstObject* parent = gst_object_get_parent(top)) {
    gst_object_unref(top);
    top = parent;
  }
  gchar* name = gst_object_get_name(top);
  gst_object_unref(top);
  return name;
}

const char* type_of(GstElement* element) {
  GstElementFactory* factory = gst_element_get_factory(element);
  return factory != nullptr ? GST_OBJECT_NAME(factory)
                            : G_OBJECT_TYPE_NAME(element);
}

const char* name_of_program() {
  const gchar* name = g_get_prgname();
  return name != nullptr ? name : "program";
}

}  // namespace

std::shared_ptr<TraceFile> open_trace_for(GstElement* element) {
  std::string problem;
  std::shared_ptr<TraceFile> file = open_trace(problem);
  if (!problem.empty())
    GST_ELEMENT_WARNING(element, RESOURCE, OPEN_WRITE,
                        ("There is no trace: %s.", problem.c_str()),
                        ("GST_TRACERS=\"dispatch(file=...)\" names the file."));
  return file;
}

// ---- Start, stop -----------------------------------------------------------

void ElementTrace::Open::tell(TraceItem item) const {
  item.element = self;
  file->add(std::move(item));
}

void ElementTrace::Open::tell_text(std::string lines) const {
  tell({.element = {}, .what = std::move(lines)});
}

// An event with the name and the fields of `structure`.
void ElementTrace::Open::tell_structure(const char* category,
                                        const GstStructure* structure) const {
  std::string lines;
  {
    TraceEvent event(lines, 'i', category, gst_structure_get_name(structure),
                     self->output(), steady_clock::now());
    gst_structure_foreach(structure, add_field, &event);
  }
  tell_text(std::move(lines));
}

void ElementTrace::start(std::shared_ptr<TraceFile> file) {
  g_autofree gchar* name = gst_object_get_name(GST_OBJECT_CAST(element_));
  auto self = std::make_shared<core::TraceElement>();
  self->name = name;
  self->number = file->next_element();
  self->process = getpid();
  auto open = std::make_shared<const Open>(Open{std::move(file), self});

  g_autofree gchar* pipeline = name_of_pipeline(element_);
  std::string lines;
  core::append_name(lines, "process_name", self->output(), name_of_program());
  core::append_name(lines, "thread_name", self->output(), self->name);
  TraceEvent(lines, 'i', "setup", "element", self->output(),
             steady_clock::now())
      .arg("element", self->name)
      .arg("type", type_of(element_))
      .arg("pipeline", pipeline);
  open->tell_text(std::move(lines));

  const std::lock_guard lock(open_mutex_);
  open_ = std::move(open);
}

std::shared_ptr<TraceFile> ElementTrace::stop(const core::FrameSums& sums) {
  if (!open_) return nullptr;
  GstStructure* account = to_structure(sums, "account");
  gst_structure_set(account, "element", G_TYPE_STRING, self().name.c_str(),
                    nullptr);
  open_->tell_structure("setup", account);
  gst_structure_free(account);
  jobs_.clear();
  named_.clear();
  due_inputs_.reset();
  shown_.reset();
  shown_level_.reset();
  const std::lock_guard lock(open_mutex_);
  return std::exchange(open_, nullptr)->file;
}

// ---- News and settings -----------------------------------------------------

void ElementTrace::on_news(const GstStructure* news) {
  std::shared_ptr<const Open> open;
  {
    const std::lock_guard lock(open_mutex_);
    open = open_;
  }
  if (open) open->tell_structure("decision", news);
}

void ElementTrace::on_due_inputs(const core::DueTimeInputs& inputs) {
  if (!open_ || std::exchange(due_inputs_, inputs) == inputs) return;
  std::string lines;
  {
    TraceEvent event(lines, 'i', "setup", "due-inputs", self().output(),
                     steady_clock::now());
    event.arg("live", inputs.is_live).arg("upstream", inputs.upstream_latency);
    event.arg("budget", inputs.budget);
    if (inputs.total) event.arg("total", *inputs.total);
    event.arg("reserve", inputs.downstream_transit);
  }
  open_->tell_text(std::move(lines));
}

// ---- Counters --------------------------------------------------------------

void ElementTrace::tell_counter(const char* what, const char* key,
                                std::uint64_t value) {
  std::string line;
  TraceEvent(line, 'C', "counter", self().name + " " + what, self().output(),
             steady_clock::now())
      .arg(key, value);
  open_->tell_text(std::move(line));
}

void ElementTrace::tell_workers(const Counts& counts, const char* because) {
  std::string lines;
  const core::MonotonicTime now = steady_clock::now();
  TraceEvent(lines, 'C', "counter", self().name + " workers", self().output(),
             now)
      .arg("active", std::uint64_t{counts.active})
      .arg("parked", std::uint64_t{counts.parked})
      .arg("set-aside", std::uint64_t{counts.set_aside});
  TraceEvent(lines, 'i', "decision", "workers-changed", self().output(), now)
      .arg("workers", std::uint64_t{counts.active})
      .arg("parked", std::uint64_t{counts.parked})
      .arg("set-aside", std::uint64_t{counts.set_aside})
      .arg("workers-because", because);
  open_->tell_text(std::move(lines));
}

void ElementTrace::on_counts(const core::FrameSums& sums,
                             const WorkerRoster& workers, const char* because) {
  if (!open_) return;
  const Counts now{.in_flight = sums.in_flight(),
                   .copies = sums.copies(),
                   .active = workers.active_count(),
                   .parked = workers.parked_count(),
                   .set_aside = workers.set_aside_count()};
  const std::optional<Counts> before = std::exchange(shown_, now);
  if (before == now) return;
  if (!before || before->in_flight != now.in_flight)
    tell_counter("in-flight", "frames", now.in_flight);
  if (!before || before->copies != now.copies)
    tell_counter("copies", "buffers", now.copies);
  if (!before || before->active != now.active || before->parked != now.parked ||
      before->set_aside != now.set_aside)
    tell_workers(now, because);
}

// ---- Jobs and frames -------------------------------------------------------

// When a worker is first seen; a number may come again with another process.
void ElementTrace::name_tracks(const Worker& worker) {
  const unsigned number = worker.number();
  const std::optional<int> process = worker.process();
  if (!named_.insert({number, process.value_or(0)}).second) return;
  const std::string name = self().name + " worker" + std::to_string(number);
  std::string lines;
  core::append_name(lines, "thread_name", self().worker(number), name);
  if (process) {
    const core::TraceTrack stage = self().stage(number, process);
    core::append_name(lines, "process_name", stage, name);
    core::append_name(lines, "thread_name", stage, "stage");
  }
  open_->tell_text(std::move(lines));
}

void ElementTrace::on_taken(const Worker& worker, core::Sequence sequence,
                            unsigned level, core::MonotonicTime now) {
  if (!open_) return;
  name_tracks(worker);
  jobs_[&worker] = {sequence, level, now};
}

void ElementTrace::on_finished(const Worker& worker, const JobResult& result,
                               bool is_late) {
  tell_job(worker,
           {.start = result.start, .end = result.end, .is_late = is_late});
}

void ElementTrace::on_lost(const Worker& worker) {
  tell_job(worker, {.end = steady_clock::now(), .is_lost = true});
}

void ElementTrace::tell_job(const Worker& worker, core::TracedJob job) {
  if (!open_) return;
  const auto taken = jobs_.extract(&worker);
  if (taken.empty()) return;
  job.sequence = taken.mapped().sequence;
  job.level = taken.mapped().level;
  job.worker = worker.number();
  job.process = worker.process();
  job.taken = taken.mapped().taken;
  open_->tell({.element = {}, .what = job});
}

void ElementTrace::on_left(const core::FrameRecord& record,
                           const std::optional<core::LevelVerdict>& verdict,
                           const LevelChooser* chooser) {
  if (!open_) return;
  core::TracedFrame frame{.record = record, .reason = nullptr, .predicted = {}};
  if (chooser != nullptr && record.action != core::Action::kApplied)
    frame.record.level = chooser->levels();
  if (verdict) {
    frame.reason = core::to_string(verdict->reason);
    frame.predicted = verdict->predicted;
  }
  const unsigned level = frame.record.level;
  open_->tell({.element = {}, .what = frame});
  if (chooser != nullptr && std::exchange(shown_level_, level) != level)
    tell_counter("level", "level", level);
}

}  // namespace dispatch::stage
