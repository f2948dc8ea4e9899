// SPDX-License-Identifier: LGPL-2.1-or-later
//
// gst-dispatch-demo: shows on a real video what the elements are for. The
// script tools/demo installs what it needs, builds it and calls it.

#include <stdio.h>

#include <cstdlib>
#include <cstring>

#include "demo_fast.h"
#include "demo_held.h"

namespace dispatch::demo {

namespace {

constexpr int kBadUsage = 2;

constexpr char kSummary[] =
    "Shows what workerpool is for. Two parts:\n"
    "  held  a live video keeps flowing although its stage stalls (25 s)\n"
    "  fast  decode, blur, encode: the same result in less time";

// The command line as GLib's parser fills it; all strings are owned here.
struct Arguments {
  ~Arguments() {
    g_free(part);
    g_free(output_dir);
    g_strfreev(videos);
  }
  gchar* part = nullptr;
  gchar* output_dir = nullptr;
  gchar** videos = nullptr;
};

bool is_part(const gchar* part) {
  return part == nullptr || std::strcmp(part, "held") == 0 ||
         std::strcmp(part, "fast") == 0;
}

std::string find_misuse(const Arguments& arguments) {
  if (arguments.videos == nullptr || arguments.videos[1] != nullptr) {
    return "one video file, please";
  }
  if (!is_part(arguments.part)) return "--part is either held or fast";
  if (!g_file_test(arguments.videos[0], G_FILE_TEST_IS_REGULAR)) {
    return text("no such file: %s", arguments.videos[0]);
  }
  return {};
}

// Also initialises GStreamer.
bool read_arguments(int* argc, char*** argv, Arguments* arguments) {
  const GOptionEntry entries[] = {
      {"part", 0, 0, G_OPTION_ARG_STRING, &arguments->part,
       "Run one part only: held or fast", "PART"},
      {"output-dir", 0, 0, G_OPTION_ARG_FILENAME, &arguments->output_dir,
       "Where the MP4 files go (default: gst-dispatch in the cache folder)",
       "DIR"},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY,
       &arguments->videos, nullptr, "VIDEO"},
      {}};
  g_autoptr(GOptionContext) context = g_option_context_new(nullptr);
  g_option_context_set_summary(context, kSummary);
  g_option_context_add_main_entries(context, entries, nullptr);
  g_option_context_add_group(context, gst_init_get_option_group());
  g_autoptr(GError) error = nullptr;
  const bool is_parsed = g_option_context_parse(context, argc, argv, &error);
  const auto misuse = is_parsed ? find_misuse(*arguments) : error->message;
  if (misuse.empty()) return true;
  report_problem(misuse + " (see --help)");
  return false;
}

Job make_job(const Arguments& arguments) {
  Job job;
  job.video = arguments.videos[0];
  if (arguments.output_dir != nullptr) {
    job.output_dir = arguments.output_dir;
  } else {
    g_autofree gchar* cache =
        g_build_filename(g_get_user_cache_dir(), "gst-dispatch", nullptr);
    job.output_dir = cache;
  }
  return job;
}

bool wants(const Arguments& arguments, const char* part) {
  return arguments.part == nullptr || std::strcmp(arguments.part, part) == 0;
}

int run(int argc, char** argv) {
  Arguments arguments;
  if (!read_arguments(&argc, &argv, &arguments)) return kBadUsage;
  if (!check_elements()) return EXIT_FAILURE;
  const auto job = make_job(arguments);
  bool is_good = true;
  if (wants(arguments, "held")) is_good = run_held(job);
  if (wants(arguments, "held") && wants(arguments, "fast")) printf("\n");
  if (wants(arguments, "fast")) is_good = run_fast(job) && is_good;
  return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

}  // namespace dispatch::demo

int main(int argc, char** argv) { return dispatch::demo::run(argc, argv); }
