// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How fast does a worker hear that a frame is not wanted any more?
//
// First the ways to tell a process: a store to memory that it looks at, a
// signal, a message over a socket; while it works and while it sleeps, on a
// machine with nothing else to do and on one whose CPUs are all wanted. A
// worker that works looks at the memory, gets the signal in the middle of its
// work, and has a thread that waits for messages.
//
// Then a stage of four elements in shmdispatch and workerpool whose frames are
// all cancelled half-way: how long after the due time does the worker enter the
// next frame? That is one element at most.

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "bench.h"
#include "os/futex.h"
#include "pipeline.h"
#include "report.h"

namespace {

namespace os = dispatch::os;

// ---- Telling a process -----------------------------------------------------

constexpr std::size_t kLine = 64;

// Between the two processes.
struct Shared {
  alignas(kLine) os::FutexWord told{0};
  alignas(kLine) std::atomic<std::uint32_t> heard{0};
  std::atomic<std::int64_t> heard_ns{0};

  void hear() {
    heard_ns.store(bench::monotonic_ns(), std::memory_order_relaxed);
    heard.fetch_add(1, std::memory_order_release);
  }
};

enum class Way { kStore, kSignal, kSocket };
enum class State { kWorking, kSleeping };

Shared* shared_of_handler = nullptr;

// Less than a microsecond: what is measured is the way of the news, and not how
// often a stage looks.
void work_a_little() {
  volatile unsigned work = 0;
  for (int i = 0; i < 100; i++) work = work + 1;
}

// Another process that hears; forked while this one has one thread.
class Ear {
 public:
  Ear(Way way, State state) : way_(way), state_(state) {
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED ||
        socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets_) != 0)
      bench::fail("There is no memory or no socket for another process.");
    shared_ = new (memory) Shared;
    process_ = fork();
    if (process_ < 0) bench::fail("There is no other process.");
    if (process_ == 0) listen();
    // It says once that it is there.
    while (shared_->heard == 0) sleep_us(100);
  }
  ~Ear() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    munmap(shared_, sizeof(Shared));
    for (const int socket : sockets_) close(socket);
  }
  Ear(const Ear&) = delete;
  Ear& operator=(const Ear&) = delete;

  double tell_us() {
    const std::uint32_t before = shared_->heard;
    const std::int64_t begin_ns = bench::monotonic_ns();
    switch (way_) {
      case Way::kStore:
        shared_->told.fetch_add(1, std::memory_order_release);
        if (state_ == State::kSleeping) os::futex_wake(shared_->told);
        break;
      case Way::kSignal:
        kill(process_, SIGUSR1);
        break;
      case Way::kSocket:
        if (send(sockets_[0], "x", 1, 0) != 1) bench::fail("Cannot send.");
        break;
    }
    while (shared_->heard.load(std::memory_order_acquire) == before)
      sleep_us(50);
    return static_cast<double>(shared_->heard_ns - begin_ns) * 1e-3;
  }

  static void sleep_us(int us) {
    std::this_thread::sleep_for(std::chrono::microseconds(us));
  }

 private:
  [[noreturn]] void listen() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    shared_of_handler = shared_;
    if (way_ == Way::kSignal)
      signal(SIGUSR1, [](int) { shared_of_handler->hear(); });
    std::thread receiver;
    if (way_ == Way::kSocket) receiver = std::thread([this] { receive(); });
    shared_->hear();
    if (state_ == State::kSleeping) sleep();
    for (std::uint32_t seen = 0;;) {
      work_a_little();
      if (way_ != Way::kStore) continue;
      const std::uint32_t told = shared_->told.load(std::memory_order_acquire);
      if (told == seen) continue;
      seen = told;
      shared_->hear();
    }
  }

  [[noreturn]] void sleep() {
    for (std::uint32_t seen = 0;;) {
      if (way_ != Way::kStore) {
        pause();
        continue;
      }
      os::futex_wait(shared_->told, seen);
      const std::uint32_t told = shared_->told.load(std::memory_order_acquire);
      if (told == seen) continue;
      seen = told;
      shared_->hear();
    }
  }

  void receive() {
    for (char byte = 0;;)
      if (recv(sockets_[1], &byte, 1, 0) == 1) shared_->hear();
  }

  const Way way_;
  const State state_;
  Shared* shared_;
  int sockets_[2] = {-1, -1};  // owned
  pid_t process_;
};

// Processes that want all CPUs, and that have no more right to them than
// others.
class Load {
 public:
  explicit Load(int count) {
    for (int i = 0; i < count; i++) {
      const pid_t process = fork();
      if (process < 0) bench::fail("There is no other process.");
      if (process == 0) burn();
      processes_.push_back(process);
    }
  }
  ~Load() {
    for (const pid_t process : processes_) {
      kill(process, SIGKILL);
      waitpid(process, nullptr, 0);
    }
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

 private:
  [[noreturn]] static void burn() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const sched_param plain{};
    sched_setscheduler(0, SCHED_OTHER, &plain);
    for (;;) work_a_little();
  }

  std::vector<pid_t> processes_;
};

struct Telling {
  const char* name;
  Way way;
  State state;
  std::vector<double> free_us{};
  std::vector<double> loaded_us{};
};

void take_turn(const Telling& telling, int count, std::vector<double>& into) {
  Ear ear(telling.way, telling.state);
  for (int i = 0; i < count; i++) {
    Ear::sleep_us(500 + i % 7 * 100);  // not in step with anything
    into.push_back(ear.tell_us());
  }
}

void tell(bench::Report& report, int turns, int count, int cpus) {
  Telling all[] = {
      {"working: store", Way::kStore, State::kWorking},
      {"working: SIGUSR1", Way::kSignal, State::kWorking},
      {"working: socket", Way::kSocket, State::kWorking},
      {"sleeping: store and futex wake", Way::kStore, State::kSleeping},
      {"sleeping: SIGUSR1", Way::kSignal, State::kSleeping},
      {"sleeping: socket", Way::kSocket, State::kSleeping},
  };
  for (int turn = 0; turn < turns; turn++) {
    for (Telling& each : all) take_turn(each, count, each.free_us);
    const Load load(cpus);
    for (Telling& each : all) take_turn(each, count, each.loaded_us);
  }
  report.table(
      "from the store, kill() or send() to the worker's noticing, us",
      {"worker: told by", "free p50", "free p99", "loaded p50", "loaded p99"});
  for (const Telling& each : all) {
    const double p50 = bench::percentile(each.free_us, 50);
    const double p99 = bench::percentile(each.free_us, 99);
    const double loaded_p50 = bench::percentile(each.loaded_us, 50);
    const double loaded_p99 = bench::percentile(each.loaded_us, 99);
    report.row({each.name, bench::number(p50, 1), bench::number(p99, 1),
                bench::number(loaded_p50, 1), bench::number(loaded_p99, 1)});
    const std::string name = each.name;
    report.figure(name + ", free p50 us", p50);
    report.figure(name + ", free p99 us", p99);
    report.figure(name + ", loaded p50 us", loaded_p50);
    report.figure(name + ", loaded p99 us", loaded_p99);
  }
}

// ---- Cancelling a stage ----------------------------------------------------

constexpr double kElementMs = 10;

// What the spy at the beginning of the stage tells. Thread-safe.
class Entries {
 public:
  explicit Entries(GstElement* pipeline) {
    GstBus* bus = gst_element_get_bus(pipeline);
    gst_bus_set_sync_handler(bus, on_message, this, nullptr);
    gst_object_unref(bus);
  }

  // From the due time of a frame to the entry of the next one, for those that
  // entered before they were due.
  std::vector<double> ms_after_due() const {
    const std::lock_guard lock(mutex_);
    std::vector<double> result;
    for (std::size_t i = 1; i < entries_.size(); i++) {
      const Entry& cancelled = entries_[i - 1];
      if (cancelled.entered_ns < cancelled.due_ns)
        result.push_back(
            static_cast<double>(entries_[i].entered_ns - cancelled.due_ns) *
            1e-6);
    }
    return result;
  }

 private:
  struct Entry {
    std::int64_t entered_ns;
    std::int64_t due_ns;
  };

  static GstBusSyncReply on_message(GstBus*, GstMessage* message,
                                    gpointer self_pointer) {
    const std::int64_t now_ns = bench::monotonic_ns();
    if (!gst_message_has_name(message, "spied")) return GST_BUS_PASS;
    gint64 due_ns = -1;
    gst_structure_get_int64(gst_message_get_structure(message), "due", &due_ns);
    if (due_ns < 0) return GST_BUS_PASS;  // no frame
    auto* self = static_cast<Entries*>(self_pointer);
    const std::lock_guard lock(self->mutex_);
    self->entries_.push_back({now_ns, due_ns});
    return GST_BUS_PASS;
  }

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
};

std::vector<double> cancel(const std::string& element, int frames) {
  std::string stage = "spy";
  for (int i = 0; i < 4; i++) stage += " ! teststage burn=false cost=10000000";
  // Frames come as fast as a worker can be rid of them.
  bench::Pipeline pipeline(
      "videotestsrc is-live=true pattern=black num-buffers=" +
      std::to_string(frames) +
      " ! video/x-raw,format=GRAY8,width=64,height=64,framerate=100/1 ! " +
      element +
      " max-workers=1 latency-budget=25000000 late-policy=drop "
      "stage=\"" +
      stage + "\" ! fakesink sync=false");
  const Entries entries(pipeline.get());
  pipeline.start();
  pipeline.wait_for_eos();
  return entries.ms_after_due();
}

void cancel_stages(bench::Report& report, int frames, int cpus) {
  report.table(
      "frames of a stage of four elements of 10 ms each, cancelled half-way: "
      "from the due time to the next frame's entry, in elements",
      {"element", "machine", "cancelled", "p50", "p99"});
  for (const bool is_loaded : {false, true}) {
    const Load load(is_loaded ? cpus : 0);
    for (const char* element : {"shmdispatch", "workerpool"}) {
      const std::vector<double> ms = cancel(element, frames);
      const double p50 = bench::percentile(ms, 50) / kElementMs;
      const double p99 = bench::percentile(ms, 99) / kElementMs;
      const std::string machine = is_loaded ? "loaded" : "free";
      report.row({element, machine, std::to_string(ms.size()),
                  bench::number(p50), bench::number(p99)});
      report.samples(
          std::string(element) + ", " + machine + ", ms after the due time",
          ms);
      report.at_most(std::string(element) + ", " + machine +
                         ": stops within so many elements, p99",
                     p99, 1.1);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  gint turns = 5;
  gint count = 200;
  gint frames = 300;
  const gchar* json = nullptr;
  bench::CommandLine line("How fast a worker hears that a frame is cancelled.");
  line.add("turns", &turns, "Turns of each way to tell a process");
  line.add("count", &count, "How often it is told in one turn");
  line.add("frames", &frames, "Frames that are cancelled");
  line.add("json", &json, "Write the figures to this file");
  line.parse(argc, argv);

  const int cpus = bench::use_two_cpus();
  bench::Report report("hear");
  tell(report, turns, count, cpus);
  cancel_stages(report, frames, cpus);
  return report.finish(json);
}
