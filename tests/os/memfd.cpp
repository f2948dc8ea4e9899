// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/memfd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace dispatch::os {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
using Access = Mapping::Access;

std::size_t page_bytes() { return static_cast<std::size_t>(getpagesize()); }

UniqueFd memfd_of(std::size_t bytes) {
  return create_memfd("test", bytes).take();
}

UniqueFd sealed_memfd(Seal what) {
  UniqueFd fd = memfd_of(1);
  EXPECT_TRUE(seal(fd.get(), what));
  return fd;
}

UniqueFd plain_file() {
  return UniqueFd(open("/tmp", O_TMPFILE | O_RDWR, 0600));
}

std::size_t reserved_bytes(int fd) {
  struct stat status = {};
  EXPECT_EQ(fstat(fd, &status), 0);
  return static_cast<std::size_t>(status.st_blocks) * 512;
}

std::string own_maps() {
  std::ostringstream text;
  text << std::ifstream("/proc/self/maps").rdbuf();
  return text.str();
}

// Whether the page tables have all pages: no access can fault.
bool is_all_there(const Mapping& mapping) {
  const UniqueFd pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(bool(pagemap));
  constexpr std::uint64_t kIsPresent = std::uint64_t{1} << 63;
  const auto first = reinterpret_cast<std::uintptr_t>(mapping.data());
  for (std::size_t at = 0; at < mapping.size(); at += page_bytes()) {
    std::uint64_t entry = 0;
    const auto place = static_cast<off_t>((first + at) / page_bytes() * 8);
    EXPECT_EQ(pread(pagemap.get(), &entry, sizeof entry, place), 8);
    if ((entry & kIsPresent) == 0) return false;
  }
  return true;
}

std::size_t free_huge_pages() {
  std::size_t pages = 0;
  std::ifstream("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") >>
      pages;
  return pages;
}

TEST(WholePages, AreRoundedUp) {
  EXPECT_EQ(whole_pages(0, Pages::kNormal), 0U);
  EXPECT_EQ(whole_pages(1, Pages::kNormal), page_bytes());
  EXPECT_EQ(whole_pages(page_bytes(), Pages::kNormal), page_bytes());
  EXPECT_EQ(whole_pages(page_bytes() + 1, Pages::kNormal), 2 * page_bytes());
  EXPECT_EQ(whole_pages(1, Pages::kHuge), 2 * kMiB);
  EXPECT_EQ(whole_pages(2 * kMiB, Pages::kHuge), 2 * kMiB);
  EXPECT_EQ(whole_pages(2 * kMiB + 1, Pages::kHuge), 4 * kMiB);
}

TEST(WholePages, DoNotWrapAround) {
  EXPECT_EQ(whole_pages(kMost, Pages::kNormal), kMost - page_bytes() + 1);
  EXPECT_EQ(whole_pages(kMost - page_bytes() + 1, Pages::kNormal),
            kMost - page_bytes() + 1);
  EXPECT_EQ(whole_pages(kMost - page_bytes(), Pages::kNormal),
            kMost - page_bytes() + 1);
  EXPECT_EQ(whole_pages(kMost, Pages::kHuge), kMost - 2 * kMiB + 1);
}

TEST(Memfd, IsReservedInWholePages) {
  const UniqueFd fd = memfd_of(9 * kMiB + 1);
  EXPECT_EQ(size_of(fd.get()), 9 * kMiB + page_bytes());
  EXPECT_EQ(reserved_bytes(fd.get()), 9 * kMiB + page_bytes());
}

TEST(Memfd, IsClosedOnExec) {
  EXPECT_NE(fcntl(memfd_of(1).get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Memfd, CannotBeMadeAProgram) {
  if (!UniqueFd(memfd_create("probe", MFD_CLOEXEC | MFD_NOEXEC_SEAL)))
    GTEST_SKIP() << "the kernel is older than 6.3";
  EXPECT_NE(fchmod(memfd_of(1).get(), 0700), 0);
}

TEST(Memfd, HasItsNameInTheMaps) {
  const UniqueFd fd = create_memfd("dispatch-name-of-a-test", 1).take();
  const Mapping mapping = Mapping::make(fd.get(), 1, Access::kRead).take();
  EXPECT_NE(own_maps().find("dispatch-name-of-a-test"), std::string::npos);
}

TEST(Memfd, TakesANameOfAnyLength) {
  EXPECT_TRUE(create_memfd(std::string(10000, 'x'), 1));
  EXPECT_TRUE(create_memfd("", 1));
}

TEST(Memfd, OfMoreThanThereCanBeIsAnError) {
  for (const std::size_t bytes : {kMost, kMost / 2 + 1, kMost / 4}) {
    const Result<UniqueFd> fd = create_memfd("test", bytes);
    ASSERT_FALSE(fd);
    EXPECT_EQ(fd.error().code, ENOMEM);
    EXPECT_TRUE(fd.error().text().starts_with("cannot reserve "))
        << fd.error().text();
  }
}

TEST(Memfd, IsAnErrorWithoutDescriptors) {
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const Result<UniqueFd> fd = create_memfd("test", 1);
  const UniqueFd copy = UniqueFd::duplicate(STDIN_FILENO);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().text(),
            "cannot make shared memory: Too many open files");
  EXPECT_FALSE(copy);
}

// Each signal undoes the reservation that it interrupts.
TEST(Memfd, IsReservedWhileSignalsCome) {
  static std::atomic<int> signals;
  signals = 0;
  struct sigaction action = {};
  action.sa_handler = [](int) { ++signals; };
  struct sigaction before = {};
  ASSERT_EQ(sigaction(SIGALRM, &action, &before), 0);
  const itimerval often = {{0, 1000}, {0, 1000}};
  ASSERT_EQ(setitimer(ITIMER_REAL, &often, nullptr), 0);
  while (signals < 10)
    EXPECT_EQ(reserved_bytes(memfd_of(64 * kMiB).get()), 64 * kMiB);
  const itimerval never = {};
  ASSERT_EQ(setitimer(ITIMER_REAL, &never, nullptr), 0);
  sigaction(SIGALRM, &before, nullptr);
}

TEST(Seal, OfTheSizeKeepsIt) {
  const UniqueFd fd = sealed_memfd(Seal::kSize);
  EXPECT_NE(ftruncate(fd.get(), 0), 0);
  EXPECT_NE(ftruncate(fd.get(), 100 * kMiB), 0);
  EXPECT_EQ(size_of(fd.get()), page_bytes());
}

TEST(Seal, OfTheSizeLeavesWriting) {
  const UniqueFd fd = sealed_memfd(Seal::kSize);
  EXPECT_EQ(pwrite(fd.get(), "a", 1, 0), 1);
  EXPECT_TRUE(Mapping::make(fd.get(), 1, Access::kReadWrite));
}

TEST(Seal, AgainstNewWritersLeavesTheOldOne) {
  const UniqueFd fd = memfd_of(1);
  const Mapping old = Mapping::make(fd.get(), 1, Access::kReadWrite).take();
  ASSERT_TRUE(seal(fd.get(), Seal::kSizeAndNoNewWriters));
  const Mapping reader = Mapping::make(fd.get(), 1, Access::kRead).take();
  *old.data() = std::byte{42};
  EXPECT_EQ(*reader.data(), std::byte{42});
}

TEST(Seal, AgainstNewWritersRefusesThem) {
  const UniqueFd fd = sealed_memfd(Seal::kSizeAndNoNewWriters);
  EXPECT_EQ(Mapping::make(fd.get(), 1, Access::kReadWrite).error().code, EPERM);
  EXPECT_EQ(pwrite(fd.get(), "a", 1, 0), -1);
  EXPECT_NE(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                      getpagesize()),
            0);
  EXPECT_NE(ftruncate(fd.get(), 0), 0);
}

TEST(Seal, AgainstNewWritersHoldsForAnotherOpening) {
  const UniqueFd fd = sealed_memfd(Seal::kSizeAndNoNewWriters);
  const std::string name = "/proc/self/fd/" + std::to_string(fd.get());
  const UniqueFd again(open(name.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(bool(again));
  EXPECT_FALSE(Mapping::make(again.get(), 1, Access::kReadWrite));
}

TEST(Seal, AgainstNewWritersKeepsReadersFromWriting) {
  const UniqueFd fd = sealed_memfd(Seal::kSizeAndNoNewWriters);
  const Mapping reader = Mapping::make(fd.get(), 1, Access::kRead).take();
  EXPECT_NE(mprotect(reader.data(), reader.size(), PROT_READ | PROT_WRITE), 0);
}

TEST(Seal, IsTheLastOne) {
  const UniqueFd fd = sealed_memfd(Seal::kSize);
  EXPECT_NE(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  EXPECT_FALSE(seal(fd.get(), Seal::kSizeAndNoNewWriters));
}

TEST(Seal, OfWhatIsNoSharedMemoryFails) {
  EXPECT_FALSE(seal(UniqueFd(eventfd(0, EFD_CLOEXEC)).get(), Seal::kSize));
  EXPECT_FALSE(
      seal(UniqueFd(memfd_create("bare", MFD_CLOEXEC)).get(), Seal::kSize));
  EXPECT_FALSE(seal(-1, Seal::kSize));
}

TEST(KeepsSize, OnlyWhenSealed) {
  EXPECT_FALSE(keeps_size(memfd_of(1).get()));
  EXPECT_TRUE(keeps_size(sealed_memfd(Seal::kSize).get()));
  EXPECT_TRUE(keeps_size(sealed_memfd(Seal::kSizeAndNoNewWriters).get()));
}

TEST(KeepsSize, IfItMayOnlyGrow) {
  const UniqueFd fd = memfd_of(1);
  ASSERT_EQ(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
  EXPECT_TRUE(keeps_size(fd.get()));
}

TEST(KeepsSize, NotIfItMayOnlyShrink) {
  const UniqueFd fd = memfd_of(1);
  ASSERT_EQ(fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_FUTURE_WRITE), 0);
  EXPECT_FALSE(keeps_size(fd.get()));
}

TEST(KeepsSize, NotWhatHasNone) {
  std::array<int, 2> ends = {};
  ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  EXPECT_FALSE(keeps_size(reader.get()));
  EXPECT_FALSE(keeps_size(UniqueFd(eventfd(0, EFD_CLOEXEC)).get()));
  EXPECT_FALSE(keeps_size(plain_file().get()));
  EXPECT_FALSE(keeps_size(UniqueFd(open("/", O_RDONLY | O_CLOEXEC)).get()));
  EXPECT_FALSE(keeps_size(-1));
}

TEST(SizeOf, AFileLeavesItsPosition) {
  const UniqueFd fd = memfd_of(3 * kMiB);
  ASSERT_EQ(lseek(fd.get(), 77, SEEK_SET), 77);
  EXPECT_EQ(size_of(fd.get()), 3 * kMiB);
  EXPECT_EQ(lseek(fd.get(), 0, SEEK_CUR), 77);
}

TEST(SizeOf, WhatHasNoneIsZero) {
  EXPECT_EQ(size_of(UniqueFd(eventfd(0, EFD_CLOEXEC)).get()), 0U);
  EXPECT_EQ(size_of(UniqueFd(open("/", O_RDONLY | O_CLOEXEC)).get()), 0U);
  EXPECT_EQ(size_of(UniqueFd(open("/dev/zero", O_RDWR | O_CLOEXEC)).get()), 0U);
  EXPECT_EQ(size_of(-1), 0U);
}

TEST(FileIdentityOf, EveryDescriptorOfAFileIsTheSame) {
  const UniqueFd fd = memfd_of(1);
  const UniqueFd copy = UniqueFd::duplicate(fd.get());
  const std::string name = "/proc/self/fd/" + std::to_string(fd.get());
  const UniqueFd again(open(name.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(identity_of(copy.get()), identity_of(fd.get()));
  EXPECT_EQ(identity_of(again.get()), identity_of(fd.get()));
}

TEST(FileIdentityOf, AnotherFileIsAnother) {
  const UniqueFd one = memfd_of(1);
  const UniqueFd other = memfd_of(1);
  EXPECT_NE(identity_of(one.get()), identity_of(other.get()));
  EXPECT_NE(identity_of(one.get()), identity_of(-1));
}

TEST(MappingOf, AMemfdHasAllItsPages) {
  const UniqueFd fd = memfd_of(5 * kMiB);
  for (const Access access : {Access::kReadWrite, Access::kRead}) {
    const Mapping mapping = Mapping::make(fd.get(), 5 * kMiB, access).take();
    EXPECT_EQ(mapping.size(), 5 * kMiB);
    EXPECT_TRUE(is_all_there(mapping));
  }
}

TEST(MappingOf, AMemfdIsSharedAndStartsEmpty) {
  const UniqueFd fd = memfd_of(1);
  const Mapping one = Mapping::make(fd.get(), 1, Access::kReadWrite).take();
  const Mapping other = Mapping::make(fd.get(), 1, Access::kRead).take();
  EXPECT_EQ(*other.data(), std::byte{0});
  *one.data() = std::byte{42};
  EXPECT_EQ(*other.data(), std::byte{42});
}

TEST(MappingOf, AMemfdOutlivesItsDescriptor) {
  UniqueFd fd = memfd_of(1);
  const Mapping mapping = Mapping::make(fd.get(), 1, Access::kReadWrite).take();
  fd.reset();
  *mapping.data() = std::byte{42};
  EXPECT_EQ(*mapping.data(), std::byte{42});
}

// There would be a SIGBUS behind the end.
TEST(MappingOf, MoreThanTheFileIsAnError) {
  const UniqueFd fd = memfd_of(1);
  const auto mapping = Mapping::make(fd.get(), 3 * kMiB, Access::kRead);
  ASSERT_FALSE(mapping);
  EXPECT_EQ(mapping.error().text(),
            "cannot map 3 MiB of a smaller file: Invalid argument");
}

TEST(MappingOf, NothingIsAnError) {
  EXPECT_FALSE(Mapping::make(memfd_of(1).get(), 0, Access::kRead));
  EXPECT_FALSE(Mapping::make(-1, 1, Access::kRead));
}

TEST(MappingOf, AMemfdEndsWithIt) {
  const UniqueFd fd = create_memfd("dispatch-ends", 1).take();
  {
    const Mapping mapping = Mapping::make(fd.get(), 1, Access::kRead).take();
    ASSERT_NE(own_maps().find("dispatch-ends"), std::string::npos);
  }
  EXPECT_EQ(own_maps().find("dispatch-ends"), std::string::npos);
}

TEST(MappingOf, AMemfdMoves) {
  const UniqueFd fd = create_memfd("dispatch-moves", 1).take();
  Mapping first = Mapping::make(fd.get(), 1, Access::kRead).take();
  std::byte* const data = first.data();
  Mapping second(std::move(first));
  EXPECT_EQ(second.data(), data);
  const UniqueFd replaced = create_memfd("dispatch-replaced", 1).take();
  Mapping third = Mapping::make(replaced.get(), 1, Access::kRead).take();
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(own_maps().find("dispatch-replaced"), std::string::npos);
  EXPECT_NE(own_maps().find("dispatch-moves"), std::string::npos);
}

TEST(HugePages, AreReservedSealedAndMapped) {
  if (free_huge_pages() < 2) GTEST_SKIP() << "no free huge pages";
  const UniqueFd fd = create_memfd("huge", 3 * kMiB, Pages::kHuge).take();
  EXPECT_EQ(size_of(fd.get()), 4 * kMiB);
  EXPECT_EQ(reserved_bytes(fd.get()), 4 * kMiB);
  const Mapping old =
      Mapping::make(fd.get(), 4 * kMiB, Access::kReadWrite).take();
  EXPECT_TRUE(is_all_there(old));
  ASSERT_TRUE(seal(fd.get(), Seal::kSizeAndNoNewWriters));
  EXPECT_TRUE(keeps_size(fd.get()));
  EXPECT_NE(ftruncate(fd.get(), 0), 0);
  EXPECT_FALSE(Mapping::make(fd.get(), 4 * kMiB, Access::kReadWrite));
  const Mapping reader =
      Mapping::make(fd.get(), 4 * kMiB, Access::kRead).take();
  EXPECT_NE(mprotect(reader.data(), reader.size(), PROT_READ | PROT_WRITE), 0);
  *old.data() = std::byte{42};
  EXPECT_EQ(*reader.data(), std::byte{42});
}

TEST(HugePages, ThatAreNotThereAreAnError) {
  const std::size_t pages = free_huge_pages() + 512;
  const auto fd = create_memfd("huge", pages * 2 * kMiB, Pages::kHuge);
  ASSERT_FALSE(fd);
  EXPECT_NE(fd.error().text().find("of huge pages"), std::string::npos)
      << fd.error().text();
}

TEST(OwnedDescriptor, IsClosedOnce) {
  UniqueFd owner(eventfd(0, EFD_CLOEXEC));
  const int fd = owner.get();
  UniqueFd taker(std::move(owner));
  EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
  taker.reset();
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
}

TEST(OwnedDescriptor, ClosesTheOneBefore) {
  UniqueFd owner(eventfd(0, EFD_CLOEXEC));
  const int first = owner.get();
  owner = UniqueFd(eventfd(0, EFD_CLOEXEC));
  EXPECT_EQ(fcntl(first, F_GETFD), -1);
  EXPECT_EQ(fcntl(owner.get(), F_GETFD), FD_CLOEXEC);
}

TEST(OwnedDescriptor, MayBeGivenItself) {
  UniqueFd owner(eventfd(0, EFD_CLOEXEC));
  owner.reset(owner.get());
  UniqueFd& same = owner;
  owner = std::move(same);
  EXPECT_EQ(fcntl(owner.get(), F_GETFD), FD_CLOEXEC);
}

TEST(OwnedDescriptor, DuplicateIsClosedOnExec) {
  const UniqueFd owner(eventfd(0, 0));
  const UniqueFd copy = UniqueFd::duplicate(owner.get());
  EXPECT_NE(copy.get(), owner.get());
  EXPECT_EQ(fcntl(copy.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_FALSE(UniqueFd::duplicate(-1));
}

}  // namespace
}  // namespace dispatch::os
