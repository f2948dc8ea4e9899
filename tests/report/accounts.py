#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ledger adds up to the frames that went in, or says that it does not. The figures."""

import re

import cases
from report import figures, ledger
from traces import CAUSES, MS, START, Writer, made


def all_causes() -> tuple[Writer, list[dict]]:
    """Frame n has the cause n, and one has none."""
    writer = Writer()
    writer.element("pool", "workerpool")
    kept = [writer.frame("pool", number, START + number * MS, {"service-time": MS}, None,
                         "bypassed", cause) for number, cause in enumerate(CAUSES)]
    kept.append(writer.frame("pool", 99, START, {"service-time": MS}))
    return writer, kept


class Ledger(cases.TraceCase):
    def ledger_of(self, writer: Writer) -> ledger.Ledger:
        run = self.read(writer.text())
        return ledger.ledger(run, run.elements[0])

    def test_each_frame_is_in_one_line(self) -> None:
        writer, kept = all_causes()
        writer.account("pool", START + 99 * MS, kept)
        of = self.ledger_of(writer)
        self.assertEqual([cause for cause, _ in of.lines], ["none", *CAUSES])
        self.assertEqual([sum(line.values()) for _, line in of.lines], [1] * 14)
        self.assertEqual((of.total, of.counted, of.wrongs), (14, 14, []))

    def test_each_count_that_differs_is_named(self) -> None:
        for name in ("frames-in", "late", "applied", "bypassed", "repeated", "dropped"):
            with self.subTest(name=name):
                writer, kept = all_causes()
                writer.account("pool", START + 99 * MS, kept, **{name: 77})
                wrongs = self.ledger_of(writer).wrongs
                self.assertEqual(len(wrongs), 1)
                self.assertRegex(wrongs[0], rf"pool: {name} is \d+ .* counted 77")

    def test_a_cause_that_differs_is_named(self) -> None:
        writer, kept = all_causes()
        kept[2] = {**kept[2], "cause": "flush"}
        writer.account("pool", START + 99 * MS, kept)
        wrongs = "".join(self.ledger_of(writer).wrongs)
        self.assertIn("arrived-late is 1 in", wrongs)
        self.assertIn("counted 2", wrongs)

    def test_a_frame_that_is_not_in_the_trace(self) -> None:
        writer, kept = all_causes()
        writer.account("pool", START + 99 * MS, [*kept, kept[-1]])
        self.assertIn("frames-in is 14", self.ledger_of(writer).wrongs[0])

    def test_a_frame_that_is_there_twice(self) -> None:
        writer, _ = all_causes()
        writer.frame("pool", 5, START, {"service-time": MS})
        self.assertIn("frame 5 is there 2 times", self.ledger_of(writer).wrongs[0])

    def test_two_runs_of_an_element_add_up(self) -> None:
        writer, kept = all_causes()
        writer.account("pool", START + 99 * MS, kept)
        writer.element("pool", "workerpool", START + 100 * MS)
        again = [writer.frame("pool", 1, START + 101 * MS, {"service-time": MS})]
        writer.account("pool", START + 199 * MS, again)
        of = self.ledger_of(writer)
        self.assertEqual((of.total, of.counted, of.wrongs), (15, 15, []))

    def test_a_cut_trace_says_how_many_are_known(self) -> None:
        writer, _ = all_causes()
        of = self.ledger_of(writer)
        self.assertEqual(of.wrongs, [])
        self.assertIn("14 frames are known. The trace was cut", of.note)

    def test_a_broken_line_cannot_be_held_against_the_element(self) -> None:
        writer, kept = all_causes()
        writer.account("pool", START + 99 * MS, [*kept, kept[-1]])
        writer.lines.insert(3, "{")
        of = self.ledger_of(writer)
        self.assertEqual(of.wrongs, [])
        self.assertIn("could not be read", of.note)

    def test_what_the_tracer_lost_cannot_be_held_against_the_element(self) -> None:
        writer, kept = all_causes()
        writer.account("pool", START + 99 * MS, [*kept, kept[-1]])
        writer.event("i", "lost", START, "pool", cat="setup", s="t", args={"items": 2})
        of = self.ledger_of(writer)
        self.assertEqual(of.wrongs, [])
        self.assertIn("2 events were lost", of.note)

    def test_frames_that_never_left_are_told(self) -> None:
        writer, kept = all_causes()
        writer.account("pool", START + 99 * MS, kept, **{"in-flight": 3, "frames-in": 17})
        of = self.ledger_of(writer)
        self.assertEqual(of.wrongs, [])
        self.assertIn("17 frames that went in without the 3 that never left", of.note)

    def test_what_has_no_cause_is_told(self) -> None:
        writer = Writer()
        writer.frame("pool", 3, START, {"service-time": MS}, None, "dropped")
        self.assertEqual(self.ledger_of(writer).lines[0][0], ledger.UNKNOWN)

    def test_an_unheard_cause_is_wrong(self) -> None:
        writer = Writer()
        writer.frame("pool", 3, START, {"service-time": MS}, None, "dropped", "boredom")
        self.assertIn("'boredom' is no cause", self.ledger_of(writer).wrongs[0])

    def test_a_made_up_call_adds_up(self) -> None:
        run = self.read(made("ours", 6).text())
        for element in run.elements:
            self.assertEqual(ledger.ledger(run, element).wrongs, [])
            self.assertEqual(ledger.ledger(run, element).total, 180)

    def test_the_causes_are_those_of_the_elements(self) -> None:
        source = (cases.ROOT / "gst/core/frame_record.cpp").read_text()
        theirs = re.findall(r"case Cause::\w+:\s*return \"([\w-]+)\"", source)
        self.assertEqual(list(ledger.CAUSES), theirs)


class Figures(cases.TraceCase):
    def figures_of(self, writer: Writer) -> figures.Figures:
        return figures.figures(self.read(writer.text()).elements[0])

    def test_percentiles_are_values_that_were_there(self) -> None:
        values = list(range(1, 101))
        for percent, value in ((50, 50), (90, 90), (99, 99), (99.9, 100), (100, 100), (0, 1)):
            self.assertEqual(figures.percentile(values, percent), value)
        self.assertEqual(figures.percentile([7], 50), 7)

    def test_dropped_frames_have_no_latency_and_are_not_on_time(self) -> None:
        writer = Writer()
        writer.frame("pool", 1, START, {"service-time": 5 * MS}, START + 6 * MS)
        writer.frame("pool", 2, START, {"service-time": 9 * MS}, START + 6 * MS)
        writer.frame("pool", 3, START, {"queue-time": 6 * MS}, START + 6 * MS, "dropped", "flush")
        of = self.figures_of(writer)
        self.assertEqual((of.frames, of.late, of.on_time, of.full_on_time), (3, 1, 1, 1))
        self.assertEqual(of.latencies, [5 * MS, 9 * MS])
        self.assertEqual((of.lateness, of.budget), ([3 * MS], 6 * MS))
        self.assertTrue(of.is_budget_fixed)

    def test_the_budget_is_what_frames_had_that_came_before_they_were_due(self) -> None:
        writer = Writer()
        for number, had in enumerate((-900, -800, -700, 40, 50, 60)):
            writer.frame("pool", number, START, {"service-time": MS}, START + had * MS)
        self.assertEqual(self.figures_of(writer).budget, 50 * MS)
        self.assertFalse(self.figures_of(writer).is_budget_fixed)
        writer = Writer()
        writer.frame("pool", 3, START, {"service-time": MS}, START - MS)
        self.assertEqual((self.figures_of(writer).budget, self.figures_of(writer).has_due_times),
                         (None, True))

    def test_the_worst_are_the_latest(self) -> None:
        writer = Writer()
        for number, spare in enumerate((5, -7, 0, -20, 9)):
            writer.frame("pool", number, START, {"service-time": 30 * MS},
                         START + (30 + spare) * MS)
        element = self.read(writer.text()).elements[0]
        self.assertEqual([f.sequence for f in figures.worst(element, 3)], [3, 1, 2])


if __name__ == "__main__":
    cases.main()
