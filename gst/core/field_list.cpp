// SPDX-License-Identifier: LGPL-2.1-or-later
#include "core/field_list.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace dispatch::core {

namespace {

constexpr std::size_t kAlignment = 8;

constexpr std::size_t padding_after(std::size_t bytes) {
  return (kAlignment - bytes % kAlignment) % kAlignment;
}

}  // namespace

void FieldWriter::add(std::uint16_t tag, std::span<const std::byte> value) {
  assert(tag != 0);
  assert(value.size() <= std::numeric_limits<std::uint32_t>::max());
  const std::size_t start = needed_;
  const std::size_t padding = padding_after(value.size());
  needed_ += sizeof(FieldHeader) + value.size() + padding;
  if (has_overflowed()) return;

  const FieldHeader header{.tag = tag,
                           .bytes = static_cast<std::uint32_t>(value.size())};
  std::byte* const at = space_.data() + start;
  std::memcpy(at, &header, sizeof(header));
  std::copy(value.begin(), value.end(), at + sizeof(header));
  std::fill_n(at + sizeof(header) + value.size(), padding, std::byte{0});
}

void FieldWriter::add(std::uint16_t tag, std::string_view text) {
  add(tag, std::as_bytes(std::span(text)));
}

void FieldWriter::add(std::uint16_t tag, std::uint64_t number) {
  add(tag, std::as_bytes(std::span(&number, 1)));
}

std::optional<std::uint64_t> Field::number() const {
  std::uint64_t result = 0;
  if (value.size() != sizeof(result)) return std::nullopt;
  std::memcpy(&result, value.data(), sizeof(result));
  return result;
}

// SAFETY: characters may be read where bytes are.
std::string_view Field::text() const {
  return {reinterpret_cast<const char*>(value.data()), value.size()};
}

std::optional<Field> FieldReader::next() {
  if (rest_.empty() || is_broken_) return std::nullopt;
  is_broken_ = true;  // until all has been looked at

  FieldHeader header;
  if (rest_.size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, rest_.data(), sizeof(header));
  const auto after_header = rest_.subspan(sizeof(header));
  if (header.tag == 0 || header.zero != 0 || header.bytes > after_header.size())
    return std::nullopt;

  const auto after_value = after_header.subspan(header.bytes);
  const std::size_t padding = padding_after(header.bytes);
  if (padding > after_value.size()) return std::nullopt;
  const auto zeros = after_value.first(padding);
  if (std::any_of(zeros.begin(), zeros.end(),
                  [](std::byte byte) { return byte != std::byte{0}; }))
    return std::nullopt;

  is_broken_ = false;
  rest_ = after_value.subspan(padding);
  return Field{.tag = header.tag, .value = after_header.first(header.bytes)};
}

std::optional<Field> find_field(std::span<const std::byte> list,
                                std::uint16_t tag) {
  FieldReader reader(list);
  while (const auto field = reader.next())
    if (field->tag == tag) return field;
  return std::nullopt;
}

}  // namespace dispatch::core
