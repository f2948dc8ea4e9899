// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A stage with a load that the tests and benchmarks choose. Never installed.

/**
 * SECTION:element-teststage
 *
 * Passes frames on after a chosen cost, and stalls on a chosen share of them.
 * Which frames stall follows from #GstTestStage:seed and the frame's number
 * alone: the same frames stall in whatever copy of a stage they run, and in a
 * plain pipeline beside it. The number is taken from the timestamp and the
 * duration of the frame, or #GstTestStage:interval where frames before this
 * element have been left out; else from its offset. A frame that has neither
 * never stalls.
 *
 * From frame #GstTestStage:dear-from on, until #GstTestStage:dear-until, a
 * frame costs #GstTestStage:dear-cost instead. One in #GstTestStage:abort-every
 * ends the process, whoever tries it and however often.
 *
 * With #GstTestStage:trace the costs come from a file, in microseconds, one in
 * a line, for the frames in the order of their numbers; after the last line
 * comes the first one again. Each is multiplied by #GstTestStage:scale, so that
 * a cheaper variant of the stage has the same course.
 *
 * With #GstTestStage:mark a probe behind can tell what became of a frame: the
 * first byte is that value, the four behind it are the frame's number, the
 * lowest byte first. One that has another frame's number is a repeat.
 *
 * By default the cost is CPU time of the streaming thread. With
 * `burn=false` it is a sleep on the system's clock, whatever clock the
 * pipeline has. Neither can be interrupted, as in a stage that hangs: flush
 * and state changes wait for it.
 *
 * ## Example launch lines
 *
 * `videotestsrc num-buffers=100 ! teststage cost=5000000 ! fakesink`
 *
 * `videotestsrc is-live=true ! teststage burn=false cost=15000000
 * stall=400000000 stall-percent=1 ! fakesink`
 *
 * `videotestsrc is-live=true ! teststage trace=costs.txt mark=1 qos=true !
 * fakesink sync=true qos=true`
 *
 * Since: 0.1
 */

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include <gst/base/gstbasetransform.h>
#include <gst/gst.h>

#include "test_elements.h"

GST_DEBUG_CATEGORY_STATIC(test_stage_debug);
#define GST_CAT_DEFAULT test_stage_debug

#define GST_TYPE_TEST_STAGE (gst_test_stage_get_type())
G_DECLARE_FINAL_TYPE(GstTestStage, gst_test_stage, GST, TEST_STAGE,
                     GstBaseTransform)

namespace {

struct Settings {
  guint64 cost_ns;
  guint64 dear_cost_ns;
  guint64 dear_from;   // number of the first dear frame
  guint64 dear_until;  // number of the first one after them
  guint64 abort_every;
  guint64 stall_ns;
  gdouble stall_percent;
  gdouble scale;      // of the trace
  guint64 interval;   // between frames; 0: as their durations say
  guint apply_every;  // the others pass untouched
  gint mark;          // negative: none
  guint seed;
  gboolean burn;
  gboolean writes;
};

constexpr Settings kDefaults{
    .scale = 1, .apply_every = 1, .mark = -1, .seed = 1, .burn = TRUE};
// The mark and the number.
constexpr gsize kMarkBytes = 5;

enum {
  kPropCost = 1,
  kPropDearCost,
  kPropDearFrom,
  kPropDearUntil,
  kPropAbortEvery,
  kPropBurn,
  kPropStall,
  kPropStallPercent,
  kPropSeed,
  kPropWrites,
  kPropStalls,
  kPropTrace,
  kPropScale,
  kPropInterval,
  kPropApplyEvery,
  kPropMark,
};

GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);
GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS_ANY);

}  // namespace

struct _GstTestStage {
  GstBaseTransform parent;
  Settings settings;  // object lock
  guint64 stalls;     // object lock
  gchar* trace_file;  // object lock; owned, nullable
  // Written while no frame comes; owned.
  std::vector<gdouble>* trace_ns;
};

// NOLINTNEXTLINE(performance-no-int-to-ptr): inside the macro of GLib
G_DEFINE_TYPE_WITH_CODE(GstTestStage, gst_test_stage, GST_TYPE_BASE_TRANSFORM,
                        GST_DEBUG_CATEGORY_INIT(test_stage_debug, "teststage",
                                                0, "stage with a chosen load"));
GST_ELEMENT_REGISTER_DEFINE(teststage, "teststage", GST_RANK_NONE,
                            GST_TYPE_TEST_STAGE)

namespace {

std::optional<guint64> frame_number(GstBuffer* buffer, guint64 interval) {
  const GstClockTime duration =
      interval > 0 ? interval : GST_BUFFER_DURATION(buffer);
  if (GST_BUFFER_PTS_IS_VALID(buffer) && GST_CLOCK_TIME_IS_VALID(duration) &&
      duration > 0) {
    // Rounded: timestamps of 30 fps are a nanosecond off a multiple.
    return (GST_BUFFER_PTS(buffer) + duration / 2) / duration;
  }
  if (GST_BUFFER_OFFSET_IS_VALID(buffer)) return GST_BUFFER_OFFSET(buffer);
  return std::nullopt;
}

// Uniform in [0, 1) over (seed, number): the finaliser of SplitMix64, whose
// neighbouring inputs give unrelated outputs.
double uniform_hash(guint seed, guint64 number) {
  guint64 x = number + (guint64{seed} << 32) + 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1p-53;
}

// What becomes of one frame.
struct Plan {
  std::optional<guint64> number{};
  guint64 load_ns = 0;
  bool is_left_alone = false;
  bool is_stall = false;
  bool is_abort = false;
};

Plan plan_for(const Settings& settings, const std::vector<gdouble>& trace_ns,
              GstBuffer* buffer) {
  const auto number = frame_number(buffer, settings.interval);
  Plan plan{.number = number, .load_ns = settings.cost_ns};
  if (!number) return plan;
  plan.is_left_alone = *number % settings.apply_every != 0;
  if (plan.is_left_alone) return plan;
  if (!trace_ns.empty())
    plan.load_ns = static_cast<guint64>(
        std::llround(trace_ns[*number % trace_ns.size()] * settings.scale));
  if (*number >= settings.dear_from && *number < settings.dear_until)
    plan.load_ns = settings.dear_cost_ns;
  plan.is_stall =
      uniform_hash(settings.seed, *number) * 100 < settings.stall_percent;
  if (plan.is_stall) plan.load_ns += settings.stall_ns;
  plan.is_abort = settings.abort_every > 0 && *number > 0 &&
                  *number % settings.abort_every == 0;
  return plan;
}

guint64 thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<guint64>(now.tv_sec) * GST_SECOND +
         static_cast<guint64>(now.tv_nsec);
}

void spend(guint64 load_ns, bool burn) {
  if (load_ns == 0) return;
  if (!burn) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(load_ns));
    return;
  }
  const guint64 end_ns = thread_cpu_ns() + load_ns;
  // Most of the time in user space, as in a real stage; reading the clock of
  // a thread is a system call.
  volatile unsigned work = 0;
  while (thread_cpu_ns() < end_ns) {
    for (int i = 0; i < 1000; i++) work = work + 1;
  }
}

bool invert(GstBuffer* buffer) {
  GstMapInfo map;
  if (!gst_buffer_map(buffer, &map, GST_MAP_READWRITE)) return false;
  std::ranges::for_each(std::span(map.data, map.size),
                        [](guint8& byte) { byte ^= 0xff; });
  gst_buffer_unmap(buffer, &map);
  return true;
}

bool mark(GstBuffer* buffer, gint mark, guint64 number) {
  guint8 bytes[kMarkBytes] = {static_cast<guint8>(mark)};
  for (gsize i = 1; i < kMarkBytes; i++)
    bytes[i] = static_cast<guint8>(number >> (8 * (i - 1)));
  return gst_buffer_fill(buffer, 0, bytes, kMarkBytes) == kMarkBytes;
}

// Everything that is wanted of the bytes.
bool write(const Settings& settings, const Plan& plan, GstBuffer* buffer) {
  if (settings.writes && !invert(buffer)) return false;
  return settings.mark < 0 ||
         mark(buffer, settings.mark, plan.number.value_or(0));
}

// Whether there were costs in it, and nothing else.
bool read_trace(const gchar* path, std::vector<gdouble>& trace_ns) {
  std::ifstream file(path);
  for (gdouble cost_us = 0; file >> cost_us;)
    trace_ns.push_back(cost_us * 1000);
  return file.eof() && !trace_ns.empty();
}

}  // namespace

static gboolean gst_test_stage_start(GstBaseTransform* trans) noexcept {
  auto* self = GST_TEST_STAGE(trans);
  GST_OBJECT_LOCK(self);
  g_autofree gchar* path = g_strdup(self->trace_file);
  GST_OBJECT_UNLOCK(self);
  self->trace_ns->clear();
  if (path == nullptr || read_trace(path, *self->trace_ns)) return TRUE;
  GST_ELEMENT_ERROR(
      self, RESOURCE, READ,
      ("%s is no trace: a cost in microseconds in each line.", path),
      (nullptr));
  return FALSE;
}

// In passthrough (nothing to write) the buffer may be shared; it is only read.
static GstFlowReturn gst_test_stage_transform_ip(GstBaseTransform* trans,
                                                 GstBuffer* buffer) noexcept {
  auto* self = GST_TEST_STAGE(trans);
  GST_OBJECT_LOCK(self);
  const Settings settings = self->settings;
  const Plan plan = plan_for(settings, *self->trace_ns, buffer);
  if (plan.is_stall) self->stalls++;
  GST_OBJECT_UNLOCK(self);
  if (plan.is_left_alone) return GST_FLOW_OK;

  GST_LOG_OBJECT(self, "%s %" GST_PTR_FORMAT,
                 plan.is_stall ? "stalling on" : "taking", buffer);
  spend(plan.load_ns, settings.burn != FALSE);
  if (plan.is_abort) std::abort();
  if (!gst_base_transform_is_passthrough(trans) &&
      !write(settings, plan, buffer)) {
    GST_ELEMENT_ERROR(self, RESOURCE, WRITE, ("Cannot write to a frame."),
                      ("Mapping %" GST_PTR_FORMAT " failed", buffer));
    return GST_FLOW_ERROR;
  }
  return GST_FLOW_OK;
}

static void gst_test_stage_set_property(GObject* object, guint id,
                                        const GValue* value,
                                        GParamSpec* pspec) noexcept {
  auto* self = GST_TEST_STAGE(object);
  GST_OBJECT_LOCK(self);
  Settings& settings = self->settings;
  switch (id) {
    case kPropCost:
      settings.cost_ns = g_value_get_uint64(value);
      break;
    case kPropDearCost:
      settings.dear_cost_ns = g_value_get_uint64(value);
      break;
    case kPropDearFrom:
      settings.dear_from = g_value_get_uint64(value);
      break;
    case kPropDearUntil:
      settings.dear_until = g_value_get_uint64(value);
      break;
    case kPropAbortEvery:
      settings.abort_every = g_value_get_uint64(value);
      break;
    case kPropBurn:
      settings.burn = g_value_get_boolean(value);
      break;
    case kPropStall:
      settings.stall_ns = g_value_get_uint64(value);
      break;
    case kPropStallPercent:
      settings.stall_percent = g_value_get_double(value);
      break;
    case kPropSeed:
      settings.seed = g_value_get_uint(value);
      break;
    case kPropWrites:
      settings.writes = g_value_get_boolean(value);
      break;
    case kPropTrace:
      g_free(self->trace_file);
      self->trace_file = g_value_dup_string(value);
      break;
    case kPropScale:
      settings.scale = g_value_get_double(value);
      break;
    case kPropInterval:
      settings.interval = g_value_get_uint64(value);
      break;
    case kPropApplyEvery:
      settings.apply_every = g_value_get_uint(value);
      break;
    case kPropMark:
      settings.mark = g_value_get_int(value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
  const bool passthrough = !settings.writes && settings.mark < 0;
  GST_OBJECT_UNLOCK(self);
  // Takes the object lock itself.
  if (id == kPropWrites || id == kPropMark) {
    gst_base_transform_set_passthrough(GST_BASE_TRANSFORM(self), passthrough);
  }
}

static void gst_test_stage_get_property(GObject* object, guint id,
                                        GValue* value,
                                        GParamSpec* pspec) noexcept {
  auto* self = GST_TEST_STAGE(object);
  GST_OBJECT_LOCK(self);
  const Settings& settings = self->settings;
  switch (id) {
    case kPropCost:
      g_value_set_uint64(value, settings.cost_ns);
      break;
    case kPropDearCost:
      g_value_set_uint64(value, settings.dear_cost_ns);
      break;
    case kPropDearFrom:
      g_value_set_uint64(value, settings.dear_from);
      break;
    case kPropDearUntil:
      g_value_set_uint64(value, settings.dear_until);
      break;
    case kPropAbortEvery:
      g_value_set_uint64(value, settings.abort_every);
      break;
    case kPropBurn:
      g_value_set_boolean(value, settings.burn);
      break;
    case kPropStall:
      g_value_set_uint64(value, settings.stall_ns);
      break;
    case kPropStallPercent:
      g_value_set_double(value, settings.stall_percent);
      break;
    case kPropSeed:
      g_value_set_uint(value, settings.seed);
      break;
    case kPropWrites:
      g_value_set_boolean(value, settings.writes);
      break;
    case kPropStalls:
      g_value_set_uint64(value, self->stalls);
      break;
    case kPropTrace:
      g_value_set_string(value, self->trace_file);
      break;
    case kPropScale:
      g_value_set_double(value, settings.scale);
      break;
    case kPropInterval:
      g_value_set_uint64(value, settings.interval);
      break;
    case kPropApplyEvery:
      g_value_set_uint(value, settings.apply_every);
      break;
    case kPropMark:
      g_value_set_int(value, settings.mark);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
  GST_OBJECT_UNLOCK(self);
}

namespace {

constexpr auto kReadable =
    static_cast<GParamFlags>(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS);
constexpr auto kPlaying = static_cast<GParamFlags>(
    G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_PLAYING);
constexpr auto kReady = static_cast<GParamFlags>(
    G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY);

void install_load_properties(GObjectClass* klass) {
  g_object_class_install_property(
      klass, kPropCost,
      g_param_spec_uint64("cost", "Cost", "Load per frame in nanoseconds", 0,
                          G_MAXUINT64, kDefaults.cost_ns, kPlaying));
  g_object_class_install_property(
      klass, kPropBurn,
      g_param_spec_boolean("burn", "Burn",
                           "Whether the load is CPU time; otherwise a sleep",
                           kDefaults.burn, kPlaying));
  g_object_class_install_property(
      klass, kPropWrites,
      g_param_spec_boolean("writes", "Writes",
                           "Whether to invert every byte of the frame in place",
                           kDefaults.writes, kReady));
}

void install_number_property(GObjectClass* klass, guint id, const char* name,
                             const char* nick, const char* text) {
  g_object_class_install_property(
      klass, id,
      g_param_spec_uint64(name, nick, text, 0, G_MAXUINT64, 0, kPlaying));
}

// What is chosen by the number of the frame.
void install_frame_properties(GObjectClass* klass) {
  install_number_property(klass, kPropDearCost, "dear-cost", "Dear cost",
                          "Load of a dear frame in nanoseconds");
  install_number_property(klass, kPropDearFrom, "dear-from", "Dear from",
                          "Number of the first dear frame");
  install_number_property(klass, kPropDearUntil, "dear-until", "Dear until",
                          "Number of the first frame after the dear ones");
  install_number_property(
      klass, kPropAbortEvery, "abort-every", "Abort every",
      "Ends the process on a frame whose number is a multiple of this, but for "
      "the first (0 = never)");
}

void install_stall_properties(GObjectClass* klass) {
  g_object_class_install_property(
      klass, kPropStall,
      g_param_spec_uint64(
          "stall", "Stall",
          "Load of a stalling frame in nanoseconds, on top of the cost", 0,
          G_MAXUINT64, kDefaults.stall_ns, kPlaying));
  g_object_class_install_property(
      klass, kPropStallPercent,
      g_param_spec_double("stall-percent", "Stall percent",
                          "Share of the frames that stall, in percent", 0, 100,
                          kDefaults.stall_percent, kPlaying));
  g_object_class_install_property(
      klass, kPropSeed,
      g_param_spec_uint("seed", "Seed", "Chooses which frames stall", 0,
                        G_MAXUINT, kDefaults.seed, kPlaying));
  g_object_class_install_property(
      klass, kPropStalls,
      g_param_spec_uint64("stalls", "Stalls",
                          "Frames of this copy that have stalled so far", 0,
                          G_MAXUINT64, 0, kReadable));
}

void install_trace_properties(GObjectClass* klass) {
  g_object_class_install_property(
      klass, kPropTrace,
      g_param_spec_string("trace", "Trace",
                          "File of loads in microseconds, by the number of the "
                          "frame (NULL = those of the other properties)",
                          nullptr, kReady));
  g_object_class_install_property(
      klass, kPropScale,
      g_param_spec_double("scale", "Scale", "Times the loads of the trace", 0,
                          G_MAXDOUBLE, kDefaults.scale, kPlaying));
  install_number_property(klass, kPropInterval, "interval", "Interval",
                          "Nanoseconds from the beginning of a frame to that "
                          "of the next one (0 = the duration of the frame)");
}

// What tells how a frame was treated.
void install_treatment_properties(GObjectClass* klass) {
  g_object_class_install_property(
      klass, kPropApplyEvery,
      g_param_spec_uint("apply-every", "Apply every",
                        "Leaves a frame alone whose number is no multiple of "
                        "this",
                        1, G_MAXUINT, kDefaults.apply_every, kPlaying));
  g_object_class_install_property(
      klass, kPropMark,
      g_param_spec_int("mark", "Mark",
                       "Value to write into the first byte of the frame, with "
                       "the number of the frame behind it (-1 = neither)",
                       -1, G_MAXUINT8, kDefaults.mark, kReady));
}

}  // namespace

static void gst_test_stage_finalize(GObject* object) noexcept {
  auto* self = GST_TEST_STAGE(object);
  g_free(self->trace_file);
  delete self->trace_ns;
  G_OBJECT_CLASS(gst_test_stage_parent_class)->finalize(object);
}

static void gst_test_stage_class_init(GstTestStageClass* klass) {
  auto* object_class = G_OBJECT_CLASS(klass);
  object_class->set_property = gst_test_stage_set_property;
  object_class->get_property = gst_test_stage_get_property;
  object_class->finalize = gst_test_stage_finalize;
  install_load_properties(object_class);
  install_frame_properties(object_class);
  install_stall_properties(object_class);
  install_trace_properties(object_class);
  install_treatment_properties(object_class);

  auto* element_class = GST_ELEMENT_CLASS(klass);
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  gst_element_class_set_static_metadata(
      element_class, "Test stage", "Filter/Testing",
      "Passes frames on after a chosen load", "The gst-dispatch authors");

  auto* transform_class = GST_BASE_TRANSFORM_CLASS(klass);
  transform_class->start = gst_test_stage_start;
  transform_class->transform_ip = gst_test_stage_transform_ip;
}

static void gst_test_stage_init(GstTestStage* self) {
  self->settings = kDefaults;
  self->trace_ns = new std::vector<gdouble>();
  gst_base_transform_set_in_place(GST_BASE_TRANSFORM(self), TRUE);
  gst_base_transform_set_passthrough(GST_BASE_TRANSFORM(self),
                                     !kDefaults.writes);
}
