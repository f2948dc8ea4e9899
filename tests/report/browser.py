#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Opens the page in Debian's Chromium, without a network: wide and narrow, light and dark.

Says how long it took until all charts were drawn; that is no part of passing or failing.
"""

import html
import os
import pathlib
import re
import shutil
import subprocess
import struct
import sys
import unittest
import zlib
from typing import Any, Iterator

import cases
from report import sentences, trace
from traces import MS, START, Writer, made

CHROMIUM = shutil.which("chromium")
PATIENCE_SECONDS = 120
LATE = {"light": (0xd5, 0x5e, 0x00), "dark": (0xff, 0x7a, 0x2e)}
FULL = {"light": (0x00, 0x72, 0xb2), "dark": (0x3f, 0x9f, 0xdc)}
PAGE = {"light": (0xfd, 0xfc, 0xf9), "dark": (0x16, 0x16, 0x14)}

# Does in the page what a reader would; what comes of it goes into data-… of the page.
READER = """<script>
const seen = document.documentElement.dataset;
const timed = () => charts.filter(chart => chart.isTimed).map(({ plot }) =>
  [plot.scales.x.min.toFixed(3), plot.scales.x.max.toFixed(3)].join('-'));
const views = () => [...new Set(timed())].join(' ');
const press = selector => document.querySelector(selector).click();
const mouse = (over, type, x) => {
  const box = over.getBoundingClientRect();
  over.dispatchEvent(new MouseEvent(type, { bubbles: true, clientX: box.left + x,
    clientY: box.top + box.height / 2, button: 0, buttons: 1, movementX: 9, view: window }));
};
const later = () => new Promise(done => setTimeout(done, 30));
(async () => {
  await later();
  seen.before = views();
  press('[data-zoom=in]'); await later();
  seen.zoomed = views();
  press('[data-zoom=all]'); await later();
  seen.all = views();
  const over = charts[0].plot.over;
  over.scrollIntoView();
  const drag = [['mousemove', 100], ['mousedown', 100], ['mousemove', 200], ['mouseup', 200]];
  for (const [type, x] of drag) { mouse(over, type, x); await later(); }
  seen.dragged = views();
  seen.draggedWidth = (state.max - state.min) / (span * 100 / over.clientWidth);
  zoom(0, span);
  press('[data-mode=margin]'); await later();
  seen.below = charts[0].plot.scales.y.min < 0;
  document.querySelector('.ask').click();
  seen.asked = document.getElementById('answer').textContent;
  document.getElementById('number').value = 999999;
  press('#ask button');
  seen.nobody = document.getElementById('answer').textContent;
  document.querySelectorAll('details').forEach(details => { details.open = true; });
  await later();
  seen.told = document.querySelectorAll('details p').length;
  seen.done = 'yes';
})();
</script></body>"""


# A window cannot be as narrow as a phone, but a frame in it can.
PHONE = """<!DOCTYPE html><html><body><iframe src="page.html" width="360" height="740"
onload="Object.assign(document.documentElement.dataset,
                      contentDocument.documentElement.dataset)"></iframe></body></html>"""


def chromium(page: str, *more: str, width: int = 1280, theme: str = "light",
             folder: str) -> subprocess.CompletedProcess:
    words = [CHROMIUM, "--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
             f"--user-data-dir={folder}/profile", "--host-resolver-rules=MAP * ~NOTFOUND",
             "--enable-logging=stderr", f"--window-size={width},1000",
             f"--blink-settings=preferredColorScheme={0 if theme == 'dark' else 1}", *more, page]
    if os.geteuid() == 0:
        words.insert(1, "--no-sandbox")
    return subprocess.run(words, text=True, capture_output=True, check=False, errors="replace",
                          stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS, cwd=folder)


def pixels(path: str) -> Iterator[bytes]:
    """The rows of a PNG of 8 bits for each colour, as RGB."""
    data = pathlib.Path(path).read_bytes()
    place, packed, width, size = 8, b"", 0, 3
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place:place + 8])
        body = data[place + 8:place + 8 + length]
        if kind == b"IHDR":
            width, _, _, colours = struct.unpack(">IIBB", body[:10])
            size = 4 if colours == 6 else 3
        elif kind == b"IDAT":
            packed += body
        place += 12 + length
    raw, stride = zlib.decompress(packed), width * size
    above = bytearray(stride)
    for start in range(0, len(raw), stride + 1):
        above = unfiltered(raw[start], bytearray(raw[start + 1:start + 1 + stride]), above, size)
        yield bytes(above if size == 3 else (v for i, v in enumerate(above) if i % 4 < 3))


def unfiltered(how: int, row: bytearray, above: bytearray, size: int) -> bytearray:
    """A row of a PNG, whose bytes are differences to their neighbours."""
    for i in range(len(row) if how else 0):
        left = row[i - size] if i >= size else 0
        corner = above[i - size] if i >= size else 0
        if how == 1:
            guess = left
        elif how == 2:
            guess = above[i]
        elif how == 3:
            guess = (left + above[i]) // 2
        else:
            near = left + above[i] - corner
            guess = min((left, above[i], corner), key=lambda value: abs(near - value))
        row[i] = (row[i] + guess) & 255
    return row


def colours_of(path: str) -> dict[tuple[int, int, int], int]:
    counts: dict[tuple[int, int, int], int] = {}
    for row in pixels(path):
        for i in range(0, len(row), 3):
            colour = (row[i], row[i + 1], row[i + 2])
            counts[colour] = counts.get(colour, 0) + 1
    return counts


@unittest.skipUnless(CHROMIUM, "there is no Chromium (Debian's package: chromium)")
class Browser(cases.TraceCase):
    def make(self, *words: str) -> str:
        subprocess.run([sys.executable, str(cases.COMMAND), *words, "-o", "page.html"],
                       check=True, capture_output=True, cwd=self.folder)
        return self.path("page.html")

    def call(self, kind: str = "ours", seconds: int = 6) -> str:
        return self.write(made(kind, seconds).text(), f"{kind}.json")

    def three(self) -> str:
        """All that a page can have."""
        folder = pathlib.Path(self.path("pictures"))
        folder.mkdir()
        for number in (10, 90):
            (folder / f"{number}.png").write_bytes(cases.DOT)
        pictures = [word for _ in range(3) for word in ("--pictures", str(folder))]
        return self.make("--heading", "A heading_that_is_one_word_and_longer_than_a_phone_is_wide",
                         "--note", "https://example.org/" + 60 * "x", *pictures,
                         self.call("plain"), self.call("leaky"), self.call("ours"))

    def opened(self, page: str, mark: str = "", *more: str, **how: Any) -> dict[str, str]:
        """What the page says of itself, and its text."""
        done = chromium(f"file://{page}{mark}", "--dump-dom", *more, folder=self.folder, **how)
        said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        self.assertEqual(said, [])
        match = re.search(r"<html[^>]*>", done.stdout)
        self.assertIsNotNone(match, done.stderr)
        told = dict(re.findall(r'data-([\w-]+)="([^"]*)"', match[0]))
        self.assertEqual(told.get("errors"), "0")
        self.assertIn("ready", told, "the page has not come to its end")
        return {**{key: html.unescape(value) for key, value in told.items()}, "dom": done.stdout}

    def test_it_fits_every_screen(self) -> None:
        pages = {1280: self.three(), 360: self.write(PHONE, "phone.html")}
        for width, page in pages.items():
            for theme in ("light", "dark"):
                with self.subTest(width=width, theme=theme):
                    told = self.opened(page, "", "--allow-file-access-from-files", theme=theme)
                    self.assertEqual((told["width"], told["overflow"]), (str(width), "0"))
                    # Latency, what left and spread of six elements, workers of three, comparison.
                    self.assertEqual(told["charts"], str(6 * 3 + 3 + 3))

    def test_it_is_drawn_in_the_colours_of_the_theme(self) -> None:
        page = self.make(self.call("leaky"))
        for width in (360, 800):
            for theme in ("light", "dark"):
                with self.subTest(width=width, theme=theme):
                    chromium(f"file://{page}", f"--screenshot={self.path('shot.png')}",
                             folder=self.folder, width=width, theme=theme)
                    counts = colours_of(self.path("shot.png"))
                    self.assertEqual(max(counts, key=lambda colour: counts[colour]), PAGE[theme])
                    for colour in (LATE[theme], FULL[theme]):
                        self.assertGreater(counts.get(colour, 0), 100)

    def test_a_reader_can_zoom_and_ask(self) -> None:
        page = pathlib.Path(self.make(self.call()))
        page.write_text(page.read_text().replace("</body>", READER))
        told = self.opened(str(page), "", "--virtual-time-budget=5000")
        self.assertEqual(told.get("done"), "yes", told)
        self.assertEqual(told["all"], told["before"])
        self.assertRegex(told["zoomed"], r"^[\d.]+-[\d.]+$")
        self.assertNotEqual(told["zoomed"], told["before"])
        self.assertRegex(told["dragged"], r"^[\d.]+-[\d.]+$")
        self.assertAlmostEqual(float(told["dragged-width"]), 1, delta=0.1)
        self.assertEqual(told["below"], "true")
        self.assertRegex(told["asked"], r"^Frame \d+ was shown at viewer ")
        self.assertIn("viewer has no frame 999999; the nearest are 179.", told["nobody"])
        self.assertGreater(int(told["told"]), 0)

    def test_it_answers_as_the_command_does(self) -> None:
        path = self.call()
        page, run = self.make(path), trace.read(path)
        for place, element in enumerate(run.elements):
            answers = sentences.Answers(run, element)
            frame = element.frames[100]
            said = self.opened(page, f"#why=0.{place}.{frame.sequence}")["dom"]
            answer = re.search(r'<p id="answer"[^>]*>(.*?)</p>', said)
            self.assertEqual(html.unescape(answer[1]),
                             sentences.text_of(answers.answer(frame)))

    def test_names_stay_names(self) -> None:
        evil = "</script><script>document.documentElement.dataset.evil=1</script><img src=x " \
               "onerror=\"document.documentElement.dataset.evil=1\">\u2028'\"&amp;"
        writer = Writer()
        writer.element(evil, evil)
        writer.decision(evil, evil, START, **{evil: evil})
        writer.frame(evil, 3, START, {"service-time": MS}, START + MS, cause=evil, reason=evil)
        path = self.write(writer.text())
        subprocess.run([sys.executable, str(cases.COMMAND), path, "--title", evil, "--note", evil,
                        "--heading", evil, "-o", "page.html"], check=False, cwd=self.folder,
                       capture_output=True)
        told = self.opened(self.path("page.html"), "#why=0.0.3")
        self.assertNotIn("evil", told)
        self.assertIn("of &lt;/script&gt;&lt;script&gt;document", told["dom"])

    def test_a_frame_alone_and_without_a_due_time(self) -> None:
        writer = Writer()
        writer.frame("pool", 3, START, {}, took=1)
        self.opened(self.make(self.write(writer.text())))

    def test_how_long_a_minute_takes_to_open(self) -> None:
        page = self.make(self.call("ours", 60))
        size = pathlib.Path(page).stat().st_size
        self.assertLess(size, 5_000_000)
        times = sorted(int(self.opened(page)["ready"]) for _ in range(3))
        print(f"# 60 s, 3 elements and a viewer: {size / 1e6:.1f} MB, all drawn {times[1]} ms "
              "after it was opened (median of 3)", flush=True)


if __name__ == "__main__":
    cases.main()
