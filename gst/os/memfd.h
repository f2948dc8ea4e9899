// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Anonymous shared memory: made, reserved, sealed, mapped.
//
// For: memory that two processes share without a name in the file system.
// Not for: what lies in it. Thread: thread-safe functions, confined objects.
// Failure: errors are for users to read; nothing is left behind.
//
// Everything is really reserved before it is used: a page that is missing
// later would be a SIGBUS in the middle of the stream.
#pragma once

#include <compare>
#include <cstddef>
#include <string>

#include "os/result.h"
#include "os/unique_fd.h"

namespace dispatch::os {

enum class Pages { kNormal, kHuge };  // huge: 2 MiB, from the reserved ones

// `bytes` rounded up to whole pages of that kind; at most what a size can be.
std::size_t whole_pages(std::size_t bytes, Pages pages);

// A memfd of whole_pages(bytes), all of which is reserved; closed on exec. More
// than available_memory() is refused, because the kernel would not refuse it
// but end processes. `name` is for looking at (/proc/PID/maps).
Result<UniqueFd> create_memfd(const std::string& name, std::size_t bytes,
                              Pages pages = Pages::kNormal);

// What nobody can do with the memory from now on: change its size; also write
// to it, but through the writable mappings that exist.
enum class Seal { kSize, kSizeAndNoNewWriters };
// Once for each memory: there can be no further seal. False: it does not hold.
[[nodiscard]] bool seal(int fd, Seal what);
// Whether nobody can make it smaller: a shared memory that is sealed, or one
// that is no file (a DMA buffer). It may still grow.
bool keeps_size(int fd);
// Gives all pages back to the system, whoever has them mapped: who looks sees
// zeros, on new pages. False: they are sealed against it (or it is no memfd).
bool free_pages(int fd);
// 0 if it has none. Leaves its position as it is.
std::size_t size_of(int fd);

// Which file it is: equal for every descriptor of the same one, while it is
// there. All zero for what is none.
struct FileIdentity {
  unsigned long device = 0;
  unsigned long inode = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 and <=>
  auto operator<=>(const FileIdentity&) const = default;
};
FileIdentity identity_of(int fd);

// A mapping, all pages of which are there when it has been made. It outlives
// the descriptor.
class Mapping {
 public:
  enum class Access { kRead, kReadWrite };

  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();  // unmaps

  // From the start of the file, which must have that many bytes.
  static Result<Mapping> make(int fd, std::size_t bytes, Access access);

  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace dispatch::os
