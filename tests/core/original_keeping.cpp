// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/original_keeping.h"

#include <gtest/gtest.h>

#include <latch>
#include <thread>
#include <vector>

namespace dispatch::core {
namespace {

// What the stages of the three kinds do with a frame. A shared original is
// writable to none, so that one that writes makes its own memory then.
enum class Stage : std::uint8_t { kPassesOn, kWritesInPlace, kMakesNew };

bool is_same_memory(Stage stage, HandOver how) {
  if (stage == Stage::kPassesOn) return true;
  return stage == Stage::kWritesInPlace && how == HandOver::kCopy;
}

// How the frame was handed over.
HandOver run_frame(OriginalKeeping& sut, Stage stage) {
  const HandOver how = sut.decide();
  sut.on_result(how, is_same_memory(stage, how));
  return how;
}

TEST(OriginalKeeping, FirstFrameIsShared) {
  const OriginalKeeping sut;
  EXPECT_EQ(sut.decide(), HandOver::kShared);
}

TEST(OriginalKeeping, StageThatPassesFramesOnGetsThemSharedForGood) {
  OriginalKeeping sut;
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(run_frame(sut, Stage::kPassesOn), HandOver::kShared) << i;
}

TEST(OriginalKeeping, StageThatWritesInPlaceGetsCopiesFromTheSecondFrameOn) {
  OriginalKeeping sut;
  EXPECT_EQ(run_frame(sut, Stage::kWritesInPlace), HandOver::kShared);
  for (int i = 1; i < 10; ++i)
    EXPECT_EQ(run_frame(sut, Stage::kWritesInPlace), HandOver::kCopy) << i;
}

TEST(OriginalKeeping, StageThatMakesNewBuffersGetsOneCopyOnly) {
  OriginalKeeping sut;
  EXPECT_EQ(run_frame(sut, Stage::kMakesNew), HandOver::kShared);
  EXPECT_EQ(run_frame(sut, Stage::kMakesNew), HandOver::kCopy);
  for (int i = 2; i < 10; ++i)
    EXPECT_EQ(run_frame(sut, Stage::kMakesNew), HandOver::kShared) << i;
}

TEST(OriginalKeeping, StageThatBeginsToWriteLaterIsLearnedThen) {
  OriginalKeeping sut;
  run_frame(sut, Stage::kPassesOn);
  run_frame(sut, Stage::kPassesOn);
  EXPECT_EQ(run_frame(sut, Stage::kWritesInPlace), HandOver::kShared);
  EXPECT_EQ(run_frame(sut, Stage::kWritesInPlace), HandOver::kCopy);
  EXPECT_EQ(sut.decide(), HandOver::kCopy);
}

TEST(OriginalKeeping, ResultOfASharedFrameDoesNotEndTheProbe) {
  OriginalKeeping sut;
  sut.on_result(HandOver::kShared, false);  // from now on it probes
  sut.on_result(HandOver::kShared, false);  // was on its way before
  EXPECT_EQ(sut.decide(), HandOver::kCopy);
}

TEST(OriginalKeeping, ResultOfACopyBeforeTheProbeTeachesNothing) {
  OriginalKeeping sut;
  sut.on_result(HandOver::kCopy, true);   // from before a reset()
  sut.on_result(HandOver::kCopy, false);  // another
  EXPECT_EQ(sut.decide(), HandOver::kShared);
  EXPECT_EQ(run_frame(sut, Stage::kMakesNew), HandOver::kShared);
  EXPECT_EQ(run_frame(sut, Stage::kMakesNew), HandOver::kCopy);
}

TEST(OriginalKeeping, WhatIsLearnedOfOneThatWritesStays) {
  OriginalKeeping sut;
  run_frame(sut, Stage::kWritesInPlace);
  run_frame(sut, Stage::kWritesInPlace);
  sut.on_result(HandOver::kShared, true);
  sut.on_result(HandOver::kCopy, false);
  EXPECT_EQ(sut.decide(), HandOver::kCopy);
}

TEST(OriginalKeeping, WhatIsLearnedOfOneThatMakesNewStays) {
  OriginalKeeping sut;
  run_frame(sut, Stage::kMakesNew);
  run_frame(sut, Stage::kMakesNew);
  sut.on_result(HandOver::kShared, false);
  sut.on_result(HandOver::kCopy, true);
  EXPECT_EQ(sut.decide(), HandOver::kShared);
}

TEST(OriginalKeeping, ResetLearnsAgain) {
  OriginalKeeping sut;
  run_frame(sut, Stage::kWritesInPlace);
  run_frame(sut, Stage::kWritesInPlace);
  sut.reset();
  EXPECT_EQ(run_frame(sut, Stage::kMakesNew), HandOver::kShared);
  EXPECT_EQ(run_frame(sut, Stage::kMakesNew), HandOver::kCopy);
  EXPECT_EQ(run_frame(sut, Stage::kMakesNew), HandOver::kShared);
}

// A lost update costs one more probe, never a wrong lesson.
void learn_in_threads(OriginalKeeping& sut, Stage stage) {
  constexpr int kThreads = 4;
  std::latch begin(kThreads);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      begin.arrive_and_wait();
      for (int frame = 0; frame < 50; ++frame) run_frame(sut, stage);
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(OriginalKeeping, ThreadsTogetherLearnThatAStageWritesInPlace) {
  for (int round = 0; round < 50; ++round) {
    OriginalKeeping sut;
    learn_in_threads(sut, Stage::kWritesInPlace);
    run_frame(sut, Stage::kWritesInPlace);
    ASSERT_EQ(sut.decide(), HandOver::kCopy) << round;
  }
}

TEST(OriginalKeeping, ThreadsTogetherLearnThatAStageMakesNewBuffers) {
  for (int round = 0; round < 50; ++round) {
    OriginalKeeping sut;
    learn_in_threads(sut, Stage::kMakesNew);
    run_frame(sut, Stage::kMakesNew);
    ASSERT_EQ(sut.decide(), HandOver::kShared) << round;
  }
}

}  // namespace
}  // namespace dispatch::core
