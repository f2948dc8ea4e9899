#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes traces as docs/trace.md says, for the tests of the report and for looking at it.

Usage: traces.py KIND SECONDS FILE: a made-up call through a load in its middle third.
  ours    adaptiveskip, workerpool and shmdispatch in a row, and the viewer
  plain   the viewer alone, of a pipeline without us
  leaky   the viewer alone, of a pipeline that drops
"""

import json
import pathlib
import random
import sys
from typing import Any, Optional

ACTIONS = ("applied", "bypassed", "repeated", "dropped")
CAUSES = ("overdue-waiting", "overdue-running", "arrived-late", "flush", "stop", "downstream",
          "stage-error", "stalled", "worker-lost", "no-workers", "predicted-late", "spared",
          "ceiling")
MS = 1_000_000
BUDGET = 150 * MS
FRAME = 1_000_000_000 // 30
START = 70_000_000_000_000  # a machine that has been up for most of a day


class Writer:
    """Events as lines. Times are nanoseconds."""

    def __init__(self, pid: int = 100) -> None:
        self.pid = pid
        self.lines: list[str] = []
        self.tracks: dict[tuple[int, str], int] = {}
        self.spans = 0
        self.flows = 0

    def emit(self, **event: Any) -> None:
        self.lines.append(json.dumps(event) + ",")

    def track(self, name: str, pid: Optional[int] = None) -> int:
        pid = pid or self.pid
        if (pid, name) not in self.tracks:
            self.tracks[pid, name] = len(self.tracks) + 1
            self.emit(ph="M", name="thread_name", pid=pid, tid=self.tracks[pid, name],
                      args={"name": name})
        return self.tracks[pid, name]

    def event(self, ph: str, name: str, time: int, track: str, pid: Optional[int] = None,
              **more: Any) -> None:
        self.emit(ph=ph, name=name, ts=time / 1000, pid=pid or self.pid,
                  tid=self.track(track, pid), **more)

    def counter(self, name: str, time: int, **values: float) -> None:
        self.emit(ph="C", name=name, ts=time / 1000, pid=self.pid, args=values)

    def element(self, name: str, kind: str, time: int = START) -> None:
        self.event("i", "element", time, name, cat="setup", s="t",
                   args={"element": name, "type": kind, "pipeline": "pipeline0"})

    def decision(self, element: str, name: str, time: int, **args: Any) -> None:
        self.event("i", name, time, element, cat="decision", s="t", args=args)

    def account(self, element: str, time: int, frames: list[dict[str, Any]],
                **changed: int) -> None:
        counts = {action: sum(f["action"] == action for f in frames) for action in ACTIONS}
        causes = {cause: sum(f["cause"] == cause for f in frames) for cause in CAUSES}
        late = sum(f["late"] for f in frames)
        args = {"frames-in": len(frames), **counts, "late": late, "causes": causes, **changed}
        self.event("i", "account", time, element, cat="setup", s="t", args=args)

    def frame(self, element: str, sequence: int, arrival: int, parts: dict[str, int],
              due: Optional[int] = None, action: str = "applied", cause: str = "none",
              took: int = 0, **args: Any) -> dict[str, Any]:
        """A frame with its parts, or how long it took; what it gives is for account()."""
        departure = arrival + (took or sum(parts.values()))
        late = due is not None and departure > due + 2 * MS
        dated = {} if due is None else {"due": due, "slack": due - arrival}
        self.spans += 1
        common = {"cat": "frame", "id": f"0x{self.spans:x}"}
        self.event("b", "frame", arrival, element, **common, args={
            "element": element, "sequence": sequence, **dated, "action": action, "cause": cause,
            "late": late, **args})
        time = arrival
        for name, length in parts.items():
            self.event("b", name, time, element, **common)
            time += length
            self.event("e", name, time, element, **common)
        self.event("e", "frame", departure, element, **common)
        if action != "applied" or cause != "none":
            self.decision(element, action, departure, sequence=sequence, cause=cause)
        return {"action": action, "cause": cause, "late": late, "departure": departure}

    def job(self, element: str, worker: int, sequence: int, taken: int, began: int, done: int,
            level: int = 0, pid: Optional[int] = None, **more: Any) -> None:
        """A job on the worker's track; with a pid its service is in that process."""
        track = f"{element} worker{worker}"
        args = {"sequence": sequence, "level": level}
        self.event("X", "hand-over-time", taken, track, dur=(began - taken) / 1000, args=args)
        self.flows += 1
        self.event("s", "to-worker", taken, track, cat="to-worker", id=self.flows)
        service = f"stage of {element}" if pid else track
        self.event("X", "service-time", began, service, pid, dur=(done - began) / 1000,
                   args={**args, **more})
        self.event("f", "to-worker", began, service, pid, cat="to-worker", id=self.flows, bp="e")

    def text(self) -> str:
        return "[\n" + "".join(line + "\n" for line in self.lines)

    def write(self, path: str) -> None:
        pathlib.Path(path).write_text(self.text(), "utf-8")


# --- A made-up call -----------------------------------------------------------------------------


class Call:
    """30 frames a second, a competing load in the middle third."""

    def __init__(self, seconds: int) -> None:
        self.random = random.Random(6)
        self.writer = Writer()
        self.count = seconds * 30
        self.end = START + self.count * FRAME
        self.third = self.count // 3
        self.free: dict[str, list[int]] = {}
        self.outs: dict[str, int] = {}
        self.kept: dict[str, list[dict[str, Any]]] = {}

    def load(self, frame: int) -> int:
        return 3 if self.third <= frame < 2 * self.third else 0

    def write_load(self) -> None:
        for frame in range(0, self.count, 15):
            self.writer.counter("load", START + frame * FRAME, load=self.load(frame))

    def cost(self, frame: int, base: int) -> int:
        slowdown = 1 + 0.55 * self.load(frame)
        spike = 4 if self.random.random() < 0.01 else 1
        return int(base * slowdown * spike * self.random.uniform(0.85, 1.25))

    def through(self, element: str, frame: int, arrival: int, due: int, costs: list[int],
                pids: list[Optional[int]], levels: bool = False) -> tuple[int, str, str]:
        """One frame through one element; when it leaves, and with what."""
        free = self.free.setdefault(element, [START] * len(pids))
        worker = min(range(len(free)), key=lambda number: free[number])
        taken = max(arrival, free[worker])
        level = next((n for n, c in enumerate(costs) if taken + c + 5 * MS < due), len(costs))
        level = level if levels else 0
        out = max(arrival, self.outs.get(element, START))
        args: dict[str, Any] = {}
        action, cause, parts = "applied", "none", {}
        if taken >= due - MS:
            action, cause = "bypassed", "overdue-waiting"
            parts = {"queue-time": max(due - MS, out) - arrival}
        elif level == len(costs):
            action, cause = "bypassed", "predicted-late"
            args = {"level": level, "reason": "too-late", "predicted-cost": costs[-1]}
            parts = {"queue-time": taken - arrival, "reorder-time": max(0, out - taken)}
        else:
            began = taken + self.random.randrange(20_000, 90_000)
            done = began + costs[level]
            free[worker] = done
            is_over = max(done, out) > due + 2 * MS and done > due
            self.writer.job(element, worker, 3 + frame, taken, began, done, level, pids[worker],
                            **({"late": True} if is_over else {}))
            parts = {"queue-time": taken - arrival, "hand-over-time": began - taken,
                     "service-time": done - began, "reorder-time": max(0, out - done)}
            args = {"worker": worker}
            if levels:
                args |= {"level": level, "reason": "fits", "predicted-cost": costs[level]}
                cause = "predicted-late" if level else "none"
            if is_over:
                action, cause = "bypassed", "overdue-running"
                parts["service-time"] = max(due - MS, out) - began
                del parts["reorder-time"]
        parts = {name: length for name, length in parts.items() if length > 0}
        left = self.writer.frame(element, 3 + frame, arrival, parts, due, action, cause,
                                 **{"running-time": frame * FRAME}, **args)
        self.writer.counter(f"{element} level", left["departure"], level=args.get("level", 0))
        self.outs[element] = left["departure"]
        self.kept.setdefault(element, []).append(left)
        return left["departure"], action, cause

    def ours(self) -> Writer:
        kinds = {"adaptiveskip0": "adaptiveskip", "workerpool0": "workerpool",
                 "shmdispatch0": "shmdispatch"}
        for name, kind in kinds.items():
            self.writer.element(name, kind)
            self.writer.event("i", "due-inputs", START, name, cat="setup", s="t", args={
                "live": True, "upstream": 20 * MS, "budget": 40 * MS, "total": 140 * MS,
                "reserve": 5 * MS})
        self.writer.element("viewer", "viewer")
        self.write_load()
        last = 0
        for frame in range(self.count):
            last = self.one_of_ours(frame, last)
        for name in kinds:
            self.writer.account(name, self.end + 500 * MS, self.kept[name])
        return self.writer

    def one_of_ours(self, frame: int, level: int) -> int:
        captured = START + frame * FRAME + self.random.randrange(0, 2 * MS)
        time = captured + 18 * MS + self.random.randrange(0, 3 * MS)
        costs = [self.cost(frame, base * MS) for base in (24, 12, 5)]
        time, action, cause = self.through("adaptiveskip0", frame, time, captured + 60 * MS, costs,
                                           [None], levels=True)
        time, _, _ = self.through("workerpool0", frame, time, captured + 100 * MS,
                                  [self.cost(frame, 16 * MS)], [None, None])
        time, _, _ = self.through("shmdispatch0", frame, time, captured + 130 * MS,
                                  [self.cost(frame, 9 * MS)], [201, 202])
        shown = max(time + 9 * MS + self.random.randrange(0, 4 * MS), captured + 60 * MS)
        self.view(frame, captured, shown, action, cause)
        now = {"none": 0, "predicted-late": 1}.get(cause, 3)
        if now != level:
            self.writer.decision("adaptiveskip0", "level-changed", time, frame=3 + frame,
                                 level=now, reason="fits", **{"from": level, "kept-back": 0})
        return now

    def view(self, frame: int, captured: int, shown: int, action: str, cause: str) -> None:
        self.writer.frame("viewer", frame, captured, {}, captured + BUDGET, action, cause,
                          took=shown - captured, **{"running-time": frame * FRAME})

    def without_us(self, capacity: float, drops: bool) -> Writer:
        self.writer.element("viewer", "viewer")
        self.write_load()
        free = START
        for frame in range(self.count):
            captured = START + frame * FRAME
            cost = self.cost(frame, int(capacity * MS))
            arrived = captured + 18 * MS
            if drops and free - arrived > 90 * MS:
                self.view(frame, captured, captured + BUDGET, "dropped", "none")
                continue
            free = max(arrived, free) + cost
            self.view(frame, captured, free + 40 * MS, "applied", "none")
        return self.writer


def made(kind: str, seconds: int) -> Writer:
    call = Call(seconds)
    if kind == "ours":
        return call.ours()
    return call.without_us(16, drops=kind == "leaky")


def main() -> None:
    kind, seconds, path = sys.argv[1:]
    made(kind, int(seconds)).write(path)


if __name__ == "__main__":
    main()
