// SPDX-License-Identifier: LGPL-2.1-or-later
#include "partner.h"

#include <sys/wait.h>

#include <glib.h>

#include "bench.h"
#include "pipeline.h"

namespace bench {

namespace {

// Without its end; nothing if the other side has ended.
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

void Partner::is_ready() {
  std::printf("ready\n");
  std::fflush(stdout);
}

bool Partner::wait_for_line() {
  std::string line;
  return read_line(stdin, line);
}

int run_as_partner(const std::string& description) {
  Pipeline pipeline(description);
  pipeline.start();
  Partner::is_ready();
  while (Partner::wait_for_line()) continue;
  return 0;
}

}  // namespace bench
