#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# One leg of a video call as WebRTC has it: VP8 in RTP over UDP. A caller sends;
# in the middle an effect is put on, by adaptiveskip, for which there is not
# always time; a viewer receives the result. Three processes on this machine; a
# real call gets its addresses and its encryption from webrtcbin.
#
# usage: call_leg.sh [PORT]   (it needs two, PORT and the next one)

set -euo pipefail

in=${1:-$((20000 + $$ % 6000 * 2))}
if ! [[ $in =~ ^[0-9]{4,5}$ ]]; then
  echo "call_leg.sh: '$in' is no port: name one from 1024 to 65534" >&2
  exit 2
fi
out=$((in + 1))
frames=60
rtp=application/x-rtp,media=video,encoding-name=VP8,clock-rate=90000,payload=96
encode="vp8enc deadline=1 cpu-used=8 target-bitrate=1500000 keyframe-max-dist=30"
said=$(mktemp -d)
trap 'kill %1 %2 2>/dev/null || true; wait; rm -r "$said"' EXIT

# receive PORT: what stands at the beginning of who receives.
receive() {
  echo "udpsrc address=127.0.0.1 port=$1 caps=$rtp ! rtpjitterbuffer latency=50
    ! rtpvp8depay ! vp8dec"
}

# wait_for FILE JOB: until that pipeline plays, so that it receives.
wait_for() {
  until grep -aqs 'to PLAYING' "$said/$1"; do
    kill -0 "$2" || exit 1 # it has said why
    sleep 0.1
  done
}

# $encode and $(receive) are several words each.
# shellcheck disable=SC2046,SC2086
{
  gst-launch-1.0 --eos-on-shutdown --verbose $(receive $out) \
    ! fakesink silent=false sync=true >"$said/viewer" &
  GST_TRACERS="dispatch(file=$said/trace)" \
    gst-launch-1.0 --eos-on-shutdown $(receive $in) \
    ! adaptiveskip name=effect latency-budget=66000000 \
      stage="videoconvert ! gaussianblur sigma=2 ! videoconvert" \
    ! queue ! $encode ! rtpvp8pay ! udpsink host=127.0.0.1 port=$out \
    >"$said/middle" &
  wait_for viewer %1
  wait_for middle %2
  gst-launch-1.0 --quiet videotestsrc is-live=true num-buffers=$frames \
    ! video/x-raw,width=640,height=480,framerate=30/1 \
    ! $encode ! rtpvp8pay ! udpsink host=127.0.0.1 port=$in
  sleep 1
}
kill -INT %2 && wait %2
kill -INT %1 && wait %1

# account FIELD: of what ends the trace: the counts of `stats`.
account() {
  sed -n "s/.*\"name\":\"account\".*\"$1\":\([0-9]*\).*/\1/p" "$said/trace"
}

# The viewer says a line for each frame.
seen=$(grep -ac 'last-message = chain' "$said/viewer" || true)
echo "frames sent: $frames, with the effect: $(account applied)," \
  "without: $(account bypassed), late: $(account late); seen by the viewer: $seen"
((seen > 0))
