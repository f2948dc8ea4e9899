#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An application in Python: adaptiveskip with two levels, while the load changes.

Needs python3-gi and gir1.2-gstreamer-1.0 of the distribution, and so its Python.
The full stage takes 20 ms for a frame, in the second second 60 ms, which no
helper can do in time at 30 frames a second; the cheaper level takes 5 ms always.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402

LINE = """
videotestsrc is-live=true num-buffers=90 ! video/x-raw,width=320,height=240,framerate=30/1
! adaptiveskip name=skip num-levels=2 max-helpers=1 latency-budget=50000000
    level0::stage="identity name=work sleep-time=20000 ! videobalance saturation=0"
    level1::stage="identity name=work sleep-time=5000" level1::utility=0.6
! queue ! fakesink sync=true
"""


def set_load(skip: Gst.Element, microseconds: int) -> bool:
    """Sets it on all copies of the full stage; once, says False to GLib."""
    print(f"the full stage now takes {microseconds // 1000} ms")
    Gst.ChildProxy.set_property(skip, "level0::stage::work::sleep-time", microseconds)
    return False


def on_message(_bus: Gst.Bus, message: Gst.Message, loop: GLib.MainLoop) -> None:
    """Says what the element decided, and ends with the stream."""
    fields = message.get_structure()
    if message.type == Gst.MessageType.ERROR:
        print(message.parse_error().gerror.message, file=sys.stderr)
    if message.type in (Gst.MessageType.EOS, Gst.MessageType.ERROR):
        loop.quit()
    elif fields and fields.get_name() == "level-changed":
        frame, old, new, why = map(fields.get_value, ("frame", "from", "level", "reason"))
        print(f"frame {frame}: level {old} -> {new}, {why}")


def main() -> int:
    Gst.init(None)
    pipeline = Gst.parse_launch(LINE)
    skip = pipeline.get_by_name("skip")
    loop = GLib.MainLoop()
    bus = pipeline.get_bus()
    bus.add_signal_watch()
    bus.connect("message", on_message, loop)
    pipeline.set_state(Gst.State.PLAYING)
    GLib.timeout_add(1000, set_load, skip, 60000)
    GLib.timeout_add(2000, set_load, skip, 20000)
    loop.run()

    stats = skip.get_property("stats")
    full, cheaper = map(stats.get_value("levels").get_value, ("level0", "level1"))
    frames, late = map(stats.get_value, ("frames-in", "late"))
    neither = sum(map(stats.get_value, ("bypassed", "repeated", "dropped")))
    pipeline.set_state(Gst.State.NULL)
    print(f"frames: {frames}, full: {full}, cheaper: {cheaper}, neither: {neither}, late: {late}")
    return 0 if full + cheaper + neither == frames == 90 else 1


if __name__ == "__main__":
    sys.exit(main())
