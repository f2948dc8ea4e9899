// SPDX-License-Identifier: LGPL-2.1-or-later
#include "partner.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <glib.h>

#include "bench.h"
#include "pipeline.h"

namespace bench {

namespace {

// Without its end; false if the other side has ended.
bool read_line(std::FILE* from, std::string& line) {
  line.clear();
  for (int c = std::getc(from); c != EOF; c = std::getc(from)) {
    if (c == '\n') return true;
    line += static_cast<char>(c);
  }
  return false;
}

}  // namespace

Partner::Partner(const std::vector<std::string>& arguments) {
  std::vector<gchar*> argv{const_cast<gchar*>("/proc/self/exe")};
  for (const std::string& argument : arguments)
    argv.push_back(const_cast<gchar*>(argument.c_str()));
  argv.push_back(nullptr);
  g_autoptr(GError) error = nullptr;
  gint in = -1;
  gint out = -1;
  if (!g_spawn_async_with_pipes(nullptr, argv.data(), nullptr,
                                G_SPAWN_DO_NOT_REAP_CHILD, nullptr, nullptr,
                                &pid_, &in, &out, nullptr, &error))
    fail(error->message);
  in_ = fdopen(in, "w");
  out_ = fdopen(out, "r");
  if (next_line() != "ready") fail("A partner did not get ready.");
}

Partner::~Partner() {
  std::fclose(in_);
  std::fclose(out_);
  waitpid(pid_, nullptr, 0);
  remove_shm_areas(pid_);
  g_spawn_close_pid(pid_);
}

void Partner::tell(const std::string& line) {
  if (std::fprintf(in_, "%s\n", line.c_str()) < 0 || std::fflush(in_) != 0)
    fail("A partner has gone.");
}

std::string Partner::next_line() {
  std::string line;
  if (!read_line(out_, line)) fail("A partner failed.");
  return line;
}

Partner::Heard Partner::listen(std::chrono::milliseconds longest) {
  pollfd ready{fileno(out_), POLLIN, 0};
  if (poll(&ready, 1, static_cast<int>(longest.count())) != 1) return {};
  std::string line;
  if (!read_line(out_, line)) return {.line = std::nullopt, .has_ended = true};
  return {.line = line};
}

void Partner::is_ready() {
  std::printf("ready\n");
  std::fflush(stdout);
}

bool Partner::wait_for_line() {
  std::string line;
  return read_line(stdin, line);
}

namespace {

// As much as an unprivileged process may have: fewer turns for a large frame.
constexpr int kPipeBytes = 1 << 20;

int open_fifo(const std::string& path) {
  if (mkfifo(path.c_str(), 0600) != 0 && errno != EEXIST)
    fail("Cannot make " + path);
  // For both directions, so that neither side has to wait for the other here.
  const int fifo = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fifo < 0) fail("Cannot open " + path);
  fcntl(fifo, F_SETPIPE_SZ, kPipeBytes);
  return fifo;
}

}  // namespace

std::string with_open_fifos(std::string description) {
  static const std::string kMark = "FIFO:";
  for (auto at = description.find(kMark); at != std::string::npos;
       at = description.find(kMark)) {
    const auto begin = at + kMark.size();
    const auto end = std::min(description.find(' ', begin), description.size());
    const int fifo = open_fifo(description.substr(begin, end - begin));
    description.replace(at, end - at, std::to_string(fifo));
  }
  return description;
}

void remove_shm_areas(pid_t process) {
  std::error_code ignored;
  for (const auto& file :
       std::filesystem::directory_iterator("/dev/shm", ignored)) {
    pid_t owner = 0;  // shmsink names its areas so
    if (std::sscanf(file.path().filename().c_str(), "shmpipe.%d.", &owner) ==
            1 &&
        owner == process)
      std::filesystem::remove(file, ignored);
  }
}

void run_as_partner(const std::string& description) {
  Pipeline pipeline(with_open_fifos(description));
  pipeline.start();
  Partner::is_ready();
  while (Partner::wait_for_line()) continue;
  // Taking the pipeline down could wait for others that have gone as well.
  std::_Exit(0);
}

}  // namespace bench
