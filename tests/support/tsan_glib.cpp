// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What ThreadSanitizer has to know of GLib.
//
// GLib's locks are futexes and its reference counts are atomics, in a library
// that is not instrumented: ThreadSanitizer sees nothing of them and takes
// everything for a race that they protect. These functions stand in front of
// GLib's and tell it. Part of the test programs and of the worker program of a
// build with -Db_sanitize=thread only; there it is what keeps tsan.supp short.
// Not for: our own locks, which are std::mutex and known.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <gst/gst.h>

// Memory that is copied or freed by functions of the C library is not looked
// at: mostly it is GLib that calls them, in an order that its atomics make.
// A worker process ends at once: one that sleeps before its end is killed.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() {
  return "ignore_noninstrumented_modules=1:atexit_sleep_ms=0";
}

namespace {

template <typename Fn>
Fn* next(const char* name) {
  return reinterpret_cast<Fn*>(dlsym(RTLD_NEXT, name));
}

// The last one that lets go sees what all others did before.
void count(gpointer object) {
  __tsan_release(object);
  __tsan_acquire(object);
}

// A call on a thread of GStreamer's.
struct AsyncCall {
  GstElementCallAsyncFunc function;
  gpointer user_data;
  GDestroyNotify destroy;
};

void make_call(GstElement* element, gpointer user_data) {
  __tsan_acquire(user_data);
  const auto* call = static_cast<AsyncCall*>(user_data);
  call->function(element, call->user_data);
}

void destroy_call(gpointer user_data) {
  const auto* call = static_cast<AsyncCall*>(user_data);
  if (call->destroy != nullptr) call->destroy(call->user_data);
  delete call;
}

// A call on the thread of a main loop.
struct TimedCall {
  GSourceFunc function;
  gpointer user_data;
  GDestroyNotify destroy;
};

gboolean make_timed_call(gpointer user_data) {
  __tsan_acquire(user_data);
  const auto* call = static_cast<TimedCall*>(user_data);
  return call->function(call->user_data);
}

void destroy_timed_call(gpointer user_data) {
  __tsan_acquire(user_data);
  const auto* call = static_cast<TimedCall*>(user_data);
  if (call->destroy != nullptr) call->destroy(call->user_data);
  delete call;
}

// What the threads of a pool do.
struct PoolWork {
  GFunc function;
  gpointer user_data;
};

void do_work(gpointer item, gpointer pool_work) {
  __tsan_acquire(item);
  const auto* work = static_cast<PoolWork*>(pool_work);
  work->function(item, work->user_data);
}

}  // namespace

#define NEXT(function) \
  static auto* const real = next<decltype(function)>(#function)

extern "C" {

#undef g_object_ref
#undef g_object_ref_sink

void g_mutex_lock(GMutex* mutex) {
  NEXT(g_mutex_lock);
  real(mutex);
  __tsan_acquire(mutex);
}

gboolean g_mutex_trylock(GMutex* mutex) {
  NEXT(g_mutex_trylock);
  if (!real(mutex)) return FALSE;
  __tsan_acquire(mutex);
  return TRUE;
}

void g_mutex_unlock(GMutex* mutex) {
  NEXT(g_mutex_unlock);
  __tsan_release(mutex);
  real(mutex);
}

void g_cond_wait(GCond* cond, GMutex* mutex) {
  NEXT(g_cond_wait);
  __tsan_release(mutex);
  real(cond, mutex);
  __tsan_acquire(mutex);
}

gboolean g_cond_wait_until(GCond* cond, GMutex* mutex, gint64 end) {
  NEXT(g_cond_wait_until);
  __tsan_release(mutex);
  const gboolean is_signalled = real(cond, mutex, end);
  __tsan_acquire(mutex);
  return is_signalled;
}

gpointer g_object_ref(gpointer object) {
  NEXT(g_object_ref);
  count(object);
  return real(object);
}

gpointer g_object_ref_sink(gpointer object) {
  NEXT(g_object_ref_sink);
  count(object);
  return real(object);
}

void g_object_unref(gpointer object) {
  NEXT(g_object_unref);
  count(object);
  real(object);
}

GstMiniObject* gst_mini_object_ref(GstMiniObject* object) {
  NEXT(gst_mini_object_ref);
  count(object);
  return real(object);
}

void gst_mini_object_unref(GstMiniObject* object) {
  NEXT(gst_mini_object_unref);
  count(object);
  real(object);
}

// Other sources have a function of another type, and wait for a descriptor: of
// that ThreadSanitizer knows.
void g_source_set_callback(GSource* source, GSourceFunc function,
                           gpointer user_data, GDestroyNotify destroy) {
  NEXT(g_source_set_callback);
  if (source->source_funcs != &g_timeout_funcs) {
    real(source, function, user_data, destroy);
    return;
  }
  auto* call = new TimedCall{function, user_data, destroy};
  __tsan_release(call);
  real(source, make_timed_call, call, destroy_timed_call);
}

void g_async_queue_push(GAsyncQueue* queue, gpointer item) {
  NEXT(g_async_queue_push);
  __tsan_release(queue);
  real(queue, item);
}

gpointer g_async_queue_try_pop(GAsyncQueue* queue) {
  NEXT(g_async_queue_try_pop);
  gpointer item = real(queue);
  __tsan_acquire(queue);
  return item;
}

gpointer g_async_queue_timeout_pop(GAsyncQueue* queue, guint64 timeout) {
  NEXT(g_async_queue_timeout_pop);
  gpointer item = real(queue, timeout);
  __tsan_acquire(queue);
  return item;
}

// Pools are few, and stay: so does what is made here.
GThreadPool* g_thread_pool_new(GFunc function, gpointer user_data,
                               gint max_threads, gboolean exclusive,
                               GError** error) {
  NEXT(g_thread_pool_new);
  auto* work = new PoolWork{function, user_data};
  return real(do_work, work, max_threads, exclusive, error);
}

gboolean g_thread_pool_push(GThreadPool* pool, gpointer item, GError** error) {
  NEXT(g_thread_pool_push);
  __tsan_release(item);
  return real(pool, item, error);
}

void gst_element_call_async(GstElement* element,
                            GstElementCallAsyncFunc function,
                            gpointer user_data, GDestroyNotify destroy) {
  NEXT(gst_element_call_async);
  auto* call = new AsyncCall{function, user_data, destroy};
  __tsan_release(call);
  real(element, make_call, call, destroy_call);
}

}  // extern "C"
