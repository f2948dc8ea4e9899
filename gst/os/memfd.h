// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Anonymous shared memory: made, reserved, sealed, mapped.
//
// For: memory that two processes share without a name in the file system.
// Not for: what lies in it. Thread: thread-safe functions, confined objects.
//
// Everything is really reserved before it is used: a page that is missing
// later would be a SIGBUS in the middle of the stream.
#pragma once

#include <cstddef>
#include <string>

#include "os/result.h"
#include "os/unique_fd.h"

namespace dispatch::os {

enum class Pages { kNormal, kHuge };  // huge: 2 MiB, from the reserved ones

// `bytes` rounded up to whole pages of that kind.
std::size_t whole_pages(std::size_t bytes, Pages pages);

// A memfd of whole_pages(bytes), all of which is reserved. `name` is for
// looking at (/proc/PID/maps).
Result<UniqueFd> create_memfd(const std::string& name, std::size_t bytes,
                              Pages pages = Pages::kNormal);

// What nobody can do with the memory from now on. kNoNewWriters leaves the
// writable mappings that exist.
enum class Seal { kSize, kSizeAndNoNewWriters };
[[nodiscard]] bool seal(int fd, Seal what);
// Whether the file keeps its size: a shared memory that is sealed, or one that
// is no file (a DMA buffer).
bool keeps_size(int fd);
// 0 if it has none.
std::size_t size_of(int fd);

// Which file it is: equal for every descriptor of the same one.
struct FileIdentity {
  unsigned long device = 0;
  unsigned long inode = 0;
  auto operator<=>(const FileIdentity&) const = default;
};
FileIdentity identity_of(int fd);

// A mapping, all pages of which are there when it has been made.
class Mapping {
 public:
  enum class Access { kRead, kReadWrite };

  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();  // unmaps

  static Result<Mapping> make(int fd, std::size_t bytes, Access access);

  std::byte* data() const { return data_; }
  std::size_t size() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace dispatch::os
