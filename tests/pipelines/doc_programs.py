#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compiles and runs every C program of the documentation.

usage: doc_programs.py SOURCE_ROOT WORKER FLAGS COMPILER...

A program is a block fenced as "c" with a main() in README.md or docs/**/*.md.
It is compiled by COMPILER with FLAGS (one word, split as by a shell). WORKER
stands in for the installed worker program. A program passes if it compiles
without a warning, exits with 0 and says nothing that is wrong: it has to say by
its exit status whether what it shows has come about. Prints TAP.
"""

import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

import launch_lines

PROGRAM = re.compile(r"^```c\n(.*?)^```$", re.DOTALL | re.MULTILINE)
STRICT = ["-x", "c", "-std=c11", "-Wall", "-Wextra", "-Werror"]


def find_programs(root):
    """Pairs of where a program stands and its text."""
    for path in [root / "README.md", *sorted(root.glob("docs/**/*.md"))]:
        text = path.read_text()
        for match in PROGRAM.finditer(text):
            if "int main(" in match.group(1):
                line = text.count("\n", 0, match.start()) + 1
                yield f"{path.relative_to(root)}:{line}", match.group(1)


def compile_and_run(text, compiler, flags):
    """Why a program does not pass; empty if it does."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "program.c"
        program = source.with_suffix("")
        source.write_text(text)
        done = subprocess.run([*compiler, *STRICT, str(source), "-x", "none", "-o", str(program),
                               *flags], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, errors="replace")
        if done.returncode != 0:
            return done.stdout.splitlines()
        return launch_lines.run([str(program)])


def main():
    root, worker = pathlib.Path(sys.argv[1]), str(pathlib.Path(sys.argv[2]).resolve())
    flags, compiler = shlex.split(sys.argv[3]), sys.argv[4:]
    programs = list(find_programs(root))
    print(f"1..{max(1, len(programs))}")
    if not programs:
        print("not ok 1 - the documentation has programs")
        return 1
    failed = 0
    for number, (where, text) in enumerate(programs, 1):
        text = text.replace(launch_lines.INSTALLED_WORKER, worker)
        wrongs = compile_and_run(text, compiler, flags)
        failed += bool(wrongs)
        print(f"{'not ok' if wrongs else 'ok'} {number} - {where}", flush=True)
        for wrong in wrongs:
            print(f"# {wrong}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
