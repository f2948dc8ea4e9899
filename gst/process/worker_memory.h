// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The memory that the dispatcher shares with one worker besides the slots, and
// the bell that it shares with all of them.
//
// For: making it so that each side can write its own part only. Not for: what
// is written (process/job_exchange, process/lent_slots). Thread: confined.
#pragma once

#include <cerrno>
#include <string>

#include "core/worker_protocol.h"
#include "os/memfd.h"
#include "os/result.h"
#include "os/unique_fd.h"

namespace dispatch::process {

// A structure in a memory of its own, sealed and mapped.
template <typename T>
class SharedStruct {
 public:
  // `peers_write`: whether who gets the descriptor can map it for writing.
  static os::Result<SharedStruct> make(const char* name, bool peers_write);

  T* operator->() const { return get(); }
  T& operator*() const { return *get(); }
  T* get() const {
    // SAFETY: made by make(), page-aligned, of the size of a T whose members
    // are valid as zeros; lives as long as the mapping.
    return reinterpret_cast<T*>(mapping_.data());
  }
  int fd() const { return fd_.get(); }

 private:
  os::UniqueFd fd_;
  os::Mapping mapping_;
};

template <typename T>
os::Result<SharedStruct<T>> SharedStruct<T>::make(const char* name,
                                                  bool peers_write) {
  auto fd = os::create_memfd(name, sizeof(T));
  if (!fd) return fd.error();
  SharedStruct result;
  result.fd_ = fd.take();
  auto mapping = os::Mapping::make(result.fd_.get(), sizeof(T),
                                   os::Mapping::Access::kReadWrite);
  if (!mapping) return mapping.error();
  result.mapping_ = mapping.take();
  const os::Seal what =
      peers_write ? os::Seal::kSize : os::Seal::kSizeAndNoNewWriters;
  if (!os::seal(result.fd_.get(), what))
    return os::Error{errno, std::string("cannot seal ") + name};
  return result;
}

using SharedCommands = SharedStruct<core::protocol::CommandRegion>;
using SharedReports = SharedStruct<core::protocol::ReportRegion>;
// What one worker and its dispatcher have together.
struct SharedRegions {
  SharedCommands commands;
  SharedReports reports;

  static os::Result<SharedRegions> make();
};

inline os::Result<SharedRegions> SharedRegions::make() {
  auto commands =
      SharedCommands::make("gst-dispatch-commands", /*peers_write=*/false);
  if (!commands) return commands.error();
  auto reports =
      SharedReports::make("gst-dispatch-reports", /*peers_write=*/true);
  if (!reports) return reports.error();
  SharedRegions regions{commands.take(), reports.take()};
  regions.commands->header = core::protocol::RegionHeader();
  regions.reports->header = core::protocol::RegionHeader();
  return regions;
}

using SharedBell = SharedStruct<core::protocol::Bell>;

}  // namespace dispatch::process
