// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Tables of contents as bytes: part of process/event_codec.h, which has the
// tags. Thread: thread-safe functions. Failure: nothing; the bytes are not
// trusted.
#pragma once

#include <optional>
#include <span>

#include "process/event_codec.h"

namespace dispatch::process {

Bytes encode_toc(const GstToc* toc, bool is_updated);  // (transfer none)

struct DecodedToc {
  stage::MiniPtr<GstToc> toc;
  bool is_updated = false;
};
std::optional<DecodedToc> decode_toc(std::span<const std::byte> bytes);

}  // namespace dispatch::process
