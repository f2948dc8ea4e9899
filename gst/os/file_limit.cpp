// SPDX-License-Identifier: LGPL-2.1-or-later
#include "os/file_limit.h"

#include <sys/resource.h>

namespace dispatch::os {

std::uint64_t open_files_limit() {
  rlimit limit = {};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

}  // namespace dispatch::os
