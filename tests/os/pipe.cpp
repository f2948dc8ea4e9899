// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/pipe.h"

#include <gtest/gtest.h>

#include <array>
#include <climits>
#include <string>

namespace dispatch::os {
namespace {

class PipeTest : public testing::Test {
 protected:
  std::string read() {
    return std::string(read_some(sut_.reader.get(), space_, is_over_));
  }
  // So that nothing fits.
  void fill() {
    const std::string page(PIPE_BUF, 'x');
    for (int i = 0; i < 1000; ++i) write_what_fits(sut_.writer.get(), page);
  }

  Pipe sut_ = make_pipe().take();
  std::array<char, 100000> space_;
  bool is_over_ = true;
};

TEST_F(PipeTest, GivesWhatWasWritten) {
  write_what_fits(sut_.writer.get(), "one ");
  write_what_fits(sut_.writer.get(), "two");
  EXPECT_EQ(read(), "one two");
  EXPECT_FALSE(is_over_);
}

TEST_F(PipeTest, ThatIsEmptyIsNotWaitedFor) {
  EXPECT_EQ(read(), "");
  EXPECT_FALSE(is_over_);
}

TEST_F(PipeTest, IsOverWhenNobodyWritesAnyMore) {
  write_what_fits(sut_.writer.get(), "last");
  sut_.writer.reset();
  EXPECT_EQ(read(), "last");
  EXPECT_FALSE(is_over_);
  EXPECT_EQ(read(), "");
  EXPECT_TRUE(is_over_);
}

TEST_F(PipeTest, ThatIsFullLosesTheRestAndMakesNobodyWait) {
  fill();
  write_what_fits(sut_.writer.get(), "lost");
  std::string all;
  for (std::string part = read(); !part.empty(); part = read()) all += part;
  EXPECT_GE(all.size(), std::size_t{PIPE_BUF});
  EXPECT_EQ(all.find("lost"), std::string::npos);
}

}  // namespace
}  // namespace dispatch::os
