// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A live stream through an element, and what leaves it when.
//
// For: who left late, without its result, twice, out of order or not at all, as
// probes at the two pads of the element see it. Not for: what the element says
// about itself (Stats).
// Thread: confined to the main thread; the probes run on streaming threads and
// take the lock.
// Failure: an error of the pipeline ends the program, unless it is expected.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <gst/gst.h>

#include "pipeline.h"

namespace bench {

// The first bytes of a frame, where `teststage mark=` writes.
using FrameHead = std::array<guint8, 5>;

// One frame that left. Times are running times.
struct Departure {
  std::uint64_t number;
  GstClockTime at;
  GstClockTimeDiff behind;  // its running time + upstream + budget
  bool is_changed;          // the first byte is not what came in
  FrameHead head;
  bool is_late() const { return behind > 2 * GstClockTimeDiff{GST_MSECOND}; }
};

double percent(std::uint64_t part, std::uint64_t whole);

// Sums over the departures.
struct Account {
  std::uint64_t arrived = 0;
  std::uint64_t left = 0;
  std::uint64_t missing = 0;
  std::uint64_t repeated = 0;
  std::uint64_t out_of_order = 0;
  std::uint64_t late = 0;
  GstClockTimeDiff worst = G_MININT64;
  GstClockTime longest_gap = 0;

  bool is_complete() const {
    return arrived > 0 && missing + repeated + out_of_order == 0;
  }
  double late_percent() const;
};

// The longest time between two departures of which the later one is within
// [from, until).
GstClockTime longest_gap(const std::vector<Departure>& departures,
                         GstClockTime from, GstClockTime until);

class LiveStream {
 public:
  struct Setup {
    std::string middle;   // has the element, named x
    GstClockTime budget;  // of it
    // The elements that frames enter and leave, where x is not all of it.
    const char* first = "x";
    const char* last = "x";
    std::string sink = "fakesink sync=true enable-last-sample=false";
    // The source hands frames over at their timestamps, but says that it may
    // take a frame longer: true takes that word from it. Otherwise everybody
    // has a frame more than the budget.
    bool is_source_punctual = false;
    int frames = -1;  // until finish()
    int fps = 30;
    std::string caps = "video/x-raw,format=GRAY8,width=320,height=240";
    bool may_fail = false;  // an error is an end like another: error()
  };
  explicit LiveStream(const Setup& setup);
  LiveStream(const LiveStream&) = delete;
  LiveStream& operator=(const LiveStream&) = delete;

  Pipeline& pipeline() { return pipeline_; }
  GstElement* element() const { return pipeline_.element("x"); }
  void start();
  // Takes messages for so long; returns whether the stream has ended.
  bool run_for(GstClockTime time);
  // With EOS, or when all frames have left.
  void finish();

  GstClockTime running_time() const;
  // Of the first frame that came; the others come at equal distances.
  GstClockTime arrival(std::uint64_t number) const;
  std::vector<Departure> departures() const;
  std::uint64_t departed() const;
  bool is_last_changed() const;
  Account account() const;
  // Empty: there was none.
  const std::string& error() const { return error_; }
  // Warnings, and element messages with a log, that have this in their text.
  std::uint64_t logged(const std::string& text) const;
  // Element messages that were posted, by name, with those that were kept back.
  const std::map<std::string, std::uint64_t>& messages() const {
    return messages_;
  }

 private:
  static GstPadProbeReturn on_arrival(GstPad*, GstPadProbeInfo* info,
                                      gpointer self_pointer);
  static GstPadProbeReturn on_departure(GstPad*, GstPadProbeInfo* info,
                                        gpointer self_pointer);
  void note_arrival(GstBuffer* frame);
  void note_departure(GstBuffer* frame);
  void take(GstMessage* message);
  std::uint64_t number_of(GstBuffer* frame) const;
  GstClockTime upstream_latency() const;

  const GstClockTime budget_;
  const char* const first_;
  const int fps_;
  const bool is_endless_;
  const bool may_fail_;
  Pipeline pipeline_;
  bool has_ended_ = false;
  std::string error_;
  std::map<std::string, std::uint64_t> messages_;
  std::vector<std::string> logs_;

  mutable std::mutex mutex_;
  GstClockTime upstream_ = GST_CLOCK_TIME_NONE;
  int first_byte_ = -1;
  std::map<std::uint64_t, GstClockTime> arrivals_;
  std::vector<Departure> departures_;
};

// What the element says: of the frames that came.
double applied_percent(const LiveStream& stream);

}  // namespace bench
