// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Pipelines for the benchmarks.
//
// For: launch descriptions that have to work, and frames pushed by hand. Not
// for: tests of failures; every failure ends the program (fail()).
// Thread: confined to the main thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gst/gst.h>

namespace bench {

// Whether there is an element of this kind.
bool exists(const char* element);

// The elements of ours that a benchmark is to measure: the named one, or with
// nullptr those there are.
std::vector<std::string> chosen_elements(const gchar* named);

// What an element of ours says about itself, at one moment.
class Stats {
 public:
  explicit Stats(GstElement* element);
  ~Stats();
  Stats(const Stats&) = delete;
  Stats& operator=(const Stats&) = delete;

  // Each fails when there is no such field.
  guint64 count(const char* field) const;
  guint number(const char* field) const;
  std::string text(const char* field) const;
  // All of them, by name, as GStreamer writes values; one inside another as
  // OUTER.INNER.
  std::vector<std::pair<std::string, std::string>> fields() const;

 private:
  GstStructure* stats_ = nullptr;  // owned
};

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
