# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# The demo's two clips, kept in a cache folder. Sourced, not run; needs
# progress.sh and install.sh.

cache_folder() { say "${XDG_CACHE_HOME:-${HOME:?}/.cache}/gst-dispatch"; }

real_video() { say "$(cache_folder)/vtest.avi"; }

synthetic_video() { say "$(cache_folder)/synthetic.avi"; }

# A pedestrian street, 768x576, 10 fps, 795 frames. Debian has it inside a
# package of 96 MB, of which only this one file (8 MB) is kept.
fetch_real_video() {
  [ ! -s "$(real_video)" ] || return 0
  has_apt || die "the video is in a Debian package; without apt" \
    "name a VIDEO or take --synthetic"
  heading "Fetching vtest.avi out of Debian's package opencv-doc (96 MB, once)"
  in_scratch_folder fetch_vtest
}

make_synthetic_video() {
  [ ! -s "$(synthetic_video)" ] || return 0
  heading "Making a clip of a moving ball"
  in_scratch_folder encode_ball
}

# in_scratch_folder FUNCTION: calls it with a folder inside the cache folder, so
# that what it makes can be renamed into place; removes the folder afterwards.
in_scratch_folder() (
  set -e
  mkdir -p "$(cache_folder)"
  scratch=$(mktemp -d "$(cache_folder)/new.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  "$1" "$scratch"
)

fetch_vtest() { # FOLDER
  download_package "$1" opencv-doc
  say "Taking vtest.avi out of it"
  dpkg-deb --fsys-tarfile "$1"/opencv-doc_*.deb |
    tar -x --no-same-owner -C "$1" --wildcards '*/vtest.avi*'
  local file
  file=$(find "$1" -name 'vtest.avi*' -type f -print -quit)
  if [[ $file == *.gz ]]; then
    gunzip "$file"
  fi
  mv "${file%.gz}" "$(real_video)"
}

# The package lists may be absent, or older than the archive.
download_package() { # FOLDER PACKAGE
  apt_download "$@" && return
  can_be_root || die "cannot download $2: run apt-get update as root first"
  say "Updating the package lists"
  run_apt update
  apt_download "$@" || die "cannot download $2; name a VIDEO or take --synthetic"
}

apt_download() ( # FOLDER PACKAGE
  cd "$1"
  options=()
  [ -t 1 ] || options+=(-q)
  # As root apt would drop to a user who cannot write here.
  [ "$(id -u)" -ne 0 ] || options+=(-o APT::Sandbox::User=root)
  apt-get download "${options[@]}" "$2"
)

encode_ball() { # FOLDER
  gst-launch-1.0 -q videotestsrc pattern=ball num-buffers=795 \
    ! video/x-raw,format=I420,width=768,height=576,framerate=10/1 \
    ! jpegenc ! avimux ! filesink location="$1/synthetic.avi"
  mv "$1/synthetic.avi" "$(synthetic_video)"
}
