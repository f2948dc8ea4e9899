# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the test cases of a file and prints TAP. What they share."""

import base64
import os
import pathlib
import sys
import tempfile
import unittest

from report import trace
from traces import Writer

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
COMMAND = ROOT / "tools" / "gst-dispatch-report"
# A picture of one dot.
DOT = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAE"
                       "AAH2FzhVAAAAAElFTkSuQmCC")


class TapResult(unittest.TestResult):
    """One line for each test, after what went wrong in it and in its subtests."""

    said = 0

    def stopTest(self, test: unittest.TestCase) -> None:
        wrongs = [*self.failures, *self.errors]
        reason = next((why for skipped, why in self.skipped if skipped is test), "")
        for culprit, text in wrongs:
            if culprit is test or getattr(culprit, "test_case", None) is test:
                print("# " + f"{culprit}\n{text}".replace("\n", "\n# "), flush=True)
        is_good, self.said = len(wrongs) == self.said, len(wrongs)
        print(f"{'ok' if is_good else 'not ok'} {self.testsRun} - {test.id().partition('.')[2]}"
              + (f" # SKIP {reason}" if reason else ""), flush=True)
        super().stopTest(test)


def main() -> None:
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    print("TAP version 13")
    result = TapResult()
    suite.run(result)
    print(f"1..{result.testsRun}")
    sys.exit(0 if result.wasSuccessful() and result.testsRun else 1)


class TraceCase(unittest.TestCase):
    """Has a folder for traces."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def write(self, text: str, name: str = "call.json") -> str:
        pathlib.Path(self.path(name)).write_text(text, "utf-8")
        return self.path(name)

    def read(self, text: str) -> trace.Trace:
        return trace.read(self.write(text))

    def read_all(self, *writers: Writer) -> trace.Trace:
        """As several processes write to one file."""
        return self.read("[\n" + "".join(writer.text()[2:] for writer in writers))
