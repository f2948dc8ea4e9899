// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A way that frames go, through one process or several, and back to here.
//
// For: sending one frame at a time and finding out how long it took and what
// CPU time it cost all processes. Not for: choosing ways (the benchmarks).
// Thread: confined to the main thread.
// Failure: ends the program.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arrival.h"
#include "offered_frames.h"
#include "partner.h"
#include "pipeline.h"

namespace bench {

// The end of a description: where frames arrive.
inline constexpr char kSink[] =
    " ! fakesink name=sink sync=false async=false enable-last-sample=false";

// Launch descriptions. In them CAPS stands for the caps of the frames, ROOM for
// the bytes that kRoomFrames of them need in a shmsink, and DIR for a directory
// of this way alone, for sockets and FIFOs (see with_open_fifos()).
struct Recipe {
  std::string name;
  std::string front;                    // with an element x, which is fed
  std::vector<std::string> partners{};  // in processes of their own
  std::string back{};                   // empty: the front has the sink
};

struct Handling {
  bool fills = false;  // the source writes all bytes, before the time starts
  bool reads = false;  // the sink reads all bytes, within the time
  bool is_offered = true;  // the source takes the memory that it is offered
};

// Ways through so many stages in a row, each of which is `identity`.
// In this process, or in worker processes: elements of `kind`.
Recipe through_elements(const std::string& name, const std::string& kind,
                        int stages);
// A frame goes from one process to the next one, and from the last one back.
Recipe through_pipes(const FrameShape& shape, int stages);
Recipe through_shm(int stages);
Recipe through_unixfd(int stages);

class Passage {
 public:
  Passage(const Recipe& recipe, const FrameShape& shape, Handling handling);
  ~Passage();
  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;

  const std::string& name() const { return name_; }
  // From the push to the arrival.
  double send_one_us();
  // As many as there is room for on the way; waits until all have arrived.
  void send(int frames);
  // Of this process and of those of this way, so far.
  std::int64_t cpu_ns() const;

 private:
  class Directory;
  std::unique_ptr<Pipeline> make_pipeline(const std::string& text) const;
  GstBuffer* next_frame();  // (transfer full)

  const std::string name_;
  const Handling handling_;
  const std::unique_ptr<Directory> directory_;
  guint8 last_value_ = 0;
  std::int64_t sent_ = 0;
  std::unique_ptr<Pipeline> front_;
  std::vector<std::unique_ptr<Partner>> partners_;
  std::unique_ptr<Pipeline> back_;
  std::vector<pid_t> processes_;
  std::unique_ptr<Arrival> arrival_;
  std::unique_ptr<Feeder> feeder_;
  std::unique_ptr<OfferedFrames> frames_;
};

// What was found of a passage, turn by turn.
struct Turns {
  std::vector<double> p50_us;
  std::vector<double> p99_us;
  std::vector<double> cpu_us;  // per frame, of all processes

  void add(const std::vector<double>& latencies_us, std::int64_t cpu_ns);
  // Of the turn that was disturbed least.
  double best_p50_us() const;
  double best_cpu_us() const;
};

// One frame after the other, as fast as it goes.
void take_turn(Passage& passage, int frames, Turns& turns);

}  // namespace bench
