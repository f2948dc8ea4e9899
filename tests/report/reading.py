#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading a trace: whole, cut off, out of order, of several processes."""

import random
import re

import cases
from report import page, trace
from traces import MS, START, Writer


def two_frames() -> Writer:
    writer = Writer()
    writer.element("pool", "workerpool")
    writer.frame("pool", 3, START, {"queue-time": 2 * MS, "service-time": 5 * MS}, START + 9 * MS,
                 worker=1)
    writer.frame("pool", 4, START + 10 * MS, {"queue-time": 30 * MS}, START + 20 * MS, "bypassed",
                 "overdue-waiting")
    return writer


class Whole(cases.TraceCase):
    def test_frames_have_what_is_in_their_args(self) -> None:
        element = self.read(two_frames().text()).elements[0]
        first, second = element.frames
        self.assertEqual((element.name, element.kind), ("pool", "workerpool"))
        self.assertEqual((first.sequence, first.action, first.worker), (3, "applied", 1))
        self.assertEqual((first.arrival, first.latency, first.margin), (START, 7 * MS, 2 * MS))
        self.assertEqual(first.parts, {"queue-time": 2 * MS, "service-time": 5 * MS})
        self.assertEqual((second.outcome, second.cause), ("bypassed", "overdue-waiting"))
        self.assertTrue(second.late)
        self.assertEqual(second.margin, -20 * MS)

    def test_the_order_of_whole_frames_does_not_matter(self) -> None:
        writer = Writer()
        frames = []
        for number in range(40):
            del writer.lines[:]
            writer.frame("pool", number, START + number * MS, {"service-time": MS})
            frames.append("\n".join(writer.lines) + "\n")
        random.Random(1).shuffle(frames)
        element = self.read("[\n" + "".join(frames)).elements[0]
        self.assertEqual([frame.sequence for frame in element.frames], list(range(40)))

    def test_a_closing_bracket_is_fine(self) -> None:
        text = two_frames().text().rstrip(",\n") + "\n]\n"
        self.assertFalse(self.read(text).is_cut)
        self.assertFalse(self.read(two_frames().text().rstrip(",\n") + "]").is_cut)

    def test_numbers_may_be_text(self) -> None:
        text = two_frames().text().replace('"sequence": 3', '"sequence": "3"')
        self.assertEqual(self.read(text).elements[0].frames[0].sequence, 3)

    def test_work_belongs_to_the_start_that_it_was_done_in(self) -> None:
        writer = two_frames()
        writer.job("pool", 1, 3, START, START + MS, START + 2 * MS)
        text = writer.text()
        again = text[2:].replace('"tid": ', '"tid": 9').replace('"id": "', '"id": "0x9')
        text += again
        first, second = self.read(text).elements
        self.assertEqual((first.name, second.name), ("pool", "pool"))
        self.assertNotEqual(first.track, second.track)
        self.assertEqual([len(first.workers[1]), len(second.workers[1])], [2, 2])

    def test_values_of_any_kind_are_no_crash(self) -> None:
        lines = two_frames().text().split("\n")
        strange = ["null", "true", "-1", "1e999", "NaN", "9" * 400, '""', "[]", "{}", '{"a": [1]}']
        for number in range(1, len(lines) - 1):
            for key in re.findall(r'"[a-z-]+": ', lines[number]):
                for value in strange:
                    changed = re.sub(f'{re.escape(key)}("[^"]*"|[^,{{}}]+)', key + value,
                                     lines[number], count=1)
                    text = "\n".join([*lines[:number], changed, *lines[number + 1:]])
                    try:
                        run = self.read(text)
                    except trace.TraceError:
                        continue
                    page.page([page.Run("", run, {})], "", "", None)

    def test_what_another_program_wrote_anew_is_told(self) -> None:
        whole = two_frames().text().rstrip(",\n") + "]"
        with self.assertRaisesRegex(trace.TraceError, "an event is to be a line"):
            self.read(whole.replace("\n", ""))

    def test_load_and_decisions(self) -> None:
        writer = two_frames()
        writer.counter("load", START + MS, load=2)
        writer.decision("pool", "worker-stuck", START + 2 * MS, worker=1, frame=3)
        run = self.read(writer.text())
        self.assertEqual(run.load, [(START + MS, 2)])
        self.assertEqual([d.name for d in run.elements[0].decisions], ["worker-stuck", "bypassed"])

    def test_a_load_may_be_of_several_kinds(self) -> None:
        writer = two_frames()
        writer.counter("load", START, processes=2, threads=1, note="x")
        self.assertEqual(self.read(writer.text()).load, [(START, 3)])

    def test_a_viewer_is_where_the_budget_is_judged(self) -> None:
        writer = Writer()
        writer.element("screen", "viewer")
        writer.frame("screen", 0, START, {}, took=9 * MS)
        writer.frame("pool", 3, START + MS, {"service-time": MS})
        run = self.read(writer.text())
        self.assertEqual(run.main().name, "screen")
        self.assertEqual([element.name for element in run.elements], ["pool", "screen"])


class Processes(cases.TraceCase):
    def test_two_processes_may_use_the_same_ids(self) -> None:
        ours, theirs = Writer(100), Writer(200)
        ours.frame("pool", 3, START, {"service-time": MS})
        theirs.frame("skip", 3, START + MS, {"service-time": 4 * MS})
        mixed = [line for pair in zip(ours.lines, theirs.lines) for line in pair]
        run = self.read("[\n" + "\n".join(mixed) + "\n")
        self.assertEqual([(e.name, e.frames[0].latency) for e in run.elements],
                         [("pool", MS), ("skip", 4 * MS)])

    def test_elements_of_the_same_name_are_told_apart(self) -> None:
        run = self.read_all(*(self.one_inside(pid) for pid in (200, 201)))
        self.assertEqual([element.label for element in run.elements], ["skip (1)", "skip (2)"])
        self.assertIs(run.element("skip (2)"), run.elements[1])

    @staticmethod
    def one_inside(pid: int) -> Writer:
        writer = Writer(pid)
        writer.frame("skip", 3, START + pid, {"service-time": MS})
        return writer

    def test_service_in_a_worker_process_belongs_to_its_worker(self) -> None:
        writer = Writer()
        writer.frame("shm", 3, START, {"service-time": MS})
        writer.job("shm", 1, 3, START, START + MS, START + 5 * MS, level=2, pid=201, late=True)
        jobs = self.read(writer.text()).elements[0].workers[1]
        self.assertEqual([(job.name, job.duration) for job in jobs],
                         [("hand-over-time", MS), ("service-time", 4 * MS)])
        self.assertTrue(jobs[1].is_discarded)
        self.assertEqual((jobs[1].level, jobs[1].sequence), (2, 3))


class Broken(cases.TraceCase):
    def test_a_cut_off_last_line_is_what_a_crash_leaves(self) -> None:
        text = two_frames().text()
        run = self.read(text[:text.rindex('"ph": "e"') + 20])
        self.assertTrue(run.is_cut)
        self.assertEqual(run.broken_lines, [])
        self.assertEqual(len(run.elements[0].frames), 1)

    def test_every_cut_is_read(self) -> None:
        text = two_frames().text()
        enough = text.index('"ph": "e", "name": "frame"') + 120
        for end in range(enough, len(text)):
            self.assertGreaterEqual(len(self.read(text[:end]).elements[0].frames), 1)

    def test_a_broken_line_in_the_middle_is_left_out_and_named(self) -> None:
        lines = two_frames().text().split("\n")
        lines.insert(3, '{"ph": "i", "name": "acc')
        run = self.read("\n".join(lines))
        self.assertEqual(run.broken_lines, [4])
        self.assertFalse(run.is_cut)
        self.assertEqual(len(run.elements[0].frames), 2)

    def test_the_event_behind_a_cut_one_is_kept(self) -> None:
        lines = two_frames().text().split("\n")
        lines[3] = '{"ph": "i", "name": "acc' + lines[3]
        run = self.read("\n".join(lines))
        self.assertEqual(run.broken_lines, [4])
        self.assertEqual(len(run.elements[0].frames), 2)

    def test_what_is_no_event_is_a_broken_line(self) -> None:
        lines = two_frames().text().split("\n")
        lines[1:1] = ["17,", '"text",', '{"ph": "i"},', '{"ph": "i", "ts": "x", "name": "a"},',
                      '{"ph": "i", "ts": 1, "name": "a", "args": 3},']
        self.assertEqual(self.read("\n".join(lines)).broken_lines, [2, 3, 4, 5, 6])

    def test_a_frame_without_an_end_is_not_there(self) -> None:
        lines = [line for line in two_frames().text().split("\n")
                 if not ('"ph": "e"' in line and '"frame", "ts": 70000040000' in line)]
        self.assertEqual([f.sequence for f in self.read("\n".join(lines)).elements[0].frames], [3])

    def test_files_that_are_no_traces(self) -> None:
        for text, said in (("", "is empty"), (" \n", "is empty"), ("[\n", "no frames"),
                           ("{}", "no trace"), ("frame,latency\n", "no trace"),
                           ('[\n{"ph":"M","name":"thread_name"},\n', "no frames")):
            with self.subTest(text=text), self.assertRaisesRegex(trace.TraceError, said):
                self.read(text)
        with self.assertRaisesRegex(trace.TraceError, "cannot read .*none.json"):
            trace.read(self.path("none.json"))

    def test_an_element_that_is_not_there(self) -> None:
        with self.assertRaisesRegex(trace.TraceError, "no element 'tank'; it has: pool"):
            self.read(two_frames().text()).element("tank")


if __name__ == "__main__":
    cases.main()
