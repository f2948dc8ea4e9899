// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/io_thread.h"

#include <utility>

#include <glib-unix.h>

namespace dispatch::process {

namespace {

using OnReady = std::function<bool()>;

gpointer run(gpointer loop) {
  GMainContext* context =
      g_main_loop_get_context(static_cast<GMainLoop*>(loop));
  g_main_context_push_thread_default(context);
  g_main_loop_run(static_cast<GMainLoop*>(loop));
  g_main_context_pop_thread_default(context);
  return nullptr;
}

gboolean call_ready(gint, GIOCondition, gpointer on_ready) {
  return (*static_cast<OnReady*>(on_ready))() ? G_SOURCE_CONTINUE
                                              : G_SOURCE_REMOVE;
}

gboolean call_once(gpointer function) {
  (*static_cast<std::function<void()>*>(function))();
  return G_SOURCE_REMOVE;
}

}  // namespace

void UnwatchSource::operator()(GSource* source) const {
  g_source_destroy(source);
  g_source_unref(source);
}

IoThread::IoThread(const char* name)
    : context_(g_main_context_new()),
      loop_(g_main_loop_new(context_, FALSE)),
      thread_(g_thread_new(name, run, loop_)) {}

IoThread::~IoThread() {
  // Also if the loop does not run yet.
  g_main_context_invoke(
      context_,
      [](gpointer loop) -> gboolean {
        g_main_loop_quit(static_cast<GMainLoop*>(loop));
        return G_SOURCE_REMOVE;
      },
      loop_);
  g_thread_join(thread_);
  g_main_loop_unref(loop_);
  g_main_context_unref(context_);
}

Watch IoThread::watch(int fd, GIOCondition condition, OnReady on_ready) {
  Watch watch(g_unix_fd_source_new(fd, condition));
  g_source_set_callback(
      watch.get(), G_SOURCE_FUNC(call_ready), new OnReady(std::move(on_ready)),
      [](gpointer data) { delete static_cast<OnReady*>(data); });
  g_source_attach(watch.get(), context_);
  return watch;
}

void IoThread::call_later(std::chrono::milliseconds delay,
                          std::function<void()> call) {
  GSource* source = g_timeout_source_new(static_cast<guint>(delay.count()));
  g_source_set_callback(
      source, call_once, new std::function<void()>(std::move(call)),
      [](gpointer data) { delete static_cast<std::function<void()>*>(data); });
  g_source_attach(source, context_);
  g_source_unref(source);
}

}  // namespace dispatch::process
