// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The gate of a test in the pipeline of another process: what the tests of
// worker processes rest on.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>

#include "element_harness.h"

namespace dispatch::test {
namespace {

using Numbers = std::vector<std::uint64_t>;

// `count` frames through an element `gate` in another process.
class Launched {
 public:
  explicit Launched(int count) {
    const std::string line =
        "gst-launch-1.0 -q videotestsrc num-buffers=" + std::to_string(count) +
        " ! gate ! fakesink";
    g_auto(GStrv) argv = g_strsplit(line.c_str(), " ", -1);
    const auto flags = static_cast<GSpawnFlags>(G_SPAWN_SEARCH_PATH |
                                                G_SPAWN_DO_NOT_REAP_CHILD);
    if (!g_spawn_async(nullptr, argv, nullptr, flags, nullptr, nullptr, &pid_,
                       nullptr))
      give_up(argv[0]);
  }
  Launched(const Launched&) = delete;
  Launched& operator=(const Launched&) = delete;
  ~Launched() {
    if (pid_ != 0) kill_and_wait();
  }

  // Whether it ends by itself, in order.
  bool ends_well() {
    int status = -1;
    waitpid(std::exchange(pid_, 0), &status, 0);
    return status == 0;
  }
  void kill_and_wait() {
    kill(pid_, SIGKILL);
    waitpid(std::exchange(pid_, 0), nullptr, 0);
  }

 private:
  GPid pid_ = 0;
};

TEST(Gates, StopFramesInAnotherProcess) {
  Gate gate;
  gate.attach_to_stages();
  gate.hold(2);
  Launched other(4);
  gate.wait_until_held(2);
  EXPECT_EQ(gate.seen(), (Numbers{0, 1, 2}));
  gate.open();
  EXPECT_TRUE(other.ends_well());
  EXPECT_EQ(gate.seen(), (Numbers{0, 1, 2, 3}));
}

TEST(Gates, StopFramesInSeveralProcessesAtOnce) {
  Gate gate;
  gate.attach_to_stages();
  gate.hold_all();
  Launched one(1);
  Launched other(1);
  gate.wait_until_holding(2);
  gate.release(0);
  EXPECT_TRUE(one.ends_well());
  EXPECT_TRUE(other.ends_well());
}

TEST(Gates, OutliveAProcessThatIsKilledInThem) {
  Gate gate;
  gate.attach_to_stages();
  gate.hold(1);
  Launched first(2);
  gate.wait_until_held(1);
  first.kill_and_wait();
  Launched second(2);
  gate.wait_until_seen(4);
  gate.open();
  EXPECT_TRUE(second.ends_well());
}

TEST(Gates, ThatAreGoneHoldNothing) {
  auto gate = std::make_unique<Gate>();
  gate->attach_to_stages();
  gate->hold_all();
  Launched before(1);
  gate->wait_until_held(0);
  gate.reset();
  EXPECT_TRUE(before.ends_well());
  EXPECT_TRUE(Launched(1).ends_well());
}

}  // namespace
}  // namespace dispatch::test
