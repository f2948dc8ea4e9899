// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/reorder_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <random>
#include <vector>

namespace dispatch::core {
namespace {

struct Entry {
  void reset() {
    outputs.clear();
    value = 0;
    is_done = false;
  }

  std::vector<int> outputs;  // keeps its capacity
  int value = 0;
  bool is_done = false;
};

using Window = ReorderWindow<Entry>;

// Appends entries with the values `from`, `from` + 1 and so on.
void append(Window& sut, int count, int from = 1) {
  for (int i = 0; i < count; ++i) sut.append().value = from + i;
}

TEST(ReorderWindow, BeginsEmpty) {
  Window sut;
  EXPECT_TRUE(sut.is_empty());
  EXPECT_EQ(sut.size(), 0U);
  EXPECT_EQ(sut.base(), 0U);
  EXPECT_EQ(sut.next(), 0U);
  EXPECT_EQ(sut.waiting(), nullptr);
}

TEST(ReorderWindow, SequencesCountUpFromZero) {
  Window sut;
  append(sut, 3);
  EXPECT_EQ(sut.base(), 0U);
  EXPECT_EQ(sut.next(), 3U);
  EXPECT_EQ(sut.size(), 3U);
  EXPECT_FALSE(sut.is_empty());
}

TEST(ReorderWindow, EntriesLeaveInTheOrderInWhichTheyCame) {
  Window sut;
  append(sut, 3);
  for (int value = 1; value <= 3; ++value) {
    EXPECT_EQ(sut.front().value, value);
    sut.pop_front();
  }
  EXPECT_TRUE(sut.is_empty());
}

TEST(ReorderWindow, SequencesAreNotReusedWhenItHasBeenEmpty) {
  Window sut;
  append(sut, 2);
  sut.pop_front();
  sut.pop_front();
  append(sut, 1, 7);
  EXPECT_EQ(sut.base(), 2U);
  EXPECT_EQ(sut.next(), 3U);
  EXPECT_EQ(sut.find(2)->value, 7);
}

TEST(ReorderWindow, FindsAnEntryByItsSequence) {
  Window sut;
  append(sut, 3, 10);
  ASSERT_NE(sut.find(1), nullptr);
  EXPECT_EQ(sut.find(1)->value, 11);
}

TEST(ReorderWindow, DoesNotFindAnEntryThatHasLeft) {
  Window sut;
  append(sut, 2);
  sut.pop_front();
  EXPECT_EQ(sut.find(0), nullptr);
  EXPECT_NE(sut.find(1), nullptr);
}

TEST(ReorderWindow, DoesNotFindAnEntryThatHasNotCome) {
  Window sut;
  append(sut, 2);
  EXPECT_EQ(sut.find(2), nullptr);
}

TEST(ReorderWindow, DoesNotFindInTheSlotOfAnotherEntry) {
  Window sut;
  append(sut, 16);
  for (int i = 0; i < 16; ++i) sut.pop_front();
  append(sut, 16, 100);
  EXPECT_EQ(sut.find(3), nullptr) << "left its slot to sequence 19";
  EXPECT_EQ(sut.find(19)->value, 103);
  EXPECT_EQ(sut.find(35), nullptr) << "would have the slot of sequence 19";
}

TEST(ReorderWindow, HoldsItsInitialCapacity) {
  Window sut;
  append(sut, 16);
  for (Sequence s = 0; s < 16; ++s)
    EXPECT_EQ(sut.find(s)->value, static_cast<int>(s) + 1) << s;
}

TEST(ReorderWindow, GrowsBeyondItsInitialCapacity) {
  Window sut;
  append(sut, 17);
  EXPECT_EQ(sut.size(), 17U);
  for (Sequence s = 0; s < 17; ++s)
    EXPECT_EQ(sut.find(s)->value, static_cast<int>(s) + 1) << s;
}

TEST(ReorderWindow, GrowsWhereItsBeginningIsInTheMiddleOfTheRing) {
  Window sut;
  append(sut, 10);
  for (int i = 0; i < 10; ++i) sut.pop_front();
  append(sut, 40, 11);
  for (int value = 11; value <= 50; ++value) {
    ASSERT_EQ(sut.front().value, value);
    sut.pop_front();
  }
}

TEST(ReorderWindow, HoldsEntriesThatCanOnlyBeMoved) {
  struct Owner {
    void reset() { value.reset(); }
    std::unique_ptr<int> value;
  };
  ReorderWindow<Owner> sut;
  for (int i = 0; i < 17; ++i) sut.append().value = std::make_unique<int>(i);
  EXPECT_EQ(*sut.find(0)->value, 0);
  EXPECT_EQ(*sut.find(16)->value, 16);
}

TEST(ReorderWindow, EntryIsLikeNewWhenItsSlotIsUsedAgain) {
  Window sut;
  for (int i = 0; i < 16; ++i) {
    Entry& entry = sut.append();
    entry.value = 5;
    entry.is_done = true;
    entry.outputs.push_back(5);
    sut.pop_front();
  }
  const Entry& again = sut.append();
  EXPECT_EQ(again.value, 0);
  EXPECT_FALSE(again.is_done);
  EXPECT_TRUE(again.outputs.empty());
}

TEST(ReorderWindow, EntryKeepsItsCapacityWhenItsSlotIsUsedAgain) {
  Window sut;
  for (int i = 0; i < 16; ++i) {
    sut.append().outputs.reserve(4);
    sut.pop_front();
  }
  for (int i = 0; i < 16; ++i) {
    EXPECT_GE(sut.append().outputs.capacity(), 4U) << i;
    sut.pop_front();
  }
}

TEST(ReorderWindow, FirstEntryIsTheOneThatWaits) {
  Window sut;
  append(sut, 2, 10);
  ASSERT_NE(sut.waiting(), nullptr);
  EXPECT_EQ(sut.waiting()->value, 10);
  EXPECT_EQ(sut.waiting_sequence(), 0U);
}

TEST(ReorderWindow, NextEntryWaitsWhenOneHasBeenTaken) {
  Window sut;
  append(sut, 2, 10);
  sut.advance_waiting();
  EXPECT_EQ(sut.waiting()->value, 11);
  EXPECT_EQ(sut.waiting_sequence(), 1U);
}

TEST(ReorderWindow, NothingWaitsWhenAllHaveBeenTaken) {
  Window sut;
  append(sut, 2);
  sut.advance_waiting();
  sut.advance_waiting();
  EXPECT_EQ(sut.waiting(), nullptr);
}

TEST(ReorderWindow, EntryThatComesWhenAllHaveBeenTakenWaits) {
  Window sut;
  append(sut, 1);
  sut.advance_waiting();
  append(sut, 1, 20);
  ASSERT_NE(sut.waiting(), nullptr);
  EXPECT_EQ(sut.waiting()->value, 20);
}

TEST(ReorderWindow, EntryThatLeavesUntakenWaitsNoLonger) {
  Window sut;
  append(sut, 2, 10);
  sut.pop_front();
  ASSERT_NE(sut.waiting(), nullptr);
  EXPECT_EQ(sut.waiting()->value, 11);
}

TEST(ReorderWindow, EntryThatLeavesTakenDoesNotMoveTheOneThatWaits) {
  Window sut;
  append(sut, 3, 10);
  sut.advance_waiting();
  sut.advance_waiting();
  sut.pop_front();
  ASSERT_NE(sut.waiting(), nullptr);
  EXPECT_EQ(sut.waiting()->value, 12);
}

TEST(ReorderWindow, GrowthDoesNotMoveTheOneThatWaits) {
  Window sut;
  append(sut, 16, 10);
  for (int i = 0; i < 5; ++i) sut.advance_waiting();
  append(sut, 20, 26);
  EXPECT_EQ(sut.waiting_sequence(), 5U);
  EXPECT_EQ(sut.waiting()->value, 15);
}

// The same behaviour with nothing clever in it.
class Model {
 public:
  struct Item {
    int value = 0;
    bool is_done = false;
    bool is_taken = false;
  };

  void append(int value) { items_.push_back({value}); }
  void pop_front() {
    items_.pop_front();
    ++base_;
  }
  Item* find(Sequence sequence) {
    if (sequence < base_ || sequence - base_ >= items_.size()) return nullptr;
    return &items_[static_cast<std::size_t>(sequence - base_)];
  }
  // The end where none waits.
  Sequence waiting() const {
    Sequence sequence = base_;
    for (const Item& item : items_) {
      if (!item.is_taken) break;
      ++sequence;
    }
    return sequence;
  }
  Sequence base() const { return base_; }
  Sequence next() const { return base_ + items_.size(); }
  std::size_t size() const { return items_.size(); }

 private:
  std::deque<Item> items_;
  Sequence base_ = 0;
};

void expect_same_entry(Window& sut, Model& model, Sequence sequence) {
  const Entry* entry = sut.find(sequence);
  const Model::Item* item = model.find(sequence);
  ASSERT_EQ(entry == nullptr, item == nullptr) << "sequence " << sequence;
  if (entry == nullptr) return;
  ASSERT_EQ(entry->value, item->value) << "sequence " << sequence;
  ASSERT_EQ(entry->is_done, item->is_done) << "sequence " << sequence;
}

void expect_same(Window& sut, Model& model) {
  ASSERT_EQ(sut.size(), model.size());
  ASSERT_EQ(sut.is_empty(), model.size() == 0);
  ASSERT_EQ(sut.base(), model.base());
  ASSERT_EQ(sut.next(), model.next());
  ASSERT_EQ(sut.waiting_sequence(), model.waiting());
  ASSERT_EQ(sut.waiting(), sut.find(model.waiting()));
  const Sequence begin = sut.base() - std::min<Sequence>(sut.base(), 40);
  for (Sequence s = begin; s < sut.next() + 40; ++s)
    ASSERT_NO_FATAL_FAILURE(expect_same_entry(sut, model, s));
}

class ReorderWindowAgainstModel : public testing::TestWithParam<unsigned> {
 protected:
  void append() {
    sut_.append().value = ++value_;
    model_.append(value_);
  }

  void take() {
    if (sut_.waiting() == nullptr) return;
    model_.find(model_.waiting())->is_taken = true;
    sut_.advance_waiting();
  }

  void complete() {
    if (model_.size() == 0) return;
    const Sequence sequence = model_.base() + random_() % model_.size();
    model_.find(sequence)->is_done = true;
    sut_.find(sequence)->is_done = true;
  }

  void pop() {
    if (model_.size() == 0) return;
    model_.pop_front();
    sut_.pop_front();
  }

  // The window grows in one half of the time and shrinks in the other.
  void step(bool grows) {
    const unsigned pick = random_() % 10;
    if (pick < (grows ? 5U : 2U)) return append();
    if (pick < 6) return take();
    if (pick < 7) return complete();
    pop();
  }

  std::mt19937 random_{GetParam()};
  int value_ = 0;
  Window sut_;
  Model model_;
};

TEST_P(ReorderWindowAgainstModel, BehavesAlikeInRandomSteps) {
  std::size_t largest = 0;
  for (int i = 0; i < 1500; ++i) {
    step(/*grows=*/i / 300 % 2 == 0);
    ASSERT_NO_FATAL_FAILURE(expect_same(sut_, model_)) << "step " << i;
    largest = std::max(largest, sut_.size());
  }
  EXPECT_GT(largest, 32U) << "it has to have grown twice to show anything";
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReorderWindowAgainstModel,
                         testing::Range(1U, 21U));

}  // namespace
}  // namespace dispatch::core
