// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/child_process.h"

#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace dispatch::os {

namespace {

constexpr int kFirstOther = 3;  // descriptor after the standard ones

// posix_spawn's own words for what happens between fork and exec.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  ~SpawnPlan() {
    posix_spawnattr_destroy(&attributes_);
    posix_spawn_file_actions_destroy(&actions_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  // `errors` becomes the standard error, if there is one. `inherited` becomes
  // `as`; of the others the standard ones stay. An errno value.
  int pass_only(int inherited, int as, int errors) {
    int code = 0;
    // First: its number may be that of `as`.
    if (errors >= 0)
      code = posix_spawn_file_actions_adddup2(&actions_, errors, STDERR_FILENO);
    if (code == 0)
      code = posix_spawn_file_actions_adddup2(&actions_, inherited, as);
    for (int fd = kFirstOther; fd < as && code == 0; ++fd)
      code = posix_spawn_file_actions_addclose(&actions_, fd);
    if (code != 0) return code;
    return posix_spawn_file_actions_addclosefrom_np(
        &actions_, std::max(kFirstOther, as + 1));
  }

  // No signal is blocked, and SIGPIPE, which many programs ignore, ends it.
  void reset_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigaddset(&signals, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }

  // An errno value.
  int run(pid_t& pid, char* const argv[], char* const environment[]) {
    return posix_spawnp(&pid, argv[0], &actions_, &attributes_, argv,
                        environment);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

// Our environment with `added` in place of what has the same name.
std::vector<std::string> environment_with(
    const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
    all.emplace_back(*entry);
  for (const auto& [name, value] : added) {
    std::string variable = name + "=";
    std::erase_if(all, [&](const std::string& other) {
      return other.starts_with(variable);
    });
    all.push_back(variable.append(value));
  }
  return all;
}

// Ends with a null; borrows.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers(texts.size() + 1);
  std::transform(texts.begin(), texts.end(), pointers.begin(),
                 [](std::string& text) { return text.data(); });
  return pointers;
}

// <sys/pidfd.h> of glibc 2.36 cannot be used from C++.
int open_pidfd(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

std::string end_in_words(const siginfo_t& end) {
  if (end.si_code == CLD_EXITED)
    return "exited with status " + std::to_string(end.si_status);
  const char* const words = sigdescr_np(end.si_status);
  return "was killed by signal " + std::to_string(end.si_status) + " (" +
         (words != nullptr ? words : "without a name") + ")";
}

}  // namespace

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  ChildProcess taken(std::move(other));
  std::swap(pid_, taken.pid_);
  std::swap(pidfd_, taken.pidfd_);
  return *this;
}

ChildProcess::~ChildProcess() {
  if (pid_ < 0) return;
  kill();
  wait();
}

Result<ChildProcess> ChildProcess::spawn(
    const std::vector<std::string>& argv,
    const std::vector<std::pair<std::string, std::string>>& environment,
    int inherited, int as, int errors) {
  if (argv.empty()) return Error{EINVAL, "cannot run an empty command"};
  const std::string what = "cannot run " + argv.front();
  std::vector<std::string> arguments = argv;
  std::vector<std::string> variables = environment_with(environment);
  SpawnPlan plan;
  plan.reset_signals();
  if (const int code = plan.pass_only(inherited, as, errors); code != 0)
    return Error{code, what};
  ChildProcess child;
  if (const int code = plan.run(child.pid_, pointers_to(arguments).data(),
                                pointers_to(variables).data());
      code != 0) {
    child.pid_ = -1;
    return Error{code, what};
  }
  // Nobody but us reaps it, so that the number is still its own.
  child.pidfd_.reset(open_pidfd(child.pid_));
  if (child.pidfd_) return child;
  const int code = errno;
  ::kill(child.pid_, SIGKILL);
  waitpid(std::exchange(child.pid_, -1), nullptr, 0);
  return Error{code, what};
}

// By descriptor, because a number may be another process's by now.
void ChildProcess::kill() const {
  syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
}

std::string ChildProcess::wait() {
  siginfo_t end = {};
  int result = -1;
  do result = waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &end, WEXITED);
  while (result != 0 && errno == EINTR);
  pid_ = -1;
  return result == 0 ? end_in_words(end) : "ended in an unknown way";
}

}  // namespace dispatch::os
