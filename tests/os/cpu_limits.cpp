// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/cpu_limits.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <string>
#include <thread>

#include "temp_root.h"

namespace dispatch::os {
namespace {

cpu_set_t own_affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  return set;
}

unsigned cpus_of_thread() {
  const cpu_set_t set = own_affinity();
  return static_cast<unsigned>(CPU_COUNT(&set));
}

// Without two CPUs no limit can be told from none.
class CpuLimits : public testing::Test {
 protected:
  void SetUp() override {
    if (all_ < 2) GTEST_SKIP() << "needs two CPUs";
  }

  unsigned usable() const { return usable_cpus(root_.path()); }
  void be_in(const std::string& groups) const {
    root_.write("proc/self/cgroup", groups);
  }
  // v2
  void set_max(const std::string& group, const std::string& text) const {
    root_.write("sys/fs/cgroup" + group + "/cpu.max", text);
  }
  // v1
  void set_quota(const std::string& group, const std::string& text) const {
    root_.write("sys/fs/cgroup/cpu" + group + "/cpu.cfs_quota_us", text);
  }
  void set_period(const std::string& group, const std::string& text) const {
    root_.write("sys/fs/cgroup/cpu" + group + "/cpu.cfs_period_us", text);
  }

  const unsigned all_ = cpus_of_thread();
  TempRoot root_;
};

TEST(CpuAffinity, LimitsWithoutControlGroups) {
  const TempRoot empty;
  EXPECT_EQ(usable_cpus(empty.path()), cpus_of_thread());
}

TEST(CpuAffinity, LimitsToOneCpu) {
  const TempRoot empty;
  unsigned usable = 0;
  int pinned = -1;
  std::thread([&] {
    const cpu_set_t allowed = own_affinity();
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu)
      if (CPU_ISSET(cpu, &allowed)) CPU_SET(cpu, &one);
    pinned = sched_setaffinity(0, sizeof one, &one);
    usable = usable_cpus(empty.path());
  }).join();
  ASSERT_EQ(pinned, 0);
  EXPECT_EQ(usable, 1U);
}

TEST(CpuAffinity, IsNotExceededOnThisMachine) {
  EXPECT_GE(usable_cpus(), 1U);
  EXPECT_LE(usable_cpus(), cpus_of_thread());
}

TEST_F(CpuLimits, GroupWithoutAFileLimitsNothing) {
  be_in("0::/box\n");
  EXPECT_EQ(usable(), all_);
}

TEST_F(CpuLimits, FilesWithoutAGroupLimitNothing) {
  set_max("", "100000 100000\n");
  EXPECT_EQ(usable(), all_);
}

TEST_F(CpuLimits, QuotaOfOnePeriodIsOneCpu) {
  be_in("0::/box\n");
  set_max("/box", "100000 100000\n");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, QuotaIsRoundedUp) {
  be_in("0::/box\n");
  set_max("/box", "100001 100000\n");
  EXPECT_EQ(usable(), 2U);
}

TEST_F(CpuLimits, QuotaBelowOnePeriodIsOneCpu) {
  be_in("0::/box\n");
  set_max("/box", "1000 100000\n");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, QuotaIsCountedInItsPeriod) {
  be_in("0::/box\n");
  set_max("/box", "20000 10000\n");
  EXPECT_EQ(usable(), 2U);
}

TEST_F(CpuLimits, QuotaBeyondTheAffinityLimitsNothing) {
  be_in("0::/box\n");
  set_max("/box", "900000000 100000\n");
  EXPECT_EQ(usable(), all_);
}

TEST_F(CpuLimits, MaxLimitsNothing) {
  be_in("0::/box\n");
  set_max("/box", "max 100000\n");
  EXPECT_EQ(usable(), all_);
}

TEST_F(CpuLimits, SmallerQuotaOfTheGroupAboveWins) {
  be_in("0::/outer/inner\n");
  set_max("/outer/inner", "200000 100000\n");
  set_max("/outer", "100000 100000\n");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, SmallerQuotaOfTheInnerGroupWins) {
  be_in("0::/outer/inner\n");
  set_max("/outer/inner", "100000 100000\n");
  set_max("/outer", "200000 100000\n");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, QuotaAboveAGroupWithMaxLimits) {
  be_in("0::/outer/middle/inner\n");
  set_max("/outer/middle/inner", "max 100000\n");
  set_max("/outer/middle", "max 100000\n");
  set_max("/outer", "100000 100000\n");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, QuotaAboveAGroupWithoutAFileLimits) {
  be_in("0::/outer/middle/inner\n");
  set_max("/outer", "100000 100000\n");
  EXPECT_EQ(usable(), 1U);
}

// A container with a name space of its own sees its group as the root.
TEST_F(CpuLimits, QuotaOfTheRootLimits) {
  be_in("0::/\n");
  set_max("", "100000 100000\n");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, QuotaOfTheRootLimitsGroupsBelow) {
  be_in("0::/box\n");
  set_max("", "100000 100000\n");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, QuotaOfAnotherGroupLimitsNothing) {
  be_in("0::/outer/inner\n");
  set_max("/outer/other", "100000 100000\n");
  set_max("/inner", "100000 100000\n");
  EXPECT_EQ(usable(), all_);
}

TEST_F(CpuLimits, QuotaOfAGroupBelowLimitsNothing) {
  be_in("0::/outer\n");
  set_max("/outer/inner", "100000 100000\n");
  EXPECT_EQ(usable(), all_);
}

TEST_F(CpuLimits, GroupMayHaveAColonInItsName) {
  be_in("0::/a:b\n");
  set_max("/a:b", "100000 100000\n");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, LastLineMayLackItsEnd) {
  be_in("0::/box");
  set_max("/box", "100000 100000");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, QuotaOfVersionOneLimits) {
  be_in("3:cpu,cpuacct:/box\n");
  set_quota("/box", "100000\n");
  set_period("/box", "100000\n");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, QuotaOfVersionOneIsRoundedUp) {
  be_in("3:cpuacct,cpu:/box\n");
  set_quota("/box", "100001\n");
  set_period("/box", "100000\n");
  EXPECT_EQ(usable(), 2U);
}

TEST_F(CpuLimits, QuotaOfMinusOneOfVersionOneLimitsNothing) {
  be_in("3:cpu:/box\n");
  set_quota("/box", "-1\n");
  set_period("/box", "100000\n");
  EXPECT_EQ(usable(), all_);
}

TEST_F(CpuLimits, SmallerQuotaOfVersionOneAboveWins) {
  be_in("3:cpu:/outer/inner\n");
  set_quota("/outer/inner", "200000\n");
  set_period("/outer/inner", "100000\n");
  set_quota("/outer", "50000\n");
  set_period("/outer", "100000\n");
  EXPECT_EQ(usable(), 1U);
}

// A container that sees the names of the host and the files of its own.
TEST_F(CpuLimits, QuotaOfTheRootOfVersionOneLimits) {
  be_in("3:cpu:/docker/0123\n");
  set_quota("", "100000\n");
  set_period("", "100000\n");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, QuotaOfVersionOneWithoutAPeriodLimitsNothing) {
  be_in("3:cpu:/box\n");
  set_quota("/box", "1000\n");
  EXPECT_EQ(usable(), all_);
}

TEST_F(CpuLimits, PeriodOfVersionOneWithoutAQuotaLimitsNothing) {
  be_in("3:cpu:/box\n");
  set_period("/box", "100000\n");
  EXPECT_EQ(usable(), all_);
}

TEST_F(CpuLimits, PeriodOfZeroOfVersionOneLimitsNothing) {
  be_in("3:cpu:/box\n");
  set_quota("/box", "1000\n");
  set_period("/box", "0\n");
  EXPECT_EQ(usable(), all_);
}

TEST_F(CpuLimits, ControllersWithLikeNamesLimitNothing) {
  be_in("4:cpuset:/box\n5:cpuacct:/box\n1:name=cpu:/box\n");
  set_quota("/box", "1000\n");
  set_period("/box", "100000\n");
  EXPECT_EQ(usable(), all_);
}

TEST_F(CpuLimits, VersionOneIsReadBesideVersionTwo) {
  be_in("5:memory:/\n3:cpu,cpuacct:/box\n0::/\n");
  set_quota("/box", "100000\n");
  set_period("/box", "100000\n");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, VersionTwoIsReadBesideVersionOne) {
  be_in("5:memory:/\n3:cpu,cpuacct:/box\n0::/box\n");
  set_quota("/box", "-1\n");
  set_period("/box", "100000\n");
  set_max("/box", "100000 100000\n");
  EXPECT_EQ(usable(), 1U);
}

TEST_F(CpuLimits, FolderInPlaceOfAFileLimitsNothing) {
  be_in("0::/box\n");
  root_.write("sys/fs/cgroup/box/cpu.max/file", "");
  EXPECT_EQ(usable(), all_);
}

class CpuLimitsGarbageQuota : public CpuLimits,
                              public testing::WithParamInterface<const char*> {
};
TEST_P(CpuLimitsGarbageQuota, LimitsNothing) {
  be_in("0::/box\n");
  set_max("/box", GetParam());
  EXPECT_EQ(usable(), all_);
}
INSTANTIATE_TEST_SUITE_P(Texts, CpuLimitsGarbageQuota,
                         testing::Values("", "\n", "1000", "1000 \n", "banana",
                                         "1000 banana", "0 100000",
                                         "-1000 100000", "1000 0",
                                         "1000 -100000", "max", "nan nan",
                                         "\x01\x02\xff"));

class CpuLimitsGarbageGroups : public CpuLimits,
                               public testing::WithParamInterface<const char*> {
};
TEST_P(CpuLimitsGarbageGroups, LimitNothing) {
  be_in(GetParam());
  set_max("/box", "1000 100000\n");
  set_quota("/box", "1000\n");
  set_period("/box", "100000\n");
  EXPECT_EQ(usable(), all_);
}
INSTANTIATE_TEST_SUITE_P(Texts, CpuLimitsGarbageGroups,
                         testing::Values("", "\n\n", "0", "banana",
                                         "3:memory:/box", "0:/box",
                                         "::::", "\x01\x02\xff"));

}  // namespace
}  // namespace dispatch::os
