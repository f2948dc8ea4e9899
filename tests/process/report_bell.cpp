// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/report_bell.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace dispatch::test {
namespace {

using process::ReportBell;
using process::SharedBell;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

SharedBell new_bell() {
  return SharedBell::make("gst-dispatch-bell", /*peers_write=*/true).take();
}

core::Duration time_of_wait(
    ReportBell& sut, std::uint32_t seen,
    std::optional<core::MonotonicTime> until = std::nullopt) {
  const auto start = steady_clock::now();
  sut.wait(seen, until);
  return steady_clock::now() - start;
}

class WithSpin : public testing::TestWithParam<milliseconds> {};

TEST_P(WithSpin, AWaitEndsWhenItsTimeHasCome) {
  ReportBell sut(new_bell(), GetParam());
  const auto waited =
      time_of_wait(sut, sut.look(), steady_clock::now() + milliseconds(50));
  EXPECT_GE(waited, milliseconds(50));
  EXPECT_LT(waited, milliseconds(5000));
}

TEST_P(WithSpin, WhatHasRungSinceIsNotSleptOver) {
  ReportBell sut(new_bell(), GetParam());
  const std::uint32_t seen = sut.look();
  sut.ring();
  EXPECT_LT(time_of_wait(sut, seen), milliseconds(5000));
}

TEST_P(WithSpin, RingingEndsAWait) {
  ReportBell sut(new_bell(), GetParam());
  const std::uint32_t seen = sut.look();
  std::thread ringer([&] {
    std::this_thread::sleep_for(milliseconds(20));
    sut.ring();
  });
  EXPECT_LT(time_of_wait(sut, seen), milliseconds(5000));
  ringer.join();
}

// Who sleeps knows nothing of those that come.
TEST_P(WithSpin, OtherWorkersEndAWait) {
  ReportBell sut(new_bell(), GetParam());
  const std::uint32_t seen = sut.look();
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds(20));
    sut.set_workers({}, nullptr);
  });
  EXPECT_LT(time_of_wait(sut, seen), milliseconds(1500));
  other.join();
}

TEST(ReportBell, ThatAWorkerTurnsBackIsNotSleptOverForEver) {
  ReportBell sut(new_bell(), core::Duration::zero());
  const std::uint32_t seen = sut.look();
  sut.ring();
  sut.bell()->rings = seen;
  EXPECT_LT(time_of_wait(sut, seen), milliseconds(60000));
}

INSTANTIATE_TEST_SUITE_P(Of, WithSpin,
                         testing::Values(milliseconds(0), milliseconds(10000)),
                         [](const auto& each) {
                           return std::to_string(each.param.count()) + "ms";
                         });

}  // namespace
}  // namespace dispatch::test
