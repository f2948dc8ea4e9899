# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# Finds out what is missing and installs it with apt, on Debian 12 or newer and
# what derives from it. On other distributions it only says what is missing.
# Sourced, not run; needs progress.sh and needs.sh.

# True on Debian and its derivatives.
has_apt() {
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null &&
    grep -Eqs '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release
}

can_be_root() { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

run_apt() {
  local quiet=()
  [ -t 1 ] || quiet=(-q)
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get "${quiet[@]}" -o DPkg::Lock::Timeout=300 "$@"
}

# candidate PACKAGE: the version apt would install; nothing if it knows none.
candidate() {
  LC_ALL=C apt-cache policy "$1" 2>/dev/null |
    sed -n 's/^  Candidate: //p' | sed '/^(none)$/d'
}

is_installed() {
  dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# A machine fresh from an image has no package lists at all.
has_package_lists() { compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null; }

# A tool that this release does not have is not missing.
is_wanted() { # KIND PACKAGE
  [ "$1" != tool ] || ! has_package_lists || [ -n "$(candidate "$2")" ]
}

needs_of_all() {
  local set
  for set in "$@"; do needs_of "$set"; done
}

# missing_packages SET...: Debian packages to install, one per line.
missing_packages() {
  local kind package
  needs_of_all "$@" | awk '{ print $1, $2 }' | sort -u -k 2,2 |
    while read -r kind package; do
      if ! is_installed "$package" && is_wanted "$kind" "$package"; then
        say "$package"
      fi
    done
}

is_found() { # KIND NAME
  case $1 in
    command) command -v "$2" >/dev/null ;;
    module) pkg-config --exists "$2" 2>/dev/null ;;
    element) gst-inspect-1.0 --exists "$2" 2>/dev/null ;;
    gi)
      /usr/bin/python3 -c "import gi; gi.require_version('$2', '1.0')" 2>/dev/null
      ;;
    tool) true ;;
  esac
}

# The same without apt: what cannot be found, with the name it has in Debian.
missing_things() {
  local kind package name
  needs_of_all "$@" | while read -r kind package name; do
    is_found "$kind" "$name" || say "  $kind $name (Debian package: $package)"
  done
}

check_gstreamer_version() {
  local version
  version=$(candidate libgstreamer1.0-dev)
  [ -z "$version" ] || dpkg --compare-versions "$version" ge 1.22 ||
    die "GStreamer 1.22 or newer is needed (Debian 12, Ubuntu 23.04);" \
      "this release has $version"
}

install_packages() { # SET...
  local packages
  heading "Updating the package lists"
  run_apt update
  check_gstreamer_version
  # Asked again, because the lists now say which tools this release has.
  mapfile -t packages < <(missing_packages "$@")
  heading "Installing ${packages[*]}"
  run_apt install --yes --no-install-recommends "${packages[@]}"
}

# True if nothing is missing.
say_missing_things() {
  local things
  things=$(missing_things "$@")
  if [ -z "$things" ]; then return; fi
  warn "cannot install on this distribution; what is missing:"
  printf '%s\n' "$things" >&2
  return 1
}

# install_missing SET...
install_missing() {
  local packages
  if ! has_apt; then
    say_missing_things "$@" || exit 1
    return
  fi
  mapfile -t packages < <(missing_packages "$@")
  if [ "${#packages[@]}" -eq 0 ]; then return; fi
  can_be_root || die "neither root nor sudo to install what is missing:" \
    "${packages[*]}"
  install_packages "$@"
}

# The same, only told.
say_missing() {
  local packages
  if ! has_apt; then
    say_missing_things "$@" || exit 1
    say "Would install nothing."
    return
  fi
  mapfile -t packages < <(missing_packages "$@")
  say "Would install: ${packages[*]:-nothing}"
}
