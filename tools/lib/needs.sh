# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
#
# What the commands need, in one table. Sourced, not run.
#
# Each line: kind, Debian package, name. The package is what gets installed on
# Debian and its derivatives; kind and name say how to recognise the same thing
# on another distribution: a command in PATH, a pkg-config module, a GStreamer
# element, a library that the distribution's Python knows through gi.

needs_of() {
  case $1 in
    build) build_needs ;;
    media) media_needs ;;
    tests) test_needs ;;
    benchmarks) say command strace strace ;;
    format) say tool clang-format-14 clang-format-14 ;;
    tidy) say tool clang-tidy-14 clang-tidy-14 ;;
    *) die "unknown set of needs: $1" ;;
  esac
}

build_needs() {
  cat <<'END'
command build-essential c++
command meson meson
command ninja-build ninja
command pkgconf pkg-config
module libgstreamer1.0-dev gstreamer-1.0 >= 1.22
module libgstreamer1.0-dev gstreamer-base-1.0 >= 1.22
module libgstreamer-plugins-base1.0-dev gstreamer-allocators-1.0 >= 1.22
module libgstreamer-plugins-base1.0-dev gstreamer-app-1.0 >= 1.22
module libgstreamer-plugins-base1.0-dev gstreamer-audio-1.0 >= 1.22
module libgstreamer-plugins-base1.0-dev gstreamer-tag-1.0 >= 1.22
module libgstreamer-plugins-base1.0-dev gstreamer-video-1.0 >= 1.22
END
}

media_needs() {
  cat <<'END'
command gstreamer1.0-tools gst-launch-1.0
command gstreamer1.0-tools gst-inspect-1.0
element gstreamer1.0-plugins-base videoconvert
element gstreamer1.0-plugins-good avidemux
element gstreamer1.0-plugins-good jpegenc
element gstreamer1.0-plugins-good mp4mux
element gstreamer1.0-plugins-good rtpjitterbuffer
element gstreamer1.0-plugins-good rtph264pay
element gstreamer1.0-plugins-good udpsrc
element gstreamer1.0-plugins-good videobalance
element gstreamer1.0-plugins-good vp8enc
element gstreamer1.0-plugins-bad gaussianblur
element gstreamer1.0-plugins-bad h264parse
element gstreamer1.0-plugins-bad smooth
element gstreamer1.0-plugins-bad zbar
element gstreamer1.0-plugins-ugly x264enc
element gstreamer1.0-libav avdec_h264
element gstreamer1.0-libav avdec_mpeg4
command python3 python3
END
}

test_needs() {
  cat <<'END'
module libgstreamer1.0-dev gstreamer-check-1.0 >= 1.22
module libgtest-dev gtest
tool chromium chromium
gi python3-gi Gst
gi gir1.2-gstreamer-1.0 Gst
END
}
