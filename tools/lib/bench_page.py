# SPDX-License-Identifier: LGPL-2.1-or-later
"""The page of the benchmarks: prose by hand, with blocks that are made.

A block begins with a line `<!-- bench: NAME -->` and ends with `<!-- end -->`;
what is between is replaced, what is outside stays. The block `missed` collects
the missed targets of all others. Nothing here runs, reads or writes anything.
"""

import dataclasses
import re

BEGIN = re.compile(r"<!-- bench: ([\w-]+) -->")
END = "<!-- end -->"
MISSED = "missed"
# More rows than that are folded away, and more missed targets of one benchmark.
MOST_ROWS, MOST_MISSED = 14, 3
QUICK = "A quick run: it is short, so the figures are rough."


class PageError(Exception):
    """What is wrong with the page, with the line; for the user to read."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a benchmark; `figures` is the JSON that it wrote."""

    name: str
    command: str
    when: str
    seconds: float
    figures: dict
    plot: str | None = None  # where the page finds its drawing
    quick: bool = False


def find_blocks(page: str, known: set[str]) -> dict[str, tuple[int, int]]:
    """For each name the numbers of the lines of its two marks, from 0."""
    blocks: dict[str, tuple[int, int]] = {}
    opened: tuple[str, int] | None = None
    for number, line in enumerate(page.splitlines()):
        begin = BEGIN.fullmatch(line.strip())
        if begin and opened:
            raise PageError(f"line {number + 1}: the block '{opened[0]}' has no '{END}'")
        if begin:
            opened = begin.group(1), number
            if opened[0] not in known | {MISSED}:
                raise PageError(f"line {number + 1}: there is no benchmark '{opened[0]}'; "
                                f"there are {', '.join(sorted(known))}")
            if opened[0] in blocks:
                raise PageError(f"line {number + 1}: a second block '{opened[0]}'")
        elif line.strip() == END:
            if not opened:
                raise PageError(f"line {number + 1}: '{END}' without a block before it")
            blocks[opened[0]] = opened[1], number
            opened = None
        elif line.lstrip().startswith("<!-- bench"):
            raise PageError(f"line {number + 1}: not a mark: {line.strip()}")
    if opened:
        raise PageError(f"line {opened[1] + 1}: the block '{opened[0]}' has no '{END}'")
    return blocks


def replace_blocks(page: str, texts: dict[str, str], known: set[str]) -> str:
    """The page with these texts in the blocks of these names."""
    blocks = find_blocks(page, known)
    for name in texts:
        if name not in blocks:
            raise PageError(f"the page has no block for '{name}': put '<!-- bench: {name} -->' "
                            f"and '{END}' where its figures belong")
    lines = page.splitlines()
    for name, (begin, end) in sorted(blocks.items(), key=lambda block: -block[1][0]):
        if name in texts:
            lines[begin + 1:end] = texts[name].rstrip("\n").splitlines()
    return "\n".join(lines) + "\n"


def machine_text(machine: dict) -> str:
    """One line about the machine, and how much of it others used meanwhile."""
    build = "release build" if machine["build"] == "release" else machine["build"]
    return (f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['kernel']}, {machine['system']}, "
            f"{machine['gstreamer']}, {build}; others used {machine['others-percent']:.0f} % of "
            f"the CPUs, {machine['stolen-percent']:.0f} % was stolen")


def table_text(table: dict) -> str:
    """A table as Markdown, with its title."""
    header, *rows = [[cell.replace("|", r"\|") for cell in row] for row in table["rows"]]
    lines = [header, ["---"] * len(header), *rows]
    return f"**{table['title']}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def target_text(target: dict) -> str:
    relation = next(word for word in ("at most", "at least") if word in target)
    verdict = "met" if target["met"] else "**missed**"
    measured = "none" if target["measured"] is None else f"{target['measured']:.3g}"
    return f"- {verdict}: {target['what']}: {measured}, {relation} {target[relation]:.3g}"


def folded(summary: str, text: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def block_text(run: Run) -> str:
    """What the page says of a run."""
    note = f" {QUICK}" if run.quick else ""
    parts = [f"`{run.command}`, {run.when}, {run.seconds:.0f} s. "
             f"{machine_text(run.figures['machine'])}.{note}"]
    if run.plot:
        parts.append(f"![{run.name}]({run.plot})")
    tables = run.figures["tables"]
    rows = sum(len(table["rows"]) - 1 for table in tables)
    text = "\n\n".join(map(table_text, tables))
    parts.append(folded(f"All figures, {rows} rows", text) if rows > MOST_ROWS else text)
    targets = sorted(run.figures["targets"], key=lambda target: target["met"])
    missed = [target_text(target) for target in targets if not target["met"]]
    met = [target_text(target) for target in targets if target["met"]]
    if missed:
        parts.append("\n".join(missed))
    if met:
        parts.append(folded(f"{len(met)} of {len(targets)} targets met", "\n".join(met)))
    return "\n\n".join(part for part in parts if part)


def missed_of(name: str, block: list[str]) -> list[str]:
    """A line for each of the first missed targets of a block, one for the others."""
    mark = "- **missed**: "
    targets = [line.removeprefix(mark) for line in block if line.startswith(mark)]
    note = " (a quick run)" if any(QUICK in line for line in block) else ""
    said = [f"- *{name}*: {target}{note}" for target in targets[:MOST_MISSED]]
    more = len(targets) - len(said)
    return said + ([f"- *{name}*: and {more} more, in its section{note}"] if more else [])


def missed_text(page: str, known: set[str]) -> str:
    """The missed targets of all blocks of the page, by benchmark."""
    lines = page.splitlines()
    found = [line for name, (begin, end) in find_blocks(page, known).items() if name != MISSED
             for line in missed_of(name, lines[begin + 1:end])]
    return "\n".join(found) or "In the last runs of `tools/bench` no target was missed."


def with_runs(page: str, runs: list[Run], known: set[str]) -> str:
    """The page with the blocks of these runs, and the missed targets collected."""
    page = replace_blocks(page, {run.name: block_text(run) for run in runs}, known)
    return replace_blocks(page, {MISSED: missed_text(page, known)}, known)
