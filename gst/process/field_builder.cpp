// SPDX-License-Identifier: LGPL-2.1-or-later
#include "process/field_builder.h"

namespace dispatch::process {

std::span<std::byte> FieldBuilder::add_space(std::size_t value_bytes) {
  const std::size_t padded = (value_bytes + 7) / 8 * 8;
  const std::size_t start = bytes_.size();
  bytes_.resize(start + sizeof(core::FieldHeader) + padded);
  return std::span<std::byte>(bytes_).subspan(start);
}

}  // namespace dispatch::process
