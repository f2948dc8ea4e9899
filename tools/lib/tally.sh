# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Adds up what passed, failed and was skipped. Sourced, not run.

passed=0
failed=0
skipped=0

tally() { # PASSED FAILED SKIPPED
  passed=$((passed + $1))
  failed=$((failed + $2))
  skipped=$((skipped + $3))
}

# tally_run COMMAND...: the command counts as one.
tally_run() {
  if "$@"; then tally 1 0 0; else tally 0 1 0; fi
}

# For trap ... EXIT: the sum is the last line whatever happened, and nothing
# that ended early passes.
finish_tally() {
  local status=$?
  if ((status != 0 && failed == 0)); then tally 0 1 0; fi
  say "$passed passed, $failed failed, $skipped skipped"
  if ((failed > 0 || passed == 0)); then exit 1; fi
  exit 0
}
