# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pipelines of the call, as launch descriptions.

All that the three runs share is said once: only what is between decoder and
encoder of the processor differs.
"""

from dataclasses import dataclass, replace

BUDGET_NS = 150_000_000  # from the camera to the screen
FRAME_RATE = 30
FRAME_DURATION_NS = 1_000_000_000 // FRAME_RATE

# The effects: a correction of colours, a blur at half size, and skin smoothing,
# which is the costly one and has a cheaper variant.
SIZE = "width=576,height=432"
LOOK = "videobalance saturation=1.3"
BLUR = ("videoscale ! video/x-raw,width=288,height=216 ! videoconvert ! gaussianblur sigma=0.6 "
        f"! videoconvert ! videoscale ! video/x-raw,{SIZE}")
SMOOTH = "smooth filter-size=3 tolerance=16"
CHEAP_SMOOTH = "smooth filter-size=1 tolerance=16"
PICTURE = "video/x-raw,format=I420"

_ENCODER = ("x264enc tune=zerolatency speed-preset=ultrafast bitrate=2000 key-int-max=30 "
            "threads=1 ! rtph264pay aggregate-mode=zero-latency config-interval=-1")
_RTP = ("application/x-rtp,media=video,clock-rate=90000,encoding-name=H264,payload=96")
_RECEIVER = (f'udpsrc name=in address=127.0.0.1 port=0 buffer-size=2000000 caps="{_RTP}" '
             "! rtpjitterbuffer latency=20 ! rtph264depay")


@dataclass(frozen=True)
class Way:
    """One way to run the effects."""
    key: str   # names its files
    name: str
    effects: str
    # How the processor sends; waiting for the clock is what makes QoS events.
    sink: str = "sync=false async=false"
    queue: str = ""  # in front of a sink that waits
    elements: tuple[str, ...] = ()  # those of ours in it, in order


def sender(port: int) -> str:
    """What the frames of the camera go through."""
    return f"appsrc name=camera ! {_ENCODER} ! {_sink(port, 'sync=false async=false')}"


def processor(way: Way, port: int) -> str:
    """Receives, applies the effects, and sends on."""
    return (f"{_RECEIVER} ! avdec_h264 name=decoder max-threads=1 ! {way.effects} "
            f"! {_ENCODER} ! {way.queue}{_sink(port, way.sink)}")


def viewer(video: str) -> str:
    """Receives and decodes; what came is kept as it came."""
    return (f"{_RECEIVER} ! h264parse config-interval=-1 ! tee name=both "
            "both. ! queue ! avdec_h264 name=decoder max-threads=1 "
            "! fakesink sync=false async=false "
            f'both. ! queue name=keep ! mp4mux ! filesink async=false location="{video}"')


def _sink(port: int, how: str) -> str:
    return f"udpsink host=127.0.0.1 port={port} {how}"


PLAIN = Way("plain", "plain", f"{LOOK} ! {BLUR} ! {SMOOTH} ! {PICTURE}")

# Due times are absolute: what an element does not need of its budget is there for
# those behind it. So most of it is at the front, where the first frame, which
# waits for the decoder to start, comes late.
DISPATCH = Way("dispatch", "gst-dispatch", (
    f'shmdispatch name=look stage="{LOOK}" max-workers=1 latency-budget=48000000 '
    f'! workerpool name=blur stage="{BLUR}" max-workers=2 latency-budget=10000000 '
    f'! adaptiveskip name=smooth num-levels=2 latency-budget=20000000 '
    f'level0::stage="{SMOOTH}" level1::stage="{CHEAP_SMOOTH}" ! {PICTURE}'),
    elements=("look", "blur", "smooth"))


@dataclass(frozen=True)
class Leaky:
    """Queues that let frames go, and elements that skip what comes too late."""
    queue_frames: int   # each queue holds so many
    leak: str           # upstream: the newest goes; downstream: the oldest
    queues: str         # "one" in front of all effects, or "each" effect
    latency_ms: int     # the sink waits until then, and tells who was late; 0: no QoS

    def describe(self) -> str:
        """In a few words, for a table."""
        qos = f"QoS at {self.latency_ms} ms" if self.latency_ms else "no QoS"
        where = "at each effect" if self.queues == "each" else "in front of all"
        return f"queue of {self.queue_frames} {where}, leaky={self.leak}, {qos}"

    def way(self) -> Way:
        """As a pipeline."""
        queue = (f"queue leaky={self.leak} max-size-buffers={self.queue_frames} "
                 "max-size-bytes=0 max-size-time=0")
        joint = f" ! {queue} ! " if self.queues == "each" else " ! "
        effects = joint.join([LOOK, BLUR, SMOOTH])
        end = f"{joint}{PICTURE}" if self.queues == "one" else f" ! {PICTURE}{joint}identity"
        way = Way("leaky", "leaky queues, QoS", f"{queue} ! {effects}{end}")
        if not self.latency_ms:
            return way
        sink = f"async=false sync=true qos=true processing-deadline={self.latency_ms * 1000000}"
        return replace(way, sink=sink, queue="queue ! ")
