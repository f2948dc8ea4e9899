#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line: what it prints, what it refuses, and how it ends."""

import base64
import json
import pathlib
import re
import shutil
import subprocess
import sys

import cases
from traces import made


class Command(cases.TraceCase):
    def run_it(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, str(cases.COMMAND), *words], text=True, check=False,
                              capture_output=True, cwd=self.folder)

    def call(self, kind: str = "ours") -> str:
        return self.write(made(kind, 3).text(), f"{kind}.json")

    def page(self, *words: str) -> str:
        done = self.run_it(*words, "-o", "page.html")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return pathlib.Path(self.path("page.html")).read_text()

    def refused(self, said: str, *words: str) -> None:
        done = self.run_it(*words)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(said, done.stderr)
        self.assertFalse(pathlib.Path(self.path("report.html")).exists())

    def test_one_trace_becomes_one_page(self) -> None:
        done = self.run_it(self.call())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^report.html: 0.\d MB, 360 frames\n$")

    def test_nothing_in_a_page_is_elsewhere(self) -> None:
        text = self.page(self.call())
        text = re.sub(r"(?s)<!-- uPlot.*?-->|/\*!.*?\*/", "", text)
        self.assertEqual(re.findall(r"(?:src|href)\s*=\s*[\"']?(?!data:)\w+:[^\"'> ]*", text), [])
        self.assertEqual(re.findall(r"url\([^)]*\)|@import|<link[^>]*stylesheet", text), [])

    def test_a_page_is_the_same_each_time(self) -> None:
        self.assertEqual(self.page(self.call()), self.page(self.call()))

    def test_titles_stay_with_their_traces(self) -> None:
        text = self.page("--title", "Before", self.call("plain"), "--title", "After & <b>",
                         self.call("leaky"), self.call())
        self.assertEqual(re.findall(r"<h2>(.*?)</h2>", text)[1:],
                         ["Before", "After &amp; &lt;b&gt;", "ours"])

    def test_a_table_is_shown_as_it_is(self) -> None:
        table = {"columns": ["a", "<b>"], "rows": [{"label": "frozen", "values": [0, "1.2 s"]}],
                 "note": "made here"}
        path = self.write(json.dumps(table), "table.json")
        text = self.page(self.call("plain"), self.call("leaky"), "--table", path)
        self.assertIn('<tr><th scope="row">frozen</th><td>0</td><td>1.2 s</td></tr>', text)
        self.assertIn("&lt;b&gt;", text)
        self.assertIn("made here", text)
        self.assertNotIn("full stage, on time", text)

    def test_pictures_are_embedded(self) -> None:
        folder = pathlib.Path(self.path("pictures"))
        folder.mkdir()
        (folder / "frame-000012.png").write_bytes(cases.DOT)
        (folder / "notes.txt").write_text("no picture")
        text = self.page(self.call(), "--pictures", str(folder))
        data = "data:image/png;base64," + base64.b64encode(cases.DOT).decode()
        self.assertEqual(text.count(data), 1)
        self.assertIn("frame<br><b>12</b>", text)

    def test_why_says_it_for_each_element_or_one(self) -> None:
        done = self.run_it("why", "12", self.call())
        self.assertEqual((done.returncode, len(done.stdout.splitlines())), (0, 4))
        done = self.run_it("why", "12", self.call(), "--element", "workerpool0")
        self.assertRegex(done.stdout, r"^Frame 12 of workerpool0 left .*\.\n$")

    def test_why_of_a_number_that_is_no_frame(self) -> None:
        self.refused("viewer has no frame 4711; the nearest are 89.", "why", "4711", self.call())
        self.refused("workerpool0 has no frame 1; the nearest are 3.", "why", "1", self.call(),
                     "--element", "workerpool0")
        self.refused("no element 'tank'", "why", "1", self.call(), "--element", "tank")

    def test_it_runs_where_it_is_installed(self) -> None:
        rules = (cases.ROOT / "tools" / "meson.build").read_text()
        listed = set(re.findall(r"'(report/[^']+)'", rules))
        there = {path.relative_to(cases.ROOT / "tools").as_posix()
                 for path in (cases.ROOT / "tools" / "report").rglob("*")
                 if path.is_file() and path.suffix != ".pyc"}
        self.assertEqual(listed, there)
        for name in listed:
            path = pathlib.Path(self.path("share/gst-dispatch")) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(cases.ROOT / "tools" / name, path)
        program = pathlib.Path(self.path("bin")) / "gst-dispatch-report"
        program.parent.mkdir()
        shutil.copy(cases.COMMAND, program)
        done = subprocess.run([str(program), self.call()], cwd=self.folder, check=False,
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(pathlib.Path(self.path("report.html")).read_text(), self.page(self.call()))
        shutil.rmtree(self.path("share"))
        done = subprocess.run([str(program)], check=False, capture_output=True, text=True)
        self.assertIn("cannot find its modules", done.stderr)

    def test_bad_input_is_named(self) -> None:
        call = self.call("plain")
        self.refused("is empty", self.write("", "empty.json"))
        self.refused("cannot read", "none.json")
        self.refused("--title is there 2 times for 1 traces", call, "--title", "a", "--title", "b")
        self.refused("no such folder: nowhere", call, "--pictures", "nowhere")
        self.refused("no JPEG or PNG files", call, "--pictures", self.folder)
        self.refused("cannot read none.json", call, "--table", "none.json")
        self.refused("is no JSON", call, "--table", self.write("{", "broken.json"))
        short = '{"columns": ["a"], "rows": [{"label": "x", "values": []}]}'
        self.refused("row 'x' has 0 values for 1 columns", call, "--table",
                     self.write(short, "short.json"))
        self.refused("cannot write", call, "-o", "nowhere/page.html")
        self.refused("is the trace itself", call, "-o", call)
        self.refused("required: TRACE")

    def test_a_trace_that_does_not_add_up_ends_with_one(self) -> None:
        text = made("ours", 3).text().replace('"frames-in": 90', '"frames-in": 91', 1)
        done = self.run_it(self.write(text), "-o", "page.html")
        self.assertEqual(done.returncode, 1)
        self.assertIn("adaptiveskip0: frames-in is 90 in the frames of the trace, but the element "
                      "counted 91.", done.stderr)
        text = pathlib.Path(self.path("page.html")).read_text()
        self.assertIn("This trace does not add up.", text)

    def test_broken_lines_are_told(self) -> None:
        lines = made("ours", 3).text().split("\n")
        lines.insert(40, '{"ph": "b", "na')
        done = self.run_it(self.write("\n".join(lines[:-9])[:-30]), "-o", "page.html")
        self.assertEqual(done.returncode, 0)
        self.assertIn("1 lines could not be read and are left out, the first is line 41.",
                      done.stderr)
        self.assertIn("the last line is cut off", done.stderr)
        text = pathlib.Path(self.path("page.html")).read_text()
        self.assertIn("the first is line 41.", text)
        self.assertIn("The last line of the trace is cut off", text)


if __name__ == "__main__":
    cases.main()
