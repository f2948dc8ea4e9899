#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes traces of real pipelines and looks at what is in them.

usage: traces.py SOURCE_ROOT [unittest arguments]

The rules that hold for every trace are in rules.py.
"""

import os
import pathlib
import re
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import unittest

import rules

ROOT = pathlib.Path(sys.argv.pop(1))
PATIENCE_SECONDS = 60
LIVE = "videotestsrc is-live=true num-buffers={} ! video/x-raw,width=64,height=64,framerate=30/1"
THREE = ('adaptiveskip name=first stage="identity sleep-time=5000" '
         '! workerpool name=second stage="identity sleep-time=5000" '
         '! shmdispatch name=third stage="identity sleep-time=5000"')


def find_python_with_gi() -> str | None:
    for python in [sys.executable, "/usr/bin/python3"]:
        if pathlib.Path(python).exists() and subprocess.run(
                [python, "-c", "import gi"], capture_output=True).returncode == 0:
            return python
    return None


class Trace(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "trace.json"

    def command(self, line: str) -> list[str]:
        return ["sh", "-c", f"exec gst-launch-1.0 {line}"]

    def environment(self, path: pathlib.Path | None = None) -> dict[str, str]:
        return os.environ | {"GST_TRACERS": f'dispatch(file="{path or self.path}")'}

    def run_line(self, line: str, path: pathlib.Path | None = None) -> str:
        done = subprocess.run(self.command(line), env=self.environment(path), text=True,
                              timeout=PATIENCE_SECONDS, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def trace_of(self, line: str) -> list[dict]:
        self.run_line(line)
        return self.checked()

    def checked(self) -> list[dict]:
        events = rules.read(self.path)
        self.assertEqual(rules.check(events), [])
        return events

    def decisions(self, events: list[dict]) -> set[str]:
        return {event["name"] for event in events if event["cat"] == "decision"}


class Elements(Trace):
    def test_all_three_tell_of_each_frame(self):
        events = self.trace_of(f"{LIVE.format(30)} ! {THREE} ! fakesink")
        for element, kind in [("first", "adaptiveskip"), ("second", "workerpool"),
                              ("third", "shmdispatch")]:
            self.assertEqual(len(rules.frames_of(events, element)), 30, element)
            self.assertEqual(rules.account_of(events, element)["frames-in"], 30)
            setups = [e["args"] for e in events if e["name"] == "element"
                      and e["args"]["element"] == element]
            self.assertEqual([setup["type"] for setup in setups], [kind])

    def test_a_worker_process_is_a_process(self):
        events = self.trace_of(f"{LIVE.format(10)} ! shmdispatch name=far stage=identity ! fakesink")
        service = {e["pid"] for e in events if e["ph"] == "X" and e["name"] == "service-time"}
        here = {e["pid"] for e in events if e["name"] == "element"}
        self.assertTrue(service and not service & here, (service, here))
        names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
        for process in service:
            self.assertRegex(names[process], r"^far worker\d+$")

    def test_arrows_cross_to_the_process_and_back(self):
        events = self.trace_of(f"{LIVE.format(10)} ! shmdispatch name=far stage=identity ! fakesink")
        for way in ["to-worker", "to-output"]:
            arrows = [e for e in events if e["ph"] in "sf" and e["cat"] == way]
            self.assertGreaterEqual(len(arrows), 20, way)
            self.assertGreaterEqual(len({e["pid"] for e in arrows}), 2, way)

    def test_an_element_in_a_worker_process_is_in_the_same_file(self):
        events = self.trace_of(
            f"{LIVE.format(20)} ! shmdispatch name=outer stage=\"adaptiveskip name=inner "
            "stage=identity\" ! fakesink")
        self.assertEqual(len(rules.frames_of(events, "outer")), 20)
        inner = [e for e in events if e["ph"] == "b" and e["name"] == "frame"
                 and e["args"]["element"] != "outer"]
        self.assertEqual(len(inner), 20)
        self.assertNotIn(os.getpid(), {e["pid"] for e in inner})
        outer_pid = {e["pid"] for e in events if e["name"] == "element"
                     and e["args"]["element"] == "outer"}
        self.assertFalse(outer_pid & {e["pid"] for e in inner})

    def test_one_that_stops_and_starts_again_goes_on_in_the_same_file(self):
        program = ("import gi; gi.require_version('Gst', '1.0'); from gi.repository import Gst\n"
                   "Gst.init(None)\n"
                   "p = Gst.parse_launch('videotestsrc num-buffers=5 ! workerpool name=pool "
                   "stage=identity ! fakesink')\n"
                   "for _ in range(2):\n"
                   "    p.set_state(Gst.State.PLAYING)\n"
                   "    p.get_bus().timed_pop_filtered(Gst.SECOND * 20, Gst.MessageType.EOS)\n"
                   "    p.set_state(Gst.State.NULL)\n")
        python = find_python_with_gi()
        if python is None:
            self.skipTest("there is no python3-gi here")
        done = subprocess.run([python, "-c", program], env=self.environment(), text=True,
                              timeout=PATIENCE_SECONDS, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(rules.frames_of(self.checked(), "pool")), 10)


class Reasons(Trace):
    def test_frames_that_missed_the_stage_are_decisions(self):
        events = self.trace_of(
            f"{LIVE.format(40)} ! workerpool name=pool max-workers=1 min-workers=1 "
            "latency-budget=40000000 stage=\"identity sleep-time=60000\" ! fakesink")
        missed = [f for f in rules.frames_of(events, "pool") if f["cause"] != "none"]
        self.assertTrue(missed)
        told = [e["args"] for e in events if e["cat"] == "decision"
                and e["name"] in rules.ACTIONS]
        self.assertEqual([(f["sequence"], f["cause"]) for f in missed],
                         [(t["sequence"], t["cause"]) for t in told])
        self.assertIn("worker-set-aside", self.decisions(events))

    def test_levels_have_reasons_and_a_counter(self):
        events = self.trace_of(
            f"{LIVE.format(60)} ! adaptiveskip name=skip max-helpers=1 "
            "stage=\"identity sleep-time=50000\" ! queue ! fakesink")
        frames = rules.frames_of(events, "skip")
        skipped = [f for f in frames if f["action"] == "bypassed"]
        self.assertTrue(skipped)
        self.assertEqual({f["level"] for f in skipped}, {1})
        self.assertTrue(all(f["reason"] for f in frames if "reason" in f))
        self.assertIn("level-changed", self.decisions(events))
        shown = {e["args"]["level"] for e in events if e["name"] == "skip level"}
        self.assertEqual(shown, {0, 1})

    def test_what_is_kept_back_on_the_bus_is_told_here(self):
        events = self.trace_of(
            f"{LIVE.format(60)} ! adaptiveskip name=skip post-messages=false max-helpers=1 "
            "stage=\"identity sleep-time=50000\" ! queue ! fakesink")
        changes = [e["args"] for e in events if e["name"] == "level-changed"]
        levels = [f["level"] for f in rules.frames_of(events, "skip")]
        expected = sum(a != b for a, b in zip(levels, levels[1:])) + (levels[0] != 0)
        self.assertEqual(len(changes), expected)

    def test_workers_have_a_counter_and_a_reason(self):
        events = self.trace_of(
            "videotestsrc num-buffers=20 ! workerpool name=pool stage=identity min-workers=2 "
            "max-workers=2 ! fakesink")
        changed = [e["args"] for e in events if e["name"] == "workers-changed"]
        self.assertTrue(changed and all(c["workers-because"] for c in changed))
        counted = [e["args"] for e in events if e["name"] == "pool workers"]
        self.assertEqual([c["workers"] for c in changed], [c["active"] for c in counted])


class DueTimes(Trace):
    def test_three_elements_declare_one_budget(self):
        events = self.trace_of(f"{LIVE.format(30)} ! {THREE} ! fakesink")
        last = {}
        for event in events:
            if event["name"] == "due-inputs":
                last[event["tid"]] = event["args"]
        frame = 1_000_000_000 / 30
        self.assertAlmostEqual(sum(each["budget"] for each in last.values()), 3 * frame, delta=3)
        self.assertEqual(len(last), 3)

    def test_due_times_compose(self):
        """Each element has to be done later than the one before it, the last one when all is
        used up; and what is not used up is there for the next one."""
        events = self.trace_of(f"{LIVE.format(30)} ! {THREE} ! fakesink")
        dues = [{f["running-time"]: f["due"] for f in rules.frames_of(events, name) if "due" in f}
                for name in ["first", "second", "third"]]
        shared = set.intersection(*(set(due) for due in dues))
        self.assertGreaterEqual(len(shared), 25)
        frame = 1_000_000_000 / 30
        # Each is a third of the budget later. The middle one of many: due times of
        # CLOCK_MONOTONIC are off by what lies between reading that and the pipeline's clock.
        for one, other in zip(dues, dues[1:]):
            later = statistics.median(other[stamp] - one[stamp] for stamp in shared)
            self.assertAlmostEqual(later, frame, delta=2_000_000)
        most = max(f["slack"] for f in rules.frames_of(events, "third") if "slack" in f)
        self.assertGreater(most, frame + 10_000_000, "it has what the others left over")


class Files(Trace):
    def test_begins_anew(self):
        self.path.write_text("of something else\n" * 10000)
        self.trace_of("videotestsrc num-buffers=3 ! workerpool stage=identity ! fakesink")

    def test_two_programs_write_to_one(self):
        lines = [f"{LIVE.format(30)} ! workerpool name=pool{i} stage=identity ! fakesink"
                 for i in range(2)]
        children = [subprocess.Popen(self.command(line), env=self.environment()) for line in lines]
        for child in children:
            self.assertEqual(child.wait(PATIENCE_SECONDS), 0)
        events = self.checked()
        for i in range(2):
            self.assertEqual(len(rules.frames_of(events, f"pool{i}")), 30)

    def test_is_whole_when_the_program_is_killed(self):
        child = subprocess.Popen(
            self.command("videotestsrc is-live=true ! video/x-raw,framerate=60/1 "
                         "! workerpool name=pool stage=identity ! fakesink"),
            env=self.environment())
        until = time.monotonic() + PATIENCE_SECONDS
        while not self.path.exists() or self.path.read_text().count('"name":"push"') < 20:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        events = self.checked()
        self.assertGreaterEqual(len(rules.frames_of(events, "pool")), 20)
        self.assertIsNone(rules.account_of(events, "pool"))

    def test_one_that_cannot_be_written_is_a_warning(self):
        path = self.path.parent / "nowhere" / "trace.json"
        output = self.run_line("videotestsrc num-buffers=3 ! workerpool stage=identity ! fakesink",
                               path)
        self.assertRegex(output, rf"There is no trace: cannot open {re.escape(str(path))}: "
                                 "No such file or directory")

    def test_a_pipe_whose_reader_leaves_does_not_end_the_program(self):
        os.mkfifo(self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        child = subprocess.Popen(
            self.command("videotestsrc is-live=true num-buffers=30 ! video/x-raw,framerate=60/1 "
                         "! workerpool stage=identity ! fakesink"), env=self.environment())
        self.assertTrue(select.select([reader], [], [], PATIENCE_SECONDS)[0])
        os.close(reader)
        self.assertEqual(child.wait(PATIENCE_SECONDS), 0)

    def test_nothing_is_written_without_an_element_of_ours(self):
        self.run_line("videotestsrc num-buffers=3 ! fakesink")
        self.assertFalse(self.path.exists())

    def test_a_parameter_that_there_is_not_is_named(self):
        done = subprocess.run(
            self.command("fakesrc num-buffers=1 ! fakesink"), text=True, capture_output=True,
            env=os.environ | {"GST_TRACERS": f'dispatch(file="{self.path}",level=3)'},
            timeout=PATIENCE_SECONDS)
        self.assertIn("has no parameter 'level'; it has 'file'", done.stderr)


class Words(Trace):
    def test_are_all_in_the_docs(self):
        pages = "\n".join(path.read_text() for path in [ROOT / "docs" / "trace.md",
                                                        *(ROOT / "docs" / "elements").glob("*.md")])
        known = set(re.findall(r"`([a-z-]+)`", pages))
        events = self.trace_of(
            f"{LIVE.format(40)} ! adaptiveskip max-helpers=1 stage=\"identity sleep-time=50000\" "
            "! workerpool stage=identity ! shmdispatch stage=identity ! queue ! fakesink")
        used = set()
        for event in events:
            if event["ph"] == "M":
                continue
            used.add(event["name"].split(" ")[-1])
            for key, value in event.get("args", {}).items():
                used |= {key} | (set(value) if isinstance(value, dict) else set())
        # What only the pictures of counters are labelled with.
        self.assertEqual(used - known - {"frame", "frames", "buffers", "push"}, set())


if __name__ == "__main__":
    unittest.main()
