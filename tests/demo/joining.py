#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the demo reads from a trace and adds to it, and what the parts noted."""

import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

import pipelines
import run
import trace
from tally import BYPASSED, CHEAPER, FULL, Frame

ELEMENTS = ("look", "blur", "smooth")


def record(action: str = "applied", cause: str = "none") -> dict[str, Any]:
    """What an element says of a frame."""
    return {"action": action, "cause": cause}


def line(element: str, running_time: int, action: str, cause: str) -> str:
    """The same in a trace."""
    args = record(action, cause) | {"element": element, "running-time": running_time}
    return json.dumps({"ph": "b", "cat": "frame", "name": "frame", "args": args}) + ",\n"


class Judging(unittest.TestCase):
    def judged(self, *records: dict[str, Any] | None) -> tuple[str, str]:
        frame = Frame(0, 0)
        trace.judge(frame, list(records))
        return frame.effect, frame.cause

    def test_all_full(self) -> None:
        self.assertEqual(self.judged(record(), record(), record()), (FULL, "none"))

    def test_a_cheaper_level(self) -> None:
        self.assertEqual(self.judged(record(), record("applied", "spared")), (CHEAPER, "spared"))

    def test_one_effect_missing_is_bypassed(self) -> None:
        self.assertEqual(self.judged(record("bypassed", "overdue-running"), record(),
                                     record("applied", "ceiling")),
                         (BYPASSED, "overdue-running"))

    def test_an_element_that_never_had_it_says_nothing(self) -> None:
        self.assertEqual(self.judged(record(), None), (FULL, "none"))


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = Path(holder.name) / "trace.json"

    def test_frames_are_found_by_their_running_time(self) -> None:
        self.path.write_text("[\n" + line("smooth", 70, "applied", "spared") +
                             line("look", 80, "applied", "none") + '{"ph":"b","cut of')
        frames = [Frame(1, 0, 5, running_time=70), Frame(2, 0, 5, running_time=80), Frame(3, 0)]
        trace.learn_effects(frames, self.path, ELEMENTS)
        self.assertEqual([frame.effect for frame in frames], [CHEAPER, FULL, FULL])

    def test_what_is_added_can_be_read_again(self) -> None:
        frames = [Frame(0, 1000, 6000), Frame(1, 2000)]
        events = list(trace.viewer_events(frames, [(1500, 4), (1800, 0)], "plain"))
        trace.append(self.path, iter(events[:2]))
        trace.append(self.path, iter(events[2:]))
        self.assertEqual(self.path.read_text().count("["), 1)
        self.assertEqual(list(trace.read_events(self.path)), events)

    def test_each_span_has_its_end(self) -> None:
        frames = [Frame(0, 1000, 6000), Frame(1, 2000), Frame(2, 0, pipelines.BUDGET_NS + 1)]
        events = [e for e in trace.viewer_events(frames, [], "plain") if e.get("cat") == "frame"]
        self.assertEqual([e["ph"] for e in events], ["b", "e"] * 3)
        for begin, end in zip(events[::2], events[1::2]):
            self.assertEqual(begin["id"], end["id"])
            self.assertLessEqual(begin["ts"], end["ts"])
        self.assertEqual([e["args"]["late"] for e in events[::2]], [False, False, True])
        self.assertEqual([e["args"]["action"] for e in events[::2]],
                         ["applied", "dropped", "applied"])

    def test_a_number_counts_when_it_comes_first(self) -> None:
        self.path.write_text("4\t70\t100\n-\t80\t200\n4\t90\t300\n5\t95\t400\n")
        self.assertEqual(run.first_notes(self.path, 2), {4: 100, 5: 400})


class Plans(unittest.TestCase):
    def test_load_is_in_the_middle_third(self) -> None:
        plan = run.Plan.in_thirds(30, 4)
        self.assertEqual((plan.frames, plan.load, plan.load_from, plan.load_until),
                         (900, 4, 10, 20))


if __name__ == "__main__":
    unittest.main()
