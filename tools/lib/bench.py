#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the benchmarks one after the other and writes their page.

For tools/bench, which builds them first; without --programs it only checks its
arguments and the page. What a benchmark found goes into its block of the page
(bench_page.py) and into a drawing (bench_plots.py). One that fails keeps its
old block. Exit status: 0; 1 if a benchmark failed; 2 for wrong arguments or a
page that cannot be used.
"""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import threading
import time

import bench_page
import bench_plots

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/benchmarks.md"


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """How it is run: in full, and with --quick; about how many seconds that takes."""

    full: str
    quick: str
    seconds: int
    quick_seconds: int


BENCHMARKS = {
    "handoff": Benchmark("", "--frames 5000 --rounds 300 --blocks 5", 15, 2),
    "calm": Benchmark("", "--frames 30", 160, 30),
    "trace": Benchmark("", "--frames 5000 --turns 5", 120, 12),
    "blur": Benchmark("", "--frames 24 --repeats 2", 120, 20),
    "processes": Benchmark("--turns 30", "--turns 3 --frames 50 --paced-turns 1 --paced-frames 10",
                           700, 10),
    "zero": Benchmark("", "--frames 200", 60, 20),
    "worth": Benchmark("", "--rounds 1 --turns 1 --frames 5", 240, 30),
    "scale": Benchmark("", "--frames 400", 260, 15),
    "onset": Benchmark("--turns 3 --flap 5", "--turns 1 --flap 0", 700, 25),
    "memory": Benchmark("", "--frames 5000 --slow-frames 300", 60, 2),
    "pressure": Benchmark("", "--frames 15", 90, 30),
    "soak": Benchmark("", "--frames 20000", 240, 10),
    "live": Benchmark("", "--frames 150 --seeds 1 --case spikes", 100, 6),
    "kill": Benchmark("--kills 300", "--kills 5 --hits 1", 700, 130),
    "flaky": Benchmark("", "--frames 600 --live-frames 600 --every 200", 130, 35),
    "replace": Benchmark("", "--replacements 30", 120, 8),
    "hear": Benchmark("", "--turns 1 --count 50 --frames 60", 30, 4),
    "skip-law": Benchmark("--seeds 20", "--seeds 1", 240, 12),
    "skip": Benchmark("--helpers 1 --seconds 15",
                      "--helpers 1 --seconds 5 --budget 2 --workload contention", 700, 8),
}


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./tools/bench", description="Installs what is missing, builds in build-release, runs "
        "the benchmarks one after the other and writes docs/benchmarks.md and its drawings. Leave "
        "the machine alone meanwhile.")
    parser.add_argument("--quick", action="store_true",
                        help="short runs: minutes in place of an hour and more, rough figures")
    parser.add_argument("--only", metavar="NAME,...", type=names_of, default=list(BENCHMARKS),
                        help="these benchmarks only; the others keep their figures")
    parser.add_argument("--output", metavar="FILE", type=pathlib.Path, default=PAGE,
                        help="write the page there, and drawings into the folder 'benchmarks' "
                        "beside it; docs/benchmarks.md stays as it is")
    parser.add_argument("--list", action="store_true", help="say which there are, and do nothing")
    parser.add_argument("--dry-run", action="store_true",
                        help="list what would be installed, and do nothing")
    parser.add_argument("--programs", type=pathlib.Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def names_of(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in BENCHMARKS:
            raise argparse.ArgumentTypeError(f"there is no benchmark '{name}'; there are "
                                             f"{', '.join(BENCHMARKS)}")
    if not names:
        raise argparse.ArgumentTypeError("name at least one benchmark")
    return [name for name in BENCHMARKS if name in names]


def say_list() -> None:
    for name, benchmark in BENCHMARKS.items():
        print(f"{name:10} about {benchmark.seconds:3} s, quick {benchmark.quick_seconds:2} s  "
              f"{command_of(name, benchmark.full)}")


def command_of(name: str, options: str) -> str:
    return f"bench-{name} {options}".strip()


def environment(programs: pathlib.Path) -> dict[str, str]:
    """That of `meson devenv`, with the elements that only benchmarks and tests have."""
    here = os.environ.get("GST_PLUGIN_PATH", "")
    support = str(programs.parent / "support")
    return {**os.environ, "GST_PLUGIN_PATH": ":".join(filter(None, (support, here)))}


class Progress:
    """Says which benchmark runs; on a terminal also for how long by now."""

    def __init__(self, head: str) -> None:
        self._head, self._begin, self._over = head, time.monotonic(), threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self._thread.start()

    def _tick(self) -> None:
        while sys.stdout.isatty() and not self._over.wait(1):
            print(f"\r{self._head} {self.seconds():.0f} s", end="", flush=True)

    def seconds(self) -> float:
        return time.monotonic() - self._begin

    def finish(self, how: str) -> None:
        self._over.set()
        self._thread.join()
        start = "\r" if sys.stdout.isatty() else ""
        print(f"{start}{self._head} {how}, {self.seconds():.0f} s", flush=True)


def run_one(name: str, quick: bool, head: str, programs: pathlib.Path,
            folder: pathlib.Path) -> bench_page.Run | None:
    """None if it failed; then its last lines are on stderr."""
    options = BENCHMARKS[name].quick if quick else BENCHMARKS[name].full
    figures = folder / f"{name}.json"
    when = datetime.datetime.now().strftime("%Y-%m-%d %H:%M")
    progress = Progress(f"{head} {command_of(name, options)}:")
    try:
        done = subprocess.run([str(programs / f"bench-{name}"), *shlex.split(options), "--json",
                               str(figures)], env=environment(programs), text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, errors="replace")
        status, said = done.returncode, done.stdout
    except OSError as error:
        status, said = -1, str(error)
    seconds = progress.seconds()
    if status != 0 or not figures.exists():
        progress.finish(f"FAILED with status {status}")
        print("\n".join(said.splitlines()[-12:]), file=sys.stderr)
        return None
    progress.finish("done")
    return bench_page.Run(name, command_of(name, options), when, seconds,
                          json.loads(figures.read_text("utf-8")), quick=quick)


def write_page(page: str, runs: list[bench_page.Run], output: pathlib.Path) -> None:
    """The drawings first, so that the page never points at one that is not there."""
    drawings = output.parent / "benchmarks"
    drawings.mkdir(parents=True, exist_ok=True)
    shown = []
    for run in runs:
        drawn = bench_plots.plot(run.name, run.figures["values"])
        if drawn is not None:
            (drawings / f"{run.name}.svg").write_text(drawn, "utf-8")
            run = dataclasses.replace(run, plot=f"benchmarks/{run.name}.svg")
        shown.append(run)
    output.write_text(bench_page.with_runs(page, shown, set(BENCHMARKS)), "utf-8")


def run_all(options: argparse.Namespace, page: str) -> int:
    """After each benchmark the page is written: who interrupts keeps what there is."""
    failed, count = [], len(options.only)
    runs: list[bench_page.Run] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(options.only, 1):
            run = run_one(name, options.quick, f"[{number:2}/{count}]", options.programs,
                          pathlib.Path(folder))
            if run is None:
                failed.append(name)
                continue
            runs.append(run)
            write_page(page, runs, options.output)
    if runs:
        print(f"Written: {options.output}")
    if failed:
        print(f"tools/bench: failed: {', '.join(failed)}; the page keeps what it had of "
              "them", file=sys.stderr)
    return 1 if failed else 0


def main() -> int:
    options = parse(sys.argv[1:])
    if options.list:
        say_list()
        return 0
    try:
        page = PAGE.read_text("utf-8")
        marks = {name: "" for name in (*options.only, bench_page.MISSED)}
        bench_page.replace_blocks(page, marks, set(BENCHMARKS))
    except (OSError, bench_page.PageError) as error:
        print(f"tools/bench: {PAGE}: {error}", file=sys.stderr)
        return 2
    return run_all(options, page) if options.programs else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
