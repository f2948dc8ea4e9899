// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/message_rate.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

using std::chrono::milliseconds;

constexpr MonotonicTime kBegin{std::chrono::seconds(7)};

TEST(MessageRate, TellsSoManyInASecond) {
  MessageRate sut;
  for (unsigned i = 0; i < MessageRate::kMostPerSecond; ++i)
    EXPECT_EQ(sut.pass(kBegin + milliseconds(i)), 0U);
  EXPECT_EQ(sut.pass(kBegin + milliseconds(999)), std::nullopt);
}

TEST(MessageRate, SaysHowManyItKeptBack) {
  MessageRate sut;
  for (unsigned i = 0; i < MessageRate::kMostPerSecond + 3; ++i)
    sut.pass(kBegin);
  EXPECT_EQ(sut.pass(kBegin + milliseconds(1000)), 3U);
  EXPECT_EQ(sut.pass(kBegin + milliseconds(1001)), 0U);
}

TEST(MessageRate, ASecondBeginsWithTheFirstMessageInIt) {
  MessageRate sut;
  sut.pass(kBegin);
  for (unsigned i = 1; i < MessageRate::kMostPerSecond; ++i)
    sut.pass(kBegin + milliseconds(900));
  EXPECT_EQ(sut.pass(kBegin + milliseconds(999)), std::nullopt);
  EXPECT_EQ(sut.pass(kBegin + milliseconds(1001)), 1U);
}

}  // namespace
}  // namespace dispatch::core
