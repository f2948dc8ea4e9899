// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The parts of the call, each of which runs in a process of its own.
//
// For: what pipelines alone cannot do: stamp frames with their numbers, note
// when which number passed, find pictures by their number. What they note is a
// line for each frame, with times of CLOCK_MONOTONIC in nanoseconds.
// Not for: starting, comparing and judging them: demo.py does.
// Failure: said on stderr, and false.
#pragma once

#include <string>
#include <vector>

namespace dispatch::demo {

struct SendJob {
  std::string video;
  std::string pipeline;  // from "appsrc name=camera"
  std::string notes;     // the file: number, when it was captured
  std::size_t frames = 0;
};
// Sends the video at 30 frames a second, again from its beginning where it is
// too short. Returns after the last frame, or when standard input is closed.
bool send_video(const SendJob& job);

struct ReceiveJob {
  // Has "udpsrc name=in", a decoder "name=decoder", and, where a file is kept,
  // a queue in front of it, "name=keep".
  std::string pipeline;
  std::string notes;  // the file: number or -, running time, when decoded
};
// Receives on a free port, which it prints as "port N", until standard input is
// closed.
bool receive_video(const ReceiveJob& job);

struct PicturesJob {
  std::string video;
  std::string folder;             // for NUMBER.jpg
  std::vector<unsigned> numbers;  // sorted
};
// For each number the picture that was seen then: of this number, or else the
// last one before.
bool save_pictures(const PicturesJob& job);

}  // namespace dispatch::demo
