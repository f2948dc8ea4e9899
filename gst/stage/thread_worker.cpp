// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/thread_worker.h"

#include <pthread.h>

#include <string>

namespace dispatch::stage {

ThreadWorker::ThreadWorker(std::unique_ptr<StageCopy> copy,
                           std::shared_ptr<WorkerListener> listener)
    : copy_(std::move(copy)), listener_(std::move(listener)) {}

bool ThreadWorker::start() {
  return gst_pad_start_task(copy_->feeder(), loop, this, nullptr) != FALSE;
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
    if (is_busy_) {
      self_ = shared_from_this();
      return false;
    }
  }
  gst_pad_stop_task(copy_->feeder());
  return true;
}

void ThreadWorker::submit(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (is_stopping_) return;
    next_ = std::move(job);
    is_busy_ = true;
    if (!is_waiting_) return;
  }
  changed_.notify_all();
}

void ThreadWorker::abandon(core::Sequence sequence) {
  copy_->abandon(sequence);
}

void ThreadWorker::flush() { copy_->flush(); }

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

void ThreadWorker::loop(gpointer user_data) {
  auto* self = static_cast<ThreadWorker*>(user_data);
  const std::string name = "wp:worker" + std::to_string(self->number());
  pthread_setname_np(pthread_self(), name.c_str());
  while (self->wait_for_job()) {
    self->result_.reset();
    self->copy_->run(self->job_, self->result_);
    std::shared_ptr<WorkerListener> listener;
    {
      const std::lock_guard lock(self->mutex_);
      self->is_busy_ = false;
      listener = self->listener_;
    }
    if (listener)
      listener->on_finished(*self, self->job_.sequence, self->result_);
  }
  gst_pad_pause_task(self->copy_->feeder());
  self->end_set_aside();
}

// On the worker's own thread, which cannot join itself: GStreamer's pool of
// threads for such calls takes the copy down.
void ThreadWorker::end_set_aside() {
  std::shared_ptr<ThreadWorker> self;
  {
    const std::lock_guard lock(mutex_);
    self = std::move(self_);
  }
  if (!self) return;
  GstElement* bin = copy_->bin();
  gst_element_call_async(
      bin,
      [](GstElement* element, gpointer user_data) {
        auto& worker = *static_cast<std::shared_ptr<ThreadWorker>*>(user_data);
        gst_pad_stop_task(worker->copy_->feeder());
        gst_element_set_state(element, GST_STATE_NULL);
      },
      new std::shared_ptr<ThreadWorker>(std::move(self)),
      [](gpointer user_data) {
        delete static_cast<std::shared_ptr<ThreadWorker>*>(user_data);
      });
}

}  // namespace dispatch::stage
