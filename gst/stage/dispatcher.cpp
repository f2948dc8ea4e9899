// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/dispatcher.h"

#include <utility>

#include "stage/domain.h"

namespace dispatch::stage {

using std::chrono::steady_clock;

Dispatcher::Dispatcher(GstElement* owner, GstPad* src)
    : owner_(owner),
      trace_(owner),
      staffing_(workers_, wakes_, cpu_allowance()),
      line_(owner, time_, workers_, staffing_, wakes_, trace_),
      output_(owner, src, time_, line_, wakes_, trace_) {}

// ---- Settings --------------------------------------------------------------

void Dispatcher::set_late_policy(core::LatePolicy policy) {
  const Section section(wakes_);
  line_.set_late_policy(policy);
  wakes_.wake_output();
}

void Dispatcher::set_due_inputs(const core::DueTimeInputs& inputs) {
  const Section section(wakes_);
  line_.set_due_inputs(inputs);
  wakes_.wake_output();
}

void Dispatcher::set_window(const core::WindowLimits& limits) {
  const Section section(wakes_);
  line_.set_limits(limits);
  wakes_.wake_submitter();
}

void Dispatcher::set_staffing(const StaffingLimits& limits) {
  const Section section(wakes_);
  staffing_.set_limits(limits);
}

void Dispatcher::recompute_waits() {
  const Section section(wakes_);
  wakes_.wake_output();
}

void Dispatcher::set_per_stream(bool is_per_stream) {
  const Section section(wakes_);
  line_.set_per_stream(is_per_stream);
}

bool Dispatcher::is_per_stream() const {
  const Section section(wakes_);
  return line_.is_per_stream();
}

bool Dispatcher::are_due_times_applied() const {
  const Section section(wakes_);
  return !line_.is_per_stream() && core::due_times_apply(line_.due_inputs());
}

void Dispatcher::set_chooser(std::unique_ptr<LevelChooser> chooser,
                             bool is_in_stage) {
  const Section section(wakes_);
  chooser_ = std::move(chooser);
  line_.set_chooser(chooser_.get());
  line_.set_in_stage(is_in_stage);
  output_.set_in_stage(is_in_stage);
}

void Dispatcher::set_reuse(bool reuses) {
  const Section section(wakes_);
  line_.set_reuse(reuses);
}

void Dispatcher::set_tells_levels(bool tells) {
  const Section section(wakes_);
  line_.set_tells_levels(tells);
}

void Dispatcher::set_has_threads(bool has_threads) {
  const Section section(wakes_);
  has_threads_ = has_threads;
  line_.set_rescue(has_threads);
}

void Dispatcher::on_caps(const std::string& text) {
  const Section section(wakes_);
  line_.on_caps(text);
}

core::Duration Dispatcher::on_qos(core::RunningTime r, core::Duration jitter) {
  const Section section(wakes_);
  return line_.on_qos(r, jitter);
}

std::optional<LevelFacts> Dispatcher::levels() const {
  const Section section(wakes_);
  if (!chooser_) return std::nullopt;
  return chooser_->facts();
}

// Without threads: what has come goes through the worker, and what can leave
// leaves, before the caller goes on.
void Dispatcher::settle(Section& section) {
  if (has_threads_) return;
  // The worker gets its job, and runs it, when the lock is let go of.
  section.unlock();
  section.lock();
  output_.run_at_once(section);
}

core::FrameSums Dispatcher::sums() const {
  const Section section(wakes_);
  return line_.sums();
}

core::WindowLimits Dispatcher::window() const {
  const Section section(wakes_);
  return line_.limits();
}

void Dispatcher::count_copies(std::uint64_t buffers, std::uint64_t bytes) {
  const Section section(wakes_);
  line_.count_copies(buffers, bytes);
}

std::shared_ptr<Reports> Dispatcher::reports() const {
  const Section section(wakes_);
  return wakes_.reports();
}

GstFlowReturn Dispatcher::flow() const {
  const Section section(wakes_);
  return line_.flow();
}

// ---- Start, stop, flush ----------------------------------------------------

void Dispatcher::start(const WorkerList& workers,
                       std::shared_ptr<Reports> reports) {
  std::shared_ptr<TraceFile> trace = open_trace_for(owner_);
  const Section section(wakes_);
  if (trace) trace_.start(std::move(trace));
  workers_.set(workers);
  wakes_.set_reports(std::move(reports));
  staffing_.start();
  line_.start();
  output_.start();
  are_orders_over_ = false;
}

void Dispatcher::begin_stop() {
  const Section section(wakes_);
  line_.begin_stop();
}

void Dispatcher::finish_stop() {
  Section section(wakes_);
  line_.finish_stop();
  workers_.clear();
  staffing_.stop();
  wakes_.set_reports(nullptr);
  output_.reset();
  const std::shared_ptr<TraceFile> trace = trace_.stop(line_.sums());
  section.unlock();
  if (trace) trace->flush();
}

void Dispatcher::begin_flush() {
  std::vector<std::shared_ptr<Worker>> workers;
  {
    const Section section(wakes_);
    line_.begin_flush();
    workers = workers_.all();
  }
  for (const auto& worker : workers) worker->flush();
}

void Dispatcher::finish_flush() {
  const Section section(wakes_);
  output_.flush(line_.finish_flush());
}

// ---- In --------------------------------------------------------------------

GstFlowReturn Dispatcher::submit(
    Frame frame, const std::shared_ptr<const StickyState>& sticky) {
  const std::uint64_t bytes = frame.bytes();
  // The output may be busy with downstream while a worker waits for work.
  if (const std::shared_ptr<Reports> found = reports()) found->take();
  Section section(wakes_);
  section.wait_for_room([&] {
    return line_.is_ended() || line_.flow() != GST_FLOW_OK ||
           line_.has_room(bytes);
  });
  if (line_.is_ended()) return GST_FLOW_FLUSHING;
  if (line_.flow() != GST_FLOW_OK) return line_.flow();
  line_.add_frame(std::move(frame), bytes, sticky);
  settle(section);
  return has_threads_ ? GST_FLOW_OK : line_.flow();
}

GstFlowReturn Dispatcher::push_event(
    EventPtr event, const std::shared_ptr<const StickyState>& sticky) {
  Section section(wakes_);
  if (line_.is_ended()) return GST_FLOW_FLUSHING;
  line_.add_event(std::move(event), sticky);
  settle(section);
  return GST_FLOW_OK;
}

bool Dispatcher::answer_serialized(
    GstQuery* query, const std::shared_ptr<const StickyState>& sticky) {
  Section section(wakes_);
  if (line_.is_ended()) return false;
  if (GST_QUERY_TYPE(query) == GST_QUERY_ALLOCATION)
    return ask_stage(section, query, sticky);
  Question question(query);
  line_.add_question(question, sticky);
  settle(section);
  return question.wait(section);
}

bool Dispatcher::ask_stage(Section& section, GstQuery* query,
                           const std::shared_ptr<const StickyState>& sticky) {
  StageQuestion question;
  const core::Sequence sequence =
      line_.add_stage_question(question, query, sticky);
  settle(section);
  // A flush or stop discards the entry, which refuses the question.
  section.wait_for_answer(
      [&] { return question.is_answered() || line_.is_ended(); });
  if (LineEntry* left = line_.find(sequence); left != nullptr)
    left->stage_question = nullptr;
  const QueryPtr answer = question.take_answer();
  if (!answer) return false;
  copy_allocation(answer.get(), query, /*with_pools=*/true);
  return true;
}

// ---- The workers' ----------------------------------------------------------

void Dispatcher::on_finished(Worker& worker, core::Sequence sequence,
                             JobResult& result) {
  const Section section(wakes_);
  line_.on_finished(worker, sequence, result);
}

void Dispatcher::on_lost(Worker& worker, Job job) {
  const Section section(wakes_);
  line_.on_lost(worker, std::move(job));
}

bool Dispatcher::is_interrupting() const {
  const Section section(wakes_);
  return line_.is_ended();
}

bool Dispatcher::has_frames() const {
  const Section section(wakes_);
  return !line_.is_empty();
}

bool Dispatcher::query_downstream(core::Sequence sequence, GstQuery* query,
                                  Outputs& so_far) {
  Section section(wakes_);
  LineEntry* entry = line_.find(sequence);
  if (line_.is_ended() || entry == nullptr || entry->is_done ||
      entry->question != nullptr)
    return false;
  for (MiniObjectPtr& item : so_far) entry->outputs.push_back(std::move(item));
  so_far.clear();
  Question question(query);
  entry->question = &question;
  // An older frame, for which this one waits, must not wait for its caps.
  entry->sticky->epoch()->pass_on();
  wakes_.wake_output();
  settle(section);
  return question.wait(section);
}

// ---- Workers that come and go ----------------------------------------------

bool Dispatcher::on_worker_gone(const Worker& worker) {
  const Section section(wakes_);
  const bool was_useful = workers_.has_finished(worker);
  line_.on_worker_gone(worker);
  workers_.remove(worker);
  staffing_.on_death(was_useful, steady_clock::now());
  return staffing_.is_exhausted();
}

std::optional<Orders> Dispatcher::wait_for_orders() {
  Section section(wakes_);
  while (!are_orders_over_) {
    const core::MonotonicTime now = steady_clock::now();
    line_.review(now);
    Orders orders = staffing_.give_orders(now);
    if (orders.has_any()) return orders;
    section.wait_for_duty(orders.next);
  }
  return std::nullopt;
}

void Dispatcher::end_orders() {
  const Section section(wakes_);
  are_orders_over_ = true;
  wakes_.wake_supervisor();
}

bool Dispatcher::are_orders_over() const {
  const Section section(wakes_);
  return are_orders_over_;
}

void Dispatcher::add_worker(std::shared_ptr<Worker> worker,
                            WorkerRoster::Generation generation) {
  const Section section(wakes_);
  workers_.add(std::move(worker), generation);
  line_.on_worker_added();
}

bool Dispatcher::on_not_made() {
  const Section section(wakes_);
  staffing_.on_death(/*was_useful=*/false, steady_clock::now());
  return staffing_.is_exhausted();
}

void Dispatcher::forget_worker(const Worker& worker) {
  const Section section(wakes_);
  workers_.forget(worker);
}

bool Dispatcher::give_up(GstFlowReturn flow) {
  const Section section(wakes_);
  line_.take_flow(flow);
  return line_.give_up();
}

void Dispatcher::replace_stage(const std::string& description) {
  const Section section(wakes_);
  staffing_.replace_stage(description);
}

WorkerRoster::Generation Dispatcher::offer_workers(const WorkerList& workers) {
  const Section section(wakes_);
  wakes_.wake_supervisor();
  return workers_.offer(workers);
}

bool Dispatcher::begin_generation(WorkerRoster::Generation generation,
                                  bool is_per_stream) {
  const Section section(wakes_);
  return line_.begin_generation(generation, is_per_stream);
}

std::vector<unsigned> Dispatcher::free_numbers(unsigned count) const {
  const Section section(wakes_);
  return workers_.free_numbers(count);
}

Dispatcher::Staff Dispatcher::staff() const {
  const Section section(wakes_);
  return {.active = workers_.active_count(),
          .parked = workers_.parked_count(),
          .set_aside = workers_.set_aside_count(),
          .permitted = staffing_.permitted(),
          .why = staffing_.size().why(),
          .load = staffing_.size().load(),
          .efficient = staffing_.size().efficient(),
          .deaths = staffing_.deaths()};
}

unsigned Dispatcher::permitted_workers() const {
  const Section section(wakes_);
  return staffing_.permitted();
}

unsigned Dispatcher::most_workers() const {
  const Section section(wakes_);
  return staffing_.most();
}

// ---- Out -------------------------------------------------------------------

void Dispatcher::run_output() { output_.run(); }

}  // namespace dispatch::stage
