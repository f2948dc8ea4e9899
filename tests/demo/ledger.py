#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the demo counts: the ledger adds up, percentiles and freezes are right."""

import random
import unittest

import table
from tally import BYPASSED, CHEAPER, FULL, Frame, count, freezes, percentile

MS = 1_000_000
BUDGET = 150 * MS
DURATION = 33 * MS


def shown(number: int, latency: int, effect: str = FULL) -> Frame:
    """A frame that was seen."""
    captured = number * DURATION
    return Frame(number, captured, captured + latency, effect=effect)


class Ledger(unittest.TestCase):
    def test_each_frame_is_counted_once(self) -> None:
        chance = random.Random(6)
        frames = [Frame(n, n * DURATION) if chance.random() < 0.2 else
                  shown(n, chance.randrange(300 * MS), chance.choice([FULL, CHEAPER, BYPASSED]))
                  for n in range(500)]
        tally = count(frames, BUDGET, DURATION)
        self.assertEqual(tally.sent, 500)
        self.assertEqual(tally.all_on_time() + tally.all_late() + tally.dropped, 500)
        self.assertEqual(len(tally.latencies), 500 - tally.dropped)
        self.assertTrue(all((tally.dropped, tally.all_late(), tally.all_on_time())))

    def test_late_is_more_than_the_budget(self) -> None:
        tally = count([shown(0, BUDGET), shown(1, BUDGET + 1)], BUDGET, DURATION)
        self.assertEqual((tally.all_on_time(), tally.all_late()), (1, 1))
        self.assertEqual(tally.late_share(), 0.5)

    def test_effects_are_counted_apart(self) -> None:
        tally = count([shown(0, MS), shown(1, MS, CHEAPER), shown(2, BUDGET * 2, BYPASSED)],
                      BUDGET, DURATION)
        self.assertEqual(tally.on_time, {FULL: 1, CHEAPER: 1})
        self.assertEqual(tally.late, {BYPASSED: 1})
        self.assertEqual(tally.full_on_time(), 1)

    def test_of_nothing(self) -> None:
        tally = count([], BUDGET, DURATION)
        self.assertEqual((tally.sent, tally.late_share(), tally.frozen), (0, 0.0, 0))
        self.assertIn("0 ms", table.describe([("none", tally)]))


class Percentiles(unittest.TestCase):
    def test_are_values_that_were_there(self) -> None:
        values = list(range(1, 101))
        self.assertEqual([percentile(values, share) for share in (0, 0.5, 0.99, 1)],
                         [1, 50, 99, 100])
        self.assertEqual(percentile([7], 0.99), 7)
        self.assertEqual(percentile([1, 2], 0.99), 2)
        self.assertEqual(percentile([], 0.5), 0)


class Freezes(unittest.TestCase):
    def test_begin_beyond_half_a_frame(self) -> None:
        times = [0, DURATION, 2 * DURATION + DURATION // 2, 5 * DURATION]
        self.assertEqual(freezes(times, DURATION), [5 * DURATION - times[2] - DURATION])

    def test_frames_out_of_order_are_none(self) -> None:
        frames = [shown(0, 50 * MS), shown(2, MS), shown(1, 30 * MS)]
        self.assertEqual(count(frames, BUDGET, DURATION).frozen, 0)


class Table(unittest.TestCase):
    def test_has_each_run(self) -> None:
        tally = count([shown(0, 40 * MS), shown(1, 200 * MS), Frame(2, 0)], BUDGET, DURATION)
        text = table.describe([("plain", tally), ("ours", tally)])
        self.assertIn("plain", text)
        self.assertEqual(text.count("1 (33.3%)"), 6)
        self.assertEqual(text.count("200 ms"), 4)


if __name__ == "__main__":
    unittest.main()
