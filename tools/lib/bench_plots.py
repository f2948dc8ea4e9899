#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws the figures of a benchmark as SVG, with nothing but the standard library.

usage: bench_plots.py NAME FIGURES.json PLOT.svg

FIGURES is what `bench-NAME --json` writes. A benchmark has one or more
drawings (PLOTS): a pattern picks values by their names and says by its groups
in which panel, at which x and in which series each belongs. A value of several
samples is shown as its median with its range. Colours follow the reader's light
or dark scheme; no series is told by its colour alone.
"""

import dataclasses
import html
import json
import math
import pathlib
import re
import statistics
import sys

Samples = list[float]
Series = dict[str, dict[str, Samples]]  # by name, then by x


@dataclasses.dataclass(frozen=True)
class Drawing:
    """One kind of figure of a benchmark; `scale` multiplies its values."""

    pattern: str
    unit: str
    kind: str = "dots"  # a row for each x; or "lines" over x
    log: bool = False
    scale: float = 1.0


AT_SIZE = (r"untouched, (?P<panel>flood|30 fps), (?P<x>\d+x\d+), "
           r"(?!no hop|shmdispatch spin)(?P<series>.*), ")
OF_WORKLOAD = r"(?P<x>[^,]+), (?P<panel>[\d.]+ frames), (?P<series>[\w-]+), "
PLOTS = {
    "blur": [Drawing(r"(?P<x>.*) wall s", "wall time, s"),
             Drawing(r"(?P<x>.*) cpu s", "CPU time, s")],
    "calm": [Drawing(r"(?P<panel>small|large), (?P<x>.*), (?P<series>p50|p99) us",
                     "from before the element to behind it, µs", log=True)],
    "handoff": [Drawing(r"flood, (?P<series>wall|CPU) ns per frame, (?P<x>.*)",
                        "flood, ns per frame"),
                Drawing(r"one in flight, (?P<series>p50|p99) us, (?P<x>.*)",
                        "one in flight, µs", log=True)],
    "hear": [Drawing(r"(?P<x>\w+: .*), (?P<panel>free|loaded) (?P<series>p\d\d) us",
                     "until it is heard, µs", log=True)],
    "live": [Drawing(r"(?P<x>\w+), (?P<series>\w+), late %", "late, %"),
             Drawing(r"(?P<x>\w+), (?P<series>\w+), applied %", "with the stage, %")],
    "onset": [Drawing(r"(?P<x>\w+) onset ms", "until all are full and on time again, ms")],
    "pressure": [Drawing(r"(?P<series>.*), (?P<x>\d+) stages: PSS bytes",
                         "memory of all processes, MiB, over the number of stages",
                         "lines", scale=1 / (1 << 20))],
    "processes": [Drawing(AT_SIZE + "p50 us", "latency p50, µs", "lines", True),
                  Drawing(AT_SIZE + "CPU us", "CPU time, µs per frame",
                          "lines", True)],
    "replace": [Drawing(r"(?P<x>\w+), gap (?P<series>before|during) ms",
                        "longest gap between frames, ms")],
    "scale": [Drawing(r"(?P<x>.*), (?P<series>whole stream|second half)",
                      "throughput beside one worker")],
    "skip": [Drawing(OF_WORKLOAD + "utility of the best", "utility beside the best that there was"),
             Drawing(OF_WORKLOAD + "late %", "late, %")],
    "skip-law": [Drawing(r"30 fps, (?P<panel>budget 2.0 frames, 3 rungs, 1 worker), (?P<x>[^:]*): "
                         r"(?P<series>plain|leaky 1|greedy, rescue|law)",
                         "utility beside the best that there was")],
    "trace": [Drawing(r"(?P<x>.*), (?P<series>wall|CPU) ns per frame", "ns per frame")],
    "worth": [Drawing(r"(?P<x>\d+x\d+), (?P<panel>\d+ stages?), (?P<series>.*): CPU us",
                      "CPU time of all processes, µs per frame", "lines", True),
              Drawing(r"(?P<x>\d+x\d+), (?P<panel>\d+ stages?), (?P<series>.*): latency us",
                      "latency, µs", "lines", True)],
}

# Light, dark: both are readable on their background.
COLOURS = [("#1f6fb4", "#6cb2ec"), ("#b5322b", "#f08a82"), ("#2d8a4e", "#6fce8f"),
           ("#9a6a08", "#e0b14c"), ("#7a4fb5", "#b99af0"), ("#5b6470", "#a9b2bd"),
           ("#0d7f86", "#4fc9d0"), ("#a8327e", "#ee8fc9")]
SHAPES = ["M-4 0A4 4 0 1 0 4 0A4 4 0 1 0-4 0Z", "M-4-4H4V4H-4Z", "M0-5L5 4H-5Z",
          "M0-5L5 0L0 5L-5 0Z", "M0 5L5-4H-5Z", "M-5-2H-2V-5H2V-2H5V2H2V5H-2V2H-5Z",
          "M-5-4L5 0L-5 4Z", "M5-4L-5 0L5 4Z"]
FONT, CHAR, ROW, GAP = 11, 6.1, 20, 26  # px


def collect(drawing: Drawing, values: dict[str, Samples | float]) -> dict[str, Series]:
    """The series of each panel, in the order of the values."""
    panels: dict[str, Series] = {}
    for name, value in values.items():
        match = re.fullmatch(drawing.pattern, name)
        samples = value if isinstance(value, list) else [value]
        finite = [sample * drawing.scale for sample in samples if sample is not None]
        if not match or not finite:
            continue
        groups = match.groupdict()
        series = panels.setdefault(groups.get("panel") or "", {})
        series.setdefault(groups.get("series") or "", {})[groups["x"]] = finite
    return panels


def ticks_of(low: float, high: float, log: bool) -> list[float]:
    """Round numbers that enclose low and high."""
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return [10.0**power for power in range(first, max(last, first + 1) + 1)]
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-9)))
    step = next(step * part for part in (0.2, 0.5, 1, 2) if (high - low) / (step * part) <= 6)
    count = max(1, math.ceil((high - low) / step - 1e-9))
    return [low + step * index for index in range(count + 1)]


class Axis:
    """From a value to a place between two others."""

    def __init__(self, samples: Samples, log: bool, begin: float, end: float) -> None:
        positive = [sample for sample in samples if sample > 0]
        self.log = log and bool(positive)
        low = min(positive) if self.log else min(0.0, *samples, 0.0)
        self.ticks = ticks_of(low, max([*samples, low + 1e-9]), self.log)
        self._begin, self._end = begin, end

    def place(self, value: float) -> float:
        if self.log:
            value = max(value, self.ticks[0])
            first, last = math.log10(self.ticks[0]), math.log10(self.ticks[-1])
            share = (math.log10(value) - first) / (last - first)
        else:
            share = (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])
        return self._begin + share * (self._end - self._begin)


def text(x: float, y: float, words: str, anchor: str = "start", more: str = "") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>'
            f"{html.escape(words)}</text>")


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def mark(x: float, y: float, series: int) -> str:
    """A shape and a colour; those of the ninth series are not both those of the first."""
    return (f'<path class="s{series % 8}" transform="translate({x:.1f} {y:.1f})" '
            f'd="{SHAPES[(series + series // 8) % 8]}"/>')


def number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def series_of(panels: dict[str, Series]) -> list[str]:
    return list(dict.fromkeys(series for panel in panels.values() for series in panel))


def legend(shown: list[str], names: list[str], width: float,
           y: float) -> tuple[list[str], float]:
    """Of the series shown, numbered as in `names`: its parts, and where it ends."""
    parts, x = [], 10.0
    if len(shown) < 2:
        return parts, y
    for name in shown:
        room = 24 + CHAR * len(name)
        if x + room > width and x > 10:
            x, y = 10.0, y + ROW
        parts += [mark(x + 6, y + 9, names.index(name)), text(x + 15, y + 13, name)]
        x += room
    return parts, y + ROW


def xs_of(panels: dict[str, Series]) -> list[str]:
    return list(dict.fromkeys(
        x for panel in panels.values() for one in panel.values() for x in one))


def samples_of(panels: dict[str, Series]) -> Samples:
    return [sample for panel in panels.values() for one in panel.values()
            for samples in one.values() for sample in samples]


def draw_dots(drawing: Drawing, panels: dict[str, Series], names: list[str],
              y: float) -> tuple[list[str], float, float]:
    """One panel under the other, a row for each x: parts, width, where it ends."""
    label = CHAR * max(len(x) for x in xs_of(panels)) + 16
    axis = Axis(samples_of(panels), drawing.log, label, label + 420)
    parts = []
    for title, panel in panels.items():
        words = ": ".join(filter(None, (title, drawing.unit)))
        parts.append(text(10, y + 15, words, more=' class="t"'))
        rows = xs_of({title: panel})
        bottom = y + GAP + ROW * len(rows)
        for tick in axis.ticks:
            parts += [line(axis.place(tick), y + GAP - 2, axis.place(tick), bottom, "g"),
                      text(axis.place(tick), bottom + 13, number(tick), "middle")]
        for row, x in enumerate(rows):
            middle = y + GAP + ROW * (row + 0.5)
            parts.append(text(label - 8, middle + 4, x, "end"))
            for name, by_x in panel.items():
                if x in by_x:
                    parts += spread(axis, by_x[x], middle, names.index(name))
        y = bottom + GAP
    return parts, label + 500, y


def spread(axis: Axis, samples: Samples, y: float, series: int) -> list[str]:
    """The range as a line, the median as a mark."""
    ends = line(axis.place(min(samples)), y, axis.place(max(samples)), y, f"l l{series % 8}")
    return [ends, mark(axis.place(statistics.median(samples)), y, series)]


def draw_lines(drawing: Drawing, panels: dict[str, Series], names: list[str],
               y: float) -> tuple[list[str], float, float]:
    """Panels side by side: parts, width, where it ends."""
    wide, high, xs, left = 210, 170, xs_of(panels), 70
    parts = [text(10, y + 15, drawing.unit, more=' class="t"')]
    y += ROW
    axis = Axis(samples_of(panels), drawing.log, y + GAP + high, y + GAP)
    for place, (title, panel) in enumerate(panels.items()):
        begin = left + place * (wide + 20)
        step = wide / max(1, len(xs) - 1)
        parts.append(text(begin + wide, y + 15, title, "end"))
        for tick in axis.ticks:
            parts.append(line(begin, axis.place(tick), begin + wide, axis.place(tick), "g"))
            if place == 0:
                parts.append(text(begin - 6, axis.place(tick) + 4, number(tick), "end"))
        for index, x in enumerate(xs):
            at, under = begin + index * step, y + GAP + high + 12
            parts.append(text(at, under, x, "end",
                              f' transform="rotate(-35 {at:.1f} {under:.1f})"'))
        for name, by_x in panel.items():
            points = [(begin + xs.index(x) * step, axis.place(statistics.median(samples)))
                      for x, samples in by_x.items()]
            series = names.index(name)
            path = "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
            parts.append(f'<path class="l l{series % 8}" d="M{path}"/>')
            parts += [mark(px, py, series) for px, py in points]
    width = max(left + len(panels) * (wide + 20), 20 + 1.2 * CHAR * len(drawing.unit))
    return parts, width, y + GAP + high + 60


def style() -> str:
    """The page's scheme; a viewer that knows none shows the light one."""
    light = "".join(f".s{i}{{fill:{c}}}.l{i}{{stroke:{c}}}" for i, (c, _) in enumerate(COLOURS))
    dark = "".join(f".s{i}{{fill:{c}}}.l{i}{{stroke:{c}}}" for i, (_, c) in enumerate(COLOURS))
    return (f"text{{font:{FONT}px sans-serif;fill:#1f2328}}.t{{font-weight:bold}}.b{{fill:#fff}}"
            f".g{{stroke:#d9dee4;fill:none}}.l{{stroke-width:1.6;fill:none}}{light}"
            "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.b{fill:#0d1117}"
            f".g{{stroke:#30363d}}{dark}}}")


def plot(name: str, values: dict[str, Samples | float]) -> str | None:
    """The SVG of a benchmark; nothing if it has no drawings or no values for them."""
    collected = [(drawing, collect(drawing, values)) for drawing in PLOTS.get(name, [])]
    collected = [(drawing, panels) for drawing, panels in collected if panels]
    if not collected:
        return None
    # One colour for a series, in all drawings.
    names = list(dict.fromkeys(name for _, panels in collected for name in series_of(panels)))
    parts, width, y = [], 0.0, 10.0
    for drawing, panels in collected:
        draw = draw_lines if drawing.kind == "lines" else draw_dots
        more, wide, y = draw(drawing, panels, names, y)
        marks, y = legend(series_of(panels), names, wide, y)
        parts, width, y = parts + more + marks, max(width, wide), y + 10
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {y:.0f}" '
            f'width="{width:.0f}" height="{y:.0f}"><style>{style()}</style>'
            f'<rect class="b" width="100%" height="100%"/>\n' + "\n".join(parts) + "\n</svg>\n")


def main() -> int:
    if len(sys.argv) != 4 or sys.argv[1] not in PLOTS:
        print(f"{__doc__.strip()}\n\nNAME is one of: {', '.join(PLOTS)}", file=sys.stderr)
        return 2
    figures = json.loads(pathlib.Path(sys.argv[2]).read_text("utf-8"))
    drawn = plot(sys.argv[1], figures["values"])
    if drawn is None:
        print(f"bench_plots.py: {sys.argv[2]} has no figures of {sys.argv[1]}", file=sys.stderr)
        return 2
    pathlib.Path(sys.argv[3]).write_text(drawn, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
