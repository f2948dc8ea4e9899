// SPDX-License-Identifier: LGPL-2.1-or-later
//
// For a fuzzer that is guided by coverage; built where clang has one:
//
//   CXX=clang++ meson setup build-fuzz -Db_sanitize=address -Db_lundef=false \
//     -Dcpp_args=-fsanitize=fuzzer-no-link
//   ninja -C build-fuzz tests/fuzz/fuzz-untrusted-bytes
//   build-fuzz/tests/fuzz/fuzz-untrusted-bytes -max_total_time=600
#include <cstddef>
#include <cstdint>

#include <gst/gst.h>

#include "untrusted_bytes.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t bytes);

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  gst_init(argc, argv);
  g_log_set_always_fatal(
      static_cast<GLogLevelFlags>(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK));
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t bytes) {
  dispatch::test::read_untrusted(std::as_bytes(std::span(data, bytes)));
  return 0;
}
