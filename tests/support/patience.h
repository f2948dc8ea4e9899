// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How long a test waits for what has to come.
//
// For: waits that end by an event. Not for: judging speed. Thread: thread-safe.
#pragma once

#include <chrono>

namespace dispatch::test {

// No measure of speed: it is there so that nothing hangs for ever.
inline constexpr std::chrono::seconds kPatience{100};

// Ends the program, with what was waited for.
[[noreturn]] void give_up(const char* waited_for);

}  // namespace dispatch::test
