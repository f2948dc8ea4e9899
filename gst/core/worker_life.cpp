// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/worker_life.h"

#include <utility>

namespace dispatch::core {

bool WorkerLife::on_ready() {
  if (is_ready()) return false;
  if (is_starting()) state_ = State::kReady;
  return true;
}

void WorkerLife::end() {
  if (is_wanted()) state_ = State::kEnding;
}

bool WorkerLife::kill() {
  if (!may_report()) return false;
  state_ = State::kKilled;
  is_believed_ = false;
  return true;
}

bool WorkerLife::on_gone() {
  return std::exchange(state_, State::kGone) == State::kReady;
}

}  // namespace dispatch::core
