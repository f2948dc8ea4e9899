# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line of gst-dispatch-report."""

import argparse
import pathlib
import sys
from typing import Optional

from . import extras, ledger, page, sentences, trace

USAGE = """\
gst-dispatch-report [options] TRACE... [-o page.html]
       gst-dispatch-report why NUMBER TRACE [--element NAME]"""


def report_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gst-dispatch-report", usage=USAGE,
        description="Makes one self-contained HTML page out of traces (GST_TRACERS=\"dispatch\"), "
                    "or says why a frame left as it did.")
    parser.add_argument("traces", metavar="TRACE", nargs="+")
    parser.add_argument("-o", "--output", default="report.html", metavar="PAGE",
                        help="where the page goes (default: %(default)s)")
    parser.add_argument("--title", action="append", default=[], metavar="NAME",
                        help="of the first trace, and again for each one after it")
    parser.add_argument("--pictures", action="append", default=[], metavar="DIR",
                        help="JPEG or PNG files named by frame number (000412.jpg), of the first "
                             "trace, and again for each one after it; '' for none")
    parser.add_argument("--heading", default="", metavar="TEXT", help="of the page")
    parser.add_argument("--note", default="", metavar="TEXT", help="how it was made")
    parser.add_argument("--table", default="", metavar="FILE",
                        help="JSON of a table to show instead of the one made from the traces")
    return parser


def why_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gst-dispatch-report why", description="Says why a frame left as it did.")
    parser.add_argument("number", metavar="NUMBER", type=int, help="the frame's sequence number")
    parser.add_argument("trace", metavar="TRACE")
    parser.add_argument("--element", metavar="NAME", help="default: all that had such a frame")
    return parser


def warn(text: str) -> None:
    print(f"gst-dispatch-report: {text}", file=sys.stderr)


def read(path: str) -> trace.Trace:
    """Reads a trace and says what could not be read of it."""
    run = trace.read(path)
    if run.broken_lines:
        warn(f"{path}: {len(run.broken_lines)} lines could not be read and are left out, the "
             f"first is line {run.broken_lines[0]}.")
    if run.is_cut:
        warn(f"{path}: the last line is cut off.")
    return run


def why(words: list[str]) -> int:
    arguments = why_parser().parse_args(words)
    run = read(arguments.trace)
    elements = [run.element(arguments.element)] if arguments.element else run.elements
    having = [element for element in elements
              if any(frame.sequence == arguments.number for frame in element.frames)]
    for element in having or elements[-1:]:
        answers = sentences.Answers(run, element)
        print(sentences.text_of(answers.answer(answers.frame(arguments.number))))
    return 0


def check_output(arguments: argparse.Namespace) -> None:
    """A page must not take the place of what it is made of."""
    output = pathlib.Path(arguments.output)
    for path in arguments.traces:
        if output.exists() and pathlib.Path(path).exists() and output.samefile(path):
            raise extras.ExtraError(f"-o {arguments.output} is the trace itself; give the page "
                                    "another name")


def runs_of(arguments: argparse.Namespace) -> list[page.Run]:
    count = len(arguments.traces)
    for name in ("title", "pictures"):
        if len(getattr(arguments, name)) > count:
            raise extras.ExtraError(f"--{name} is there {len(getattr(arguments, name))} times for "
                                    f"{count} traces")
    titles = arguments.title + [pathlib.Path(path).stem
                                for path in arguments.traces[len(arguments.title):]]
    folders = arguments.pictures + [""] * (count - len(arguments.pictures))
    return [page.Run(title, read(path), extras.pictures(folder))
            for title, path, folder in zip(titles, arguments.traces, folders)]


def report(words: list[str]) -> int:
    arguments = report_parser().parse_intermixed_args(words)
    check_output(arguments)
    table: Optional[extras.Table] = extras.table(arguments.table) if arguments.table else None
    runs = runs_of(arguments)
    text = page.page(runs, arguments.heading, arguments.note, table)
    try:
        pathlib.Path(arguments.output).write_text(text, "utf-8")
    except OSError as error:
        raise extras.ExtraError(f"cannot write {arguments.output}: {error.strerror}") from error
    wrongs = [f"{run.trace.path}: {wrong}" for run in runs for element in run.trace.elements
              for wrong in ledger.ledger(run.trace, element).wrongs]
    for wrong in wrongs:
        warn(wrong)
    print(f"{arguments.output}: {len(text.encode()) / 1e6:.1f} MB, "
          f"{sum(len(e.frames) for run in runs for e in run.trace.elements)} frames")
    return 1 if wrongs else 0


def main(words: list[str]) -> int:
    """Exit status: 0; 1, the page is made but a trace does not add up; 2, bad input."""
    try:
        return why(words[1:]) if words[:1] == ["why"] else report(words)
    except (trace.TraceError, extras.ExtraError) as error:
        warn(str(error))
        return 2
