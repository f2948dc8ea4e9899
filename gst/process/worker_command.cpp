// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/worker_command.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include <gio/gio.h>

namespace dispatch::process {

namespace {

namespace fs = std::filesystem;

constexpr char kProgram[] = "gst-dispatch-worker";

// Where this library lies.
fs::path library_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&worker_command), &info) == 0) return {};
  std::error_code ignored;
  return fs::weakly_canonical(info.dli_fname, ignored).parent_path();
}

// The build knows both folders relative to the prefix.
fs::path installed_program(const fs::path& library) {
  const fs::path libdir(DISPATCH_LIBDIR);
  const fs::path libexecdir(DISPATCH_LIBEXECDIR);
  if (libdir.is_absolute() || libexecdir.is_absolute())
    return libexecdir / kProgram;
  fs::path prefix = library;
  for (const fs::path& each : libdir)
    if (!each.empty()) prefix = prefix.parent_path();
  return prefix / libexecdir / kProgram;
}

os::Result<std::vector<std::string>> own_program() {
  const fs::path library = library_folder();
  const fs::path candidates[] = {library / kProgram,
                                 installed_program(library)};
  for (const fs::path& candidate : candidates)
    if (access(candidate.c_str(), X_OK) == 0)
      return std::vector<std::string>{candidate.string()};
  return os::Error{ENOENT, "cannot find the worker program as " +
                               candidates[0].string() + " or " +
                               candidates[1].string()};
}

}  // namespace

os::Result<std::vector<std::string>> worker_command(
    const std::string& command) {
  if (command.empty()) return own_program();
  gint count = 0;
  g_auto(GStrv) words = nullptr;
  g_autoptr(GError) error = nullptr;
  if (!g_shell_parse_argv(command.c_str(), &count, &words, &error))
    return os::Error{EINVAL, "cannot read worker-command \"" + command +
                                 "\" (" + error->message + ")"};
  return std::vector<std::string>(words, words + count);
}

}  // namespace dispatch::process
