// SPDX-License-Identifier: LGPL-2.1-or-later

/**
 * SECTION:element-benchfloor
 *
 * Passes each frame on when its number has been in another process and come
 * back. By default the number is waited for in the chain function. With
 * `threaded=true` a thread of the src pad waits for it and pushes the frame, as
 * in an element that can have more than one frame in flight.
 *
 * Since: 0.1
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <new>

#include <gst/gst.h>

#include "bench.h"
#include "floor.h"
#include "os/futex.h"

namespace os = dispatch::os;

G_DECLARE_FINAL_TYPE(GstBenchFloor, gst_bench_floor, GST, BENCH_FLOOR,
                     GstElement)

namespace {

constexpr std::size_t kLine = 64;

struct Shared {
  alignas(kLine) os::FutexWord there{0};
  alignas(kLine) os::FutexWord back{0};
};

std::uint32_t wait_for_change(const os::FutexWord& word, std::uint32_t old) {
  // SAFETY: acquire, as a real hand-over would need it.
  std::uint32_t now = word.load(std::memory_order_acquire);
  while (now == old) {
    os::futex_wait(word, old);
    now = word.load(std::memory_order_acquire);
  }
  return now;
}

void hand_over(os::FutexWord& word, std::uint32_t value) {
  word.store(value, std::memory_order_release);
  os::futex_wake(word);
}

// The other process, which sends back every number that it gets.
class Echo {
 public:
  Echo() {
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) bench::fail("No shared memory.");
    shared_ = new (memory) Shared;
    process_ = fork();
    if (process_ < 0) bench::fail("No other process.");
    if (process_ == 0) run();
  }
  ~Echo() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    munmap(shared_, sizeof(Shared));
  }
  Echo(const Echo&) = delete;
  Echo& operator=(const Echo&) = delete;

  void send() { hand_over(shared_->there, ++sent_); }
  void wait() { received_ = wait_for_change(shared_->back, received_); }
  // Ends a wait() for what will not come.
  void interrupt() {
    shared_->back.fetch_add(1U << 31);
    os::futex_wake(shared_->back);
  }

 private:
  // Forked beside other threads: nothing but system calls.
  [[noreturn]] void run() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_range(0, ~0U, 0);  // among them others' ends of pipes
    for (std::uint32_t number = 0;;) {
      number = wait_for_change(shared_->there, number);
      hand_over(shared_->back, number);
    }
  }

  Shared* shared_;
  pid_t process_;
  std::uint32_t sent_ = 0;
  std::uint32_t received_ = 0;
};

class Impl {
 public:
  explicit Impl(GstPad* src) : src_(src) {}

  GstFlowReturn chain(GstBuffer* frame) {
    if (!is_threaded) {
      echo_.send();
      echo_.wait();
      return gst_pad_push(src_, frame);
    }
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(frame);
    }
    echo_.send();
    return GST_FLOW_OK;
  }

  // On the thread of the src pad.
  void push_next() {
    echo_.wait();
    if (is_stopping_) {
      gst_pad_pause_task(src_);
      return;
    }
    GstBuffer* frame = nullptr;
    {
      const std::lock_guard lock(mutex_);
      frame = waiting_.front();
      waiting_.pop_front();
    }
    gst_pad_push(src_, frame);
  }

  void interrupt() {
    is_stopping_ = true;
    echo_.interrupt();
  }

  bool is_threaded = false;

 private:
  GstPad* const src_;  // the element's
  Echo echo_;
  std::atomic<bool> is_stopping_{false};
  std::mutex mutex_;
  std::deque<GstBuffer*> waiting_;  // owned; under mutex_
};

GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

enum { kPropThreaded = 1 };

}  // namespace

struct _GstBenchFloor {
  GstElement parent;
  Impl* impl;  // owned
};

// NOLINTNEXTLINE(performance-no-int-to-ptr): inside the macro of GLib
G_DEFINE_TYPE(GstBenchFloor, gst_bench_floor, GST_TYPE_ELEMENT)

static GstFlowReturn gst_bench_floor_chain(GstPad*, GstObject* parent,
                                           GstBuffer* frame) noexcept {
  return GST_BENCH_FLOOR(parent)->impl->chain(frame);
}

static gboolean gst_bench_floor_src_activate_mode(GstPad* pad,
                                                  GstObject* parent, GstPadMode,
                                                  gboolean active) noexcept {
  Impl* impl = GST_BENCH_FLOOR(parent)->impl;
  if (!impl->is_threaded) return TRUE;
  if (active) {
    return gst_pad_start_task(
        pad, [](gpointer data) { static_cast<Impl*>(data)->push_next(); }, impl,
        nullptr);
  }
  impl->interrupt();
  return gst_pad_stop_task(pad);
}

static void gst_bench_floor_set_property(GObject* object, guint,
                                         const GValue* value,
                                         GParamSpec*) noexcept {
  GST_BENCH_FLOOR(object)->impl->is_threaded =
      g_value_get_boolean(value) != FALSE;
}

static void gst_bench_floor_get_property(GObject* object, guint, GValue* value,
                                         GParamSpec*) noexcept {
  g_value_set_boolean(value, GST_BENCH_FLOOR(object)->impl->is_threaded);
}

static void gst_bench_floor_finalize(GObject* object) noexcept {
  delete GST_BENCH_FLOOR(object)->impl;
  G_OBJECT_CLASS(gst_bench_floor_parent_class)->finalize(object);
}

static void gst_bench_floor_class_init(GstBenchFloorClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  auto* element_class = GST_ELEMENT_CLASS(klass);
  object_class->set_property = gst_bench_floor_set_property;
  object_class->get_property = gst_bench_floor_get_property;
  object_class->finalize = gst_bench_floor_finalize;
  g_object_class_install_property(
      object_class, kPropThreaded,
      g_param_spec_boolean("threaded", "Threaded",
                           "Whether a thread of its own pushes the frames",
                           FALSE,
                           static_cast<GParamFlags>(G_PARAM_READWRITE |
                                                    G_PARAM_STATIC_STRINGS)));
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "Floor", "Filter/Testing",
      "Hands a number to another process and back", "The gst-dispatch authors");
}

static void gst_bench_floor_init(GstBenchFloor* self) {
  auto* element = GST_ELEMENT_CAST(self);
  GstPad* sink = gst_pad_new_from_static_template(&sink_template, "sink");
  GstPad* src = gst_pad_new_from_static_template(&src_template, "src");
  gst_pad_set_chain_function(sink, gst_bench_floor_chain);
  gst_pad_set_activatemode_function(src, gst_bench_floor_src_activate_mode);
  GST_PAD_SET_PROXY_CAPS(sink);
  GST_PAD_SET_PROXY_ALLOCATION(sink);
  GST_PAD_SET_PROXY_CAPS(src);
  gst_element_add_pad(element, sink);
  gst_element_add_pad(element, src);
  self->impl = new Impl(src);
}

namespace bench {

void register_floor() {
  gst_element_register(nullptr, "benchfloor", GST_RANK_NONE,
                       gst_bench_floor_get_type());
}

}  // namespace bench
