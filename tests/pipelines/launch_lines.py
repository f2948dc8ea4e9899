#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs every launch line of the documentation.

usage: launch_lines.py SOURCE_ROOT WORKER

A launch line is a command that begins with gst-launch-1.0, with settings of the
environment before it or without, in a fenced block of README.md or docs/**/*.md, or in a "|[ ... ]|" block of an element's SECTION
comment in plugins/. Cameras, microphones, screens and loudspeakers have
stand-ins, WORKER is one for the installed worker program, and a test source
that would not end does. A line passes if it exits with 0 and says nothing that
is wrong. Prints TAP.
"""

import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

COMMAND = re.compile(r"([A-Z_]+=\S+ )*gst-launch-1.0 ")
FRAMES = 30
SOURCES = {
    "videotestsrc is-live=true": ["v4l2src", "autovideosrc", "ximagesrc", "libcamerasrc"],
    "audiotestsrc is-live=true": ["autoaudiosrc", "pulsesrc", "alsasrc", "pipewiresrc"],
}
SINKS = ["autovideosink", "xvimagesink", "ximagesink", "glimagesink", "waylandsink",
         "autoaudiosink", "pulsesink", "alsasink"]
INSTALLED_WORKER = "/usr/local/libexec/gst-dispatch-worker"
ENDLESS = ["videotestsrc", "audiotestsrc", "fakesrc"]
# What a line may warn of on a machine that is slow just now.
ONLY_SLOW = ["A frame that is overdue cannot go past the stage",
             "A lot of buffers are being dropped"]
# Nobody waits so long; it is there so that nothing hangs for ever.
PATIENCE_SECONDS = 200


def fenced_blocks(text):
    block = None
    for line in text.splitlines():
        if not line.lstrip().startswith("```"):
            if block is not None:
                block.append(line.strip())
        elif block is None:
            block = []
        else:
            yield "\n".join(block)
            block = None


def lines_of_markdown(text):
    for block in fenced_blocks(text):
        for command in block.replace("\\\n", " ").splitlines():
            if COMMAND.match(command):
                yield command


def lines_of_source(text):
    for comment in re.findall(r"/\*\*\n \* SECTION:.*?\*/", text, re.DOTALL):
        for block in re.findall(r"\|\[(.*?)\]\|", comment, re.DOTALL):
            command = " ".join(line.lstrip(" *") for line in block.splitlines()).strip()
            if COMMAND.match(command):
                yield command


def find_lines(root):
    """Pairs of where a line stands and the line."""
    for path in [root / "README.md", *sorted(root.glob("docs/**/*.md"))]:
        if path.exists():
            for line in lines_of_markdown(path.read_text()):
                yield path.relative_to(root), line
    for path in sorted(root.glob("plugins/*/gst*.cpp")):
        for line in lines_of_source(path.read_text()):
            yield path.relative_to(root), line


def without_properties(words, place):
    """Takes out the properties of the element at `place`."""
    end = place + 1
    while end < len(words) and "=" in words[end]:
        end += 1
    del words[place + 1:end]


def with_stand_ins(words):
    for stand_in, names in SOURCES.items():
        for place in [i for i, word in enumerate(words) if word in names][::-1]:
            without_properties(words, place)
            words[place:place + 1] = stand_in.split()
    for place in [i for i, word in enumerate(words) if word in SINKS][::-1]:
        without_properties(words, place)
        words[place] = "fakesink"
    return words


def ending(words):
    for place in [i for i, word in enumerate(words) if word in ENDLESS][::-1]:
        end = next((i for i in range(place, len(words)) if words[i] == "!"), len(words))
        if not any(word.startswith("num-buffers=") for word in words[place:end]):
            words.insert(place + 1, f"num-buffers={FRAMES}")
    return words


def wrongs_in(output):
    """What a run said that is no good."""
    for line in output.splitlines():
        is_bad = re.match(r"(ERROR|WARNING)", line) or re.search(
            r"-(WARNING|CRITICAL|ERROR) \*\*", line)
        if is_bad and not any(harmless in line for harmless in ONLY_SLOW):
            yield line


def run(words):
    """Why a line does not pass; empty if it does."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(words, cwd=folder, timeout=PATIENCE_SECONDS, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, errors="replace")
        except subprocess.TimeoutExpired:
            return ["It does not end."]
    wrongs = list(wrongs_in(done.stdout))
    if done.returncode != 0:
        wrongs.append(f"It exits with {done.returncode}.")
        wrongs += done.stdout.splitlines()[-10:]
    return wrongs


def main():
    root, worker = pathlib.Path(sys.argv[1]), str(pathlib.Path(sys.argv[2]).resolve())
    lines = list(find_lines(root))
    print(f"1..{max(1, len(lines))}")
    if not lines:
        print("not ok 1 - the documentation has launch lines")
        return 1
    failed = 0
    for number, (where, line) in enumerate(lines, 1):
        words = shlex.split(line.replace(INSTALLED_WORKER, shlex.quote(worker)))
        words = ["env", *ending(with_stand_ins(words))]
        wrongs = run(words)
        failed += bool(wrongs)
        label = re.sub(r"[#\\]", " ", f"{where}: {line}")
        print(f"{'not ok' if wrongs else 'ok'} {number} - {' '.join(label.split())}", flush=True)
        for wrong in [shlex.join(words), *wrongs] if wrongs else []:
            print(f"# {wrong}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
