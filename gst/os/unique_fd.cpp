// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

namespace dispatch::os {

// close() is not tried again after EINTR: on Linux the descriptor is gone.
void UniqueFd::reset(int fd) {
  const int old = std::exchange(fd_, fd);
  if (old >= 0 && old != fd) close(old);
}

UniqueFd UniqueFd::duplicate(int fd) {
  return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

}  // namespace dispatch::os
