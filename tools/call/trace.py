# SPDX-License-Identifier: LGPL-2.1-or-later
"""The trace of a run: what the elements did to each frame is read from it, and
what the viewer saw is added to it. The format is in docs/trace.md.
"""

import json
from pathlib import Path
from typing import Any, Iterator

import pipelines
from tally import BYPASSED, CHEAPER, DROPPED, FULL, Frame

Event = dict[str, Any]
VIEWER = "viewer"
_LEVELS = {FULL: 0, CHEAPER: 1, BYPASSED: 2, DROPPED: 3}
_ACTIONS = {FULL: "applied", CHEAPER: "applied", BYPASSED: "bypassed", DROPPED: "dropped"}


def read_events(path: Path) -> Iterator[Event]:
    """The events of a trace; a line that was cut off is left out."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            try:
                yield json.loads(line.strip().rstrip(","))
            except json.JSONDecodeError:
                continue


def learn_effects(frames: list[Frame], path: Path, elements: tuple[str, ...]) -> None:
    """Says of each frame what effect it got, from the elements' own account.

    They know a frame by its running time, not by its number.
    """
    records: dict[int, dict[str, Event]] = {}
    for event in read_events(path):
        args = event.get("args", {})
        if event.get("ph") == "b" and event.get("name") == "frame" and "running-time" in args:
            records.setdefault(args["running-time"], {})[args["element"]] = args
    for frame in frames:
        of_frame = records.get(frame.running_time, {})
        judge(frame, [of_frame.get(name) for name in elements])


def judge(frame: Frame, records: list[Event | None]) -> None:
    """From what each element says of it, in order: the first one that did not
    give its full stage is the cause."""
    short = [record for record in records if record and record["cause"] != "none"]
    if not short:
        return
    frame.cause = short[0]["cause"]
    all_applied = all(record["action"] == "applied" for record in short)
    frame.effect = CHEAPER if all_applied else BYPASSED


def viewer_events(frames: list[Frame], load: list[tuple[int, int]], name: str) -> Iterator[Event]:
    """What the viewer saw, as events of a trace."""
    base = {"pid": 1, "tid": 1}
    start = frames[0].captured / 1000 if frames else 0
    yield base | {"ph": "M", "name": "process_name", "args": {"name": "viewer"}}
    yield base | {"ph": "M", "name": "thread_name", "args": {"name": VIEWER}}
    yield base | {"ph": "i", "s": "t", "cat": "setup", "name": "element", "ts": start,
                  "args": {"element": VIEWER, "type": VIEWER, "pipeline": name}}
    for when, strength in load:
        yield base | {"ph": "C", "name": "load", "ts": when / 1000, "args": {"load": strength}}
    for frame in frames:
        yield from _frame_events(frame, base)


def _frame_events(frame: Frame, base: Event) -> Iterator[Event]:
    due = frame.captured + pipelines.BUDGET_NS
    effect = DROPPED if frame.shown is None else frame.effect
    span = base | {"cat": "frame", "name": "frame", "id": f"{VIEWER}-{frame.number}"}
    args = {"element": VIEWER, "sequence": frame.number, "running-time": frame.running_time,
            "due": due, "slack": pipelines.BUDGET_NS, "action": _ACTIONS[effect],
            "cause": "not-received" if frame.shown is None else frame.cause,
            "late": frame.shown is not None and frame.shown > due, "level": _LEVELS[effect]}
    yield span | {"ph": "b", "ts": frame.captured / 1000, "args": args}
    yield span | {"ph": "e", "ts": (frame.shown or due) / 1000}


def append(path: Path, events: Iterator[Event]) -> None:
    """Adds to a trace, or begins one."""
    is_new = not path.exists() or path.stat().st_size == 0
    with open(path, "a", encoding="utf-8") as trace:
        if is_new:
            trace.write("[\n")
        for event in events:
            trace.write(json.dumps(event) + ",\n")
