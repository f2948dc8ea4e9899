# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keeps one CPU busy until its standard input is closed."""

import os
import sys
import threading


def end_with_input() -> None:
    """Waits for the end of standard input."""
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_input, daemon=True).start()
while True:
    pass
