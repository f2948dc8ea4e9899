// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/result_shares.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

constexpr std::uint64_t kSlot = 100;

ResultShares of_three_workers() {
  ResultShares sut;
  for (unsigned worker = 0; worker < 3; ++worker) sut.join(worker);
  return sut;
}

TEST(ResultShares, KeepNothingWhereNothingIsKnown) {
  ResultShares sut = of_three_workers();
  EXPECT_FALSE(sut.has_size());
  EXPECT_EQ(sut.kept(), 0U);
  EXPECT_EQ(sut.least(), 0U);
  EXPECT_EQ(sut.kept_besides(0, kSlot), 2 * kSlot) << "the one asked for is";
}

TEST(ResultShares, KeepASlotForEachWorkerWithoutAFreeOne) {
  ResultShares sut = of_three_workers();
  sut.on_made(kSlot);
  sut.add_free(0, kSlot);
  EXPECT_EQ(sut.kept(), 2 * kSlot);
  EXPECT_EQ(sut.kept_besides(0, kSlot), 2 * kSlot);
  EXPECT_EQ(sut.kept_besides(1, kSlot), kSlot);
  sut.add_free(0, kSlot);
  EXPECT_EQ(sut.kept(), 2 * kSlot) << "a second one makes no difference";
  sut.add_free(1, kSlot);
  sut.add_free(2, kSlot);
  EXPECT_EQ(sut.kept(), 0U);
  EXPECT_EQ(sut.least(), 3 * kSlot);
}

// Its next frame will need one as well.
TEST(ResultShares, KeepAnotherOneWhenItIsUsed) {
  ResultShares sut = of_three_workers();
  sut.on_made(kSlot);
  for (unsigned worker = 0; worker < 3; ++worker) sut.add_free(worker, kSlot);
  sut.remove_free(1, kSlot);
  EXPECT_EQ(sut.kept(), kSlot);
  EXPECT_FALSE(sut.has_free(1, kSlot));
  sut.add_free(1, kSlot);
  EXPECT_EQ(sut.kept(), 0U);
}

TEST(ResultShares, DoNotCountSlotsThatAreTooSmall) {
  ResultShares sut = of_three_workers();
  sut.on_made(kSlot);
  for (unsigned worker = 0; worker < 3; ++worker) sut.add_free(worker, kSlot);
  EXPECT_EQ(sut.kept_besides(0, kSlot + 1), 2 * (kSlot + 1));
  EXPECT_FALSE(sut.has_free(0, kSlot + 1));
  sut.on_made(kSlot + 1);
  EXPECT_EQ(sut.kept(), 3 * (kSlot + 1));
  sut.on_made(kSlot - 1);
  EXPECT_EQ(sut.kept(), 3 * (kSlot + 1)) << "the largest one counts";
}

TEST(ResultShares, ReplaceAGuessByWhatIsAskedFor) {
  ResultShares sut = of_three_workers();
  sut.guess(10 * kSlot);
  EXPECT_EQ(sut.kept(), 30 * kSlot);
  EXPECT_EQ(sut.kept_besides(0, kSlot), 2 * kSlot);
  sut.on_made(kSlot);
  EXPECT_EQ(sut.least(), 3 * kSlot);
  sut.guess(10 * kSlot);
  EXPECT_EQ(sut.least(), 3 * kSlot) << "it is known now";
  sut.forget_size();
  EXPECT_EQ(sut.kept(), 0U);
  sut.guess(2 * kSlot);
  EXPECT_EQ(sut.least(), 6 * kSlot);
}

TEST(ResultShares, AreKeptForThoseWhoAreStillToCome) {
  ResultShares sut;
  sut.expect(3);
  sut.join(0);
  sut.guess(kSlot);
  EXPECT_EQ(sut.kept(), 3 * kSlot);
  EXPECT_EQ(sut.least(), 3 * kSlot);
  EXPECT_EQ(sut.workers(), 3U);
  EXPECT_EQ(sut.kept_besides(0, kSlot), 2 * kSlot);
  sut.join(7);
  EXPECT_EQ(sut.kept(), 3 * kSlot) << "its part was kept already";
  EXPECT_EQ(sut.lacking_besides(7, kSlot), 2U);
}

TEST(ResultShares, AreKeptForTheNextOneWhenOneHasGone) {
  ResultShares sut;
  sut.expect(1);
  sut.join(0);
  sut.on_made(kSlot);
  sut.add_free(0, kSlot);
  EXPECT_EQ(sut.kept(), 0U);
  sut.leave(0);
  EXPECT_EQ(sut.kept(), kSlot);
  EXPECT_FALSE(sut.is_untouched()) << "the stream goes on";
  sut.expect(0);
  EXPECT_FALSE(sut.has_size()) << "the next one is another";
  EXPECT_TRUE(sut.is_untouched());
}

TEST(ResultShares, CountTheWorkersThatLackASlot) {
  ResultShares sut = of_three_workers();
  EXPECT_EQ(sut.workers(), 3U);
  EXPECT_EQ(sut.lacking(), 3U) << "of any size";
  EXPECT_EQ(sut.lacking_besides(1, kSlot), 2U);
  sut.on_made(kSlot);
  sut.add_free(0, kSlot);
  EXPECT_EQ(sut.lacking(), 2U);
  EXPECT_EQ(sut.lacking_besides(1, kSlot), 1U);
  EXPECT_EQ(sut.lacking_besides(1, kSlot + 1), 2U) << "too small";
  sut.remove_free(0, kSlot);
  EXPECT_EQ(sut.lacking(), 3U);
}

TEST(ResultShares, EndWithTheWorkers) {
  ResultShares sut = of_three_workers();
  EXPECT_TRUE(sut.is_untouched());
  sut.on_made(kSlot);
  sut.add_free(0, kSlot);
  EXPECT_FALSE(sut.is_untouched());
  sut.leave(0);
  EXPECT_EQ(sut.kept(), 2 * kSlot);
  EXPECT_FALSE(sut.has_free(0, kSlot));
  sut.add_free(0, kSlot);  // of a worker that is gone
  EXPECT_FALSE(sut.has_free(0, kSlot));
  sut.leave(1);
  sut.leave(2);
  EXPECT_TRUE(sut.is_untouched());
  EXPECT_FALSE(sut.has_size());
}

}  // namespace
}  // namespace dispatch::core
