// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/futex.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "os/memfd.h"

namespace dispatch::os {
namespace {

using core::MonotonicTime;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// One word of shared memory, seen at two addresses.
class SharedWord {
 public:
  FutexWord& writable() const {
    return *reinterpret_cast<FutexWord*>(writable_.data());
  }
  const FutexWord& read_only() const {
    return *reinterpret_cast<const FutexWord*>(read_only_.data());
  }

 private:
  UniqueFd fd_ = create_memfd("word", sizeof(FutexWord)).take();
  Mapping writable_ =
      Mapping::make(fd_.get(), sizeof(FutexWord), Mapping::Access::kReadWrite)
          .take();
  Mapping read_only_ =
      Mapping::make(fd_.get(), sizeof(FutexWord), Mapping::Access::kRead)
          .take();
};

// A thread that sleeps once on a word.
class Sleeper {
 public:
  Sleeper(const FutexWord& word, std::optional<MonotonicTime> until)
      : thread_([this, &word, until] {
          tid_ = static_cast<int>(syscall(SYS_gettid));
          result_ = futex_wait(word, 0, until);
          is_awake_ = true;
        }) {}
  ~Sleeper() { thread_.join(); }

  bool is_awake() const { return is_awake_; }
  // Once it is awake.
  bool result() const { return result_; }
  pthread_t handle() { return thread_.native_handle(); }
  // The kernel says in which call a thread is, and where it sleeps it is not
  // "running".
  bool is_asleep() const {
    std::ifstream file("/proc/self/task/" + std::to_string(tid_) + "/syscall");
    std::string call;
    file >> call;
    return call == std::to_string(SYS_futex);
  }

 private:
  std::atomic<int> tid_ = 0;
  std::atomic<bool> result_ = false;
  std::atomic<bool> is_awake_ = false;
  std::thread thread_;
};

bool can_see_calls() {
  std::ifstream file("/proc/self/syscall");
  std::string call;
  return bool(file >> call);
}

TEST(FutexWait, ReturnsAtOnceIfTheWordIsAnother) {
  const FutexWord word = 1;
  EXPECT_TRUE(futex_wait(word, 0));
}

TEST(FutexWait, ReturnsAtOnceIfTheWordIsAnotherAndTheTimeHasCome) {
  const FutexWord word = 1;
  EXPECT_TRUE(futex_wait(word, 0, steady_clock::now() - milliseconds(1)));
}

TEST(FutexWait, SaysThatTheTimeHadCome) {
  const FutexWord word = 0;
  EXPECT_FALSE(futex_wait(word, 0, steady_clock::now() - milliseconds(1)));
}

TEST(FutexWait, TakesATimeBeforeTheClockStarted) {
  const FutexWord word = 0;
  EXPECT_FALSE(futex_wait(word, 0, MonotonicTime(milliseconds(-1500))));
  EXPECT_FALSE(futex_wait(word, 0, MonotonicTime::min()));
}

TEST(FutexWait, WaitsUntilTheTimeHasCome) {
  const FutexWord word = 0;
  const MonotonicTime until = steady_clock::now() + milliseconds(20);
  while (futex_wait(word, 0, until)) {
  }
  EXPECT_GE(steady_clock::now(), until);
}

TEST(FutexWait, TakesATimeThatNeverComes) {
  const FutexWord word = 0;
  Sleeper sleeper(word, MonotonicTime::max());
  while (!sleeper.is_awake()) futex_wake(word);
  EXPECT_TRUE(sleeper.result());
}

// Nothing but the wake-up can end this: the word stays as it is.
TEST(FutexWake, EndsASleepWithoutATime) {
  const FutexWord word = 0;
  Sleeper sleeper(word, std::nullopt);
  while (!sleeper.is_awake()) futex_wake(word);
  EXPECT_TRUE(sleeper.result());
}

TEST(FutexWake, EndsASleepOnReadOnlyMemory) {
  const SharedWord shared;
  Sleeper sleeper(shared.read_only(), std::nullopt);
  while (!sleeper.is_awake()) futex_wake(shared.writable());
  EXPECT_TRUE(sleeper.result());
}

TEST(FutexWake, WorksFromReadOnlyMemory) {
  const SharedWord shared;
  Sleeper sleeper(shared.writable(), std::nullopt);
  while (!sleeper.is_awake()) futex_wake(shared.read_only());
  EXPECT_TRUE(sleeper.result());
}

TEST(FutexWake, WakesAnotherProcess) {
  const SharedWord shared;
  const pid_t child = fork();
  if (child == 0) _exit(futex_wait(shared.read_only(), 0) ? 3 : 4);
  ASSERT_GT(child, 0);
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) futex_wake(shared.writable());
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

TEST(FutexWake, WakesAllThatSleep) {
  if (!can_see_calls()) GTEST_SKIP() << "cannot see who sleeps";
  const FutexWord word = 0;
  std::vector<std::unique_ptr<Sleeper>> sleepers;
  while (sleepers.size() < 4)
    sleepers.push_back(std::make_unique<Sleeper>(word, std::nullopt));
  for (const auto& sleeper : sleepers)
    while (!sleeper->is_asleep()) std::this_thread::yield();
  futex_wake(word);
  for (const auto& sleeper : sleepers)
    while (!sleeper->is_awake()) std::this_thread::yield();
}

TEST(FutexWait, IsInterruptedBySignals) {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  struct sigaction before = {};
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  const FutexWord word = 0;
  {
    Sleeper sleeper(word, std::nullopt);
    while (!sleeper.is_awake()) pthread_kill(sleeper.handle(), SIGUSR1);
    EXPECT_TRUE(sleeper.result());
  }
  sigaction(SIGUSR1, &before, nullptr);
}

}  // namespace
}  // namespace dispatch::os
