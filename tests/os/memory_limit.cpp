// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/memory_limit.h"

#include <gtest/gtest.h>
#include <sys/sysinfo.h>

#include <cstdint>
#include <limits>
#include <string>

#include "temp_root.h"

namespace dispatch::os {
namespace {

constexpr std::uint64_t kNothing = std::numeric_limits<std::uint64_t>::max();

class MemoryLimit : public testing::Test {
 protected:
  std::uint64_t available() const { return available_memory(root_.path()); }
  void be_in(const std::string& groups) const {
    root_.write("proc/self/cgroup", groups);
  }
  void set_machine(const std::string& text) const {
    root_.write("proc/meminfo", text);
  }
  // v2
  void set(const std::string& group, const std::string& file,
           const std::string& text) const {
    root_.write("sys/fs/cgroup" + group + "/memory." + file, text);
  }
  // v1
  void set_one(const std::string& group, const std::string& file,
               const std::string& text) const {
    root_.write("sys/fs/cgroup/memory" + group + "/memory." + file, text);
  }

  TempRoot root_;
};

TEST(MemoryOfThisMachine, IsSomeAndNotMoreThanItHas) {
  struct sysinfo machine = {};
  ASSERT_EQ(sysinfo(&machine), 0);
  EXPECT_GT(available_memory(), 0U);
  EXPECT_LE(available_memory(),
            std::uint64_t{machine.totalram} * machine.mem_unit);
}

TEST_F(MemoryLimit, NothingLimitsNothing) { EXPECT_EQ(available(), kNothing); }

TEST_F(MemoryLimit, MachineLimitsToWhatItHasAvailable) {
  set_machine(
      "MemTotal:  4000 kB\nMemFree:   1000 kB\nMemAvailable:   3000 kB\n"
      "Buffers:    10 kB\n");
  EXPECT_EQ(available(), 3000U * 1024);
}

TEST_F(MemoryLimit, LessRoomInTheGroupThanInTheMachineWins) {
  set_machine("MemAvailable: 3000 kB\n");
  be_in("0::/box\n");
  set("/box", "max", "1000000\n");
  set("/box", "current", "200000\n");
  EXPECT_EQ(available(), 800000U);
}

TEST_F(MemoryLimit, LessRoomInTheMachineThanInTheGroupWins) {
  set_machine("MemAvailable: 1 kB\n");
  be_in("0::/box\n");
  set("/box", "max", "1000000\n");
  set("/box", "current", "200000\n");
  EXPECT_EQ(available(), 1024U);
}

TEST_F(MemoryLimit, GroupWithoutMemoryFilesLimitsNothing) {
  be_in("0::/box\n");
  EXPECT_EQ(available(), kNothing);
}

TEST_F(MemoryLimit, MaxIsNoLimitOfMemory) {
  be_in("0::/box\n");
  set("/box", "max", "max\n");
  set("/box", "high", "max\n");
  set("/box", "current", "200000\n");
  EXPECT_EQ(available(), kNothing);
}

TEST_F(MemoryLimit, LimitOfAGroupThatDoesNotSayWhatItUsesIsAllThere) {
  be_in("0::/box\n");
  set("/box", "max", "1000000\n");
  EXPECT_EQ(available(), 1000000U);
}

TEST_F(MemoryLimit, FullGroupLeavesNothing) {
  be_in("0::/box\n");
  set("/box", "max", "1000000\n");
  set("/box", "current", "1000000\n");
  EXPECT_EQ(available(), 0U);
}

// A limit that was lowered.
TEST_F(MemoryLimit, GroupBeyondItsLimitLeavesNothing) {
  be_in("0::/box\n");
  set("/box", "max", "1000000\n");
  set("/box", "current", "1000001\n");
  EXPECT_EQ(available(), 0U);
}

TEST_F(MemoryLimit, LimitOfZeroLeavesNothing) {
  be_in("0::/box\n");
  set("/box", "max", "0\n");
  EXPECT_EQ(available(), 0U);
}

TEST_F(MemoryLimit, HighLimitsBelowMax) {
  be_in("0::/box\n");
  set("/box", "max", "1000000\n");
  set("/box", "high", "900000\n");
  set("/box", "current", "200000\n");
  EXPECT_EQ(available(), 700000U);
}

TEST_F(MemoryLimit, HighLimitsWithoutMax) {
  be_in("0::/box\n");
  set("/box", "max", "max\n");
  set("/box", "high", "900000\n");
  set("/box", "current", "200000\n");
  EXPECT_EQ(available(), 700000U);
}

TEST_F(MemoryLimit, CachesOfFilesMakeRoom) {
  be_in("0::/box\n");
  set("/box", "max", "1000000\n");
  set("/box", "current", "900000\n");
  set("/box", "stat",
      "anon 100000\nfile 800000\nshmem 5\ninactive_anon 7\nactive_anon 9\n"
      "inactive_file 300000\nactive_file 200000\nunevictable 11\n"
      "slab_reclaimable 1000\nslab_unreclaimable 13\n");
  EXPECT_EQ(available(), 601000U);
}

// The files are not read at the same moment.
TEST_F(MemoryLimit, CachesMakeNoMoreRoomThanIsUsed) {
  be_in("0::/box\n");
  set("/box", "max", "1000000\n");
  set("/box", "current", "100\n");
  set("/box", "stat", "inactive_file 300000\n");
  EXPECT_EQ(available(), 1000000U);
}

TEST_F(MemoryLimit, LessRoomInTheGroupAboveWins) {
  be_in("0::/outer/inner\n");
  set("/outer/inner", "max", "1000000\n");
  set("/outer/inner", "current", "100000\n");
  set("/outer", "max", "2000000\n");
  set("/outer", "current", "1900000\n");
  EXPECT_EQ(available(), 100000U);
}

TEST_F(MemoryLimit, LessRoomInTheInnerGroupWins) {
  be_in("0::/outer/inner\n");
  set("/outer/inner", "max", "1000000\n");
  set("/outer/inner", "current", "950000\n");
  set("/outer", "max", "2000000\n");
  set("/outer", "current", "1900000\n");
  EXPECT_EQ(available(), 50000U);
}

// A container with a name space of its own sees its group as the root.
TEST_F(MemoryLimit, LimitOfTheRootOfAContainerCounts) {
  be_in("0::/\n");
  set("", "max", "1000000\n");
  set("", "current", "100000\n");
  EXPECT_EQ(available(), 900000U);
}

TEST_F(MemoryLimit, LimitOfAnotherGroupDoesNotCount) {
  be_in("0::/outer/inner\n");
  set("/outer/other", "max", "1000\n");
  set("/inner", "max", "1000\n");
  set("/outer/inner/below", "max", "1000\n");
  EXPECT_EQ(available(), kNothing);
}

TEST_F(MemoryLimit, VersionOneLimits) {
  be_in("4:memory:/box\n");
  set_one("/box", "limit_in_bytes", "1000000\n");
  set_one("/box", "usage_in_bytes", "900000\n");
  EXPECT_EQ(available(), 100000U);
}

TEST_F(MemoryLimit, CachesOfFilesMakeRoomInVersionOne) {
  be_in("4:memory:/box\n");
  set_one("/box", "limit_in_bytes", "1000000\n");
  set_one("/box", "usage_in_bytes", "900000\n");
  // The names without "total_" leave out the groups below.
  set_one("/box", "stat",
          "cache 3\ninactive_file 5\nactive_file 7\ntotal_cache 500000\n"
          "total_inactive_file 300000\ntotal_active_file 100000\n");
  EXPECT_EQ(available(), 500000U);
}

// What the kernel says for no limit: a number that no machine has.
TEST_F(MemoryLimit, MachineCountsWhereVersionOneHasNoLimit) {
  set_machine("MemAvailable: 3000 kB\n");
  be_in("4:memory:/box\n");
  set_one("/box", "limit_in_bytes", "9223372036854771712\n");
  set_one("/box", "usage_in_bytes", "900000\n");
  EXPECT_EQ(available(), 3000U * 1024);
}

// A container that sees the names of the host and the files of its own.
TEST_F(MemoryLimit, LimitOfTheRootOfVersionOneCounts) {
  be_in("4:memory:/docker/0123\n");
  set_one("", "limit_in_bytes", "1000000\n");
  set_one("", "usage_in_bytes", "100000\n");
  EXPECT_EQ(available(), 900000U);
}

TEST_F(MemoryLimit, BothVersionsCountBesideEachOther) {
  be_in("4:memory:/box\n0::/box\n");
  set_one("/box", "limit_in_bytes", "1000000\n");
  set("/box", "max", "900000\n");
  EXPECT_EQ(available(), 900000U);
  set_one("/box", "limit_in_bytes", "800000\n");
  EXPECT_EQ(available(), 800000U);
}

TEST_F(MemoryLimit, OtherControllersDoNotCount) {
  be_in("4:cpu:/box\n5:memory2:/box\n1:name=memory:/box\n");
  set_one("/box", "limit_in_bytes", "1000\n");
  set("/box", "max", "1000\n");
  EXPECT_EQ(available(), kNothing);
}

class MemoryLimitGarbage : public MemoryLimit,
                           public testing::WithParamInterface<const char*> {};

TEST_P(MemoryLimitGarbage, LimitsNothing) {
  set_machine(GetParam());
  be_in("4:memory:/box\n0::/box\n");
  set("/box", "max", GetParam());
  set("/box", "high", GetParam());
  set_one("/box", "limit_in_bytes", GetParam());
  EXPECT_EQ(available(), kNothing);
}

TEST_P(MemoryLimitGarbage, MakesNoRoom) {
  be_in("0::/box\n");
  set("/box", "max", "1000000\n");
  set("/box", "current", "900000\n");
  set("/box", "stat", GetParam());
  EXPECT_EQ(available(), 100000U);
}

INSTANTIATE_TEST_SUITE_P(Texts, MemoryLimitGarbage,
                         testing::Values("", "\n", "banana", "max",
                                         "MemAvailable:", "MemAvailable: x kB",
                                         "inactive_file", "inactive_file x",
                                         "\x01\x02\xff",
                                         "99999999999999999999999999"));

}  // namespace
}  // namespace dispatch::os
