# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of the runs, for a terminal."""

import json
from typing import Callable

from tally import BYPASSED, CHEAPER, FULL, Tally, percentile

Cell = Callable[[Tally], str]


def _ms(share: float) -> Cell:
    return lambda tally: f"{percentile(tally.latencies, share) / 1e6:.0f} ms"


def _frames(count: Callable[[Tally], int]) -> Cell:
    return lambda tally: f"{count(tally)}"


def _share(count: Callable[[Tally], int]) -> Cell:
    return lambda tally: f"{count(tally)} ({count(tally) / max(tally.sent, 1):.1%})"


ROWS: tuple[tuple[str, Cell], ...] = (
    ("frames sent", _frames(lambda t: t.sent)),
    ("on time", _share(lambda t: t.all_on_time())),
    ("  on time, full effect", _frames(lambda t: t.on_time.get(FULL, 0))),
    ("  on time, cheaper", _frames(lambda t: t.on_time.get(CHEAPER, 0))),
    ("  on time, bypassed", _frames(lambda t: t.on_time.get(BYPASSED, 0))),
    ("late", _share(lambda t: t.all_late())),
    ("  late, full effect", _frames(lambda t: t.late.get(FULL, 0))),
    ("  late, cheaper", _frames(lambda t: t.late.get(CHEAPER, 0))),
    ("  late, bypassed", _frames(lambda t: t.late.get(BYPASSED, 0))),
    ("dropped", _share(lambda t: t.dropped)),
    ("capture to screen, p50", _ms(0.5)),
    ("capture to screen, p99", _ms(0.99)),
    ("capture to screen, max", _ms(1.0)),
    ("picture frozen", lambda t: f"{t.frozen / 1e9:.2f} s"),
    ("longest freeze", lambda t: f"{t.longest_freeze / 1e9:.2f} s"),
)


def describe(runs: list[tuple[str, Tally]]) -> str:
    """The runs beside each other."""
    lines = [f"  {'':23}" + "".join(f"{name:>20}" for name, _ in runs)]
    for title, cell in ROWS:
        lines.append(f"  {title:23}" + "".join(f"{cell(tally):>20}" for _, tally in runs))
    return "\n".join(lines)


def as_json(runs: list[tuple[str, Tally]], note: str) -> str:
    """The same for the report."""
    rows = [{"label": title.strip(), "values": [cell(tally) for _, tally in runs]}
            for title, cell in ROWS]
    return json.dumps({"columns": [name for name, _ in runs], "rows": rows, "note": note})
