// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Processes that go when nobody wants it: workers, and the dispatcher itself.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "element_harness.h"
#include "os/child_process.h"
#include "os/packet_socket.h"

namespace dispatch::test {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// ---- At the start ----------------------------------------------------------

// The error of an element that does not go to PAUSED.
std::string error_of_starting(const char* stage, const char* command) {
  const ElementPtr element = new_element();
  Messages messages(element.get());
  g_object_set(element.get(), "stage", stage, "max-workers", 2,
               "worker-command", command, nullptr);
  EXPECT_EQ(gst_element_set_state(element.get(), GST_STATE_PAUSED),
            GST_STATE_CHANGE_FAILURE);
  std::string error = Messages::text(messages.wait(GST_MESSAGE_ERROR).get());
  gst_element_set_state(element.get(), GST_STATE_NULL);
  EXPECT_EQ(messages.count(GST_MESSAGE_ERROR), 0U) << "it is told once";
  EXPECT_EQ(child_processes(), std::vector<pid_t>());
  return error;
}

TEST(Start, OfAWorkerThatEndsSaysHowAndWhatItWroteLast) {
  const std::string error = error_of_starting(
      "identity", "sh -c 'echo too early >&2; echo no licence >&2; exit 3'");
  EXPECT_TRUE(has(error, "exited with status 3")) << error;
  EXPECT_TRUE(has(error, "too early\nno licence")) << error;
}

// It can be parsed, but not started.
TEST(Start, OfAWrongStageSaysWhatTheStageSays) {
  if (!gst_registry_check_feature_version(gst_registry_get(),
                                          "gdkpixbufoverlay", 1, 0, 0))
    GTEST_SKIP() << "there is no gdkpixbufoverlay";
  const std::string error =
      error_of_starting("gdkpixbufoverlay location=/no/such/image", "");
  EXPECT_TRUE(has(error, "worker0, element 'gdkpixbufoverlay0'")) << error;
  EXPECT_TRUE(has(error, "Could not load overlay image")) << error;
}

TEST(ErrorOutput, OfAWorkerIsOursToo) {
  testing::internal::CaptureStderr();
  error_of_starting("identity", "sh -c 'echo a line of it >&2; exit 3'");
  const std::string ours = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(has(ours, "a line of it\n")) << ours;
}

TEST(ErrorOutput, ThatAProcessOfTheWorkersKeepsOpenIsNotWaitedFor) {
  const auto start = steady_clock::now();
  const std::string error = error_of_starting(
      "identity", "sh -c 'sleep 1000 & echo pid $! >&2; exit 3'");
  EXPECT_LT(steady_clock::now() - start, seconds(20));
  const std::size_t place = error.rfind("pid ");
  ASSERT_NE(place, std::string::npos) << error;
  EXPECT_EQ(kill(std::stoi(error.substr(place + 4)), SIGKILL), 0);
}

TEST(ErrorOutput, WithoutEndIsBounded) {
  testing::internal::CaptureStderr();
  const std::string error = error_of_starting(
      "identity", "sh -c 'head -c 3000000 /dev/zero | tr \\\\0 x >&2; exit 3'");
  testing::internal::GetCapturedStderr();
  EXPECT_TRUE(has(error, "xxxxx")) << error;
  EXPECT_LT(error.size(), 10000U);
}

// ---- The dispatcher --------------------------------------------------------

constexpr int kSocket = 3;
constexpr int kPatienceMs = 30000;

// Runs in a process of its own, which is killed: tells which workers it has,
// with frames on their way.
TEST(Dispatcher, DISABLED_PlaysUntilItIsKilled) {
  const ElementPtr pipeline = stage::sink_object(
      gst_parse_launch("fakesrc is-live=true sizetype=fixed sizemax=1000 ! "
                       "shmdispatch min-workers=3 max-workers=3 "
                       "stage=\"identity sleep-time=1000\" ! fakesink",
                       nullptr));
  ASSERT_TRUE(pipeline);
  gst_element_set_state(pipeline.get(), GST_STATE_PLAYING);
  gst_element_get_state(pipeline.get(), nullptr, nullptr, GST_CLOCK_TIME_NONE);
  const std::vector<pid_t> pids = child_processes();
  os::send_packet(kSocket, std::as_bytes(std::span(pids)), {});
  pause();
}

TEST(Dispatcher, ThatIsKilledIsSurvivedByNobody) {
  auto sockets = os::make_socket_pair().take();
  auto dispatcher =
      os::ChildProcess::spawn(
          {"/proc/self/exe", "--element=shmdispatch",
           "--gtest_also_run_disabled_tests",
           "--gtest_filter=Dispatcher.DISABLED_PlaysUntilItIsKilled"},
          {}, sockets.second.get(), kSocket)
          .take();
  sockets.second.reset();
  pollfd readable = {sockets.first.get(), POLLIN, 0};
  ASSERT_EQ(poll(&readable, 1, kPatienceMs), 1);
  os::Packet packet;
  ASSERT_EQ(os::receive_packet(sockets.first.get(), packet),
            os::Received::kPacket);
  std::vector<pid_t> pids(packet.bytes.size() / sizeof(pid_t));
  std::memcpy(pids.data(), packet.bytes.data(), packet.bytes.size());
  ASSERT_GE(pids.size(), 3U);  // and a spare, if it has come already
  std::vector<os::UniqueFd> workers;
  for (const pid_t pid : pids) {
    workers.emplace_back(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    ASSERT_TRUE(workers.back());
  }
  dispatcher.kill();
  EXPECT_EQ(dispatcher.wait(), "was killed by signal 9 (Killed)");
  for (const os::UniqueFd& worker : workers) {
    pollfd end = {worker.get(), POLLIN, 0};
    EXPECT_EQ(poll(&end, 1, kPatienceMs), 1) << "it is still there";
  }
}

}  // namespace
}  // namespace dispatch::test
