# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a viewer saw of a call: the sum over its frames.

Pure: from what the parts noted, without clocks and processes. Times are
nanoseconds.
"""

from dataclasses import dataclass, field

FULL = "full effect"
CHEAPER = "cheaper"
BYPASSED = "bypassed"
DROPPED = "dropped"


@dataclass
class Frame:
    """One frame that the sender sent."""
    number: int
    captured: int
    shown: int | None = None   # when it was first seen
    running_time: int = -1     # in the processor
    effect: str = FULL         # of one that was shown
    level: int = 0
    cause: str = "none"

    def latency(self) -> int | None:
        """From the camera to the screen."""
        return None if self.shown is None else self.shown - self.captured


@dataclass
class Tally:
    """The ledger: on time + late + dropped are the frames sent."""
    sent: int = 0
    on_time: dict[str, int] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    dropped: int = 0
    latencies: list[int] = field(default_factory=list)  # sorted
    frozen: int = 0
    longest_freeze: int = 0

    def all_on_time(self) -> int:
        """Frames that were shown on time, with whatever effect."""
        return sum(self.on_time.values())

    def all_late(self) -> int:
        """Frames that were shown late."""
        return sum(self.late.values())

    def late_share(self) -> float:
        """Of the frames sent."""
        return self.all_late() / self.sent if self.sent else 0.0

    def full_on_time(self) -> int:
        """Frames that were shown on time with the full effect."""
        return self.on_time.get(FULL, 0)


def percentile(ordered: list[int], share: float) -> int:
    """The least of the values that `share` of them do not exceed; 0 of none."""
    if not ordered:
        return 0
    rank = -(-len(ordered) * round(share * 10000) // 10000)  # rounded up
    return ordered[max(rank, 1) - 1]


def freezes(shown: list[int], frame_duration: int) -> list[int]:
    """How long the picture stood still beyond its time, each time it did for
    more than half a frame."""
    gaps = (after - before - frame_duration for before, after in zip(shown, shown[1:]))
    return [gap for gap in gaps if gap > frame_duration // 2]


def count(frames: list[Frame], budget: int, frame_duration: int) -> Tally:
    """Sums up."""
    tally = Tally(sent=len(frames))
    for frame in frames:
        latency = frame.latency()
        if latency is None:
            tally.dropped += 1
            continue
        tally.latencies.append(latency)
        counts = tally.late if latency > budget else tally.on_time
        counts[frame.effect] = counts.get(frame.effect, 0) + 1
    tally.latencies.sort()
    stills = freezes(sorted(f.shown for f in frames if f.shown is not None), frame_duration)
    tally.frozen = sum(stills)
    tally.longest_freeze = max(stills, default=0)
    return tally
