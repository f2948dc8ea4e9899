// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a worker may send, changed at random many times: nobody may crash on it
// or read beyond its end. The changes are the same in each run.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gst/audio/audio.h>
#include <gst/video/video.h>

#include "core/worker_protocol.h"
#include "process/event_codec.h"
#include "process/field_builder.h"
#include "process/frame_codec.h"
#include "process/meta_codec.h"
#include "untrusted_bytes.h"

namespace dispatch::test {
namespace {

namespace protocol = core::protocol;
using process::BufferPtr;
using process::Bytes;
using process::FieldBuilder;

constexpr unsigned kChangedPerSeed = 10000;
constexpr std::size_t kMaxBytes = 16384;

// ---- What is changed -------------------------------------------------------

BufferPtr buffer_with_metas() {
  BufferPtr buffer(gst_buffer_new_allocate(nullptr, 4096, nullptr));
  gst_buffer_add_video_meta(buffer.get(), GST_VIDEO_FRAME_FLAG_NONE,
                            GST_VIDEO_FORMAT_I420, 32, 32);
  auto* region = gst_buffer_add_video_region_of_interest_meta(
      buffer.get(), "face", 1, 2, 3, 4);
  gst_video_region_of_interest_meta_add_param(
      region, gst_structure_new("detection", "confidence", G_TYPE_DOUBLE, 0.5,
                                "label", G_TYPE_STRING, "a \"b\"", nullptr));
  const stage::CapsPtr reference(gst_caps_from_string("timestamp/x-ntp"));
  gst_buffer_add_reference_timestamp_meta(buffer.get(), reference.get(), 5, 6);
  GstAudioInfo audio;
  gst_audio_info_set_format(&audio, GST_AUDIO_FORMAT_S16LE, 48000, 2, nullptr);
  gst_buffer_add_audio_meta(buffer.get(), &audio, 64, nullptr);
  return buffer;
}

Bytes bytes_of(const FieldBuilder& list) { return list.bytes(); }

// A report's payload: caps, a buffer with metas, a list, an answer.
Bytes payload() {
  const BufferPtr buffer = buffer_with_metas();
  const auto name = [](GstMemory*) {
    return protocol::MemoryRecord{.slot = 1, .generation = 1, .bytes = 4096};
  };
  std::vector<std::uint64_t> space(kMaxBytes / 8);
  core::FieldWriter to(std::as_writable_bytes(std::span(space)));
  const stage::CapsPtr caps(gst_caps_from_string(
      "video/x-raw, format=(string)I420, width=(int)32, height=(int)32"));
  const stage::EventPtr event(gst_event_new_caps(caps.get()));
  to.add(protocol::kEvent,
         std::span<const std::byte>(process::encode_event(event.get())));
  process::write_buffer(buffer.get(), name, to);
  to.add(protocol::kListBegin, std::span<const std::byte>());
  process::write_buffer(buffer.get(), name, to);
  process::write_buffer(buffer.get(), name, to);
  to.add(protocol::kListEnd, std::span<const std::byte>());
  const stage::QueryPtr query(gst_query_new_allocation(caps.get(), TRUE));
  gst_query_add_allocation_pool(query.get(), nullptr, 4096, 2, 8);
  gst_query_add_allocation_meta(query.get(), GST_VIDEO_META_API_TYPE, nullptr);
  to.add(protocol::kQuery,
         std::span<const std::byte>(process::encode_query(query.get())));
  return {to.written().begin(), to.written().end()};
}

template <typename T>
Bytes bytes_of_struct(const T& value) {
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return {bytes.begin(), bytes.end()};
}

std::vector<Bytes> metas() {
  std::vector<std::uint64_t> space(kMaxBytes / 8);
  core::FieldWriter to(std::as_writable_bytes(std::span(space)));
  process::write_metas(buffer_with_metas().get(), to);
  std::vector<Bytes> metas;
  core::FieldReader reader(to.written());
  while (const auto field = reader.next())
    metas.emplace_back(field->value.begin(), field->value.end());
  metas.push_back(bytes_of(
      FieldBuilder()
          .add_number(process::MetaTag::kKind, 5)
          .add_text(process::MetaTag::kName, "dispatch-fuzzed")
          .add_text(process::MetaTag::kStructure,
                    "dispatch-fuzzed, a=(int)5, b=(structure)[ c, d=(string)"
                    "\"e\" ], f={ (int)1, (int)2 }, g=(fraction)1/2")));
  return metas;
}

std::vector<Bytes> events() {
  std::vector<GstEvent*> events = {
      gst_event_new_stream_start("a/b"),
      gst_event_new_eos(),
      gst_event_new_gap(5, 6),
      gst_event_new_qos(GST_QOS_TYPE_UNDERFLOW, 0.5, -7, 8),
      gst_event_new_seek(1, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                         GST_SEEK_TYPE_SET, 9, GST_SEEK_TYPE_NONE, -1),
      gst_event_new_latency(10),
      gst_event_new_custom(
          GST_EVENT_CUSTOM_DOWNSTREAM,
          gst_structure_from_string(
              "odd, a=(int)[ 2, 8, 2 ], b=(GstSeekFlags)flush, "
              "c=(buffer)0a0b, d=(date)2024-02-29, e=(bitmask)0xff",
              nullptr))};
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  events.push_back(gst_event_new_segment(&segment));
  events.push_back(gst_event_new_tag(
      gst_tag_list_new(GST_TAG_TITLE, "a title", GST_TAG_BITRATE, 5, nullptr)));
  GstToc* toc = gst_toc_new(GST_TOC_SCOPE_GLOBAL);
  GstTocEntry* chapter = gst_toc_entry_new(GST_TOC_ENTRY_TYPE_CHAPTER, "one");
  gst_toc_entry_set_start_stop_times(chapter, 0, 100);
  gst_toc_append_entry(toc, chapter);
  events.push_back(gst_event_new_toc(toc, FALSE));
  gst_toc_unref(toc);

  std::vector<Bytes> result;
  for (GstEvent* event : events) {
    result.push_back(process::encode_event(event));
    gst_event_unref(event);
  }
  return result;
}

std::vector<Bytes> queries() {
  const stage::CapsPtr caps(gst_caps_from_string(
      "video/x-raw(ANY), width=(int){ 1, 2 }; audio/x-opus"));
  const stage::CapsPtr fixed(gst_caps_from_string("audio/x-opus, rate=(int)8"));
  const stage::QueryPtr queries[] = {
      stage::QueryPtr(gst_query_new_caps(caps.get())),
      stage::QueryPtr(gst_query_new_accept_caps(fixed.get())),
      stage::QueryPtr(gst_query_new_latency()),
      stage::QueryPtr(gst_query_new_position(GST_FORMAT_TIME)),
      stage::QueryPtr(gst_query_new_seeking(GST_FORMAT_TIME))};
  gst_query_set_caps_result(queries[0].get(), caps.get());
  gst_query_set_accept_caps_result(queries[1].get(), TRUE);
  gst_query_set_latency(queries[2].get(), TRUE, 5, 6);
  std::vector<Bytes> result;
  for (const stage::QueryPtr& query : queries)
    result.push_back(process::encode_query(query.get()));
  return result;
}

std::vector<Bytes> messages() {
  const stage::ObjectPtr<GstElement> source(
      GST_ELEMENT(gst_object_ref_sink(gst_bin_new("fuzzed"))));
  GError* error =
      g_error_new(GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED, "it failed");
  const stage::MessagePtr messages[] = {
      stage::MessagePtr(gst_message_new_error_with_details(
          GST_OBJECT(source.get()), error, "here",
          gst_structure_new_empty("details"))),
      stage::MessagePtr(gst_message_new_element(
          GST_OBJECT(source.get()),
          gst_structure_new("level", "peak", G_TYPE_DOUBLE, -5.0, nullptr))),
      stage::MessagePtr(
          gst_message_new_tag(GST_OBJECT(source.get()),
                              gst_tag_list_new(GST_TAG_TITLE, "t", nullptr)))};
  g_error_free(error);
  std::vector<Bytes> result;
  for (const stage::MessagePtr& message : messages)
    result.push_back(process::encode_message(message.get()));
  return result;
}

std::vector<Bytes> seeds() {
  std::vector<Bytes> seeds = {
      payload(), bytes_of_struct(protocol::Report{.number = 1, .sequence = 1}),
      bytes_of_struct(protocol::MemoryRecord{
          .slot = 1, .generation = 1, .offset = 16, .bytes = 64})};
  for (const auto& more : {metas(), events(), queries(), messages()})
    seeds.insert(seeds.end(), more.begin(), more.end());
  return seeds;
}

// ---- How it is changed -----------------------------------------------------

class Mutator {
 public:
  Mutator(std::vector<Bytes> seeds, std::uint32_t start)
      : seeds_(std::move(seeds)), random_(start) {}

  Bytes change(Bytes bytes) {
    for (std::uint32_t n = below(4) + 1; n > 0 && !bytes.empty(); --n)
      change_once(bytes);
    if (bytes.size() > kMaxBytes) bytes.resize(kMaxBytes);
    return bytes;
  }

 private:
  // Not of a distribution of the standard library: those differ.
  std::uint32_t below(std::size_t bound) {
    return static_cast<std::uint32_t>(random_() % bound);
  }
  std::ptrdiff_t place_in(const Bytes& bytes) {
    return static_cast<std::ptrdiff_t>(below(bytes.size()));
  }

  void change_once(Bytes& bytes) {
    switch (below(8)) {
      case 0:
        bytes[below(bytes.size())] ^= std::byte{1} << below(8);
        return;
      case 1:
        bytes[below(bytes.size())] = static_cast<std::byte>(below(256));
        return;
      case 2:
        put_number(bytes);
        return;
      case 3:
        put_character(bytes);
        return;
      case 4:
        bytes.resize(below(bytes.size()));
        return;
      case 5:
        repeat(bytes);
        return;
      case 6:
        remove(bytes);
        return;
      default:
        splice(bytes);
        return;
    }
  }

  // Where a number may be: sizes, offsets, tags, counts.
  void put_number(Bytes& bytes) {
    static constexpr std::array<std::uint64_t, 12> kNumbers = {
        0,
        1,
        2,
        7,
        8,
        255,
        0x7fffffff,
        0x80000000,
        0xffffffff,
        0x7fffffffffffffff,
        0x8000000000000000,
        0xffffffffffffffff};
    const std::uint64_t number = kNumbers[below(kNumbers.size())];
    const std::size_t size = std::size_t{2} << below(3);
    if (bytes.size() < size) return;
    const std::size_t at = below(bytes.size() / size) * size;
    std::memcpy(bytes.data() + at, &number, size);
  }

  // What means something in texts of GStreamer.
  void put_character(Bytes& bytes) {
    static constexpr std::string_view kCharacters =
        "\"\\()[]{}<>=,;:/ .-0x+\n\xff";
    bytes[below(bytes.size())] =
        static_cast<std::byte>(kCharacters[below(kCharacters.size())]);
  }

  void repeat(Bytes& bytes) {
    const auto from = bytes.begin() + place_in(bytes);
    const Bytes part(from, from + std::min<std::ptrdiff_t>(bytes.end() - from,
                                                           below(64) + 1));
    bytes.insert(bytes.begin() + place_in(bytes), part.begin(), part.end());
  }

  void remove(Bytes& bytes) {
    const auto from = bytes.begin() + place_in(bytes) / 8 * 8;
    bytes.erase(
        from, from + std::min<std::ptrdiff_t>(
                         bytes.end() - from, 8 * std::ptrdiff_t{below(8) + 1}));
  }

  // Whole fields often begin at these places.
  void splice(Bytes& bytes) {
    const Bytes& other = seeds_[below(seeds_.size())];
    bytes.resize(std::size_t{below(bytes.size())} / 8 * 8);
    const auto from = other.begin() + place_in(other) / 8 * 8;
    bytes.insert(bytes.end(), from, other.end());
  }

  const std::vector<Bytes> seeds_;
  std::mt19937 random_;
};

// ---- Reading it ------------------------------------------------------------

// The bytes lie right in front of memory that nobody may touch.
class GuardedBytes {
 public:
  GuardedBytes() {
    const auto page = static_cast<std::size_t>(getpagesize());
    void* const data = mmap(nullptr, kMaxBytes + page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(data, MAP_FAILED);
    data_ = static_cast<std::byte*>(data);
    EXPECT_EQ(mprotect(data_ + kMaxBytes, page, PROT_NONE), 0);
  }
  ~GuardedBytes() {
    munmap(data_, kMaxBytes + static_cast<std::size_t>(getpagesize()));
  }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  Taken read(const Bytes& bytes) {
    std::byte* const at = data_ + kMaxBytes - bytes.size();
    std::copy(bytes.begin(), bytes.end(), at);
    return read_untrusted({at, bytes.size()});
  }

 private:
  std::byte* data_ = nullptr;
};

struct Counts {
  std::array<unsigned, 9> taken{};
  unsigned all = 0;

  void count(const Taken& by) {
    const std::array<bool, 9> as = {by.as_list,   by.as_report, by.as_payload,
                                    by.as_memory, by.as_meta,   by.as_event,
                                    by.as_query,  by.as_answer, by.as_message};
    for (std::size_t i = 0; i < as.size(); ++i) taken[i] += as[i] ? 1 : 0;
    ++all;
  }
};

TEST(Mutations, WhatIsChangedIsFirstTaken) {
  GuardedBytes guarded;
  Counts counts;
  for (const Bytes& seed : seeds()) {
    ASSERT_FALSE(seed.empty());
    counts.count(guarded.read(seed));
  }
  for (std::size_t i = 0; i < counts.taken.size(); ++i)
    EXPECT_GT(counts.taken[i], 0U) << i;
}

TEST(Mutations, NobodyTrustsAnyBytes) {
  GuardedBytes guarded;
  Counts counts;
  const std::vector<Bytes> originals = seeds();
  for (std::uint32_t i = 0; i < originals.size(); ++i) {
    Mutator mutator(originals, i + 1);
    for (unsigned n = 0; n < kChangedPerSeed; ++n)
      counts.count(guarded.read(mutator.change(originals[i])));
  }
  // Neither reader sees only what it takes, or only what it does not.
  for (std::size_t i = 0; i < counts.taken.size(); ++i) {
    EXPECT_GT(counts.taken[i], counts.all / 1000) << i;
    EXPECT_LT(counts.taken[i], counts.all * 9 / 10) << i;
  }
}

TEST(Mutations, EveryBeginningOfWhatIsTakenIsRead) {
  GuardedBytes guarded;
  Counts counts;
  for (const Bytes& seed : seeds())
    for (std::size_t size = 0; size < seed.size(); ++size)
      counts.count(guarded.read(Bytes(
          seed.begin(), seed.begin() + static_cast<std::ptrdiff_t>(size))));
  EXPECT_LT(counts.taken[0], counts.all / 2);
}

}  // namespace
}  // namespace dispatch::test
