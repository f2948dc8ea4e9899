// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include "workerpool_harness.h"

namespace dispatch::test {
namespace {

TEST(Workerpool, PassesAFrame) {
  Gate gate;
  Harness sut("stage=identity max-workers=2", {.gate = &gate});
  EXPECT_EQ(sut.push(7), GST_FLOW_OK);
  EXPECT_EQ(sut.pull_number(), 7U);
}

}  // namespace
}  // namespace dispatch::test
