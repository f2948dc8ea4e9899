# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is chosen by trying it on this machine: the load, and the parameters of
the leaky queues."""

from dataclasses import dataclass
from pathlib import Path

import pipelines
from pipelines import Leaky
from run import Call, Plan, Setting
from tally import Frame, Tally, count

MUST_BE_LATE = 0.20  # of the plain run's frames
MARGIN = 0.05        # more than that in the trial, which is shorter
STRENGTHS = (2, 3, 4, 6, 8)  # processes for each CPU

# What is usual: where the queues are, how long, which end leaks, and whether
# the sink tells upstream who was late. The few that --quick tries come first.
CANDIDATES = (
    Leaky(2, "downstream", "each", 80),
    Leaky(1, "downstream", "each", 0),
    Leaky(2, "downstream", "each", 0),
    Leaky(3, "downstream", "each", 0),
    Leaky(2, "downstream", "each", 60),
    Leaky(2, "downstream", "each", 100),
    Leaky(2, "downstream", "one", 80),
    Leaky(1, "upstream", "each", 0),
)
QUICK_CANDIDATES = 3


class NoLoad(Exception):
    """The plain run stays on time whatever load there is."""


@dataclass(frozen=True)
class Tried:
    """One candidate, and what came of it under load."""
    leaky: Leaky
    tally: Tally


def tally_of(frames: list[Frame]) -> Tally:
    """What the viewer of a call saw."""
    return count(frames, pipelines.BUDGET_NS, pipelines.FRAME_DURATION_NS)


def try_load(setting: Setting, seconds: float, load: int, folder: Path) -> float:
    """Which share of the plain run's frames is late under it."""
    call = Call(setting, pipelines.PLAIN, Plan.in_thirds(seconds, load), folder)
    call.run()
    return tally_of(call.frames()).late_share()


def try_leaky(setting: Setting, seconds: float, load: int, leaky: Leaky, folder: Path) -> Tried:
    """One candidate, with load from nearly the beginning."""
    call = Call(setting, leaky.way(), Plan.loaded(seconds, load), folder)
    call.run()
    return Tried(leaky, tally_of(call.frames()))
