# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules of docs/trace.md that every trace keeps.

read() reads a file as a viewer does; check() returns what breaks a rule, in words.
"""

import collections
import json
import pathlib

PARTS = ["queue-time", "hand-over-time", "service-time", "reorder-time"]
ACTIONS = ["applied", "bypassed", "repeated", "dropped"]
# What microseconds with three decimals lose as floating point numbers.
ROUNDING = 0.002


def read(path: pathlib.Path) -> list[dict]:
    """The events; a last line that was cut off by a crash is not one."""
    lines = path.read_text().split("\n")
    if lines[0] != "[":
        raise ValueError(f"{path} begins with {lines[0][:40]!r}")
    whole, rest = lines[1:-1], lines[-1]
    events = [json.loads(line.removesuffix(",")) for line in whole]
    if rest:
        try:
            events.append(json.loads(rest.removesuffix(",")))
        except json.JSONDecodeError:
            pass
    return events


def track_of(event: dict) -> tuple[int, int]:
    return event["pid"], event["tid"]


def frames_of(events: list[dict], element: str) -> list[dict]:
    """The arguments of the frames that left the element, with `begin` and `end`."""
    ends = {e["id"]: e["ts"] for e in events
            if e["ph"] == "e" and e["cat"] == "frame" and e["name"] == "frame"}
    return [e["args"] | {"begin": e["ts"], "end": ends[e["id"]], "id": e["id"]}
            for e in events
            if e["ph"] == "b" and e["name"] == "frame" and e["args"]["element"] == element]


def account_of(events: list[dict], element: str) -> dict | None:
    """The last one: of an element that starts again there is one for each time."""
    found = [e["args"] for e in events if e["name"] == "account" and e["args"]["element"] == element]
    return found[-1] if found else None


def check(events: list[dict]) -> list[str]:
    wrongs = []
    wrongs += check_fields(events)
    # Parts can be looked at where each span has both its ends.
    wrongs += check_spans(events) or check_parts(events)
    wrongs += check_slices(events)
    wrongs += check_flows(events)
    wrongs += check_names(events)
    # Each start of an element has a track of its own.
    for start in [e for e in events if e["name"] == "element"]:
        own = [e for e in events if track_of(e) == track_of(start)]
        wrongs += check_account(own, start["args"]["element"])
    return wrongs


def check_fields(events: list[dict]) -> list[str]:
    wrongs = []
    for event in events:
        lacking = {"ph", "cat", "name", "pid", "tid", "ts"} - event.keys()
        if event["ph"] == "X":
            lacking |= {"dur"} - event.keys()
        if event["ph"] in "besf":
            lacking |= {"id"} - event.keys()
        if lacking:
            wrongs.append(f"{event} has no {sorted(lacking)}")
    return wrongs


def check_spans(events: list[dict]) -> list[str]:
    """Every begin has one end, not earlier, and no end is alone."""
    wrongs = []
    spans = collections.defaultdict(list)
    for event in events:
        if event["ph"] in "be":
            spans[event["cat"], event["id"], event["name"]].append(event)
    for key, found in spans.items():
        phases = [event["ph"] for event in found]
        if phases != ["b", "e"]:
            wrongs.append(f"span {key} is {phases}")
        elif found[0]["ts"] > found[1]["ts"]:
            wrongs.append(f"span {key} ends before it begins")
        elif track_of(found[0]) != track_of(found[1]):
            wrongs.append(f"span {key} changes its track")
    return wrongs


def check_parts(events: list[dict]) -> list[str]:
    """The parts of a frame follow each other and fill its span."""
    wrongs = []
    spans = collections.defaultdict(dict)
    for event in events:
        if event["ph"] in "be" and event["cat"] == "frame":
            spans[event["id"]].setdefault(event["name"], []).append(event["ts"])
    for frame, parts in spans.items():
        unknown = parts.keys() - {"frame", *PARTS}
        if unknown:
            wrongs.append(f"frame {frame} has parts {unknown}")
        at, end = parts["frame"]
        for name in [name for name in PARTS if name in parts]:
            if abs(parts[name][0] - at) > ROUNDING:
                wrongs.append(f"{name} of frame {frame} begins {parts[name][0] - at} us off")
            at = parts[name][1]
        if abs(end - at) > ROUNDING:
            wrongs.append(f"the parts of frame {frame} end {end - at} us before it")
    return wrongs


def check_slices(events: list[dict]) -> list[str]:
    """Slices of a track do not overlap."""
    wrongs = []
    tracks = collections.defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            tracks[track_of(event)].append(event)
    for track, slices in tracks.items():
        slices.sort(key=lambda event: event["ts"])
        for one, other in zip(slices, slices[1:]):
            if one["ts"] + one["dur"] > other["ts"] + ROUNDING:
                wrongs.append(f"{one} and {other} overlap on {track}")
    return wrongs


def check_flows(events: list[dict]) -> list[str]:
    """Each arrow has two ends, in order, each within a slice of its track."""
    wrongs = []
    flows = collections.defaultdict(list)
    slices = collections.defaultdict(list)
    for event in events:
        if event["ph"] in "sf":
            flows[event["cat"], event["id"]].append(event)
        elif event["ph"] == "X":
            slices[track_of(event)].append((event["ts"], event["ts"] + event["dur"]))
    for key, ends in flows.items():
        starts = [event for event in ends if event["ph"] == "s"]
        finishes = [event for event in ends if event["ph"] == "f"]
        if len(starts) != len(finishes):
            wrongs.append(f"arrow {key} has {len(starts)} starts and {len(finishes)} ends")
            continue
        for start, finish in zip(starts, finishes):
            if start["ts"] > finish["ts"]:
                wrongs.append(f"arrow {key} ends before it starts")
        for event in ends:
            if not any(begin - ROUNDING <= event["ts"] <= end + ROUNDING
                       for begin, end in slices[track_of(event)]):
                wrongs.append(f"{event} is in no slice")
    return wrongs


def check_names(events: list[dict]) -> list[str]:
    """Each track with something on it has a name, as has each process."""
    named = {track_of(e) for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    processes = {e["pid"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    used = {track_of(e) for e in events if e["ph"] in "Xb"}
    return [f"track {track} has no name" for track in used - named] + [
        f"process {pid} has no name" for pid in {pid for pid, _ in used} - processes]


def check_account(events: list[dict], element: str) -> list[str]:
    """What the element says when it stops is what became of the frames."""
    account = account_of(events, element)
    if account is None:
        return []
    frames = frames_of(events, element)
    wrongs = []
    actions = collections.Counter(frame["action"] for frame in frames)
    causes = collections.Counter(frame["cause"] for frame in frames)
    for action in ACTIONS:
        if account[action] != actions[action]:
            wrongs.append(f"{element}: {account[action]} {action}, and {actions[action]} such frames")
    for cause, count in account["causes"].items():
        if count != causes[cause]:
            wrongs.append(f"{element}: {count} times {cause}, and {causes[cause]} such frames")
    if account["frames-in"] != len(frames) + account["in-flight"]:
        wrongs.append(f"{element}: {account['frames-in']} frames came, {len(frames)} left")
    if account["late"] != sum(frame["late"] for frame in frames):
        wrongs.append(f"{element}: {account['late']} are late")
    return wrongs
