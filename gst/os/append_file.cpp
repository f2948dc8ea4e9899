// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/append_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace dispatch::os {

namespace {

constexpr int kPatienceMs = 1000;

// 0, or an errno value. A pipe that nobody empties is full.
int wait_for_room(int fd) {
  pollfd room{.fd = fd, .events = POLLOUT, .revents = 0};
  const int ready = poll(&room, 1, kPatienceMs);
  if (ready < 0) return errno == EINTR ? 0 : errno;
  return ready == 0 ? ETIMEDOUT : 0;
}

}  // namespace

Result<AppendFile> AppendFile::open(const std::string& path,
                                    std::string_view begin) {
  // Not blocking, for pipes: opening one that nobody reads would wait for ever.
  UniqueFd fd(::open(path.c_str(),
                     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK,
                     S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH));
  if (!fd && errno == ENXIO)
    return Error{0,
                 "nobody reads the pipe " + path + "; start its reader first"};
  if (!fd) return Error{errno, "cannot open " + path};
  AppendFile file(std::move(fd));
  // Without locks, as on some network file systems, it is never emptied.
  if (flock(file.fd_.get(), LOCK_EX | LOCK_NB) == 0) {
    // What is no regular file, a pipe for example, has nothing to empty.
    if (ftruncate(file.fd_.get(), 0) != 0 && errno != EINVAL)
      return Error{errno, "cannot empty " + path};
    if (const int error = file.append(begin); error != 0)
      return Error{error, "cannot write to " + path};
  }
  while (flock(file.fd_.get(), LOCK_SH) != 0 && errno == EINTR) {
  }
  return file;
}

int AppendFile::append(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd_.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {
      if (const int error = wait_for_room(fd_.get()); error != 0) return error;
      continue;
    }
    if (written < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace dispatch::os
