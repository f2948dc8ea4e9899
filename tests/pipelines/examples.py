#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs every example as examples/README.md says.

usage: examples.py SOURCE_ROOT BUILD_ROOT COMPILER

The first table of that page says how each example is run, the second one what
its last line is, with other numbers. Where the build folder stands in a
command, BUILD_ROOT is taken; the environment has to be that of `meson devenv`
already. The block at the end is for an installed package: its commands run in
an empty folder, with COMPILER for the compiler. An example passes if it exits
with 0, says nothing that is wrong, and ends with that line. One in Python is
skipped where Debian's Python has no gi. Every file has to be in the tables and
to be below 80 lines. Prints TAP.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

import launch_lines

LINES = 80
IN_BUILD = "meson devenv -C builddir "
ENDINGS = {".cpp", ".py", ".sh"}


def rows_of(page: str) -> list[list[str]]:
    """The cells of all rows of all tables."""
    rows = [line[1:].rstrip(" |") for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.split("|")] for row in rows]


def read_page(page: str) -> tuple[list[tuple[str, str]], dict[str, str], list[str]]:
    """Pairs of example and command; the last lines; the commands at the end."""
    commands, lasts, name = [], {}, ""
    for first, *_, cell in rows_of(page):
        code = re.fullmatch(r"`(.*)`", cell)
        if code and code.group(1).startswith(IN_BUILD):
            name = re.sub(r"\[(.*)\]\(.*\)", r"\1", first) or name
            commands.append((name, code.group(1)))
        elif code:
            lasts[first] = code.group(1)
    block = re.search(r"^```sh\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return commands, lasts, block.group(1).splitlines() if block else []


def is_alike(line: str, sample: str) -> bool:
    """Whether it is the same line, with other numbers."""
    return re.sub(r"\d+", "N", line) == re.sub(r"\d+", "N", sample)


def wrongs_of(command: str, folder: str, last: str | None) -> list[str]:
    """Why a command does not pass; empty if it does."""
    done = subprocess.run(["bash", "-c", command], cwd=folder, text=True, errors="replace",
                          timeout=launch_lines.PATIENCE_SECONDS, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = done.stdout.splitlines()
    wrongs = list(launch_lines.wrongs_in(done.stdout))
    if done.returncode != 0:
        wrongs.append(f"It exits with {done.returncode}.")
    if last is not None and not (said and is_alike(said[-1], last)):
        wrongs.append(f"It does not end with a line like: {last}")
    return [*wrongs, *said[-10:]] if wrongs else []


def wrongs_of_files(folder: pathlib.Path, names: set[str], lasts: dict[str, str]) -> list[str]:
    """What is wrong with the files, and with what the tables say of them."""
    files = {path.name: path for path in folder.iterdir() if path.suffix in ENDINGS}
    wrongs = [f"{name} is not in both tables"
              for name in sorted(set(files) ^ names | set(files) ^ set(lasts))]
    return wrongs + [f"{name} has {LINES} lines or more" for name, path in sorted(files.items())
                     if len(path.read_text().splitlines()) >= LINES]


def has_gi() -> bool:
    return subprocess.run(["/usr/bin/python3", "-c", "import gi; gi.require_version('Gst', '1.0')"],
                          stderr=subprocess.DEVNULL).returncode == 0


def say(number: int, what: str, wrongs: list[str]) -> None:
    print(f"{'not ok' if wrongs else 'ok'} {number} - {re.sub(r'[#]', ' ', what)}", flush=True)
    for wrong in wrongs:
        print(f"# {wrong}", flush=True)


def main() -> int:
    root, build, compiler = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3]
    commands, lasts, at_the_end = read_page((root / "examples/README.md").read_text())
    print(f"1..{len(commands) + len(at_the_end) + 1}")
    wrongs = wrongs_of_files(root / "examples", {name for name, _ in commands}, lasts)
    say(1, "the tables name every example", wrongs)
    failed, python_runs = bool(wrongs), has_gi()
    with tempfile.TemporaryDirectory() as scratch:
        runs = [(command.removeprefix(IN_BUILD).replace("../examples/", f"{root}/examples/"), build,
                 lasts.get(name)) for name, command in commands]
        for line in at_the_end:
            line = re.sub(r"(?<!\S)examples/", f"{root}/examples/", line)
            runs.append((re.sub(r"^g\+\+", compiler, line), scratch, None))
        for number, (command, folder, last) in enumerate(runs, 2):
            if ".py" in command and not python_runs:
                print(f"ok {number} - {command} # SKIP /usr/bin/python3 has no gi", flush=True)
                continue
            wrongs = wrongs_of(command, folder, last)
            failed |= bool(wrongs)
            say(number, command, wrongs)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
