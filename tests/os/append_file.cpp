// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/append_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace dispatch::os {
namespace {

class AppendFileTest : public testing::Test {
 protected:
  AppendFileTest() {
    std::string name =
        (std::filesystem::temp_directory_path() / "append-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    path_ = folder_ / "file";
  }
  ~AppendFileTest() override { std::filesystem::remove_all(folder_); }

  std::optional<AppendFile> open() {
    auto file = AppendFile::open(path_, "[\n");
    if (!file) return std::nullopt;
    return file.take();
  }
  std::string content() const {
    std::ostringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

  std::filesystem::path folder_;
  std::filesystem::path path_;
};

TEST_F(AppendFileTest, BeginsANewFile) {
  auto sut = open();
  ASSERT_TRUE(sut);
  EXPECT_EQ(sut->append("one\n"), 0);
  EXPECT_EQ(sut->append("two\n"), 0);
  EXPECT_EQ(content(), "[\none\ntwo\n");
}

TEST_F(AppendFileTest, BeginsAnewWhatNobodyWritesTo) {
  open()->append("of an earlier run, and longer\n");
  auto sut = open();
  sut->append("new\n");
  EXPECT_EQ(content(), "[\nnew\n");
}

TEST_F(AppendFileTest, AddsToWhatSomebodyWritesTo) {
  auto first = open();
  first->append("first\n");
  auto second = open();
  second->append("second\n");
  first->append("first again\n");
  EXPECT_EQ(content(), "[\nfirst\nsecond\nfirst again\n");
}

TEST_F(AppendFileTest, IsStillWrittenToWhenTheFirstOneHasEnded) {
  auto first = open();
  auto second = open();
  first.reset();
  auto third = open();
  third->append("third\n");
  second->append("second\n");
  EXPECT_EQ(content(), "[\nthird\nsecond\n");
}

TEST_F(AppendFileTest, SaysWhatCannotBeOpened) {
  path_ = folder_ / "no folder" / "file";
  auto file = AppendFile::open(path_, "[\n");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ENOENT);
  EXPECT_EQ(file.error().what, "cannot open " + path_.string());
}

TEST_F(AppendFileTest, SaysThatNobodyReadsAPipe) {
  ASSERT_EQ(mkfifo(path_.c_str(), S_IRUSR | S_IWUSR), 0);
  auto file = AppendFile::open(path_, "[\n");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().text(), "nobody reads the pipe " + path_.string() +
                                     "; start its reader first");
}

TEST_F(AppendFileTest, DoesNotWaitForEverForAReader) {
  ASSERT_EQ(mkfifo(path_.c_str(), S_IRUSR | S_IWUSR), 0);
  const UniqueFd reader(::open(path_.c_str(), O_RDONLY | O_NONBLOCK));
  ASSERT_TRUE(reader);
  auto sut = open();
  ASSERT_TRUE(sut);
  const std::string more_than_it_holds(1U << 21U, 'x');
  EXPECT_EQ(sut->append(more_than_it_holds), ETIMEDOUT);
}

TEST_F(AppendFileTest, SaysThatThereIsNoSpace) {
  path_ = "/dev/full";
  auto file = AppendFile::open(path_, "[\n");
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ENOSPC);
}

}  // namespace
}  // namespace dispatch::os
