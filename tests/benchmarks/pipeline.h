// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Pipelines for the benchmarks.
//
// For: launch descriptions that have to work, and frames pushed by hand. Not
// for: tests of failures; every failure ends the program (fail()).
// Thread: confined to the main thread.
#pragma once

#include <string>

#include <gst/gst.h>

namespace bench {

// Whether there is an element of this kind.
bool exists(const char* element);

// A pipeline from a launch description, with the failures of a benchmark.
class Pipeline {
 public:
  explicit Pipeline(const std::string& description);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  GstElement* get() const { return pipeline_; }
  // Borrowed from the pipeline; fails when there is none of this name.
  GstElement* element(const char* name) const;
  GstPad* pad(const char* element_name, const char* pad_name) const;

  // Waits until the state is reached.
  void set_state(GstState state);
  // To PLAYING, without waiting for frames of other processes.
  void start();
  void wait_for_eos();

 private:
  GstElement* pipeline_;  // owned
};

// Pushes frames from the calling thread into a pipeline that starts with an
// open sink pad. Use it while the pipeline is PLAYING.
class Feeder {
 public:
  // caps may be nullptr: the stream then has none.
  Feeder(GstPad* sink, const char* caps);
  ~Feeder();
  Feeder(const Feeder&) = delete;
  Feeder& operator=(const Feeder&) = delete;

  GstPad* pad() const { return pad_; }  // (transfer none)
  // (transfer full) buffer.
  void push(GstBuffer* buffer);
  void push_eos();

 private:
  GstPad* pad_;  // owned
};

}  // namespace bench
