// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/event_codec.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <gst/video/video.h>

#include "process/field_builder.h"

namespace dispatch::process {
namespace {

using stage::EventPtr;
using stage::MiniPtr;

// As it comes back; null if it does not.
EventPtr bring_back(const EventPtr& event) {
  const Bytes bytes = encode_event(event.get());
  EXPECT_FALSE(bytes.empty()) << GST_EVENT_TYPE_NAME(event.get());
  EventPtr back = decode_event(bytes);
  if (!back) return nullptr;
  EXPECT_EQ(GST_EVENT_TYPE(back.get()), GST_EVENT_TYPE(event.get()));
  EXPECT_EQ(gst_event_get_seqnum(back.get()),
            gst_event_get_seqnum(event.get()));
  EXPECT_EQ(gst_event_get_running_time_offset(back.get()),
            gst_event_get_running_time_offset(event.get()));
  return back;
}

// With the same structure, or none.
void expect_same(EventPtr event) {
  SCOPED_TRACE(GST_EVENT_TYPE_NAME(event.get()));
  const EventPtr back = bring_back(event);
  ASSERT_NE(back, nullptr);
  const GstStructure* expected = gst_event_get_structure(event.get());
  const GstStructure* actual = gst_event_get_structure(back.get());
  ASSERT_EQ(actual == nullptr, expected == nullptr);
  if (expected == nullptr) return;
  g_autofree gchar* expected_text = gst_structure_to_string(expected);
  g_autofree gchar* actual_text = gst_structure_to_string(actual);
  EXPECT_TRUE(gst_structure_is_equal(actual, expected))
      << actual_text << " instead of " << expected_text;
}

// ---- There and back --------------------------------------------------------

TEST(EventCodec, BringsBackEventsOfOneStructure) {
  const auto same = [](GstEvent* event) { expect_same(EventPtr(event)); };
  same(gst_event_new_flush_start());
  same(gst_event_new_flush_stop(TRUE));
  same(gst_event_new_eos());
  same(gst_event_new_stream_group_done(7));
  same(gst_event_new_buffer_size(GST_FORMAT_BYTES, -1, G_MAXINT64, TRUE));
  same(gst_event_new_segment_done(GST_FORMAT_TIME, -5));
  same(gst_event_new_gap(0, GST_CLOCK_TIME_NONE));
  same(gst_event_new_instant_rate_change(-2.5, GST_SEGMENT_FLAG_TRICKMODE));
  same(gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 0.1, -3, 5));
  same(gst_event_new_seek(
      0.5, GST_FORMAT_TIME,
      static_cast<GstSeekFlags>(GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_KEY_UNIT),
      GST_SEEK_TYPE_SET, 1, GST_SEEK_TYPE_END, -1));
  same(gst_event_new_navigation(
      gst_structure_new("application/x-gst-navigation", "event", G_TYPE_STRING,
                        "key-press", nullptr)));
  same(gst_event_new_latency(40 * GST_MSECOND));
  same(gst_event_new_step(GST_FORMAT_BUFFERS, 1, 1.0, TRUE, FALSE));
  same(gst_event_new_reconfigure());
  same(gst_event_new_toc_select("a chapter"));
  same(gst_event_new_instant_rate_sync_time(2, 3, 4));
  same(gst_video_event_new_upstream_force_key_unit(5, TRUE, 6));
  same(gst_video_event_new_downstream_force_key_unit(1, 2, 3, FALSE, 4));
  same(gst_video_event_new_still_frame(TRUE));
}

TEST(EventCodec, BringsBackTheStreamsThatAreSelected) {
  GList* streams = nullptr;
  streams = g_list_append(streams, const_cast<char*>("one"));
  streams = g_list_append(streams, const_cast<char*>("two words"));
  expect_same(EventPtr(gst_event_new_select_streams(streams)));
  g_list_free(streams);
}

TEST(EventCodec, BringsBackFlagsOfAGap) {
  EventPtr gap(gst_event_new_gap(GST_SECOND, GST_MSECOND));
  gst_event_set_gap_flags(gap.get(), GST_GAP_FLAG_MISSING_DATA);
  expect_same(std::move(gap));
}

TEST(EventCodec, BringsBackProtection) {
  g_autoptr(GstBuffer) data = gst_buffer_new_memdup("\0secret", 7);
  expect_same(EventPtr(gst_event_new_protection("a-system", data, "origin")));
}

TEST(EventCodec, BringsBackCustomEvents) {
  for (const GstEventType type :
       {GST_EVENT_CUSTOM_UPSTREAM, GST_EVENT_CUSTOM_DOWNSTREAM,
        GST_EVENT_CUSTOM_DOWNSTREAM_OOB, GST_EVENT_CUSTOM_DOWNSTREAM_STICKY,
        GST_EVENT_CUSTOM_BOTH, GST_EVENT_CUSTOM_BOTH_OOB}) {
    expect_same(EventPtr(gst_event_new_custom(
        type, gst_structure_new("application/x-test", "text", G_TYPE_STRING,
                                "a \"b\"; c", nullptr))));
    expect_same(EventPtr(gst_event_new_custom(type, nullptr)));
  }
}

TEST(EventCodec, BringsBackTheRunningTimeOffset) {
  for (const gint64 offset : {gint64{-5}, G_MAXINT64, G_MININT64}) {
    const EventPtr event(gst_event_new_eos());
    gst_event_set_running_time_offset(event.get(), offset);
    EXPECT_NE(bring_back(event), nullptr);
  }
}

TEST(EventCodec, BringsBackCapsWithCodecData) {
  g_autoptr(GstCaps) caps = gst_caps_from_string(
      "video/x-h264(memory:Thing), stream-format=(string)avc, "
      "codec_data=(buffer)014d4028ffe10016, framerate=(fraction)30000/1001");
  ASSERT_NE(caps, nullptr);
  const EventPtr back = bring_back(EventPtr(gst_event_new_caps(caps)));
  ASSERT_NE(back, nullptr);
  GstCaps* read = nullptr;
  gst_event_parse_caps(back.get(), &read);
  EXPECT_TRUE(gst_caps_is_strictly_equal(read, caps));
}

TEST(EventCodec, BringsBackEveryFieldOfASegment) {
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  segment.flags = static_cast<GstSegmentFlags>(GST_SEGMENT_FLAG_RESET |
                                               GST_SEGMENT_FLAG_SEGMENT);
  segment.rate = -1.5;
  segment.applied_rate = 2.25;
  segment.base = 1;
  segment.offset = 2;
  segment.start = 3;
  segment.stop = 14;
  segment.time = 5;
  segment.position = 6;
  segment.duration = GST_CLOCK_TIME_NONE;
  const EventPtr back = bring_back(EventPtr(gst_event_new_segment(&segment)));
  ASSERT_NE(back, nullptr);
  const GstSegment* read = nullptr;
  gst_event_parse_segment(back.get(), &read);
  EXPECT_TRUE(gst_segment_is_equal(read, &segment));
  EXPECT_EQ(read->flags, segment.flags);
  EXPECT_EQ(read->position, segment.position);
}

TEST(EventCodec, BringsBackTagsWithAPicture) {
  g_autoptr(GstBuffer) picture = gst_buffer_new_memdup("picture", 7);
  g_autoptr(GstCaps) caps = gst_caps_from_string("image/jpeg");
  g_autoptr(GstSample) sample = gst_sample_new(picture, caps, nullptr, nullptr);
  for (const GstTagScope scope : {GST_TAG_SCOPE_STREAM, GST_TAG_SCOPE_GLOBAL}) {
    GstTagList* tags = gst_tag_list_new(GST_TAG_TITLE, "A title", GST_TAG_IMAGE,
                                        sample, nullptr);
    gst_tag_list_set_scope(tags, scope);
    const EventPtr event(gst_event_new_tag(tags));
    const EventPtr back = bring_back(event);
    ASSERT_NE(back, nullptr);
    // Pads keep one for each name.
    EXPECT_STREQ(gst_structure_get_name(gst_event_get_structure(back.get())),
                 gst_structure_get_name(gst_event_get_structure(event.get())));
    GstTagList* read = nullptr;
    gst_event_parse_tag(back.get(), &read);
    EXPECT_EQ(gst_tag_list_get_scope(read), scope);
    g_autofree gchar* title = nullptr;
    EXPECT_TRUE(gst_tag_list_get_string(read, GST_TAG_TITLE, &title));
    EXPECT_STREQ(title, "A title");
    g_autoptr(GstSample) image = nullptr;
    ASSERT_TRUE(gst_tag_list_get_sample(read, GST_TAG_IMAGE, &image));
    EXPECT_TRUE(gst_caps_is_equal(gst_sample_get_caps(image), caps));
    EXPECT_EQ(gst_buffer_memcmp(gst_sample_get_buffer(image), 0, "picture", 7),
              0);
  }
}

TEST(EventCodec, LeavesTheStreamOutOfStreamStart) {
  const EventPtr event(gst_event_new_stream_start("an id"));
  g_autoptr(GstStream) stream = gst_stream_new(
      "an id", nullptr, GST_STREAM_TYPE_VIDEO, GST_STREAM_FLAG_NONE);
  gst_event_set_stream(event.get(), stream);
  gst_event_set_stream_flags(event.get(), GST_STREAM_FLAG_SPARSE);
  gst_event_set_group_id(event.get(), 9);
  const EventPtr back = bring_back(event);
  ASSERT_NE(back, nullptr);
  const gchar* id = nullptr;
  guint group = 0;
  GstStreamFlags flags = GST_STREAM_FLAG_NONE;
  GstStream* read = nullptr;
  gst_event_parse_stream_start(back.get(), &id);
  gst_event_parse_group_id(back.get(), &group);
  gst_event_parse_stream_flags(back.get(), &flags);
  gst_event_parse_stream(back.get(), &read);
  EXPECT_STREQ(id, "an id");
  EXPECT_EQ(group, 9U);
  EXPECT_EQ(flags, GST_STREAM_FLAG_SPARSE);
  EXPECT_EQ(read, nullptr);
}

// ---- Tables of contents ----------------------------------------------------

GstTocEntry* entry(GstTocEntryType type, const char* uid, gint64 start) {
  GstTocEntry* result = gst_toc_entry_new(type, uid);
  gst_toc_entry_set_start_stop_times(result, start, start + 10);
  gst_toc_entry_set_tags(result, gst_tag_list_new(GST_TAG_TITLE, uid, nullptr));
  return result;
}

EventPtr toc_event() {
  const MiniPtr<GstToc> toc(gst_toc_new(GST_TOC_SCOPE_GLOBAL));
  gst_toc_set_tags(toc.get(), gst_tag_list_new(GST_TAG_TITLE, "all", nullptr));
  GstTocEntry* edition = entry(GST_TOC_ENTRY_TYPE_EDITION, "edition", 0);
  GstTocEntry* chapter = entry(GST_TOC_ENTRY_TYPE_CHAPTER, "chapter", 5);
  gst_toc_entry_set_loop(chapter, GST_TOC_LOOP_PING_PONG, -1);
  gst_toc_entry_append_sub_entry(
      chapter, gst_toc_entry_new(GST_TOC_ENTRY_TYPE_CHAPTER, "bare"));
  gst_toc_entry_append_sub_entry(edition, chapter);
  gst_toc_entry_append_sub_entry(
      edition, entry(GST_TOC_ENTRY_TYPE_CHAPTER, "second", -1));
  gst_toc_append_entry(toc.get(), edition);
  return EventPtr(gst_event_new_toc(toc.get(), TRUE));
}

void expect_same_tags(const GstTagList* a, const GstTagList* b) {
  ASSERT_EQ(a == nullptr, b == nullptr);
  if (a == nullptr) return;
  EXPECT_TRUE(gst_tag_list_is_equal(a, b));
}

void expect_same_entries(const GList* a, const GList* b) {
  ASSERT_EQ(g_list_length(const_cast<GList*>(a)),
            g_list_length(const_cast<GList*>(b)));
  for (; a != nullptr; a = a->next, b = b->next) {
    const auto* x = static_cast<const GstTocEntry*>(a->data);
    const auto* y = static_cast<const GstTocEntry*>(b->data);
    EXPECT_STREQ(gst_toc_entry_get_uid(x), gst_toc_entry_get_uid(y));
    EXPECT_EQ(gst_toc_entry_get_entry_type(x), gst_toc_entry_get_entry_type(y));
    std::array<gint64, 4> times = {};
    gst_toc_entry_get_start_stop_times(x, &times[0], &times[1]);
    gst_toc_entry_get_start_stop_times(y, &times[2], &times[3]);
    EXPECT_EQ(times[0], times[2]);
    EXPECT_EQ(times[1], times[3]);
    std::array<GstTocLoopType, 2> loops = {};
    std::array<gint, 2> counts = {};
    gst_toc_entry_get_loop(x, &loops[0], &counts[0]);
    gst_toc_entry_get_loop(y, &loops[1], &counts[1]);
    EXPECT_EQ(loops[0], loops[1]);
    EXPECT_EQ(counts[0], counts[1]);
    expect_same_tags(gst_toc_entry_get_tags(x), gst_toc_entry_get_tags(y));
    expect_same_entries(gst_toc_entry_get_sub_entries(x),
                        gst_toc_entry_get_sub_entries(y));
  }
}

TEST(EventCodec, BringsBackATableOfContents) {
  const EventPtr event = toc_event();
  const EventPtr back = bring_back(event);
  ASSERT_NE(back, nullptr);
  GstToc* expected = nullptr;
  GstToc* actual = nullptr;
  gboolean is_updated = FALSE;
  gst_event_parse_toc(event.get(), &expected, nullptr);
  gst_event_parse_toc(back.get(), &actual, &is_updated);
  const MiniPtr<GstToc> owned(expected);
  const MiniPtr<GstToc> owned_too(actual);
  EXPECT_TRUE(is_updated);
  EXPECT_EQ(gst_toc_get_scope(actual), GST_TOC_SCOPE_GLOBAL);
  expect_same_tags(gst_toc_get_tags(actual), gst_toc_get_tags(expected));
  expect_same_entries(gst_toc_get_entries(actual),
                      gst_toc_get_entries(expected));
}

Bytes event_bytes(std::uint64_t type,
                  const std::function<void(FieldBuilder&)>& add) {
  FieldBuilder list;
  list.add_number(ObjectTag::kType, type);
  list.add_number(ObjectTag::kSequence, 1);
  add(list);
  return list.take();
}

// Each entry in the one before.
Bytes nested_entries(unsigned depth) {
  FieldBuilder list;
  list.add_text(TocTag::kUid, "uid");
  TocEntryRecord record;
  record.type = GST_TOC_ENTRY_TYPE_CHAPTER;
  list.add_struct(TocTag::kRecord, record);
  if (depth > 1) list.add_bytes(TocTag::kEntry, nested_entries(depth - 1));
  return list.take();
}

EventPtr toc_of(const Bytes& entry_bytes) {
  return decode_event(event_bytes(GST_EVENT_TOC, [&](FieldBuilder& event) {
    FieldBuilder toc;
    toc.add_number(TocTag::kScope, GST_TOC_SCOPE_GLOBAL);
    toc.add_number(TocTag::kIsUpdated, 0);
    toc.add_bytes(TocTag::kEntry, entry_bytes);
    event.add_bytes(ObjectTag::kToc, toc.bytes());
  }));
}

TEST(EventCodec, RefusesATableOfContentsWithoutAnEnd) {
  EXPECT_NE(toc_of(nested_entries(16)), nullptr);
  EXPECT_EQ(toc_of(nested_entries(17)), nullptr);
  EXPECT_EQ(toc_of(nested_entries(1000)), nullptr);
}

TEST(EventCodec, RefusesAnEntryThatIsNone) {
  const auto with = [](const char* uid, std::int32_t type, std::int32_t loop) {
    FieldBuilder list;
    if (uid != nullptr) list.add_text(TocTag::kUid, uid);
    TocEntryRecord record;
    record.type = type;
    record.loop_type = loop;
    list.add_struct(TocTag::kRecord, record);
    return toc_of(list.take());
  };
  EXPECT_NE(with("uid", GST_TOC_ENTRY_TYPE_TITLE, GST_TOC_LOOP_NONE), nullptr);
  EXPECT_EQ(with(nullptr, GST_TOC_ENTRY_TYPE_TITLE, GST_TOC_LOOP_NONE),
            nullptr);
  EXPECT_EQ(with("\xff", GST_TOC_ENTRY_TYPE_TITLE, GST_TOC_LOOP_NONE), nullptr);
  EXPECT_EQ(with("uid", 77, GST_TOC_LOOP_NONE), nullptr);
  EXPECT_EQ(with("uid", GST_TOC_ENTRY_TYPE_TITLE, 77), nullptr);
}

// ---- What stays ------------------------------------------------------------

TEST(EventCodec, HasNoBytesForObjects) {
  g_autoptr(GstStreamCollection) collection = gst_stream_collection_new("up");
  EXPECT_TRUE(
      encode_event(EventPtr(gst_event_new_stream_collection(collection)).get())
          .empty());
  g_autoptr(GstMessage) message = gst_message_new_eos(nullptr);
  EXPECT_TRUE(
      encode_event(EventPtr(gst_event_new_sink_message("name", message)).get())
          .empty());
  const EventPtr custom(gst_event_new_custom(
      GST_EVENT_CUSTOM_DOWNSTREAM,
      gst_structure_new("test", "address", G_TYPE_POINTER, message, nullptr)));
  EXPECT_TRUE(encode_event(custom.get()).empty());
}

// ---- Bytes from outside ----------------------------------------------------

TEST(EventCodec, RefusesWhatIsNoEvent) {
  EXPECT_EQ(decode_event({}), nullptr);
  const auto nothing = [](FieldBuilder&) {};
  EXPECT_NE(decode_event(event_bytes(GST_EVENT_EOS, nothing)), nullptr);
  for (const std::uint64_t type :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{GST_EVENT_EOS + 1},
        std::uint64_t{GST_EVENT_SINK_MESSAGE},
        std::uint64_t{GST_EVENT_STREAM_COLLECTION},
        (std::uint64_t{1} << 32) + GST_EVENT_EOS, G_MAXUINT64})
    EXPECT_EQ(decode_event(event_bytes(type, nothing)), nullptr) << type;
  EXPECT_EQ(decode_event(event_bytes(GST_EVENT_NAVIGATION, nothing)), nullptr);
  for (const std::uint64_t sequence :
       {std::uint64_t{0}, std::uint64_t{1} << 32, G_MAXUINT64}) {
    FieldBuilder list;
    list.add_number(ObjectTag::kType, GST_EVENT_EOS);
    list.add_number(ObjectTag::kSequence, sequence);
    EXPECT_EQ(decode_event(list.take()), nullptr) << sequence;
  }
}

// GStreamer's parsing functions take these fields for granted.
TEST(EventCodec, RefusesStructuresThatLackSomething) {
  const auto decode = [](GstEventType type, const char* structure) {
    return decode_event(event_bytes(type, [&](FieldBuilder& list) {
      list.add_text(ObjectTag::kStructure, structure);
    }));
  };
  EXPECT_NE(decode(GST_EVENT_GAP,
                   "GstEventGap, timestamp=(guint64)1, "
                   "duration=(guint64)2"),
            nullptr);
  EXPECT_EQ(decode(GST_EVENT_GAP, "GstEventGap, timestamp=(guint64)1"),
            nullptr);
  EXPECT_EQ(decode(GST_EVENT_GAP,
                   "GstEventGap, timestamp=(int)1, "
                   "duration=(guint64)2"),
            nullptr);
  EXPECT_EQ(decode(GST_EVENT_GAP,
                   "GstEventGap, timestamp=(guint64)18446744073709551615, "
                   "duration=(guint64)2"),
            nullptr);
  EXPECT_EQ(decode(GST_EVENT_STREAM_START,
                   "GstEventStreamStart, stream-id=(string)NULL, "
                   "flags=(GstStreamFlags)0"),
            nullptr);
  EXPECT_EQ(decode(GST_EVENT_SELECT_STREAMS, "a, streams={ (int)1 }"), nullptr);
  EXPECT_EQ(decode(GST_EVENT_SELECT_STREAMS, "a, streams={ (string)NULL }"),
            nullptr);
  for (const char* rate : {"0", "nan", "inf"})
    EXPECT_EQ(decode(GST_EVENT_STEP,
                     (std::string("a, format=(GstFormat)time, "
                                  "amount=(guint64)1, flush=(boolean)false, "
                                  "intermediate=(boolean)false, "
                                  "rate=(double)") +
                      rate)
                         .c_str()),
              nullptr)
        << rate;
  // Only the custom ones, and those without fields, go without a structure.
  auto* types = static_cast<GEnumClass*>(g_type_class_ref(GST_TYPE_EVENT_TYPE));
  unsigned refused = 0;
  for (guint i = 0; i < types->n_values; ++i) {
    const auto type = static_cast<GstEventType>(types->values[i].value);
    if (!decode(type, "something, else=(int)1")) ++refused;
  }
  g_type_class_unref(types);
  EXPECT_GE(refused, 20U);
}

TEST(EventCodec, RefusesCapsThatAreNotFixed) {
  for (const char* caps :
       {"", "ANY", "EMPTY", "video/x-raw, width=[1,2]", "a; b", "no caps"})
    EXPECT_EQ(decode_event(event_bytes(GST_EVENT_CAPS,
                                       [&](FieldBuilder& list) {
                                         list.add_text(ObjectTag::kCaps, caps);
                                       })),
              nullptr)
        << caps;
  EXPECT_EQ(decode_event(event_bytes(GST_EVENT_CAPS, [](FieldBuilder&) {})),
            nullptr);
}

TEST(EventCodec, RefusesASegmentThatIsNone) {
  const auto decode = [](const std::function<void(SegmentRecord&)>& change) {
    SegmentRecord record;
    record.format = GST_FORMAT_TIME;
    record.stop = GST_CLOCK_TIME_NONE;
    change(record);
    return decode_event(event_bytes(GST_EVENT_SEGMENT, [&](auto& list) {
      list.add_struct(ObjectTag::kSegment, record);
    }));
  };
  EXPECT_NE(decode([](SegmentRecord&) {}), nullptr);
  for (const std::int32_t format : {0, -1, 1000, G_MAXINT})
    EXPECT_EQ(decode([&](auto& r) { r.format = format; }), nullptr) << format;
  for (const double rate : {0.0, -0.0, std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    EXPECT_EQ(decode([&](auto& r) { r.rate = rate; }), nullptr) << rate;
    EXPECT_EQ(decode([&](auto& r) { r.applied_rate = rate; }), nullptr) << rate;
  }
  EXPECT_EQ(decode([](auto& r) { r.start = 2, r.stop = 1; }), nullptr);
}

TEST(EventCodec, RefusesTagsThatAreNone) {
  const auto decode = [](const char* tags, std::uint64_t scope) {
    return decode_event(event_bytes(GST_EVENT_TAG, [&](FieldBuilder& list) {
      list.add_text(ObjectTag::kTags, tags);
      list.add_number(ObjectTag::kTagScope, scope);
    }));
  };
  EXPECT_NE(decode("taglist", GST_TAG_SCOPE_GLOBAL), nullptr);
  EXPECT_EQ(decode("taglist", 2), nullptr);
  EXPECT_EQ(decode("other", GST_TAG_SCOPE_GLOBAL), nullptr);
  EXPECT_EQ(decode("", GST_TAG_SCOPE_GLOBAL), nullptr);
}

std::vector<Bytes> some_of_each() {
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  g_autoptr(GstCaps) caps = gst_caps_from_string("video/x-raw, width=1");
  std::vector<Bytes> result;
  for (GstEvent* event :
       {gst_event_new_caps(caps), gst_event_new_segment(&segment),
        gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "title", nullptr)),
        toc_event().release(), gst_event_new_stream_start("id"),
        gst_event_new_gap(1, 2),
        gst_event_new_qos(GST_QOS_TYPE_THROTTLE, 1, 2, 3)})
    result.push_back(encode_event(EventPtr(event).get()));
  return result;
}

// An event that has come is one that GStreamer can look at.
void look_at(GstEvent* event) {
  g_free(g_strdup_printf("%" GST_PTR_FORMAT, static_cast<void*>(event)));
  const EventPtr copy(gst_event_copy(event));
  EXPECT_EQ(GST_EVENT_TYPE(copy.get()), GST_EVENT_TYPE(event));
}

TEST(EventCodec, SurvivesEveryTruncation) {
  for (const Bytes& event : some_of_each()) {
    ASSERT_NE(decode_event(event), nullptr);
    for (std::size_t length = 0; length < event.size(); ++length)
      if (const EventPtr read = decode_event(std::span(event).first(length)))
        look_at(read.get());
  }
}

TEST(EventCodec, SurvivesChangedBytes) {
  std::mt19937 random(4711);
  const std::vector<Bytes> events = some_of_each();
  unsigned refused = 0;
  for (int round = 0; round < 5000; ++round) {
    Bytes event = events[random() % events.size()];
    for (auto changes = 1 + random() % 4; changes > 0; --changes)
      event[random() % event.size()] = std::byte(random() % 256);
    const EventPtr read = decode_event(event);
    if (read)
      look_at(read.get());
    else
      ++refused;
  }
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace dispatch::process
