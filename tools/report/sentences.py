# SPDX-License-Identifier: LGPL-2.1-or-later
"""Why a frame left as it did, in words.

For: the command line and the page, which both show what is decided here. An answer is a list of
pieces, each a template and what goes into it; putting them together is all that the page does.
Not for: formatting anything else.
"""

import bisect
import re
from typing import Any, Optional

from .trace import Element, Frame, Slice, Trace, TraceError

# A piece: the name of its template, then its values in the order of the template.
Piece = list[str]

TELLABLE = 50_000  # ns; a part that is shorter would be 0.0 ms
SLACKNESS = 5_000_000  # ns; a wait that is shorter needs no explanation

TEMPLATES = {
    # What left.
    "left-full": "Frame {frame} of {element} left with the full stage",
    "left-cheaper": "Frame {frame} of {element} left with level {level}, not the full stage",
    "left-cheaper-somewhere": "Frame {frame} of {element} left with less than the full stage",
    "left-bypassed": "Frame {frame} of {element} left as it came (bypassed)",
    "left-repeated": "Frame {frame} of {element} left as the last result again (repeated)",
    "left-dropped": "For frame {frame} of {element} nothing left (dropped)",
    "shown-full": "Frame {frame} was shown at {element} with the full effect",
    "shown-cheaper": "Frame {frame} was shown at {element} with a cheaper effect",
    "shown-bypassed": "Frame {frame} was shown at {element} without the effect (bypassed)",
    "shown-repeated": "Frame {frame} was shown at {element} as the picture before it (repeated)",
    "shown-dropped": "Frame {frame} was never shown at {element} (dropped)",
    # When.
    "in-time": ", {time} before it was due",
    "just-in-time": ", {time} after it was due, which does not count as late",
    "too-late": ", {time} too late",
    "no-due-time": "; it had no due time",
    # Why, one for each cause of gst/core/frame_record.h.
    "none": ".",
    "overdue-waiting": ", because no worker was free for it in time.",
    "overdue-running": ", because the stage was still busy with it when it was due.",
    "arrived-late": ", because it was already due when it came.",
    "flush": ", because a flush discarded it.",
    "stop": ", because the element was stopped while it was in flight.",
    "downstream": ", because downstream had ended the stream and took no more frames.",
    "stage-error": ", because the stage returned an error for it, or refused it.",
    "stalled": ", because its worker was stuck: many younger results were ready behind it.",
    "worker-lost": ", because the worker that had it died.",
    "no-workers": ", because the workers had died too often and none was started any more.",
    "predicted-late": ", because the full stage was not expected to be done in time, or to be "
                      "worth its time.",
    "spared": ", because the full stage might have been done in time, but only at the cost of the "
              "frames behind it.",
    "ceiling": ", because the full stage was closed: it had not fitted for a while.",
    "not-received": ", because it never came there.",
    "unknown": "; the trace does not say why.",
    "other-cause": ", because of {cause}.",
    # Where its time went.
    "took": " It took {time} in all",
    "shown-took": " From the camera to the viewer it took {time}",
    "came-late": " It came {time} after its due time",
    "queue-time": "{waited} waiting for a worker",
    "hand-over-time": "{time} until worker {worker} began",
    "hand-over-time-somewhere": "{time} until a worker began",
    "service-time": "{time} in the stage",
    "service-time-undone": "{time} in the stage, which was not done with it",
    "reorder-time": "{time} until the older frames had left",
    "colon": ": ",
    "comma": ", ",
    "and": " and ",
    "stop-here": ".",
    # Why it was late.
    "mostly-queue-time": " Most of that was the wait for a worker.",
    "mostly-hand-over-time": " Most of that was the hand-over: the worker did not begin at once.",
    "mostly-service-time": " Most of that was the stage itself.",
    "mostly-reorder-time": " Most of that was the wait for older frames.",
    "late-from-start": " It had only {time} left when it came.",
    "blocked": " Downstream kept the output with the frame before it for {time}.",
    "older": " Frame {frame} was the one that it waited for.",
    # Which level.
    "chosen": " Level {level} was chosen",
    "chosen-none": " No level was chosen",
    "with-left": " with {time} left",
    "expected": "; it was expected to take {time}",
    "expected-cheapest": "; the cheapest was expected to take {time}",
    "reason-fits": ", the best one that was worth its time",
    "reason-ceiling": ", as no better one was allowed",
    "reason-too-late": ", as none was expected to be done in time",
    "reason-spared": ", for the sake of the frames behind it",
    "reason-probe": ", to learn what it costs now",
    "reason-consecutive": ", as max-consecutive-skips or skip-window asks for it",
    "reason-warm-up": ", as not enough was known yet",
    "reason-no-due-time": ", as it had no due time",
    "reason-ineffective": ", as skipping had not helped",
    "reason-other": " ({reason})",
    # What else went on.
    "busy": " Meanwhile worker {worker} was busy with frame {frame} for {time}.",
    "worker-set-aside": " Worker {worker} was set aside over it.",
    "worker-stuck": " Worker {worker} was stuck with it.",
    "frame-given-up": " It ended several workers and was not tried again.",
    "load": " A competing load of {load} was on.",
    "crowd": " {count} older frames were in flight when it came.",
    "same": " It was frame {frame} of {element}",
    "same-too": "frame {frame} of {element}",
    # No answer.
    "no-frame": "{element} has no frame {frame}; the nearest are {near}. Events and queries are "
                "counted too, and a frame that was in flight when a trace ended is not in it.",
}
NAMES = list(TEMPLATES)
FIELD = re.compile(r"\{(\w+)\}")
FIELDS = {name: FIELD.findall(text) for name, text in TEMPLATES.items()}


def milliseconds(nanoseconds: int) -> str:
    value = nanoseconds / 1e6
    return f"{value:.1f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def piece(name: str, **values: Any) -> Piece:
    return [name, *(str(values[field]) for field in FIELDS[name])]


def text_of(pieces: list[Piece]) -> str:
    """The sentences. The page does the same with the same templates."""
    said = []
    for name, *values in pieces:
        rest = iter(values)
        said.append(FIELD.sub(lambda _, rest=rest: next(rest), TEMPLATES[name]))
    return "".join(said)


class Answers:
    """Answers for the frames of one element."""

    def __init__(self, trace: Trace, element: Element) -> None:
        self.element = element
        self.load = trace.load
        self.load_times = [time for time, _ in trace.load]
        self.told: dict[int, list[Piece]] = {}
        for decision in element.decisions:
            if decision.name in ("worker-set-aside", "worker-stuck", "frame-given-up"):
                said = piece(decision.name, worker=decision.args.get("worker", "?"))
                self.told.setdefault(decision.args.get("frame", -1), []).append(said)
        self.begins = {number: [job.start for job in slices]
                       for number, slices in element.workers.items()}
        self.others = others_of(trace) if element.is_viewer() else {}
        self.places = {frame.sequence: place for place, frame in enumerate(element.frames)}

    def frame(self, sequence: int) -> Frame:
        if sequence in self.places:
            return self.element.frames[self.places[sequence]]
        numbers = sorted(self.places)
        place = bisect.bisect(numbers, sequence)
        near = " and ".join(str(number) for number in numbers[max(0, place - 1):place + 1])
        raise TraceError(text_of([piece("no-frame", element=self.element.label, frame=sequence,
                                        near=near)]))

    def answer(self, frame: Frame) -> list[Piece]:
        said = [self.what_left(frame), *self.when(frame), self.why(frame)]
        said += self.where_time_went(frame)
        said += self.why_late(frame)
        said += self.choice(frame)
        return said + self.surroundings(frame) + self.elsewhere(frame)

    # --- What left, when, and why ---------------------------------------------------------------

    def what_left(self, frame: Frame) -> Piece:
        name = f"{'shown' if self.element.is_viewer() else 'left'}-{frame.outcome}"
        if name == "left-cheaper" and frame.level is None:
            name = "left-cheaper-somewhere"
        return piece(name, frame=frame.sequence, element=self.element.label, level=frame.level)

    def when(self, frame: Frame) -> list[Piece]:
        if self.element.is_viewer() and frame.action == "dropped":
            return []
        if frame.margin is None:
            return [piece("no-due-time")]
        if frame.late:
            return [piece("too-late", time=milliseconds(-frame.margin))]
        name = "in-time" if frame.margin >= 0 else "just-in-time"
        return [piece(name, time=milliseconds(abs(frame.margin)))]

    @staticmethod
    def why(frame: Frame) -> Piece:
        if frame.cause == "none":
            return piece("none" if frame.outcome == "full" else "unknown")
        return piece(frame.cause if frame.cause in TEMPLATES else "other-cause", cause=frame.cause)

    # --- Where its time went --------------------------------------------------------------------

    def where_time_went(self, frame: Frame) -> list[Piece]:
        if self.element.is_viewer() and frame.action == "dropped":
            return []
        took = "shown-took" if self.element.is_viewer() else "took"
        said = [piece(took, time=milliseconds(frame.latency))]
        parts = [self.part(frame, name, time) for name, time in frame.parts.items()
                 if time >= TELLABLE]
        for place, part in enumerate(parts):
            joint = "colon" if place == 0 else "and" if place == len(parts) - 1 else "comma"
            said += [piece(joint), part]
        said.append(piece("stop-here"))
        if frame.cause == "arrived-late" and frame.due is not None and frame.due <= frame.arrival:
            said = [piece("came-late", time=milliseconds(frame.arrival - frame.due)),
                    piece("stop-here"), *said]
        return said

    @staticmethod
    def part(frame: Frame, name: str, time: int) -> Piece:
        if name == "hand-over-time" and frame.worker is None:
            name = "hand-over-time-somewhere"
        if name == "service-time" and frame.cause in ("overdue-running", "stalled", "worker-lost"):
            name = "service-time-undone"
        return piece(name, time=milliseconds(time), waited=milliseconds(time), worker=frame.worker)

    def why_late(self, frame: Frame) -> list[Piece]:
        had = 1 if frame.due is None else frame.due - frame.arrival
        if not frame.late or had <= 0:
            return []
        said = []
        if frame.parts:
            longest = max(frame.parts, key=lambda name: frame.parts[name])
            if frame.parts[longest] > frame.latency / 2 and f"mostly-{longest}" in TEMPLATES:
                said.append(piece(f"mostly-{longest}"))
        if frame.due is not None and had < frame.latency / 4:
            said.append(piece("late-from-start", time=milliseconds(had)))
        if frame.blocked >= 1_000_000:
            said.append(piece("blocked", time=milliseconds(frame.blocked)))
        return said

    # --- Which level ----------------------------------------------------------------------------

    def choice(self, frame: Frame) -> list[Piece]:
        if not frame.reason:
            return []
        has_stage = frame.reason not in ("too-late", "spared") and frame.level is not None
        said = [piece("chosen", level=frame.level) if has_stage else piece("chosen-none")]
        if frame.due is not None:
            left = frame.due - frame.arrival - frame.parts.get("queue-time", 0)
            if left > 0:
                said.append(piece("with-left", time=milliseconds(left)))
        name = f"reason-{frame.reason}"
        said.append(piece(name if name in TEMPLATES else "reason-other", reason=frame.reason))
        if frame.predicted_cost:
            said.append(piece("expected" if has_stage else "expected-cheapest",
                              time=milliseconds(frame.predicted_cost)))
        return [*said, piece("stop-here")]

    # --- What else went on ----------------------------------------------------------------------

    def surroundings(self, frame: Frame) -> list[Piece]:
        said = list(self.told.get(frame.sequence, []))
        waited = frame.parts.get("queue-time", 0)
        if waited >= SLACKNESS:
            said += self.busy_workers(frame, waited)
        if frame.parts.get("reorder-time", 0) >= SLACKNESS:
            said += self.older_frame(frame)
        crowd = self.crowd(frame)
        if crowd > 1 and frame.outcome != "full":
            said.append(piece("crowd", count=crowd))
        place = bisect.bisect(self.load_times, frame.arrival) - 1
        if place >= 0 and self.load[place][1]:
            said.append(piece("load", load=f"{self.load[place][1]:g}"))
        return said

    def busy_workers(self, frame: Frame, waited: int) -> list[Piece]:
        """What each worker did for most of the time that the frame waited, the longest first."""
        jobs: list[tuple[int, int, Slice]] = []
        end = frame.arrival + waited
        for number, slices in self.element.workers.items():
            place = bisect.bisect(self.begins[number], end)
            for job in slices[max(0, place - 8):place]:
                shared = min(end, job.start + job.duration) - max(frame.arrival, job.start)
                if job.name == "service-time" and shared > waited / 2:
                    jobs.append((job.duration, number, job))
        return [piece("busy", worker=number, frame=job.sequence, time=milliseconds(duration))
                for duration, number, job in sorted(jobs, key=lambda j: -j[0])[:2]]

    def older_frame(self, frame: Frame) -> list[Piece]:
        """The older frame that was done last, if it was done after this one."""
        place = self.places[frame.sequence]
        done = frame.departure - frame.parts["reorder-time"]
        slowest: Optional[Frame] = None
        for older in reversed(self.element.frames[max(0, place - 64):place]):
            if done_at(older) > max(done, done_at(slowest) if slowest else 0):
                slowest = older
        return [piece("older", frame=slowest.sequence)] if slowest else []

    def elsewhere(self, frame: Frame) -> list[Piece]:
        """Under which number the elements before a viewer had the frame."""
        same = self.others.get(frame.running_time, []) if frame.running_time is not None else []
        said = []
        for place, (label, number) in enumerate(same):
            if place:
                said.append(piece("and" if place == len(same) - 1 else "comma"))
            said.append(piece("same-too" if place else "same", frame=number, element=label))
        return [*said, piece("stop-here")] if said else []

    def crowd(self, frame: Frame) -> int:
        place = self.places[frame.sequence]
        return sum(older.departure > frame.arrival
                   for older in self.element.frames[max(0, place - 256):place])


def others_of(trace: Trace) -> dict[int, list[tuple[str, int]]]:
    """The frames of the elements by their running time."""
    found: dict[int, list[tuple[str, int]]] = {}
    for element in trace.elements:
        for frame in element.frames:
            if frame.running_time is not None and not element.is_viewer():
                found.setdefault(frame.running_time, []).append((element.label, frame.sequence))
    return found


def done_at(frame: Frame) -> int:
    return frame.departure - frame.parts.get("reorder-time", 0)
