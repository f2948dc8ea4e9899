// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whether a report of a worker process can be believed.
//
// For: everything that a worker wrote is copied first and then checked here:
// the report, its payload, each buffer and memory. Not for: the metas, whose
// own reader checks them (process/meta_codec). Thread: thread-safe functions.
// Failure: names the field that is wrong, for an error that ends the worker.
#pragma once

#include <span>
#include <string>

#include "core/worker_protocol.h"

namespace dispatch::core {

// What the dispatcher knows of the command that has to be reported next.
struct AwaitedReport {
  std::uint64_t number = 0;
  std::uint64_t sequence = 0;
  std::int64_t submitted_ns = 0;  // CLOCK_MONOTONIC, as the next one
  std::int64_t now_ns = 0;        // when the report was found
};

// Far above what a stage can copy for one frame: what is counted from reports
// stays a number that means something.
inline constexpr std::uint32_t kMaxCopiedBuffers = 1U << 20;
inline constexpr std::uint64_t kMaxCopiedBytes = std::uint64_t{1} << 40;

// The name of the wrong field ("sequence"), or null. `report` is a copy.
const char* check_report(const protocol::Report& report,
                         const AwaitedReport& awaited);

// Whether `payload` (a copy) is a list of fields in a legal order: memories and
// metas right after their buffer, lists closed and not empty, records of their
// size, reserved parts zero. The name of what is wrong ("memory outside of a
// buffer"), or null.
const char* check_payload(std::span<const std::byte> payload);

}  // namespace dispatch::core
