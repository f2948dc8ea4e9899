// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/meta_codec.h"

#include <algorithm>
#include <array>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <gst/audio/audio.h>
#include <gst/video/video.h>

#include "core/worker_protocol.h"
#include "process/field_builder.h"
#include "process/layout_check.h"
#include "process/structure_text.h"
#include "process/value_types.h"
#include "stage/due_time_meta.h"

namespace dispatch::process {

namespace {

// A meta of fixed size, written without memory from the heap: one goes with
// nearly every frame.
struct SmallList {
  alignas(8) std::array<std::byte, 256> space;
  core::FieldWriter writer{space};

  explicit SmallList(MetaKind kind) {
    writer.add(static_cast<std::uint16_t>(MetaTag::kKind),
               static_cast<std::uint64_t>(kind));
  }
  template <typename T>
  void add(MetaTag tag, const T& value) {
    writer.add_struct(static_cast<std::uint16_t>(tag), value);
  }
};

FieldBuilder list_of(MetaKind kind) {
  FieldBuilder list;
  list.add_number(MetaTag::kKind, static_cast<std::uint64_t>(kind));
  return list;
}

void add_meta(core::FieldWriter& to, std::span<const std::byte> meta) {
  to.add(core::protocol::kMeta, meta);
}

// Longer names and more of them than anyone needs; both stay for good.
constexpr std::size_t kMaxNameBytes = 256;
constexpr unsigned kMaxRegistered = 64;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kMaxNameBytes &&
         g_utf8_validate(text.data(), static_cast<gssize>(text.size()),
                         nullptr);
}

// ---- Video -----------------------------------------------------------------

VideoLayout layout_of(const GstVideoMeta& meta) {
  VideoLayout layout;
  layout.format = meta.format;
  layout.flags = meta.flags;
  layout.id = meta.id;
  layout.width = meta.width;
  layout.height = meta.height;
  layout.planes = meta.n_planes;
  const guint planes = std::min(meta.n_planes, guint{GST_VIDEO_MAX_PLANES});
  std::copy_n(meta.offset, planes, layout.offset);
  std::copy_n(meta.stride, planes, layout.stride);
  return layout;
}

bool write_video(const GstVideoMeta& meta, GstBuffer* buffer,
                 core::FieldWriter& to) {
  const VideoLayout layout = layout_of(meta);
  if (wrong_with(layout, buffer, PictureMemory::kOfOneField) != nullptr)
    return false;
  SmallList list(MetaKind::kVideo);
  list.add(MetaTag::kVideoLayout, layout);
  if (const auto alignment = settled(meta.alignment, layout))
    list.add(MetaTag::kVideoAlignment, *alignment);
  add_meta(to, list.writer.written());
  return true;
}

const char* read_video(GstBuffer* buffer, std::span<const std::byte> list,
                       PictureMemory memory) {
  const auto layout = find_struct<VideoLayout>(list, MetaTag::kVideoLayout);
  if (!layout) return "video layout";
  if (const char* wrong = wrong_with(*layout, buffer, memory)) return wrong;

  std::optional<GstVideoAlignment> alignment;
  if (find(list, MetaTag::kVideoAlignment)) {
    const auto record =
        find_struct<VideoAlignment>(list, MetaTag::kVideoAlignment);
    if (record) alignment = to_gst(*record);
    if (!alignment || !settled(*alignment, *layout)) return "video alignment";
  }
  std::array<gsize, GST_VIDEO_MAX_PLANES> offset;
  std::array<gint, GST_VIDEO_MAX_PLANES> stride;
  std::copy_n(layout->offset, GST_VIDEO_MAX_PLANES, offset.begin());
  std::copy_n(layout->stride, GST_VIDEO_MAX_PLANES, stride.begin());
  static const guint flags = known_flags(GST_TYPE_VIDEO_FRAME_FLAGS);
  GstVideoMeta* meta = gst_buffer_add_video_meta_full(
      buffer, static_cast<GstVideoFrameFlags>(layout->flags & flags),
      static_cast<GstVideoFormat>(layout->format), layout->width,
      layout->height, layout->planes, offset.data(), stride.data());
  meta->id = layout->id;
  if (alignment) gst_video_meta_set_alignment(meta, *alignment);
  return nullptr;
}

// ---- Audio -----------------------------------------------------------------

AudioLayout layout_of(const GstAudioMeta& meta) {
  AudioLayout layout;
  layout.format = GST_AUDIO_INFO_FORMAT(&meta.info);
  layout.rate = static_cast<std::uint32_t>(meta.info.rate);
  layout.channels = static_cast<std::uint32_t>(meta.info.channels);
  layout.is_planar = meta.info.layout == GST_AUDIO_LAYOUT_NON_INTERLEAVED;
  layout.is_positioned = !GST_AUDIO_INFO_IS_UNPOSITIONED(&meta.info);
  layout.samples = meta.samples;
  return layout;
}

bool write_audio(const GstAudioMeta& meta, GstBuffer* buffer,
                 core::FieldWriter& to) {
  if (meta.info.finfo == nullptr) return false;
  const AudioLayout layout = layout_of(meta);
  std::vector<std::int32_t> positions;
  if (layout.is_positioned != 0 && layout.channels <= kMaxPositions)
    positions.assign(meta.info.position, meta.info.position + layout.channels);
  std::vector<std::uint64_t> offsets;
  if (layout.is_planar != 0 && layout.channels <= kMaxChannels)
    offsets.assign(meta.offsets, meta.offsets + layout.channels);
  if (wrong_with(layout, positions, offsets, buffer) != nullptr) return false;

  FieldBuilder list = list_of(MetaKind::kAudio);
  list.add_struct(MetaTag::kAudioLayout, layout);
  if (!positions.empty())
    list.add_bytes(MetaTag::kPositions, std::as_bytes(std::span(positions)));
  if (!offsets.empty())
    list.add_bytes(MetaTag::kOffsets, std::as_bytes(std::span(offsets)));
  add_meta(to, list.bytes());
  return true;
}

// What `tag` holds many of; nothing if there is no such field.
template <typename T>
std::optional<std::vector<T>> numbers(std::span<const std::byte> list,
                                      MetaTag tag) {
  std::vector<T> result;
  const auto field = find(list, tag);
  if (!field) return result;
  if (field->value.size() % sizeof(T) != 0) return std::nullopt;
  result.resize(field->value.size() / sizeof(T));
  std::copy(field->value.begin(), field->value.end(),
            std::as_writable_bytes(std::span(result)).begin());
  return result;
}

GstAudioInfo info_of(const AudioLayout& layout,
                     std::span<const std::int32_t> positions) {
  std::array<GstAudioChannelPosition, kMaxPositions> position;
  std::transform(
      positions.begin(), positions.end(), position.begin(),
      [](std::int32_t p) { return static_cast<GstAudioChannelPosition>(p); });
  GstAudioInfo info;
  gst_audio_info_set_format(
      &info, static_cast<GstAudioFormat>(layout.format),
      static_cast<gint>(layout.rate), static_cast<gint>(layout.channels),
      layout.is_positioned != 0 ? position.data() : nullptr);
  if (layout.is_positioned == 0) {
    // Otherwise mono and stereo have positions.
    info.flags = GST_AUDIO_FLAG_UNPOSITIONED;
    std::fill_n(info.position, std::min(layout.channels, kMaxPositions),
                GST_AUDIO_CHANNEL_POSITION_NONE);
  }
  if (layout.is_planar != 0) info.layout = GST_AUDIO_LAYOUT_NON_INTERLEAVED;
  return info;
}

const char* read_audio(GstBuffer* buffer, std::span<const std::byte> list) {
  const auto layout = find_struct<AudioLayout>(list, MetaTag::kAudioLayout);
  if (!layout) return "audio layout";
  const auto positions = numbers<std::int32_t>(list, MetaTag::kPositions);
  if (!positions) return "audio positions";
  const auto offsets = numbers<std::uint64_t>(list, MetaTag::kOffsets);
  if (!offsets) return "audio offsets";
  if (const char* wrong = wrong_with(*layout, *positions, *offsets, buffer))
    return wrong;

  const GstAudioInfo info = info_of(*layout, *positions);
  std::vector<gsize> places(offsets->begin(), offsets->end());
  gst_buffer_add_audio_meta(buffer, &info, layout->samples,
                            places.empty() ? nullptr : places.data());
  return nullptr;
}

// ---- Region of interest ----------------------------------------------------

bool write_region(const GstVideoRegionOfInterestMeta& meta,
                  core::FieldWriter& to) {
  FieldBuilder list = list_of(MetaKind::kRegionOfInterest);
  list.add_struct(MetaTag::kRegion, Region{meta.id, meta.parent_id, meta.x,
                                           meta.y, meta.w, meta.h});
  const char* type = g_quark_to_string(meta.roi_type);
  if (type != nullptr) {
    if (!is_name(type)) return false;
    list.add_text(MetaTag::kName, type);
  }
  for (const GList* item = meta.params; item != nullptr; item = item->next) {
    const auto text = text_of(static_cast<const GstStructure*>(item->data));
    if (!text) return false;
    list.add_text(MetaTag::kStructure, *text);
  }
  add_meta(to, list.bytes());
  return true;
}

const char* read_region(GstBuffer* buffer, std::span<const std::byte> list) {
  std::optional<Region> region;
  GQuark type = 0;
  std::vector<StructurePtr> parameters;
  core::FieldReader reader(list);
  while (const auto field = reader.next()) {
    switch (static_cast<MetaTag>(field->tag)) {
      case MetaTag::kRegion:
        region = field->as_struct<Region>();
        break;
      case MetaTag::kName:
        if (!is_name(field->text())) return "type of a region";
        type = g_quark_from_string(std::string(field->text()).c_str());
        break;
      case MetaTag::kStructure:
        parameters.push_back(parse_structure(field->text()));
        if (!parameters.back()) return "parameter of a region";
        break;
      default:
        break;
    }
  }
  if (!region) return "region";
  GstVideoRegionOfInterestMeta* meta =
      gst_buffer_add_video_region_of_interest_meta_id(
          buffer, type, region->x, region->y, region->width, region->height);
  meta->id = region->id;
  meta->parent_id = region->parent_id;
  for (StructurePtr& parameter : parameters)
    gst_video_region_of_interest_meta_add_param(meta, parameter.release());
  return nullptr;
}

// ---- Reference timestamp ---------------------------------------------------

bool write_reference(const GstReferenceTimestampMeta& meta,
                     core::FieldWriter& to) {
  const auto caps = text_of(meta.reference);
  if (!caps) return false;
  FieldBuilder list = list_of(MetaKind::kReferenceTimestamp);
  list.add_text(MetaTag::kReference, *caps);
  list.add_number(MetaTag::kTimestamp, meta.timestamp);
  list.add_number(MetaTag::kDuration, meta.duration);
  add_meta(to, list.bytes());
  return true;
}

const char* read_reference(GstBuffer* buffer, std::span<const std::byte> list) {
  stage::CapsPtr caps;
  std::optional<std::uint64_t> timestamp;
  std::optional<std::uint64_t> duration = GST_CLOCK_TIME_NONE;
  core::FieldReader reader(list);
  while (const auto field = reader.next()) {
    switch (static_cast<MetaTag>(field->tag)) {
      case MetaTag::kReference:
        caps = parse_caps(field->text());
        break;
      case MetaTag::kTimestamp:
        timestamp = field->number();
        break;
      case MetaTag::kDuration:
        duration = field->number();
        break;
      default:
        break;
    }
  }
  if (!caps) return "reference of a timestamp";
  if (!timestamp || *timestamp == GST_CLOCK_TIME_NONE)
    return "reference timestamp";
  if (!duration) return "duration of a reference timestamp";
  gst_buffer_add_reference_timestamp_meta(buffer, caps.get(), *timestamp,
                                          *duration);
  return nullptr;
}

// ---- Custom ----------------------------------------------------------------

bool write_custom(GstMeta* meta, core::FieldWriter& to) {
  const char* name = g_type_name(meta->info->type);
  if (!is_name(name)) return false;
  const auto text = text_of(
      gst_custom_meta_get_structure(reinterpret_cast<GstCustomMeta*>(meta)));
  if (!text) return false;
  FieldBuilder list = list_of(MetaKind::kCustom);
  list.add_text(MetaTag::kName, name);
  list.add_text(MetaTag::kStructure, *text);
  add_meta(to, list.bytes());
  return true;
}

// What GLib takes as the name of a type.
bool is_type_name(const std::string& name) {
  const auto is_further = [](char c) {
    return g_ascii_isalnum(c) || c == '_' || c == '-' || c == '+';
  };
  return name.size() >= 3 && name.size() <= kMaxNameBytes &&
         (g_ascii_isalpha(name[0]) || name[0] == '_') &&
         std::all_of(name.begin(), name.end(), is_further);
}

// The meta of that name, registered if need be; null: there can be none.
// Registering is not safe against another thread that registers the same.
const GstMetaInfo* custom_meta(const std::string& name) {
  static std::mutex mutex;
  static unsigned registered = 0;
  const std::lock_guard lock(mutex);
  const GstMetaInfo* info = gst_meta_get_info(name.c_str());
  if (info != nullptr) return gst_meta_info_is_custom(info) ? info : nullptr;
  const bool is_free = g_type_from_name(name.c_str()) == 0 &&
                       g_type_from_name((name + "-api").c_str()) == 0;
  if (!is_type_name(name) || !is_free || registered == kMaxRegistered)
    return nullptr;
  ++registered;
  static const gchar* no_tags[] = {nullptr};
  return gst_meta_register_custom(name.c_str(), no_tags, nullptr, nullptr,
                                  nullptr);
}

const char* read_custom(GstBuffer* buffer, std::span<const std::byte> list) {
  const auto name_field = find(list, MetaTag::kName);
  const auto text = find(list, MetaTag::kStructure);
  if (!name_field || !is_name(name_field->text()))
    return "name of a custom meta";
  const std::string name(name_field->text());
  const StructurePtr structure = text ? parse_structure(text->text()) : nullptr;
  if (!structure) return "structure of a custom meta";
  if (custom_meta(name) == nullptr) return "name of a custom meta";
  GstStructure* own = gst_custom_meta_get_structure(
      gst_buffer_add_custom_meta(buffer, name.c_str()));
  gst_structure_set_name(own, gst_structure_get_name(structure.get()));
  for_each_field(structure.get(), [&](const char* field, const GValue* value) {
    gst_structure_set_value(own, field, value);
  });
  return nullptr;
}

// ---- Those that serialise themselves ---------------------------------------

#if GST_CHECK_VERSION(1, 24, 0)
bool can_serialise(const GstMetaInfo* info) {
  return info->serialize_func != nullptr && info->deserialize_func != nullptr;
}

bool write_self_serialised(GstMeta* meta, core::FieldWriter& to) {
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  if (!gst_meta_serialize_simple(meta, bytes)) return false;
  FieldBuilder list = list_of(MetaKind::kSelfSerialised);
  list.add_bytes(MetaTag::kSerialised,
                 std::as_bytes(std::span(bytes->data, bytes->len)));
  add_meta(to, list.bytes());
  return true;
}

// The name in serialised bytes: total size, size of the name, the name, a zero,
// a version. GStreamer does not look whether the sizes make sense.
std::string name_in(std::span<const std::byte> bytes) {
  constexpr std::size_t kSizes = 8;
  if (bytes.size() < kSizes || bytes.size() > G_MAXUINT32) return {};
  const std::uint32_t total = GST_READ_UINT32_LE(bytes.data());
  const std::uint32_t name_bytes = GST_READ_UINT32_LE(bytes.data() + 4);
  if (total != bytes.size() || name_bytes > kMaxNameBytes ||
      bytes.size() < kSizes + name_bytes + 2 ||
      bytes[kSizes + name_bytes] != std::byte{0})
    return {};
  // SAFETY: characters may be read where bytes are.
  return {reinterpret_cast<const char*>(bytes.data()) + kSizes, name_bytes};
}

const char* read_self_serialised(GstBuffer* buffer,
                                 std::span<const std::byte> list);
#endif

// ---- All kinds -------------------------------------------------------------

// How `info` goes; nothing if it does not.
std::optional<MetaKind> form_of(const GstMetaInfo* info) {
  if (info == gst_video_meta_get_info()) return MetaKind::kVideo;
  if (info == gst_audio_meta_get_info()) return MetaKind::kAudio;
  if (info == gst_video_region_of_interest_meta_get_info())
    return MetaKind::kRegionOfInterest;
  if (info == gst_reference_timestamp_meta_get_info())
    return MetaKind::kReferenceTimestamp;
  if (gst_meta_info_is_custom(info)) return MetaKind::kCustom;
#if GST_CHECK_VERSION(1, 24, 0)
  if (can_serialise(info)) return MetaKind::kSelfSerialised;
#endif
  return std::nullopt;
}

#if GST_CHECK_VERSION(1, 24, 0)
const char* read_self_serialised(GstBuffer* buffer,
                                 std::span<const std::byte> list) {
  const auto field = find(list, MetaTag::kSerialised);
  const std::string name = field ? name_in(field->value) : std::string();
  const GstMetaInfo* info = gst_meta_get_info(name.c_str());
  // Those with a form of their own are looked at more closely there.
  if (info == nullptr || form_of(info) != MetaKind::kSelfSerialised)
    return "name of a serialised meta";
  guint32 consumed = 0;
  // SAFETY: any bytes may be read as guint8.
  const auto* data = reinterpret_cast<const guint8*>(field->value.data());
  if (gst_meta_deserialize(buffer, data, field->value.size(), &consumed) ==
      nullptr)
    return "serialised meta";
  return nullptr;
}
#endif

bool write_meta(GstMeta* meta, GstBuffer* buffer, core::FieldWriter& to) {
  const std::optional<MetaKind> kind = form_of(meta->info);
  if (!kind) return false;
  // SAFETY: form_of() has looked whose meta it is.
  switch (*kind) {
    case MetaKind::kVideo:
      return write_video(*reinterpret_cast<GstVideoMeta*>(meta), buffer, to);
    case MetaKind::kAudio:
      return write_audio(*reinterpret_cast<GstAudioMeta*>(meta), buffer, to);
    case MetaKind::kRegionOfInterest:
      return write_region(
          *reinterpret_cast<GstVideoRegionOfInterestMeta*>(meta), to);
    case MetaKind::kReferenceTimestamp:
      return write_reference(
          *reinterpret_cast<GstReferenceTimestampMeta*>(meta), to);
    case MetaKind::kCustom:
      return write_custom(meta, to);
    case MetaKind::kSelfSerialised:
#if GST_CHECK_VERSION(1, 24, 0)
      return write_self_serialised(meta, to);
#else
      return false;
#endif
  }
  return false;
}

// Whether nobody misses it on the other side.
bool says_nothing(const GstMetaInfo* info) {
  return info == stage::due_time_meta_info() ||
         gst_meta_api_type_has_tag(info->api, _gst_meta_tag_memory_reference) !=
             FALSE;
}

}  // namespace

bool is_sendable(const GstMetaInfo* info) {
  return !says_nothing(info) && form_of(info).has_value();
}

bool is_sent(GstMeta* meta, GstBuffer* buffer) {
  core::FieldWriter nowhere({});
  return !says_nothing(meta->info) && write_meta(meta, buffer, nowhere);
}

unsigned write_metas(GstBuffer* buffer, core::FieldWriter& to) {
  unsigned others = 0;
  gpointer state = nullptr;
  while (GstMeta* meta = gst_buffer_iterate_meta(buffer, &state))
    if (!says_nothing(meta->info) && !write_meta(meta, buffer, to)) ++others;
  return others;
}

const char* read_meta(GstBuffer* buffer, std::span<const std::byte> bytes,
                      PictureMemory memory) {
  core::FieldReader reader(bytes);
  const auto first = reader.next();
  if (!first || static_cast<MetaTag>(first->tag) != MetaTag::kKind)
    return "kind of a meta";
  while (reader.next()) continue;
  if (reader.is_broken()) return "fields of a meta";
  switch (static_cast<MetaKind>(first->number().value_or(0))) {
    case MetaKind::kVideo:
      return read_video(buffer, bytes, memory);
    case MetaKind::kAudio:
      return read_audio(buffer, bytes);
    case MetaKind::kRegionOfInterest:
      return read_region(buffer, bytes);
    case MetaKind::kReferenceTimestamp:
      return read_reference(buffer, bytes);
    case MetaKind::kCustom:
      return read_custom(buffer, bytes);
    case MetaKind::kSelfSerialised:
#if GST_CHECK_VERSION(1, 24, 0)
      return read_self_serialised(buffer, bytes);
#else
      break;
#endif
  }
  return "kind of a meta";
}

}  // namespace dispatch::process
