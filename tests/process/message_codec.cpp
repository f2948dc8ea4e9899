// SPDX-License-Identifier: LGPL-2.1-or-later
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "process/event_codec.h"
#include "process/field_builder.h"

namespace dispatch::process {
namespace {

using stage::ElementPtr;
using stage::MessagePtr;

class MessageCodec : public testing::Test {
 protected:
  DecodedMessage bring_back(const MessagePtr& message) {
    const Bytes bytes = encode_message(message.get());
    EXPECT_FALSE(bytes.empty()) << GST_MESSAGE_TYPE_NAME(message.get());
    DecodedMessage back = decode_message(bytes, here());
    if (!back.message) return back;
    EXPECT_EQ(GST_MESSAGE_TYPE(back.message.get()),
              GST_MESSAGE_TYPE(message.get()));
    EXPECT_EQ(gst_message_get_seqnum(back.message.get()),
              gst_message_get_seqnum(message.get()));
    EXPECT_EQ(GST_MESSAGE_SRC(back.message.get()), here());
    EXPECT_EQ(back.name, "there");
    return back;
  }

  void expect_same(MessagePtr message) {
    SCOPED_TRACE(GST_MESSAGE_TYPE_NAME(message.get()));
    const DecodedMessage back = bring_back(message);
    ASSERT_NE(back.message, nullptr);
    const GstStructure* expected = gst_message_get_structure(message.get());
    const GstStructure* actual = gst_message_get_structure(back.message.get());
    ASSERT_EQ(actual == nullptr, expected == nullptr);
    if (expected == nullptr) return;
    EXPECT_TRUE(gst_structure_is_equal(actual, expected));
  }

  GstObject* here() { return GST_OBJECT(here_.get()); }
  GstObject* there() { return GST_OBJECT(there_.get()); }

 private:
  const ElementPtr here_ =
      stage::sink_object(gst_element_factory_make("identity", "here"));
  const ElementPtr there_ =
      stage::sink_object(gst_element_factory_make("identity", "there"));
};

using Parse = void (*)(GstMessage*, GError**, gchar**);
using ParseDetails = void (*)(GstMessage*, const GstStructure**);

struct ErrorKind {
  GstMessage* (*make)(GstObject*, GError*, const gchar*, GstStructure*);
  Parse parse;
  ParseDetails parse_details;
};

TEST_F(MessageCodec, BringsBackErrorsWarningsAndInfos) {
  for (const ErrorKind& kind :
       {ErrorKind{gst_message_new_error_with_details, gst_message_parse_error,
                  gst_message_parse_error_details},
        ErrorKind{gst_message_new_warning_with_details,
                  gst_message_parse_warning, gst_message_parse_warning_details},
        ErrorKind{gst_message_new_info_with_details, gst_message_parse_info,
                  gst_message_parse_info_details}}) {
    g_autoptr(GError) error = g_error_new_literal(
        GST_STREAM_ERROR, GST_STREAM_ERROR_DECODE, "Zoë \"broke\"; it");
    const MessagePtr message(
        kind.make(there(), error, "line 1\nline 2",
                  gst_structure_new("details", "n", G_TYPE_INT, -1, nullptr)));
    const DecodedMessage back = bring_back(message);
    ASSERT_NE(back.message, nullptr);
    g_autoptr(GError) read = nullptr;
    g_autofree gchar* debug = nullptr;
    const GstStructure* details = nullptr;
    kind.parse(back.message.get(), &read, &debug);
    kind.parse_details(back.message.get(), &details);
    EXPECT_TRUE(
        g_error_matches(read, GST_STREAM_ERROR, GST_STREAM_ERROR_DECODE));
    EXPECT_STREQ(read->message, error->message);
    EXPECT_STREQ(debug, "line 1\nline 2");
    ASSERT_NE(details, nullptr);
    gint n = 0;
    EXPECT_TRUE(gst_structure_get_int(details, "n", &n));
    EXPECT_EQ(n, -1);
  }
}

TEST_F(MessageCodec, BringsBackAnErrorOfFewWords) {
  g_autoptr(GError) error = g_error_new_literal(GST_CORE_ERROR, G_MININT, "");
  const DecodedMessage back =
      bring_back(MessagePtr(gst_message_new_error(there(), error, nullptr)));
  ASSERT_NE(back.message, nullptr);
  g_autoptr(GError) read = nullptr;
  g_autofree gchar* debug = nullptr;
  const GstStructure* details = nullptr;
  gst_message_parse_error(back.message.get(), &read, &debug);
  gst_message_parse_error_details(back.message.get(), &details);
  EXPECT_EQ(read->code, G_MININT);
  EXPECT_STREQ(read->message, "");
  EXPECT_EQ(debug, nullptr);
  EXPECT_EQ(details, nullptr);
}

// They may come from the operating system, in any encoding.
TEST_F(MessageCodec, BringsBackWordsThatAreNoUtf8) {
  g_autoptr(GError) error =
      g_error_new_literal(GST_CORE_ERROR, 1, "file \xe4.mp4");
  const DecodedMessage back =
      bring_back(MessagePtr(gst_message_new_error(there(), error, nullptr)));
  ASSERT_NE(back.message, nullptr);
  g_autoptr(GError) read = nullptr;
  gst_message_parse_error(back.message.get(), &read, nullptr);
  EXPECT_TRUE(g_utf8_validate(read->message, -1, nullptr));
  EXPECT_TRUE(g_str_has_prefix(read->message, "file "));
}

TEST_F(MessageCodec, LeavesOutDetailsOfItsProcess) {
  g_autoptr(GError) error = g_error_new_literal(GST_CORE_ERROR, 1, "text");
  const DecodedMessage back =
      bring_back(MessagePtr(gst_message_new_error_with_details(
          there(), error, nullptr,
          gst_structure_new("details", "p", G_TYPE_POINTER, this, nullptr))));
  ASSERT_NE(back.message, nullptr);
  const GstStructure* details = nullptr;
  gst_message_parse_error_details(back.message.get(), &details);
  EXPECT_EQ(details, nullptr);
}

TEST_F(MessageCodec, BringsBackMessagesOfOneStructure) {
  expect_same(MessagePtr(gst_message_new_element(
      there(),
      gst_structure_new("level", "rms", G_TYPE_DOUBLE, -3.5, nullptr))));
  expect_same(MessagePtr(gst_message_new_application(
      there(), gst_structure_new_empty("anything"))));
  expect_same(MessagePtr(gst_message_new_latency(there())));
  expect_same(MessagePtr(gst_message_new_duration_changed(there())));
  expect_same(MessagePtr(gst_message_new_buffering(there(), 50)));
  expect_same(MessagePtr(gst_message_new_progress(
      there(), GST_PROGRESS_TYPE_START, "code", "some text")));
  MessagePtr qos(gst_message_new_qos(there(), TRUE, 1, 2, 3, 4));
  gst_message_set_qos_values(qos.get(), -5, 0.5, 100);
  gst_message_set_qos_stats(qos.get(), GST_FORMAT_BUFFERS, 7, 8);
  expect_same(std::move(qos));
}

TEST_F(MessageCodec, BringsBackTags) {
  const MessagePtr message(gst_message_new_tag(
      there(), gst_tag_list_new(GST_TAG_TITLE, "A title", nullptr)));
  const DecodedMessage back = bring_back(message);
  ASSERT_NE(back.message, nullptr);
  g_autoptr(GstTagList) tags = nullptr;
  gst_message_parse_tag(back.message.get(), &tags);
  g_autofree gchar* title = nullptr;
  EXPECT_TRUE(gst_tag_list_get_string(tags, GST_TAG_TITLE, &title));
  EXPECT_STREQ(title, "A title");
}

TEST_F(MessageCodec, HasNoBytesForWhatBelongsToAProcess) {
  for (GstMessage* message :
       {gst_message_new_eos(there()),
        gst_message_new_state_changed(there(), GST_STATE_NULL, GST_STATE_READY,
                                      GST_STATE_VOID_PENDING),
        gst_message_new_stream_status(there(), GST_STREAM_STATUS_TYPE_CREATE,
                                      GST_ELEMENT(there())),
        gst_message_new_need_context(there(), "a type"),
        gst_message_new_async_done(there(), 0),
        gst_message_new_element(
            there(), gst_structure_new("test", "object", GST_TYPE_ELEMENT,
                                       there(), nullptr))})
    EXPECT_TRUE(encode_message(MessagePtr(message).get()).empty())
        << GST_MESSAGE_TYPE_NAME(message);
}

// ---- Bytes from outside ----------------------------------------------------

Bytes message_bytes(std::uint64_t type,
                    const std::function<void(FieldBuilder&)>& add) {
  FieldBuilder list;
  list.add_number(ObjectTag::kType, type);
  list.add_number(ObjectTag::kSequence, 1);
  add(list);
  return list.take();
}

TEST_F(MessageCodec, RefusesWhatIsNoMessage) {
  const auto nothing = [](FieldBuilder&) {};
  const auto decode = [&](std::uint64_t type, const auto& add) {
    return decode_message(message_bytes(type, add), here()).message;
  };
  EXPECT_EQ(decode_message({}, here()).message, nullptr);
  EXPECT_NE(decode(GST_MESSAGE_LATENCY, nothing), nullptr);
  EXPECT_EQ(decode(GST_MESSAGE_ELEMENT, nothing), nullptr);
  for (const std::uint64_t type :
       {std::uint64_t{0}, std::uint64_t{GST_MESSAGE_EOS},
        std::uint64_t{GST_MESSAGE_STATE_CHANGED},
        std::uint64_t{GST_MESSAGE_ELEMENT | GST_MESSAGE_EOS},
        std::uint64_t{0xffffffff}, G_MAXUINT64})
    EXPECT_EQ(decode(type, nothing), nullptr) << type;
  EXPECT_EQ(decode(GST_MESSAGE_QOS, nothing), nullptr);
  EXPECT_EQ(decode(GST_MESSAGE_ELEMENT,
                   [](FieldBuilder& list) {
                     list.add_text(ObjectTag::kStructure, "not, one");
                   }),
            nullptr);
  EXPECT_EQ(decode(GST_MESSAGE_ELEMENT,
                   [](FieldBuilder& list) {
                     list.add_text(ObjectTag::kSourceName, "\xff");
                   }),
            nullptr);
  EXPECT_EQ(decode(GST_MESSAGE_TAG, nothing), nullptr);
}

TEST_F(MessageCodec, RefusesAnErrorThatIsNone) {
  struct Parts {
    std::string domain = "gst-stream-error-quark";
    std::string text = "text";
    std::string debug = "debug";
    std::string details = "details";
    bool has_code = true;
  };
  const auto decode = [&](const std::function<void(Parts&)>& change) {
    Parts parts;
    change(parts);
    return decode_message(
               message_bytes(
                   GST_MESSAGE_ERROR,
                   [&](FieldBuilder& list) {
                     list.add_text(ObjectTag::kErrorDomain, parts.domain);
                     if (parts.has_code)
                       list.add_number(ObjectTag::kErrorCode, 1);
                     list.add_text(ObjectTag::kErrorText, parts.text);
                     list.add_text(ObjectTag::kErrorDebug, parts.debug);
                     list.add_text(ObjectTag::kErrorDetails, parts.details);
                   }),
               here())
        .message;
  };
  EXPECT_NE(decode([](Parts&) {}), nullptr);
  EXPECT_EQ(decode([](Parts& p) { p.domain.clear(); }), nullptr);
  EXPECT_EQ(decode([](Parts& p) { p.has_code = false; }), nullptr);
  EXPECT_EQ(decode([](Parts& p) { p.text.assign(1, '\xff'); }), nullptr);
  EXPECT_EQ(decode([](Parts& p) { p.text = std::string("a\0b", 3); }), nullptr);
  EXPECT_EQ(decode([](Parts& p) { p.debug.assign(1, '\xff'); }), nullptr);
  EXPECT_EQ(decode([](Parts& p) { p.details = "not, one"; }), nullptr);
}

TEST_F(MessageCodec, SurvivesChangedBytes) {
  std::mt19937 random(4711);
  g_autoptr(GError) error = g_error_new_literal(GST_CORE_ERROR, 1, "text");
  std::vector<Bytes> messages;
  for (GstMessage* message :
       {gst_message_new_error_with_details(there(), error, "debug",
                                           gst_structure_new_empty("details")),
        gst_message_new_qos(there(), TRUE, 1, 2, 3, 4),
        gst_message_new_tag(there(),
                            gst_tag_list_new(GST_TAG_TITLE, "t", nullptr)),
        gst_message_new_buffering(there(), 50)})
    messages.push_back(encode_message(MessagePtr(message).get()));
  unsigned refused = 0;
  for (int round = 0; round < 5000; ++round) {
    Bytes message = messages[random() % messages.size()];
    for (auto changes = 1 + random() % 4; changes > 0; --changes)
      message[random() % message.size()] = std::byte(random() % 256);
    if (random() % 4 == 0) message.resize(random() % message.size());
    const DecodedMessage read = decode_message(message, here());
    if (!read.message)
      ++refused;
    else
      encode_message(read.message.get());
  }
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace dispatch::process
