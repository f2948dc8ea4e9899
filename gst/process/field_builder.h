// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Lists of fields (core/field_list.h) that grow as fields are added, and
// finding fields by tags that are enums.
//
// For: lists whose size is not known before, and lists within lists.
// Not for: what is written for each frame (core::FieldWriter into shared
// memory). Thread: confined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/field_list.h"

namespace dispatch::process {

class FieldBuilder {
 public:
  template <typename Tag>
  FieldBuilder& add_number(Tag tag, std::uint64_t number) {
    append(tag, sizeof(number), [&](core::FieldWriter& to, std::uint16_t id) {
      to.add(id, number);
    });
    return *this;
  }
  template <typename Tag>
  FieldBuilder& add_text(Tag tag, std::string_view text) {
    return add_bytes(tag, std::as_bytes(std::span(text)));
  }
  template <typename Tag>
  FieldBuilder& add_bytes(Tag tag, std::span<const std::byte> bytes) {
    append(tag, bytes.size(),
           [&](core::FieldWriter& to, std::uint16_t id) { to.add(id, bytes); });
    return *this;
  }
  template <typename Tag, typename T>
  FieldBuilder& add_struct(Tag tag, const T& value) {
    append(tag, sizeof(T), [&](core::FieldWriter& to, std::uint16_t id) {
      to.add_struct(id, value);
    });
    return *this;
  }

  const std::vector<std::byte>& bytes() const { return bytes_; }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  template <typename Tag, typename Write>
  void append(Tag tag, std::size_t value_bytes, Write write) {
    core::FieldWriter to(add_space(value_bytes));
    write(to, static_cast<std::uint16_t>(tag));
  }
  // For a field with a value of so many bytes.
  std::span<std::byte> add_space(std::size_t value_bytes);

  std::vector<std::byte> bytes_;
};

// The first field with that tag; nothing if there is none, or if its value is
// not a number, not a T.
template <typename Tag>
std::optional<core::Field> find(std::span<const std::byte> list, Tag tag) {
  return core::find_field(list, static_cast<std::uint16_t>(tag));
}
template <typename Tag>
std::optional<std::uint64_t> find_number(std::span<const std::byte> list,
                                         Tag tag) {
  const auto field = find(list, tag);
  if (!field) return std::nullopt;
  return field->number();
}
template <typename T, typename Tag>
std::optional<T> find_struct(std::span<const std::byte> list, Tag tag) {
  const auto field = find(list, tag);
  if (!field) return std::nullopt;
  return field->template as_struct<T>();
}

}  // namespace dispatch::process
