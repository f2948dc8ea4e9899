// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/memfd.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>
#include <utility>

#include "os/memory_limit.h"

// Newer than the headers of Debian 12 (Linux 6.3).
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace dispatch::os {

namespace {

constexpr std::size_t kKiB = 1024;
constexpr std::size_t kMiB = 1024 * kKiB;
constexpr std::size_t kHugePage = 2 * kMiB;
// The kernel refuses longer names.
constexpr std::size_t kMaxNameBytes = 249;
// A signal may undo the fallocate() that it interrupts. A piece takes about
// 0.1 ms, so that it is done between two signals of a profiler.
constexpr std::size_t kPieceBytes = 256 * kKiB;

std::string in_words(std::size_t bytes, Pages pages) {
  const std::string amount = bytes % kMiB == 0
                                 ? std::to_string(bytes / kMiB) + " MiB"
                                 : std::to_string(bytes / kKiB) + " KiB";
  return pages == Pages::kHuge ? amount + " of huge pages" : amount;
}

// Kernels before 6.3 do not know MFD_NOEXEC_SEAL.
int make_file(const std::string& name, Pages pages) {
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  if (pages == Pages::kHuge) flags |= MFD_HUGETLB | MFD_HUGE_2MB;
  const std::string cut = name.substr(0, kMaxNameBytes);
  const int fd = memfd_create(cut.c_str(), flags | MFD_NOEXEC_SEAL);
  if (fd >= 0 || errno != EINVAL) return fd;
  return memfd_create(cut.c_str(), flags);
}

// An errno value; 0: every page is there. For normal pages fallocate() does not
// say that there are too few: the kernel ends processes.
int reserve(int fd, std::size_t bytes, Pages pages) {
  if (pages == Pages::kNormal && bytes > available_memory()) return ENOMEM;
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) return errno;
  for (std::size_t done = 0; done < bytes;) {
    const std::size_t piece = std::min(kPieceBytes, bytes - done);
    if (fallocate(fd, 0, static_cast<off_t>(done), static_cast<off_t>(piece)) ==
        0)
      done += piece;
    else if (errno != EINTR)
      return errno;
  }
  return 0;
}

std::optional<struct stat> stat_of(int fd) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return std::nullopt;
  return status;
}

// A DMA buffer is an inode of no type.
bool is_no_file(const struct stat& status) {
  return (status.st_mode & S_IFMT) == 0;
}

}  // namespace

std::size_t whole_pages(std::size_t bytes, Pages pages) {
  const std::size_t page = pages == Pages::kHuge
                               ? kHugePage
                               : static_cast<std::size_t>(getpagesize());
  constexpr std::size_t kLimit = std::numeric_limits<std::size_t>::max();
  const std::size_t most = kLimit - kLimit % page;
  return bytes > most ? most : (bytes + page - 1) / page * page;
}

Result<UniqueFd> create_memfd(const std::string& name, std::size_t bytes,
                              Pages pages) {
  const std::size_t whole = whole_pages(bytes, pages);
  UniqueFd fd(make_file(name, pages));
  if (!fd) return Error{errno, "cannot make shared memory"};
  if (const int code = reserve(fd.get(), whole, pages); code != 0)
    return Error{code, "cannot reserve " + in_words(whole, pages)};
  return fd;
}

bool seal(int fd, Seal what) {
  int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (what == Seal::kSizeAndNoNewWriters) seals |= F_SEAL_FUTURE_WRITE;
  return fcntl(fd, F_ADD_SEALS, seals) == 0;
}

bool keeps_size(int fd) {
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals >= 0) return (seals & F_SEAL_SHRINK) != 0;
  const std::optional<struct stat> status = stat_of(fd);
  return status && is_no_file(*status) && size_of(fd) > 0;
}

bool free_pages(int fd) {
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                   static_cast<off_t>(size_of(fd))) == 0;
}

std::size_t size_of(int fd) {
  const std::optional<struct stat> status = stat_of(fd);
  if (!status) return 0;
  if (S_ISREG(status->st_mode))
    return static_cast<std::size_t>(status->st_size);
  if (!is_no_file(*status)) return 0;
  // A DMA buffer tells its size to this call only; it has no position to lose.
  const off_t end = lseek(fd, 0, SEEK_END);
  return end > 0 ? static_cast<std::size_t>(end) : 0;
}

FileIdentity identity_of(int fd) {
  const std::optional<struct stat> status = stat_of(fd);
  return status ? FileIdentity{status->st_dev, status->st_ino} : FileIdentity{};
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  Mapping taken(std::move(other));
  std::swap(data_, taken.data_);
  std::swap(bytes_, taken.bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

// Beyond the end of the file there are no pages, and mmap() does not say so.
Result<Mapping> Mapping::make(int fd, std::size_t bytes, Access access) {
  const std::string what = "cannot map " + in_words(bytes, Pages::kNormal);
  if (size_of(fd) < bytes) return Error{EINVAL, what + " of a smaller file"};
  const int protection =
      access == Access::kReadWrite ? PROT_READ | PROT_WRITE : PROT_READ;
  void* const data =
      mmap(nullptr, bytes, protection, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (data == MAP_FAILED) return Error{errno, what};
  Mapping mapping;
  mapping.data_ = static_cast<std::byte*>(data);
  mapping.bytes_ = bytes;
  return mapping;
}

}  // namespace dispatch::os
