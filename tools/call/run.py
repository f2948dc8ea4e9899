# SPDX-License-Identifier: LGPL-2.1-or-later
"""One run of the call: its processes, and what they noted."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import pipelines
from children import Child, ChildFailed, Load
from tally import Frame

# What was sent is through by then, or never comes.
DRAIN = 1.0  # seconds


@dataclass(frozen=True)
class Plan:
    """How long a run is, and when there is load."""
    frames: int
    load: int             # processes
    load_from: float      # seconds after the first frame
    load_until: float

    def seconds(self) -> float:
        """Its length."""
        return self.frames / pipelines.FRAME_RATE

    @staticmethod
    def in_thirds(seconds: float, load: int) -> "Plan":
        """Load in the middle third."""
        return Plan(round(seconds * pipelines.FRAME_RATE), load, seconds / 3, seconds * 2 / 3)

    @staticmethod
    def loaded(seconds: float, load: int) -> "Plan":
        """Load from the first second on."""
        return Plan(round(seconds * pipelines.FRAME_RATE), load, min(1.0, seconds / 3), seconds)


@dataclass
class Setting:
    """What all runs need."""
    program: str
    video: str
    on_progress: Callable[[float, str], None]  # seconds into the run, what happens


class Call:
    """The three processes of a run and the load, for as long as it takes."""

    def __init__(self, setting: Setting, way: pipelines.Way, plan: Plan, folder: Path) -> None:
        self._setting = setting
        self._way = way
        self._plan = plan
        self._folder = folder
        self._children: list[Child] = []
        self._load: Load | None = None
        self.load_changes: list[tuple[int, int]] = []  # when, processes

    def run(self) -> None:
        """From beginning to end; nothing is left running whatever happens."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._start()
            self._watch()
            self._end()
        finally:
            self._set_load(0)
            for child in self._children:
                child.let_go()
            for child in self._children:
                child.abandon()

    def _start(self) -> None:
        viewer = self._receive("viewer", pipelines.viewer(str(self._folder / "seen.mp4")))
        port = int(viewer.read_word("port"))
        processor = self._receive("processor", pipelines.processor(self._way, port), self._tracer())
        port = int(processor.read_word("port"))
        command = [self._setting.program, "send", self._setting.video, str(self._plan.frames),
                   str(self._folder / "sender.tsv"), pipelines.sender(port)]
        sender = self._child("sender", command)
        sender.read_word("sending")

    def _tracer(self) -> dict[str, str]:
        if not self._way.elements:
            return {}
        return {"GST_TRACERS": f"dispatch(file={self._folder / 'trace.json'})"}

    def _receive(self, name: str, pipeline: str, variables: dict[str, str] | None = None) -> Child:
        command = [self._setting.program, "receive", str(self._folder / f"{name}.tsv"), pipeline]
        return self._child(name, command, variables)

    def _child(self, name: str, command: list[str],
               variables: dict[str, str] | None = None) -> Child:
        child = Child(name, command, self._folder, variables)
        self._children.append(child)
        return child

    def _watch(self) -> None:
        viewer, processor, sender = self._children
        start = time.monotonic()
        while not sender.has_ended():
            for other in (viewer, processor):
                if other.has_ended():
                    raise ChildFailed(f"the {other.name} ended before the call was over")
            now = time.monotonic() - start
            loaded = self._plan.load_from <= now < self._plan.load_until
            self._set_load(self._plan.load if loaded else 0)
            self._setting.on_progress(min(now, self._plan.seconds()), ", with load" if loaded else "")
            time.sleep(0.05)

    def _set_load(self, strength: int) -> None:
        if (self._load is not None) == (strength > 0):
            return
        self.load_changes.append((time.monotonic_ns(), strength))
        if self._load is not None:
            self._load.end()
        self._load = Load(strength, self._folder) if strength else None

    def _end(self) -> None:
        self._set_load(0)
        time.sleep(DRAIN)
        viewer, processor, _ = self._children
        processor.end()  # the viewer has all that will come
        viewer.end()

    def frames(self) -> list[Frame]:
        """All that were sent, with when they were seen."""
        times = first_notes(self._folder / "processor.tsv", 1)
        shown = first_notes(self._folder / "viewer.tsv", 2)
        captured = first_notes(self._folder / "sender.tsv", 1)
        return [Frame(number, when, shown.get(number), times.get(number, -1))
                for number, when in captured.items()]


def first_notes(path: Path, column: int) -> dict[int, int]:
    """What a part noted when each number came first."""
    notes: dict[int, int] = {}
    for words in read_notes(path):
        if words[0] != "-":
            notes.setdefault(int(words[0]), int(words[column]))
    return notes


def read_notes(path: Path) -> list[list[str]]:
    """The lines of a part, split."""
    with open(path, encoding="ascii") as lines:
        return [line.rstrip("\n").split("\t") for line in lines]
