// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/structure_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gst/video/video.h>

namespace dispatch::process {
namespace {

StructurePtr structure(GstStructure* made) { return StructurePtr(made); }

// A structure with one field.
template <typename... Value>
StructurePtr with(GType type, Value... value) {
  return structure(gst_structure_new("test", "field", type, value..., nullptr));
}

::testing::AssertionResult comes_back(const GstStructure* original) {
  const auto text = text_of(original);
  if (!text) return ::testing::AssertionFailure() << "it has no text";
  const StructurePtr read = parse_structure(*text);
  if (!read) return ::testing::AssertionFailure() << "not read: " << *text;
  if (!gst_structure_is_equal(original, read.get())) {
    g_autofree gchar* other = gst_structure_to_string(read.get());
    return ::testing::AssertionFailure() << *text << " was read as " << other;
  }
  return ::testing::AssertionSuccess();
}

const GValue* field_of(const StructurePtr& read) {
  return gst_structure_get_value(read.get(), "field");
}

// Nothing that comes from outside may write to the log; see also main().
class Quiet final : public testing::Environment {
  void SetUp() override {
    g_log_set_always_fatal(static_cast<GLogLevelFlags>(
        G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK));
  }
};
[[maybe_unused]] const auto* const quiet =
    testing::AddGlobalTestEnvironment(new Quiet);

// The first test: before any other has used these types.
TEST(StructureText, KnowsTypesOfLibrariesThatWereNotUsed) {
  EXPECT_NE(parse_caps("video/x-h264, multiview-flags="
                       "(GstVideoMultiviewFlagsSet)0:ffffffff:/left-flipped"),
            nullptr);
  EXPECT_NE(parse_structure("GstTagImageInfo, "
                            "image-type=(GstTagImageType)front-cover"),
            nullptr);
}

// ---- There and back --------------------------------------------------------

TEST(StructureText, BringsBackNumbers) {
  const auto numbers = structure(gst_structure_new(
      "numbers", "int-min", G_TYPE_INT, G_MININT, "int-max", G_TYPE_INT,
      G_MAXINT, "uint", G_TYPE_UINT, G_MAXUINT, "int64", G_TYPE_INT64,
      G_MININT64, "uint64", G_TYPE_UINT64, G_MAXUINT64, "long", G_TYPE_LONG,
      G_MINLONG, "ulong", G_TYPE_ULONG, G_MAXULONG, "uchar", G_TYPE_UCHAR, 255,
      "yes", G_TYPE_BOOLEAN, TRUE, "no", G_TYPE_BOOLEAN, FALSE, "third",
      G_TYPE_DOUBLE, 1.0 / 3, "huge", G_TYPE_DOUBLE, G_MAXDOUBLE, "tiny",
      G_TYPE_DOUBLE, std::numeric_limits<double>::denorm_min(), "float",
      G_TYPE_FLOAT, 0.1F, "rate", GST_TYPE_FRACTION, -30000, 1001, "mask",
      GST_TYPE_BITMASK, G_GUINT64_CONSTANT(0xfedcba9876543210), nullptr));
  EXPECT_TRUE(comes_back(numbers.get()));
}

TEST(StructureText, BringsBackNumbersThatAreNone) {
  for (const double number : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    const auto read = parse_structure(
        text_of(with(G_TYPE_DOUBLE, number).get()).value_or(""));
    ASSERT_NE(read, nullptr);
    const double back = g_value_get_double(field_of(read));
    EXPECT_TRUE(back == number || (std::isnan(back) && std::isnan(number)));
  }
}

TEST(StructureText, BringsBackStrings) {
  for (const char* string :
       {"", "plain", "NULL", "two words", "\"quoted\"", "back\\slash", "\\101",
        "a\nb\tc\x01", "äöü 日本 \U0001F600", "a;b,c=(int)d]", "{<[(", "1/2",
        "true", " leading and trailing "})
    EXPECT_TRUE(comes_back(with(G_TYPE_STRING, string).get())) << string;
  const char* none = nullptr;
  const auto read =
      parse_structure(text_of(with(G_TYPE_STRING, none).get()).value_or(""));
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(g_value_get_string(field_of(read)), nullptr);
}

TEST(StructureText, BringsBackEnumsAndFlags) {
  EXPECT_TRUE(comes_back(with(GST_TYPE_FORMAT, GST_FORMAT_PERCENT).get()));
  EXPECT_TRUE(comes_back(with(GST_TYPE_SEEK_FLAGS, 0).get()));
  EXPECT_TRUE(comes_back(
      with(GST_TYPE_SEEK_FLAGS, GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_KEY_UNIT)
          .get()));
  // A flag that only one of the two knows.
  EXPECT_TRUE(comes_back(with(GST_TYPE_SEEK_FLAGS, 1 << 30).get()));
  EXPECT_TRUE(comes_back(with(GST_TYPE_FLAG_SET, 5U, 7U).get()));
  EXPECT_TRUE(
      comes_back(with(GST_TYPE_VIDEO_MULTIVIEW_FLAGSET,
                      GST_VIDEO_MULTIVIEW_FLAGS_RIGHT_VIEW_FIRST, G_MAXUINT)
                     .get()));
}

TEST(StructureText, BringsBackFormatsThatWereRegisteredLater) {
  const GstFormat format =
      gst_format_register("structure-text-nick", "A format of a test");
  const auto read = parse_structure(
      text_of(with(GST_TYPE_FORMAT, format).get()).value_or(""));
  ASSERT_NE(read, nullptr);
  EXPECT_EQ(g_value_get_enum(field_of(read)), format);
}

TEST(StructureText, BringsBackDates) {
  g_autoptr(GDate) date = g_date_new_dmy(29, G_DATE_FEBRUARY, 2024);
  EXPECT_TRUE(comes_back(with(G_TYPE_DATE, date).get()));
  for (GstDateTime* time :
       {gst_date_time_new_y(1895), gst_date_time_new_ym(1895, 12),
        gst_date_time_new_ymd(1895, 12, 28),
        gst_date_time_new(2, 2024, 2, 29, 23, 59, -1),
        gst_date_time_new(0, 2024, 2, 29, 0, 0, 0),
        gst_date_time_new(-9.5, 2024, 2, 29, 12, 0, 59)}) {
    g_autoptr(GstDateTime) owned = time;
    EXPECT_TRUE(comes_back(with(GST_TYPE_DATE_TIME, owned).get()));
  }
}

TEST(StructureText, BringsBackRanges) {
  EXPECT_TRUE(comes_back(with(GST_TYPE_INT_RANGE, G_MININT, G_MAXINT).get()));
  EXPECT_TRUE(
      comes_back(with(GST_TYPE_INT64_RANGE, G_MININT64, G_MAXINT64).get()));
  EXPECT_TRUE(comes_back(with(GST_TYPE_DOUBLE_RANGE, -0.5, G_MAXDOUBLE).get()));
  EXPECT_TRUE(
      comes_back(with(GST_TYPE_FRACTION_RANGE, 0, 1, G_MAXINT, 1).get()));
  GValue stepped = G_VALUE_INIT;
  g_value_init(&stepped, GST_TYPE_INT_RANGE);
  gst_value_set_int_range_step(&stepped, 16, 4096, 16);
  const auto holder = structure(gst_structure_new_empty("test"));
  gst_structure_take_value(holder.get(), "field", &stepped);
  EXPECT_TRUE(comes_back(holder.get()));
}

TEST(StructureText, BringsBackBytes) {
  const char bytes[] = "\x00\xff\x7f binary";
  g_autoptr(GstBuffer) buffer = gst_buffer_new_memdup(bytes, sizeof(bytes));
  EXPECT_TRUE(comes_back(with(GST_TYPE_BUFFER, buffer).get()));
  g_autoptr(GstBuffer) empty = gst_buffer_new();
  EXPECT_TRUE(comes_back(with(GST_TYPE_BUFFER, empty).get()));
}

// Lists in an array.
StructurePtr nested_lists() {
  GValue array = G_VALUE_INIT;
  GValue list = G_VALUE_INIT;
  GValue item = G_VALUE_INIT;
  g_value_init(&array, GST_TYPE_ARRAY);
  g_value_init(&list, GST_TYPE_LIST);
  g_value_set_static_string(g_value_init(&item, G_TYPE_STRING), "a, b");
  gst_value_list_append_and_take_value(&list, &item);
  g_value_set_static_string(g_value_init(&item, G_TYPE_STRING), "");
  gst_value_list_append_and_take_value(&list, &item);
  gst_value_array_append_and_take_value(&array, &list);
  g_value_init(&list, GST_TYPE_LIST);
  gst_value_array_append_and_take_value(&array, &list);
  GstStructure* result = gst_structure_new_empty("lists");
  gst_structure_take_value(result, "field", &array);
  return structure(result);
}

TEST(StructureText, BringsBackLists) {
  EXPECT_TRUE(comes_back(nested_lists().get()));
  const auto numbers =
      parse_structure("lists, field=(int){ 1, [ 3, 5 ], (int)7 }");
  ASSERT_NE(numbers, nullptr);
  EXPECT_EQ(gst_value_list_get_size(field_of(numbers)), 3U);
  EXPECT_EQ(text_of(numbers.get()),
            "lists, field={ (int)1, (int)[ 3, 5 ], (int)7 }");
}

// GStreamer's parser makes such lists, and asserts that there are none.
TEST(StructureText, HasNoneForListsOfDifferentThings) {
  g_autoptr(GstStructure) mixed =
      gst_structure_new_from_string("lists, field={ (int)1, (string)two }");
  ASSERT_NE(mixed, nullptr);
  EXPECT_FALSE(text_of(mixed));
  EXPECT_EQ(parse_structure("lists, field={ (int)1, (string)two }"), nullptr);
}

// What `level` posts.
TEST(StructureText, BringsBackValueArrays) {
  const auto read =
      parse_structure("level, field=(GValueArray)< (double)-1, (double)-2 >;");
  ASSERT_NE(read, nullptr);
  ASSERT_STREQ(G_VALUE_TYPE_NAME(field_of(read)), "GValueArray");
  const auto* array =
      static_cast<const GValueArray*>(g_value_get_boxed(field_of(read)));
  ASSERT_EQ(array->n_values, 2U);
  EXPECT_EQ(g_value_get_double(&array->values[1]), -2);
  EXPECT_TRUE(comes_back(read.get()));
}

TEST(StructureText, BringsBackStructuresInStructures) {
  const auto inner = nested_lists();
  g_autoptr(GstCaps) caps = gst_caps_from_string(
      "video/x-raw(memory:DMABuf, meta:Thing), width=[1, 9]; audio/x-raw");
  const auto middle = structure(gst_structure_new(
      "middle", "inner", GST_TYPE_STRUCTURE, inner.get(), "caps", GST_TYPE_CAPS,
      caps, "after", G_TYPE_STRING, "]", nullptr));
  EXPECT_TRUE(comes_back(with(GST_TYPE_STRUCTURE, middle.get()).get()));
}

TEST(StructureText, BringsBackSamples) {
  g_autoptr(GstCaps) caps = gst_caps_from_string("image/png, width=(int)7");
  g_autoptr(GstBuffer) buffer = gst_buffer_new_memdup("picture", 7);
  g_autoptr(GstSample) sample = gst_sample_new(
      buffer, caps, nullptr,
      gst_structure_new("info", "key", G_TYPE_STRING, "a value", nullptr));
  const auto text = text_of(with(GST_TYPE_SAMPLE, sample).get());
  ASSERT_TRUE(text);
  const auto read = parse_structure(*text);
  ASSERT_NE(read, nullptr) << *text;
  GstSample* back = gst_value_get_sample(field_of(read));
  EXPECT_TRUE(gst_caps_is_strictly_equal(gst_sample_get_caps(back), caps));
  EXPECT_EQ(gst_buffer_memcmp(gst_sample_get_buffer(back), 0, "picture", 7), 0);
  EXPECT_TRUE(gst_structure_is_equal(gst_sample_get_info(back),
                                     gst_sample_get_info(sample)));
}

// ---- Caps ------------------------------------------------------------------

TEST(StructureText, BringsBackSpecialCaps) {
  for (const char* special : {"ANY", "EMPTY"}) {
    g_autoptr(GstCaps) caps = gst_caps_from_string(special);
    EXPECT_EQ(text_of(caps), special);
    const auto read = parse_caps(special);
    ASSERT_NE(read, nullptr);
    EXPECT_TRUE(gst_caps_is_strictly_equal(read.get(), caps));
  }
  g_autoptr(GstCaps) any_memory =
      gst_caps_from_string("video/x-raw(ANY), width=(int)1");
  const auto read = parse_caps(text_of(any_memory).value_or(""));
  ASSERT_NE(read, nullptr);
  EXPECT_TRUE(gst_caps_is_strictly_equal(read.get(), any_memory));
}

// The caps of all pad templates of the elements that are installed.
std::vector<stage::CapsPtr> template_caps() {
  std::vector<stage::CapsPtr> result;
  GList* factories = gst_registry_get_feature_list(gst_registry_get(),
                                                   GST_TYPE_ELEMENT_FACTORY);
  for (GList* item = factories; item != nullptr; item = item->next) {
    const GList* templates = gst_element_factory_get_static_pad_templates(
        GST_ELEMENT_FACTORY(item->data));
    for (; templates != nullptr; templates = templates->next)
      result.emplace_back(gst_static_pad_template_get_caps(
          static_cast<GstStaticPadTemplate*>(templates->data)));
  }
  gst_plugin_feature_list_free(factories);
  return result;
}

TEST(StructureText, BringsBackTheCapsOfAllElements) {
  const auto all = template_caps();
  ASSERT_GT(all.size(), 10U);
  for (const auto& caps : all) {
    const auto text = text_of(caps.get());
    ASSERT_TRUE(text);
    const auto read = parse_caps(*text);
    ASSERT_NE(read, nullptr) << *text;
    EXPECT_TRUE(gst_caps_is_strictly_equal(read.get(), caps.get())) << *text;
  }
}

TEST(StructureText, ReadsWhatGStreamerWrites) {
  for (const auto& caps : template_caps()) {
    g_autofree gchar* text = gst_caps_to_string(caps.get());
    const auto read = parse_caps(text);
    ASSERT_NE(read, nullptr) << text;
    EXPECT_TRUE(gst_caps_is_strictly_equal(read.get(), caps.get())) << text;
  }
}

TEST(StructureText, IsReadByGStreamer) {
  for (const auto& caps : template_caps()) {
    const auto text = text_of(caps.get());
    ASSERT_TRUE(text);
    g_autoptr(GstCaps) read = gst_caps_from_string(text->c_str());
    ASSERT_NE(read, nullptr) << *text;
    EXPECT_TRUE(gst_caps_is_strictly_equal(read, caps.get())) << *text;
  }
}

TEST(StructureText, ReadsWhatGStreamerWritesInQuotes) {
  const auto inner = nested_lists();
  g_autoptr(GstCaps) caps = gst_caps_from_string("video/x-raw, width=[1, 9]");
  const auto outer = structure(
      gst_structure_new("outer", "inner", GST_TYPE_STRUCTURE, inner.get(),
                        "caps", GST_TYPE_CAPS, caps, nullptr));
  g_autofree gchar* in_quotes = gst_structure_to_string(outer.get());
  g_autofree gchar* in_brackets =
      gst_structure_serialize(outer.get(), GST_SERIALIZE_FLAG_NONE);
  for (const char* text : {in_quotes, in_brackets}) {
    const auto read = parse_structure(text);
    ASSERT_NE(read, nullptr) << text;
    const GValue* value = gst_structure_get_value(read.get(), "caps");
    ASSERT_TRUE(GST_VALUE_HOLDS_CAPS(value)) << text;
    EXPECT_TRUE(gst_caps_is_strictly_equal(gst_value_get_caps(value), caps));
    EXPECT_TRUE(GST_VALUE_HOLDS_STRUCTURE(
        gst_structure_get_value(read.get(), "inner")));
  }
}

TEST(StructureText, ReadsWhatPeopleWrite) {
  const auto caps = parse_caps(
      " video/x-raw , format = { RGB, \"BGR\" },width=[1,MAX], height=16,"
      "framerate=30/1, interlaced=false, ratio=1.5, name=two , ; audio/x-raw;");
  ASSERT_NE(caps, nullptr);
  ASSERT_EQ(gst_caps_get_size(caps.get()), 2U);
  g_autoptr(GstCaps) expected = gst_caps_from_string(
      "video/x-raw, format=(string){ RGB, BGR }, width=(int)[ 1, 2147483647 ], "
      "height=(int)16, framerate=(fraction)30/1, interlaced=(boolean)false, "
      "ratio=(double)1.5, name=(string)two; audio/x-raw");
  EXPECT_TRUE(gst_caps_is_strictly_equal(caps.get(), expected));
}

// ---- Tags ------------------------------------------------------------------

TEST(StructureText, BringsBackTags) {
  g_autoptr(GstDateTime) time = gst_date_time_new_ymd(1895, 12, 28);
  g_autoptr(GstBuffer) buffer = gst_buffer_new_memdup("picture", 7);
  g_autoptr(GstSample) sample =
      gst_sample_new(buffer, nullptr, nullptr, nullptr);
  const TagListPtr tags(gst_tag_list_new(
      GST_TAG_TITLE, "A title", GST_TAG_ARTIST, "One", GST_TAG_BITRATE, 128000U,
      GST_TAG_TRACK_GAIN, -6.5, GST_TAG_DATE_TIME, time, nullptr));
  gst_tag_list_add(tags.get(), GST_TAG_MERGE_APPEND, GST_TAG_ARTIST, "Two",
                   nullptr);
  const auto read = parse_tags(text_of(tags.get()));
  ASSERT_NE(read, nullptr);
  EXPECT_TRUE(gst_tag_list_is_equal(read.get(), tags.get()))
      << text_of(tags.get());

  gst_tag_list_add(tags.get(), GST_TAG_MERGE_APPEND, GST_TAG_IMAGE, sample,
                   nullptr);
  const auto with_picture = parse_tags(text_of(tags.get()));
  ASSERT_NE(with_picture, nullptr);
  g_autoptr(GstSample) back = nullptr;
  ASSERT_TRUE(
      gst_tag_list_get_sample(with_picture.get(), GST_TAG_IMAGE, &back));
  EXPECT_EQ(gst_buffer_memcmp(gst_sample_get_buffer(back), 0, "picture", 7), 0);
}

TEST(StructureText, LeavesOutTagsThatNobodyCouldRead) {
  const auto tags = parse_tags(
      "taglist, title=(string)Kept, unheard-of=(int)1, bitrate=(string)many, "
      "artist={ (string)Kept, (string)\"\" }, composer={ (int)1 }, "
      "album=(string)NULL");
  ASSERT_NE(tags, nullptr);
  EXPECT_EQ(text_of(tags.get()),
            "taglist, title=(string)Kept, artist=(string)Kept");
}

// ---- What has no text ------------------------------------------------------

TEST(StructureText, HasNoneForValuesOfAProcess) {
  g_autoptr(GstElement) element = GST_ELEMENT(
      gst_object_ref_sink(gst_element_factory_make("identity", nullptr)));
  EXPECT_FALSE(text_of(with(GST_TYPE_ELEMENT, element).get()));
  EXPECT_FALSE(text_of(with(G_TYPE_POINTER, element).get()));
  EXPECT_FALSE(text_of(with(G_TYPE_GTYPE, G_TYPE_INT).get()));
  GstStructure* none = nullptr;
  EXPECT_FALSE(text_of(with(GST_TYPE_STRUCTURE, none).get()));
  // A number that no name belongs to.
  EXPECT_FALSE(text_of(with(GST_TYPE_STATE, 77).get()));
}

TEST(StructureText, HasNoneForNamesThatWouldNotBeRead) {
  const auto odd =
      structure(gst_structure_new("test", "two words", G_TYPE_INT, 1, nullptr));
  EXPECT_FALSE(text_of(odd.get()));
}

TEST(StructureText, HasNoneForEndlessNesting) {
  StructurePtr nest = structure(gst_structure_new_empty("nest"));
  for (int i = 0; i < 40; ++i)
    nest = structure(gst_structure_new("nest", "field", GST_TYPE_STRUCTURE,
                                       nest.get(), nullptr));
  EXPECT_FALSE(text_of(nest.get()));
}

// ---- Text from outside -----------------------------------------------------

TEST(StructureText, RefusesWhatIsNone) {
  for (const char* text : {"",
                           ";",
                           ",",
                           "1name",
                           "a b",
                           "a, =1",
                           "a, b",
                           "a, b=",
                           "a, b=(",
                           "a, b=(int",
                           "a, b=(int)",
                           "a, b=(int)x",
                           "a, b=(nothing)1",
                           "a, b=(GstElement)x",
                           "a, b=(GEnum)1",
                           "a, b=(GFlags)1",
                           "a, b=(gpointer)1",
                           "a, b=(GstIntRange)1",
                           "a, b=\"",
                           "a, b=\"\\",
                           "a, b=\"\\1",
                           "a, b=\"\\18\"",
                           "a, b=\"\\000\"",
                           "a, b=\"\\377\"",
                           "a, b=(buffer)zz",
                           "a, b=(buffer)123",
                           "a, b={",
                           "a, b={1",
                           "a, b={1,",
                           "a, b={1>",
                           "a, b=<1}",
                           "a, b=[",
                           "a, b=[1",
                           "a, b=[1]",
                           "a, b=[1,",
                           "a, b=[1,2",
                           "a, b=[2,1]",
                           "a, b=[1,1]",
                           "a, b=[1,2,0]",
                           "a, b=[1,4,3]",
                           "a, b=[1,2.5]",
                           "a, b=[1/2,1/3]",
                           "a, b=[x,y]",
                           "a, b=[nan,1.5]",
                           "a, b=(fraction)1/0",
                           "a, b=(fraction)-2147483648/1",
                           "a, b=(fraction)1/99999999999",
                           "a, b=(date)2023-02-29",
                           "a, b=(date)2023-13-01",
                           "a, b=(datetime)24:00",
                           "a, b=(datetime)20",
                           "a, b=(datetime)2023-01-01T99:99",
                           "a, b=(datetime)2023-01-01T10:00+99",
                           "a, b=(structure)[",
                           "a, b=(structure)[c",
                           "a, b=(structure)[c, d]",
                           "a, b=(GstCaps)[",
                           "a, b=(GstCaps)[ANY",
                           "a, b=(sample)[other]",
                           "a, b=(taglist)[other]",
                           "a, b=(sample)ff:None:None:None",
                           "a; b",
                           "a, b=1]",
                           "a, b=(GstFormat)nothing",
                           "video/x-raw-rgb"})
    EXPECT_EQ(parse_structure(text), nullptr) << text;
  for (const char* text :
       {"", "ANY ANY", "a(", "a()", "a(x)", "a(memory:)", "a(memory:1)",
        "a(memory:a", "a(memory:a,)", "a(ANY", "a;b(", "video/x-raw; 1"})
    EXPECT_EQ(parse_caps(text), nullptr) << text;
  EXPECT_EQ(parse_tags("no-tags"), nullptr);
  EXPECT_EQ(parse_structure(std::string_view("a\0, b=(int)1", 11)), nullptr);
  EXPECT_EQ(parse_structure("a, b=(string)\"\xc3\x28\""), nullptr);
}

// GStreamer's own parser takes minutes for some of these.
TEST(StructureText, EndsSoonForManyBrackets) {
  for (const char* opening :
       {"[", "{", "<", "(", "(structure)[a,b=", "(GstCaps)[a,b=", "{[", "<{",
        "(GValueArray)<", "\"", "(structure)\"a,b=", "[x,y="}) {
    std::string text = "a, b=";
    for (int i = 0; i < 20000; ++i) text += opening;
    EXPECT_EQ(parse_structure(text), nullptr) << opening;
  }
}

// Each structure as a quoted string in the next.
std::string in_quotes(int depth) {
  std::string text = "a";
  for (int i = 0; i < depth; ++i) {
    std::string quoted;
    for (const char c : text) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    text = "a, b=(structure)\"" + quoted + '"';
  }
  return text;
}

TEST(StructureText, TakesOnlySoMuchInQuotes) {
  EXPECT_NE(parse_structure(in_quotes(10)), nullptr);
  EXPECT_EQ(parse_structure(in_quotes(17)), nullptr);
}

TEST(StructureText, TakesOnlySoManyFields) {
  std::string text = "a";
  for (int i = 0; i < 256; ++i) text += ", f" + std::to_string(i) + "=1";
  EXPECT_NE(parse_structure(text), nullptr);
  EXPECT_EQ(parse_structure(text + ", more=1"), nullptr);
}

std::string text_with_everything() {
  g_autoptr(GstCaps) caps = gst_caps_from_string(
      "video/x-raw(memory:DMABuf), format=(string){ RGB, BGR }, width=[1, 9], "
      "rate=(fraction)[ 0/1, 30/1 ], codec_data=(buffer)00ff");
  g_autoptr(GstBuffer) buffer = gst_buffer_new_memdup("picture", 7);
  g_autoptr(GstSample) sample = gst_sample_new(buffer, caps, nullptr, nullptr);
  const TagListPtr tags(gst_tag_list_new(GST_TAG_TITLE, "A \"title\"",
                                         GST_TAG_IMAGE, sample, nullptr));
  const auto inner = nested_lists();
  const auto all = structure(gst_structure_new(
      "everything", "caps", GST_TYPE_CAPS, caps, "tags", GST_TYPE_TAG_LIST,
      tags.get(), "inner", GST_TYPE_STRUCTURE, inner.get(), "format",
      GST_TYPE_FORMAT, GST_FORMAT_TIME, "number", G_TYPE_DOUBLE, 0.1, nullptr));
  return text_of(all.get()).value_or("");
}

// What is read can be written, and is then read as the same.
void expect_stable(std::string_view text) {
  const auto read = parse_structure(text);
  if (!read) return;
  const auto written = text_of(read.get());
  ASSERT_TRUE(written) << text;
  const auto again = parse_structure(*written);
  ASSERT_NE(again, nullptr) << *written;
  EXPECT_EQ(text_of(again.get()), written) << text;
}

TEST(StructureText, SurvivesEveryTruncation) {
  const std::string text = text_with_everything();
  ASSERT_NE(parse_structure(text), nullptr) << text;
  for (std::size_t length = 0; length < text.size(); ++length)
    expect_stable(std::string_view(text).substr(0, length));
}

TEST(StructureText, SurvivesChangedText) {
  constexpr std::string_view kTricky = "[]{}<>()\"\\;,=: 0179/aMNn-+\x80";
  std::mt19937 random(4711);
  const std::string original = text_with_everything();
  unsigned still_read = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string text = original;
    for (auto changes = 1 + random() % 3; changes > 0; --changes) {
      const std::size_t at = random() % text.size();
      const std::size_t length = random() % 8;
      if (random() % 4 == 0)
        text.erase(at, length);
      else if (random() % 3 == 0)
        text.insert(at, text.substr(at, length));
      else
        text[at] = kTricky[random() % kTricky.size()];
    }
    if (parse_structure(text)) ++still_read;
    expect_stable(text);
  }
  EXPECT_GT(still_read, 0U);
}

}  // namespace
}  // namespace dispatch::process
