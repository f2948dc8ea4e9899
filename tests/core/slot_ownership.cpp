// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/slot_ownership.h"

#include <gtest/gtest.h>

#include <utility>

namespace dispatch::core {
namespace {

using Owner = SlotOwnership::Owner;
using SlotKind = SlotOwnership::SlotKind;

constexpr std::uint64_t kBytes = 4096;

protocol::MemoryRecord whole(SlotName slot) {
  return {.slot = slot.index, .generation = slot.generation, .bytes = kBytes};
}

// What the only memory of a report is judged to be.
const char* check_alone(SlotOwnership& sut,
                        const protocol::MemoryRecord& memory,
                        std::vector<SlotName> inputs = {}) {
  ReportedSlots report{.inputs = std::move(inputs)};
  return sut.check_use(memory, report);
}

SlotName give(SlotOwnership& sut, SlotKind kind) {
  const auto slot = sut.give(kind, kBytes);
  EXPECT_TRUE(slot);
  return slot.value_or(SlotName{});
}

TEST(SlotOwnership, AResultSlotIsTheWorkersFirst) {
  SlotOwnership sut;
  const SlotName slot = give(sut, SlotKind::kResult);
  EXPECT_EQ(sut.owner(slot), Owner::kWorker);
  EXPECT_EQ(sut.result_slots(), 1U);
  EXPECT_EQ(sut.result_slots_at_worker(), 1U);
}

TEST(SlotOwnership, AnInputSlotIsNobodys) {
  SlotOwnership sut;
  EXPECT_EQ(sut.owner(give(sut, SlotKind::kInput)), Owner::kNobody);
  EXPECT_EQ(sut.result_slots(), 0U);
  EXPECT_EQ(sut.result_slots_at_worker(), 0U);
}

TEST(SlotOwnership, AReportedResultGoesDownstreamAndComesBack) {
  SlotOwnership sut;
  const SlotName slot = give(sut, SlotKind::kResult);
  for (int round = 0; round < 3; ++round) {
    EXPECT_STREQ(check_alone(sut, whole(slot)), nullptr);
    EXPECT_EQ(sut.owner(slot), Owner::kDownstream);
    EXPECT_EQ(sut.result_slots_at_worker(), 0U);
    sut.release(slot);
    EXPECT_EQ(sut.owner(slot), Owner::kWorker);
    EXPECT_EQ(sut.result_slots_at_worker(), 1U);
  }
}

TEST(SlotOwnership, AReportMayNameManyPartsOfAResult) {
  SlotOwnership sut;
  const SlotName slot = give(sut, SlotKind::kResult);
  const SlotName other = give(sut, SlotKind::kResult);
  ReportedSlots report;
  EXPECT_STREQ(sut.check_use(whole(slot), report), nullptr);
  EXPECT_STREQ(sut.check_use(whole(other), report), nullptr);
  protocol::MemoryRecord part = whole(slot);
  part.offset = 8;
  EXPECT_STREQ(sut.check_use(part, report), "bytes");
  part.bytes = 8;
  EXPECT_STREQ(sut.check_use(part, report), nullptr);
  EXPECT_EQ(report.results, (std::vector<SlotName>{slot, other}));
  EXPECT_EQ(sut.result_slots_at_worker(), 0U);
  // The next one may not.
  EXPECT_STREQ(check_alone(sut, part), "owner");
  sut.release(slot);
  EXPECT_EQ(sut.result_slots_at_worker(), 1U);
}

TEST(SlotOwnership, AWrongPartIsNotTheReports) {
  SlotOwnership sut;
  const SlotName slot = give(sut, SlotKind::kResult);
  protocol::MemoryRecord part = whole(slot);
  part.bytes = kBytes + 1;
  ReportedSlots report;
  EXPECT_STREQ(sut.check_use(part, report), "bytes");
  EXPECT_TRUE(report.results.empty());
}

TEST(SlotOwnership, AWorkerMayNotReportWhatDownstreamHas) {
  SlotOwnership sut;
  const SlotName slot = give(sut, SlotKind::kResult);
  EXPECT_STREQ(check_alone(sut, whole(slot)), nullptr);
  EXPECT_STREQ(check_alone(sut, whole(slot)), "owner");
}

TEST(SlotOwnership, AnInputMayBeReportedForItsOwnCommandAsOftenAsItLikes) {
  SlotOwnership sut;
  const SlotName mine = give(sut, SlotKind::kInput);
  const SlotName other = give(sut, SlotKind::kInput);
  EXPECT_STREQ(check_alone(sut, whole(mine), {mine}), nullptr);
  EXPECT_STREQ(check_alone(sut, whole(mine), {other, mine}), nullptr);
  EXPECT_STREQ(check_alone(sut, whole(mine), {other}), "owner");
  EXPECT_STREQ(check_alone(sut, whole(mine)), "owner");
  EXPECT_EQ(sut.owner(mine), Owner::kNobody);
}

TEST(SlotOwnership, AnIndexThatWasNeverGivenIsWrong) {
  SlotOwnership sut;
  const SlotName slot = give(sut, SlotKind::kResult);
  EXPECT_STREQ(check_alone(sut, whole({slot.index + 1, slot.generation})),
               "slot");
  EXPECT_STREQ(check_alone(sut, whole({~0U, slot.generation})), "slot");
}

TEST(SlotOwnership, AnotherGenerationIsWrong) {
  SlotOwnership sut;
  const SlotName slot = give(sut, SlotKind::kResult);
  for (const std::uint32_t generation :
       {slot.generation - 1, slot.generation + 1, ~0U})
    EXPECT_STREQ(check_alone(sut, whole({slot.index, generation})),
                 "generation");
  EXPECT_EQ(sut.owner(slot), Owner::kWorker);
}

TEST(SlotOwnership, NoGenerationIsZero) {
  SlotOwnership sut;
  EXPECT_NE(give(sut, SlotKind::kInput).generation, 0U);
}

TEST(SlotOwnership, APartMustLieInItsSlot) {
  SlotOwnership sut;
  const SlotName slot = give(sut, SlotKind::kResult);
  const auto check = [&](std::uint64_t offset, std::uint64_t bytes) {
    protocol::MemoryRecord part = whole(slot);
    part.offset = offset;
    part.bytes = bytes;
    return check_alone(sut, part);
  };
  const std::uint64_t huge = ~std::uint64_t{0};
  EXPECT_STREQ(check(kBytes + 1, 0), "offset");
  EXPECT_STREQ(check(huge, 2), "offset");
  EXPECT_STREQ(check(0, kBytes + 1), "bytes");
  EXPECT_STREQ(check(0, huge), "bytes");
  EXPECT_STREQ(check(8, kBytes - 7), "bytes");
  EXPECT_STREQ(check(8, huge - 4), "bytes");  // their sum is small
  EXPECT_EQ(sut.owner(slot), Owner::kWorker);
  EXPECT_STREQ(check(8, kBytes - 8), nullptr);
}

TEST(SlotOwnership, WhatWasTakenBackIsNobodysAndCannotBeNamed) {
  SlotOwnership sut;
  const SlotName slot = give(sut, SlotKind::kResult);
  sut.take_back(slot);
  EXPECT_EQ(sut.owner(slot), Owner::kNobody);
  EXPECT_EQ(sut.result_slots(), 0U);
  EXPECT_EQ(sut.result_slots_at_worker(), 0U);
  EXPECT_STREQ(check_alone(sut, whole(slot), {slot}), "generation");
}

TEST(SlotOwnership, TakingBackWhatDownstreamHasCountsOnce) {
  SlotOwnership sut;
  const SlotName slot = give(sut, SlotKind::kResult);
  EXPECT_STREQ(check_alone(sut, whole(slot)), nullptr);
  sut.take_back(slot);
  sut.take_back(slot);
  sut.release(slot);  // downstream is done with it, too late
  EXPECT_EQ(sut.owner(slot), Owner::kNobody);
  EXPECT_EQ(sut.result_slots(), 0U);
  EXPECT_EQ(sut.result_slots_at_worker(), 0U);
}

TEST(SlotOwnership, AnIndexIsUsedAgainUnderAnotherName) {
  SlotOwnership sut;
  const SlotName old = give(sut, SlotKind::kResult);
  sut.take_back(old);
  const SlotName slot = give(sut, SlotKind::kInput);
  EXPECT_EQ(slot.index, old.index);
  EXPECT_NE(slot, old);
  // The old name harms the new slot in no way.
  sut.release(old);
  sut.take_back(old);
  EXPECT_STREQ(check_alone(sut, whole(old), {old}), "generation");
  EXPECT_STREQ(check_alone(sut, whole(slot), {slot}), nullptr);
}

TEST(SlotOwnership, ReleasingWhatTheWorkerHasChangesNothing) {
  SlotOwnership sut;
  const SlotName result = give(sut, SlotKind::kResult);
  const SlotName input = give(sut, SlotKind::kInput);
  sut.release(result);
  sut.release(input);
  sut.release({~0U, 1});
  EXPECT_EQ(sut.result_slots_at_worker(), 1U);
  EXPECT_EQ(sut.owner(input), Owner::kNobody);
}

TEST(SlotOwnership, ResultSlotsAreLimitedInputSlotsAreNot) {
  SlotOwnership sut;
  SlotName last;
  for (std::uint32_t i = 0; i < protocol::kMaxResultSlots; ++i)
    last = give(sut, SlotKind::kResult);
  EXPECT_FALSE(sut.give(SlotKind::kResult, kBytes));
  EXPECT_TRUE(sut.give(SlotKind::kInput, kBytes));
  EXPECT_EQ(sut.result_slots(), protocol::kMaxResultSlots);
  sut.take_back(last);
  EXPECT_TRUE(sut.give(SlotKind::kResult, kBytes));
}

}  // namespace
}  // namespace dispatch::core
