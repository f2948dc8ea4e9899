// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/wakes.h"

#include <utility>

namespace dispatch::stage {

namespace {

// Rings when `wait` (transfer none) ends.
void ring_at(GstClockID wait, const std::shared_ptr<Reports>& reports) {
  gst_clock_id_wait_async(
      wait,
      [](GstClock*, GstClockTime, GstClockID, gpointer user_data) -> gboolean {
        (*static_cast<std::shared_ptr<Reports>*>(user_data))->ring();
        return TRUE;
      },
      new std::shared_ptr<Reports>(reports),
      [](gpointer user_data) {
        delete static_cast<std::shared_ptr<Reports>*>(user_data);
      });
}

}  // namespace

void Wakes::wake_output() {
  pending_.output = pending_.output || is_output_waiting_;
  if (output_wait_)
    pending_.output_wait.reset(gst_clock_id_ref(output_wait_.get()));
}

void Section::unlock() {
  Wakes::Pending pending = std::exchange(wakes_.pending_, {});
  const std::shared_ptr<Reports> reports =
      pending.output ? wakes_.reports_ : nullptr;
  lock_.unlock();
  for (Wakes::Handed& handed : pending.jobs)
    handed.worker->submit(std::move(handed.job));
  if (reports) {
    reports->ring();
  } else if (pending.output) {
    wakes_.head_.notify_one();
  }
  if (pending.output_wait) gst_clock_id_unschedule(pending.output_wait.get());
  if (pending.submitter) wakes_.room_.notify_all();
  if (pending.questioners) wakes_.answered_.notify_all();
  if (pending.supervisor) wakes_.duty_.notify_all();
}

void Section::wait(std::condition_variable& condition) {
  if (!wakes_.pending_.has_any()) {
    condition.wait(lock_);
    return;
  }
  // What is to be woken must not wait for this wait to end.
  unlock();
  lock();
}

void Section::wait_for_duty(std::optional<core::MonotonicTime> until) {
  if (!until || wakes_.pending_.has_any())
    wait(wakes_.duty_);
  else
    wakes_.duty_.wait_until(lock_, *until);
}

void Section::sleep() {
  wakes_.is_output_waiting_ = true;
  wait(wakes_.head_);
  wakes_.is_output_waiting_ = false;
}

bool Section::sleep_for(core::Duration longest) {
  if (wakes_.pending_.has_any()) {
    sleep();
    return true;
  }
  wakes_.is_output_waiting_ = true;
  const std::cv_status status = wakes_.head_.wait_for(lock_, longest);
  wakes_.is_output_waiting_ = false;
  return status == std::cv_status::no_timeout;
}

void Section::sleep_on_clock(GstClockID wait) {
  wakes_.output_wait_.reset(gst_clock_id_ref(wait));
  unlock();
  gst_clock_id_wait(wait, nullptr);
  lock();
  wakes_.output_wait_.reset();
}

void Section::sleep_on_reports(const Alarms& alarms) {
  const std::shared_ptr<Reports> reports = wakes_.reports_;
  wakes_.output_wakes_at_ = alarms.until_due;
  wakes_.is_output_waiting_ = true;
  // What ends the sleep besides a report rings the bell after this.
  const std::uint32_t seen = reports->look();
  unlock();
  if (alarms.clock_wait) ring_at(alarms.clock_wait.get(), reports);
  if (!reports->take()) reports->wait(seen, alarms.until);
  if (alarms.clock_wait) gst_clock_id_unschedule(alarms.clock_wait.get());
  lock();
  wakes_.is_output_waiting_ = false;
  wakes_.output_wakes_at_.reset();
}

}  // namespace dispatch::stage
