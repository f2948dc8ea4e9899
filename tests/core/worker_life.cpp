// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/worker_life.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

WorkerLife ready() {
  WorkerLife life;
  life.on_ready();
  return life;
}

WorkerLife ending() {
  WorkerLife life = ready();
  life.end();
  return life;
}

WorkerLife killed() {
  WorkerLife life = ready();
  life.kill();
  return life;
}

TEST(WorkerLife, BeginsWithItsStart) {
  const WorkerLife sut;
  EXPECT_TRUE(sut.is_starting());
  EXPECT_TRUE(sut.is_wanted());
  EXPECT_TRUE(sut.is_believed());
  EXPECT_FALSE(sut.is_ready());
  EXPECT_FALSE(sut.is_gone());
}

TEST(WorkerLife, IsReadyOnce) {
  WorkerLife sut;
  EXPECT_TRUE(sut.on_ready());
  EXPECT_TRUE(sut.is_ready());
  EXPECT_FALSE(sut.is_starting());
  EXPECT_FALSE(sut.on_ready());
}

TEST(WorkerLife, ReadinessThatComesTooLateIsNoOffence) {
  WorkerLife sut;
  sut.end();
  EXPECT_TRUE(sut.on_ready());
  EXPECT_FALSE(sut.is_ready());
  EXPECT_FALSE(sut.is_wanted());
}

TEST(WorkerLife, OneThatEndsMayStillReport) {
  const WorkerLife sut = ending();
  EXPECT_FALSE(sut.is_wanted());
  EXPECT_TRUE(sut.may_report());
  EXPECT_TRUE(sut.is_believed());
}

TEST(WorkerLife, NothingOfAKilledOneIsRead) {
  for (WorkerLife sut : {WorkerLife(), ready(), ending()}) {
    EXPECT_TRUE(sut.kill());
    EXPECT_FALSE(sut.is_wanted());
    EXPECT_FALSE(sut.may_report());
    EXPECT_FALSE(sut.is_believed());
    EXPECT_FALSE(sut.is_gone());
    sut.on_gone();
    EXPECT_FALSE(sut.is_believed()) << "and never again";
  }
}

TEST(WorkerLife, IsKilledOnce) {
  WorkerLife sut = killed();
  EXPECT_FALSE(sut.kill());
  sut.on_gone();
  EXPECT_FALSE(sut.kill());
}

TEST(WorkerLife, AKilledOneIsNotReadyNorEndingAnyMore) {
  WorkerLife sut = killed();
  sut.on_ready();
  sut.end();
  EXPECT_FALSE(sut.is_wanted());
  EXPECT_FALSE(sut.may_report());
}

TEST(WorkerLife, WhatIsLeftOfOneThatDiedIsRead) {
  for (WorkerLife sut : {WorkerLife(), ready(), ending()}) {
    sut.on_gone();
    EXPECT_TRUE(sut.is_gone());
    EXPECT_TRUE(sut.is_believed());
    EXPECT_FALSE(sut.may_report());
    EXPECT_FALSE(sut.is_wanted());
  }
}

TEST(WorkerLife, OnlyTheEndOfAReadyOneIsNews) {
  EXPECT_TRUE(ready().on_gone());
  EXPECT_FALSE(WorkerLife().on_gone());
  EXPECT_FALSE(ending().on_gone());
  EXPECT_FALSE(killed().on_gone());
  WorkerLife gone = ready();
  gone.on_gone();
  EXPECT_FALSE(gone.on_gone());
}

}  // namespace
}  // namespace dispatch::core
