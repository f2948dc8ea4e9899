// SPDX-License-Identifier: LGPL-2.1-or-later
//
// main() of the test programs that use GStreamer, instead of GoogleTest's own.
//
// A CRITICAL of GLib or GStreamer ends the program. So does a test that hangs:
// SIGALRM, far beyond what a slow machine needs.
#include <gtest/gtest.h>
#include <unistd.h>

#include <gst/gst.h>

#include "element_under_test.h"
#include "shared_gate.h"

namespace {

constexpr unsigned kHangsAfterSeconds = 400;

class HangGuard final : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo& /*test*/) override {
    alarm(kHangsAfterSeconds);
  }
  void OnTestEnd(const testing::TestInfo& /*test*/) override { alarm(0); }
};

}  // namespace

int main(int argc, char** argv) {
  dispatch::test::read_element_under_test(argc, argv);
  dispatch::test::prepare_gates();
  testing::InitGoogleTest(&argc, argv);
  gst_init(&argc, &argv);
  g_log_set_always_fatal(
      static_cast<GLogLevelFlags>(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK));
  testing::UnitTest::GetInstance()->listeners().Append(new HangGuard);
  const int result = RUN_ALL_TESTS();
  gst_deinit();
  return result;
}
