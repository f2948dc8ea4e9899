// SPDX-License-Identifier: LGPL-2.1-or-later
#include "stage/questions.h"

#include <utility>

namespace dispatch::stage {

GstQuery* Question::begin() {
  state_ = State::kBeingAsked;
  return query_;
}

void Question::answer(bool result, Wakes& wakes) {
  state_ = State::kAnswered;
  result_ = result;
  wakes.wake_questioners();
}

void Question::refuse(Wakes& wakes) {
  if (state_ != State::kAnswered) answer(false, wakes);
}

bool Question::wait(Section& section) const {
  section.wait_for_answer([&] { return state_ == State::kAnswered; });
  return result_;
}

void StageQuestion::answer(QueryPtr answer, Wakes& wakes) {
  is_answered_ = true;
  answer_ = std::move(answer);
  wakes.wake_questioners();
}

}  // namespace dispatch::stage
