#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests what tools/bench decides: blocks of its page, drawings, arguments.

usage: bench_command.py SOURCE_ROOT

Nothing is measured; figures are made up here. The page of the documentation is
checked too: it has a block for every benchmark that is built.
"""

import contextlib
import dataclasses
import io
import pathlib
import re
import sys
import unittest
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(sys.argv.pop(1)).resolve()
sys.path.insert(0, str(ROOT / "tools/lib"))
sys.dont_write_bytecode = True

import bench  # noqa: E402
import bench_page  # noqa: E402
import bench_plots  # noqa: E402

KNOWN = {"one", "two"}
PAGE = """# Page

By hand.

<!-- bench: missed -->
<!-- end -->

<!-- bench: one -->
old one
<!-- end -->

Between.

<!-- bench: two -->
old two
- **missed**: old target: 3, at most 2
<!-- end -->
"""
MACHINE = {"cpu": "A CPU", "cpus": "2", "kernel": "Linux 6", "system": "Debian", "gstreamer": "G 1",
           "build": "release", "others-percent": 1.2, "stolen-percent": 0}


def run_of(name: str, measured: float | None, rows: int = 1) -> bench_page.Run:
    met = measured is not None and measured <= 2
    figures = {"machine": MACHINE, "values": {},
               "tables": [{"title": "what", "rows": [["a|b", "c"], *[["1", "2"]] * rows]}],
               "targets": [{"what": "time", "measured": measured, "at most": 2, "met": met}]}
    return bench_page.Run(name, f"bench-{name}", "today", 3.0, figures)


class Blocks(unittest.TestCase):
    def refusal_of(self, page: str) -> str:
        with self.assertRaises(bench_page.PageError) as caught:
            bench_page.find_blocks(page, KNOWN)
        return str(caught.exception)

    def test_only_what_is_in_a_named_block_changes(self) -> None:
        page = bench_page.replace_blocks(PAGE, {"one": "new\nlines"}, KNOWN)
        self.assertEqual(page, PAGE.replace("old one", "new\nlines"))

    def test_replacing_twice_is_replacing_once(self) -> None:
        once = bench_page.with_runs(PAGE, [run_of("one", 1), run_of("two", 3)], KNOWN)
        self.assertEqual(bench_page.with_runs(once, [run_of("one", 1)], KNOWN), once)

    def test_a_block_of_an_unknown_benchmark_is_refused_with_its_line(self) -> None:
        said = self.refusal_of(PAGE.replace("bench: two", "bench: three"))
        self.assertIn("line 14: there is no benchmark 'three'", said)

    def test_a_block_without_an_end_is_refused(self) -> None:
        self.assertIn("'one' has no", self.refusal_of("<!-- bench: one -->\n"))
        said = self.refusal_of("<!-- bench: one -->\n<!-- bench: two -->\n<!-- end -->\n")
        self.assertIn("line 2: the block 'one' has no", said)

    def test_an_end_without_a_block_a_second_block_and_a_misspelt_mark_are_refused(self) -> None:
        self.assertIn("without a block", self.refusal_of("<!-- end -->\n"))
        twice = PAGE + PAGE[PAGE.index("<!-- bench: one"):]
        self.assertIn("a second block 'one'", self.refusal_of(twice))
        self.assertIn("not a mark", self.refusal_of("<!-- bench one -->\n"))

    def test_a_benchmark_without_a_block_is_refused(self) -> None:
        with self.assertRaisesRegex(bench_page.PageError, "no block for 'two'"):
            bench_page.replace_blocks("# Empty\n", {"two": "text"}, KNOWN)

    def test_missed_targets_are_collected_from_new_and_from_old_blocks(self) -> None:
        page = bench_page.with_runs(PAGE, [run_of("one", 3)], KNOWN)
        missed = page[:page.index("<!-- end -->")]
        self.assertIn("- *one*: time: 3, at most 2", missed)
        self.assertIn("- *two*: old target: 3, at most 2", missed)

    def test_of_many_missed_targets_the_first_are_named_and_the_others_counted(self) -> None:
        run = run_of("one", 3)
        run.figures["targets"] *= 9
        page = bench_page.with_runs(PAGE, [dataclasses.replace(run, quick=True)], KNOWN)
        missed = page[:page.index("<!-- end -->")]
        self.assertEqual(missed.count("*one*: time"), 3)
        self.assertIn("- *one*: and 6 more, in its section (a quick run)", missed)

    def test_a_page_without_missed_targets_says_so(self) -> None:
        page = bench_page.with_runs(PAGE, [run_of("one", 1), run_of("two", 2)], KNOWN)
        self.assertIn("no target was missed", page)

    def test_a_block_says_command_machine_and_table(self) -> None:
        text = bench_page.block_text(run_of("one", 1))
        self.assertIn("`bench-one`, today, 3 s. A CPU, 2 CPUs, Linux 6", text)
        self.assertIn("| a\\|b | c |\n| --- | --- |\n| 1 | 2 |", text)
        self.assertIn("1 of 1 targets met", text)

    def test_a_target_that_could_not_be_measured_is_missed(self) -> None:
        self.assertIn("**missed**: time: none", bench_page.block_text(run_of("one", None)))

    def test_a_long_table_is_folded_and_a_short_one_is_not(self) -> None:
        self.assertIn("All figures, 40 rows", bench_page.block_text(run_of("one", 1, 40)))
        self.assertNotIn("All figures", bench_page.block_text(run_of("one", 1, 4)))

    def test_the_page_of_the_documentation_has_a_block_for_every_benchmark(self) -> None:
        page = (ROOT / "docs/benchmarks.md").read_text("utf-8")
        blocks = bench_page.find_blocks(page, set(bench.BENCHMARKS))
        self.assertEqual(set(blocks), {*bench.BENCHMARKS, bench_page.MISSED})
        build = (ROOT / "tests/benchmarks/meson.build").read_text("utf-8")
        built = set(re.findall(r"^ *'([\w-]+)': ", build, re.MULTILINE)) | {"skip-law"}
        built |= set(re.findall(r"\{'([\w-]+)': ", build))
        self.assertEqual(set(bench.BENCHMARKS), built)


class Plots(unittest.TestCase):
    def drawn(self, name: str, values: dict) -> ElementTree.Element:
        svg = bench_plots.plot(name, values)
        self.assertIsNotNone(svg)
        return ElementTree.fromstring(svg)

    def marks(self, svg: ElementTree.Element) -> list[tuple[str, float, float]]:
        places = []
        for path in svg.iter("{http://www.w3.org/2000/svg}path"):
            place = re.fullmatch(r"translate\((\S+) (\S+)\)", path.get("transform", ""))
            if place:
                places.append((path.get("class"), float(place[1]), float(place[2])))
        return places

    def test_a_larger_value_is_drawn_further_to_the_right(self) -> None:
        marks = self.marks(self.drawn("onset", {"a onset ms": 10, "b onset ms": [20, 30, 40]}))
        self.assertEqual(len(marks), 2)
        self.assertGreater(marks[1][1], marks[0][1])

    def test_zero_is_at_the_axis_and_twice_as_much_is_twice_as_far(self) -> None:
        values = {"z onset ms": 0, "a onset ms": 10, "b onset ms": 20}
        marks = self.marks(self.drawn("onset", values))
        zero, one, two = (x for _, x, _ in marks)
        self.assertAlmostEqual(two - zero, 2 * (one - zero), delta=0.3)

    def test_lines_have_a_panel_for_each_number_of_stages(self) -> None:
        values = {f"{size}, {stages}, {way}: CPU us": cost
                  for size, cost in (("160x120", 10), ("320x240", 100))
                  for stages in ("1 stage", "2 stages") for way in ("threads", "processes, pipes")}
        svg = self.drawn("worth", values)
        words = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("2 stages", words)
        self.assertIn("processes, pipes", words)
        # Two panels of two series of two points, and the two of the legend.
        self.assertEqual(len(self.marks(svg)), 10)

    def test_a_series_looks_the_same_in_all_drawings(self) -> None:
        marks = self.marks(self.drawn("live", {"a, plain, late %": 9, "a, ours, late %": 1,
                                               "a, ours, applied %": 99}))
        # Two with their legend, then the second one alone.
        self.assertEqual([mark[0] for mark in marks], ["s0", "s1", "s0", "s1", "s1"])

    def test_more_series_than_colours_still_differ(self) -> None:
        values = {f"way {way}, {stages} stages: PSS bytes": way
                  for way in range(12) for stages in (1, 2)}
        svg = self.drawn("pressure", values)
        looks = {(path.get("class"), path.get("d"))
                 for path in svg.iter("{http://www.w3.org/2000/svg}path") if path.get("transform")}
        self.assertEqual(len(looks), 12)

    def test_a_logarithmic_axis_stands_zero_and_what_was_not_measured(self) -> None:
        self.drawn("hear", {"a: b, free p50 us": 0, "a: b, free p99 us": 5,
                            "c: d, free p50 us": None})

    def test_names_are_written_as_they_are(self) -> None:
        svg = self.drawn("onset", {"a onset ms": 1})
        self.assertIn("prefers-color-scheme", ElementTree.tostring(svg, "unicode"))
        self.drawn("trace", {"<&>, wall ns per frame": 1})

    def test_nothing_is_drawn_of_what_is_not_there(self) -> None:
        self.assertIsNone(bench_plots.plot("onset", {"something else": 1}))
        self.assertIsNone(bench_plots.plot("memory", {"growth": 1}))

    def test_the_drawings_are_of_benchmarks_that_there_are(self) -> None:
        self.assertLessEqual(set(bench_plots.PLOTS), set(bench.BENCHMARKS))


class Arguments(unittest.TestCase):
    def refusal_of(self, *arguments: str) -> str:
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as caught:
            bench.parse(list(arguments))
        self.assertEqual(caught.exception.code, 2)
        return said.getvalue()

    def test_only_takes_names_in_the_order_of_the_table(self) -> None:
        self.assertEqual(bench.parse(["--only", "skip,handoff"]).only, ["handoff", "skip"])

    def test_an_unknown_name_is_refused_with_those_that_there_are(self) -> None:
        said = self.refusal_of("--only", "handoff,fast")
        self.assertIn("no benchmark 'fast'", said)
        self.assertIn("skip-law", said)

    def test_no_name_and_an_unknown_option_are_refused(self) -> None:
        self.assertIn("at least one", self.refusal_of("--only", ","))
        self.assertIn("--fast", self.refusal_of("--fast"))


if __name__ == "__main__":
    unittest.main()
