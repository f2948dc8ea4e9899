// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/last_lines.h"

#include <gtest/gtest.h>

namespace dispatch::core {
namespace {

TEST(LastLines, AreEmptyAtFirst) { EXPECT_EQ(LastLines().text(), ""); }

TEST(LastLines, AreThoseThatCameLast) {
  LastLines sut;
  for (int i = 0; i < 12; ++i) sut.add("line " + std::to_string(i) + "\n");
  const std::string text = sut.text();
  EXPECT_EQ(text.find("line 1\n"), std::string::npos);
  EXPECT_EQ(text.rfind("line 2\n", 0), 0U);
  EXPECT_TRUE(text.ends_with("\nline 11"));
}

TEST(LastLines, ComeInPieces) {
  LastLines sut;
  sut.add("a");
  sut.add("b\nc");
  EXPECT_EQ(sut.text(), "ab\nc") << "one without an end counts";
  sut.add("d\n");
  sut.add("e");
  EXPECT_EQ(sut.text(), "ab\ncd\ne");
}

TEST(LastLines, ThatAreEmptyAreLeftOut) {
  LastLines sut;
  sut.add("\n\na\n\n\nb\n\n");
  EXPECT_EQ(sut.text(), "a\nb");
}

TEST(LastLines, ThatAreTooLongAreCut) {
  LastLines sut;
  for (int i = 0; i < 100; ++i) sut.add(std::string(50, 'x'));
  sut.add("\nshort\n");
  EXPECT_EQ(sut.text(), std::string(LastLines::kMaxLineBytes, 'x') + "\nshort");
}

}  // namespace
}  // namespace dispatch::core
