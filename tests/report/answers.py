#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The answer to "why?": one for each cause, and what goes with it."""

import re
from typing import Any

import cases
from report import ledger, sentences
from traces import MS, START, Writer

WHY = {
    "overdue-waiting": "because no worker was free for it in time.",
    "overdue-running": "because the stage was still busy with it when it was due.",
    "arrived-late": "because it was already due when it came.",
    "flush": "because a flush discarded it.",
    "stop": "because the element was stopped while it was in flight.",
    "downstream": "because downstream had ended the stream and took no more frames.",
    "stage-error": "because the stage returned an error for it, or refused it.",
    "stalled": "because its worker was stuck: many younger results were ready behind it.",
    "worker-lost": "because the worker that had it died.",
    "no-workers": "because the workers had died too often and none was started any more.",
    "predicted-late": "because the full stage was not expected to be done in time, or to be worth "
                      "its time.",
    "spared": "because the full stage might have been done in time, but only at the cost of the "
              "frames behind it.",
    "ceiling": "because the full stage was closed: it had not fitted for a while.",
}


class Why(cases.TraceCase):
    def setUp(self) -> None:
        super().setUp()
        self.writer = Writer()

    def answer(self, sequence: int = 412, name: str = "pool") -> str:
        run = self.read(self.writer.text())
        answers = sentences.Answers(run, run.element(name))
        return sentences.text_of(answers.answer(answers.frame(sequence)))

    def frame(self, parts: dict[str, int], due: Any = 100, **more: Any) -> None:
        """Frame 412; milliseconds."""
        self.writer.frame("pool", 412, START, {name: time * MS for name, time in parts.items()},
                          None if due is None else START + due * MS, **more)

    def test_each_cause_has_its_sentence(self) -> None:
        self.assertEqual(["none", *WHY], list(ledger.CAUSES))
        for cause, said in WHY.items():
            with self.subTest(cause=cause):
                self.writer = Writer()
                self.frame({"queue-time": 99}, action="bypassed", cause=cause)
                self.assertIn("Frame 412 of pool left as it came (bypassed), 1.0 ms before it was "
                              f"due, {said}", self.answer())

    def test_the_full_stage(self) -> None:
        self.frame({"queue-time": 3, "hand-over-time": 1, "service-time": 40, "reorder-time": 4},
                   worker=1)
        self.assertEqual(self.answer(), (
            "Frame 412 of pool left with the full stage, 52.0 ms before it was due. It took "
            "48.0 ms in all: 3.0 ms waiting for a worker, 1.0 ms until worker 1 began, 40.0 ms in "
            "the stage and 4.0 ms until the older frames had left."))

    def test_without_a_due_time(self) -> None:
        self.frame({"service-time": 40}, due=None)
        self.assertEqual(self.answer(), "Frame 412 of pool left with the full stage; it had no due "
                                        "time. It took 40.0 ms in all: 40.0 ms in the stage.")

    def test_a_little_after_the_due_time_is_not_late(self) -> None:
        self.frame({"service-time": 101})
        self.assertIn(", 1.0 ms after it was due, which does not count as late.", self.answer())

    def test_late_ones_name_the_longest_part(self) -> None:
        for part, said in (("queue-time", "the wait for a worker"), ("service-time", "the stage"),
                           ("reorder-time", "the wait for older frames"),
                           ("hand-over-time", "the hand-over")):
            with self.subTest(part=part):
                self.writer = Writer()
                self.frame({"queue-time": 20, "service-time": 20, part: 200})
                self.assertIn(" ms too late.", self.answer())
                self.assertIn(f"Most of that was {said}", self.answer())

    def test_late_ones_say_who_else_is_to_blame(self) -> None:
        self.frame({"queue-time": 60, "service-time": 60}, due=10, blocked=30 * MS)
        self.assertIn("It had only 10.0 ms left when it came.", self.answer())
        self.assertIn("Downstream kept the output with the frame before it for 30.0 ms.",
                      self.answer())

    def test_what_came_after_its_due_time(self) -> None:
        self.frame({"queue-time": 1}, due=-30, action="dropped", cause="arrived-late")
        self.assertIn("For frame 412 of pool nothing left (dropped), 31.0 ms too late, because it "
                      "was already due when it came. It came 30.0 ms after its due time.",
                      self.answer())
        self.assertNotIn("Most of that", self.answer())

    def test_the_level_and_why_it_was_chosen(self) -> None:
        self.frame({"queue-time": 20, "service-time": 30}, cause="predicted-late", level=2,
                   reason="fits", **{"predicted-cost": 28 * MS})
        self.assertIn("left with level 2, not the full stage, 50.0 ms before", self.answer())
        self.assertTrue(self.answer().endswith(
            "Level 2 was chosen with 80.0 ms left, the best one that was worth its time; it was "
            "expected to take 28.0 ms."), self.answer())

    def test_no_level_was_chosen(self) -> None:
        self.frame({"queue-time": 20}, action="bypassed", cause="predicted-late", level=3,
                   reason="too-late", **{"predicted-cost": 90 * MS})
        self.assertIn("No level was chosen with 80.0 ms left, as none was expected to be done in "
                      "time; the cheapest was expected to take 90.0 ms.", self.answer())

    def test_each_reason_has_its_words(self) -> None:
        source = (cases.ROOT / "gst/core/skip_policy.cpp").read_text()
        reasons = re.findall(r"case SkipReason::\w+:\s*return \"([\w-]+)\"", source)
        self.assertGreater(len(reasons), 5)
        for reason in reasons:
            self.assertIn(f"reason-{reason}", sentences.TEMPLATES)

    def test_what_the_workers_did_meanwhile(self) -> None:
        self.writer.job("pool", 0, 409, START - 20 * MS, START - 19 * MS, START + 101 * MS)
        self.writer.job("pool", 1, 300, START - 900 * MS, START - 900 * MS, START - 800 * MS)
        self.frame({"queue-time": 99}, action="bypassed", cause="overdue-waiting")
        self.assertIn("Meanwhile worker 0 was busy with frame 409 for 120.0 ms.", self.answer())
        self.assertNotIn("worker 1", self.answer())

    def test_the_older_frame_that_it_waited_for(self) -> None:
        for number, service in ((409, 10), (410, 90), (411, 20)):
            self.writer.frame("pool", number, START, {"service-time": service * MS,
                                                      "reorder-time": (90 - service) * MS})
        self.frame({"service-time": 20, "reorder-time": 70})
        self.assertIn("70.0 ms until the older frames had left. Frame 410 was the one that it "
                      "waited for.", self.answer())

    def test_what_was_told_of_it(self) -> None:
        for name, said in (("worker-set-aside", "Worker 2 was set aside over it."),
                           ("worker-stuck", "Worker 2 was stuck with it."),
                           ("frame-given-up", "It ended several workers")):
            self.writer.decision("pool", name, START + 99 * MS, worker=2, frame=412)
        self.frame({"service-time": 99}, action="bypassed", cause="overdue-running")
        for said in ("Worker 2 was set aside over it.", "Worker 2 was stuck with it.",
                     "It ended several workers", "99.0 ms in the stage, which was not done"):
            self.assertIn(said, self.answer())

    def test_the_load_at_that_time(self) -> None:
        for time, load in ((-50, 0), (-10, 2), (50, 0)):
            self.writer.counter("load", START + time * MS, load=load)
        self.frame({"service-time": 10})
        self.assertIn("A competing load of 2 was on.", self.answer())

    def test_the_crowd_before_it(self) -> None:
        for number in (408, 409, 410):
            self.writer.frame("pool", number, START - 5 * MS, {"service-time": 40 * MS})
        self.frame({"queue-time": 99}, action="bypassed", cause="overdue-waiting")
        self.assertIn("3 older frames were in flight when it came.", self.answer())

    def test_at_the_viewer(self) -> None:
        self.writer.element("viewer", "viewer")
        running = {"running-time": 7 * MS}
        self.frame({"service-time": 10}, **running)
        self.writer.frame("viewer", 9, START, {}, START + 150 * MS, "applied", "predicted-late",
                          took=120 * MS, level=1, **running)
        self.assertEqual(self.answer(9, "viewer"), (
            "Frame 9 was shown at viewer with a cheaper effect, 30.0 ms before it was due, because "
            "the full stage was not expected to be done in time, or to be worth its time. From the "
            "camera to the viewer it took 120.0 ms. It was frame 412 of pool."))

    def test_never_shown(self) -> None:
        self.writer.element("viewer", "viewer")
        for number, cause in ((9, "none"), (10, "not-received")):
            self.writer.frame("viewer", number, START, {}, START + 150 * MS, "dropped", cause,
                              took=150 * MS)
        self.assertEqual(self.answer(9, "viewer"), (
            "Frame 9 was never shown at viewer (dropped); the trace does not say why."))
        self.assertEqual(self.answer(10, "viewer"), (
            "Frame 10 was never shown at viewer (dropped), because it never came there."))

    def test_what_goes_into_a_sentence_is_not_a_template(self) -> None:
        self.writer.frame("{time}{level}", 412, START, {"service-time": MS}, START)
        self.assertIn("Frame 412 of {time}{level} left", self.answer(name="{time}{level}"))

    def test_all_frames_of_all_actions_can_be_said(self) -> None:
        for action in ("applied", "bypassed", "repeated", "dropped"):
            for cause in ledger.CAUSES:
                self.writer = Writer()
                self.frame({"queue-time": 200}, action=action, cause=cause, reason="other")
                self.assertNotIn("{", self.answer())
                self.assertTrue(self.answer().endswith("."))


if __name__ == "__main__":
    cases.main()
