// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/pipe.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace dispatch::os {

Result<Pipe> make_pipe() {
  int fds[2] = {-1, -1};
  if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
    return Error{errno, "cannot make a pipe"};
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::string_view read_some(int fd, std::span<char> space, bool& is_over) {
  ssize_t bytes = 0;
  do bytes = read(fd, space.data(), space.size());
  while (bytes < 0 && errno == EINTR);
  is_over = bytes == 0 || (bytes < 0 && errno != EAGAIN);
  return {space.data(), bytes > 0 ? static_cast<std::size_t>(bytes) : 0};
}

// A terminal or a pipe that can be written to takes this much at once.
void write_what_fits(int fd, std::string_view text) {
  pollfd out = {fd, POLLOUT, 0};
  if (poll(&out, 1, 0) != 1 || (out.revents & POLLOUT) == 0) return;
  [[maybe_unused]] const ssize_t written =
      write(fd, text.data(), std::min<std::size_t>(text.size(), PIPE_BUF));
}

}  // namespace dispatch::os
