#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts what a run of `meson test` really ran.

usage: count-tests.py BUILDDIR LOGNAME

Prints "PASSED FAILED SKIPPED" to stdout and the names of the failures to stderr.
A program that reports its cases (GoogleTest) counts as that many; another one
counts as one. A program that failed counts as at least one failure, also if it
crashed before it could report, or only after its cases had passed.
"""

import collections
import json
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

GOOD = {"OK", "EXPECTEDFAIL"}
NOT_RUN = {"SKIP", "IGNORED"}


def read_programs(logs, log_name):
    """Name of each test program that ended, and its result."""
    path = logs / f"{log_name}.json"
    if not path.exists():
        return {}
    records = (json.loads(line) for line in path.read_text().splitlines())
    return {record["name"]: record["result"] for record in records}


def read_cases(logs, log_name, programs):
    """For each program, its cases as pairs of name and result."""
    cases = collections.defaultdict(list)
    path = logs / f"{log_name}.junit.xml"
    if not path.exists():
        return cases
    for suite in ElementTree.parse(path).iter("testsuite"):
        # Meson calls a suite of a program "project.program.suite".
        name = suite.get("name").partition(".")[2]
        owners = [p for p in programs if name == p or name.startswith(p + ".")]
        if owners:
            program = max(owners, key=len)
            cases[program] += [read_case(program, case) for case in suite.iter("testcase")]
    return cases


def read_case(program, case):
    name = f"{program}, {case.get('classname')}.{case.get('name')}"
    if case.find("failure") is not None or case.find("error") is not None:
        return name, "FAIL"
    # "notrun" is a case that is disabled in the source.
    if case.find("skipped") is not None or case.get("status") == "notrun":
        return name, "SKIP"
    return name, "OK"


def results_of(program, result, cases):
    """The program as pairs of name and result: its cases, or itself."""
    is_good = result in GOOD or result in NOT_RUN
    has_failure = any(case[1] == "FAIL" for case in cases)
    if is_good and (has_failure or not cases):
        return [(program, result)]  # a failure that was expected, or no cases
    if not is_good and not has_failure:
        return cases + [(program, result)]
    return cases


def main(build_dir, log_name):
    logs = pathlib.Path(build_dir) / "meson-logs"
    programs = read_programs(logs, log_name)
    cases = read_cases(logs, log_name, programs)
    counts = collections.Counter()
    for program, result in programs.items():
        for name, verdict in results_of(program, result, cases[program]):
            if verdict in GOOD:
                counts["passed"] += 1
            elif verdict in NOT_RUN:
                counts["skipped"] += 1
            else:
                counts["failed"] += 1
                print(f"failed: {name} ({verdict})", file=sys.stderr)
    print(counts["passed"], counts["failed"], counts["skipped"])


if __name__ == "__main__":
    main(*sys.argv[1:])
