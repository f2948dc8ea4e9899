// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/field_list.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace dispatch::core {
namespace {

using Bytes = std::vector<std::byte>;

struct Point {
  std::uint32_t x = 0;
  std::uint32_t y = 0;
  std::uint32_t z = 0;
};

// Three fields, of 12, 5 and 8 bytes: 24 + 16 + 16 with headers and padding.
constexpr std::size_t kExampleBytes = 56;

void write_example(FieldWriter& to) {
  to.add_struct(7, Point{.x = 1, .y = 2, .z = 3});
  to.add(8, std::string_view("hello"));
  to.add(9, std::uint64_t{1} << 40);
}

Bytes example() {
  alignas(8) std::array<std::byte, 256> space{};
  FieldWriter to(space);
  write_example(to);
  return {to.written().begin(), to.written().end()};
}

std::vector<Field> fields_of(std::span<const std::byte> list) {
  std::vector<Field> fields;
  FieldReader reader(list);
  while (const auto field = reader.next()) fields.push_back(*field);
  return fields;
}

bool is_broken(std::span<const std::byte> list) {
  FieldReader reader(list);
  while (reader.next()) continue;
  return reader.is_broken();
}

TEST(FieldList, WhatIsWrittenIsRead) {
  const Bytes list = example();
  const auto fields = fields_of(list);
  ASSERT_EQ(fields.size(), 3U);
  EXPECT_FALSE(is_broken(list));
  EXPECT_EQ(fields[0].tag, 7);
  ASSERT_TRUE(fields[0].as_struct<Point>());
  EXPECT_EQ(fields[0].as_struct<Point>()->z, 3U);
  EXPECT_EQ(fields[1].tag, 8);
  EXPECT_EQ(fields[1].text(), "hello");
  EXPECT_EQ(fields[2].tag, 9);
  EXPECT_EQ(fields[2].number(), std::uint64_t{1} << 40);
}

TEST(FieldList, EveryFieldBeginsAtAMultipleOfEight) {
  EXPECT_EQ(example().size(), kExampleBytes);
}

TEST(FieldList, BytesAreThoseOfThePicture) {
  const Bytes list = example();
  const std::array<unsigned, 16> second = {8,   0,   0,   0,   5,   0, 0, 0,
                                           'h', 'e', 'l', 'l', 'o', 0, 0, 0};
  for (std::size_t i = 0; i < second.size(); ++i)
    EXPECT_EQ(std::to_integer<unsigned>(list[24 + i]), second[i]) << i;
}

TEST(FieldList, PaddingIsZeroInMemoryThatWasUsedBefore) {
  alignas(8) std::array<std::byte, 16> space{};
  space.fill(std::byte{0xff});
  FieldWriter to(space);
  to.add(1, std::string_view("abc"));
  EXPECT_EQ(fields_of(to.written()).size(), 1U);
}

TEST(FieldList, AnEmptyListIsNotBroken) {
  EXPECT_TRUE(fields_of({}).empty());
  EXPECT_FALSE(is_broken({}));
}

TEST(FieldList, AnEmptyValueIsAField) {
  alignas(8) std::array<std::byte, 8> space{};
  FieldWriter to(space);
  to.add(4, std::span<const std::byte>());
  const auto fields = fields_of(to.written());
  ASSERT_EQ(fields.size(), 1U);
  EXPECT_EQ(fields[0].tag, 4);
  EXPECT_TRUE(fields[0].value.empty());
}

TEST(FieldList, AWriterWithoutSpaceWritesNothingMoreAndSaysWhatItNeeds) {
  for (std::size_t size = 0; size < kExampleBytes; size += 8) {
    // One more, to see that it stays.
    std::vector<std::uint64_t> space(kExampleBytes / 8 + 1, ~std::uint64_t{0});
    FieldWriter to(std::as_writable_bytes(std::span(space)).first(size));
    write_example(to);
    to.add(1, std::span<const std::byte>());  // small enough to fit
    EXPECT_TRUE(to.has_overflowed()) << size;
    EXPECT_EQ(to.needed(), kExampleBytes + sizeof(FieldHeader)) << size;
    EXPECT_TRUE(to.written().empty()) << size;
    EXPECT_EQ(space[size / 8], ~std::uint64_t{0}) << size;
  }
}

TEST(FieldList, AWriterMeasuresWithoutAnySpace) {
  FieldWriter to({});
  write_example(to);
  EXPECT_EQ(to.needed(), kExampleBytes);
}

TEST(FieldList, AListThatIsCutIsBrokenButBetweenFields) {
  const Bytes list = example();
  for (std::size_t size = 0; size < list.size(); ++size) {
    const bool is_between = size == 0 || size == 24 || size == 40;
    EXPECT_EQ(is_broken(std::span(list).first(size)), !is_between) << size;
  }
}

TEST(FieldList, AReaderTakesAListThatBeginsAnywhere) {
  Bytes list = example();
  list.insert(list.begin(), 3, std::byte{0x55});
  const auto fields = fields_of(std::span(list).subspan(3));
  ASSERT_EQ(fields.size(), 3U);
  EXPECT_EQ(fields[2].number(), std::uint64_t{1} << 40);
}

// One byte of the example is changed.
TEST(FieldList, WhatIsNoFieldEndsTheListAndNothingIsReadAfterIt) {
  const std::pair<std::size_t, const char*> changes[] = {
      {2, "zero"},
      {3, "zero"},
      {5, "bytes, beyond the end"},
      {7, "bytes, far beyond the end"},
      {24 + 13, "padding"}};
  for (const auto& [position, what] : changes) {
    Bytes list = example();
    list[position] = std::byte{0xff};
    FieldReader reader(list);
    const std::size_t fields_before = position / 24;
    for (std::size_t i = 0; i < fields_before; ++i)
      EXPECT_TRUE(reader.next()) << what;
    EXPECT_FALSE(reader.next()) << what;
    EXPECT_TRUE(reader.is_broken()) << what;
    EXPECT_FALSE(reader.next()) << what;
  }
}

TEST(FieldList, MemoryThatNobodyWroteIsNoList) {
  EXPECT_TRUE(is_broken(Bytes(64)));
}

TEST(FieldList, ANumberHasEightBytes) {
  alignas(8) std::array<std::byte, 64> space{};
  FieldWriter to(space);
  to.add(1, std::string_view("1234567"));
  to.add(2, std::string_view("123456789"));
  for (const Field& field : fields_of(to.written())) {
    EXPECT_FALSE(field.number()) << field.tag;
    EXPECT_FALSE(field.as_struct<Point>()) << field.tag;
  }
}

TEST(FieldList, FindGivesTheFirstOfATag) {
  alignas(8) std::array<std::byte, 64> space{};
  FieldWriter to(space);
  to.add(3, std::string_view("other"));
  to.add(5, std::string_view("first"));
  to.add(5, std::string_view("second"));
  ASSERT_TRUE(find_field(to.written(), 5));
  EXPECT_EQ(find_field(to.written(), 5)->text(), "first");
  EXPECT_FALSE(find_field(to.written(), 6));
}

TEST(FieldList, FindDoesNotLookBeyondWhatIsBroken) {
  Bytes list = example();
  list[24 + 2] = std::byte{1};
  EXPECT_TRUE(find_field(list, 7));
  EXPECT_FALSE(find_field(list, 9));
}

}  // namespace
}  // namespace dispatch::core
