// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/file_limit.h"

#include <sys/epoll.h>
#include <sys/resource.h>

#include "os/unique_fd.h"

namespace dispatch::os {

std::uint64_t open_files_limit() {
  rlimit limit = {};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

bool can_open_more_files() {
  return bool(UniqueFd(epoll_create1(EPOLL_CLOEXEC)));
}

}  // namespace dispatch::os
