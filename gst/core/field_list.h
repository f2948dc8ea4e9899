// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A list of tagged values in a piece of memory: what the messages to and from a
// worker process and the payloads of its frames are made of.
//
//   0        2        4                8                       8 + bytes
//   +--------+--------+----------------+-----------------------+---------+
//   | tag    | zero   | bytes          | value                 | padding |
//   +--------+--------+----------------+-----------------------+---------+
//
// All numbers are in the byte order of the machine, both processes being on
// it. No tag is 0, so that memory which nobody wrote is no list. The padding is
// zeros, up to the next multiple of 8; the next field follows. The order of
// fields matters where the protocol says so; a reader skips tags that it does
// not know.
//
// For: writing and reading such lists, bounds checked. Not for: what the tags
// mean (core/worker_protocol.h). Thread: confined.
// Failure: a writer that runs out of space writes no further field and says
// how much it would have needed; a reader stops at what is no field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace dispatch::core {

struct FieldHeader {
  std::uint16_t tag = 0;
  std::uint16_t zero = 0;
  std::uint32_t bytes = 0;
};
static_assert(sizeof(FieldHeader) == 8);

class FieldWriter {
 public:
  // `space` (borrowed) has to begin at a multiple of 8.
  explicit FieldWriter(std::span<std::byte> space) : space_(space) {}

  // `tag` is not 0, `value` below 4 GiB.
  void add(std::uint16_t tag, std::span<const std::byte> value);
  void add(std::uint16_t tag, std::string_view text);  // no zero at its end
  void add(std::uint16_t tag, std::uint64_t number);
  // A plain structure of fixed layout.
  template <typename T>
  requires std::is_trivially_copyable_v<T> && std::is_class_v<T>
  void add_struct(std::uint16_t tag, const T& value) {
    add(tag, std::as_bytes(std::span(&value, 1)));
  }

  // Whether something did not fit; then nothing more is written.
  bool has_overflowed() const { return needed_ > space_.size(); }
  // What all fields take, also those that did not fit.
  std::size_t needed() const { return needed_; }
  std::span<const std::byte> written() const {
    return space_.first(has_overflowed() ? 0 : needed_);
  }

 private:
  std::span<std::byte> space_;
  std::size_t needed_ = 0;
};

struct Field {
  std::uint16_t tag = 0;
  std::span<const std::byte> value;

  // Nothing if the value has not the size of one.
  std::optional<std::uint64_t> number() const;
  std::string_view text() const;
  template <typename T>
  requires std::is_trivially_copyable_v<T> && std::is_class_v<T>
      std::optional<T> as_struct()
  const {
    if (value.size() != sizeof(T)) return std::nullopt;
    T result;
    std::memcpy(&result, value.data(), sizeof(T));
    return result;
  }
};

class FieldReader {
 public:
  // `list` (borrowed) may begin anywhere and hold anything.
  explicit FieldReader(std::span<const std::byte> list) : rest_(list) {}

  // The next field; nothing at the end, and where the list is broken.
  std::optional<Field> next();
  // Whether next() ended at something that is no field.
  bool is_broken() const { return is_broken_; }

 private:
  std::span<const std::byte> rest_;
  bool is_broken_ = false;
};

// The first field with that tag.
std::optional<Field> find_field(std::span<const std::byte> list,
                                std::uint16_t tag);

}  // namespace dispatch::core
