// SPDX-License-Identifier: LGPL-2.1-or-later
//
// gst-dispatch-call: one part of the call that tools/demo shows, in a process
// of its own. demo.py starts them all, with their pipelines.

#include <stdio.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <gst/gst.h>

#include "parts.h"
#include "pipeline.h"

namespace dispatch::demo {

namespace {

constexpr int kBadUsage = 2;

constexpr char kUsage[] =
    "usage: gst-dispatch-call send VIDEO FRAMES NOTES PIPELINE\n"
    "       gst-dispatch-call receive NOTES PIPELINE\n"
    "       gst-dispatch-call pictures VIDEO FOLDER NUMBER...\n"
    "One part of the call that ./tools/demo shows. Closing its standard input\n"
    "ends it.\n";

int to_status(bool is_good) { return is_good ? EXIT_SUCCESS : EXIT_FAILURE; }

int misuse() {
  fputs(kUsage, stderr);
  return kBadUsage;
}

bool read_count(const char* word, unsigned* count) {
  guint64 value = 0;
  if (!g_ascii_string_to_unsigned(word, 10, 0, G_MAXUINT16, &value, nullptr)) {
    report_problem(text("not a number of a frame: %s", word));
    return false;
  }
  *count = static_cast<unsigned>(value);
  return true;
}

int run_send(char** words) {
  unsigned frames = 0;
  if (!read_count(words[1], &frames)) return misuse();
  return to_status(send_video({words[0], words[3], words[2], frames}));
}

int run_pictures(char** words, int count) {
  PicturesJob job{words[0], words[1], {}};
  for (int i = 2; i < count; ++i) {
    unsigned number = 0;
    if (!read_count(words[i], &number)) return misuse();
    job.numbers.push_back(number);
  }
  std::sort(job.numbers.begin(), job.numbers.end());
  return to_status(save_pictures(job));
}

int run(int argc, char** argv) {
  gst_init(&argc, &argv);
  const char* part = argc > 1 ? argv[1] : "";
  char** words = argv + 2;
  const int count = argc - 2;
  if (std::strcmp(part, "send") == 0 && count == 4) return run_send(words);
  if (std::strcmp(part, "receive") == 0 && count == 2) {
    return to_status(receive_video({words[1], words[0]}));
  }
  if (std::strcmp(part, "pictures") == 0 && count > 2) {
    return run_pictures(words, count);
  }
  return misuse();
}

}  // namespace

}  // namespace dispatch::demo

int main(int argc, char** argv) { return dispatch::demo::run(argc, argv); }
