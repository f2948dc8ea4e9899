# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the commands say to their user. Sourced, not run.

say() { printf '%s\n' "$*"; }

heading() {
  if [ -t 1 ]; then
    printf '\n\033[1m== %s\033[0m\n' "$*"
  else
    printf '\n== %s\n' "$*"
  fi
}

warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  warn "$*"
  exit 1
}
