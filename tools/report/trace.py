# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads a trace of docs/trace.md: the frames, the work of the workers, the decisions.

For: one place that knows the format; all others see elements and frames.
Not for: judging what is in it (ledger.py) or showing it.
Failure: TraceError says what is wrong with a file as a whole. A line that cannot be read is left
out and counted; a last line that is cut off is what a crash leaves behind.

All times are integers, nanoseconds of CLOCK_MONOTONIC.
"""

import dataclasses
import json
import pathlib
import re
from typing import Any, Iterator, Optional

ACTIONS = ("applied", "bypassed", "repeated", "dropped")
PARTS = ("queue-time", "hand-over-time", "service-time", "reorder-time")
LARGEST = 2 ** 64
WORKER_TRACK = re.compile(r"(.+) worker(\d+)")

Event = dict[str, Any]
Track = tuple[Any, Any]  # pid, tid


class TraceError(Exception):
    """What is wrong with a file, and what can be done about it."""


@dataclasses.dataclass(slots=True)
class Frame:
    sequence: int
    arrival: int
    departure: int = 0
    action: str = "applied"
    cause: str = "none"
    late: bool = False
    due: Optional[int] = None
    running_time: Optional[int] = None
    worker: Optional[int] = None
    level: Optional[int] = None
    reason: str = ""
    predicted_cost: Optional[int] = None
    blocked: int = 0
    # How long each part took; those that there were not are not in it.
    parts: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def latency(self) -> int:
        return self.departure - self.arrival

    @property
    def margin(self) -> Optional[int]:
        """What was left until the due time when it left; below zero: too late."""
        return None if self.due is None else self.due - self.departure

    @property
    def outcome(self) -> str:
        """What left: full (the full stage), cheaper, bypassed, repeated or dropped."""
        if self.action != "applied":
            return self.action
        return "cheaper" if self.level or self.cause != "none" else "full"


@dataclasses.dataclass(slots=True)
class Slice:
    """A piece of work on the track of a worker."""
    start: int
    duration: int
    name: str
    sequence: Optional[int]
    level: int
    is_discarded: bool  # its frame had left before it was done


@dataclasses.dataclass(slots=True)
class Decision:
    """What an element told: of a frame that did not get the full stage, or in a message."""
    time: int
    name: str
    args: dict[str, Any]


@dataclasses.dataclass
class Element:
    name: str
    track: Track
    kind: str = ""
    pipeline: str = ""
    frames: list[Frame] = dataclasses.field(default_factory=list)
    decisions: list[Decision] = dataclasses.field(default_factory=list)
    due_inputs: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    accounts: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    starts: int = 0
    # What each worker did when, by the worker's number.
    workers: dict[int, list[Slice]] = dataclasses.field(default_factory=dict)
    label: str = ""  # the name, made different where several have the same

    def is_viewer(self) -> bool:
        return self.kind == "viewer"


@dataclasses.dataclass
class Trace:
    path: str
    elements: list[Element]
    load: list[tuple[int, float]]
    start: int
    end: int
    is_cut: bool
    broken_lines: list[int]
    lost: int  # events that the tracer could not write

    def element(self, name: str) -> Element:
        for element in self.elements:
            if name in (element.name, element.label):
                return element
        known = ", ".join(element.label for element in self.elements)
        raise TraceError(f"{self.path} has no element '{name}'; it has: {known}.")

    def main(self) -> Element:
        """Where the budget is judged: at the viewer, else where the frames leave last."""
        for element in self.elements:
            if element.is_viewer():
                return element
        return self.elements[-1]


# --- Lines --------------------------------------------------------------------------------------


def event_of(text: str) -> Optional[Event]:
    """The event of a line, which has to be there as a whole."""
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and is_sound(event) else None


def event_behind(text: str) -> Optional[Event]:
    """The event behind one that a crash cut off, where another process wrote on."""
    place = text.find("{", 1)
    while place >= 0:
        if event := event_of(text[place:]):
            return event
        place = text.find("{", place + 1)
    return None


class Lines:
    """The events of a file, in its order, with account of what could not be read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_cut = False
        self.broken: list[int] = []

    def text(self) -> str:
        try:
            text = pathlib.Path(self.path).read_text("utf-8", errors="replace")
        except OSError as error:
            raise TraceError(f"cannot read {self.path}: {error.strerror}.") from error
        if not text.strip():
            raise TraceError(f"{self.path} is empty: nobody has written a trace to it.")
        if not text.lstrip().startswith("["):
            raise TraceError(f"{self.path} is no trace: it does not begin with '['. Traces are "
                             "written with GST_TRACERS=\"dispatch(file=…)\".")
        return text

    def events(self) -> Iterator[Event]:
        lines = self.text().rstrip().split("\n")
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if number == 1:
                text = text[1:]
            if number == len(lines):
                text = text.rstrip("]")
            text = text.rstrip(", ")
            if not text:
                continue
            event = event_of(text)
            if event is None:
                event = self.rescue(number, text, is_last=number == len(lines))
            if event is not None:
                yield event

    def rescue(self, number: int, text: str, is_last: bool) -> Optional[Event]:
        """Keeps account of a line that is none, and gives what is whole in it."""
        if is_last:
            self.is_cut = True
        else:
            self.broken.append(number)
        return event_behind(text)


def is_number(value: Any) -> bool:
    """One that can be counted with: not NaN, and no larger than any time or id is."""
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and -LARGEST <= value <= LARGEST)


def is_sound(event: Event) -> bool:
    """Whether what all events need is there, in the types that it has to have."""
    if not isinstance(event.get("ph"), str) or len(event["ph"]) != 1:
        return False
    if not all(is_number(event.get(key, 0)) for key in ("pid", "tid")):
        return False
    if not isinstance(event.get("id"), (str, int, type(None))):
        return False
    if not isinstance(event.get("args", {}), dict):
        return False
    return event["ph"] == "M" or (is_number(event.get("ts")) and is_number(event.get("dur", 0))
                                  and isinstance(event.get("name"), str))


def nanoseconds(microseconds: float) -> int:
    return round(microseconds * 1000)


def whole(value: Any) -> Optional[int]:
    """A number of the trace, which may be written as text where it has 64 bits."""
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            return None
    return int(value) if is_number(value) else None


def counts(args: dict[str, Any]) -> dict[str, Any]:
    """What of an account or of settings can be counted with."""
    return {name: counts(value) if name == "causes" and isinstance(value, dict) else value
            for name, value in args.items()
            if is_number(value) or name == "causes" and isinstance(value, dict)}


# --- Events -------------------------------------------------------------------------------------


class Reader:
    """Puts the events together again. They need not be in the order of time."""

    def __init__(self, path: str) -> None:
        self.lines = Lines(path)
        self.elements: dict[tuple[Any, ...], Element] = {}
        self.named: dict[Track, str] = {}
        self.open: dict[tuple[Any, Any], tuple[Element, Frame]] = {}
        self.begun: dict[tuple[Any, Any, str], int] = {}
        self.slices: dict[Track, list[Slice]] = {}
        self.instants: list[tuple[Track, Event]] = []
        self.flow_starts: dict[Any, Track] = {}
        self.flow_ends: dict[Track, Any] = {}
        self.load: list[tuple[int, float]] = []
        self.lost = 0

    def read(self) -> Trace:
        for event in self.lines.events():
            self.take(event)
        for track, event in self.instants:
            self.take_instant(track, event)
        self.give_slices()
        elements = self.in_order()
        if not elements and (self.lines.broken or self.lines.is_cut):
            raise TraceError(f"{self.lines.path} cannot be read: an event is to be a line, as the "
                             "tracer writes them; was it written anew by another program?")
        if not elements:
            raise TraceError(f"{self.lines.path} has no frames in it: no frame has left an element "
                             "of ours, or the trace ended before one did.")
        frames = [frame for element in elements for frame in element.frames]
        return Trace(self.lines.path, elements, sorted(self.load),
                     min(frame.arrival for frame in frames),
                     max(frame.departure for frame in frames),
                     self.lines.is_cut, self.lines.broken, self.lost)

    def take(self, event: Event) -> None:
        track = (event.get("pid"), event.get("tid"))
        kind, args = event["ph"], event.get("args", {})
        if kind == "M":
            if event.get("name") == "thread_name":
                self.named[track] = str(args.get("name", ""))
        elif kind in "be" and event.get("cat") == "frame":
            self.take_span(track, event)
        elif kind == "X":
            self.take_slice(track, event)
        elif kind in "iI":
            self.instants.append((track, event))
        elif kind == "C" and event["name"] == "load":
            value = sum(value for value in args.values() if is_number(value))
            self.load.append((nanoseconds(event["ts"]), value))
        elif kind == "s" and event.get("cat") == "to-worker":
            self.flow_starts[event.get("id")] = track
        elif kind == "f" and event.get("cat") == "to-worker":
            self.flow_ends.setdefault(track, event.get("id"))

    def take_span(self, track: Track, event: Event) -> None:
        ident = event.get("id", json.dumps(event.get("id2")))
        key, time = (track[0], ident), nanoseconds(event["ts"])
        name = event["name"]
        if name == "frame" and event["ph"] == "b":
            self.begin_frame(track, key, time, event.get("args", {}))
        elif name == "frame":
            if opened := self.open.pop(key, None):
                element, frame = opened
                frame.departure = time
                element.frames.append(frame)
        elif name not in PARTS:
            return
        elif event["ph"] == "b":
            self.begun[(*key, name)] = time
        elif (begin := self.begun.pop((*key, name), None)) is not None and key in self.open:
            self.open[key][1].parts[name] = time - begin

    def begin_frame(self, track: Track, key: tuple[Any, Any], time: int,
                    args: dict[str, Any]) -> None:
        sequence = whole(args.get("sequence"))
        if sequence is None:
            return
        slack, due = whole(args.get("slack")), whole(args.get("due"))
        frame = Frame(sequence, time, due=due if slack is None else time + slack)
        frame.action = args["action"] if args.get("action") in ACTIONS else "applied"
        frame.cause = str(args.get("cause", "none"))
        frame.late = args.get("late") is True
        frame.running_time = whole(args.get("running-time"))
        frame.worker, frame.level = whole(args.get("worker")), whole(args.get("level"))
        frame.reason = str(args.get("reason", ""))
        frame.predicted_cost = whole(args.get("predicted-cost"))
        frame.blocked = whole(args.get("blocked")) or 0
        self.open[key] = (self.element_of(track, str(args.get("element", ""))), frame)

    def element_of(self, track: Track, name: str) -> Element:
        """Copies of a stage have elements of the same name: the track tells them apart."""
        return self.elements.setdefault((*track, name), Element(name, track))

    def take_slice(self, track: Track, event: Event) -> None:
        if event["name"] not in ("hand-over-time", "service-time"):
            return
        args = event.get("args", {})
        self.slices.setdefault(track, []).append(Slice(
            nanoseconds(event["ts"]), nanoseconds(event.get("dur", 0)), event["name"],
            whole(args.get("sequence")), whole(args.get("level")) or 0, args.get("late") is True))

    def take_instant(self, track: Track, event: Event) -> None:
        args = event.get("args", {})
        if event.get("cat") == "setup" and event["name"] == "element":
            element = self.element_of(track, str(args.get("element", "")))
            element.kind = str(args.get("type", ""))
            element.pipeline = str(args.get("pipeline", ""))
            element.starts += 1
            return
        if event.get("cat") == "setup" and event["name"] == "lost":
            self.lost += whole(args.get("items")) or 0
        element = self.on_track(track)
        if element is None:
            return
        if event.get("cat") == "decision":
            element.decisions.append(Decision(nanoseconds(event["ts"]), event["name"], args))
        elif event["name"] == "due-inputs":
            element.due_inputs.append(counts(args))
        elif event["name"] == "account":
            element.accounts.append(counts(args))

    def on_track(self, track: Track) -> Optional[Element]:
        return next((element for key, element in self.elements.items() if key[:2] == track), None)

    def give_slices(self) -> None:
        """Service in a worker process belongs to the worker that handed the job over."""
        for track, slices in self.slices.items():
            name = self.named.get(track, "")
            if not WORKER_TRACK.fullmatch(name) and track in self.flow_ends:
                origin = self.flow_starts.get(self.flow_ends[track], track)
                name, track = self.named.get(origin, ""), origin
            match = WORKER_TRACK.fullmatch(name)
            element = self.element_before(track, match[1]) if match else None
            if element and match:
                element.workers.setdefault(int(match[2]), []).extend(slices)

    def element_before(self, track: Track, name: str) -> Optional[Element]:
        """Of the elements of that name in the process, or the starts of one, the one in whose
        tracks this one is: they are behind its own."""
        pid, tid = track
        return max((element for element in self.elements.values()
                    if element.name == name and element.track[0] == pid),
                   key=lambda element: (element.track[1] <= tid, element.track[1]), default=None)

    def in_order(self) -> list[Element]:
        """As the frames go through them; a viewer comes last."""
        elements = [element for element in self.elements.values() if element.frames]
        for element in elements:
            element.frames.sort(key=lambda frame: (frame.sequence, frame.arrival))
            element.decisions.sort(key=lambda decision: decision.time)
            element.workers = {number: sorted(slices, key=lambda piece: piece.start)
                               for number, slices in sorted(element.workers.items())}
        elements.sort(key=lambda e: (e.is_viewer(), min(f.arrival for f in e.frames)))
        for place, element in enumerate(elements):
            same = [e for e in elements if e.name == element.name]
            before = [e for e in elements[:place] if e.name == element.name]
            element.label = f"{element.name} ({len(before) + 1})" if len(same) > 1 else element.name
        return elements


def read(path: str) -> Trace:
    return Reader(path).read()
