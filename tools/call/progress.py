# SPDX-License-Identifier: LGPL-2.1-or-later
"""How far the demo is: a bar that moves on a terminal, a line now and then
elsewhere."""

import sys
import time

WIDTH = 30


class Progress:
    """All steps have a length that is known before."""

    def __init__(self, seconds: float) -> None:
        self._all = seconds
        self._done = 0.0
        self._step = 0.0
        self._title = ""
        self._is_terminal = sys.stdout.isatty()
        self._is_open = False
        self._next = 0.0

    def begin(self, title: str, seconds: float) -> None:
        """The next step."""
        self._done += self._step
        self._step = seconds
        self._title = title
        self._next = 0.0

    def lengthen(self, seconds: float) -> None:
        """There will be more than was thought."""
        self._all += seconds

    def show(self, seconds: float, what: str) -> None:
        """So far into this step."""
        share = min((self._done + seconds) / self._all, 1.0)
        bar = "#" * round(share * WIDTH)
        line = f"[{bar:.<{WIDTH}}] {share:4.0%}  {self._title}{what}"
        if self._is_terminal:
            print(f"\r{line}\x1b[K", end="", flush=True)
            self._is_open = True
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + 5
            print(line, flush=True)

    def say(self, line: str) -> None:
        """A line that stays."""
        if self._is_open:
            print("\r\x1b[K", end="")
        self._is_open = False
        print(line, flush=True)
