# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ledger: what left for the frames of an element, and why not the full stage.

Each frame is in exactly one line of it. What the element counted itself (`account`) has to be the
same; where it is not, the trace does not tell all, and the report says so.
"""

import collections
import dataclasses
from typing import Optional

from .trace import ACTIONS, Element, Frame, Trace

# What can leave, the best first. These words are those of the legend.
OUTCOMES = {
    "full": "full stage",
    "cheaper": "cheaper level",
    "bypassed": "bypassed",
    "repeated": "repeated",
    "dropped": "dropped",
}

# Those of gst/core/frame_record.h, in its order.
CAUSES = {
    "none": "got the full stage",
    "overdue-waiting": "due before a worker was free for it",
    "overdue-running": "due while the stage was busy with it",
    "arrived-late": "already due when it came",
    "flush": "discarded by a flush",
    "stop": "discarded because the element stopped",
    "downstream": "downstream had ended the stream",
    "stage-error": "the stage returned an error, or refused it",
    "stalled": "its worker was stuck",
    "worker-lost": "the worker that had it died",
    "no-workers": "the workers died too often",
    "predicted-late": "the full stage would not have been done in time",
    "spared": "at the cost of the frames behind it",
    "ceiling": "the full stage was closed",
}
UNKNOWN = "unknown"
# What only a viewer or nobody can say.
MEANINGS = {**CAUSES, "not-received": "it never came to the viewer",
            UNKNOWN: "the trace does not say why"}


@dataclasses.dataclass
class Ledger:
    # Cause, and how many frames left how because of it.
    lines: list[tuple[str, collections.Counter[str]]]
    total: int
    counted: int  # what the element counted itself; 0: there is no account
    wrongs: list[str]
    note: str

    def adds_up(self) -> bool:
        return not self.wrongs


def cause_of(frame: Frame) -> str:
    if frame.cause == "none" and frame.outcome != "full":
        return UNKNOWN
    return frame.cause


def ledger(trace: Trace, element: Element) -> Ledger:
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for frame in element.frames:
        counts[cause_of(frame)][frame.outcome] += 1
    order = list(MEANINGS)
    lines = sorted(counts.items(), key=lambda line: (order.index(line[0]) if line[0] in order
                                                     else len(order), line[0]))
    total = sum(sum(line.values()) for _, line in lines)
    counted = sum(account.get("frames-in", 0) for account in element.accounts)
    wrongs = doubles(element) + unknown_causes(lines)
    if is_accounted(trace, element):
        wrongs += differences(element, counted)
    return Ledger(lines, total, counted, wrongs, note_of(trace, element, total))


def is_accounted(trace: Trace, element: Element) -> bool:
    """An element that was started and stopped, every time, in a trace that is whole."""
    return (len(element.accounts) >= max(1, element.starts) and not trace.broken_lines
            and not trace.lost)


def doubles(element: Element) -> list[str]:
    seen = collections.Counter(frame.sequence for frame in element.frames)
    twice = [number for number, times in seen.items() if times > 1]
    if not twice or element.starts > 1:
        return []
    return [f"{element.label}: frame {twice[0]} is there {seen[twice[0]]} times."]


def unknown_causes(lines: list[tuple[str, collections.Counter[str]]]) -> list[str]:
    return [f"'{cause}' is no cause that this program knows." for cause, _ in lines
            if cause not in MEANINGS]


def differences(element: Element, counted: int) -> list[str]:
    """Where the frames of the trace are not those that the element counted."""
    causes = collections.Counter(frame.cause for frame in element.frames)
    actions = collections.Counter(frame.action for frame in element.frames)
    found = {"frames-in": (len(element.frames) + never_left(element), counted),
             "late": (sum(frame.late for frame in element.frames), sum_of(element, "late"))}
    found |= {action: (actions[action], sum_of(element, action)) for action in ACTIONS}
    found |= {cause: (causes[cause], sum_of(element, cause)) for cause in CAUSES
              if cause != "none"}
    return [f"{element.label}: {name} is {ours} in the frames of the trace, but the element "
            f"counted {theirs}." for name, (ours, theirs) in found.items()
            if theirs is not None and ours != theirs]


def never_left(element: Element) -> int:
    return sum(account.get("in-flight", 0) for account in element.accounts)


def sum_of(element: Element, name: str) -> Optional[int]:
    """None where the accounts do not have it."""
    values = [account.get(name, account.get("causes", {}).get(name))
              for account in element.accounts]
    return None if None in values else sum(values)


def note_of(trace: Trace, element: Element, total: int) -> str:
    if is_accounted(trace, element) and never_left(element):
        return (f"The lines add up to the {total + never_left(element)} frames that went in "
                f"without the {never_left(element)} that never left, as the element counted them.")
    if is_accounted(trace, element):
        return f"The lines add up to the {total} frames that went in, as the element counted them."
    if element.is_viewer():
        return f"The lines add up to the {total} frames that were captured."
    if trace.lost:
        return (f"{total} frames are known. {trace.lost} events were lost, so this cannot be "
                "compared with what the element counted.")
    if trace.broken_lines:
        return (f"{total} frames are known. Lines of the trace could not be read, so this cannot "
                "be compared with what the element counted.")
    return (f"{total} frames are known. The trace was cut: the element never stopped, so it has "
            "not said how many frames went in.")
