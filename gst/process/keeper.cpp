// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/keeper.h"

#include <utility>

#include "process/io_thread.h"

namespace dispatch::process {

namespace {

struct Kept {
  os::ChildProcess child;
  std::shared_ptr<void> what;
};

// Made when it is first needed, which is hardly ever, and never ended: a
// process may outlast the last element.
IoThread& thread() {
  static auto* const thread = new IoThread("shmd:keeper");
  return *thread;
}

}  // namespace

void keep_until_gone(os::ChildProcess child, std::shared_ptr<void> what) {
  const auto kept =
      std::make_shared<Kept>(Kept{std::move(child), std::move(what)});
  // The watch ends by itself, and what is kept with it.
  g_source_unref(thread()
                     .watch(kept->child.pidfd(), G_IO_IN,
                            [kept] {
                              kept->child.wait();
                              return false;
                            })
                     .release());
}

}  // namespace dispatch::process
