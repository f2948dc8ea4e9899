# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page: tables and figures as HTML, what the charts draw as columns of numbers.

For: one file that opens without a network. All that comes from a trace is escaped, here and
nowhere else: as HTML by escape(), as data by embedded().
"""

import dataclasses
import html
import json
import pathlib
import re
from typing import Any, Iterable, Optional

from . import extras, figures, ledger, sentences
from .ledger import OUTCOMES
from .trace import ACTIONS, Element, Frame, Slice, Trace

HERE = pathlib.Path(__file__).resolve().parent
WORST = 12
SLICE_KINDS = {"hand-over-time": 0, "service-time": 1}


@dataclasses.dataclass
class Run:
    title: str
    trace: Trace
    pictures: dict[int, str]


def escape(value: Any) -> str:
    return html.escape(str(value))


def embedded(value: Any) -> str:
    """JSON that no script element ends in, whatever the names in it are."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def filled(template: str, parts: dict[str, str]) -> str:
    """Puts parts in; what stands in a part is not looked at again."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def asset(name: str) -> str:
    return (HERE / name).read_text("utf-8")


# --- Words and figures --------------------------------------------------------------------------


def ms(nanoseconds: Optional[int]) -> str:
    return "–" if nanoseconds is None else sentences.milliseconds(nanoseconds)


def share(count: int, total: int) -> str:
    """In percent, never 0 or 100 for what is not quite."""
    if not total or count in (0, total):
        return "100 %" if total and count == total else "0 %"
    percent = 100 * count / total
    for digits in (1, 2, 3):
        text = f"{percent:.{digits}f}"
        if float(text) not in (0.0, 100.0):
            return f"{text} %"
    return "< 0.001 %" if percent < 50 else "> 99.999 %"


def span(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e9:.1f} s"


def verdict(of: figures.Figures) -> tuple[str, str]:
    """How the budget was held, in one figure and the words under it."""
    if not of.has_due_times:
        return ms(of.latency(50)), "median latency; no frame had a due time, none could be late"
    dropped = of.outcomes["dropped"]
    rest = f"{of.late} of {of.frames} late"
    if dropped:
        rest += f", {dropped} dropped"
    within = "" if of.budget is None else f" within {ms(of.budget)}"
    if not of.is_budget_fixed:
        within += " (median)"
    return share(of.on_time, of.frames), f"on time{within}: {rest}"


def summary(runs: list[Run]) -> extras.Table:
    """The table of several runs, where nobody made one."""
    all_of = [figures.figures(run.trace.main()) for run in runs]
    lines = [("frames", [str(of.frames) for of in all_of]),
             ("on time", [share(of.on_time, of.frames) for of in all_of]),
             ("late", [share(of.late, of.frames) for of in all_of])]
    lines += [(f"late by, {name}", [ms(of.late_by(percent)) for of in all_of])
              for name, percent in (("p50", 50), ("p99", 99), ("most", 100))]
    lines += [(label, [share(of.outcomes[outcome], of.frames) for of in all_of])
              for outcome, label in OUTCOMES.items() if any(of.outcomes[outcome] for of in all_of)]
    lines.append(("full stage, on time", [share(of.full_on_time, of.frames) for of in all_of]))
    places = dict.fromkeys(run.trace.main().label for run in runs)
    return extras.Table([run.title for run in runs], lines, f"Counted at {', '.join(places)}.")


# --- HTML ---------------------------------------------------------------------------------------


def rows(cells: Iterable[Iterable[str]], tag: str = "td") -> str:
    """Rows of cells that are HTML already; the first of each is its head."""
    lines = []
    for first, *rest in cells:
        lines.append(f'<tr><th scope="row">{first}</th>'
                     + "".join(f"<{tag}>{cell}</{tag}>" for cell in rest) + "</tr>")
    return "\n".join(lines)


def head(cells: Iterable[str]) -> str:
    return "<thead><tr>" + "".join(f'<th scope="col">{c}</th>' for c in cells) + "</tr></thead>"


def scrolling(table: str, kind: str = "") -> str:
    return f'<div class="scroll" tabindex="0"><table class="{kind}">{table}</table></div>'


def bar(of: figures.Figures) -> str:
    """What left, as shares of one bar."""
    parts = "".join(f'<i class="{outcome}" style="flex-grow:{of.outcomes[outcome]}" '
                    f'title="{label}: {of.outcomes[outcome]}"></i>'
                    for outcome, label in OUTCOMES.items() if of.outcomes[outcome])
    words = ", ".join(f"{label} {share(of.outcomes[outcome], of.frames)}"
                      for outcome, label in OUTCOMES.items() if of.outcomes[outcome])
    return f'<div class="bar" role="img" aria-label="{escape(words)}">{parts}</div>' \
           f'<p class="words">{escape(words)}</p>'


def card(run: Run, is_alone: bool) -> str:
    of = figures.figures(run.trace.main())
    figure, words = verdict(of)
    tone = "" if of.late + of.outcomes["dropped"] == 0 else " missed"
    budget = "" if not of.has_due_times else (
        f'<div class="bar thin" aria-hidden="true"><i class="kept" style="flex-grow:{of.on_time}">'
        f'</i><i class="late" style="flex-grow:{of.late}"></i><i class="dropped" '
        f'style="flex-grow:{of.outcomes["dropped"]}"></i></div>')
    latency = "latency " + ", ".join(f"{name} {ms(of.latency(percent))}" for name, percent in
                                     (("p50", 50), ("p99", 99), ("most", 100)))
    return f"""<article class="card{tone}">
{"" if is_alone else f"<h3>{escape(run.title)}</h3>"}
<p class="figure">{figure}</p>
<p class="words">{escape(words)}, at {escape(run.trace.main().label)}</p>
{budget}
{bar(of)}
<p class="words">{escape(latency)}</p>
</article>"""


def table(of: extras.Table) -> str:
    body = rows([[escape(label), *map(escape, values)] for label, values in of.rows])
    note = f'<p class="words">{escape(of.note)}</p>' if of.note else ""
    return scrolling(head(["", *map(escape, of.columns)]) + f"<tbody>{body}</tbody>",
                     "summary") + note


def glance(runs: list[Run], made: Optional[extras.Table]) -> str:
    cards = '<div class="cards">' + "".join(card(run, len(runs) == 1) for run in runs) + "</div>"
    if made is None and len(runs) > 1:
        made = summary(runs)
    return cards + (table(made) if made else "")


def picture(run: Run, number: int) -> str:
    source = run.pictures.get(number)
    element = run.trace.main()
    frame = next((f for f in element.frames if f.sequence == number), None)
    said = f"{OUTCOMES[frame.outcome]}" if frame else "not in the trace"
    if frame and frame.action != "dropped":
        said += f", {ms(frame.latency)}"
    mark = ("late" if frame.late else frame.outcome) if frame else "dropped"
    image = '<div class="nothing">no picture</div>'
    if source:
        image = f'<img src="{escape(source)}" alt="{escape(run.title)}, frame {number}">'
    return (f'<figure>{image}<figcaption><i class="dot {mark}"></i>{escape(said)}'
            "</figcaption></figure>")


def gallery(runs: list[Run]) -> str:
    """Frames of the same number beside each other."""
    shown = [run for run in runs if run.pictures]
    if not shown:
        return ""
    numbers = sorted({number for run in shown for number in run.pictures})
    cells = ["<div></div>", *(f"<h3>{escape(run.title)}</h3>" for run in shown)]
    for number in numbers:
        cells.append(f'<div class="number">frame<br><b>{number}</b></div>'
                     + "".join(picture(run, number) for run in shown))
    return (f'<section><h2>Some frames</h2><div class="scroll" tabindex="0"><div class="gallery" '
            f'style="--runs:{len(shown)}">' + "\n".join(cells) + "</div></div></section>")


def compared(runs: list[Run]) -> str:
    """The main charts of several runs below each other."""
    if len(runs) == 1:
        return ""
    charts = [chart(f"{place}.{run.trace.elements.index(run.trace.main())}", "latency", run.title)
              for place, run in enumerate(runs)]
    return f"<section><h2>Latency, on one scale</h2>{''.join(charts)}</section>"


def ledger_table(trace: Trace, element: Element) -> str:
    of = ledger.ledger(trace, element)
    outcomes = [key for key in OUTCOMES if any(line[key] for _, line in of.lines)]
    body = rows([f"<code>{escape(cause)}</code> <small>{escape(ledger.MEANINGS.get(cause, ''))}"
                 "</small>", *(str(line[key] or "") for key in outcomes),
                 f"<b>{sum(line.values())}</b>"] for cause, line in of.lines)
    foot = rows([["all", *(str(sum(line[key] for _, line in of.lines)) for key in outcomes),
                  f"<b>{of.total}</b>"]])
    names = [f'<i class="dot {key}"></i>{OUTCOMES[key]}' for key in outcomes]
    state = "" if of.adds_up() else " wrong"
    notes = [of.note] if of.adds_up() else ["This trace does not add up.", *of.wrongs]
    said = "".join(f'<p class="words{state}">{escape(note)}</p>' for note in notes)
    return "<h4>Ledger of causes</h4>" + scrolling(
        head(["cause", *names, "frames"]) + f"<tbody>{body}</tbody><tfoot>{foot}</tfoot>",
        "ledger") + said


def worst_row(place: str, trace: Trace, frame: Frame) -> list[str]:
    margin = frame.margin
    late = "–" if margin is None else f'{-margin / 1e6:+.1f} ms'.replace("-", "−")
    parts = [ms(frame.parts[part]) if part in frame.parts else ""
             for part in ("queue-time", "hand-over-time", "service-time", "reorder-time")]
    mark = "late" if frame.late else frame.outcome
    return [f'<button type="button" class="ask" data-at="{place}.{frame.sequence}">'
            f"{frame.sequence}</button>", span(frame.arrival - trace.start),
            f'<i class="dot {mark}"></i>{OUTCOMES[frame.outcome]}', late, ms(frame.latency), *parts,
            f"<code>{escape(frame.cause)}</code>"]


def worst_table(place: str, trace: Trace, element: Element) -> str:
    frames = figures.worst(element, WORST)
    if not frames:
        return ""
    has_parts = any(frame.parts for frame in element.frames)
    names = ["frame", "at", "left", "after due", "latency", "queue", "hand-over", "service",
             "reorder", "cause"]
    lines = [worst_row(place, trace, frame) for frame in frames]
    if not has_parts:
        names[5:9] = []
        lines = [line[:5] + line[9:] for line in lines]
    return "<h4>Worst frames</h4>" + scrolling(
        head(names) + f"<tbody>{rows(lines)}</tbody>", "worst")


def percentile_line(of: figures.Figures) -> str:
    if not of.latencies:
        return ""
    said = [f"p{percent:g} <b>{ms(of.latency(percent))}</b>" for percent in figures.PERCENTILES]
    return '<p class="words">' + " · ".join([*said, f"most <b>{ms(of.latency(100))}</b>"]) + "</p>"


def due_line(element: Element) -> str:
    """What its due times are made of, as it said last."""
    last = element.due_inputs[-1] if element.due_inputs else {}
    upstream, budget, total, reserve = (last.get(name) or 0 for name in
                                        ("upstream", "budget", "total", "reserve"))
    if not budget:
        return ""
    said = f"Due {ms(upstream)} (upstream) and {ms(budget)} (its budget) after the capture"
    if total:
        said += f", of {ms(total)} that the pipeline has"
    if reserve:
        said += f"; {ms(reserve)} are kept for the transit downstream"
    return f'<p class="words">{escape(said)}.</p>'


def chart(place: str, kind: str, title: str) -> str:
    return (f'<div class="chart" data-kind="{kind}" data-at="{place}"><div class="caption"><h4>'
            f'{escape(title)}</h4><output></output></div><div class="plot"></div></div>')


def element_block(place: str, run: Run, element: Element) -> str:
    of = figures.figures(element)
    is_told = element.kind not in ("", element.label)
    kind = f" <small>{escape(element.kind)}</small>" if is_told else ""
    latency = "From the camera to the viewer" if element.is_viewer() else "Latency"
    left = "What was shown" if element.is_viewer() else "What left"
    charts = [chart(place, "latency", latency), chart(place, "left", left)]
    if element.workers:
        charts.append(chart(place, "workers", "Workers"))
    _, words = verdict(of)
    told = [d for d in element.decisions if d.name not in ACTIONS]
    messages = "" if not told else (
        f'<details class="messages" data-at="{place}"><summary>What it told in messages '
        f"({len(told)})</summary><div></div></details>")
    return f"""<article class="element">
<h3>{escape(element.label)}{kind}</h3>
<p class="words">{share(of.on_time, of.frames)} {escape(words)}</p>{due_line(element)}
{"".join(charts)}
<div class="pair">
<div>{chart(place, "spread", "Distribution of latency")}{percentile_line(of)}</div>
<div>{ledger_table(run.trace, element)}</div></div>
{worst_table(place, run.trace, element)}
{messages}
</article>"""


def alarms(trace: Trace) -> str:
    said = []
    if trace.broken_lines:
        said.append(f"{len(trace.broken_lines)} lines of the trace could not be read and are left "
                    f"out; the first is line {trace.broken_lines[0]}.")
    if trace.lost:
        said.append(f"{trace.lost} events were lost: the tracer could not write as fast.")
    if trace.is_cut:
        said.append("The last line of the trace is cut off, as a crash leaves it.")
    return "".join(f'<p class="words wrong">{escape(line)}</p>' for line in said)


def section(place: int, run: Run, is_alone: bool) -> str:
    elements = sorted(enumerate(run.trace.elements), key=lambda item: not item[1].is_viewer())
    blocks = "\n".join(element_block(f"{place}.{number}", run, element)
                       for number, element in elements)
    length = span(run.trace.end - run.trace.start)
    title = "" if is_alone else f"<h2>{escape(run.title)}</h2>"
    return f"""<section class="run">{title}
<p class="words">{escape(pathlib.Path(run.trace.path).name)}, {length}</p>{alarms(run.trace)}
{blocks}</section>"""


# --- Data ---------------------------------------------------------------------------------------


def steps(values: Iterable[int]) -> list[int]:
    """Each as its distance from the one before: shorter numbers."""
    before, found = 0, []
    for value in values:
        found.append(value - before)
        before = value
    return found


def micro(nanoseconds: int) -> int:
    return round(nanoseconds / 1000)


def pieces_of(answers: sentences.Answers, frame: Frame) -> list[list[Any]]:
    return [[sentences.NAMES.index(name), *values] for name, *values in answers.answer(frame)]


def element_data(trace: Trace, element: Element) -> dict[str, Any]:
    answers = sentences.Answers(trace, element)
    frames, budget = element.frames, figures.figures(element).budget
    outcomes = list(OUTCOMES)
    return {
        "label": element.label,
        "main": element is trace.main(),
        "budget": None if budget is None else micro(budget),
        "sequence": steps(frame.sequence for frame in frames),
        "time": steps(micro(frame.arrival - trace.start) for frame in frames),
        "latency": [micro(frame.latency) for frame in frames],
        "had": [None if frame.due is None else micro(frame.due - frame.arrival)
                for frame in frames],
        "outcome": [outcomes.index(frame.outcome) for frame in frames],
        "level": [frame.level or 0 for frame in frames],
        "late": [place for place, frame in enumerate(frames) if frame.late],
        "why": [pieces_of(answers, frame) for frame in frames],
        "workers": [worker_data(trace, number, slices)
                    for number, slices in element.workers.items()],
        "told": [[micro(d.time - trace.start), told_text(d.name, d.args)]
                 for d in element.decisions if d.name not in ACTIONS],
    }


def told_text(name: str, args: dict[str, Any]) -> str:
    return name + ": " + ", ".join(f"{key} {value}" for key, value in args.items())


def worker_data(trace: Trace, number: int, slices: list[Slice]) -> dict[str, Any]:
    return {
        "name": f"worker {number}",
        "start": steps(micro(job.start - trace.start) for job in slices),
        "duration": [micro(job.duration) for job in slices],
        # Bit 0: service, not hand-over; bit 1: discarded; above: the level.
        "kind": [SLICE_KINDS[job.name] + 2 * job.is_discarded + 4 * job.level for job in slices],
        "sequence": steps(job.sequence or 0 for job in slices),
    }


def data(runs: list[Run]) -> dict[str, Any]:
    return {
        "templates": list(sentences.TEMPLATES.values()),
        "noFrame": sentences.NAMES.index("no-frame"),
        "outcomes": list(OUTCOMES.items()),
        "runs": [{
            "title": run.title,
            "span": micro(run.trace.end - run.trace.start),
            "elements": [element_data(run.trace, element) for element in run.trace.elements],
            "load": {"time": steps(micro(time - run.trace.start) for time, _ in run.trace.load),
                     "value": [value for _, value in run.trace.load]},
        } for run in runs],
    }


def page(runs: list[Run], heading: str, note: str, made: Optional[extras.Table]) -> str:
    heading = heading or " · ".join(run.title for run in runs)
    return filled(asset("page.html"), {
        "heading": escape(heading),
        "note": f'<p class="note">{escape(note)}</p>' if note else "",
        "glance": glance(runs, made),
        "compared": compared(runs),
        "gallery": gallery(runs),
        "sections": "\n".join(section(place, run, len(runs) == 1)
                              for place, run in enumerate(runs)),
        "style": asset("vendor/uPlot.min.css") + asset("page.css"),
        "licence": asset("vendor/LICENSE").replace("--", "- -"),
        "plotting": asset("vendor/uPlot.iife.min.js"),
        "script": asset("page.js"),
        "data": embedded(data(runs)),
    })
