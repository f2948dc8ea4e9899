// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/report_check.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <utility>
#include <vector>

#include "core/field_list.h"

namespace dispatch::core {
namespace {

using protocol::BufferRecord;
using protocol::MemoryRecord;
using protocol::PayloadTag;
using protocol::Report;

constexpr std::int64_t kMillisecond = 1'000'000;

const AwaitedReport kAwaited = {.number = 5,
                                .sequence = 70,
                                .submitted_ns = 100 * kMillisecond,
                                .now_ns = 140 * kMillisecond};

Report good_report() {
  return {.number = 5,
          .sequence = 70,
          .start_ns = 110 * kMillisecond,
          .end_ns = 130 * kMillisecond,
          .flow = 0,
          .payload_bytes = 104,
          .copied_buffers = 1,
          .copied_bytes = 4096};
}

const char* check_changed(const std::function<void(Report&)>& change) {
  Report report = good_report();
  change(report);
  return check_report(report, kAwaited);
}

TEST(ReportCheck, AGoodReportIsBelieved) {
  EXPECT_STREQ(check_report(good_report(), kAwaited), nullptr);
}

TEST(ReportCheck, AStageMayKeepItsInputs) {
  EXPECT_STREQ(check_changed([](Report& report) {
                 report.flags = protocol::kKeepsInputs;
               }),
               nullptr);
}

TEST(ReportCheck, AnErrorIsAGoodReport) {
  EXPECT_STREQ(check_changed([](Report& report) { report.flow = -5; }),
               nullptr);
}

TEST(ReportCheck, AWrongFieldIsNamed) {
  using Change = std::function<void(Report&)>;
  const std::pair<const char*, Change> changes[] = {
      {"number", [](Report& report) { report.number = 4; }},
      {"number", [](Report& report) { report.number = 6; }},
      {"sequence", [](Report& report) { report.sequence = 71; }},
      {"start_ns", [](Report& report) { report.start_ns = -1; }},
      {"start_ns", [](Report& report) { report.start_ns = 0; }},
      {"start_ns", [](Report& report) { report.start_ns = INT64_MIN; }},
      {"start_ns", [](Report& report) { report.start_ns = 98 * kMillisecond; }},
      {"end_ns", [](Report& report) { report.end_ns = report.start_ns - 1; }},
      {"end_ns", [](Report& report) { report.end_ns = 142 * kMillisecond; }},
      {"end_ns", [](Report& report) { report.end_ns = INT64_MAX; }},
      {"end_ns", [](Report& report) { report.end_ns = INT64_MIN; }},
      {"flow", [](Report& report) { report.flow = 1; }},
      {"flags", [](Report& report) { report.flags = protocol::kPerStream; }},
      {"flags", [](Report& report) { report.flags = 1U << 31; }},
      {"payload_bytes",
       [](Report& report) {
         report.payload_bytes = protocol::kPayloadBytes + 8;
       }},
      {"payload_bytes", [](Report& report) { report.payload_bytes = ~0U; }},
      {"copied_buffers",
       [](Report& report) { report.copied_buffers = kMaxCopiedBuffers + 1; }},
      {"copied_bytes",
       [](Report& report) { report.copied_bytes = kMaxCopiedBytes + 1; }},
      {"reserved", [](Report& report) { report.reserved = 1; }},
  };
  for (const auto& [field, change] : changes)
    EXPECT_STREQ(check_changed(change), field);
}

TEST(ReportCheck, TimesAreBetweenHandOverAndNow) {
  EXPECT_STREQ(check_changed([](Report& report) {
                 report.start_ns = kAwaited.submitted_ns;
                 report.end_ns = kAwaited.now_ns;
               }),
               nullptr);
}

TEST(ReportCheck, AHairOfDifferenceBetweenClocksIsForgiven) {
  EXPECT_STREQ(check_changed([](Report& report) {
                 report.start_ns = kAwaited.submitted_ns - kMillisecond;
                 report.end_ns = kAwaited.now_ns + kMillisecond;
               }),
               nullptr);
}

TEST(ReportCheck, APayloadThatFollowsMayBeLarger) {
  EXPECT_STREQ(check_changed([](Report& report) {
                 report.flags = protocol::kPayloadFollows;
                 report.payload_bytes = protocol::kPayloadBytes + 8;
               }),
               nullptr);
}

// A payload, field by field.
class Payload {
 public:
  Payload& buffer(const BufferRecord& record = {}) {
    to_.add_struct(PayloadTag::kBuffer, record);
    return *this;
  }
  Payload& memory(const MemoryRecord& record = {}) {
    to_.add_struct(PayloadTag::kMemory, record);
    return *this;
  }
  // A field that has its value checked elsewhere, or none.
  Payload& plain(std::uint16_t tag, std::string_view value = {}) {
    to_.add(tag, value);
    return *this;
  }
  const char* check() const { return check_payload(to_.written()); }

 private:
  alignas(8) std::array<std::byte, 4096> space_{};
  FieldWriter to_{space_};
};

TEST(ReportCheck, APayloadMayBeEmpty) {
  EXPECT_STREQ(Payload().check(), nullptr);
}

TEST(ReportCheck, APayloadMayHoldBuffersListsEventsAndAnAnswer) {
  Payload payload;
  payload.plain(PayloadTag::kEvent, "caps")
      .buffer()
      .memory()
      .memory()
      .plain(PayloadTag::kMeta, "region")
      .plain(PayloadTag::kMeta)
      .plain(PayloadTag::kListBegin)
      .buffer()
      .memory()
      .buffer()  // one without memory
      .plain(PayloadTag::kListEnd)
      .plain(PayloadTag::kEvent)
      .buffer()
      .memory()
      .plain(PayloadTag::kQuery, "answer");
  EXPECT_STREQ(payload.check(), nullptr);
}

TEST(ReportCheck, FieldsOfALaterVersionAreSkippedAndEndABuffer) {
  Payload payload;
  payload.plain(999, "news").buffer().memory().plain(999, "news").buffer();
  EXPECT_STREQ(payload.check(), nullptr);
  EXPECT_STREQ(Payload().buffer().plain(999).memory().check(),
               "memory outside of a buffer");
}

TEST(ReportCheck, WhatIsOutOfPlaceIsNamed) {
  using Build = std::function<void(Payload&)>;
  const std::pair<const char*, Build> cases[] = {
      {"memory outside of a buffer", [](Payload& to) { to.memory(); }},
      {"meta outside of a buffer",
       [](Payload& to) { to.plain(PayloadTag::kMeta); }},
      {"memory outside of a buffer",
       [](Payload& to) { to.buffer().plain(PayloadTag::kEvent).memory(); }},
      {"memory outside of a buffer",
       [](Payload& to) { to.buffer().plain(PayloadTag::kQuery).memory(); }},
      {"memory outside of a buffer",
       [](Payload& to) { to.buffer().plain(PayloadTag::kListBegin).memory(); }},
      {"meta outside of a buffer",
       [](Payload& to) {
         to.plain(PayloadTag::kListBegin)
             .buffer()
             .plain(PayloadTag::kListEnd)
             .plain(PayloadTag::kMeta);
       }},
      {"list without an end",
       [](Payload& to) { to.plain(PayloadTag::kListBegin).buffer(); }},
      {"list without a buffer",
       [](Payload& to) {
         to.buffer().plain(PayloadTag::kListBegin).plain(PayloadTag::kListEnd);
       }},
      {"list in a list",
       [](Payload& to) {
         to.plain(PayloadTag::kListBegin).plain(PayloadTag::kListBegin);
       }},
      {"end of no list",
       [](Payload& to) { to.buffer().plain(PayloadTag::kListEnd); }},
      {"event in a list",
       [](Payload& to) {
         to.plain(PayloadTag::kListBegin).plain(PayloadTag::kEvent);
       }},
      {"query in a list",
       [](Payload& to) {
         to.plain(PayloadTag::kListBegin).plain(PayloadTag::kQuery);
       }},
      {"state in a report",
       [](Payload& to) { to.plain(PayloadTag::kState, "12345678"); }},
  };
  for (const auto& [wrong, build] : cases) {
    Payload payload;
    build(payload);
    EXPECT_STREQ(payload.check(), wrong);
  }
}

TEST(ReportCheck, WhatHasTheWrongSizeIsNamed) {
  EXPECT_STREQ(Payload().plain(PayloadTag::kBuffer, "short").check(),
               "size of a buffer");
  EXPECT_STREQ(Payload().buffer().plain(PayloadTag::kMemory, "short").check(),
               "size of a memory");
  EXPECT_STREQ(Payload().plain(PayloadTag::kListBegin, "x").check(),
               "size of a list's begin");
  EXPECT_STREQ(Payload()
                   .plain(PayloadTag::kListBegin)
                   .buffer()
                   .plain(PayloadTag::kListEnd, "x")
                   .check(),
               "size of a list's end");
}

TEST(ReportCheck, WhatABufferOrAMemoryMayNotSayIsNamed) {
  EXPECT_STREQ(Payload().buffer({.reserved = 1}).check(),
               "reserved of a buffer");
  EXPECT_STREQ(
      Payload().buffer().memory({.flags = protocol::kWritable}).check(),
      "flags of a memory");
  EXPECT_STREQ(Payload().buffer().memory({.reserved = 1}).check(),
               "reserved of a memory");
}

TEST(ReportCheck, ABufferHasNoMoreMemoriesThanAGstBufferTakes) {
  Payload payload;
  for (int buffer = 0; buffer < 2; ++buffer) {
    payload.buffer();
    for (std::uint32_t i = 0; i < protocol::kMaxMemories; ++i) payload.memory();
  }
  EXPECT_STREQ(payload.check(), nullptr);
  EXPECT_STREQ(payload.memory().check(), "number of memories");
}

TEST(ReportCheck, ABrokenListIsNamed) {
  EXPECT_STREQ(check_payload(std::vector<std::byte>(16)), "list of fields");
}

// Wherever a payload is cut, it is refused, or ends between two fields.
TEST(ReportCheck, ACutPayloadIsRefusedInsideOfAField) {
  alignas(8) std::array<std::byte, 256> space{};
  FieldWriter to(space);
  to.add_struct(PayloadTag::kBuffer, BufferRecord{});
  to.add_struct(PayloadTag::kMemory, MemoryRecord{});
  const auto payload = to.written();
  for (std::size_t size = 0; size < payload.size(); ++size) {
    const bool is_between = size == 0 || size == 56;
    EXPECT_EQ(check_payload(payload.first(size)) == nullptr, is_between)
        << size;
  }
}

}  // namespace
}  // namespace dispatch::core
