# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Builds in a folder and runs its tests. Sourced, not run; needs progress.sh and
# tally.sh, and the variable root (the checkout).

# build DIR [MESON-OPTION...]
build() {
  local dir=$1
  shift
  configure "$dir" "$@" && meson compile -C "$dir" -j "$(nproc)"
}

# An old folder gets the options of today; one that another version of Meson or
# another machine left behind is made anew.
configure() {
  local dir=$1
  [ ! -e "$dir" ] || [ -w "$dir" ] || die "$dir belongs to another user: remove it"
  if [ ! -e "$dir/build.ninja" ]; then
    meson setup "$dir" "$root" "${@:2}"
  else
    meson setup --reconfigure "$dir" "$root" "${@:2}" ||
      meson setup --wipe "$dir" "$root" "${@:2}"
  fi
}

# What run_tests puts before its command.
test_wrapper=()

# run_tests DIR LOGNAME [OPTION OF MESON TEST...]: runs them and adds the counts
# to the tally. Old results are removed first: a program that crashes would
# otherwise be counted with the cases of its last run.
run_tests() {
  local dir=$1 log=$2 status=0
  shift 2
  rm -f "$dir"/*.xml "$dir/meson-logs/$log".*
  "${test_wrapper[@]}" meson test -C "$dir" --logbase "$log" --print-errorlogs \
    --num-processes "$(nproc)" "$@" || status=$?
  tally_tests "$dir" "$log" "$status"
}

tally_tests() { # DIR LOGNAME STATUS
  local ok bad not_run
  read -r ok bad not_run < <(python3 "$root/tools/lib/count-tests.py" "$1" "$2") ||
    return
  if ((ok + bad + not_run == 0)); then
    warn "no test ran"
    bad=1
  elif (($3 != 0 && bad == 0)); then
    warn "meson test failed, see above"
    bad=1
  fi
  tally "$ok" "$bad" "$not_run"
}
