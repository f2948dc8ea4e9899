#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One leg of a video call, three times on this machine: plain, with leaky queues
and QoS, and with the elements of this project. tools/demo installs and builds
what it needs, and calls it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pipelines
import search
import table
import trace
from children import ChildFailed
from progress import Progress
from run import Call, Plan, Setting
from tally import Tally

REPORT = Path(__file__).resolve().parent.parent / "gst-dispatch-report"
START_AND_END = 2.0  # seconds that a run takes beside the call itself


@dataclass(frozen=True)
class Lengths:
    """How long everything is, in seconds."""
    run: float
    trial: float   # for the load
    search: float  # for each candidate
    candidates: tuple[pipelines.Leaky, ...]

    def all(self) -> float:
        """What the demo takes if the first load is enough."""
        return (self.run + START_AND_END) * 3 + (self.trial + START_AND_END) + (
            self.search + START_AND_END) * len(self.candidates)


FULL_LENGTH = Lengths(40, 9, 7, search.CANDIDATES)
QUICK_LENGTH = Lengths(7.5, 4.5, 3.5, search.CANDIDATES[:search.QUICK_CANDIDATES])


@dataclass(frozen=True)
class Result:
    """One run that is over."""
    way: pipelines.Way
    video: Path
    trace: Path
    tally: Tally


class Demo:
    """The steps, one after the other."""

    def __init__(self, arguments: argparse.Namespace, lengths: Lengths, scratch: Path) -> None:
        self._lengths = lengths
        self._folder = arguments.output_dir
        self._scratch = scratch
        self._progress = Progress(lengths.all())
        self._setting = Setting(arguments.program, arguments.video, self._progress.show)
        self._plan = Plan.in_thirds(lengths.run, 0)  # until the load is known

    def run(self) -> list[Result]:
        """All of it."""
        load = self._find_load()
        leaky = self._find_leaky(load)
        self._plan = Plan.in_thirds(self._lengths.run, load)
        ways = (pipelines.PLAIN, leaky.way(), pipelines.DISPATCH)
        return [self._run_way(way, self._plan) for way in ways]

    def describe(self) -> str:
        """How the figures were made, in a sentence or two."""
        plan = self._plan
        return (f"A frame is on time if it is seen {pipelines.BUDGET_NS // 1000000} ms after its "
                f"capture at the latest; {plan.load} processes want the CPUs from "
                f"{plan.load_from:.0f} s to {plan.load_until:.0f} s of {plan.seconds():g} s.")

    def _find_load(self) -> int:
        """The least load under which the plain run is late enough."""
        say = self._progress.say
        seconds = self._lengths.trial
        say("The load: processes that keep a CPU busy, in the middle third. As many as it takes:")
        for strength in search.STRENGTHS:
            load = strength * len(os.sched_getaffinity(0))
            self._progress.begin("trying the load", seconds + START_AND_END)
            late = search.try_load(self._setting, seconds, load, self._scratch / f"load{load}")
            say(f"  {load} processes: {late:.0%} of the plain run's frames are late")
            if late > search.MUST_BE_LATE + search.MARGIN:
                return load
            self._progress.lengthen(seconds + START_AND_END)
        raise search.NoLoad(
            f"not even {load} processes make the plain run late: this machine is too fast for the "
            "effects of the demo")

    def _find_leaky(self, load: int) -> pipelines.Leaky:
        """The leaky queues that show most frames on time while there is load."""
        say = self._progress.say
        seconds = self._lengths.search
        say(f"Leaky queues and QoS: {len(self._lengths.candidates)} ways, {seconds:g} s each, "
            "with load. Frames on time:")
        tried = []
        for leaky in self._lengths.candidates:
            self._progress.begin("trying leaky queues", seconds + START_AND_END)
            folder = self._scratch / f"leaky{len(tried)}"
            tried.append(search.try_leaky(self._setting, seconds, load, leaky, folder))
        best = max(tried, key=lambda one: one.tally.all_on_time())
        for one in tried:
            say(f"  {one.tally.all_on_time():4} of {one.tally.sent}, {one.tally.all_late():3} late"
                f"   {one.leaky.describe()}{'   <- taken' if one is best else ''}")
        return best.leaky

    def _run_way(self, way: pipelines.Way, plan: Plan) -> Result:
        self._progress.begin(way.name, plan.seconds() + START_AND_END)
        folder = self._scratch / way.key
        call = Call(self._setting, way, plan, folder)
        video = self._folder / f"{way.key}.mp4"
        try:
            call.run()
        finally:
            keep(folder / "seen.mp4", video)
        frames = call.frames()
        if way.elements:
            trace.learn_effects(frames, folder / "trace.json", way.elements)
        trace.append(folder / "trace.json",
                     trace.viewer_events(frames, call.load_changes, way.name))
        kept_trace = self._folder / f"{way.key}.json"
        keep(folder / "trace.json", kept_trace)
        return Result(way, video, kept_trace, search.tally_of(frames))


def keep(made: Path, path: Path) -> None:
    """Under its own name, also where the run was stopped."""
    if made.exists():
        os.replace(made, path)


def save_pictures(program: str, results: list[Result], folder: Path) -> list[Path]:
    """What each viewer saw at the same moments: before, during and after the load."""
    frames = results[0].tally.sent
    numbers = [str(round(frames * share)) for share in (0.17, 0.4, 0.5, 0.6, 0.83)]
    folders = []
    for result in results:
        pictures = folder / f"{result.way.key}-pictures"
        pictures.mkdir()
        subprocess.run([program, "pictures", str(result.video), str(pictures)] + numbers,
                       check=True)
        folders.append(pictures)
    return folders


def make_report(results: list[Result], pictures: list[Path], note: str, page: Path,
                scratch: Path) -> None:
    """The page with the runs beside each other."""
    table_file = scratch / "table.json"
    table_file.write_text(table.as_json([(r.way.name, r.tally) for r in results], note),
                          encoding="utf-8")
    command = [sys.executable, str(REPORT), "--heading", "One leg of a call, three times",
               "--table", str(table_file), "-o", str(page)]
    for result, folder in zip(results, pictures):
        command += ["--title", result.way.name, "--pictures", str(folder), str(result.trace)]
    subprocess.run(command, check=True)


def describe_machine() -> str:
    """For whoever reads the figures elsewhere."""
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{model}, {len(os.sched_getaffinity(0))} CPUs, Linux {os.uname().release}"


def check(results: list[Result]) -> bool:
    """Whether the comparison counts."""
    late = results[0].tally.late_share()
    if late > search.MUST_BE_LATE:
        return True
    print(f"demo: only {late:.1%} of the plain run's frames were late, which has to be more than "
          f"{search.MUST_BE_LATE:.0%}: this run does not count. Was the machine busier before?",
          file=sys.stderr)
    return False


def default_folder() -> Path:
    """In the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "gst-dispatch" / "call"


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", help="a video file")
    parser.add_argument("--program", required=True, help="gst-dispatch-call, built")
    parser.add_argument("--quick", action="store_true", help="short runs, under a minute in all")
    parser.add_argument("--seconds", type=float, help="the length of each of the three runs")
    parser.add_argument("--output-dir", type=Path, default=default_folder(),
                        help="where videos, traces and the report go (default: %(default)s)")
    arguments = parser.parse_args()
    if not Path(arguments.video).is_file():
        parser.error(f"no such file: {arguments.video}")
    if arguments.seconds is not None and not 3 <= arguments.seconds <= 600:
        parser.error("--seconds is from 3 to 600")
    return arguments


def lengths_of(arguments: argparse.Namespace) -> Lengths:
    """As the command line has it."""
    lengths = QUICK_LENGTH if arguments.quick else FULL_LENGTH
    if arguments.seconds is None:
        return lengths
    return Lengths(arguments.seconds, lengths.trial, lengths.search, lengths.candidates)


def show(arguments: argparse.Namespace, scratch: Path) -> bool:
    """Runs it, and tells what was seen."""
    demo = Demo(arguments, lengths_of(arguments), scratch)
    results = demo.run()
    print(f"\n{table.describe([(result.way.name, result.tally) for result in results])}\n\n"
          f"  {describe_machine()}")
    page = arguments.output_dir / "call.html"
    pictures = save_pictures(arguments.program, results, scratch)
    make_report(results, pictures, f"{demo.describe()} {describe_machine()}.", page, scratch)
    print(f"\nThe videos and traces are in {arguments.output_dir}\n"
          f"The three runs side by side: xdg-open {page}")
    return check(results)


def main() -> int:
    """The status for the shell."""
    arguments = read_arguments()
    arguments.output_dir.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="run.", dir=arguments.output_dir))
    try:
        return 0 if show(arguments, scratch) else 1
    except (ChildFailed, search.NoLoad, OSError, subprocess.CalledProcessError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndemo: stopped", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
