# SPDX-License-Identifier: LGPL-2.1-or-later
"""The figures of an element: how many were late, and how long frames took."""

import collections
import dataclasses
import math
from typing import Optional, Sequence

from .trace import Element, Frame

PERCENTILES = (50, 90, 99, 99.9)


def percentile(values: Sequence[int], percent: float) -> int:
    """The nearest rank of values in order: one of them, not something in between."""
    return values[max(0, math.ceil(percent / 100 * len(values)) - 1)]


@dataclasses.dataclass
class Figures:
    frames: int
    outcomes: collections.Counter[str]
    late: int
    on_time: int  # something left, and it was not late
    full_on_time: int
    has_due_times: bool
    budget: Optional[int]  # what a frame mostly had when it came, if it was not due already
    is_budget_fixed: bool  # all had about the same
    latencies: list[int]   # of the frames for which something left, in order
    lateness: list[int]    # of the late ones, in order

    def percent(self, count: int) -> float:
        return 100 * count / self.frames if self.frames else 0.0

    def latency(self, percent: float) -> Optional[int]:
        return percentile(self.latencies, percent) if self.latencies else None

    def late_by(self, percent: float) -> Optional[int]:
        return percentile(self.lateness, percent) if self.lateness else None


def figures(element: Element) -> Figures:
    frames = element.frames
    left = [frame for frame in frames if frame.action != "dropped"]
    late = [frame for frame in left if frame.late]
    dated = [frame for frame in frames if frame.due is not None]
    had = sorted(frame.due - frame.arrival for frame in dated if frame.due > frame.arrival)
    return Figures(
        frames=len(frames),
        outcomes=collections.Counter(frame.outcome for frame in frames),
        late=len(late),
        on_time=len(left) - len(late),
        full_on_time=sum(frame.outcome == "full" and not frame.late for frame in frames),
        has_due_times=bool(dated),
        budget=percentile(had, 50) if had else None,
        is_budget_fixed=len(had) == len(dated) and not (had and had[-1] - had[0] > 1_000_000),
        latencies=sorted(frame.latency for frame in left),
        lateness=sorted(-frame.margin for frame in late if frame.margin is not None))


def worst(element: Element, count: int) -> list[Frame]:
    """Those that left latest after their due time; without due times, that took longest."""
    frames = [frame for frame in element.frames if frame.action != "dropped"]
    dated = [frame for frame in frames if frame.margin is not None]
    if dated:
        return sorted(dated, key=lambda frame: frame.margin or 0)[:count]
    return sorted(frames, key=lambda frame: -frame.latency)[:count]
