#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Camera analytics that never fall behind: a preview, and beside it a search for
# QR codes, which takes longer for a picture of 1920x1080 than there is time. So
# adaptiveskip gives a frame the search in full size, the one in half the size,
# or none. videotestsrc is the camera, qroverlay puts a code before it; the
# preview goes nowhere. For a real one: v4l2src, and autovideosink.

set -euo pipefail

frames=60
size=video/x-raw,width=1920,height=1080
half=video/x-raw,width=960,height=540
said=$(mktemp -d)
trap 'rm -r "$said"' EXIT

GST_TRACERS="dispatch(file=$said/trace)" gst-launch-1.0 --messages --no-position \
  videotestsrc is-live=true num-buffers=$frames \
  ! "$size,format=I420,framerate=30/1" \
  ! qroverlay data="gate 7" ! tee name=camera \
  camera. ! queue ! fakesink sync=true \
  camera. ! queue ! adaptiveskip name=scan num-levels=2 latency-budget=66000000 \
    level0::stage="zbar" level1::utility=0.8 \
    level1::stage="videoscale ! $half ! zbar ! videoscale ! $size" \
  ! queue ! fakesink sync=true >"$said/messages"

# account FIELD: of what ends the trace: the counts of `stats`.
account() {
  sed -n "s/.*\"name\":\"account\".*\"$1\":\([0-9]*\).*/\1/p" "$said/trace"
}

codes=$(grep -ac 'barcode,.*GATE' "$said/messages" || true)
echo "frames: $(account frames-in), searched: $(account applied)," \
  "passed by: $(account bypassed), late: $(account late); codes read: $codes"
((codes > 0))
