// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

#include <gst/audio/audio.h>
#include <gst/video/video.h>

#include "process/event_codec.h"
#include "process/field_builder.h"

namespace dispatch::process {
namespace {

using stage::CapsPtr;
using stage::ObjectPtr;
using stage::QueryPtr;

CapsPtr caps(const char* text) { return CapsPtr(gst_caps_from_string(text)); }

QueryPtr bring_back(const QueryPtr& query) {
  const Bytes bytes = encode_query(query.get());
  EXPECT_FALSE(bytes.empty()) << GST_QUERY_TYPE_NAME(query.get());
  QueryPtr back = decode_query(bytes);
  if (!back) return nullptr;
  EXPECT_EQ(GST_QUERY_TYPE(back.get()), GST_QUERY_TYPE(query.get()));
  return back;
}

void expect_same(QueryPtr query) {
  SCOPED_TRACE(GST_QUERY_TYPE_NAME(query.get()));
  const QueryPtr back = bring_back(query);
  ASSERT_NE(back, nullptr);
  EXPECT_TRUE(gst_structure_is_equal(gst_query_get_structure(query.get()),
                                     gst_query_get_structure(back.get())));
}

// ---- There and back --------------------------------------------------------

TEST(QueryCodec, BringsBackQueriesOfOneStructure) {
  const auto same = [](GstQuery* query) { expect_same(QueryPtr(query)); };
  same(gst_query_new_position(GST_FORMAT_TIME));
  same(gst_query_new_duration(GST_FORMAT_BYTES));
  same(gst_query_new_latency());
  same(gst_query_new_seeking(GST_FORMAT_TIME));
  same(gst_query_new_segment(GST_FORMAT_TIME));
  same(gst_query_new_convert(GST_FORMAT_BYTES, 5, GST_FORMAT_TIME));
  same(gst_query_new_uri());
  same(gst_query_new_drain());
  same(gst_query_new_bitrate());
  same(gst_query_new_custom(
      GST_QUERY_CUSTOM,
      gst_structure_new("test", "text", G_TYPE_STRING, "a; b", nullptr)));
}

TEST(QueryCodec, BringsBackCapsQueries) {
  const CapsPtr filter = caps("video/x-raw, width=[1, 9]; audio/x-raw");
  const CapsPtr result = caps("EMPTY");
  for (GstCaps* asked : {static_cast<GstCaps*>(nullptr), filter.get()})
    for (GstCaps* answered : {static_cast<GstCaps*>(nullptr), result.get()}) {
      const QueryPtr query(gst_query_new_caps(asked));
      if (answered != nullptr) gst_query_set_caps_result(query.get(), answered);
      const QueryPtr back = bring_back(query);
      ASSERT_NE(back, nullptr);
      GstCaps* read = nullptr;
      gst_query_parse_caps(back.get(), &read);
      ASSERT_EQ(read == nullptr, asked == nullptr);
      if (asked != nullptr) {
        EXPECT_TRUE(gst_caps_is_strictly_equal(read, asked));
      }
      gst_query_parse_caps_result(back.get(), &read);
      ASSERT_EQ(read == nullptr, answered == nullptr);
      if (answered != nullptr) {
        EXPECT_TRUE(gst_caps_is_strictly_equal(read, answered));
      }
    }
}

TEST(QueryCodec, BringsBackAcceptCapsQueries) {
  const CapsPtr asked = caps("video/x-raw, width=5");
  const QueryPtr query(gst_query_new_accept_caps(asked.get()));
  gst_query_set_accept_caps_result(query.get(), TRUE);
  const QueryPtr back = bring_back(query);
  ASSERT_NE(back, nullptr);
  GstCaps* read = nullptr;
  gboolean result = FALSE;
  gst_query_parse_accept_caps(back.get(), &read);
  gst_query_parse_accept_caps_result(back.get(), &result);
  EXPECT_TRUE(gst_caps_is_strictly_equal(read, asked.get()));
  EXPECT_TRUE(result);
}

// An answered ALLOCATION query, with a pool and an allocator of this process.
QueryPtr allocation() {
  const CapsPtr asked = caps("video/x-raw, width=5");
  QueryPtr query(gst_query_new_allocation(asked.get(), TRUE));
  const ObjectPtr<GstBufferPool> pool(
      stage::sink_object(gst_buffer_pool_new()));
  const ObjectPtr<GstAllocator> allocator(gst_allocator_find(nullptr));
  gst_query_add_allocation_meta(query.get(), GST_VIDEO_META_API_TYPE, nullptr);
  GstStructure* params =
      gst_structure_new("params", "padding", G_TYPE_UINT, 7U, nullptr);
  gst_query_add_allocation_meta(query.get(), GST_VIDEO_CROP_META_API_TYPE,
                                params);
  gst_structure_free(params);
  gst_query_add_allocation_meta(query.get(), GST_AUDIO_META_API_TYPE, nullptr);
  gst_query_add_allocation_pool(query.get(), pool.get(), 3144960, 2, 8);
  gst_query_add_allocation_pool(query.get(), nullptr, 0, 0, 0);
  GstAllocationParams alignment = {
      static_cast<GstMemoryFlags>(GST_MEMORY_FLAG_ZERO_PADDED), 31, 16, 32, {}};
  gst_query_add_allocation_param(query.get(), allocator.get(), &alignment);
  return query;
}

void expect_allocation(const QueryPtr& query) {
  GstCaps* asked = nullptr;
  gboolean need_pool = FALSE;
  gst_query_parse_allocation(query.get(), &asked, &need_pool);
  EXPECT_TRUE(gst_caps_is_equal(asked, caps("video/x-raw, width=5").get()));
  EXPECT_TRUE(need_pool);

  ASSERT_EQ(gst_query_get_n_allocation_metas(query.get()), 3U);
  const GstStructure* params = nullptr;
  EXPECT_EQ(gst_query_parse_nth_allocation_meta(query.get(), 0, &params),
            GST_VIDEO_META_API_TYPE);
  EXPECT_EQ(params, nullptr);
  EXPECT_EQ(gst_query_parse_nth_allocation_meta(query.get(), 1, &params),
            GST_VIDEO_CROP_META_API_TYPE);
  guint padding = 0;
  ASSERT_NE(params, nullptr);
  EXPECT_TRUE(gst_structure_get_uint(params, "padding", &padding));
  EXPECT_EQ(padding, 7U);
  EXPECT_EQ(gst_query_parse_nth_allocation_meta(query.get(), 2, &params),
            GST_AUDIO_META_API_TYPE);
  EXPECT_EQ(params, nullptr);

  ASSERT_EQ(gst_query_get_n_allocation_pools(query.get()), 2U);
  GstBufferPool* pool = nullptr;
  guint size = 0;
  guint min = 0;
  guint max = 0;
  gst_query_parse_nth_allocation_pool(query.get(), 0, &pool, &size, &min, &max);
  EXPECT_EQ(pool, nullptr);
  EXPECT_EQ(size, 3144960U);
  EXPECT_EQ(min, 2U);
  EXPECT_EQ(max, 8U);

  ASSERT_EQ(gst_query_get_n_allocation_params(query.get()), 1U);
  GstAllocator* allocator = nullptr;
  GstAllocationParams alignment;
  gst_query_parse_nth_allocation_param(query.get(), 0, &allocator, &alignment);
  EXPECT_EQ(allocator, nullptr);
  EXPECT_EQ(alignment.flags, GST_MEMORY_FLAG_ZERO_PADDED);
  EXPECT_EQ(alignment.align, 31U);
  EXPECT_EQ(alignment.prefix, 16U);
  EXPECT_EQ(alignment.padding, 32U);
}

TEST(QueryCodec, BringsBackAllocationWithoutObjects) {
  const QueryPtr back = bring_back(allocation());
  ASSERT_NE(back, nullptr);
  expect_allocation(back);
}

TEST(QueryCodec, BringsBackAllocationWithoutCaps) {
  const QueryPtr back =
      bring_back(QueryPtr(gst_query_new_allocation(nullptr, FALSE)));
  ASSERT_NE(back, nullptr);
  GstCaps* asked = nullptr;
  gst_query_parse_allocation(back.get(), &asked, nullptr);
  EXPECT_EQ(asked, nullptr);
}

// Others may look at a query that is shared, at the same time.
TEST(QueryCodec, ChangesNoQueryByLookingAtIt) {
  const QueryPtr query(gst_query_new_allocation(nullptr, FALSE));
  const gint before =
      gst_structure_n_fields(gst_query_get_structure(query.get()));
  encode_query(query.get());
  EXPECT_EQ(gst_structure_n_fields(gst_query_get_structure(query.get())),
            before);
}

TEST(QueryCodec, LeavesOutMetasThatNobodyKnows) {
  FieldBuilder list;
  list.add_number(QueryTag::kType, GST_QUERY_ALLOCATION);
  list.add_number(QueryTag::kNeedPool, 0);
  for (const char* name : {"NoSuchApi", "GstElement", "gint", "GstVideoMeta",
                           "", "GstVideoMetaAPI"}) {
    list.add_text(QueryTag::kMeta, name);
    list.add_text(QueryTag::kMetaParameters, "params");
  }
  const QueryPtr query = decode_query(list.take());
  ASSERT_NE(query, nullptr);
  ASSERT_EQ(gst_query_get_n_allocation_metas(query.get()), 1U);
  const GstStructure* params = nullptr;
  EXPECT_EQ(gst_query_parse_nth_allocation_meta(query.get(), 0, &params),
            GST_VIDEO_META_API_TYPE);
  EXPECT_NE(params, nullptr);
}

// ---- Answers ---------------------------------------------------------------

TEST(QueryCodec, PutsInAPosition) {
  const QueryPtr query(gst_query_new_position(GST_FORMAT_TIME));
  const QueryPtr answer(gst_query_new_position(GST_FORMAT_TIME));
  gst_query_set_position(answer.get(), GST_FORMAT_TIME, 42);
  ASSERT_TRUE(decode_answer(encode_query(answer.get()), query.get()));
  gint64 position = 0;
  gst_query_parse_position(query.get(), nullptr, &position);
  EXPECT_EQ(position, 42);
}

TEST(QueryCodec, KeepsTheQuestion) {
  const QueryPtr query(
      gst_query_new_convert(GST_FORMAT_BYTES, 5, GST_FORMAT_TIME));
  const QueryPtr answer(
      gst_query_new_convert(GST_FORMAT_BUFFERS, 6, GST_FORMAT_BYTES));
  gst_query_set_convert(answer.get(), GST_FORMAT_BUFFERS, 6, GST_FORMAT_BYTES,
                        77);
  ASSERT_TRUE(decode_answer(encode_query(answer.get()), query.get()));
  GstFormat from = GST_FORMAT_UNDEFINED;
  GstFormat to = GST_FORMAT_UNDEFINED;
  gint64 source = 0;
  gint64 result = 0;
  gst_query_parse_convert(query.get(), &from, &source, &to, &result);
  EXPECT_EQ(from, GST_FORMAT_BYTES);
  EXPECT_EQ(source, 5);
  EXPECT_EQ(to, GST_FORMAT_TIME);
  EXPECT_EQ(result, 77);
}

TEST(QueryCodec, PutsInLatencyAndSeeking) {
  const QueryPtr latency(gst_query_new_latency());
  const QueryPtr answer(gst_query_new_latency());
  gst_query_set_latency(answer.get(), TRUE, 5, GST_CLOCK_TIME_NONE);
  ASSERT_TRUE(decode_answer(encode_query(answer.get()), latency.get()));
  gboolean is_live = FALSE;
  GstClockTime min = 0;
  GstClockTime max = 0;
  gst_query_parse_latency(latency.get(), &is_live, &min, &max);
  EXPECT_TRUE(is_live);
  EXPECT_EQ(min, 5U);
  EXPECT_EQ(max, GST_CLOCK_TIME_NONE);

  const QueryPtr seeking(gst_query_new_seeking(GST_FORMAT_TIME));
  const QueryPtr seekable(gst_query_new_seeking(GST_FORMAT_TIME));
  gst_query_set_seeking(seekable.get(), GST_FORMAT_TIME, TRUE, 1, 2);
  ASSERT_TRUE(decode_answer(encode_query(seekable.get()), seeking.get()));
  gboolean is_seekable = FALSE;
  gst_query_parse_seeking(seeking.get(), nullptr, &is_seekable, nullptr,
                          nullptr);
  EXPECT_TRUE(is_seekable);
}

TEST(QueryCodec, PutsInCapsWithoutTheFilter) {
  const CapsPtr filter = caps("video/x-raw");
  const CapsPtr other = caps("audio/x-raw");
  const CapsPtr result = caps("video/x-raw, width=[1, 9]");
  const QueryPtr query(gst_query_new_caps(filter.get()));
  const QueryPtr answer(gst_query_new_caps(other.get()));
  gst_query_set_caps_result(answer.get(), result.get());
  ASSERT_TRUE(decode_answer(encode_query(answer.get()), query.get()));
  GstCaps* read = nullptr;
  gst_query_parse_caps(query.get(), &read);
  EXPECT_EQ(read, filter.get());
  gst_query_parse_caps_result(query.get(), &read);
  EXPECT_TRUE(gst_caps_is_strictly_equal(read, result.get()));

  const QueryPtr accept(gst_query_new_accept_caps(filter.get()));
  const QueryPtr accepted(gst_query_new_accept_caps(other.get()));
  gst_query_set_accept_caps_result(accepted.get(), TRUE);
  ASSERT_TRUE(decode_answer(encode_query(accepted.get()), accept.get()));
  gboolean is_accepted = FALSE;
  gst_query_parse_accept_caps_result(accept.get(), &is_accepted);
  EXPECT_TRUE(is_accepted);
  gst_query_parse_accept_caps(accept.get(), &read);
  EXPECT_EQ(read, filter.get());
}

TEST(QueryCodec, PutsInAllocation) {
  const CapsPtr asked = caps("video/x-raw, width=5");
  const QueryPtr query(gst_query_new_allocation(asked.get(), TRUE));
  gst_query_add_allocation_pool(query.get(), nullptr, 1, 1, 1);
  gst_query_add_allocation_meta(query.get(), GST_VIDEO_META_API_TYPE, nullptr);
  const QueryPtr answer = allocation();
  ASSERT_TRUE(decode_answer(encode_query(answer.get()), query.get()));
  expect_allocation(query);
}

TEST(QueryCodec, PutsInWhatACustomQueryGets) {
  const auto custom = [](const char* text) {
    return QueryPtr(gst_query_new_custom(
        GST_QUERY_CUSTOM, gst_structure_from_string(text, nullptr)));
  };
  const QueryPtr query = custom("test, asked=(int)1");
  ASSERT_TRUE(decode_answer(
      encode_query(custom("test, asked=(int)1, answer=(int)2").get()),
      query.get()));
  gint answer = 0;
  EXPECT_TRUE(gst_structure_get_int(gst_query_get_structure(query.get()),
                                    "answer", &answer));
  EXPECT_EQ(answer, 2);
}

TEST(QueryCodec, TakesNoAnswerOfAnotherKind) {
  const QueryPtr query(gst_query_new_position(GST_FORMAT_TIME));
  const QueryPtr other(gst_query_new_duration(GST_FORMAT_TIME));
  EXPECT_FALSE(decode_answer(encode_query(other.get()), query.get()));
  EXPECT_FALSE(decode_answer({}, query.get()));
}

// ---- What stays, and bytes from outside ------------------------------------

TEST(QueryCodec, HasNoBytesForWhatBelongsToAProcess) {
  for (GstQuery* query :
       {gst_query_new_context("a type"), gst_query_new_scheduling(),
        gst_query_new_formats(), gst_query_new_buffering(GST_FORMAT_TIME)})
    EXPECT_TRUE(encode_query(QueryPtr(query).get()).empty());
}

QueryPtr decode(std::uint64_t type,
                const std::function<void(FieldBuilder&)>& add) {
  FieldBuilder list;
  list.add_number(QueryTag::kType, type);
  add(list);
  return decode_query(list.take());
}

TEST(QueryCodec, RefusesWhatIsNoQuery) {
  EXPECT_EQ(decode_query({}), nullptr);
  const auto structure = [](const char* text) {
    return [text](FieldBuilder& list) {
      list.add_text(QueryTag::kStructure, text);
    };
  };
  EXPECT_NE(decode(GST_QUERY_CUSTOM, structure("test")), nullptr);
  EXPECT_EQ(decode(GST_QUERY_CUSTOM, [](FieldBuilder&) {}), nullptr);
  for (const std::uint64_t type :
       {std::uint64_t{0}, std::uint64_t{GST_QUERY_CONTEXT},
        std::uint64_t{GST_QUERY_SCHEDULING}, std::uint64_t{GST_QUERY_FORMATS},
        (std::uint64_t{1} << 32) + GST_QUERY_CUSTOM, G_MAXUINT64})
    EXPECT_EQ(decode(type, structure("test")), nullptr) << type;
  EXPECT_EQ(decode(GST_QUERY_POSITION, structure("GstQueryPosition")), nullptr);
  EXPECT_EQ(decode(GST_QUERY_POSITION,
                   structure("a, format=(GstFormat)time, current=(int)1")),
            nullptr);
}

TEST(QueryCodec, RefusesCapsThatAreNone) {
  const auto with = [](QueryTag tag, const char* text) {
    return [=](FieldBuilder& list) {
      list.add_number(QueryTag::kResult, 0);
      list.add_number(QueryTag::kNeedPool, 0);
      list.add_text(tag, text);
    };
  };
  for (const auto type :
       {GST_QUERY_CAPS, GST_QUERY_ACCEPT_CAPS, GST_QUERY_ALLOCATION})
    EXPECT_EQ(decode(type, with(QueryTag::kCaps, "no caps")), nullptr) << type;
  EXPECT_EQ(decode(GST_QUERY_CAPS, with(QueryTag::kResultCaps, "")), nullptr);
  EXPECT_EQ(decode(GST_QUERY_ACCEPT_CAPS, with(QueryTag::kCaps, "ANY")),
            nullptr);
}

TEST(QueryCodec, RefusesSizesThatAreNone) {
  const auto with_pool = [](std::uint32_t min, std::uint32_t max) {
    return decode(GST_QUERY_ALLOCATION, [=](FieldBuilder& list) {
      list.add_number(QueryTag::kNeedPool, 0);
      list.add_struct(QueryTag::kPool, PoolRecord{1, min, max});
    });
  };
  EXPECT_NE(with_pool(5, 0), nullptr);
  EXPECT_NE(with_pool(5, 5), nullptr);
  EXPECT_EQ(with_pool(5, 4), nullptr);
  const auto with_params = [](std::uint64_t align, std::uint64_t prefix,
                              std::uint64_t padding) {
    return decode(GST_QUERY_ALLOCATION, [=](FieldBuilder& list) {
      list.add_number(QueryTag::kNeedPool, 0);
      list.add_struct(QueryTag::kAllocation,
                      AllocationRecord{0, 0, align, prefix, padding});
    });
  };
  EXPECT_NE(with_params(4095, 64, 64), nullptr);
  for (const std::uint64_t align :
       {std::uint64_t{1} << 40, G_MAXUINT64, std::uint64_t{6}})
    EXPECT_EQ(with_params(align, 0, 0), nullptr) << align;
  EXPECT_EQ(with_params(0, G_MAXUINT64, 0), nullptr);
  EXPECT_EQ(with_params(0, 0, std::uint64_t{1} << 40), nullptr);
}

TEST(QueryCodec, RefusesListsWithoutAnEnd) {
  const auto with = [](int count) {
    return decode(GST_QUERY_ALLOCATION, [=](FieldBuilder& list) {
      list.add_number(QueryTag::kNeedPool, 0);
      for (int i = 0; i < count; ++i)
        list.add_struct(QueryTag::kPool, PoolRecord());
    });
  };
  EXPECT_NE(with(100), nullptr);
  EXPECT_EQ(with(100000), nullptr);
}

TEST(QueryCodec, SurvivesChangedBytes) {
  std::mt19937 random(4711);
  const CapsPtr some = caps("video/x-raw, width=5");
  std::vector<Bytes> queries = {encode_query(allocation().get())};
  for (GstQuery* query :
       {gst_query_new_caps(some.get()), gst_query_new_accept_caps(some.get()),
        gst_query_new_position(GST_FORMAT_TIME), gst_query_new_latency()})
    queries.push_back(encode_query(QueryPtr(query).get()));
  unsigned refused = 0;
  for (int round = 0; round < 5000; ++round) {
    Bytes query = queries[random() % queries.size()];
    for (auto changes = 1 + random() % 4; changes > 0; --changes)
      query[random() % query.size()] = std::byte(random() % 256);
    if (random() % 4 == 0) query.resize(random() % query.size());
    const QueryPtr read = decode_query(query);
    if (!read)
      ++refused;
    else
      encode_query(read.get());
  }
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace dispatch::process
