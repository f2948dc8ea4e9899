// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An element that runs a stage: what the GObject shells have in common.
//
// For: wiring one sink pad, one src pad and a set of workers to the dispatcher:
// which event, query, message and state change means what. Not for: deciding
// (gst/core), order (dispatcher), GObject (the shells in plugins/).
//
// Thread: said at each group. Lock order: the state lock of the element, the
// stream lock of a pad, then mutex_. mutex_ guards the settings; it is never
// held while calling anything.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "stage/dispatcher.h"
#include "stage/domain.h"
#include "stage/field_pairing.h"
#include "stage/ladder.h"
#include "stage/latency_account.h"
#include "stage/level_setup.h"
#include "stage/staff_messages.h"
#include "stage/supervisor.h"
#include "stage/workers.h"

namespace dispatch::stage {

class StageElement final : private WorkersHost, private Supervisor::Host {
 public:
  static constexpr guint64 kAutomaticBudget = G_MAXUINT64;
  static constexpr gint kAutomaticSpares = -1;

  // The properties, as the user set them.
  struct Settings {
    core::StageState stage_state = core::StageState::kAuto;
    guint min_workers = 1;
    guint max_workers = 0;  // 0: from the CPU allowance
    gint spare_workers = kAutomaticSpares;
    guint64 stall_timeout = 0;  // ns; 0: automatic
    guint restart_limit = core::RestartPolicy::kDefaultLimit;
    OnExhausted on_exhausted = OnExhausted::kError;
    guint64 latency_budget = kAutomaticBudget;  // ns
    core::LatePolicy late_policy = core::LatePolicy::kBypass;
    core::Deadlines deadlines = core::Deadlines::kAuto;
    guint max_buffers = 0;  // 0: automatic
    guint64 max_bytes = 0;  // 0: automatic
    LevelSettings levels;   // of an element that chooses levels
  };

  // `element` (transfer none) owns this; `sink` and `src` (transfer none) are
  // its pads. `make_workers` is called once, at once. `chooses_levels`: frames
  // may get a cheaper level of the ladder, or none; and there are no threads
  // until a frame may have to be rescued from one.
  using MakeWorkers =
      std::function<std::unique_ptr<Workers>(Ladder&, WorkersHost&)>;
  StageElement(GstElement* element, GstPad* sink, GstPad* src,
               const MakeWorkers& make_workers, bool chooses_levels = false);

  // Any thread.
  Settings settings() const;
  // May change at any time; what takes effect when is the property's business.
  void configure(const std::function<void(Settings&)>& change);
  Ladder& ladder() { return ladder_; }
  // Of the full stage.
  StagePrototype& prototype() { return ladder_.full().prototype(); }
  // Replaces the stage: at a frame boundary if it runs, once the workers of the
  // new one are there.
  void set_stage(const std::string& description);
  // Named `name`. (transfer full)
  GstStructure* stats(const char* name) const;
  // Of the frame that left last; as many as there are levels: it got none.
  guint current_level() const;

  // State changes; on their thread.
  bool check();
  void join_domain() { member_.join(); }
  void leave_domain() { member_.leave(); }
  void on_context(GstContext* context) { member_.on_context(context); }
  bool open();
  GstStateChangeReturn finish_open(GstStateChangeReturn result);
  void play();
  void pause();
  void begin_close();
  void finish_close();
  // Activation of the src pad.
  bool start_output();
  bool stop_output();

  // The sink pad's streaming thread.
  GstFlowReturn chain(BufferPtr buffer);
  GstFlowReturn chain_list(GstBufferList* list);  // (transfer full)
  // FLUSHING while it stops, which is no error for upstream.
  GstFlowReturn serialized_event(EventPtr event);
  void flush_stop(EventPtr event);

  // Any thread.
  void flush_start(EventPtr event);
  bool upstream_event(EventPtr event);
  bool sink_query(GstQuery* query);
  bool src_query(GstQuery* query);
  // A message of a copy: whether it ends here. (transfer none)
  bool on_message(GstMessage* message);

 private:
  void on_problem(const Problem& problem) override;
  void on_worker_lost(Worker& worker, const Loss& loss) override;
  void on_stage_error(const std::string& worker, const std::string& source,
                      const GError* error, const char* debug) override;
  void on_stage_thread(const std::string& worker,
                       const std::string& element) override;
  void on_news(const StaffingNews& news) override;
  void on_made(const Worker& worker) override;
  void on_not_made(const Problem& problem, bool is_exhausted) override;
  std::optional<Problem> check_stage(const std::string& description) override;
  void on_stage_made(const std::string& description,
                     WorkerRoster::Generation generation,
                     std::shared_ptr<Worker> first) override;
  void on_stage_not_made(const std::string& description,
                         const Problem& problem) override;
  void on_exhausted(const Problem& problem);
  void adopt_stage();
  Settings settings_in_force() const;
  bool fail(const std::string& message, const std::string& debug);
  Problem several_workers(const Settings& settings, const std::string& reason);
  bool check_stage_state(const Settings& settings,
                         const std::vector<core::ElementFacts>& facts);
  core::StageStateVerdict recognise(
      const Settings& settings,
      const std::vector<core::ElementFacts>& facts) const;
  void apply_staffing();
  std::optional<Problem> check_level(const std::string& name,
                                     const std::string& description,
                                     const Settings& settings) const;
  bool check_ladder(const Settings& settings);
  bool build_workers(const Settings& settings);
  void choose_shape(const Settings& settings);
  bool wants_threads() const;
  void start_threads();
  void begin_threads();
  void apply_settings();
  void apply_timing();
  void apply_window();
  void refresh_budget();
  bool on_caps(GstCaps* caps);
  void open_epoch(GstCaps* caps);
  GstFlowReturn submit(Frame frame);
  GstFlowReturn submit_waiting_field();
  void learn_transit(GstEvent* event);
  bool serialized_query(GstQuery* query);
  bool latency_query(GstQuery* query);
  void post_copy_error(GstMessage* message);
  void post_latency();

  GstElement* const element_;
  const bool chooses_levels_;
  GstPad* const sink_;
  GstPad* const src_;
  DomainMember member_;
  LatencyAccount account_;
  Ladder ladder_;
  const std::unique_ptr<Workers> workers_;
  // Shared with workers that are set aside and may outlive the element.
  const std::shared_ptr<Negotiation> negotiation_;
  const std::shared_ptr<Dispatcher> dispatcher_;
  StaffMessages messages_;
  Supervisor supervisor_;

  mutable std::mutex mutex_;
  Settings settings_;           // under mutex_
  Settings opened_with_;        // under mutex_
  std::string thread_culprit_;  // under mutex_
  // A stage that waits to take over.
  struct Offer {
    WorkerRoster::Generation generation = 0;
    std::shared_ptr<Worker> first;
    bool is_per_stream = false;
  };
  std::optional<Offer> offer_;  // under mutex_

  // The streaming thread starts the others; closing waits for it.
  std::condition_variable threads_begun_;
  bool is_beginning_threads_ = false;  // under mutex_
  bool is_closing_ = false;            // under mutex_

  bool is_checked_per_stream_ = false;  // of the supervisor's thread

  std::atomic<bool> has_posted_error_{false};
  std::atomic<bool> needs_reconfigure_{false};
  std::atomic<bool> is_started_{false};
  std::atomic<bool> has_offer_{false};
  std::atomic<bool> has_threads_{true};
  std::atomic<bool> is_in_stage_{false};  // the element is part of one
  // From the elements of the stage. Changes between two frames, or stopped.
  std::atomic<bool> is_recognised_per_stream_{false};

  // Of the sink pad's streaming thread:
  std::shared_ptr<const StickyState> sticky_;
  FieldPairing fields_;
  bool is_per_stream_ = false;
  bool is_media_per_stream_ = false;  // from the input caps
  bool stands_alone_ = false;         // each frame of the input caps does
};

}  // namespace dispatch::stage
