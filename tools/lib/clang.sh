# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# clang-format and clang-tidy over the sources. Sourced, not run; needs
# progress.sh and tally.sh, and the variable root (the checkout).
#
# Version 14 (Debian 12) is the one that counts: another one wants another
# layout and has other checks. Where it is not to be had, a check is skipped.

# find_clang_tool NAME: prints the command that is version 14 of it.
find_clang_tool() {
  local command
  for command in "$1-14" "$1"; do
    if "$command" --version 2>/dev/null | grep -q 'version 14\.'; then
      say "$command"
      return
    fi
  done
  return 1
}

sources() {
  (cd "$root" && find examples gst plugins tests tools \( -name '*.h' -o -name '*.cpp' \) -print0)
}

check_format() {
  local tool
  if ! tool=$(find_clang_tool clang-format); then
    say "skipped: there is no clang-format 14 here"
    tally 0 0 1
    return
  fi
  tally_run format_is_clean "$tool"
}

format_is_clean() { # TOOL
  if sources | (cd "$root" && xargs -0 "$1" --dry-run -Werror); then
    say "all sources are formatted"
  else
    warn "mend the format with: $1 -i FILE"
    return 1
  fi
}

# check_tidy DIR: over the sources that DIR compiles, where DIR lies in the
# checkout, so that our headers, and only ours, are called ../gst/... and so on.
check_tidy() {
  local tool
  if ! tool=$(find_clang_tool clang-tidy); then
    say "skipped: there is no clang-tidy 14 here"
    tally 0 0 1
    return
  fi
  tally_run "run-$tool" -quiet -j "$(nproc)" -p "$1" \
    -header-filter '\.\./(gst|plugins|tests|tools)/.*\.h$' \
    '/(examples|gst|plugins|tests|tools)/.*\.cpp$'
}
