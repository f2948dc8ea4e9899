// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/fault_point.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <random>
#include <string_view>

namespace dispatch::process {

namespace {

constexpr char kVariable[] = "GST_DISPATCH_WORKER_TEST";
constexpr std::array<std::string_view, 10> kNames = {
    "started",    "ready",      "command-taken", "epoch-entered", "in-stage",
    "stage-done", "slot-asked", "before-report", "reported",      "idle"};

struct Fault {
  int signal = 0;
  std::uint64_t passings = 1;         // until it strikes
  std::optional<double> probability;  // or, of each passing
};

std::mutex mutex;
// Under mutex:
std::array<Fault, kNames.size()> faults;
std::mt19937 random_numbers;

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto result =
      std::from_chars(text.data(), text.data() + text.size(), number);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

// The part of `text` before `mark`, which is taken out with it; all of it
// without one.
std::string_view take_until(char mark, std::string_view& text) {
  const std::size_t end = std::min(text.find(mark), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

// point=action[:n], or point=action[:%probability].
bool arm(std::string_view text) {
  const std::string_view name = take_until('=', text);
  const std::string_view action = take_until(':', text);
  const auto place = std::find(kNames.begin(), kNames.end(), name);
  if (place == kNames.end() || (action != "kill" && action != "stop"))
    return false;
  Fault fault{.signal = action == "kill" ? SIGKILL : SIGSTOP};
  if (text.starts_with('%')) {
    if (!read_number(text.substr(1), fault.probability.emplace())) return false;
  } else if (!text.empty() && !read_number(text, fault.passings)) {
    return false;
  }
  const auto index = static_cast<unsigned>(place - kNames.begin());
  faults[index] = fault;
  fault_point_detail::armed |= 1U << index;
  return true;
}

// Whether it is now.
bool strikes(Fault& fault) {
  if (!fault.probability) return fault.passings != 0 && --fault.passings == 0;
  return std::uniform_real_distribution<>()(random_numbers) <
         *fault.probability;
}

}  // namespace

bool arm_fault_points(std::string& wrong) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread
  const char* const value = std::getenv(kVariable);
  if (value == nullptr) return true;
  const std::lock_guard lock(mutex);
  random_numbers.seed(std::random_device()());
  for (std::string_view rest = value; !rest.empty();) {
    const std::string_view part = take_until(',', rest);
    if (arm(part)) continue;
    wrong = std::string(kVariable) + "=" + std::string(part);
    return false;
  }
  return true;
}

// Says it first: which one it was counts in a test.
void fault_point_detail::pass(FaultPoint point) {
  int signal = 0;
  {
    const std::lock_guard lock(mutex);
    Fault& fault = faults[static_cast<unsigned>(point)];
    if (!strikes(fault)) return;
    signal = fault.signal;
  }
  const std::string line = "fault point " +
                           std::string(kNames[static_cast<unsigned>(point)]) +
                           (signal == SIGKILL ? ": kill\n" : ": stop\n");
  [[maybe_unused]] const ssize_t written =
      write(STDERR_FILENO, line.data(), line.size());
  ::kill(getpid(), signal);
}

}  // namespace dispatch::process
