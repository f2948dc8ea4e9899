// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <string>

#include "os/packet_socket.h"
#include "os/pipe.h"

namespace dispatch::os {
namespace {

using Environment = std::vector<std::pair<std::string, std::string>>;

// "" if it is not set.
std::string variable(const char* name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread
  const char* const value = getenv(name);
  return value != nullptr ? value : "";
}

void set_variable(const char* name, const std::string& value) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread
  setenv(name, value.c_str(), /*overwrite=*/1);
}

class ChildProcessTest : public testing::Test {
 protected:
  Result<ChildProcess> spawn(const std::vector<std::string>& argv,
                             const Environment& environment = {},
                             int as = 3) const {
    return ChildProcess::spawn(argv, environment, sockets_.second.get(), as);
  }
  ChildProcess run_shell(const std::string& script,
                         const Environment& environment = {},
                         int as = 3) const {
    return spawn({"sh", "-c", script}, environment, as).take();
  }
  // Lives until it is told something, or killed.
  ChildProcess waiting_child() const { return run_shell("read line <&3"); }

  static bool has_ended(const ChildProcess& child, int timeout_ms) {
    pollfd end = {child.pidfd(), POLLIN, 0};
    return poll(&end, 1, timeout_ms) == 1;
  }
  static bool has_children() {
    return waitid(P_ALL, 0, nullptr, WEXITED | WNOHANG | WNOWAIT) == 0;
  }

  std::pair<UniqueFd, UniqueFd> sockets_ = make_socket_pair().take();
};

TEST_F(ChildProcessTest, SaysItsStatus) {
  EXPECT_EQ(run_shell("exit 3").wait(), "exited with status 3");
  EXPECT_EQ(run_shell("exit 0").wait(), "exited with status 0");
}

TEST_F(ChildProcessTest, SaysTheSignalThatKilledIt) {
  EXPECT_EQ(run_shell("ulimit -c 0; kill -SEGV $$").wait(),
            "was killed by signal 11 (Segmentation fault)");
  EXPECT_EQ(run_shell("kill -40 $$").wait().substr(0, 24),
            "was killed by signal 40 ");
}

TEST_F(ChildProcessTest, GetsItsArgumentsAsTheyAre) {
  EXPECT_EQ(
      spawn({"sh", "-c", "test \"$#,$1,$2\" = \"2,a b,\"", "name", "a b", ""})
          .take()
          .wait(),
      "exited with status 0");
}

TEST_F(ChildProcessTest, MissingProgramIsNamed) {
  const auto child = spawn({"no-such-program-anywhere", "argument"});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().what, "cannot run no-such-program-anywhere");
  EXPECT_FALSE(has_children());
}

TEST_F(ChildProcessTest, MissingProgramWithAPathIsNamed) {
  const auto child = spawn({"/no-such-folder/program"});
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().text(),
            "cannot run /no-such-folder/program: No such file or directory");
}

TEST_F(ChildProcessTest, WhatIsNoProgramIsAnError) {
  EXPECT_EQ(spawn({"/"}).error().code, EACCES);
  EXPECT_EQ(spawn({"/dev/null"}).error().code, EACCES);
  EXPECT_EQ(spawn({""}).error().code, ENOENT);
  EXPECT_EQ(spawn({}).error().code, EINVAL);
  EXPECT_FALSE(has_children());
}

TEST_F(ChildProcessTest, SlashIsNotLookedUpOnThePath) {
  const std::string path = variable("PATH");
  const std::filesystem::path folder = std::filesystem::current_path();
  std::filesystem::current_path(testing::TempDir());
  set_variable("PATH", "/:" + path);
  const auto child = spawn({"bin/sh", "-c", ""});
  set_variable("PATH", path);
  std::filesystem::current_path(folder);
  EXPECT_FALSE(child);
}

TEST_F(ChildProcessTest, VariablesAreAddedToOurs) {
  set_variable("DISPATCH_TEST_KEPT", "kept");
  set_variable("DISPATCH_TEST_REPLACED", "old");
  set_variable("DISPATCH_TEST_REPLACED_NOT", "longer");
  ChildProcess child = run_shell(
      "test \"$DISPATCH_TEST_KEPT,$DISPATCH_TEST_REPLACED,"
      "$DISPATCH_TEST_REPLACED_NOT,$DISPATCH_TEST_ADDED,"
      "$(tr '\\0' '\\n' </proc/$$/environ | grep -c ^DISPATCH_TEST_REPLACED=)\""
      " = 'kept,new,longer,a=b c,1'",
      {{"DISPATCH_TEST_REPLACED", "new"}, {"DISPATCH_TEST_ADDED", "a=b c"}});
  EXPECT_EQ(child.wait(), "exited with status 0");
  EXPECT_EQ(variable("DISPATCH_TEST_REPLACED"), "old");
  EXPECT_EQ(variable("DISPATCH_TEST_ADDED"), "");
}

TEST_F(ChildProcessTest, SpeaksThroughWhatItInherits) {
  ChildProcess child = run_shell("printf hello >&3");
  EXPECT_EQ(child.wait(), "exited with status 0");
  Packet packet;
  ASSERT_EQ(receive_packet(sockets_.first.get(), packet), Received::kPacket);
  EXPECT_EQ(packet.bytes.size(), 5U);
}

// The parameter: how far its place is from ours.
class ChildDescriptors : public ChildProcessTest,
                         public testing::WithParamInterface<int> {};
TEST_P(ChildDescriptors, AreTheStandardOnesAndTheInheritedOneOnly) {
  const UniqueFd low(fcntl(STDIN_FILENO, F_DUPFD, 3));
  const UniqueFd high(fcntl(STDIN_FILENO, F_DUPFD, 500));
  const UniqueFd inherited(fcntl(sockets_.second.get(), F_DUPFD_CLOEXEC, 20));
  const int as = inherited.get() + GetParam();
  const std::string script =
      "for fd in $(seq 3 600); do"
      "  [ $fd != $AS ] && [ -e /proc/$$/fd/$fd ] && exit 1;"
      "done; [ -e /proc/$$/fd/0 ] && [ -S /proc/$$/fd/$AS ]";
  ChildProcess child =
      ChildProcess::spawn({"sh", "-c", script}, {{"AS", std::to_string(as)}},
                          inherited.get(), as)
          .take();
  EXPECT_EQ(child.wait(), "exited with status 0");
}
INSTANTIATE_TEST_SUITE_P(Places, ChildDescriptors,
                         testing::Values(-17, -16, -1, 0, 1, 380));

// All that is there after its end.
std::string text_in(const Pipe& pipe) {
  std::array<char, 4096> space;
  bool is_over = false;
  return std::string(read_some(pipe.reader.get(), space, is_over));
}

TEST_F(ChildProcessTest, WritesItsErrorsWhereItIsTold) {
  const Pipe pipe = make_pipe().take();
  const std::string script =
      "printf wrong >&2; for fd in $(seq 4 600); do"
      "  [ -e /proc/$$/fd/$fd ] && exit 1;"
      "done; [ -p /proc/$$/fd/2 ] && [ -S /proc/$$/fd/3 ]";
  ChildProcess child =
      ChildProcess::spawn({"sh", "-c", script}, {}, sockets_.second.get(), 3,
                          pipe.writer.get())
          .take();
  EXPECT_EQ(child.wait(), "exited with status 0");
  EXPECT_EQ(text_in(pipe), "wrong");
}

TEST_F(ChildProcessTest, ErrorsMayHaveTheNumberOfWhatItInherits) {
  const Pipe pipe = make_pipe().take();
  ChildProcess child = ChildProcess::spawn({"sh", "-c", "printf wrong >&2"}, {},
                                           sockets_.second.get(),
                                           pipe.writer.get(), pipe.writer.get())
                           .take();
  EXPECT_EQ(child.wait(), "exited with status 0");
  EXPECT_EQ(text_in(pipe), "wrong");
}

// Nobody reads.
TEST_F(ChildProcessTest, DoesNotWaitForWhoReadsItsErrors) {
  const Pipe pipe = make_pipe().take();
  ChildProcess child =
      ChildProcess::spawn(
          {"sh", "-c", "head -c 1000000 /dev/zero >&2 2>/dev/null; exit 0"}, {},
          sockets_.second.get(), 3, pipe.writer.get())
          .take();
  EXPECT_TRUE(has_ended(child, 30000));
}

TEST_F(ChildProcessTest, DescriptorThatIsNoneIsAnError) {
  EXPECT_FALSE(ChildProcess::spawn({"sh", "-c", ""}, {}, -1, 3));
  const int closed = UniqueFd::duplicate(STDIN_FILENO).get();
  EXPECT_FALSE(ChildProcess::spawn({"sh", "-c", ""}, {}, closed, 3));
  EXPECT_FALSE(has_children());
}

TEST_F(ChildProcessTest, HasNoSignalBlocked) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &all, &before), 0);
  ChildProcess child =
      spawn({"grep", "-q", "^SigBlk:[[:space:]]*0*$", "/proc/self/status"})
          .take();
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  EXPECT_EQ(child.wait(), "exited with status 0");
}

TEST_F(ChildProcessTest, DiesOfSigpipeAlsoIfWeDoNot) {
  ASSERT_NE(signal(SIGPIPE, SIG_IGN), SIG_ERR);
  ChildProcess child = run_shell("kill -PIPE $$");
  ASSERT_NE(signal(SIGPIPE, SIG_DFL), SIG_ERR);
  EXPECT_EQ(child.wait(), "was killed by signal 13 (Broken pipe)");
}

TEST_F(ChildProcessTest, DescriptorOfItTellsOfItsEnd) {
  ChildProcess child = waiting_child();
  EXPECT_FALSE(has_ended(child, 0));
  ASSERT_GE(write(sockets_.first.get(), "\n", 1), 0);
  EXPECT_TRUE(has_ended(child, -1));
  EXPECT_EQ(child.wait(), "exited with status 0");
}

TEST_F(ChildProcessTest, DescriptorOfItIsClosedOnExec) {
  EXPECT_NE(fcntl(waiting_child().pidfd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(ChildProcessTest, IsKilled) {
  ChildProcess child = waiting_child();
  child.kill();
  EXPECT_EQ(child.wait(), "was killed by signal 9 (Killed)");
}

TEST_F(ChildProcessTest, MayBeKilledAfterItsEnd) {
  ChildProcess child = run_shell("exit 5");
  ASSERT_TRUE(has_ended(child, -1));
  child.kill();
  EXPECT_EQ(child.wait(), "exited with status 5");
  child.kill();
  EXPECT_FALSE(has_children());
}

TEST_F(ChildProcessTest, StoppedOneIsKilledAsWell) {
  ChildProcess child = waiting_child();
  ::kill(child.pid(), SIGSTOP);
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child.pid()), nullptr, WSTOPPED),
            0);
  child.kill();
  EXPECT_EQ(child.wait(), "was killed by signal 9 (Killed)");
}

TEST_F(ChildProcessTest, EndsAndIsReapedWithItsObject) {
  int pid = -1;
  {
    const ChildProcess child = waiting_child();
    pid = child.pid();
    ASSERT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_FALSE(has_children());
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST_F(ChildProcessTest, MovesWithItsObject) {
  ChildProcess first = waiting_child();
  const int pid = first.pid();
  ChildProcess second(std::move(first));
  EXPECT_EQ(second.pid(), pid);
  EXPECT_FALSE(has_ended(second, 0));
}

TEST_F(ChildProcessTest, EndsWhenItsObjectBecomesAnother) {
  ChildProcess child = waiting_child();
  const int pid = child.pid();
  child = waiting_child();
  EXPECT_NE(child.pid(), pid);
  EXPECT_EQ(waitpid(pid, nullptr, 0), -1);
  EXPECT_FALSE(has_ended(child, 0));
  child = ChildProcess();
  EXPECT_FALSE(has_children());
}

// As in a program that does not care for its children.
TEST_F(ChildProcessTest, EndsWithoutWordsWhereNobodyIsToReap) {
  ASSERT_NE(signal(SIGCHLD, SIG_IGN), SIG_ERR);
  ChildProcess child = waiting_child();
  child.kill();
  EXPECT_EQ(child.wait(), "ended in an unknown way");
  { const ChildProcess other = waiting_child(); }
  ASSERT_NE(signal(SIGCHLD, SIG_DFL), SIG_ERR);
  EXPECT_FALSE(has_children());
}

TEST_F(ChildProcessTest, IsAnErrorAndLeavesNoneBehindWithoutDescriptors) {
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const UniqueFd lowest_free = UniqueFd::duplicate(STDIN_FILENO);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(lowest_free.get()) + 1;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto child = spawn({"sleep", "infinity"});
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(child);
  EXPECT_EQ(child.error().text(), "cannot run sleep: Too many open files");
  EXPECT_FALSE(has_children());
}

TEST(ChildProcessOfNobody, HasNothingToEnd) {
  ChildProcess none;
  none.kill();
  EXPECT_EQ(none.pid(), -1);
  EXPECT_EQ(none.pidfd(), -1);
}

}  // namespace
}  // namespace dispatch::os
