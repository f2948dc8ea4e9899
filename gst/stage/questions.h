// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Queries that have a place in the line, and a thread that waits for the
// answer.
//
// For: a query that downstream answers (Question) or the stage (StageQuestion)
// when everything before it has left. Not for: asking, which the output and the
// workers do, or the place in the line (frame_line).
// Thread: all methods need the Section of whoever calls them.
// Ownership: on the stack of the thread that waits. The entry in the line
// borrows it, and has let go of it when it has been answered.
#pragma once

#include <utility>

#include "stage/ptr.h"
#include "stage/wakes.h"

namespace dispatch::stage {

// For downstream: a serialized query of upstream's, or one that a stage asks
// while it is busy with a frame.
class Question {
 public:
  // `query` (transfer none) gets the answer.
  explicit Question(GstQuery* query) : query_(query) {}
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  // Its turn has not come, nor has it been refused.
  bool is_waiting() const { return state_ == State::kWaiting; }
  // Its turn has come: downstream is asked. By the output alone, which calls
  // answer() then.
  GstQuery* begin();
  void answer(bool result, Wakes& wakes);
  // Nobody is going to ask downstream. Nothing, if it has been answered.
  void refuse(Wakes& wakes);

  // Until it has been answered. What downstream said; false if it was refused.
  bool wait(Section& section) const;

 private:
  GstQuery* const query_;
  enum class State { kWaiting, kBeingAsked, kAnswered };
  State state_ = State::kWaiting;
  bool result_ = false;
};

// For the stage: upstream's ALLOCATION query.
class StageQuestion {
 public:
  StageQuestion() = default;
  StageQuestion(const StageQuestion&) = delete;
  StageQuestion& operator=(const StageQuestion&) = delete;

  // `answer` may be null: the stage did not answer.
  void answer(QueryPtr answer, Wakes& wakes);
  void refuse(Wakes& wakes) { answer(nullptr, wakes); }
  bool is_answered() const { return is_answered_; }
  // Once; null if the stage did not answer.
  QueryPtr take_answer() { return std::move(answer_); }

 private:
  bool is_answered_ = false;
  QueryPtr answer_;
};

}  // namespace dispatch::stage
