# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes that end with this one.

Each child ends in order when its standard input is closed, which the kernel
does if this process is killed. Ctrl-C is for this process alone.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 15  # seconds


class ChildFailed(Exception):
    """A child ended with an error, or did not do what was waited for."""


class Child:
    """One process, what it says, and how it ends."""

    def __init__(self, name: str, command: list[str], folder: Path,
                 variables: dict[str, str] | None = None) -> None:
        self.name = name
        self._errors = folder / f"{name}.err"
        with open(self._errors, "wb") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                env=os.environ | (variables or {}), process_group=0, text=True)

    def read_word(self, key: str) -> str:
        """What follows `key` in the next line that the child prints."""
        line = self._process.stdout.readline()
        if not line.startswith(key):
            self._process.wait(PATIENCE)
            raise self.failure()
        return line[len(key):].strip()

    def has_ended(self) -> bool:
        """Whether it ended well; raises if it ended otherwise."""
        status = self._process.poll()
        if status:
            raise self.failure()
        return status == 0

    def end(self) -> None:
        """Asks it to end, and waits until it has."""
        self.let_go()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.has_ended():
                return
            time.sleep(0.02)
        raise ChildFailed(f"the {self.name} does not end")

    def let_go(self) -> None:
        """Asks it to end."""
        if not self._process.stdin.closed:
            self._process.stdin.close()

    def abandon(self) -> None:
        """Whatever it does, it is over after this."""
        self.let_go()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def failure(self) -> ChildFailed:
        """Why it failed, in its own words."""
        words = self._errors.read_text(errors="replace").strip()
        status = self._process.returncode
        how = (f"was killed by {signal.Signals(-status).name}" if status < 0
               else f"ended with status {status}")
        return ChildFailed(f"the {self.name} {how}:\n{words[-2000:] or 'it said nothing'}")


class Load:
    """Processes that want all of the CPUs."""

    def __init__(self, strength: int, folder: Path) -> None:
        burn = [sys.executable, str(Path(__file__).parent / "burn.py")]
        self._children = [Child(f"load{i}", burn, folder) for i in range(strength)]

    def end(self) -> None:
        """Gives the CPUs back."""
        for child in self._children:
            child.let_go()
        for child in self._children:
            child.abandon()
