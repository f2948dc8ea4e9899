// SPDX-License-Identifier: LGPL-2.1-or-later
#include "gate.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <set>
#include <string_view>

namespace dispatch::test {

void give_up(const char* waited_for) {
  std::fprintf(stderr, "waited in vain: %s\n", waited_for);
  std::abort();
}

struct Gate::State {
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  // All under mutex:
  bool holds_all = false;
  std::set<std::uint64_t> held;
  std::set<std::uint64_t> released;
  std::vector<std::uint64_t> holding;
  std::vector<std::uint64_t> seen;

  std::atomic<std::uint64_t> next_event{0};

  bool stops(std::uint64_t number) const {
    return (holds_all || held.contains(number)) && !released.contains(number);
  }

  void wait(std::unique_lock<std::mutex>& lock, const char* what,
            const std::function<bool()>& is_so) const {
    if (!changed.wait_for(lock, kPatience, is_so)) give_up(what);
  }

  // On the frame's thread.
  void pass(std::uint64_t number) {
    std::unique_lock lock(mutex);
    seen.push_back(number);
    holding.push_back(number);
    changed.notify_all();
    wait(lock, "a gate to open", [&] { return !stops(number); });
    holding.erase(std::find(holding.begin(), holding.end(), number));
    changed.notify_all();
  }
};

namespace {

bool is_identity(GstElement* element) {
  GstElementFactory* factory = gst_element_get_factory(element);
  return factory != nullptr &&
         std::string_view(GST_OBJECT_NAME(factory)) == "identity";
}

template <typename T>
void delete_closure_data(gpointer data, GClosure*) {
  delete static_cast<T*>(data);
}

}  // namespace

void on_each_copy(GstElement* workerpool, std::function<void(GstBin*)> fn) {
  using Fn = std::function<void(GstBin*)>;
  g_signal_connect_data(
      workerpool, "stage-setup",
      G_CALLBACK(+[](GstElement*, GstElement* copy, guint, gpointer its_fn) {
        (*static_cast<Fn*>(its_fn))(GST_BIN(copy));
      }),
      new Fn(std::move(fn)), delete_closure_data<Fn>, GConnectFlags(0));
}

void on_every_frame(GstElement* workerpool,
                    std::function<void(GstBuffer*)> fn) {
  using Fn = std::function<void(GstBuffer*)>;
  on_each_copy(workerpool, [fn = std::move(fn)](GstBin* copy) {
    const auto on_handoff =
        +[](GstElement*, GstBuffer* buffer, gpointer its_fn) {
          (*static_cast<Fn*>(its_fn))(buffer);
        };
    for (GList* l = GST_BIN_CHILDREN(copy); l != nullptr; l = l->next)
      if (is_identity(GST_ELEMENT_CAST(l->data)))
        g_signal_connect_data(l->data, "handoff", G_CALLBACK(on_handoff),
                              new Fn(fn), delete_closure_data<Fn>,
                              GConnectFlags(0));
  });
}

Gate::Gate() : state_(std::make_shared<State>()) {}

Gate::~Gate() { open(); }

void Gate::attach(GstElement* workerpool) {
  on_every_frame(workerpool, [state = state_](GstBuffer* buffer) {
    state->pass(GST_BUFFER_OFFSET(buffer));
  });
}

void Gate::attach_to_pad(GstPad* pad) {
  using Shared = std::shared_ptr<State>;
  gst_pad_add_probe(
      pad, GST_PAD_PROBE_TYPE_BUFFER,
      [](GstPad*, GstPadProbeInfo* info, gpointer state) {
        (*static_cast<Shared*>(state))
            ->pass(GST_BUFFER_OFFSET(GST_PAD_PROBE_INFO_BUFFER(info)));
        return GST_PAD_PROBE_OK;
      },
      new Shared(state_),
      [](gpointer state) { delete static_cast<Shared*>(state); });
}

void Gate::attach_to_events(GstPad* pad, GstEventType type) {
  struct Events {
    std::shared_ptr<State> state;
    GstEventType type;
  };
  gst_pad_add_probe(
      pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
      [](GstPad*, GstPadProbeInfo* info, gpointer user_data) {
        const auto& events = *static_cast<Events*>(user_data);
        if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == events.type)
          events.state->pass(events.state->next_event++);
        return GST_PAD_PROBE_OK;
      },
      new Events{state_, type},
      [](gpointer user_data) { delete static_cast<Events*>(user_data); });
}

void Gate::hold(std::uint64_t number) {
  const std::lock_guard lock(state_->mutex);
  state_->held.insert(number);
  state_->released.erase(number);
}

void Gate::hold_all() {
  const std::lock_guard lock(state_->mutex);
  state_->holds_all = true;
  state_->released.clear();
}

void Gate::release(std::uint64_t number) {
  const std::lock_guard lock(state_->mutex);
  state_->released.insert(number);
  state_->changed.notify_all();
}

void Gate::open() {
  const std::lock_guard lock(state_->mutex);
  state_->holds_all = false;
  state_->held.clear();
  state_->changed.notify_all();
}

void Gate::wait_until_held(std::uint64_t number) const {
  std::unique_lock lock(state_->mutex);
  state_->wait(lock, "a frame to come to a gate", [&] {
    const auto& all = state_->holding;
    return std::find(all.begin(), all.end(), number) != all.end();
  });
}

void Gate::wait_until_holding(std::size_t count) const {
  std::unique_lock lock(state_->mutex);
  state_->wait(lock, "frames to stand at a gate",
               [&] { return state_->holding.size() >= count; });
}

void Gate::wait_until_seen(std::size_t count) const {
  std::unique_lock lock(state_->mutex);
  state_->wait(lock, "frames to come to a gate",
               [&] { return state_->seen.size() >= count; });
}

std::vector<std::uint64_t> Gate::holding() const {
  const std::lock_guard lock(state_->mutex);
  return state_->holding;
}

std::vector<std::uint64_t> Gate::seen() const {
  const std::lock_guard lock(state_->mutex);
  return state_->seen;
}

}  // namespace dispatch::test
