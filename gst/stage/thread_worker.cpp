// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/thread_worker.h"

#include <pthread.h>

#include <string>

namespace dispatch::stage {

ThreadWorker::ThreadWorker(Copies copies,
                           std::shared_ptr<WorkerListener> listener)
    : copies_(std::move(copies)), listener_(std::move(listener)) {}

bool ThreadWorker::start() {
  {
    const std::lock_guard lock(mutex_);
    has_thread_ = true;
  }
  return gst_pad_start_task(full().feeder(), loop, this, nullptr) != FALSE;
}

bool ThreadWorker::finish() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    listener_.reset();
    changed_.notify_all();
    if (next_) {  // handed over, not begun
      next_.reset();
      is_busy_ = false;
    }
    if (is_busy_ && has_thread_) {
      self_ = shared_from_this();
      return false;
    }
  }
  gst_pad_stop_task(full().feeder());
  return true;
}

void ThreadWorker::submit(Job job) {
  std::unique_lock lock(mutex_);
  if (is_stopping_) return;
  is_busy_ = true;
  if (!has_thread_) {
    job_ = std::move(job);
    lock.unlock();
    run();
    return;
  }
  next_ = std::move(job);
  const bool has_to_wake = is_waiting_;
  lock.unlock();
  if (has_to_wake) changed_.notify_all();
}

void ThreadWorker::abandon(core::Sequence sequence) {
  for (const auto& copy : copies_) copy->abandon(sequence);
}

void ThreadWorker::flush() {
  for (const auto& copy : copies_) copy->flush();
}

bool ThreadWorker::wait_for_job() {
  std::unique_lock lock(mutex_);
  is_waiting_ = true;
  changed_.wait(lock, [&] { return next_ || is_stopping_; });
  is_waiting_ = false;
  if (is_stopping_) {
    next_.reset();
    return false;
  }
  job_ = std::move(*next_);
  next_.reset();
  return true;
}

// Runs the job to its end, and tells of it unless set aside meanwhile.
void ThreadWorker::run() {
  result_.reset();
  copies_.at(job_.level)->run(job_, result_);
  std::shared_ptr<WorkerListener> listener;
  {
    const std::lock_guard lock(mutex_);
    is_busy_ = false;
    listener = listener_;
  }
  // It may be given its next job within the call.
  if (listener) listener->on_finished(*this, job_.sequence, result_);
}

void ThreadWorker::loop(gpointer user_data) {
  auto* self = static_cast<ThreadWorker*>(user_data);
  const std::string name = "wp:worker" + std::to_string(self->number());
  pthread_setname_np(pthread_self(), name.c_str());
  while (self->wait_for_job()) self->run();
  gst_pad_pause_task(self->full().feeder());
  self->end_set_aside();
}

// On the worker's own thread, which cannot join itself: GStreamer's pool of
// threads for such calls takes the copies down.
void ThreadWorker::end_set_aside() {
  std::shared_ptr<ThreadWorker> self;
  {
    const std::lock_guard lock(mutex_);
    self = std::move(self_);
  }
  if (!self) return;
  gst_element_call_async(
      full().bin(),
      [](GstElement*, gpointer user_data) {
        auto& worker = *static_cast<std::shared_ptr<ThreadWorker>*>(user_data);
        gst_pad_stop_task(worker->full().feeder());
        for (const auto& copy : worker->copies())
          gst_element_set_state(copy->bin(), GST_STATE_NULL);
      },
      new std::shared_ptr<ThreadWorker>(std::move(self)),
      [](gpointer user_data) {
        delete static_cast<std::shared_ptr<ThreadWorker>*>(user_data);
      });
}

}  // namespace dispatch::stage
